package wire

import (
	"errors"
	"strings"
)

// Param is one ;name=value. Value is unquoted where it was a quoted string;
// Quoted says so, Bare that there was no "=" at all.
type Param struct {
	Name   string
	Value  string
	Quoted bool
	Bare   bool
}

// Params are the parameters of a header field value in their order.
type Params []Param

// Get returns the first value of that name, without regard to case, or "".
func (p Params) Get(name string) string {
	for _, param := range p {
		if strings.EqualFold(param.Name, name) {
			return param.Value
		}
	}
	return ""
}

// Has reports whether a parameter of that name is there, be it bare.
func (p Params) Has(name string) bool {
	for _, param := range p {
		if strings.EqualFold(param.Name, name) {
			return true
		}
	}
	return false
}

// NameAddr is the value of From, To, Contact, Route and their like: a display
// name, a URI and parameters (RFC 3261 20.10, 25.1).
type NameAddr struct {
	Display string // unquoted
	URI     string // as written, without <>; "*" in Contact: *
	Params  Params // of the header field, not of the URI
}

var errNoURI = errors.New("no URI in it")

// ParseNameAddr reads one value. Where the URI is not in angle brackets every
// parameter belongs to the header field (RFC 3261 20).
func ParseNameAddr(value string) (NameAddr, error) {
	value = strings.TrimSpace(value)
	var out NameAddr
	open := indexUnquoted(value, '<')
	if open < 0 {
		uri, params := value, ""
		if semicolon := indexUnquoted(value, ';'); semicolon >= 0 {
			uri, params = value[:semicolon], value[semicolon+1:]
		}
		out.URI = strings.TrimSpace(uri)
		out.Params = parseParams(params)
		if out.URI == "" {
			return out, errNoURI
		}
		return out, nil
	}
	out.Display = unquote(strings.TrimSpace(value[:open]))
	end := strings.IndexByte(value[open:], '>')
	if end < 0 {
		return out, errors.New("'<' is never closed")
	}
	out.URI = strings.TrimSpace(value[open+1 : open+end])
	if out.URI == "" {
		return out, errNoURI
	}
	rest := strings.TrimSpace(value[open+end+1:])
	out.Params = parseParams(strings.TrimPrefix(rest, ";"))
	return out, nil
}

// ParseNameAddrs reads all values of a header field that is a list, such as
// Contact or Record-Route. What cannot be read is left out and counted.
func (h Headers) ParseNameAddrs(name string) (list []NameAddr, malformed int) {
	for _, line := range h.Values(name) {
		for _, value := range SplitList(line) {
			address, err := ParseNameAddr(value)
			if err != nil {
				malformed++
				continue
			}
			list = append(list, address)
		}
	}
	return list, malformed
}

// SplitList splits a header field value at its commas, but not at those within
// quotes or angle brackets. Empty elements are dropped.
func SplitList(value string) []string {
	var out []string
	start, angle := 0, false
	add := func(end int) {
		if element := strings.TrimSpace(value[start:end]); element != "" {
			out = append(out, element)
		}
	}
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"' && !angle:
			i = closingQuote(value, i)
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			add(i)
			start = i + 1
		}
	}
	add(len(value))
	return out
}

// closingQuote returns the index of the quote that ends the quoted string which
// starts at open, or the last index where none does.
func closingQuote(s string, open int) int {
	for i := open + 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(s) - 1
}

// indexUnquoted is strings.IndexByte outside quoted strings.
func indexUnquoted(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return i
		}
		if s[i] == '"' {
			i = closingQuote(s, i)
		}
	}
	return -1
}

// parseParams reads "a=1;b;c="x;y"", without the leading ';'.
func parseParams(s string) Params {
	var out Params
	for s != "" {
		var one string
		if end := indexUnquoted(s, ';'); end >= 0 {
			one, s = s[:end], s[end+1:]
		} else {
			one, s = s, ""
		}
		name, value, found := strings.Cut(one, "=")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		value = strings.TrimSpace(value)
		out = append(out, Param{Name: name, Value: unquote(value), Quoted: strings.HasPrefix(value, `"`), Bare: !found})
	}
	return out
}

// unquote takes the quotes and backslashes off a quoted string; anything else
// is returned as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// Quote writes s as a quoted string (RFC 3261 25.1). Control characters but the tab
// have no place in one as they are, and are dropped.
func Quote(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case isLineBreaking(r):
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
