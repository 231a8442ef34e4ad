package wire_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

func request(method, target string, cseq int) *wire.Request {
	return &wire.Request{Method: method, URI: "sip:" + target, Headers: wire.Headers{
		{Name: "From", Value: "<sip:a@example.com>;tag=1"}, {Name: "To", Value: `"x \"y, z\"" <sip:b@example.com>`},
		{Name: "Call-ID", Value: "c@1"}, {Name: "CSeq", Value: fmt.Sprintf("%d %s", cseq, method)},
	}}
}

// serve opens a stack that answers 200 to everything, its own Contact with it.
func serve(t *testing.T, network wire.Network, transport string, contact string) *wire.Stack {
	t.Helper()
	stack, err := wire.OpenStack(t.Context(), wire.Options{
		Network: network, Transport: transport, Local: netip.MustParseAddrPort("192.0.2.2:5060"), Listen: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	stack.Attach("", func(in *wire.Incoming) {
		in.Respond(wire.Answer{Status: 200, Reason: "OK", Headers: wire.Headers{{Name: "Contact", Value: contact}}})
	})
	return stack
}

func TestRequestAndAnswer(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				n.SetDelay(20*time.Millisecond, 0)
				// The shape of RFC 5627's own REGISTER answer: ";" and "=" within quotes.
				contact := `<sip:a@192.0.2.1>;pub-gruu="sip:a@example.com;gr=urn:uuid:f8";temp-gruu="sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr";expires=600`
				server := serve(t, n.Host("192.0.2.2"), transport, contact)
				defer server.Close()
				ring := trace.NewRing(10)
				stacks := wire.NewStacks(n.Host("192.0.2.1"), ring, nil, nil)
				defer stacks.Close()
				flow, err := stacks.Flow(t.Context(), wire.Target{Transport: transport, Addr: server.Local()}, netip.AddrPort{}, wire.Peer{})
				if err != nil {
					t.Fatal(err)
				}
				response, err := flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 1))
				if err != nil {
					t.Fatal(err)
				}
				list, _ := response.Headers.ParseNameAddrs("Contact")
				if len(list) != 1 {
					t.Fatalf("contacts: %v", response.Headers)
				}
				p := list[0].Params
				if got := p.Get("pub-gruu"); got != "sip:a@example.com;gr=urn:uuid:f8" {
					t.Errorf("pub-gruu %q", got)
				}
				if got := p.Get("temp-gruu"); got != "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr" {
					t.Errorf("temp-gruu %q", got)
				}
				if seen, ok := response.SeenAs(); !ok || seen != flow.Local() {
					t.Errorf("seen as %v, %v; local %v", seen, ok, flow.Local())
				}
				if got := response.Headers.Get("To"); !strings.HasPrefix(got, `"x \"y, z\"" <sip:b@example.com>;tag=`) {
					t.Errorf("To came back as %s", got)
				}
				if got := len(ring.Messages()); got != 2 {
					t.Errorf("%d messages traced", got)
				}
			})
		})
	}
}

// RFC 3261 17.1.2.2: over UDP a lost request is sent again, and one that nobody
// answers fails after 64*T1.
func TestLossAndTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := serve(t, n.Host("192.0.2.2"), wire.UDP, "<sip:a@b>")
		defer server.Close()
		stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
		defer stacks.Close()
		flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.UDP, Addr: server.Local()}, netip.AddrPort{}, wire.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		lost := 0
		n.Drop(func(memnet.Packet) bool { lost++; return lost <= 3 })
		start := time.Now()
		if _, err := flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 1)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3500*time.Millisecond {
			t.Errorf("three losses took %v", took)
		}
		n.Drop(func(memnet.Packet) bool { return true })
		start = time.Now()
		_, err = flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 2))
		if took := time.Since(start); err == nil || took != 32*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// Two requests back to back are delivered in the order in which they came off
// the wire, each time; sipgo alone swaps most of them.
func TestWireOrder(t *testing.T) {
	const pairs = 1000
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			n := memnet.New()
			stack, err := wire.OpenStack(t.Context(), wire.Options{
				Network: n.Host("192.0.2.1"), Transport: transport, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Listen: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stack.Close()
			got := make(chan uint32, 2*pairs)
			stack.Attach("me", func(in *wire.Incoming) {
				number, _, _ := in.Headers.CSeq()
				got <- number
				in.Respond(wire.Answer{Status: 200, Reason: "OK"})
			})
			send := rawSender(t, n.Host("192.0.2.2"), transport, stack.Local())
			for i := range uint32(pairs) {
				send(notify(2*i + 1))
				send(notify(2*i + 2))
				if a, b := <-got, <-got; a != 2*i+1 || b != 2*i+2 {
					t.Fatalf("pair %d came as %d, %d", i, a, b)
				}
			}
		})
	}
}

func notify(cseq uint32) string {
	return strings.ReplaceAll(fmt.Sprintf(`NOTIFY sip:me@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK%d
From: <sip:a@example.com>;tag=1
To: <sip:me@example.com>;tag=2
Call-ID: c@1
CSeq: %d NOTIFY
Content-Length: 0

`, cseq, cseq), "\n", "\r\n")
}

// rawSender writes messages as they are, and swallows what comes back.
func rawSender(t *testing.T, host *memnet.Host, transport string, to netip.AddrPort) func(string) {
	t.Helper()
	from := netip.AddrPortFrom(host.Addr(), 5060)
	if transport == wire.UDP {
		socket, err := host.ListenPacket(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		return func(message string) { socket.WriteTo([]byte(message), net.UDPAddrFromAddrPort(to)) }
	}
	conn, err := host.Dial(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func(message string) { conn.Write([]byte(message)) }
}

// A request on a connection that breaks fails at the break, and the next one
// goes over a new connection.
func TestConnectionBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := n.Host("192.0.2.1"), n.Host("192.0.2.2")
		silent, err := wire.OpenStack(t.Context(), wire.Options{Network: server, Transport: wire.TCP, Local: netip.MustParseAddrPort("192.0.2.2:5060"), Listen: true})
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		answered := false
		silent.Attach("", func(in *wire.Incoming) {
			if answered {
				in.Respond(wire.Answer{Status: 200, Reason: "OK"})
			}
		})
		stacks := wire.NewStacks(client, nil, nil, nil)
		defer stacks.Close()
		target := wire.Target{Transport: wire.TCP, Addr: silent.Local()}
		flow, err := stacks.Flow(t.Context(), target, netip.AddrPort{}, wire.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(3*time.Second, func() { n.Reset(client.Addr(), server.Addr()) })
		start := time.Now()
		_, err = flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 1))
		if took := time.Since(start); !errors.Is(err, wire.ErrTransport) || took != 3*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		answered = true
		next, err := stacks.Flow(t.Context(), target, netip.AddrPort{}, wire.Peer{})
		if err != nil || next == flow {
			t.Fatalf("the broken flow was given again: %v", err)
		}
		if _, err := next.Do(t.Context(), request("REGISTER", "192.0.2.2", 2)); err != nil {
			t.Error(err)
		}
	})
}
