package quietterm

import (
	"os"
	"testing"
)

func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name  string
		saved string
		had   bool
	}{{"unset before", "", false}, {"empty before", "", true}, {"set before", "yes", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CI", "1") // puts the real one back afterwards
			saved, had = c.saved, c.had
			Restore()
			if got, has := os.LookupEnv("CI"); got != c.saved || has != c.had {
				t.Errorf("CI is %q (set: %v), want %q (set: %v)", got, has, c.saved, c.had)
			}
		})
	}
}
