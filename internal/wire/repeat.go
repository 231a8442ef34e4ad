package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a peer gives and we write again, in every request of a dialog or of a
// registration, is no longer than this, in bytes and routes.
const (
	maxTag    = 256
	maxURI    = 1024
	maxRoutes = 32
)

// A reason phrase is for people (RFC 3261 7.2); the trace has it whole.
const maxReason = 200

// cutTo shortens what the network sent to what fits in a line of text.
func cutTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// IsURI reports whether s can be written into a request as it is: of any scheme,
// with no character that RFC 3261 25.1 has no place for, and of a sane length.
func IsURI(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	return found && IsToken(scheme) && rest != "" && len(s) <= maxURI &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) })
}

// IsToken reports whether s is a token (RFC 3261 25.1).
func IsToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-.!%*_+`'~", r))
	})
}

// Routes gives the values of a header field such as Record-Route or Service-Route
// in their order, each ready to be a Route of its own. A subscriber takes those of
// a NOTIFY as they are, those of an answer reversed (RFC 3261 12.1). What can be no
// Route is left out.
func (h Headers) Routes(name string) []string {
	var out []string
	for _, line := range h.Values(name) {
		for _, value := range SplitList(line) {
			if route := routeOf(value); route != "" && len(out) < maxRoutes {
				out = append(out, route)
			}
		}
	}
	return out
}

// routeOf writes one value anew, without its display name; "" where that cannot be.
func routeOf(value string) string {
	if !strings.Contains(value, "<") { // some leave the brackets out, and mean the URI's parameters
		value = "<" + value + ">"
	}
	address, err := ParseNameAddr(value)
	if err != nil || !IsURI(address.URI) {
		return ""
	}
	out := "<" + address.URI + ">"
	for _, p := range address.Params {
		switch {
		case len(out) > 2*maxURI || !IsToken(p.Name) || !utf8.ValidString(p.Value) || strings.ContainsFunc(p.Value, unicode.IsControl):
			return ""
		case p.Bare:
			out += ";" + p.Name
		case IsToken(p.Value) && !p.Quoted:
			out += ";" + p.Name + "=" + p.Value
		default:
			out += ";" + p.Name + "=" + Quote(p.Value)
		}
	}
	return out
}

// echoed are the header fields of a request that its answers repeat (RFC 3261
// 8.2.6.2, 12.1.1).
var echoed = []string{"Via", "From", "To", "Call-ID", "CSeq", "Record-Route"}

// repeatable reports whether the answers to a request would be what they seem: a
// line end that is none to our parser may be one to the next.
func repeatable(h Headers) bool {
	for _, name := range echoed {
		for _, value := range h.Values(name) {
			if strings.ContainsFunc(value, isLineBreaking) {
				return false
			}
		}
	}
	return true
}
