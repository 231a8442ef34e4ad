package reginfo

import (
	"net/netip"
	"strings"
)

// URIKey returns a string that is equal for all URIs that SameURI takes for the
// same, so that equal ones can be looked up in a map; different URIs may share
// one. It is no URI itself.
func URIKey(s string) string {
	u := splitURI(s)
	switch u.scheme {
	case "tel":
		return "tel:" + telKey(u.host)
	case "sip", "sips":
		user := ""
		if u.hasUser {
			user = unescape(u.user) + "@"
		}
		return u.scheme + ":" + user + hostKey(u.host) + ":" + u.port
	}
	return s
}

// hostKey returns the canonical form of a host. IPv6 addresses are compared as
// addresses (RFC 5954 4.2).
func hostKey(host string) string {
	if strings.HasPrefix(host, "[") {
		if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			return "[" + addr.String() + "]"
		}
	}
	return strings.ToLower(host)
}

// aorKey returns the canonical form of an address-of-record: without its
// parameters, escapes resolved (RFC 3261 10.3, step 5).
func aorKey(aor string) string { return URIKey(aor) }

// hasGr reports whether a URI has the parameter that makes it a GRUU.
func hasGr(uri string) bool {
	_, found := findParam(splitURI(uri).params, "gr")
	return found
}

// gruuOf reports whether a public GRUU is one of the address-of-record: the AOR
// with "gr" added (RFC 5627 3.1.1). Of an AOR that is no SIP URI nothing can be
// said.
func gruuOf(gruu, aor string) bool {
	a, g := splitURI(aor), splitURI(gruu)
	if a.scheme != "sip" && a.scheme != "sips" {
		return true
	}
	if g.scheme != "sip" && g.scheme != "sips" {
		return false
	}
	return sameEscaped(a.user, g.user) && sameHost(a.host, g.host) && a.port == g.port
}
