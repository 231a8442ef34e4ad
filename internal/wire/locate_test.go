package wire_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

const nameserverHost = "192.0.2.53"

// locating is a client that asks one nameserver, in virtual time.
type locating struct {
	*wire.Locator
	t      *testing.T
	net    *memnet.Net
	server *memnet.Nameserver
}

var withoutTLS = []string{wire.UDP, wire.TCP}

func inNames(t *testing.T, o wire.LocatorOptions, records []string, f func(*locating)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := n.Nameserver(nameserverHost, records...)
		defer server.Close()
		n.SetNameservers(5*time.Second, 2, server)
		f(&locating{wire.NewLocator(n.Host("192.0.2.1"), o), t, n, server})
	})
}

// want checks what a URI leads to, as "udp 192.0.2.2:5060, ..."; or the error.
func (l *locating) want(uri, transport, want string) {
	l.t.Helper()
	targets, err := l.Locate(l.t.Context(), uri, transport)
	got := listed(targets)
	if err != nil {
		got = err.Error()
	}
	if err != nil && !errors.Is(err, wire.ErrNoTarget) && !errors.Is(err, wire.ErrLookup) {
		l.t.Errorf("%s: an error of no class: %v", uri, err)
	}
	if got != want {
		l.t.Errorf("%s\n got %s\nwant %s", uri, got, want)
	}
}

