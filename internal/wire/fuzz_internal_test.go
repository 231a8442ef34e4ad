package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/gobwas/ws"
)

// FuzzNameAddrs: what a Contact list is read as can be written and is read as the
// same again, and what we would repeat as a Route is one.
func FuzzNameAddrs(f *testing.F) {
	for _, seed := range []string{
		"", "*", "sip:a@b", "sip:a@b;expires=1", "<sip:a@b;lr>;q=0.5", `"A, \"B\" <x>" <sip:a@b>;x="y;z,\"";ob, <sip:c@d>`,
		`<sip:a@b>;pub-gruu="sip:a@b;gr=urn:uuid:f81d4fae";temp-gruu="sip:t==j@b;gr";+sip.instance="<urn:uuid:f81d>";expires=3600`,
		`<`, `>`, `"`, `"\`, `<>`, `, ,`, `;;=;=`, "a b <sip:a@b> c", "<sip:a@b>;tag = 1 ; x", "<sip:[2001:db8::1]:5060>", "sip:a@b?h=1,2", "\x00\xff<\x85>",
		strings.Repeat("<a:b>,", 100), strings.Repeat(";", 100), strings.Repeat(`"`, 99),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h := Headers{{"Contact", value}}
		list, malformed := h.ParseNameAddrs("Contact")
		if len(list)+malformed > len(value) {
			t.Fatalf("%d and %d of %d bytes", len(list), malformed, len(value))
		}
		for _, a := range list {
			if a.URI == "" {
				t.Fatalf("%q gives no URI", value)
			}
			if !IsURI(a.URI) || strings.ContainsFunc(value, isLineBreaking) {
				continue
			}
			out := Quote(a.Display) + " <" + a.URI + ">"
			for _, p := range a.Params {
				if !IsToken(p.Name) {
					return
				}
				out += ";" + p.Name
				if !p.Bare {
					out += "=" + Quote(p.Value)
				}
			}
			if !strings.Contains(out, "\ufffd") {
				again, malformed := Headers{{"Contact", out}}.ParseNameAddrs("Contact")
				if malformed > 0 || len(again) != 1 || again[0].URI != a.URI || again[0].Display != a.Display || len(again[0].Params) != len(a.Params) {
					t.Fatalf("%q is read as %+v, written as %q and read as %+v", value, a, out, again)
				}
				for i, p := range a.Params {
					if got := again[0].Params[i]; got.Name != p.Name || got.Value != p.Value || got.Bare != p.Bare {
						t.Fatalf("%q has %+v, written as %q it has %+v", value, p, out, got)
					}
				}
			}
		}
		routes := h.Routes("Contact")
		if len(routes) > maxRoutes {
			t.Fatalf("%d routes", len(routes))
		}
		for _, route := range routes {
			if strings.ContainsFunc(route, isLineBreaking) || len(SplitList(route)) != 1 {
				t.Fatalf("%q gives the Route %q", value, route)
			}
			if a, err := ParseNameAddr(route); err != nil || !IsURI(a.URI) {
				t.Fatalf("%q gives the Route %q: %v", value, route, err)
			}
		}
		h.Tag("Contact")
	})
}

// FuzzSubscriptionState: the value is taken apart, and what of it we show is short.
func FuzzSubscriptionState(f *testing.F) {
	for _, seed := range []string{
		"", "active", "active;expires=3600", "Terminated ; Reason=Deactivated;retry-after=5", "pending;expires=99999999999999999999", "terminated;reason=\"probation\"",
		"active;expires=-1", ";", "active;expires=", "\x00", "terminated;reason=" + strings.Repeat("x", 500), "active;Expires = 5;expires=6",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s := parseSubscriptionState(Headers{{"Subscription-State", value}})
		if !s.Present || len(s.Reason) > maxReason+3 || strings.ToLower(s.State) != s.State || !s.HasExpires && s.Expires != 0 || !s.HasRetry && s.RetryAfter != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// FuzzRetryAfter: a number is the one that the value begins with.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "5", " 120 (in a meeting)", "18000;duration=3600", "-1", "4294967295", "4294967296", "00000000000000000007", "5s", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		n, ok := Headers{{"Retry-After", value}}.Number("retry-after")
		text := strings.TrimSpace(value)
		digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
		if ok != (digits != "") || !ok && n != 0 {
			t.Errorf("%d, %v of %q", n, ok, value)
		}
		if significant := strings.TrimLeft(digits, "0"); len(significant) > 10 && n != 1<<32-1 {
			t.Errorf("%d of %q", n, value)
		}
	})
}

