package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// addresses gives the addresses of a host: of the machine's own table if that
// has it, else of the DNS.
func (s *search) addresses(name string) ([]netip.Addr, error) {
	if addrs := s.network.Hosts(name); len(addrs) > 0 {
		return addrs, nil
	}
	if isLocalhost(name) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, nil
	}
	var four, six dnsAnswer
	var err4, err6 error
	together(
		func() { four, err4 = s.resolver.lookup(s.ctx, name, dns.TypeA) },
		func() { six, err6 = s.resolver.lookup(s.ctx, name, dns.TypeAAAA) },
	)
	if errors.Is(err4, errNoNameserver) || errors.Is(err6, errNoNameserver) {
		return s.otherMeans(name)
	}
	out := s.inOrder(addrsOf(six.records), addrsOf(four.records))
	switch {
	case len(out) > 0: // one family is enough, whatever became of the other
		return out, nil
	case err4 != nil:
		return nil, err4
	case err6 != nil:
		return nil, err6
	case strings.HasSuffix(name, ".local"):
		// Some have such names in their DNS, the others in mDNS (RFC 6762 3),
		// which the machine may speak.
		return s.otherMeans(name)
	case four.noName || six.noName:
		return nil, fmt.Errorf("%w: there is no name %s", ErrNoTarget, name)
	}
	return nil, fmt.Errorf("%w: %s has no address", ErrNoTarget, name)
}

func addrsOf(records []dns.RR) []netip.Addr {
	var out []netip.Addr
	for _, rr := range records {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		if addr = addr.Unmap(); addr.IsValid() && !addr.IsUnspecified() && len(out) < maxAddrs {
			out = append(out, addr)
		}
	}
	return out
}

// inOrder puts IPv6 before IPv4 (RFC 6724 6, RFC 7984 4), unless there is a
// route to the latter only: over UDP nobody would tell for 32 s.
func (s *search) inOrder(six, four []netip.Addr) []netip.Addr {
	if len(six) > 0 && len(four) > 0 && !s.reaches(six[0]) && s.reaches(four[0]) {
		return append(four, six...)
	}
	return append(six, four...)
}

func (s *search) reaches(addr netip.Addr) bool {
	_, err := s.network.SourceFor(s.ctx, netip.AddrPortFrom(addr, 5060))
	return err == nil
}

// otherMeans asks whatever the machine has besides nameservers.
func (s *search) otherMeans(name string) ([]netip.Addr, error) {
	addrs, err := s.network.LookupHost(s.ctx, name)
	if err != nil {
		var missing *net.DNSError
		if errors.As(err, &missing) && missing.IsNotFound {
			return nil, fmt.Errorf("%w: %w", ErrNoTarget, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrLookup, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: %s has no address", ErrNoTarget, name)
	}
	out := make([]netip.Addr, 0, len(addrs))
	for _, addr := range addrs[:min(len(addrs), maxAddrs)] {
		out = append(out, addr.Unmap())
	}
	return out, nil
}
