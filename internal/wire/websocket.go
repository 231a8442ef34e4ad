package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// subprotocol is what both sides of a WebSocket must name for SIP (RFC 7118 3.1).
const subprotocol = "sip"

// handshakeMost bounds what is read of a handshake, in bytes.
const handshakeMost = 16 << 10

// websocket is a WebSocket as a connection of SIP: each Write is one message, and
// what is read is the messages one after the other, each with the Content-Length
// that it may lack there (RFC 7118 5.1). Control frames are dealt with in between.
type websocket struct {
	net.Conn
	side ws.State
	in   *bufio.Reader // used by the one reader only
	left []byte        // of the message that was read last

	writing chan struct{} // has room for the one who writes, which may take a while
	ponged  func()        // called for each pong; nil: not yet
}

func newWebSocket(raw net.Conn, side ws.State, in *bufio.Reader) *websocket {
	return &websocket{Conn: raw, side: side, in: in, writing: make(chan struct{}, 1)}
}

// upgrade makes a WebSocket of a connection that we made (RFC 6455 4.1). It blocks
// for the handshake. The error wraps ErrTransport.
func (s *Stack) upgrade(ctx context.Context, raw net.Conn, remote netip.AddrPort) (net.Conn, error) {
	peer := s.options.Peer
	host := peer.Name
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	path := peer.Path
	if path == "" {
		path = "/"
	}
	there, err := url.Parse(s.options.Transport + "://" + net.JoinHostPort(strings.Trim(host, "[]"), fmt.Sprint(remote.Port())) + path)
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("%w: WebSocket: %w", ErrTransport, err)
	}
	// The context ends a handshake that never does.
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	dialer := ws.Dialer{Protocols: []string{subprotocol}}
	ahead, handshake, err := dialer.Upgrade(limited{raw, &io.LimitedReader{R: raw, N: handshakeMost}}, there)
	if !stop() {
		err = ctx.Err()
	}
	if err == nil && handshake.Protocol != subprotocol {
		err = errors.New("it does not speak sip: a web server, or another path (ws_path)")
	}
	if err != nil {
		raw.Close()
		return nil, fmt.Errorf("%w: WebSocket with %s: %w", ErrTransport, remote, handshakeAnswer(err))
	}
	in := bufio.NewReader(raw)
	if ahead != nil { // the first frames came with the answer
		begun := make([]byte, ahead.Buffered())
		io.ReadFull(ahead, begun)
		ws.PutReader(ahead)
		in = bufio.NewReader(io.MultiReader(bytes.NewReader(begun), raw))
	}
	return newWebSocket(raw, ws.StateClientSide, in), nil
}

// limited reads no more of a connection than it may.
type limited struct {
	io.Writer
	io.Reader
}

// handshakeAnswer says in words what came in place of a handshake.
func handshakeAnswer(err error) error {
	var status ws.StatusError
	switch {
	case errors.As(err, &status):
		return fmt.Errorf("it answered %d %s: another path (ws_path)?", int(status), http.StatusText(int(status)))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return errors.New("the handshake was cut short")
	}
	return err
}

// welcome makes a WebSocket of a connection that a client made (RFC 6455 4.2).
func (s *Stack) welcome(raw net.Conn) (net.Conn, error) {
	upgrader := ws.Upgrader{
		Protocol: func(name []byte) bool { return string(name) == subprotocol },
	}
	in := bufio.NewReader(raw)
	handshake, err := upgrader.Upgrade(limited{raw, &io.LimitedReader{R: in, N: handshakeMost}})
	if err == nil && handshake.Protocol != subprotocol {
		err = errors.New("it does not ask for sip")
	}
	return newWebSocket(raw, ws.StateServerSide, in), err
}

func (c *websocket) Read(buffer []byte) (int, error) {
	for len(c.left) == 0 {
		message, err := c.message()
		if err != nil {
			return 0, err
		}
		c.left = withLength(message)
	}
	n := copy(buffer, c.left)
	c.left = c.left[n:]
	return n, nil
}

