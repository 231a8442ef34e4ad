package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Flow is the way to one remote address: over TCP and TLS a connection, over UDP
// our socket and the address (RFC 5626 3.2). It may be used from several goroutines.
type Flow struct {
	stack    *Stack
	local    netip.AddrPort
	remote   netip.AddrPort
	conn     *streamConn // nil over UDP
	accepted bool        // the peer connected to us

	once sync.Once
	done chan struct{}
	err  error // set before done is closed
}

// Transport is "udp", "tcp", "tls", "ws" or "wss".
func (f *Flow) Transport() string { return f.stack.options.Transport }

// Local is the address that we send from.
func (f *Flow) Local() netip.AddrPort { return f.local }

// Host is what a Contact has for us in host and port: our address, and for the
// client of a WebSocket, which nobody can connect to, a name of nobody
// (RFC 7118 B.1). It stays the same as long as the stack does.
func (f *Flow) Host() string {
	if f.stack.isWebSocket() && !f.accepted {
		return f.stack.nowhere
	}
	return HostPortOf(f.local)
}

// Remote is the address that we send to.
func (f *Flow) Remote() netip.AddrPort { return f.remote }

// Stack is what the flow belongs to.
func (f *Flow) Stack() *Stack { return f.stack }

// Source is the address that packets to the remote leave from now. Another one
// than Local's, or an error, means that this machine changed its network.
func (f *Flow) Source(ctx context.Context) (netip.Addr, error) {
	return f.stack.network.SourceFor(ctx, f.remote)
}

// Same reports whether both are one way: over TCP the same connection, over UDP
// the same socket and remote address.
func (f *Flow) Same(g *Flow) bool {
	return f == g || f.conn == nil && g.conn == nil && f.stack == g.stack && f.remote == g.remote
}

// Done is closed when the connection, or the whole stack, is gone.
func (f *Flow) Done() <-chan struct{} { return f.done }

// Err says why, once Done is closed.
func (f *Flow) Err() error {
	select {
	case <-f.done:
		if f.err == nil {
			return ErrClosed
		}
		return f.err
	default:
		return nil
	}
}

// Close drops the connection. Over UDP it does nothing: the socket is shared.
// A connection that swallowed a request must be closed, or the next request goes
// into the same hole.
func (f *Flow) Close() { f.Fail(ErrClosed) }

// Fail drops the connection, as Close does, for a reason: Err gives it to all
// that use the flow.
func (f *Flow) Fail(err error) {
	if f.conn != nil {
		f.lost(err)
	}
}

// lost marks a connection as gone and takes it from the stack.
func (f *Flow) lost(err error) {
	first := false
	f.once.Do(func() {
		first = true
		f.stack.mu.Lock()
		if f.stack.flows[f.remote] == f {
			delete(f.stack.flows, f.remote)
		}
		f.stack.busy.Add(1)
		f.stack.mu.Unlock()
		f.err = err
		close(f.done)
	})
	if first {
		defer f.stack.busy.Done()
		f.conn.Conn.Close() // which may take a moment, for goodbyes
	}
}

