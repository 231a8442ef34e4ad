package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"

	"regwatch/internal/tables"
)

// FuzzParse: any text is a config or has faults, each with its line; an account
// that is taken passes its own check, and nothing said of a file steers a terminal.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add(uncommented())
	for _, seed := range []string{
		"", "[[account]]\naor = \"sip:a@b\"\n", "[[account]]\naor = 'sips:a@b'\n[account.on]\nrejected = \"auto\"\n[account.tls]\nca = \"x\"\n",
		"account = [{aor=\"sip:a@b\", expires=1}]", "[account]\naor=1", "[[account]]\nkeepalive = \"stun\"\nheaders = [\"X: \x1b\"]", "a.b.c = \"\\u001b\"", "\x00", "[[account]]\n[[account]]\n",
		"[journal]\nmax_size = \"1 TB\"\nfile = \"\"", "x = 1979-05-27T07:32:00Z", "x = [[[[[[1]]]]]]", "[[account]]\naor = \"sip:a@b\"\nname = \"\u202e\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		c, _, err := parse("f.toml", content, 1)
		var faults tables.Faults
		switch {
		case err != nil && !errors.As(err, &faults):
			t.Fatalf("an error without a place: %v", err)
		case err != nil:
			lines := strings.Count(content, "\n") + 1
			for _, fault := range faults {
				if fault.Line < 0 || fault.Line > lines || len(fault.Error()) > 10_000 {
					t.Errorf("line %d of %d, %d bytes", fault.Line, lines, len(fault.Error()))
				}
				if strings.ContainsFunc(fault.Error(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
					t.Errorf("told as %q", fault)
				}
			}
			return
		}
		for _, a := range c.Accounts {
			if err := a.Check(); err != nil {
				t.Errorf("taken, and refused later: %v", err)
			}
		}
	})
}
