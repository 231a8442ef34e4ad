package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var updateMan = flag.Bool("update", false, "write docs/regwatch.1 anew from the commands")

// TestManPage: docs/regwatch.1 is made from the commands, so that it says what
// --help says: go test ./cmd/regwatch -run TestManPage -update
func TestManPage(t *testing.T) {
	const file = "../../docs/regwatch.1"
	page := manPage(newRoot(newBench(t).env))
	if *updateMan {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != page {
		t.Errorf("docs/regwatch.1 is not what the commands say (%v): go test ./cmd/regwatch -run TestManPage -update", err)
	}
	if groff, err := exec.LookPath("groff"); err == nil {
		out, err := exec.Command(groff, "-man", "-Tutf8", "-wall", "-z", file).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("groff: %v\n%s", err, out)
		}
	}
}

// manPage writes the page of all commands (man(7)).
func manPage(root *cobra.Command) string {
	root.InitDefaultCompletionCmd()
	var out strings.Builder
	fmt.Fprintf(&out, ".TH REGWATCH 1\n.SH NAME\nregwatch \\- %s\n.SH SYNOPSIS\n.nf\n", roff(lower(root.Short)))
	for _, cmd := range append([]*cobra.Command{root}, visible(root)...) {
		fmt.Fprintf(&out, "%s\n", roff(cmd.UseLine()))
	}
	fmt.Fprintf(&out, ".fi\n.SH DESCRIPTION\n%s.SH OPTIONS\n%s", text(root.Long), options(root))
	out.WriteString(".SH COMMANDS\n")
	for _, cmd := range visible(root) {
		long := cmd.Long
		if long == "" || cmd.Name() == "completion" { // cobra's own, and long
			long = cmd.Short + "."
		}
		fmt.Fprintf(&out, ".SS %s\n%s%s", roff(strings.TrimPrefix(cmd.UseLine(), "regwatch ")), text(long), options(cmd))
		if cmd.Example != "" {
			fmt.Fprintf(&out, ".PP\nExamples:\n%s", text(cmd.Example))
		}
	}
	fmt.Fprintf(&out, ".SH EXAMPLES\n%s", text(root.Example))
	out.WriteString(".SH FILES\n.TP\n.I regwatch/config.toml\nin the user's config directory: the accounts; \\fBregwatch init\\fR writes an example.\n" +
		".TP\n.I $XDG_STATE_HOME/regwatch\nelse \\fI~/.local/state/regwatch\\fR: what a run remembers of each account, and the journal.\n")
	return out.String()
}

func visible(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() && cmd.Name() != "help" {
			all = append(all, cmd)
		}
	}
	return all
}

// options lists the flags of a command.
func options(cmd *cobra.Command) string {
	var out strings.Builder
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			value = " \\fI" + roff(value) + "\\fR"
		}
		fmt.Fprintf(&out, ".TP\n\\fB\\-\\-%s\\fR%s\n%s\n", roff(f.Name), value, roff(usage))
	})
	return out.String()
}

// text keeps the lines of a help text as they are.
func text(s string) string {
	return ".nf\n" + roff(strings.Trim(s, "\n")) + "\n.fi\n"
}

// roff escapes what would be a request or an escape, and hyphens that are to be
// copied.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
