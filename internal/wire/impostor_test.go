package wire_test

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

var (
	datagrams   = flag.Int("datagrams", 5_000, "datagrams of TestCrowdOfStrangers")
	connections = flag.Int("connections", 2_000, "connections of TestManyConnections")
)

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// phone is a stack as an account has it, its flow to a server, and what it was told
// was not taken.
func phone(t *testing.T, n *memnet.Net, ring *trace.Ring, transport string, server netip.AddrPort) (*wire.Flow, chan wire.Stray) {
	t.Helper()
	flow := connect(t, n, transport, server, ring)
	strays := make(chan wire.Stray, 1000)
	box := flow.Stack().Attach("me", func(in *wire.Incoming) { in.Respond(wire.Answer{Status: 200, Reason: "OK"}) })
	box.OnStray(func(s wire.Stray) { strays <- s })
	return flow, strays
}

// RFC 3581 4: an answer comes from where its request went to. One from another
// address or port is in the trace, is told, and neither ends the request nor stops
// its retransmissions.
func TestAnswerFromElsewhere(t *testing.T) {
	server := netip.MustParseAddrPort("192.0.2.2:5060")
	for _, impostor := range []string{"192.0.2.3:5060", "192.0.2.2:5061"} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			at := netip.MustParseAddrPort(impostor)
			liar, err := n.Host(at.Addr().String()).ListenPacket(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			defer liar.Close()
			honest, err := n.Host("192.0.2.2").ListenPacket(t.Context(), server)
			if err != nil {
				t.Fatal(err)
			}
			defer honest.Close()
			go func() { // the impostor answers at once, the server what comes third
				buffer := make([]byte, 65535)
				for seen := 1; ; seen++ {
					size, from, err := honest.ReadFrom(buffer)
					if err != nil {
						return
					}
					_, fields, _ := strings.Cut(string(buffer[:size]), "\r\n")
					liar.WriteTo([]byte("SIP/2.0 403 Forbidden\r\n"+fields), from)
					if seen == 3 {
						honest.WriteTo([]byte("SIP/2.0 200 OK\r\n"+fields), from)
					}
				}
			}()
			ring := trace.NewRing(100)
			flow, strays := phone(t, n, ring, wire.UDP, server)
			answer, err := flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 1))
			if err != nil || answer.Status != 200 {
				t.Fatalf("%s: %v, %v", impostor, answer, err)
			}
			if len(strays) != 3 {
				t.Errorf("%d were told", len(strays))
			} else if s := <-strays; s.What != wire.StrayAnswer || s.Remote != at {
				t.Errorf("told of %+v", s)
			}
			forged := 0
			for _, m := range ring.Messages() {
				if strings.HasPrefix(string(m.Raw), "SIP/2.0 403") && m.Remote == at {
					forged++
				}
			}
			if forged != 3 {
				t.Errorf("%d in the trace", forged)
			}
		})
	}
}

// Datagrams from as many ports cost no memory that stays, and few are read; the
// server goes on to be heard.
func TestCrowdOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		delivered := 0
		server, err := wire.OpenStack(t.Context(), wire.Options{Network: n.Host("192.0.2.2"), Transport: wire.UDP, Local: netip.MustParseAddrPort("192.0.2.2:5060")})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		server.Attach("", func(in *wire.Incoming) { in.Respond(wire.Answer{Status: 200, Reason: "OK"}) })
		ring := trace.NewRing(100)
		flow := connect(t, n, wire.UDP, server.Local(), ring)
		told := 0
		box := flow.Stack().Attach("me", func(in *wire.Incoming) {
			delivered++
			in.Respond(wire.Answer{Status: 200, Reason: "OK"})
		})
		box.OnStray(func(s wire.Stray) {
			if s.What == wire.StrayCrowd {
				told++
			}
		})
		if _, err := flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", 1)); err != nil {
			t.Fatal(err)
		}
		before := heap()
		for i := range *datagrams {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i / 60_000)}), uint16(1024+i%60_000))
			socket, err := n.Host(from.Addr().String()).ListenPacket(t.Context(), from)
			if err != nil {
				t.Fatal(err)
			}
			socket.WriteTo(fmt.Appendf(nil, "OPTIONS sip:me@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\n"+
				"To: <sip:a@b>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", from, i, i), net.UDPAddrFromAddrPort(flow.Local()))
			socket.Close()
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		during := heap() - before
		if delivered == 0 || delivered > 1024 || told != 1 {
			t.Errorf("of %d datagrams %d were read, told %d times", *datagrams, delivered, told)
		}
		if _, err := flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", 2)); err != nil {
			t.Errorf("the server is not heard: %v", err)
		}
		time.Sleep(2 * time.Minute)
		after := heap() - before
		t.Logf("%d datagrams from as many ports: %d read, %d kB more in use at the end, %d kB two minutes later", *datagrams, delivered, during>>10, after>>10)
		if during > 32<<20 || after > 4<<20 {
			t.Errorf("%d kB, later %d kB", during>>10, after>>10)
		}
	})
}

