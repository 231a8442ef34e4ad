package wire

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"

	"regwatch/internal/trace"
)

// Stacks opens stacks and shares them: one for each transport and local
// address, and over TLS for each peer. All methods may be called from several goroutines.
type Stacks struct {
	network Network
	locator *Locator
	trace   *trace.Ring
	keyLog  io.Writer
	onPanic func(error)

	mu     sync.Mutex
	closed bool
	open   map[stackKey]*Stack
}

type stackKey struct {
	transport string
	local     netip.AddrPort
	peer      Peer // what of it counts for the transport
}

// NewStacks returns an empty set; nil for network is System, nil for ring no
// trace, nil for keyLog no key log, onPanic as in Options.
func NewStacks(network Network, ring *trace.Ring, keyLog io.Writer, onPanic func(error)) *Stacks {
	if network == nil {
		network = System{}
	}
	return &Stacks{
		network: network, locator: NewLocator(network, LocatorOptions{}), trace: ring, keyLog: keyLog, onPanic: onPanic,
		open: make(map[stackKey]*Stack),
	}
}

// Locate finds where requests to a URI go, as Locator.Locate does; the accounts
// share its cache.
func (s *Stacks) Locate(ctx context.Context, uri, transport string) ([]Target, error) {
	return s.locator.Locate(ctx, uri, transport)
}

// far are addresses of no machine (RFC 5737 3, RFC 3849 2): the way to them is
// the default route's.
var far = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("[2001:db8::1]:9")}

// Surroundings describes the network around us, in a form that is only good for
// comparing: another one means that addresses or default routes changed. It sends
// nothing.
func (s *Stacks) Surroundings(ctx context.Context) string {
	addresses := s.network.Addresses()
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, to := range far {
		source, _ := s.network.SourceFor(ctx, to) // none is an answer too
		addresses = append(addresses, source)
	}
	return fmt.Sprint(addresses)
}

// Flow gives a flow to the target, from local where that has an address, else
// from the address that the route says. It blocks while a connection is made.
// Over TLS and WebSocket the peer says whom it has to be with; else it counts for
// nothing.
// The error is as of Stack.Connect.
func (s *Stacks) Flow(ctx context.Context, target Target, local netip.AddrPort, peer Peer) (*Flow, error) {
	if !local.Addr().IsValid() {
		source, err := s.network.SourceFor(ctx, target.Addr)
		if err != nil {
			return nil, fmt.Errorf("%w: no route to %s: %w", ErrTransport, target.Addr, err)
		}
		local = netip.AddrPortFrom(source, local.Port())
	}
	switch target.Transport {
	case UDP, TCP:
		peer = Peer{}
	case TLS:
		peer.Path = ""
	case WS:
		peer.TLS = TLSSettings{}
	}
	stack, err := s.stack(ctx, stackKey{target.Transport, local, peer})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTransport, err)
	}
	return stack.Connect(ctx, target.Addr)
}

func (s *Stacks) stack(ctx context.Context, key stackKey) (*Stack, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if stack := s.open[key]; stack != nil {
		return stack, nil
	}
	stack, err := OpenStack(ctx, Options{
		Network: s.network, Transport: key.transport, Local: key.local, Peer: key.peer,
		KeyLog: s.keyLog, Trace: s.trace, OnPanic: s.onPanic, Crowds: true,
	})
	if err != nil {
		return nil, err
	}
	s.open[key] = stack
	return stack, nil
}

// Close closes every stack, and refuses to open more.
func (s *Stacks) Close() {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for _, stack := range open {
		stack.Close()
	}
}