// Do sends the request in a transaction of its own and blocks until the final
// answer, which may be any status from 200. The error wraps ErrTimeout,
// ErrMismatch, ErrTransport, ErrClosed or the context's.
//
// A Request may be sent more than once: each time it gets a new branch, without
// which a registrar would answer what it answered before.
func (f *Flow) Do(ctx context.Context, request *Request) (*Response, error) {
	if err := f.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTransport, err)
	}
	message, err := f.build(ctx, request)
	if err != nil {
		return nil, err
	}
	branch, _ := message.Via().Params.Get("branch")
	f.stack.wroteTo(f.remote)
	f.stack.ask(branch, f.remote)
	defer f.stack.unask(branch)
	if request.Trace != nil {
		defer f.stack.tap(branch, request.Trace)()
	}
	sent := time.Now()
	tx, err := f.stack.agent.TransactionLayer().Request(ctx, message)
	if err != nil {
		if lost := f.Err(); lost != nil {
			err = lost // in fewer words
		}
		return nil, fmt.Errorf("%w: %w", ErrTransport, err)
	}
	defer tx.Terminate()
	heard := false
	for {
		select {
		case response := <-tx.Responses():
			if response != nil {
				f.stack.answered(response) // counts where none was read before it
				// sipgo takes 0 to 99 for provisional; they are no status at all.
				heard = heard || response.StatusCode >= 100
			}
		case <-tx.Done():
			if err = classify(tx.Err()); heard && errors.Is(err, ErrTimeout) {
				err = fmt.Errorf("%w: %w", ErrUnfinished, err)
			}
		case <-f.done:
			err = fmt.Errorf("%w: %w", ErrTransport, f.Err())
		case <-ctx.Done():
			err = ctx.Err()
		}
		// What was read right before the end was an answer all the same.
		if first := f.stack.firstAnswer(branch); first != nil {
			out := fromResponse(first)
			if fault := misfit(out.Headers, request.Headers); fault != "" {
				// The transaction took it for its end: nothing comes behind it.
				return nil, fmt.Errorf("%w: %s", ErrMismatch, fault)
			}
			out.At = time.Now()
			out.RoundTrip = out.At.Sub(sent)
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// misfit says what in the header of an answer is not as in its request, or "".
// The branch is ours and cannot be guessed: whoever sent it has seen the request.
func misfit(answer, request Headers) string {
	got, gotMethod, _ := answer.CSeq()
	want, wantMethod, _ := request.CSeq()
	switch {
	case got != want || gotMethod != wantMethod:
		return fmt.Sprintf("CSeq %s for %s", shortened(answer.Get("CSeq")), request.Get("CSeq"))
	case answer.Get("Call-ID") != request.Get("Call-ID"):
		return "another Call-ID"
	case len(answer.Values("Via")) > len(request.Values("Via"))+1: // 8.1.3.3: misrouted, or corrupted
		return "more than one Via"
	}
	return ""
}

// Render writes the request as Do would send it now, but for the branch of its
// Via, which is made up for each send. It sends nothing.
func (f *Flow) Render(ctx context.Context, request *Request) (string, error) {
	message, err := f.build(ctx, request)
	if err != nil {
		return "", err
	}
	return message.String(), nil
}

func classify(err error) error {
	switch {
	case err == nil:
		return ErrClosed
	case errors.Is(err, sip.ErrTransactionTimeout):
		return fmt.Errorf("%w within 32 s", ErrTimeout)
	}
	return fmt.Errorf("%w: %w", ErrTransport, err)
}

// build makes a sipgo request of ours. Nothing with a line end in it passes:
// sipgo would write it as it is, and one header would become two.
func (f *Flow) build(ctx context.Context, r *Request) (*sip.Request, error) {
	recipient, err := wireURI(r.URI)
	if err != nil {
		return nil, err
	}
	message := sip.NewRequest(sip.RequestMethod(r.Method), recipient)
	source := f.local.Addr()
	if source.IsUnspecified() {
		// A Via that says 0.0.0.0 is of no use to anybody (RFC 3261 18.1.1).
		if addr, err := f.stack.network.SourceFor(ctx, f.remote); err == nil {
			source = addr
		}
	}
	host, port := source.WithZone("").String(), int(f.local.Port())
	if source.Is6() {
		host = "[" + host + "]"
	}
	if f.stack.isWebSocket() && !f.accepted {
		host, port = f.stack.nowhere, 0
	}
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: strings.ToUpper(f.Transport()), Host: host, Port: port}
	via.Params.Add("branch", sip.GenerateBranch())
	via.Params.Add("rport", "") // RFC 3581 3: always asked for
	if r.Keep {
		via.Params.Add("keep", "")
	}
	message.AppendHeader(via)
	if !r.Headers.Has("Max-Forwards") {
		message.AppendHeader(sip.NewHeader("Max-Forwards", "70"))
	}
	for _, header := range r.Headers {
		if strings.ContainsFunc(header.Name+header.Value, isLineBreaking) {
			return nil, fmt.Errorf("header %q has a control character in its value", header.Name)
		}
		message.AppendHeader(sip.NewHeader(header.Name, header.Value))
	}
	message.SetBody(r.Body)
	carrier := f.Transport()
	if f.stack.isWebSocket() {
		carrier = TCP // to sipgo; see OpenStack
	}
	message.SetTransport(strings.ToUpper(carrier))
	message.SetDestination(f.remote.String())
	// The pool finds a connection that we made by its local address; those that
	// a listener took all share one, so theirs is found by the remote one.
	if !f.accepted {
		message.Laddr = sip.Addr{IP: net.IP(f.local.Addr().AsSlice()), Port: int(f.local.Port())}
	}
	return message, nil
}

func isLineBreaking(r rune) bool   { return r < 0x20 && r != '\t' || r == 0x7f }
func isBlankOrControl(r rune) bool { return r <= 0x20 || r == 0x7f }

func fromResponse(r *sip.Response) *Response {
	return &Response{Status: r.StatusCode, Reason: cutTo(r.Reason, maxReason), Headers: fromHeaders(r.Headers()), Body: r.Body()}
}

func fromHeaders(list []sip.Header) Headers {
	out := make(Headers, 0, len(list))
	for _, h := range list {
		out = append(out, Header{h.Name(), h.Value()})
	}
	return out
}
