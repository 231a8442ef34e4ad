package wire_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"regwatch/internal/wire"
)

// The kernel gives the error of one datagram to the next call on its socket,
// whatever that is about. No request ends by the ICMP messages about another, nor
// by those about itself, and each of these is told with where it was sent to.
func TestICMPEndsNoRequest(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	server, err := wire.OpenStack(t.Context(), wire.Options{Transport: wire.UDP, Local: loopback, Listen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.Attach("", func(in *wire.Incoming) { in.Respond(wire.Answer{Status: 200, Reason: "OK"}) })
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	closed := netip.MustParseAddrPort(gone.LocalAddr().String())

	client, err := wire.OpenStack(t.Context(), wire.Options{Transport: wire.UDP, Local: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var heard atomic.Int32
	client.Attach("me", func(*wire.Incoming) {}).OnUnreachable(func(u wire.Unreachable) {
		heard.Add(1)
		if u.Remote != closed || u.String() != "port unreachable (ICMP) from 127.0.0.1" {
			t.Errorf("told %q of %s", u, u.Remote)
		}
	})
	alive, _ := client.Connect(t.Context(), server.Local())
	dead, _ := client.Connect(t.Context(), closed)
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := dead.Do(ctx, request("OPTIONS", closed.String(), i))
			ended <- err
		}()
		dead.SendCRLF()
		if _, err := alive.Do(t.Context(), request("OPTIONS", server.Local().String(), i)); err != nil {
			t.Errorf("request %d to the server that is there: %v", i, err)
		}
		select {
		case err := <-ended:
			t.Errorf("request %d to the one that is not: %v", i, err)
		default:
		}
		cancel()
	}
	if heard.Load() == 0 {
		t.Error("no ICMP message was told")
	}
}
