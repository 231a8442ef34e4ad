package wire_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

// connect gives a flow from 192.0.2.1 to a server at 192.0.2.2.
func connect(t *testing.T, n *memnet.Net, transport string, server netip.AddrPort, ring *trace.Ring) *wire.Flow {
	t.Helper()
	stacks := wire.NewStacks(n.Host("192.0.2.1"), ring, nil, nil)
	t.Cleanup(stacks.Close)
	flow, err := stacks.Flow(t.Context(), wire.Target{Transport: transport, Addr: server}, netip.AddrPort{}, wire.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	return flow
}

// RFC 5626 8: whoever takes SIP over UDP answers a Binding request at the same
// port, with the address that it came from; none of it is a message of a trace.
func TestBindingIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := serve(t, n.Host("192.0.2.2"), wire.UDP, "<sip:a@b>")
		defer server.Close()
		ring := trace.NewRing(10)
		flow := connect(t, n, wire.UDP, server.Local(), ring)
		if mapped, err := flow.Binding(t.Context()); err != nil || mapped != flow.Local() {
			t.Errorf("seen as %s, %v; local %s", mapped, err, flow.Local())
		}
		if err := flow.SendCRLF(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := ring.Messages(); len(got) > 0 {
			t.Errorf("traced: %v", got)
		}
	})
}

// RFC 5389 7.2.1: sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, given up at
// 39.5 s; an answer after any of them ends it.
func TestBindingIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := serve(t, n.Host("192.0.2.2"), wire.UDP, "<sip:a@b>")
		defer server.Close()
		flow := connect(t, n, wire.UDP, server.Local(), nil)
		var sent []time.Duration
		ids := map[string]bool{}
		start := time.Now()
		n.Drop(func(p memnet.Packet) bool {
			sent = append(sent, time.Since(start))
			ids[string(p.Data)] = true
			return true
		})
		_, err := flow.Binding(t.Context())
		if took := time.Since(start); !errors.Is(err, wire.ErrTimeout) || took != 39500*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		want := []time.Duration{0, 500, 1500, 3500, 7500, 15500, 31500}
		for i, at := range want {
			if i >= len(sent) || sent[i] != at*time.Millisecond || len(sent) != len(want) {
				t.Fatalf("sent at %v", sent)
			}
		}
		if len(ids) != 1 {
			t.Errorf("%d different requests", len(ids)) // 6: resends have the same transaction id
		}
		lost := 0
		n.Drop(func(memnet.Packet) bool { lost++; return lost <= 5 })
		start = time.Now()
		if _, err := flow.Binding(t.Context()); err != nil || time.Since(start) != 15500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		n.Drop(func(memnet.Packet) bool { return true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := flow.Binding(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context's end gave %v", err)
		}
	})
}

// stunAnswer is an answer as bytes of the test's own: the kind, the id of the
// request, and 192.0.2.1:PORT behind the mask of RFC 5389 15.2.
func stunAnswer(kind byte, request []byte, port uint16) []byte {
	out := []byte{1, kind, 0, 12, 0x21, 0x12, 0xa4, 0x42}
	out = append(out, request[8:20]...)
	port ^= 0x2112
	return append(out, 0, 0x20, 0, 8, 0, 1, byte(port>>8), byte(port), 192^0x21, 0^0x12, 2^0xa4, 1^0x42)
}

// RFC 5389 7.3: an answer counts from where we asked, under the id that we chose.
func TestBindingTakesItsOwnAnswerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server, err := n.Host("192.0.2.2").ListenPacket(t.Context(), netip.MustParseAddrPort("192.0.2.2:5060"))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		stranger, err := n.Host("192.0.2.3").ListenPacket(t.Context(), netip.MustParseAddrPort("192.0.2.3:5060"))
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		go func() {
			buffer := make([]byte, 100)
			size, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			request := buffer[:size]
			stranger.WriteTo(stunAnswer(1, request, 1111), from)
			other := append([]byte(nil), request...)
			other[19] ^= 1
			server.WriteTo(stunAnswer(1, other, 2222), from)
			server.WriteTo(stunAnswer(2, request, 3333), from) // of another kind
			server.WriteTo([]byte("\x01\x01"), from)
			time.Sleep(100 * time.Millisecond)
			server.WriteTo(stunAnswer(1, request, 40112), from)
			server.WriteTo(stunAnswer(1, request, 4444), from) // too late
		}()
		flow := connect(t, n, wire.UDP, netip.MustParseAddrPort("192.0.2.2:5060"), nil)
		start := time.Now()
		mapped, err := flow.Binding(t.Context())
		if err != nil || mapped.String() != "192.0.2.1:40112" || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%s, %v after %v", mapped, err, time.Since(start))
		}
	})
}

// RFC 5626 3.5.1: a ping is answered by one CRLF, whether it comes alone, in
// pieces, or together with a message; and the pong is heard in any company.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(20*time.Millisecond, 0)
		server := serve(t, n.Host("192.0.2.2"), wire.TCP, "<sip:a@b>")
		defer server.Close()
		ring := trace.NewRing(10)
		flow := connect(t, n, wire.TCP, server.Local(), ring)
		for range 3 {
			start := time.Now()
			if err := flow.Ping(t.Context()); err != nil || time.Since(start) != 40*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		// Two that share the connection ping at once, and requests go meanwhile.
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if err := flow.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		if _, err := flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", 1)); err != nil {
			t.Error(err)
		}
		all.Wait()
		if err := flow.SendCRLF(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", 2)); err != nil {
			t.Error(err)
		}
		if got := len(ring.Messages()); got != 4 {
			t.Errorf("%d messages traced", got)
		}
	})
}