// message reads the frames of the next message, and answers what is between them.
func (c *websocket) message() ([]byte, error) {
	var message []byte
	state := c.side
	for {
		header, err := ws.ReadHeader(c.in)
		if err != nil {
			return nil, err
		}
		if err := ws.CheckHeader(header, state); err != nil {
			return nil, c.refuse(ws.StatusProtocolError, err)
		}
		if header.Masked != c.side.ServerSide() { // RFC 6455 5.1
			return nil, c.refuse(ws.StatusProtocolError, errors.New("a frame is masked where it must not be, or the reverse"))
		}
		if header.Length > int64(maxMessage-len(message)) {
			return nil, c.refuse(ws.StatusMessageTooBig, fmt.Errorf("a message on it has more than %d bytes", maxMessage))
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return nil, err
		}
		if header.Masked {
			ws.Cipher(payload, header.Mask, 0)
		}
		switch {
		case header.OpCode == ws.OpPing:
			c.send(ws.NewPongFrame(payload)) // what is wrong with the connection, its reader finds
		case header.OpCode == ws.OpPong:
			if c.ponged != nil {
				c.ponged()
			}
		case header.OpCode == ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
			if code.Empty() || code == ws.StatusNormalClosure || code == ws.StatusGoingAway {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("closed by the other side: %d %q", code, shortened(reason))
		default:
			message = append(message, payload...)
			if header.Fin {
				return message, nil
			}
			state = state.Set(ws.StateFragmented)
		}
	}
}

func (c *websocket) refuse(status ws.StatusCode, why error) error {
	c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(status, "")))
	return why
}

// Write sends data as one message (RFC 7118 3.2): text, where it is UTF-8.
func (c *websocket) Write(data []byte) (int, error) {
	kind := ws.OpText
	if !utf8.Valid(data) {
		kind = ws.OpBinary
	}
	if err := c.send(ws.NewFrame(kind, true, slices.Clone(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// beat sends a ping, which the other side has to answer (RFC 6455 5.5.2).
func (c *websocket) beat() error { return c.send(ws.NewPingFrame(nil)) }

func (c *websocket) send(f ws.Frame) error {
	if c.side.ClientSide() {
		var mask [4]byte
		rand.Read(mask[:]) // never fails (crypto/rand)
		f = ws.MaskFrameInPlaceWith(f, mask)
	}
	raw, err := ws.CompileFrame(f)
	if err != nil {
		return err
	}
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	_, err = c.Conn.Write(raw)
	return err
}

// Close says goodbye (RFC 6455 7.1.2), but waits for nobody to hear it.
func (c *websocket) Close() error {
	limit := time.AfterFunc(closeTime, func() { c.Conn.Close() })
	defer limit.Stop()
	c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	return c.Conn.Close()
}

// withLength gives a message the Content-Length by which it is found in a stream:
// over WebSocket it may lack one, and where it has one the frame is right
// (RFC 7118 5.1).
func withLength(message []byte) []byte {
	head, body, found := bytes.Cut(message, []byte("\r\n\r\n"))
	if !isSIP(message) || !found {
		return message
	}
	lines := bytes.Split(head, []byte("\r\n"))
	kept := slices.DeleteFunc(slices.Clone(lines), func(line []byte) bool {
		name, _, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		return bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l"))
	})
	if length, _ := contentLength(head); len(kept) == len(lines)-1 && length == len(body) {
		return message
	}
	kept = append(kept, fmt.Appendf(nil, "Content-Length: %d", len(body)))
	return append(append(bytes.Join(kept, []byte("\r\n")), "\r\n\r\n"...), body...)
}

// nowhere is the host of a client that is reached over its connection only: a
// name that nobody can have (RFC 7118 B.1).
func nowhere() string { return strings.ToLower(rand.Text()[:12]) + ".invalid" }
