package ua_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"

	"regwatch/internal/interop"
	"regwatch/internal/testcert"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// A whole agent on the machine's own sockets, over both families: it registers with credentials, is kicked, and names
// itself as RFC 3261 25.1 and RFC 5118 4.5 have it: an IPv6 address stands in brackets, in Via as in Contact.
func TestRealSockets(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP, wire.TLS} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			t.Run(transport+"/"+host, func(t *testing.T) {
				t.Parallel()
				address := netip.MustParseAddr(host)
				if address.Is6() {
					interop.NeedIPv6(t)
				}
				authority := testcert.NewAuthority(t, "lab CA")
				// RFC 5922 7.1, RFC 5280 4.2.1.6: an address has to be there as one.
				pair := authority.Issue(func(c *x509.Certificate) { c.IPAddresses = []net.IP{address.AsSlice()} })
				server, err := registrar.Start(t.Context(), registrar.Options{
					Listen: []registrar.Listen{{Transport: transport, Addr: netip.AddrPortFrom(address, 0)}}, Users: users,
					TLS: &tls.Config{Certificates: []tls.Certificate{pair}},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer server.Close()
				at := server.Addr(transport)
				a := account()
				a.AOR, a.Transport = "sip:alice@"+at.String(), transport
				a.TLS.CAFile = authority.File()
				ring := trace.NewRing(1000)
				r := &run{Group: ua.NewGroup(ua.Options{Trace: ring}), lab: &lab{t: t}}
				if err := r.Start(a); err != nil {
					t.Fatal(err)
				}
				r.collect(isOwn("registered"))
				if err := server.Deactivate("alice", ""); err != nil {
					t.Fatal(err)
				}
				r.collect(isOwn("deactivated"))
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				r.Close(ctx, true)

				kinds := map[string]bool{}
				for _, m := range ring.Messages() {
					method, _, _ := strings.Cut(m.StartLine(), " ")
					kinds[string(m.Direction)+" "+method] = true
					if m.Local.Addr() != address || m.Remote != at {
						t.Errorf("%s went between %v and %v", m.StartLine(), m.Local, m.Remote)
					}
					if m.Direction != trace.Sent || method == "SIP/2.0" {
						continue
					}
					if via := "SIP/2.0/" + strings.ToUpper(transport) + " " + m.Local.String() + ";"; !strings.HasPrefix(m.Header("Via", "v"), via) {
						t.Errorf("%s with Via %s, want %s", method, m.Header("Via", "v"), via)
					}
					if contact := "@" + m.Local.String(); !strings.Contains(m.Header("Contact", "m"), contact) {
						t.Errorf("%s with Contact %s, want %s", method, m.Header("Contact", "m"), contact)
					}
				}
				for _, kind := range []string{"sent REGISTER", "sent SUBSCRIBE", "received NOTIFY", "sent SIP/2.0"} {
					if !kinds[kind] {
						t.Errorf("nothing %s in %v", kind, kinds)
					}
				}
			})
		}
	}
}

// isOwn finds an event of our own contact.
func isOwn(event string) func(ua.Event) bool {
	return func(e ua.Event) bool {
		d, ok := e.Detail.(ua.ContactDetail)
		return ok && d.Own && string(d.Event) == event
	}
}
