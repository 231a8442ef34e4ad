package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"regwatch/internal/guard"
)

// ErrNoPong: nothing came back for a ping (RFC 5626 4.4.1).
var ErrNoPong = errors.New("no CRLF came back within 10 s")

// pongTime is how long a pong may take (RFC 5626 4.4.1).
const pongTime = 10 * time.Second

// When a Binding request is sent again and given up over UDP: seven times within
// 31.5 s, and 8 s more (RFC 5389 7.2.1).
const (
	stunRTO      = 500 * time.Millisecond
	stunRequests = 7  // Rc
	stunPatience = 16 // Rm
)

var (
	ping = []byte("\r\n\r\n")
	pong = []byte("\r\n")
)

// SendCRLF sends a double CRLF, over a WebSocket its own ping, and awaits nothing
// (RFC 3261 7.5, RFC 7118 6). Over a connection it blocks while that takes no more.
func (f *Flow) SendCRLF() error {
	var err error
	if f.conn == nil {
		_, err = f.stack.packets.PacketConn.WriteTo(ping, net.UDPAddrFromAddrPort(f.remote))
	} else if socket, ok := f.conn.Conn.(*websocket); ok {
		f.conn.beats.sent()
		err = socket.beat() // RFC 7118 6
	} else {
		f.conn.beats.sent()
		_, err = f.conn.Conn.Write(ping)
	}
	if err != nil {
		return fmt.Errorf("%w: send CRLF: %w", ErrTransport, cause(err))
	}
	return nil
}

// Ping sends a double CRLF over a connection and blocks until the CRLF that
// answers it (RFC 5626 4.4.1), ErrNoPong after 10 s, or the context's error. The
// connection stays as it is: see Fail. Only those who know that the other side
// answers may ask (RFC 5626 4.4): each WebSocket does, to a ping of its own kind
// (RFC 6455 5.5.2).
func (f *Flow) Ping(ctx context.Context) error {
	if f.conn == nil {
		return errors.New("no ping by CRLF over UDP")
	}
	answered := f.conn.beats.await()
	failed := make(chan error, 1)
	go func() { // a peer that reads nothing lets us write nothing either
		defer guard.Recover(f.stack.options.OnPanic)
		if err := f.SendCRLF(); err != nil {
			failed <- err
		}
	}()
	limit := time.NewTimer(pongTime)
	defer limit.Stop()
	select {
	case <-answered:
		return nil
	case err := <-failed:
		return err
	case <-limit.C:
		return ErrNoPong
	case <-f.done:
		return fmt.Errorf("%w: %w", ErrTransport, f.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Binding asks the other side of a UDP flow by STUN as whom it sees us. It sends
// the request again as RFC 5389 7.2.1 has it, and blocks until the answer, up to
// 39.5 s. The address is invalid where the answer names none. The error is a
// *STUNError, or wraps ErrTimeout, ErrTransport or the context's. Only those who
// know that the other side does STUN may ask (RFC 5626 8).
func (f *Flow) Binding(ctx context.Context) (netip.AddrPort, error) {
	if f.conn != nil {
		return netip.AddrPort{}, errors.New("no STUN over a connection")
	}
	request, id := bindingRequest()
	answers := f.stack.bindings.expect(id, f.remote)
	defer f.stack.bindings.forget(id)
	wait := stunRTO
	for sent := 1; sent <= stunRequests; sent++ {
		// What cannot be sent now may be sent next time: a network that is gone for a
		// moment has lost no flow yet.
		f.stack.packets.PacketConn.WriteTo(request, net.UDPAddrFromAddrPort(f.remote))
		if sent == stunRequests {
			wait = stunPatience * stunRTO
		}
		again := time.NewTimer(wait)
		select {
		case answer := <-answers:
			again.Stop()
			return answer.binding()
		case <-f.done:
			again.Stop()
			return netip.AddrPort{}, fmt.Errorf("%w: %w", ErrTransport, f.Err())
		case <-ctx.Done():
			again.Stop()
			return netip.AddrPort{}, ctx.Err()
		case <-again.C:
			wait *= 2
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w to STUN within 39.5 s", ErrTimeout)
}

// binding takes an answer for what it is worth.
func (m stunMessage) binding() (netip.AddrPort, error) {
	switch {
	case m.kind == stunFailure:
		return netip.AddrPort{}, &STUNError{m.code, m.reason}
	case len(m.unknown) > 0: // RFC 5389 7.3.3
		return netip.AddrPort{}, &STUNError{420, "its answer holds what we do not know"}
	}
	return m.mapped, nil
}

// bindings are the Binding requests of a stack that wait for their answers.
type bindings struct {
	mu   sync.Mutex
	open map[stunID]binding
}

type binding struct {
	remote  netip.AddrPort
	answers chan stunMessage // room for one
}

func (b *bindings) expect(id stunID, remote netip.AddrPort) <-chan stunMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = make(map[stunID]binding)
	}
	answers := make(chan stunMessage, 1)
	b.open[id] = binding{remote, answers}
	return answers
}

func (b *bindings) forget(id stunID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, id)
}

// answered gives an answer to whoever asked; one that nobody asked for, or that
// comes from elsewhere, is none (RFC 5389 7.3).
func (b *bindings) answered(m stunMessage, from netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if asked, ok := b.open[m.id]; ok && asked.remote == from {
		select {
		case asked.answers <- m:
		default:
		}
	}
}

// keepAlive takes a datagram that is no SIP. Whoever takes SIP requests at a
// port answers Binding requests there (RFC 5626 8), with hardly more than twice
// their bytes: that is no lever to flood somebody else with.
func (s *Stack) keepAlive(datagram []byte, from netip.AddrPort) {
	m, ok := parseSTUN(datagram)
	if !ok {
		return
	}
	switch m.kind {
	case stunRequest:
		s.packets.PacketConn.WriteTo(bindingAnswer(m, from), net.UDPAddrFromAddrPort(from))
	case stunSuccess, stunFailure:
		s.bindings.answered(m, from)
	}
}

// beats are the CRLFs between the messages of one connection (RFC 5626 3.5.1).
// A CRLF is the pong of a ping that we sent and that has none yet; without such
// a ping, two in a row are a ping of the other side.
type beats struct {
	mu    sync.Mutex
	owed  int           // pongs that we were not given yet
	heard chan struct{} // closed at the next pong; nil: nobody waits
	half  bool          // of a ping of the other side
}

// owedMost bounds the pongs that a peer owes which never pongs.
const owedMost = 8

func (b *beats) sent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed = min(b.owed+1, owedMost)
}

// await gives what is closed at the next pong. Several may wait for one: it says
// to all of them that the connection is alive.
func (b *beats) await() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.heard == nil {
		b.heard = make(chan struct{})
	}
	return b.heard
}

// crlf takes a CRLF and reports whether it makes a ping whole.
func (b *beats) crlf() (isPing bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owed > 0 {
		b.owed--
		if b.heard != nil {
			close(b.heard)
			b.heard = nil
		}
		return false
	}
	b.half = !b.half
	return !b.half
}

// pong takes one of a WebSocket; one that nobody waits for says nothing
// (RFC 6455 5.5.3).
func (b *beats) pong() {
	b.mu.Lock()
	waiting := b.owed > 0
	b.mu.Unlock()
	if waiting {
		b.crlf()
	}
}

// message ends a ping that was begun.
func (b *beats) message() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.half = false
}