// FuzzSTUN: whatever arrives is read or passed over, and what we answer is short
// and read again.
func FuzzSTUN(f *testing.F) {
	for _, sample := range []string{sampleIPv4, sampleIPv6} {
		raw, err := hex.DecodeString(strings.Join(strings.Fields(sample), ""))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	request, id := bindingRequest()
	f.Add(request)
	f.Add(stunBytes(stunRequest, id, stunAttribute(nil, 0x7000, []byte{1})))
	f.Add(stunBytes(stunFailure, id, stunAttribute(nil, stunErrorCode, append([]byte{0, 0, 4, 20}, "reason"...))))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m, ok := parseSTUN(datagram)
		if !ok {
			return
		}
		m.binding()
		if len(m.unknown) > stunUnknownKept || len(m.reason) > len(datagram) {
			t.Errorf("%+v", m)
		}
		answer := bindingAnswer(m, netip.MustParseAddrPort("[2001:db8::1]:5060"))
		if len(answer) > 100 {
			t.Errorf("an answer of %d bytes", len(answer))
		}
		if back, ok := parseSTUN(answer); !ok || back.id != m.id {
			t.Errorf("%x is answered %x", datagram, answer)
		}
	})
}

// bytesConn is a connection that has sent all that it will, and takes anything.
type bytesConn struct {
	io.Reader
	written int
}

func (c *bytesConn) Write(b []byte) (int, error)      { c.written += len(b); return len(b), nil }
func (c *bytesConn) Close() error                     { return nil }
func (c *bytesConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *bytesConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *bytesConn) SetDeadline(time.Time) error      { return nil }
func (c *bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (c *bytesConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzWebSocket: frames of any kind end in an error and not before; no message is
// larger than one may be, and what we send back is no more than what came.
func FuzzWebSocket(f *testing.F) {
	frame := func(kind ws.OpCode, fin bool, payload string) []byte {
		raw, err := ws.CompileFrame(ws.NewFrame(kind, fin, []byte(payload)))
		if err != nil {
			f.Fatal(err)
		}
		return raw
	}
	const message = "SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n"
	f.Add(frame(ws.OpText, true, message), false)
	f.Add(append(frame(ws.OpText, false, message[:9]), append(frame(ws.OpPing, true, "x"), frame(ws.OpContinuation, true, message[9:])...)...), false)
	f.Add(frame(ws.OpClose, true, "\x03\xe8bye"), false)
	f.Add(frame(ws.OpPong, true, ""), false)
	f.Add([]byte{0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false)
	f.Add(append([]byte{0x81, 0x80 | 4, 1, 2, 3, 4}, "SIP/"...), true)
	f.Add(frame(ws.OpBinary, true, strings.Repeat("\r\n", 100)), false)
	f.Fuzz(func(t *testing.T, frames []byte, server bool) {
		raw := &bytesConn{Reader: bytes.NewReader(frames)}
		side := ws.StateClientSide
		if server {
			side = ws.StateServerSide
		}
		c := newWebSocket(raw, side, bufio.NewReader(raw))
		pongs := 0
		c.ponged = func() { pongs++ }
		for {
			message, err := c.message()
			if err != nil {
				break
			}
			if len(message) > maxMessage {
				t.Fatalf("a message of %d bytes", len(message))
			}
			if withLength(message); len(message) > len(frames) {
				t.Fatalf("a message of %d bytes in %d", len(message), len(frames))
			}
		}
		// Each ping has an answer of its length, which a client has to mask; and one
		// goodbye.
		if raw.written > 3*len(frames)+20 {
			t.Errorf("%d bytes are answered by %d", len(frames), raw.written)
		}
	})
}

// FuzzFramer: a stream is cut alike wherever its segments end, and no more is held
// than one message.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabc\r\nSIP/2.0 200 OK\r\n\r\n"), 3)
	f.Add([]byte("x\r\nContent-Length: 99999999\r\n\r\n"), 1)
	f.Add([]byte("x\nContent-Length : -1\nl:\r\n\r\n\r\n"), 2)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		if size <= 0 {
			return
		}
		cut := func(size int) (messages []string, goes bool, crlfs int) {
			var fr framer
			goes = true
			for at := 0; goes && at < len(stream); at += size {
				piece := bytes.Clone(stream[at:min(at+size, len(stream))])
				goes = fr.take(piece, func(m []byte) { messages = append(messages, string(m)) }, func() { crlfs++ })
				if len(fr.held) > maxMessage {
					t.Fatalf("%d bytes are held", len(fr.held))
				}
			}
			return messages, goes, crlfs
		}
		if len(stream) > maxMessage {
			return
		}
		messages, goes, crlfs := cut(len(stream) + 1)
		m, g, c := cut(min(size, len(stream)+1))
		if strings.Join(m, "|") != strings.Join(messages, "|") || g != goes || c != crlfs {
			t.Fatalf("in pieces of %d: %q, %v, %d; else %q, %v, %d", size, m, g, c, messages, goes, crlfs)
		}
	})
}

