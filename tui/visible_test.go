package tui

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, utf8, ascii string }{
		{"sip:alice@example.com", "sip:alice@example.com", "sip:alice@example.com"},
		{"\x1b[2J", "␛[2J", "<1B>[2J"},
		{"a\r\nb\x00\x7f", "a␍␊b␀␡", "a<0D><0A>b<00><7F>"},
		{"\u009b31m", "<9B>31m", "<9B>31m"},
		{"\xff\xc3", "<FF><C3>", "<FF><C3>"},
		{"\u202emoc", "<U+202E>moc", "<U+202E>moc"},
		{"\u2066\u200b\ufeff\u2028", "<U+2066><U+200B><U+FEFF><U+2028>", "<U+2066><U+200B><U+FEFF><U+2028>"},
		{"Jürgen 日本", "Jürgen 日本", "J<U+00FC>rgen <U+65E5><U+672C>"},
		{"\u0301x", "<U+0301>x", "<U+0301>x"},
		{"e\u0301\u0301\u0301", "e\u0301\u0301<U+0301>", "e<U+0301><U+0301><U+0301>"},
		{"❤\ufe0f", "❤<U+FE0F>", "<U+2764><U+FE0F>"},
		{"\u3164\u2800", "<U+3164><U+2800>", "<U+3164><U+2800>"},
		{"👍\U0001f3fd\U0001f1e9", "👍<U+1F3FD><U+1F1E9>", "<U+1F44D><U+1F3FD><U+1F1E9>"},
		{"\u1112\u1161\u11ab\u11ab", "\u1112\u1161\u11ab<U+11AB>", "<U+1112><U+1161><U+11AB><U+11AB>"},
	} {
		if got := visible(c.in, false); got != c.utf8 {
			t.Errorf("visible(%q) = %q, want %q", c.in, got, c.utf8)
		}
		if got := visible(c.in, true); got != c.ascii {
			t.Errorf("visible(%q, ascii) = %q, want %q", c.in, got, c.ascii)
		}
	}
	if got := visible(strings.Repeat("a", 10_000), false); len(got) > visibleLimit+30 || !strings.Contains(got, "[10000 bytes]") {
		t.Errorf("10 kB became %d bytes", len(got))
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("\x1b]0;title\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		for _, ascii := range []bool{false, true} {
			out := visible(in, ascii)
			harmless(t, out)
			if n := ansi.StringWidth(out); n < 0 || ansi.Strip(out) != out {
				t.Errorf("%q still steers: %q", in, out)
			}
		}
	})
}

// harmless fails for every character that a terminal might obey.
func harmless(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			t.Fatalf("%U in %q", r, s)
		}
	}
}

// withoutOurStyles removes the colour sequences that the theme writes, and
// nothing else: any other escape stays to be found.
func withoutOurStyles(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		j := i + 2
		for j < len(s) && (s[j] == ';' || s[j] >= '0' && s[j] <= '9') {
			j++
		}
		if j >= len(s) || s[j] != 'm' {
			return s
		}
		s = s[:i] + s[j+1:]
	}
}