// Both sides may ping: what answers ours is no half of theirs.
func TestPingsOfBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		listener, err := n.Host("192.0.2.2").Listen(t.Context(), netip.MustParseAddrPort("192.0.2.2:5060"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		flow := connect(t, n, wire.TCP, netip.MustParseAddrPort("192.0.2.2:5060"), nil)
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		buffer := make([]byte, 100)
		read := func(want string) {
			t.Helper()
			time.Sleep(time.Second)
			if size, err := conn.Read(buffer); err != nil || string(buffer[:size]) != want {
				t.Fatalf("read %q, %v", buffer[:size], err)
			}
		}
		for range 3 {
			answered := make(chan error, 1)
			go func() { answered <- flow.Ping(t.Context()) }()
			read("\r\n\r\n")
			conn.Write([]byte("\r\n"))
			if err := <-answered; err != nil {
				t.Fatal(err)
			}
			conn.Write([]byte("\r\n\r\n"))
			read("\r\n")
		}
	})
}

func TestPingIsAnswered(t *testing.T) {
	options := strings.TrimPrefix(notify(1), "NOTIFY")
	options = "OPTIONS" + strings.ReplaceAll(options, "NOTIFY", "OPTIONS")
	for _, c := range []struct {
		name   string
		pieces []string
		pongs  int
	}{
		{"alone", []string{"\r\n\r\n"}, 1},
		{"in pieces", []string{"\r", "\n\r", "\n"}, 1},
		{"twice", []string{"\r\n\r\n", "\r\n\r\n"}, 2},
		{"twice at once", []string{"\r\n\r\n\r\n\r\n"}, 2},
		{"a lone CRLF is none", []string{"\r\n"}, 0},
		{"behind a message", []string{options + "\r\n\r\n"}, 1},
		{"before a message", []string{"\r\n\r\n" + options}, 1},
		{"halves around a message are none", []string{"\r\n" + options + "\r\n"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				server := serve(t, n.Host("192.0.2.2"), wire.TCP, "<sip:a@b>")
				defer server.Close()
				conn, err := n.Host("192.0.2.1").Dial(t.Context(), netip.AddrPort{}, server.Local())
				if err != nil {
					t.Fatal(err)
				}
				for _, piece := range c.pieces {
					conn.Write([]byte(piece))
					time.Sleep(time.Second)
				}
				go func() { time.Sleep(time.Second); conn.Close() }()
				var got []byte
				buffer := make([]byte, 4096)
				for {
					size, err := conn.Read(buffer)
					if got = append(got, buffer[:size]...); err != nil {
						break
					}
				}
				text := string(got)
				if i := strings.Index(text, "SIP/2.0 200"); i >= 0 { // the answer's own lines
					end := strings.Index(text[i:], "\r\n\r\n")
					text = text[:i] + text[i+end+4:]
				} else if strings.Contains(strings.Join(c.pieces, ""), "OPTIONS") {
					t.Errorf("the request was not answered: %q", got)
				}
				if text != strings.Repeat("\r\n", c.pongs) {
					t.Errorf("came back: %q", got)
				}
			})
		})
	}
}

// A peer that does not pong is told of after 10 s (RFC 5626 4.4.1); the
// connection is the caller's to end, and then says why.
func TestNoPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		listener, err := n.Host("192.0.2.2").Listen(t.Context(), netip.MustParseAddrPort("192.0.2.2:5060"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				io.Copy(io.Discard, conn)
			}
		}()
		flow := connect(t, n, wire.TCP, netip.MustParseAddrPort("192.0.2.2:5060"), nil)
		start := time.Now()
		if err := flow.Ping(t.Context()); !errors.Is(err, wire.ErrNoPong) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if flow.Err() != nil {
			t.Errorf("the flow is gone: %v", flow.Err())
		}
		time.AfterFunc(time.Second, func() { flow.Fail(wire.ErrNoPong) })
		if err := flow.Ping(t.Context()); !errors.Is(err, wire.ErrTransport) || !errors.Is(flow.Err(), wire.ErrNoPong) {
			t.Errorf("%v, and the flow says %v", err, flow.Err())
		}
		if _, err := flow.Binding(t.Context()); err == nil {
			t.Error("STUN over a connection") // RFC 5626 4.4.2
		}
	})
}

// A peer that reads nothing, so that nothing more can be written, has 10 s too.
func TestNoPongFromWhoReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		ours, theirs := net.Pipe()
		stacks := wire.NewStacks(piped{n.Host("192.0.2.1"), ours}, nil, nil, nil)
		defer theirs.Close()
		defer stacks.Close()
		flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TCP, Addr: netip.MustParseAddrPort("192.0.2.2:5060")}, netip.AddrPort{}, wire.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := flow.Ping(t.Context()); !errors.Is(err, wire.ErrNoPong) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// piped is a network whose one connection is a pipe: it takes what is read.
type piped struct {
	*memnet.Host
	conn net.Conn
}

func (p piped) Dial(_ context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	return pipeEnd{p.conn, netip.AddrPortFrom(p.Addr(), 40000), remote}, nil
}

type pipeEnd struct {
	net.Conn
	local, remote netip.AddrPort
}

func (p pipeEnd) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(p.local) }
func (p pipeEnd) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.remote) }
