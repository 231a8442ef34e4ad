package ua

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"regwatch/internal/wire"
)

// parseAOR reads an address-of-record: user and host.
func parseAOR(s string) (wire.URI, error) {
	u, err := wire.ParseURI(s)
	if err == nil && u.User == "" {
		err = errors.New("has no user")
	}
	return u, err
}

// parseHop reads the URI of a registrar or proxy.
func parseHop(s string) (wire.URI, error) { return wire.ParseURI(s) }

func isSIPS(uri string) bool { return len(uri) > 5 && strings.EqualFold(uri[:5], "sips:") }

// toSIPS makes a sips: URI of a sip: one, and leaves others as they are.
func toSIPS(uri string) string {
	if len(uri) > 4 && strings.EqualFold(uri[:4], "sip:") {
		return "sips:" + uri[4:]
	}
	return uri
}

// forPeople is a URI without "gr": what a GRUU looks like as an address (RFC 5627
// 4.6). Of a public one that leaves the address-of-record.
func forPeople(uri string) string {
	host := strings.LastIndexByte(uri, '@') + 1
	parts := strings.Split(uri[host:], ";")
	params := slices.DeleteFunc(parts[1:], func(p string) bool {
		name, _, _ := strings.Cut(p, "=")
		return strings.EqualFold(name, "gr")
	})
	return uri[:host] + strings.Join(parts[:1+len(params)], ";")
}

// parseLocal reads "", an address, or address:port.
func parseLocal(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(addr, 0), nil
	}
	both, err := netip.ParseAddrPort(s)
	if err != nil {
		return both, errors.New("is no address")
	}
	return both, nil
}
