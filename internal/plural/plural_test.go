package plural

import "testing"

func TestCount(t *testing.T) {
	for n, want := range []string{"0 contacts", "1 contact", "2 contacts"} {
		if got := Count(n, "contact"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := Count(uint64(1)<<63, "event"); got != "9223372036854775808 events" {
		t.Error(got)
	}
}
