package tables

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{"expire": "expires", "pasword": "password", "AOR": "aor", "transprot": "transport"} {
		if got := Nearest(name, []string{"aor", "expires", "password", "transport"}); !strings.EqualFold(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
