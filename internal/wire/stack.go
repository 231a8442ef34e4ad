package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"regwatch/internal/guard"
	"regwatch/internal/trace"
)

// Options of a Stack.
type Options struct {
	Network   Network // nil: System
	Transport string  // UDP, TCP, TLS, WS or WSS
	// Local is the address to bind and the port, 0 for a free one. All but UDP use
	// it to listen on where Listen is set, else as the source of their connections.
	Local netip.AddrPort
	// Listen makes a stack accept connections; over TLS by what TLS says, which may
	// ask for certificates of the clients.
	Listen bool
	// Crowds bounds what is taken over UDP, see peersMost and strangersMost; a server
	// has to take what comes.
	Crowds bool
	TLS    *tls.Config
	Peer   Peer        // whom a stack connects to, over TLS and WebSocket
	KeyLog io.Writer   // is given the keys of TLS connections that we make; nil: none
	Trace  *trace.Ring // nil: none
	// OnPanic is told of a panic on a goroutine of the stack, once it is over;
	// nil lets it end the program.
	OnPanic func(error)
}

// Stack is SIP over one transport from one local address: a UDP socket, or the
// connections that leave from there. Several accounts share one. All its
// methods may be called from several goroutines.
type Stack struct {
	options Options
	network Network
	local   netip.AddrPort
	nowhere string // of a client of WebSockets: the host that stands for it
	agent   *sipgo.UserAgent
	parser  *sip.Parser  // the agent's
	packets *packetConn  // UDP
	feed    *feed        // else: connections we made or took, on their way to sipgo
	accept  net.Listener // with Listen

	bindings bindings // UDP: STUN requests of ours

	done    chan struct{}
	running sync.WaitGroup
	busy    sync.WaitGroup // what is read, or closed, on connections at this moment

	mu       sync.Mutex
	closed   bool
	flows    map[netip.AddrPort]*Flow // connections, by remote address
	boxes    map[string][]*Box        // by user; only that of none may have several
	byCallID map[string]*Box
	taps     map[string]*trace.Ring // by the branch of a request of ours
	answers  answers
	asked    map[string]*asked           // requests of ours that are under way, by branch
	partners map[netip.AddrPort]struct{} // whom requests of ours went to
	taken    int                         // connections that were accepted and are open
}

// OpenStack binds the address and starts to read.
func OpenStack(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{
		options:  o,
		network:  o.Network,
		parser:   newParser(),
		done:     make(chan struct{}),
		flows:    make(map[netip.AddrPort]*Flow),
		boxes:    make(map[string][]*Box),
		byCallID: make(map[string]*Box),
		taps:     make(map[string]*trace.Ring),
		asked:    make(map[string]*asked),
		partners: make(map[netip.AddrPort]struct{}),
	}
	if s.network == nil {
		s.network = System{}
	}
	s.answers.init()
	var err error
	if s.agent, err = newAgent(s.parser); err != nil {
		return nil, fmt.Errorf("start SIP stack: %w", err)
	}
	server, err := sipgo.NewServer(s.agent)
	if err != nil {
		return nil, fmt.Errorf("start SIP stack: %w", err)
	}
	server.OnNoRoute(s.handle)
	s.agent.TransportLayer().OnMessage(s.received)

	switch o.Transport {
	case UDP:
		err = s.openUDP(ctx, server)
	case TCP:
		err = s.openStream(ctx, server.ServeTCP)
	case TLS:
		err = s.openStream(ctx, server.ServeTLS)
	case WS, WSS:
		// sipgo has WebSockets of its own, but makes and reads them itself.
		s.nowhere = nowhere()
		err = s.openStream(ctx, server.ServeTCP)
	default:
		err = fmt.Errorf("transport %q is not supported", o.Transport)
	}
	if err != nil {
		s.agent.Close()
		return nil, err
	}
	return s, nil
}

