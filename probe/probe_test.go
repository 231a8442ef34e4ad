package probe_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"regwatch/registrar"
)

var update = flag.Bool("update", false, "write testdata anew")

// What a probe finds of each profile, word for word. Of the one that does what the
// standards ask for it finds nothing.
func TestProfiles(t *testing.T) {
	for _, profile := range registrar.Profiles {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Profile: profile}, func(l *lab) {
				report, err := l.probe(l.t.Context(), l.options())
				if err != nil {
					t.Fatal(err)
				}
				compare(t, string(profile)+".txt", report.Text())
			})
		})
	}
}

// made are the parts of a report that are another each time.
var made = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`probe-[0-9a-z]{10}-\d+`), "probe-1"},
	{regexp.MustCompile(`tgruu\.[0-9a-z]+`), "tgruu.1"},
	{regexp.MustCompile(`urn:uuid:[-0-9a-f]+`), "urn:uuid:1"},
	{regexp.MustCompile(`urn%3auuid%3a[-0-9a-f]+`), "urn%3auuid%3a1"},
	{regexp.MustCompile(`(192\.0\.2\.7):\d+`), "$1:5060"},
	{regexp.MustCompile(`(tried, in) .*`), "$1 a while"},
}

// compare holds a text against its file in testdata.
func compare(t *testing.T, name, text string) {
	t.Helper()
	for _, m := range made {
		text = m.what.ReplaceAllString(text, m.as)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is not what came (after a wanted change: go test ./probe -update):\n%s", file, text)
	}
}
