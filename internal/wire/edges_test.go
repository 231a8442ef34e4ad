package wire_test

import (
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
		stacks := wire.NewStacks(n.Host("192.0.2.1"), ring, nil, nil)
		defer stacks.Close()
		flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.UDP, Addr: server.Local()}, netip.AddrPort{}, wire.Peer{})
		if err != nil {
			t.Fatal(err)
		}
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