func listed(targets []wire.Target) string {
	var out []string
	for _, t := range targets {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}

// The example of RFC 3263 4.1, with its servers.
var example = []string{
	`example.com. 300 IN NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.example.com.`,
	`example.com. 300 IN NAPTR 90 50 "s" "SIP+D2T" "" _sip._tcp.example.com.`,
	`example.com. 300 IN NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.example.com.`,
	`_sips._tcp.example.com. 300 IN SRV 0 1 5061 server1.example.com.`,
	`_sip._tcp.example.com. 300 IN SRV 0 1 5060 server1.example.com.`,
	`_sip._tcp.example.com. 300 IN SRV 1 2 5070 server2.example.com.`,
	`_sip._udp.example.com. 300 IN SRV 0 1 5062 server2.example.com.`,
	`server1.example.com. 300 IN A 192.0.2.11`,
	`server2.example.com. 300 IN A 192.0.2.12`,
	`example.com. 300 IN A 192.0.2.80`,
}

func TestLocate(t *testing.T) {
	address := []string{`h.example. 60 IN A 192.0.2.2`, `h.example. 60 IN AAAA 2001:db8::2`}
	both := slices.Concat(address, []string{
		`_sip._udp.h.example. 60 IN SRV 5 0 5065 a.example.`, `_sip._tcp.h.example. 60 IN SRV 1 0 5066 b.example.`,
		`_sips._tcp.h.example. 60 IN SRV 1 0 5067 b.example.`,
		`a.example. 60 IN A 192.0.2.3`, `b.example. 60 IN A 192.0.2.4`,
	})
	for _, c := range []struct {
		clause, name   string
		records        []string
		uri, transport string
		usable         []string
		want           string
		asked          string // in any order where several are asked at once: sorted
	}{
		{clause: "3263 4", name: "the maddr parameter is the target", records: both,
			uri: "sip:other.example;maddr=192.0.2.9;transport=tcp", want: "tcp 192.0.2.9:5060"},
		{clause: "3263 4", name: "a name as maddr, with the port of the URI", records: both,
			uri: "sip:192.0.2.1:5080;maddr=h.example", want: "udp 192.0.2.2:5080, udp [2001:db8::2]:5080"},

		{clause: "3263 4.1", name: "the transport of the URI", records: both,
			uri: "sip:a@h.example;transport=tcp", want: "tcp 192.0.2.4:5066", asked: "A b.example,AAAA b.example,SRV _sip._tcp.h.example"},
		{clause: "3263 4.1", name: "the transport without regard to case", records: both,
			uri: "sip:h.example;Transport=TCP", want: "tcp 192.0.2.4:5066"},
		{clause: "3263 4.1", name: "the account's transport before that of the URI", records: both,
			uri: "sip:h.example;transport=udp", transport: "tcp", want: "tcp 192.0.2.4:5066"},
		{clause: "3263 4.1", name: "a transport that we have not",
			uri: "sip:192.0.2.2;transport=sctp", want: `no target: "sip:192.0.2.2;transport=sctp" asks for transport "sctp", which is not supported`},
		{clause: "3263 4.1", name: "numeric: UDP", uri: "sip:192.0.2.2", want: "udp 192.0.2.2:5060"},
		{clause: "3263 4.1", name: "numeric, sips: TLS over TCP", uri: "sips:192.0.2.2", want: "tls 192.0.2.2:5061"},
		{clause: "3263 4.1", name: "a name with a port: UDP, and nothing but addresses is asked for", records: both,
			uri: "sip:h.example:5060", want: "udp 192.0.2.2:5060, udp [2001:db8::2]:5060", asked: "A h.example,AAAA h.example"},
		{clause: "3263 4.1", name: "a name with a port, sips: TLS", records: both,
			uri: "sips:h.example:5099", want: "tls 192.0.2.2:5099, tls [2001:db8::2]:5099"},
		{clause: "3263 4.1", name: "NAPTR: of what both have, what the server likes best", records: example, usable: withoutTLS,
			uri: "sip:example.com", want: "tcp 192.0.2.11:5060, tcp 192.0.2.12:5070"},
		{clause: "3263 4.1", name: "NAPTR: a client with TLS keeps SIPS services for a sip: URI", records: example,
			uri: "sip:example.com", want: "tls 192.0.2.11:5061"},
		{clause: "3263 4.1", name: "NAPTR: sips discards what is not SIPS",
			records: slices.DeleteFunc(slices.Clone(example), func(r string) bool { return strings.Contains(r, "_sips") }),
			uri:     "sips:example.com", want: "tls 192.0.2.80:5061", asked: "A example.com,AAAA example.com,NAPTR example.com,SRV _sips._tcp.example.com"},
		{clause: "3263 4.1", name: "NAPTR: other services and flags are discarded", records: slices.Concat(both, []string{
			`h.example. 60 IN NAPTR 10 1 "u" "E2U+sip" "!^.*$!sip:a@b!" .`, `h.example. 60 IN NAPTR 11 1 "s" "SIP+D2S" "" _sip._sctp.h.example.`,
			`h.example. 60 IN NAPTR 12 1 "a" "SIP+D2U" "" a.example.`, `h.example. 60 IN NAPTR 13 1 "" "SIP+D2U" "" h.example.`,
			`h.example. 60 IN NAPTR 14 1 "s" "SIP+D2U" "!x!y!" .`, `h.example. 60 IN NAPTR 15 1 "s" "SIP+D2U" "" .`,
			`h.example. 60 IN NAPTR 16 1 "S" "sip+d2t" "" _sip._tcp.h.example.`}),
			uri: "sip:h.example", want: "tcp 192.0.2.4:5066"},
		{clause: "3263 4.1", name: "NAPTR: the replacement may be in another domain", records: slices.Concat(both, []string{
			`w.example. 60 IN NAPTR 1 1 "s" "SIP+D2U" "" _sip._udp.h.example.`}),
			uri: "sip:w.example", want: "udp 192.0.2.3:5065"},
		{clause: "3403 4.1", name: "NAPTR: the same order by preference, no higher order once one fits", records: slices.Concat(both, []string{
			`h.example. 60 IN NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp.h.example.`, `h.example. 60 IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.h.example.`,
			`h.example. 60 IN NAPTR 11 1 "s" "SIP+D2U" "" _other.h.example.`, `_other.h.example. 60 IN SRV 1 1 9 a.example.`}),
			uri: "sip:h.example", want: "tcp 192.0.2.4:5066, udp 192.0.2.3:5065"},
		{clause: "3403 4.1", name: "NAPTR: one that leads nowhere does not fit", records: slices.Concat(both, []string{
			`h.example. 60 IN NAPTR 10 20 "s" "SIP+D2U" "" nothing.h.example.`, `h.example. 60 IN NAPTR 20 10 "s" "SIP+D2T" "" _sip._tcp.h.example.`}),
			uri: "sip:h.example", want: "tcp 192.0.2.4:5066"},
		{clause: "3263 4.1", name: "no NAPTR: SRV of each transport that we have", records: both,
			uri: "sip:h.example", want: "udp 192.0.2.3:5065, tcp 192.0.2.4:5066",
			asked: "A a.example,A b.example,AAAA a.example,AAAA b.example,NAPTR h.example,SRV _sip._tcp.h.example,SRV _sip._udp.h.example"},
		{clause: "3263 4.1", name: "no NAPTR: a sip: URI is asked for as _sip only", records: both,
			uri: "sip:h.example", want: "udp 192.0.2.3:5065, tcp 192.0.2.4:5066"},
		{clause: "3263 4.1", name: "no NAPTR: a sips: URI as _sips", records: both,
			uri: "sips:h.example", want: "tls 192.0.2.4:5067"},
		{clause: "3263 4.1", name: "no NAPTR that applies is no NAPTR", usable: withoutTLS, records: slices.Concat(both, []string{
			`h.example. 60 IN NAPTR 11 1 "s" "SIPS+D2T" "" _sips._tcp.h.example.`}),
			uri: "sip:h.example", want: "udp 192.0.2.3:5065, tcp 192.0.2.4:5066"},
		{clause: "3263 4.1", name: "no SRV: UDP", records: address, uri: "sip:h.example", want: "udp 192.0.2.2:5060, udp [2001:db8::2]:5060"},
		{clause: "3263 4.1", name: "no SRV, sips: TLS", records: address, uri: "sips:h.example",
			want: "tls 192.0.2.2:5061, tls [2001:db8::2]:5061"},

		{clause: "3263 4.2", name: "numeric with a port", uri: "sip:a@192.0.2.2:5080", want: "udp 192.0.2.2:5080"},
		{clause: "3263 4.2", name: "numeric IPv6", uri: "sip:a@[2001:db8::2]:5080;transport=tcp", want: "tcp [2001:db8::2]:5080"},
		{clause: "3263 4.2", name: "numeric, the default port of the transport", uri: "sip:192.0.2.2;transport=tls", want: "tls 192.0.2.2:5061"},
		{clause: "3263 4.2", name: "transport given: SRV of that one", records: both, uri: "sip:h.example", transport: "udp", want: "udp 192.0.2.3:5065"},
		{clause: "3263 4.2", name: "transport given as TLS: _sips for a sip: URI", records: both,
			uri: "sip:h.example;transport=tls", want: "tls 192.0.2.4:5067", asked: "A b.example,AAAA b.example,SRV _sips._tcp.h.example"},
		{clause: "3263 4.2", name: "transport given, no SRV: addresses at its port", records: address,
			uri: "sip:h.example;transport=tls", want: "tls 192.0.2.2:5061, tls [2001:db8::2]:5061"},
		{clause: "3263 4.2", name: "transport and port given: no SRV", records: both,
			uri: "sip:h.example:5070;transport=tcp", want: "tcp 192.0.2.2:5070, tcp [2001:db8::2]:5070"},
		{clause: "3263 4.2", name: "NAPTR without its SRV: addresses, with its transport", records: slices.Concat(address, []string{
			`h.example. 60 IN NAPTR 11 1 "s" "SIP+D2T" "" _sip._tcp.h.example.`}),
			uri: "sip:h.example", want: "tcp 192.0.2.2:5060, tcp [2001:db8::2]:5060"},
		{clause: "3263 4.2", name: "a client that has TLS only", records: both, usable: []string{wire.TLS},
			uri: "sip:h.example", want: "tls 192.0.2.4:5067"},
		{clause: "2782", name: "by priority", records: []string{
			`_sip._udp.p.example. 60 IN SRV 20 0 5020 a.example.`, `_sip._udp.p.example. 60 IN SRV 10 0 5010 a.example.`,
			`_sip._udp.p.example. 60 IN SRV 30 9 5030 a.example.`, `a.example. 60 IN A 192.0.2.3`},
			uri: "sip:p.example", transport: "udp", want: "udp 192.0.2.3:5010, udp 192.0.2.3:5020, udp 192.0.2.3:5030"},
		{clause: "2782", name: "a target of . is the end of it", records: slices.Concat(address, []string{`_sip._udp.h.example. 60 IN SRV 0 0 0 .`}),
			uri: "sip:h.example", want: "no target: h.example has no server for SIP"},
		{clause: "2782", name: "a target of . for UDP leaves TCP", records: slices.Concat(address, []string{
			`_sip._udp.h.example. 60 IN SRV 0 0 0 .`, `_sip._tcp.h.example. 60 IN SRV 0 0 5060 h.example.`}),
			uri: "sip:h.example", want: "tcp 192.0.2.2:5060, tcp [2001:db8::2]:5060"},
		{clause: "2782", name: "servers without an address do not lead back to the name", records: slices.Concat(address, []string{
			`_sip._udp.h.example. 60 IN SRV 0 0 5060 gone.example.`}),
			uri: "sip:h.example", want: "no target: h.example has no server for SIP"},
		{clause: "2782", name: "two names of one host are one target", records: []string{
			`_sip._udp.p.example. 60 IN SRV 1 0 5060 a.example.`, `_sip._udp.p.example. 60 IN SRV 2 0 5060 b.example.`,
			`a.example. 60 IN A 192.0.2.3`, `b.example. 60 IN CNAME a.example.`},
			uri: "sip:p.example;transport=udp", want: "udp 192.0.2.3:5060"},
		{clause: "1034 3.6.2", name: "aliases on every step", records: []string{
			`alias.example. 60 IN CNAME h.example.`, `_sip._udp.alias.example. 60 IN CNAME srv.example.`, `srv.example. 60 IN SRV 1 1 5065 other.example.`,
			`other.example. 60 IN CNAME last.example.`, `last.example. 60 IN A 192.0.2.7`},
			uri: "sip:ALIAS.Example.", want: "udp 192.0.2.7:5065"},
		{clause: "3261 26.2.2", name: "sips over tcp is TLS over TCP", records: both,
			uri: "sips:h.example;transport=tcp", want: "tls 192.0.2.4:5067"},
		{clause: "3261 26.2.2", name: "sips without TLS", records: both, usable: withoutTLS, uri: "sips:h.example",
			want: `no target: "sips:h.example" asks for TLS, which is not supported`},
		{clause: "3261 26.2.2", name: "sips is never sent in the clear", records: both, uri: "sips:h.example", transport: "udp",
			want: `no target: "sips:h.example" asks for TLS over "udp", which is not supported`},
		{clause: "3261 19.1.1", name: "no URI", uri: "h.example", want: `no target: "h.example" is no sip: or sips: URI`},
		{clause: "3261 25.1", name: "no host name", uri: `sip:h\046example`, want: `no target: "sip:h\\046example" has no valid host`},
		{clause: "3261 25.1", name: "a host outside ASCII", uri: "sip:müller.example",
			want: `no target: "sip:müller.example" has a host outside ASCII: write it in its xn-- form`},
		{clause: "1035 2.3.4", name: "a name too long", uri: "sip:" + strings.Repeat("a.", 123) + "bc",
			want: `no target: "sip:` + strings.Repeat("a.", 123) + `bc" has no valid host`},
		{clause: "1034 4.3.1", name: "no such name", records: address, uri: "sip:no.example", want: "no target: there is no name no.example"},
		{clause: "1034 4.3.1", name: "a name without addresses", records: []string{`x.h.example. 60 IN TXT a`}, uri: "sip:h.example",
			want: "no target: h.example has no address"},
		{clause: "6761 6.3", name: "localhost", uri: "sip:localhost", want: "udp 127.0.0.1:5060, udp [::1]:5060"},
	} {
		t.Run(c.clause+" "+c.name, func(t *testing.T) {
			inNames(t, wire.LocatorOptions{Transports: c.usable}, c.records, func(l *locating) {
				l.want(c.uri, c.transport, c.want)
				if asked := l.server.Asked(); c.asked != "" {
					slices.Sort(asked)
					if got := strings.Join(asked, ","); got != c.asked {
						t.Errorf("asked %s\nwant  %s", got, c.asked)
					}
				}
			})
		})
	}
}

// RFC 6724: IPv6 before IPv4 where both can be reached.
func TestLocateFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := n.Nameserver("2001:db8::53", `h.example. 60 IN A 192.0.2.2`, `h.example. 60 IN AAAA 2001:db8::2`, `h.example. 60 IN AAAA 2001:db8::3`)
		defer server.Close()
		n.SetNameservers(time.Second, 1, server)
		l := &locating{wire.NewLocator(n.Host("2001:db8::1"), wire.LocatorOptions{}), t, n, server}
		l.want("sip:h.example:1", "", "udp [2001:db8::2]:1, udp [2001:db8::3]:1, udp 192.0.2.2:1")
	})
}

