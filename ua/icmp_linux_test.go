package ua_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// closedPort is a UDP port of the loopback that nobody listens at.
func closedPort(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	socket, err := wire.System{}.ListenPacket(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(address), 0))
	if err != nil {
		t.Skipf("no loopback %s: %v", address, err)
	}
	defer socket.Close()
	return netip.MustParseAddrPort(socket.LocalAddr().String())
}

// A refused UDP port is told at once. It is a hint and no more, since anybody can
// forge an ICMP message (RFC 5927): the REGISTER is sent again, and whoever comes
// to listen meanwhile gets it. Other accounts that share the socket, and send to
// other places, are told nothing.
func TestRefusedPortIsAHint(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			closed := closedPort(t, address)
			silent, err := wire.System{}.ListenPacket(t.Context(), netip.AddrPortFrom(closed.Addr(), 0))
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			account := func(user, registrar string) ua.Account {
				return ua.Account{AOR: "sip:" + user + "@example.com", Registrar: "sip:" + registrar, Transport: "udp", Watch: ua.WatchOff}
			}
			g := ua.NewGroup(ua.Options{Network: wire.System{}})
			if err := g.Start(account("alice", closed.String()), account("bob", silent.LocalAddr().String())); err != nil {
				t.Fatal(err)
			}
			r := &run{Group: g, lab: &lab{t: t}}
			hint := "port unreachable (ICMP) from " + address
			events := r.collect(func(e ua.Event) bool { return strings.Contains(e.Summary, hint) })
			told := events[len(events)-1]
			if d, ok := told.Detail.(ua.RegistrationDetail); !ok || d.State != ua.Registering || d.Reason != hint || told.Account != "alice" {
				t.Errorf("told as %+v", told)
			}
			var s *scripted
			for update := range g.Watch(t.Context(), 0) {
				for _, state := range update.Snapshots {
					if state.Account == "alice" && state.Registration.Slow == hint && s == nil {
						s = newScripted(t, wire.System{}, wire.UDP, closed)
					}
				}
				if s != nil {
					break
				}
			}
			s.acceptRegister()
			for _, e := range r.collect(func(e ua.Event) bool {
				d, ok := e.Detail.(ua.RegistrationDetail)
				return ok && d.State == ua.Registered
			}) {
				d, _ := e.Detail.(ua.RegistrationDetail)
				if d.State == ua.Retrying || e.Account == "bob" && strings.Contains(e.Summary, "ICMP") {
					t.Errorf("%s: %s", e.Account, e.Summary)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			g.Close(ctx, true)
		})
	}
}
