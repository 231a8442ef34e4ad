package journal

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"regwatch/ua"
)

// Line is an event as one line of NDJSON, line end included. It is safe to
// show: what could steer a terminal or reorder what is read is escaped, also
// where JSON would let it stand.
func Line(e ua.Event) ([]byte, error) {
	raw, err := e.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return append(Escaped(raw), '\n'), nil
}

// Escaped rewrites JSON so that no DEL, C1 control, or invisible or directing
// character stands in it as itself. Such characters occur in strings only, so
// that the value stays the same.
func Escaped(json []byte) []byte {
	if !bytes.ContainsFunc(json, func(r rune) bool { return !shown(r) }) {
		return json
	}
	out := make([]byte, 0, len(json)+1)
	for len(json) > 0 {
		r, size := utf8.DecodeRune(json)
		switch {
		case shown(r):
			out = append(out, json[:size]...)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		json = json[size:]
	}
	return out
}

func shown(r rune) bool { return r < 0x7f || unicode.IsPrint(r) }
