package reginfo

import "strings"

// SameURI compares two URIs: sip and sips by RFC 3261 19.1.4, tel by RFC 3966 4,
// others and what is no URI byte by byte. The relation is not transitive: of
// most parameters only those that both carry are compared. A public GRUU equals
// its address-of-record (RFC 5627 5.4), and a port or transport that is left out
// never equals its default.
func SameURI(a, b string) bool {
	if a == b {
		return true
	}
	x, y := splitURI(a), splitURI(b)
	if x.scheme != y.scheme {
		return false
	}
	switch x.scheme {
	case "sip", "sips":
		return sameEscaped(x.user, y.user) && x.hasUser == y.hasUser &&
			sameHost(x.host, y.host) && x.port == y.port &&
			sameParams(x.params, y.params) && sameHeaders(x.headers, y.headers)
	case "tel":
		return telKey(x.host) == telKey(y.host) && sameTelParams(x.params, y.params)
	}
	return false
}

// uriParts are the parts of a URI as written; only scheme is in lower case. Of a
// tel URI host is the number.
type uriParts struct {
	scheme, user, host, port string
	params, headers          string // without the first ; or ?
	hasUser                  bool
}

func splitURI(s string) uriParts {
	var u uriParts
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return u
	}
	u.scheme = strings.ToLower(scheme)
	switch u.scheme {
	case "tel":
		u.host, u.params, _ = strings.Cut(rest, ";")
		return u
	case "sip", "sips":
	default:
		return u
	}
	// A user may hold ";" and "?" unescaped, so look for it first.
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		u.user, u.hasUser = rest[:at], true
		rest = rest[at+1:]
	}
	rest, u.headers, _ = strings.Cut(rest, "?")
	rest, u.params, _ = strings.Cut(rest, ";")
	u.host = rest
	// An IPv6 address has colons of its own inside its brackets.
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, ']') {
		u.host, u.port = rest[:colon], rest[colon+1:]
	}
	return u
}

func sameHost(a, b string) bool { return a == b || hostKey(a) == hostKey(b) }

// sameEscaped compares with regard to case.
func sameEscaped(a, b string) bool {
	return a == b || unescape(a) == unescape(b)
}

// sameFolded compares without regard to case.
func sameFolded(a, b string) bool {
	return strings.EqualFold(a, b) || strings.EqualFold(unescape(a), unescape(b))
}

// unescape replaces escapes of characters that are not reserved (RFC 2396 2.2);
// an escaped reserved one differs from the bare one. A percent sign stays
// escaped, or what follows it would turn into an escape.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			b.WriteByte(s[i])
			continue
		}
		c := byte(hi<<4 | lo)
		if c == '%' || strings.IndexByte(";/?:@&=+$,", c) >= 0 {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		} else {
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// maxParams bounds the work that two hostile URIs can cause; those with more
// parameters than this are equal only to the letter.
const maxParams = 32

// sameParams compares the parameters of two SIP URIs.
func sameParams(a, b string) bool {
	if a == "" && b == "" {
		return true
	}
	if strings.Count(a, ";") >= maxParams || strings.Count(b, ";") >= maxParams {
		return a == b
	}
	return paramsFit(a, b) && paramsFit(b, a)
}

// paramsFit reports whether each parameter of a goes with b: those that b has
// too are the same, and none is missing from b that must be in both.
func paramsFit(a, b string) bool {
	for a != "" {
		var p string
		p, a, _ = strings.Cut(a, ";")
		if p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		other, found := findParam(b, name)
		if found && !sameFolded(value, other) || !found && inBoth(name) {
			return false
		}
	}
	return true
}

func findParam(params, name string) (value string, found bool) {
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		n, v, _ := strings.Cut(p, "=")
		if sameFolded(n, name) {
			return v, true
		}
	}
	return "", false
}

// inBoth reports whether a parameter in one URI alone makes two differ.
func inBoth(name string) bool {
	for _, n := range [...]string{"transport", "user", "ttl", "method", "maddr"} {
		if sameFolded(n, name) {
			return true
		}
	}
	return false
}

// sameHeaders compares headers, which are never ignored and whose order does
// not matter.
func sameHeaders(a, b string) bool {
	if a == b {
		return true
	}
	x, y := strings.Split(a, "&"), strings.Split(b, "&")
	if len(x) != len(y) || len(x) > maxParams {
		return false
	}
	for _, h := range x {
		found := -1
		for i, g := range y {
			if sameHeader(h, g) {
				found = i
				break
			}
		}
		if found < 0 {
			return false
		}
		y = append(y[:found], y[found+1:]...) // each counts once
	}
	return true
}

func sameHeader(a, b string) bool {
	an, av, _ := strings.Cut(a, "=")
	bn, bv, _ := strings.Cut(b, "=")
	return sameFolded(an, bn) && sameEscaped(av, bv)
}

// telKey returns a number without its visual separators (RFC 3966 5.1.1).
func telKey(number string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("-.() ", r):
			return -1
		case r >= 'A' && r <= 'Z':
			return r | 0x20
		}
		return r
	}, number)
}

// sameTelParams compares as RFC 3966 4 does: each must be in both.
func sameTelParams(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if strings.Count(a, ";") >= maxParams || strings.Count(b, ";") >= maxParams {
		return false
	}
	return telParamsFit(a, b) && telParamsFit(b, a)
}

func telParamsFit(a, b string) bool {
	for a != "" {
		var p string
		p, a, _ = strings.Cut(a, ";")
		name, value, _ := strings.Cut(p, "=")
		other, found := findParam(b, name)
		if strings.EqualFold(name, "ext") || strings.HasPrefix(value, "+") {
			value, other = telKey(value), telKey(other)
		}
		if !found || !sameFolded(value, other) {
			return false
		}
	}
	return true
}
