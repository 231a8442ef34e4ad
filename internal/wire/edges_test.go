package wire_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

// RFC 3261 25.1: EQUAL and COMMA may have white space around them, and LWS may
// be a tab.
func TestChallengeWithBlanks(t *testing.T) {
	for _, value := range []string{
		`Digest realm="r", nonce = "n", qop = "auth"`,
		`Digest realm = "r" , nonce="n"`,
		"Digest\trealm=\"r\",\tnonce=\"n\"",
		`digest nonce="n",realm="r"`,
		`Basic realm="x", Digest realm="r", nonce="n"`,
		`Negotiate, Digest realm="r", nonce="n"`,
	} {
		c := wire.Credentials{Username: "a", Password: "b"}
		_, err := c.Learn(&wire.Response{Status: 401, Headers: wire.Headers{{Name: "WWW-Authenticate", Value: value}}})
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		r := &wire.Request{Method: "REGISTER", URI: "sip:x"}
		if err := c.Sign(r); err != nil {
			t.Errorf("%s: %v", value, err)
		}
		if got := r.Headers.Get("Authorization"); !strings.Contains(got, `nonce="n"`) || !strings.Contains(got, `realm="r"`) {
			t.Errorf("%s: %s", value, got)
		}
	}
}

// RFC 7616 3.4: the digest-uri is the Request-URI, and a registrar may compare
// them letter by letter. What goes out must be what was signed.
func TestRequestURIAsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		server := serve(t, n.Host("192.0.2.2"), wire.UDP, "<sip:a@b>")
		defer server.Close()
		ring := trace.NewRing(100)
		flow := connect(t, n, wire.UDP, server.Local(), ring)
		cseq := 1
		for _, uri := range []string{
			"sip:example.com", "sip:example.com;transport=tcp", "sip:a@b;lr;x=1", "sip:a:secret@b", "SIP:a@B", "sip:a@b;x", "sip:a@b?h=1&i=2",
			"sip:a%20b@c;d=%22", "sip:a@[2001:db8::1]:5060;ob", "sip:a;b=c@d", "tel:+1-555", "sip:a@b:5060", "sip:a@b;alias=1~2~3", "sip:a:b:c@d",
		} {
			r := request("OPTIONS", "x", cseq)
			cseq++
			r.URI = uri
			before := len(ring.Messages())
			if _, err := flow.Do(t.Context(), r); err != nil {
				t.Logf("%s: %v", uri, err)
			}
			if list := ring.Messages(); len(list) > before {
				line, _, _ := strings.Cut(string(list[before].Raw), "\r\n")
				if line != "OPTIONS "+uri+" SIP/2.0" {
					t.Errorf("%s went out as %s", uri, line)
				}
			}
		}
	})
}

// A connection may break in the very moment in which a request takes it. That
// fails the request; sipgo's own ending of its transactions at a lost connection
// calls a state machine that has no state yet, on a goroutine of its own, where a
// panic ends the program.
func TestConnectionBreaksAsRequestBegins(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			server := serve(t, n.Host("192.0.2.2"), wire.TCP, "<sip:a@b>")
			defer server.Close()
			stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
			defer stacks.Close()
			flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TCP, Addr: server.Local()}, netip.AddrPort{}, wire.Peer{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				go flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", i))
			}
			go flow.Close()
			synctest.Wait()
		})
	}
}

// Of accounts that connect to one target at once some get a connection that
// another has just made: their requests go over it all the same.
func TestConnectingTogether(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			server := serve(t, n.Host("192.0.2.2"), wire.TCP, "<sip:a@b>")
			defer server.Close()
			stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
			defer stacks.Close()
			var all sync.WaitGroup
			for i := range 4 {
				all.Go(func() {
					flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TCP, Addr: server.Local()}, netip.AddrPort{}, wire.Peer{})
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", i+1)); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
	}
}

// RFC 3261 17.2.2: copies of one request that come at once are one request, which
// is delivered once and answered. sipgo's handler may get hold of any of them.
func TestCopiesAtOnce(t *testing.T) {
	const requests, copies = 200, 6
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		stack, err := wire.OpenStack(t.Context(), wire.Options{
			Network: n.Host("192.0.2.1"), Transport: wire.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stack.Close()
		delivered := 0
		stack.Attach("me", func(in *wire.Incoming) {
			delivered++
			in.Respond(wire.Answer{Status: 200, Reason: "OK"})
		})
		socket, err := n.Host("192.0.2.2").ListenPacket(t.Context(), netip.MustParseAddrPort("192.0.2.2:5060"))
		if err != nil {
			t.Fatal(err)
		}
		answered := make(map[string]bool) // by CSeq
		var done sync.WaitGroup
		done.Go(func() {
			for buffer := make([]byte, 65535); ; {
				size, _, err := socket.ReadFrom(buffer)
				if err != nil {
					return
				}
				_, after, _ := strings.Cut(string(buffer[:size]), "\r\nCSeq: ")
				cseq, _, _ := strings.Cut(after, "\r\n")
				answered[cseq] = true
			}
		})
		for i := range uint32(requests) {
			for range copies {
				socket.WriteTo([]byte(notify(i)), net.UDPAddrFromAddrPort(stack.Local()))
			}
			synctest.Wait()
		}
		socket.Close()
		done.Wait()
		if delivered != requests || len(answered) != requests {
			t.Errorf("of %d requests %d were delivered, %d answered", requests, delivered, len(answered))
		}
	})
}

