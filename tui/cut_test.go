package tui

import (
	"testing"
	"time"
)

func TestCutURI(t *testing.T) {
	for _, c := range []struct {
		in   string
		w    int
		want string
	}{
		{"sip:alice@192.0.2.7:5060", 30, "sip:alice@192.0.2.7:5060"},
		{"sip:alice@192.0.2.7:5060;transport=tcp;ob", 34, "sip:alice@192.0.2.7:5060;tra...;ob"},
		{"sip:alice@192.0.2.7:5060;transport=tcp;ob", 24, "sip:alice@192.0.2.7:5060"},
		{"sip:alice@192.0.2.7:5060;transport=tcp;ob", 20, "alice@192.0.2.7:5060"},
		{"sip:alice@192.0.2.7:5060", 18, "alice@....2.7:5060"},
		{"sip:alice@very-long-host-name.example.com:5060", 24, "alice@...xample.com:5060"},
		{"sip:an-extremely-long-user-part-indeed@example.com:5060", 26, "an-...eed@example.com:5060"},
		{"sip:alice@[2001:db8::1234:5678:9abc]:5060", 24, "alice@...5678:9abc]:5060"},
		{"tel:+4930123456", 10, "...0123456"},
		{"", 10, ""},
		{"no uri at all, just text", 12, "no ur...text"},
	} {
		got := cutURI(c.in, c.w)
		if width(got) > c.w {
			t.Errorf("cutURI(%q, %d) = %q is too wide", c.in, c.w, got)
		}
		if got != c.want {
			t.Errorf("cutURI(%q, %d) = %q, want %q", c.in, c.w, got, c.want)
		}
	}
	for _, uri := range []string{"sip:alice@192.0.2.7:5060;ob", "sip:日本@例え.example:5060", "@", "sip:@", ";;;", "sip:a@b?c"} {
		for w := range 30 {
			if got := cutURI(uri, w); width(got) > w {
				t.Errorf("cutURI(%q, %d) = %q is too wide", uri, w, got)
			}
		}
	}
}

func TestShortURIAndHost(t *testing.T) {
	for uri, want := range map[string][2]string{
		"sip:alice@192.0.2.7:5060;ob":     {"alice@192.0.2.7:5060", "192.0.2.7"},
		"sip:[2001:db8::1]:5060":          {"[2001:db8::1]:5060", "[2001:db8::1]"},
		"sip:alice@[2001:db8::1]":         {"alice@[2001:db8::1]", "[2001:db8::1]"},
		"sip:a;b@host;x=y@z":              {"a;b@host;x=y@z", "z"},
		"tel:+4930123456":                 {"tel:+4930123456", "+4930123456"},
		"sips:alice@example.com:5061?x=y": {"alice@example.com:5061", "example.com"},
	} {
		if got := shortURI(uri); got != want[0] {
			t.Errorf("shortURI(%q) = %q, want %q", uri, got, want[0])
		}
		if got := hostOf(uri); got != want[1] {
			t.Errorf("hostOf(%q) = %q, want %q", uri, got, want[1])
		}
	}
}

// Where the dots would be as wide as what they stand for, the host is whole.
func TestCutURIKeepsAShortHost(t *testing.T) {
	for w, want := range map[int]string{22: "0010...789@[::1]:60075", 21: "001...789@[::1]:60075", 15: "...[::1]:60075", 14: "...[::1]:60075"} {
		if got := cutURI("sip:001010123456789@[::1]:60075", w); got != want {
			t.Errorf("to %d columns: %q, want %q", w, got, want)
		}
	}
}

func TestCutMiddle(t *testing.T) {
	for w, want := range map[int]string{0: "", 2: "1j", 5: "1...6", 12: "1j9Fp...wxf6", 40: "1j9FpLxk3y8DxYgOwMwxf6"} {
		if got := cutMiddle("1j9FpLxk3y8DxYgOwMwxf6", w); got != want {
			t.Errorf("cutMiddle to %d = %q, want %q", w, got, want)
		}
	}
}

func TestCountdown(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0:00", 0: "0:00", 28 * time.Second: "0:28", 27*time.Second + time.Millisecond: "0:28",
		58*time.Minute + 12*time.Second: "58:12", 3700 * time.Second: "1:01:40", 95 * time.Hour: "95:00:00", 100 * time.Hour: "4d 04h",
		4294967295 * time.Second: "49710d",
	} {
		if got := countdown(d); got != want || len(got) > 8 {
			t.Errorf("countdown(%v) = %q, want %q", d, got, want)
		}
	}
	for left, want := range map[time.Duration]string{-1: "----------", 0: "----------", 30: "#####-----", 59: "#########-", 60: "##########", 90: "##########"} {
		if got := bar(left, 60, 10); got != want {
			t.Errorf("bar(%d of 60) = %q, want %q", left, got, want)
		}
	}
	if got := bar(5, 0, 4); got != "----" {
		t.Errorf("bar of nothing = %q", got)
	}
}

// Text is cut between words, a long word inside.
func TestCutEnd(t *testing.T) {
	for _, c := range []struct {
		in   string
		w    int
		want string
	}{
		{"the network says so", 19, "the network says so"},
		{"the network says so", 18, "the network..."},
		{"the network says so", 14, "the network..."},
		{"the network says so", 13, "the networ..."}, // a narrow place gives up less
		{"registered by us: expires 3600, and more of it", 30, "registered by us: expires..."},
		{"learned: sip:tgruu.4i7t3ogjjtwe5e@example.com", 34, "learned: sip:tgruu.4i7t3ogjjtwe..."},
		{"例え ばなし", 8, "例え..."},
		{"abc", 2, "ab"},
	} {
		if got := cutEnd(c.in, c.w); got != c.want {
			t.Errorf("cutEnd(%q, %d) = %q, want %q", c.in, c.w, got, c.want)
		}
	}
}