// FuzzMessage: our parsers let sipgo read or refuse whatever comes, and what an
// answer repeats of a request is what it seems.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
		"NOTIFY sip:a@b SIP/2.0\r\nv: SIP / 2.0 / UDP [2001:db8::1] : 5060 ; branch = z9hG4bK1 , SIP/2.0/TCP b\r\nf: a <sip:a@b> ; tag = 1\r\nt: sip:a@b;tag=2\r\ni: 1\r\nCSeq: 1 NOTIFY\r\no: reg\r\nl: 4\r\n\r\nabcd",
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;received=x;rport=5\r\nContact: <sip:a@b>;expires=1,\r\n *\r\nCSeq: 1 REGISTER\r\n\r\n",
		"SIP/2.0 100\r\n\r\n", "x", "\r\n\r\n", "ACK  SIP/2.0\r\nVia:\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	parser := newParser()
	f.Fuzz(func(t *testing.T, data []byte) {
		message, err := parser.ParseSIP(bytes.Clone(data))
		if err != nil {
			return
		}
		readMessage(t, message)
	})
}

func readMessage(t *testing.T, message sip.Message) {
	switch m := message.(type) {
	case *sip.Request:
		in := &Incoming{Request: Request{Method: string(m.Method), URI: m.Recipient.String(), Headers: fromHeaders(m.Headers()), Body: m.Body()}, answer: make(chan Answer, 1)}
		retransmissionKey(m)
		sameness(m)
		ParseNotify(in)
		if !repeatable(in.Headers) {
			return
		}
		answer := buildAnswer(m, Answer{Status: 200, Reason: "OK"}).String()
		head, _, _ := strings.Cut(answer, "\r\n\r\n")
		for i, line := range strings.Split(head, "\r\n") {
			if strings.ContainsFunc(line, isLineBreaking) || i > 0 && !strings.Contains(line, ":") {
				t.Errorf("answered with the line %q", line)
			}
		}
	case *sip.Response:
		r := fromResponse(m)
		r.SeenAs()
		r.Keep()
		misfit(r.Headers, Headers{{"CSeq", "1 REGISTER"}})
		if len(r.Reason) > maxReason+3 {
			t.Errorf("a reason of %d bytes", len(r.Reason))
		}
	}
}
