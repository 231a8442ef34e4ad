package capture

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible makes one line of a text from the network fit to print: controls,
// invalid bytes and characters that hide or reorder what is read are written
// as <1B> or <U+202E>. Tabs stay.
func Visible(s string) string {
	if !strings.ContainsFunc(s, unfit) {
		return s
	}
	var out strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&out, "<%02X>", s[i])
		case unfit(r) && r < 0xa0:
			fmt.Fprintf(&out, "<%02X>", r)
		case unfit(r) && r != utf8.RuneError:
			fmt.Fprintf(&out, "<U+%04X>", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

func unfit(r rune) bool { return r != '\t' && (!unicode.IsPrint(r) || r == utf8.RuneError) }
