package wire_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

// accept answers a handshake by hand (RFC 6455 4.2.2): nothing of ours is in it.
func accept(t *testing.T, conn net.Conn, protocol string) (*bufio.Reader, *http.Request) {
	in := bufio.NewReader(conn)
	request, err := http.ReadRequest(in)
	if err != nil {
		return in, nil
	}
	sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
		base64.StdEncoding.EncodeToString(sum[:]), protocol)
	return in, request
}

// readFrame reads one frame of a client, short ones only.
func readFrame(in io.Reader) (kind byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(head[1] & 0x7f)
	if n == 126 {
		var more [2]byte
		io.ReadFull(in, more[:])
		n = int(more[0])<<8 | int(more[1])
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		io.ReadFull(in, mask[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(in, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0], payload, err
}

// frame writes one of a server: first is FIN and opcode.
func frame(first byte, payload string) []byte {
	n := len(payload)
	if n < 126 {
		return append([]byte{first, byte(n)}, payload...)
	}
	return append([]byte{first, 126, byte(n >> 8), byte(n)}, payload...)
}

var wsAddr = netip.MustParseAddrPort("192.0.2.2:80")

// listenWeb runs speak for each connection to the port of WebSockets, and then
// hears until the other side has enough.
func listenWeb(t *testing.T, n *memnet.Net, speak func(net.Conn)) (end func()) {
	return listenRaw(t, n, wsAddr, func(conn net.Conn) {
		go func() {
			speak(conn)
			io.Copy(io.Discard, conn)
			conn.Close()
		}()
	})
}

func webFlow(t *testing.T, n *memnet.Net, ring *trace.Ring) (*wire.Flow, func(), error) {
	stacks := wire.NewStacks(n.Host("192.0.2.1"), ring, nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	peer := wire.PeerOf("sip:example.com", wire.TLSSettings{})
	peer.Path = "/sip"
	flow, err := stacks.Flow(ctx, wire.Target{Transport: wire.WS, Addr: wsAddr}, netip.AddrPort{}, peer)
	return flow, stacks.Close, err
}

// What comes in place of a handshake is told in words that say what to do.
func TestWebSocketHandshakeFails(t *testing.T) {
	for name, c := range map[string]struct {
		speak func(net.Conn)
		says  string
	}{
		"path":     {func(conn net.Conn) { conn.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) }, "it answered 404 Not Found: another path (ws_path)?"},
		"protocol": {func(conn net.Conn) { accept(t, conn, "") }, "it does not speak sip: a web server, or another path (ws_path)"},
		"other":    {func(conn net.Conn) { accept(t, conn, "Sec-WebSocket-Protocol: chat\r\n") }, "192.0.2.2:80: "},
		"closed":   {func(conn net.Conn) { conn.Close() }, "the handshake was cut short"},
		"endless": {func(conn net.Conn) {
			conn.Write([]byte("HTTP/1.1 101 S\r\nX: " + strings.Repeat("y", 100_000) + "\r\n\r\n"))
		}, "192.0.2.2:80: "},
		"silent": {func(net.Conn) {}, "deadline exceeded"},
		"sip":    {func(conn net.Conn) { conn.Write([]byte("SIP/2.0 400 Bad Request\r\n\r\n")) }, "192.0.2.2:80: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				defer listenWeb(t, n, c.speak)()
				_, end, err := webFlow(t, n, nil)
				defer end()
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// RFC 7118 4, 5, RFC 6455 5: the request asks for sip at the path; each message is
// one masked frame of text; messages come whole, in pieces, as bytes, without a
// length or with a wrong one, with pings between, and each is read.
func TestWebSocketFrames(t *testing.T) {
	answer := func(request []byte, length string) string {
		head := "SIP/2.0 200 OK\r\n"
		for line := range strings.SplitSeq(string(request), "\r\n") {
			if name, _, _ := strings.Cut(line, ":"); name == "Via" || name == "From" || name == "To" || name == "Call-ID" || name == "CSeq" {
				head += line + "\r\n"
			}
		}
		return head + length + "\r\nbody"
	}
	for name, reply := range map[string]func(request []byte) []byte{
		"whole":       func(r []byte) []byte { return frame(0x81, answer(r, "Content-Length: 4\r\n")) },
		"bytes":       func(r []byte) []byte { return frame(0x82, answer(r, "Content-Length: 4\r\n")) },
		"no length":   func(r []byte) []byte { return frame(0x81, answer(r, "")) },
		"less":        func(r []byte) []byte { return frame(0x81, answer(r, "l: 2\r\n")) },
		"more":        func(r []byte) []byte { return frame(0x81, answer(r, "Content-Length: 4000\r\n")) },
		"two lengths": func(r []byte) []byte { return frame(0x81, answer(r, "Content-Length: 4\r\nl: 9\r\n")) },
		"pieces": func(r []byte) []byte {
			text := answer(r, "")
			out := append(frame(0x01, text[:20]), frame(0x89, "ping")...)
			out = append(out, frame(0x00, "")...)
			return append(append(out, frame(0x8a, "nobody asked")...), frame(0x80, text[20:])...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				pongs := make(chan string, 4)
				defer listenWeb(t, n, func(conn net.Conn) {
					in, request := accept(t, conn, "Sec-WebSocket-Protocol: sip\r\n")
					if request.URL.Path != "/sip" || request.Host != "example.com" && request.Host != "example.com:80" || request.Header.Get("Sec-WebSocket-Protocol") != "sip" {
						t.Errorf("asked for %+v", request)
					}
					for {
						kind, payload, err := readFrame(in)
						switch {
						case err != nil:
							return
						case kind == 0x8a:
							pongs <- string(payload)
						case kind == 0x81:
							conn.Write(reply(payload))
						}
					}
				})()
				ring := trace.NewRing(10)
				flow, end, err := webFlow(t, n, ring)
				defer end()
				if err != nil {
					t.Fatal(err)
				}
				response, err := flow.Do(t.Context(), request("OPTIONS", "192.0.2.2", 1))
				if err != nil || response.Status != 200 || string(response.Body) != "body" {
					t.Fatalf("%+v, %v", response, err)
				}
				if name == "pieces" && <-pongs != "ping" {
					t.Error("no pong")
				}
				sent := ring.Messages()[0]
				if via := sent.Header("Via", ""); !strings.HasPrefix(via, "SIP/2.0/WS ") || !strings.Contains(via, ".invalid") || !strings.HasSuffix(flow.Host(), ".invalid") {
					t.Errorf("Via %s, host %s", via, flow.Host())
				}
			})
		})
	}
}

// Frames that break the rules, or have no end, end the connection, and the reason
// is told.
func TestWebSocketFramesThatAreNone(t *testing.T) {
	huge := []byte{0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for name, c := range map[string]struct {
		frames []byte
		says   string
	}{
		"masked":    {[]byte{0x81, 0x80, 0, 0, 0, 0}, "masked"},
		"reserved":  {frame(0x83, ""), ""},
		"ping":      {frame(0x89, strings.Repeat("x", 200)), ""},
		"alone":     {frame(0x80, "x"), ""},
		"huge":      {append(frame(0x01, strings.Repeat("x", 1000)), append([]byte{0x80}, huge[1:]...)...), "more than 65535 bytes"},
		"no end":    {[]byte(strings.Repeat(string(frame(0x01, "x")), 2)), ""},
		"goodbye":   {frame(0x88, "\x03\xe8"), "EOF"},
		"complaint": {frame(0x88, "\x03\xf0go away\x1b[2J"), `closed by the other side: 1008 "go away\x1b[2J"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				defer listenWeb(t, n, func(conn net.Conn) {
					accept(t, conn, "Sec-WebSocket-Protocol: sip\r\n")
					conn.Write(c.frames)
				})()
				flow, end, err := webFlow(t, n, nil)
				defer end()
				if err != nil {
					t.Fatal(err)
				}
				select {
				case <-flow.Done():
				case <-time.After(time.Minute):
					t.Fatal("it is still there")
				}
				if !strings.Contains(flow.Err().Error(), c.says) {
					t.Errorf("%v", flow.Err())
				}
			})
		})
	}
}

// RFC 6455 4.2.1, 5.1, RFC 7118 4.1: a server takes who asks for sip and masks its
// frames, within 10 s, and nobody else.
func TestWebSocketServer(t *testing.T) {
	const hello = "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	for name, c := range map[string]struct{ said, answer string }{
		"sip":        {hello + "Sec-WebSocket-Protocol: sip\r\n\r\n", "HTTP/1.1 101 "},
		"no sip":     {hello + "\r\n", ""},
		"no web":     {"REGISTER sip:example.com SIP/2.0\r\n\r\n", ""},
		"unfinished": {hello, ""},
		"endless":    {hello + strings.Repeat("X: y\r\n", 10_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				server, err := wire.OpenStack(t.Context(), wire.Options{Network: n.Host("192.0.2.2"), Transport: wire.WS, Local: wsAddr, Listen: true})
				if err != nil {
					t.Fatal(err)
				}
				defer server.Close()
				taken := make(chan *wire.Incoming, 1)
				server.Attach("", func(in *wire.Incoming) {
					in.Respond(wire.Answer{Status: 200, Reason: "OK"})
					taken <- in
				})
				conn, err := n.Host("192.0.2.1").Dial(t.Context(), netip.AddrPort{}, wsAddr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go conn.Write([]byte(c.said))
				conn.SetReadDeadline(time.Now().Add(time.Minute))
				in := bufio.NewReader(conn)
				line, _ := in.ReadString('\n')
				if c.answer == "" {
					if strings.HasPrefix(line, "HTTP/1.1 101") {
						// Taken by the library, and closed by us.
						for err == nil {
							_, err = in.ReadByte()
						}
						if err != io.EOF && !strings.Contains(err.Error(), "reset") {
							t.Errorf("it was taken: %v", err)
						}
					}
					return
				}
				if !strings.HasPrefix(line, c.answer) {
					t.Fatalf("answered %q", line)
				}
				for line != "\r\n" {
					line, _ = in.ReadString('\n')
				}
				message := "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/WS abc.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n"
				masked := frame(0x81, message)
				masked[1] |= 0x80
				head := 2
				if masked[1]&0x7f == 126 {
					head = 4
				}
				masked = append(masked[:head:head], append([]byte{0, 0, 0, 0}, masked[head:]...)...)
				conn.Write(masked)
				if got := <-taken; got.Method != "OPTIONS" || got.Transport != wire.WS {
					t.Errorf("%+v", got)
				}
				if kind, payload, err := readFrame(in); kind != 0x81 || !strings.HasPrefix(string(payload), "SIP/2.0 200 OK\r\n") {
					t.Errorf("answered %x %q, %v", kind, payload, err)
				}
				conn.Write(frame(0x81, message)) // not masked
				for err == nil {
					_, _, err = readFrame(in)
				}
				if err != io.EOF && !strings.Contains(err.Error(), "reset") {
					t.Errorf("it goes on: %v", err)
				}
			})
		})
	}
}
