package ua

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"regwatch/internal/wire"
)

// How long a setting may be, in bytes: more is a slip, and would not leave in a
// datagram. Header fields count together.
const (
	valueLimit   = 1 << 10
	headersLimit = 8 << 10
)

// unfit says why a value cannot stand in a header field, or "". What it says is
// short, and has no control characters.
func unfit(value string, limit int) string {
	switch {
	case len(value) > limit:
		return fmt.Sprintf("is %d bytes long, more than %d", len(value), limit)
	case !utf8.ValidString(value):
		return "is not UTF-8"
	case strings.ContainsFunc(value, isControl):
		return fmt.Sprintf("has a control character (%.40q)", value)
	}
	return ""
}

// isControl finds what must never reach a header or a terminal raw: C0, DEL, C1.
func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// unfitURI says why a URI that ParseURI can read cannot stand between angle
// brackets, or "" (RFC 3261 25.1, 19.1.1).
func unfitURI(uri string) string {
	if i := strings.IndexAny(uri, " <>\"\\^`{|}"); i >= 0 {
		return fmt.Sprintf("has %q in it: escape it, as %%%02X", uri[i], uri[i])
	}
	if _, host, _ := strings.Cut(uri, "@"); strings.Contains(host, "?") {
		return "has header fields behind a question mark"
	}
	return ""
}

var (
	token  = "[A-Za-z0-9.!%*_+`'~-]+"
	quoted = `"([^"\\]|\\.)*"`
	param  = token + `( *= *(` + token + `|\[[0-9A-Fa-f:.]+\]|` + quoted + `))?`
	wsPath = regexp.MustCompile(`^(/[!-~]*)?$`)
	// contactParams is what may follow a Contact: generic-param of RFC 3261 25.1.
	contactParams = regexp.MustCompile(`^` + param + `( *; *` + param + `)*$`)
	qvalue        = regexp.MustCompile(`^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$`)
)

// written are the header fields that a REGISTER has once, for us or for the
// transport. A second one would make it another message to each who reads it.
var written = []string{"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Expires", "Content-Length"}

// unfitHeader says why a line cannot be put on a REGISTER, or "".
func unfitHeader(line string) string {
	name, _, found := strings.Cut(line, ":")
	name = strings.TrimSpace(name)
	switch {
	case !found || !wire.IsToken(name):
		return fmt.Sprintf("%.40q is no header field", line)
	case slices.ContainsFunc(written, func(w string) bool { return strings.EqualFold(w, longName(name)) }):
		return fmt.Sprintf("%q is written by regwatch itself", name)
	}
	return ""
}