// A server hears as many as come: sipgo's notes of them are bounded all the same,
// and each is answered.
func TestManyPeersOverUDP(t *testing.T) {
	const peers = 2_500
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		stack, err := wire.OpenStack(t.Context(), wire.Options{Network: n.Host("192.0.2.1"), Transport: wire.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060")})
		if err != nil {
			t.Fatal(err)
		}
		defer stack.Close()
		stack.Attach("", func(in *wire.Incoming) { in.Respond(wire.Answer{Status: 200, Reason: "OK"}) })
		answered := 0
		for i := range peers {
			from := netip.MustParseAddrPort(fmt.Sprint("203.0.113.9:", 1024+i))
			socket, err := n.Host("203.0.113.9").ListenPacket(t.Context(), from)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(writer{socket, stack.Local()}, strings.Replace(notify(uint32(i)), "192.0.2.2:5060", from.String(), 1))
			synctest.Wait()
			got := make(chan bool, 1)
			go func() {
				size, _, err := socket.ReadFrom(make([]byte, 65535))
				got <- err == nil && size > 0
			}()
			synctest.Wait()
			socket.Close()
			if <-got {
				answered++
			}
		}
		if answered != peers {
			t.Errorf("%d of %d were answered", answered, peers)
		}
		if size := wire.PoolSize(stack); size > 2200 {
			t.Errorf("sipgo keeps %d peers", size)
		}
	})
}

type writer struct {
	net.PacketConn
	to netip.AddrPort
}

func (w writer) Write(b []byte) (int, error) { return w.WriteTo(b, net.UDPAddrFromAddrPort(w.to)) }

// Of connections that others make no more than 1024 are held.
func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		stack, err := wire.OpenStack(t.Context(), wire.Options{
			Network: n.Host("192.0.2.1"), Transport: wire.TCP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Listen: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stack.Close()
		before := heap()
		var open atomic.Int64
		for range *connections {
			conn, err := n.Host("203.0.113.9").Dial(t.Context(), netip.AddrPort{}, stack.Local())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			open.Add(1)
			go func() {
				io.Copy(io.Discard, conn)
				open.Add(-1)
			}()
			synctest.Wait()
		}
		used := heap() - before
		t.Logf("%d connections: %d held, %d kB more in use", *connections, open.Load(), used>>10)
		if open.Load() != 1024 || used > 256<<20 {
			t.Errorf("of %d connections %d are held, %d kB", *connections, open.Load(), used>>10)
		}
	})
}

// A peer that sends a message a byte a second has 32 s for it; one that stops in
// the midst of it as well. Who sends whole ones, however slowly one behind the
// other, stays.
func TestByteASecond(t *testing.T) {
	for name, c := range map[string]struct {
		send  func(net.Conn, string)
		stays bool
	}{
		"a byte a second": {func(conn net.Conn, message string) {
			for i := range len(message) {
				if _, err := conn.Write([]byte(message[i : i+1])); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, false},
		"half of it": {func(conn net.Conn, message string) { conn.Write([]byte(message[:len(message)/2])) }, false},
		"a message a minute": {func(conn net.Conn, message string) {
			for range 3 {
				conn.Write([]byte(message[:10]))
				time.Sleep(20 * time.Second)
				conn.Write([]byte(message[10:]))
				time.Sleep(time.Minute)
			}
		}, true},
		"nothing": {func(net.Conn, string) {}, true}, // the keep-alive finds that
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				server := netip.MustParseAddrPort("192.0.2.2:5060")
				listener, err := n.Host("192.0.2.2").Listen(t.Context(), server)
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				go func() {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go io.Copy(io.Discard, conn)
					c.send(conn, notify(1))
				}()
				flow, _ := phone(t, n, nil, wire.TCP, server)
				begun := time.Now()
				select {
				case <-flow.Done():
					if c.stays || time.Since(begun) > 40*time.Second || !strings.Contains(flow.Err().Error(), "not whole within 32s") {
						t.Errorf("it ends after %v: %v", time.Since(begun), flow.Err())
					}
				case <-time.After(10 * time.Minute):
					if !c.stays {
						t.Error("it is still there")
					}
				}
				time.Sleep(10 * time.Minute) // the peer ends
			})
		})
	}
}

// RFC 3261 18.2.2: an answer goes back to where its request came from. A name or
// address in a Via is never asked for or connected to, also where the sender is
// gone, and what has no Via gets no answer at all.
func TestViaIsNotFollowed(t *testing.T) {
	for _, via := range []string{"Via: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK1\r\n", "Via: SIP/2.0/UDP evil.example;branch=z9hG4bK1\r\n", ""} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			evil := 0
			n.Drop(func(p memnet.Packet) bool {
				if p.To.Addr() != netip.MustParseAddr("192.0.2.1") && p.To.Addr() != netip.MustParseAddr("203.0.113.9") {
					evil++
				}
				return false
			})
			ring := trace.NewRing(10)
			flow, _ := phone(t, n, ring, wire.UDP, netip.MustParseAddrPort("192.0.2.2:5060"))
			send := rawSender(t, n.Host("203.0.113.9"), wire.UDP, flow.Local())
			for _, first := range []string{"OPTIONS sip:me@192.0.2.1 SIP/2.0", "OPTIONS sip:me@192.0.2.1 SIP/7.0"} {
				for _, cseq := range []string{"CSeq: 1 OPTIONS\r\n", ""} {
					send(first + "\r\n" + via + "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n" + cseq + "Content-Length: 0\r\n\r\n")
					time.Sleep(time.Minute)
				}
			}
			if evil > 0 {
				t.Errorf("%q: %d datagrams went elsewhere", via, evil)
			}
			for _, m := range ring.Messages() {
				if m.Direction == trace.Sent && (via == "" || m.Remote.Addr() != netip.MustParseAddr("203.0.113.9") || !strings.HasPrefix(string(m.Raw), "SIP/2.0 ")) {
					t.Errorf("%q is answered to %s\n%s", via, m.Remote, m.Raw)
				}
			}
		})
	}
}
