package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
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
	Transport string  // UDP or TCP
	// Local is the address to bind and the port, 0 for a free one. TCP uses it
	// to listen on where Listen is set, else as the source of its connections.
	Local netip.AddrPort
	// Listen makes a TCP stack accept connections.
	Listen bool
	Trace  *trace.Ring // nil: none
	// OnPanic is told of a panic on a goroutine of the stack, once it is over;
	// nil lets it end the program.
	OnPanic func(error)
}

// Stack is SIP over one transport from one local address: a UDP socket, or the
// TCP connections that leave from there. Several accounts share one. All its
// methods may be called from several goroutines.
type Stack struct {
	options Options
	network Network
	local   netip.AddrPort
	agent   *sipgo.UserAgent
	packets *packetConn  // UDP
	feed    *feed        // TCP: connections we made or took, on their way to sipgo
	accept  net.Listener // TCP with Listen

	done    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	flows    map[netip.AddrPort]*Flow // TCP, by remote address
	boxes    []*Box
	byCallID map[string]*Box
	answers  answers
}

// OpenStack binds the address and starts to read.
func OpenStack(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{
		options:  o,
		network:  o.Network,
		done:     make(chan struct{}),
		flows:    make(map[netip.AddrPort]*Flow),
		byCallID: make(map[string]*Box),
	}
	if s.network == nil {
		s.network = System{}
	}
	s.answers.init()
	var err error
	if s.agent, err = newAgent(); err != nil {
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
		err = s.openTCP(ctx, server)
	default:
		err = fmt.Errorf("transport %q is not supported", o.Transport)
	}
	if err != nil {
		s.agent.Close()
		return nil, err
	}
	return s, nil
}

func newAgent() (*sipgo.UserAgent, error) {
	return sipgo.NewUA(
		sipgo.WithUserAgentParser(newParser()),
		sipgo.WithUserAgentTransactionLayerOptions(
			// Not WithTransactionLayerTerminateOnConnClose: it ends a transaction that has
			// no state yet, and panics. Flow.Do watches the connection itself.
			sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {}),
		),
		sipgo.WithUserAgentTransportLayerOptions(
			sip.WithTransportLayerTransports(sip.TransportsConfig{TCP: &sip.TransportTCP{DialerCreate: noDialer}}),
		),
	)
}

var errNotOurs = errors.New("connections are made by the stack only")

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
	s.packets = &packetConn{PacketConn: socket, stack: s, ready: make(chan struct{})}
	s.serve(func() { server.ServeUDP(s.packets) })
	<-s.packets.ready
	return nil
}

func (s *Stack) openTCP(ctx context.Context, server *sipgo.Server) error {
	s.local = s.options.Local
	if s.options.Listen {
		listener, err := s.network.Listen(ctx, s.options.Local)
		if err != nil {
			return fmt.Errorf("listen on TCP %s: %w", s.options.Local, err)
		}
		s.accept = listener
		if s.local, err = addrPort(listener.Addr()); err != nil {
			listener.Close()
			return err
		}
	}
	s.feed = &feed{conns: make(chan net.Conn), done: s.done, addr: net.TCPAddrFromAddrPort(s.local)}
	s.serve(func() { server.ServeTCP(s.feed) })
	if s.accept != nil {
		s.serve(s.acceptAll)
	}
	return nil
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
		if _, err := s.addConn(conn, true); err != nil {
			conn.Close()
		}
	}
}

// Local is the address that the stack is bound to. For a TCP stack that does
// not listen its port is 0; see Flow.Local.
func (s *Stack) Local() netip.AddrPort { return s.local }

// Transport is the stack's transport.
func (s *Stack) Transport() string { return s.options.Transport }

// Connect gives the flow to a remote address. Over UDP that is no more than the
// address; over TCP the connection that is there, or a new one: that blocks.
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
		return flow, nil
	}
	conn, err := s.network.Dial(ctx, s.local, remote)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", ErrTransport, remote, cause(err))
	}
	return s.addConn(conn, false)
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
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		raw.Close()
		return nil, ErrClosed
	}
	if first := s.flows[remote]; first != nil {
		s.mu.Unlock()
		raw.Close()
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
	select {
	case <-flow.conn.ready:
	case <-s.done:
	}
	return flow, nil
}

// settleTime is far more than a message takes from the socket to its transaction.
const settleTime = 2 * time.Millisecond

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
	// What was read before is on its way through sipgo on goroutines that nobody
	// can join. Were its socket taken from the pool now, sipgo would open one of
	// its own to answer on, and never close it; so they get a moment to find ours.
	time.Sleep(settleTime)
	s.agent.Close()
	for _, flow := range flows {
		flow.lost(ErrClosed)
	}
	if s.packets != nil {
		s.packets.Close()
	}
	if s.accept != nil {
		s.accept.Close()
	}
	s.running.Wait()
}