func newAgent(parser *sip.Parser) (*sipgo.UserAgent, error) {
	return sipgo.NewUA(
		sipgo.WithUserAgentDNSResolver(&net.Resolver{PreferGo: true, Dial: noResolver}),
		sipgo.WithUserAgentParser(parser),
		sipgo.WithUserAgentTransactionLayerOptions(
			// Not WithTransactionLayerTerminateOnConnClose: it ends a transaction that has
			// no state yet, and panics. Flow.Do watches the connection itself.
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {}),
		),
		sipgo.WithUserAgentTransportLayerOptions(
			sip.WithTransportLayerTransports(sip.TransportsConfig{
				TCP: &sip.TransportTCP{DialerCreate: noDialer},
				TLS: &sip.TransportTLS{TransportTCP: &sip.TransportTCP{DialerCreate: noDialer}},
			}),
		),
	)
}

var errNotOurs = errors.New("connections are made by the stack only")

// noResolver keeps sipgo from asking for names that a peer gives in its Via.
func noResolver(context.Context, string, string) (net.Conn, error) { return nil, errNotOurs }

// noDialer keeps sipgo from dialling: it would redial a lost connection behind
// our back, and addresses that a peer names in its Via.
func noDialer(net.Addr) net.Dialer {
	return net.Dialer{ControlContext: func(context.Context, string, string, syscall.RawConn) error { return errNotOurs }}
}

func (s *Stack) openUDP(ctx context.Context, server *sipgo.Server) error {
	socket, err := s.network.ListenPacket(ctx, s.options.Local)
	if err != nil {
		return fmt.Errorf("open UDP socket on %s: %w", s.options.Local, err)
	}
	if s.local, err = addrPort(socket.LocalAddr()); err != nil {
		socket.Close()
		return err
	}
	socket = hearICMP(socket, s.unreachable)
	s.packets = &packetConn{PacketConn: socket, stack: s, backlog: newBacklog(), ready: make(chan struct{})}
	s.packets.standIn = &sip.UDPConnection{PacketConn: s.packets, PacketAddr: socket.LocalAddr().String(), Listener: true}
	s.serve(s.packets.pump)
	s.serve(func() {
		for !s.packets.over { // it ends to begin anew: see packetConn.renew
			if server.ServeUDP(s.packets) != nil {
				return
			}
		}
	})
	<-s.packets.ready
	return nil
}

func (s *Stack) openStream(ctx context.Context, serve func(net.Listener) error) error {
	s.local = s.options.Local
	if s.options.Listen {
		listener, err := s.network.Listen(ctx, s.options.Local)
		if err != nil {
			return fmt.Errorf("listen on %s %s: %w", strings.ToUpper(s.options.Transport), s.options.Local, err)
		}
		s.accept = listener
		if s.local, err = addrPort(listener.Addr()); err != nil {
			listener.Close()
			return err
		}
	}
	s.feed = &feed{conns: make(chan net.Conn), done: s.done, addr: net.TCPAddrFromAddrPort(s.local)}
	s.serve(func() { serve(s.feed) })
	if s.accept != nil {
		s.serve(s.acceptAll)
	}
	return nil
}

// begin counts somebody as busy, who has to say when he is done; false where the
// stack is closed, and nobody is waited for any more.
func (s *Stack) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.busy.Add(1)
	return true
}

func (s *Stack) serve(f func()) {
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer guard.Recover(s.options.OnPanic)
		f()
	}()
}

func (s *Stack) acceptAll() {
	for {
		conn, err := s.accept.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, or a peer that left: neither ends the listening.
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-s.done:
				return
			}
		}
		if conn = s.admit(conn); conn == nil {
			continue
		}
		if s.options.Transport != TCP {
			s.serve(func() { s.greet(conn) })
			continue
		}
		if _, err := s.addConn(conn, true); err != nil {
			conn.Close()
		}
	}
}

// Local is the address that the stack is bound to. Where it has
// connections and does not listen its port is 0; see Flow.Local.
func (s *Stack) Local() netip.AddrPort { return s.local }