// RFC 3261 17.1.2.2: the first final answer on the wire is the answer, also
// where another comes behind it, as Kamailio's script does with a 423 and a 500,
// or where the connection ends in the same breath.
func TestFirstAnswerCounts(t *testing.T) {
	for range 100 {
		for _, c := range []struct {
			answers []string
			ends    bool
		}{{[]string{"423 Interval Too Brief", "500 Server Error"}, false}, {[]string{"423 Interval Too Brief"}, true}} {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				listener, err := n.Host("192.0.2.2").Listen(t.Context(), netip.MustParseAddrPort("192.0.2.2:5060"))
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				go func() {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					got := make([]byte, 4096)
					size, _ := conn.Read(got)
					head, _, _ := strings.Cut(string(got[:size]), "\r\n\r\n")
					_, fields, _ := strings.Cut(head, "\r\n")
					for _, status := range c.answers {
						fmt.Fprintf(conn, "SIP/2.0 %s\r\n%s\r\n\r\n", status, fields)
					}
					if !c.ends {
						conn.Read(got)
					}
				}()
				stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
				defer stacks.Close()
				target := wire.Target{Transport: wire.TCP, Addr: netip.MustParseAddrPort("192.0.2.2:5060")}
				flow, err := stacks.Flow(t.Context(), target, netip.AddrPort{}, wire.Peer{})
				if err != nil {
					t.Fatal(err)
				}
				if answer, err := flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 1)); err != nil || answer.Status != 423 {
					t.Errorf("%v: %v, %v", c.answers, answer, err)
				}
			})
		}
	}
}

// RFC 3261 25.1 allows white space around the separators of a Via, RFC 4475
// 3.1.1.1 tortures with it, and 17.2.3 tells requests apart whose branch does not:
// each NOTIFY is delivered once, and its answer finds back.
func TestViaAsOthersWriteIt(t *testing.T) {
	for _, via := range []string{
		"Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-%d",
		"v: SIP/2.0/UDP 192.0.2.2:5060\r\n ;branch=z9hG4bK-%d",
		"Via: SIP  / 2.0\r\n /UDP\r\n    192.0.2.2 : 5060\t; branch = z9hG4bK-%d;\r\n rport",
		"Via: SIP/2.0/UDP 192.0.2.2 ;branch=z9hG4bK-%d , SIP / 2.0 / UDP [2001:db8::1] : 5070 ; branch=z9hG4bKabove",
		"Via: SIP/2.0/UDP 192.0.2.2:5060",
		"Via: SIP/2.0/UDP 192.0.2.2:5060;branch=1",
	} {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			ring := trace.NewRing(10)
			stack, err := wire.OpenStack(t.Context(), wire.Options{
				Network: n.Host("192.0.2.1"), Transport: wire.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Trace: ring,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stack.Close()
			delivered := 0
			stack.Attach("", func(in *wire.Incoming) {
				delivered++
				in.Respond(wire.Answer{Status: 200, Reason: "OK"})
			})
			send := rawSender(t, n.Host("192.0.2.2"), wire.UDP, stack.Local())
			for cseq := range 2 {
				line := via
				if strings.Contains(via, "%d") {
					line = fmt.Sprintf(via, cseq)
				}
				message := fmt.Sprintf("NOTIFY sip:a@192.0.2.1 SIP/2.0\r\n%s\r\nf: <sip:a@b>;tag=1\r\nt: <sip:a@b>;tag=2\r\n"+
					"i: x\r\nCSeq: %d NOTIFY\r\nl: 0\r\n\r\n", line, cseq+1)
				for range 2 { // the second is a retransmission
					send(message)
					synctest.Wait()
				}
			}
			if delivered != 2 {
				t.Errorf("%s: %d requests delivered of 2", via, delivered)
			}
			for _, m := range ring.Messages() {
				if m.Direction != trace.Sent {
					continue
				}
				answer := string(m.Raw)
				if !strings.Contains(answer, "192.0.2.2") || strings.Contains(via, "z9hG4bK-") != strings.Contains(answer, ";branch=z9hG4bK-") ||
					strings.Contains(via, "above") != strings.Contains(answer, ";branch=z9hG4bKabove") {
					t.Errorf("%s is answered\n%s", via, answer)
				}
			}
		})
	}
}
