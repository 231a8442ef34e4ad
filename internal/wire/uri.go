package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// URI is a sip: or sips: URI taken apart (RFC 3261 19.1.1). It serves to find a
// next hop and to build requests; comparing two is reginfo.SameURI's business.
type URI struct {
	Scheme string // "sip" or "sips"
	User   string // as written, escapes kept; with a password, if there is one
	Host   string // name, IPv4, or [IPv6]
	Port   uint16 // 0: none
	Params Params
}

// ParseURI takes a URI apart; only sip and sips are understood.
func ParseURI(s string) (URI, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(s), ":")
	u := URI{Scheme: strings.ToLower(scheme)}
	if !found || u.Scheme != "sip" && u.Scheme != "sips" {
		return u, errors.New("is no sip: or sips: URI")
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		u.User, rest = rest[:at], rest[at+1:]
		if u.User == "" {
			return u, errors.New("has an empty user")
		}
		if strings.ContainsFunc(u.User, isBlankOrControl) || strings.ContainsAny(u.User, `<>"`) {
			return u, errors.New("has a blank, a bracket or a quote in its user: escape it, as %20")
		}
	}
	rest, _, _ = strings.Cut(rest, "?") // a user part may have one of its own
	hostport, params, _ := strings.Cut(rest, ";")
	u.Params = parseParams(params)
	host, port := splitHostPort(hostport)
	if host == "" || strings.ContainsAny(host, " \t<>\"%") {
		return u, errors.New("has no valid host")
	}
	u.Host = host
	if port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return u, fmt.Errorf("has the port %q, which is none", port)
		}
		u.Port = uint16(number)
	}
	return u, nil
}

// HostPort is the host, with the port where there is one.
func (u URI) HostPort() string {
	if u.Port == 0 {
		return u.Host
	}
	return u.Host + ":" + strconv.Itoa(int(u.Port))
}

// Addr is the host as an address; ok is false where it is a name.
func (u URI) Addr() (addr netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
	return addr, err == nil
}

// HostPortOf writes an address as the host and port of a URI or a Via.
func HostPortOf(a netip.AddrPort) string {
	// A zone is this machine's own name for a link, and has no place in a URI.
	return net.JoinHostPort(a.Addr().WithZone("").String(), strconv.Itoa(int(a.Port())))
}
