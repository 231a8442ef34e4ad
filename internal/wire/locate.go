package wire

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Target is one place that a request can be sent to.
type Target struct {
	Transport string
	Addr      netip.AddrPort
}

func (t Target) String() string { return t.Transport + " " + t.Addr.String() }

// ErrNoTarget: a name has no address, or asks for a transport that we have not.
var ErrNoTarget = errors.New("no target")

// Locate finds where requests to the URI go, the best first (RFC 3263 4). The
// transport is the one given, else that of the URI, else UDP. It blocks while
// names are looked up. NAPTR and SRV records are not asked for yet.
func Locate(ctx context.Context, network Network, uri, transport string) ([]Target, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %q %w", ErrNoTarget, uri, err)
	}
	if transport == "" {
		transport = u.Params.Get("transport")
	}
	switch transport {
	case "":
		transport = UDP
	case UDP, TCP:
	default:
		return nil, fmt.Errorf("%w: transport %q is not supported", ErrNoTarget, transport)
	}
	if u.Scheme == "sips" {
		return nil, fmt.Errorf("%w: %q asks for TLS, which is not supported yet", ErrNoTarget, uri)
	}
	port := u.Port
	if port == 0 {
		port = 5060
	}
	if addr, ok := u.Addr(); ok {
		return []Target{{transport, netip.AddrPortFrom(addr, port)}}, nil
	}
	addrs, err := network.LookupHost(ctx, u.Host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTarget, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: %s has no address", ErrNoTarget, u.Host)
	}
	var out []Target
	for _, addr := range addrs {
		out = append(out, Target{transport, netip.AddrPortFrom(addr.Unmap(), port)})
	}
	return out, nil
}
