package regwatch

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"regwatch/probe"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

var update = flag.Bool("update", false, "write docs/findings.md and docs/probe.md anew from their tables")

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The screen that the README shows is the one that the screen's own test draws.
func TestReadmeShowsRealScreen(t *testing.T) {
	frame := strings.TrimRight(read(t, "tui/testdata/panel-80x24.golden"), "\n")
	if !strings.Contains(read(t, "README.md"), "```\n"+frame+"\n```") {
		t.Errorf("README.md does not show tui/testdata/panel-80x24.golden as it is now:\n%s", frame)
	}
}

// What the README shows of decode is what it says.
func TestReadmeShowsRealDecode(t *testing.T) {
	_, shown, _ := strings.Cut(read(t, "README.md"), "$ regwatch decode --account alice capture.pcapng\n...\n")
	shown, _, _ = strings.Cut(shown, "...\n")
	if shown == "" || !strings.Contains(read(t, "internal/dissect/testdata/kick.golden"), shown) {
		t.Errorf("README.md shows what internal/dissect/testdata/kick.golden has not:\n%s", shown)
	}
}

// The README explains every word that a registrar can say, with the policy that
// it meets.
func TestReadmeExplainsWords(t *testing.T) {
	readme := read(t, "README.md")
	for _, m := range ua.Meanings {
		if !strings.Contains(readme, fmt.Sprintf("| `%s` | %s |", m.Word, m.Means)) {
			t.Errorf("README.md has no row for %q that says %q", m.Word, m.Means)
		}
	}
	for _, kick := range ua.Kicks {
		if !strings.Contains(readme, fmt.Sprintf("`%s = \"%s\"`", kick, ua.DefaultPolicies[kick])) {
			t.Errorf("README.md does not give the default of %s, which is %s", kick, ua.DefaultPolicies[kick])
		}
	}
}

// Every test that docs/conformance.md, docs/faults.md and docs/security.md name exists.
func TestNamedTests(t *testing.T) {
	var sources strings.Builder
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			sources.WriteString(read(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	for _, page := range []string{"docs/conformance.md", "docs/faults.md", "docs/security.md"} {
		names := named.FindAllStringSubmatch(read(t, page), -1)
		if len(names) == 0 {
			t.Errorf("%s names no test", page)
		}
		for _, name := range names {
			if !strings.Contains(sources.String(), "func "+name[1]+"(") {
				t.Errorf("%s names %s, which is not there", page, name[1])
			}
		}
	}
}

// docs/findings.md is made from the table of codes, and from the documents that
// show them: go test . -update
func TestFindingsPage(t *testing.T) {
	var page strings.Builder
	page.WriteString("# Findings\n\nWhat regwatch reports about a registrar, beside the events. Each has a stable code, a severity, the clause\n" +
		"that it is measured by, and a sentence. They appear on the screen (view 7), in `watch --json` as `finding`,\n" +
		"and in `decode`, which ends with status 7 when one of severity error is among them. Each distinct finding is\n" +
		"told once a run.\n\n| code | severity | clause | what it says |\n| --- | --- | --- | --- |\n")
	for _, e := range finding.Table() {
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", e.Code, e.Severity, e.Clause, strings.ReplaceAll(e.Sentence, "|", "\\|"))
	}
	page.WriteString("\n## Examples\n\nThe smallest document that shows each, or the fewest one after the other. Codes that are not here need the NOTIFY\n" +
		"around the document, our own REGISTERs or the time, or a document too long for this page.\n")
	for _, e := range finding.Table() {
		documents, err := os.ReadFile("reginfo/testdata/findings/" + string(e.Code) + ".xml")
		if err == nil {
			fmt.Fprintf(&page, "\n### `%s`\n\n%s\n\n```xml\n%s```\n", e.Code, e.Sentence, documents)
		}
	}
	hold(t, "docs/findings.md", page.String())
}

// hold compares a page with what it is made from.
func hold(t *testing.T, path, page string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, path) != page {
		t.Errorf("%s is not what it is made from: go test . -update", path)
	}
}

// In docs/probe.md what follows the heading is made from the table of checks, and
// from the reports that the tests of probe and of interop hold: docs/probe.sh
func TestProbePage(t *testing.T) {
	reports := []struct{ name, path string }{
		{"`rfc`", "probe/testdata/rfc.txt"}, {"`kamailio`", "probe/testdata/kamailio.txt"},
		{"`kamailio-scscf`", "probe/testdata/kamailio-scscf.txt"}, {"`clearwater`", "probe/testdata/clearwater.txt"},
		{"Kamailio 5.6", "internal/interop/testdata/probe.txt"},
	}
	line := regexp.MustCompile(`(?m)^  (held|broken|not offered|not tried) +([a-z]+\.[-a-z0-9]+) `)
	var page strings.Builder
	const heading = "## Checks, and what they find\n"
	written, _, _ := strings.Cut(read(t, "docs/probe.md"), heading)
	page.WriteString(written + heading + "\n| check | what is expected | clause |")
	var verdicts []map[string]string
	for _, r := range reports {
		of := make(map[string]string)
		for _, m := range line.FindAllStringSubmatch(read(t, r.path), -1) {
			of[m[2]] = m[1]
		}
		verdicts = append(verdicts, of)
		fmt.Fprintf(&page, " %s |", r.name)
	}
	page.WriteString("\n| --- | --- | --- |" + strings.Repeat(" --- |", len(reports)) + "\n")
	for _, c := range probe.Checks() {
		fmt.Fprintf(&page, "| `%s` | %s | %s |", c.ID, strings.ReplaceAll(c.Title, "*", "\\*"), c.Clause)
		for _, of := range verdicts {
			verdict := of[c.ID]
			switch {
			case verdict == "":
				verdict = "held" // a finding that nothing showed has no line
			case verdict == "held" && c.Group == "documents":
				verdict = "held, told"
			case verdict == "broken":
				verdict = "**broken**"
			}
			fmt.Fprintf(&page, " %s |", verdict)
		}
		page.WriteByte('\n')
	}
	page.WriteString("\n## Kamailio 5.6\n\nThe report in full. Addresses, ids and times are those of the run that was written down.\n\n```\n")
	page.WriteString(read(t, "internal/interop/testdata/probe.txt") + "```\n")
	hold(t, "docs/probe.md", page.String())
}