// Transport is the stack's transport.
func (s *Stack) Transport() string { return s.options.Transport }

// Connect gives the flow to a remote address. Over UDP that is no more than the
// address; else the connection that is there, or a new one: that blocks. The
// error wraps ErrTransport, and a *TLSError where TLS is at fault.
func (s *Stack) Connect(ctx context.Context, remote netip.AddrPort) (*Flow, error) {
	if s.options.Transport == UDP {
		return s.udpFlow(remote), nil
	}
	s.mu.Lock()
	flow, closed := s.flows[remote], s.closed
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if flow != nil {
		flow.awaitReader()
		return flow, nil
	}
	conn, err := s.network.Dial(ctx, s.local, remote)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", ErrTransport, remote, cause(err))
	}
	if s.isSecure() {
		if conn, err = s.secure(ctx, conn, remote); err != nil {
			return nil, err
		}
	}
	if s.isWebSocket() {
		if conn, err = s.upgrade(ctx, conn, remote); err != nil {
			return nil, err
		}
	}
	return s.addConn(conn, false)
}

func (s *Stack) isSecure() bool    { return s.options.Transport == TLS || s.options.Transport == WSS }
func (s *Stack) isWebSocket() bool { return s.options.Transport == WS || s.options.Transport == WSS }

// FlowTo is the connection that there is to a remote address, or nil; over UDP
// it is never nil.
func (s *Stack) FlowTo(remote netip.AddrPort) *Flow {
	if s.options.Transport == UDP {
		return s.udpFlow(remote)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flows[remote]
}

// cause takes off what net puts around an error: addresses that were said already.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		err = call.Err
	}
	return err
}

func (s *Stack) udpFlow(remote netip.AddrPort) *Flow {
	return &Flow{stack: s, local: s.local, remote: remote, done: s.done}
}

// addConn hands a connection to sipgo and returns once it reads from it. Of two
// accounts that dial the same target at once, the second gets the first's flow.
func (s *Stack) addConn(raw net.Conn, accepted bool) (*Flow, error) {
	local, err := addrPort(raw.LocalAddr())
	if err != nil {
		return nil, err
	}
	remote, err := addrPort(raw.RemoteAddr())
	if err != nil {
		return nil, err
	}
	flow := &Flow{stack: s, local: local, remote: remote, accepted: accepted, done: make(chan struct{})}
	flow.conn = &streamConn{Conn: raw, flow: flow, ready: make(chan struct{})}
	if socket, ok := raw.(*websocket); ok {
		socket.ponged = flow.conn.beats.pong
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		raw.Close()
		return nil, ErrClosed
	}
	if first := s.flows[remote]; first != nil {
		s.mu.Unlock()
		raw.Close()
		first.awaitReader()
		return first, nil
	}
	s.flows[remote] = flow
	s.mu.Unlock()
	select {
	case s.feed.conns <- flow.conn:
	case <-s.done:
		flow.lost(ErrClosed)
		return nil, ErrClosed
	}
	flow.awaitReader()
	return flow, nil
}

// awaitReader blocks until sipgo reads from the connection: before that it does
// not find it in its pool, and a request would fail.
func (f *Flow) awaitReader() {
	select {
	case <-f.conn.ready:
	case <-f.stack.done:
	}
}

// Close ends every transaction and connection and frees the socket; it returns
// when nothing of the stack runs any more.
func (s *Stack) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	flows := s.flows
	s.flows = nil
	s.mu.Unlock()
	close(s.done)
	for _, flow := range flows {
		flow.lost(ErrClosed)
	}
	s.busy.Wait()
	if s.packets != nil {
		s.packets.Close()
		s.packets.backlog.close()
	}
	if s.accept != nil {
		s.accept.Close()
	}
	s.running.Wait()
	// Not the whole agent: that would empty its pool, see packetConn.bury.
	s.agent.TransactionLayer().Close()
}
