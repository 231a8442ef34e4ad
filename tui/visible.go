package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visibleLimit bounds the bytes of one value shown in a row, wholeLimit of one
// shown by itself. Longer ones lose their middle, so that a hostile header
// field cannot make a frame slow.
const (
	visibleLimit = 512
	wholeLimit   = 16 << 10
)

// visible returns text from the network fit for a terminal: everything that
// could steer the terminal, reorder what is read or hide is shown as a picture
// of itself. Controls become ␛ (<1B> where ascii is set), C1, invalid bytes
// and all that does not print become <9B>, <FF>, <U+202E>. Nothing is dropped
// silently: what a peer tried must be seen. The result is one line.
func visible(s string, ascii bool) string { return visibleTo(s, visibleLimit, ascii) }

func visibleTo(s string, limit int, ascii bool) string {
	if len(s) > limit {
		head, tail := s[:limit/2], s[len(s)-limit/2:]
		return visibleAll(head, ascii) + fmt.Sprintf("...[%d bytes]...", len(s)) + visibleAll(tail, ascii)
	}
	return visibleAll(s, ascii)
}

// visibleAll is visible without its bound, for texts that are shown line by
// line.
func visibleAll(s string, ascii bool) string {
	if plain(s) {
		return s
	}
	var out strings.Builder
	out.Grow(len(s) + 16)
	marks := 0 // combining marks on the last base character
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, "<%02X>", s[i])
		case r < 0x20 && !ascii:
			out.WriteRune('␀' + r) // the Control Pictures block follows C0 in order
		case r == 0x7f && !ascii:
			out.WriteRune('␡')
		case r < 0xa0 && (r < 0x20 || r >= 0x7f):
			fmt.Fprintf(&out, "<%02X>", r)
		case r > 0x7f && ascii, !unicode.IsPrint(r), unseen(r):
			fmt.Fprintf(&out, "<U+%04X>", r)
		case joins(r) && (marks >= 2 || i == 0):
			// A heap of marks has no width and climbs over other rows; one
			// without a base would join whatever we draw before it.
			fmt.Fprintf(&out, "<U+%04X>", r)
		case joins(r):
			marks++
			out.WriteRune(r)
		default:
			marks = 0
			out.WriteRune(r)
		}
		i += size
	}
	return out.String()
}

// plain reports whether s is printable ASCII only, as nearly all SIP is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// unseen finds what passes for printable and hides, or on whose width no two
// terminals agree: fillers and the blank Braille pattern show nothing, selectors,
// skin tones and the letters that flags are made of change the character before.
func unseen(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Regional_Indicator) ||
		r == 0x2800 || r >= 0x1f3fb && r <= 0x1f3ff
}

// joins finds what has no width of its own: marks, and the vowels and finals that
// Hangul syllables are put together of.
func joins(r rune) bool {
	return unicode.Is(unicode.M, r) || r >= 0x1160 && r <= 0x11ff || r >= 0xd7b0 && r <= 0xd7ff
}