// The table of the machine stands before the DNS for addresses, and for them
// only.
func TestLocateHosts(t *testing.T) {
	inNames(t, wire.LocatorOptions{}, []string{`_sip._udp.h.example. 60 IN SRV 0 0 5065 a.example.`, `a.example. 60 IN A 192.0.2.3`}, func(l *locating) {
		l.net.Name("h.example", netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.6"))
		l.want("sip:h.example:5080", "", "udp 192.0.2.7:5080, udp 192.0.2.6:5080")
		l.want("sip:h.example", "", "udp 192.0.2.3:5065")
		l.net.Name("a.example", netip.MustParseAddr("192.0.2.8"))
		l.want("sip:h.example", "", "udp 192.0.2.8:5065")
		l.net.Name("lab", netip.MustParseAddr("192.0.2.5"))
		l.want("sip:lab", "", "udp 192.0.2.5:5060")
	})
	// A lab without DNS: the nameserver of the machine is out of reach.
	inNames(t, wire.LocatorOptions{}, nil, func(l *locating) {
		l.net.Name("lab.example", netip.MustParseAddr("192.0.2.5"))
		l.net.Cut(netip.MustParseAddr(nameserverHost), netip.MustParseAddr("192.0.2.1"))
		l.want("sip:lab.example", "", "udp 192.0.2.5:5060")
		l.want("sip:lab.example;transport=tcp", "", "tcp 192.0.2.5:5060")
	})
}

// otherMeans is a machine that has no nameservers to show.
type otherMeans struct{ *memnet.Host }

func (otherMeans) LookupHost(_ context.Context, name string) ([]netip.Addr, error) {
	switch name {
	case "h.example", "printer.local":
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.2")}, nil
	case "broken.example":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name}
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func TestLocateOtherMeans(t *testing.T) {
	n := memnet.New()
	l := &locating{wire.NewLocator(otherMeans{n.Host("192.0.2.1")}, wire.LocatorOptions{}), t, n, nil}
	l.want("sip:h.example", "", "udp 192.0.2.2:5060")
	l.want("sip:h.example;transport=tcp", "", "tcp 192.0.2.2:5060")
	l.want("sip:no.example", "", "no target: lookup no.example: no such host")
	l.want("sip:broken.example", "", "name lookup failed: lookup broken.example: server misbehaving")
	l.want("sip:printer.local", "", "udp 192.0.2.2:5060")

	inNames(t, wire.LocatorOptions{}, nil, func(l *locating) {
		l.Locator = wire.NewLocator(otherMeans{l.net.Host("192.0.2.1")}, wire.LocatorOptions{})
		l.want("sip:printer.local", "", "udp 192.0.2.2:5060")
		l.want("sip:h.example", "", "no target: there is no name h.example")
	})
}

// The System's own files are read without harm, whatever they hold.
func TestSystemNetwork(t *testing.T) {
	wire.System{}.Nameservers()
	if addrs := (wire.System{}).Hosts("no-such-name.invalid"); len(addrs) != 0 {
		t.Errorf("no-such-name.invalid is %v", addrs)
	}
	targets, err := wire.Locate(t.Context(), wire.System{}, "sip:127.0.0.1:5070", "tcp")
	if got := fmt.Sprint(targets, err); got != "[tcp 127.0.0.1:5070] <nil>" {
		t.Error(got)
	}
}
