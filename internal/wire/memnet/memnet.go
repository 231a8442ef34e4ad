// Package memnet is a network in memory: hosts with addresses, UDP and TCP
// between them, with delay, loss, reordering and partition. It stands in for
// wire.System, and runs in real time as well as in the virtual time of
// testing/synctest, where a day passes in milliseconds.
//
// It knows no SIP, and of the DNS what its Nameserver has to answer. Only tests
// use it.
package memnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Net is one network. All methods may be called from several goroutines.
type Net struct {
	mu        sync.Mutex
	packets   map[netip.AddrPort]*packetSocket
	listeners map[netip.AddrPort]*listener
	streams   map[*stream]struct{}
	names     map[string][]netip.Addr
	nextPort  uint16

	nameservers []netip.AddrPort
	dnsTimeout  time.Duration
	dnsAttempts int

	delay  time.Duration
	jitter time.Duration // up to this much more for each datagram: they may overtake
	drop   func(Packet) bool
	share  float64 // of datagrams and segments that are lost
	cut    map[[2]netip.Addr]bool
	gone   map[netip.Addr]bool // addresses that their host has no more
	random *rand.Rand
}

// Packet is a datagram under way, as Drop sees it.
type Packet struct {
	From, To netip.AddrPort
	Data     []byte
}

// New returns a network without delay or loss. Its randomness is seeded: the
// same test sees the same losses.
func New() *Net {
	return &Net{
		packets:   make(map[netip.AddrPort]*packetSocket),
		listeners: make(map[netip.AddrPort]*listener),
		streams:   make(map[*stream]struct{}),
		names:     make(map[string][]netip.Addr),
		nextPort:  40000,
		cut:       make(map[[2]netip.Addr]bool),
		gone:      make(map[netip.Addr]bool),
		random:    rand.New(rand.NewPCG(1, 2)),
	}
}

// SetDelay makes everything take d, and each datagram up to jitter more.
func (n *Net) SetDelay(d, jitter time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay, n.jitter = d, jitter
}

// Drop loses every datagram for which f says true; nil loses none. f is called
// with the network locked.
func (n *Net) Drop(f func(Packet) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop = f
}

// Lose loses that share of all datagrams, from 0 to less than 1. TCP loses as
// many of its segments and sends them again after 1 s, then after twice as long
// each time (RFC 6298 2.1, 5.5): what follows waits behind them.
func (n *Net) Lose(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.share = share
}

// lost is called with the network locked.
func (n *Net) lost() bool { return n.share > 0 && n.random.Float64() < n.share }

// resent is how long a segment is held up by being lost. It is called with the
// network locked.
func (n *Net) resent() (wait time.Duration) {
	for timeout := time.Second; n.lost(); timeout *= 2 {
		wait += timeout
	}
	return wait
}

// Name gives a name its addresses on every host, as a line in /etc/hosts does.
// Records of other types, and what changes with time, are a Nameserver's.
func (n *Net) Name(name string, addrs ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = addrs
}

// Cut parts two hosts: datagrams between them are lost, TCP data waits, new
// connections time out. Heal joins them again.
func (n *Net) Cut(a, b netip.Addr) { n.setCut(a, b, true) }

// Heal ends a Cut: the TCP data that waited arrives.
func (n *Net) Heal(a, b netip.Addr) { n.setCut(a, b, false) }

func (n *Net) setCut(a, b netip.Addr, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]netip.Addr{a, b}], n.cut[[2]netip.Addr{b, a}] = cut, cut
	for s := range n.streams {
		s.wake()
	}
}

func (n *Net) parted(a, b netip.Addr) bool {
	return n.cut[[2]netip.Addr{a, b}] || n.gone[a] || n.gone[b]
}

// Reset breaks every TCP connection between two hosts, as a rebooted server does.
func (n *Net) Reset(a, b netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.streams {
		if s.local.Addr() == a && s.remote.Addr() == b || s.local.Addr() == b && s.remote.Addr() == a {
			s.fail(syscall.ECONNRESET)
		}
	}
}

// Host is one machine of the network; it is a wire.Network.
type Host struct {
	net  *Net
	addr netip.Addr // guarded by the network's lock; invalid: unplugged
}

// Host returns the machine with that address; it panics where it is none.
func (n *Net) Host(addr string) *Host { return &Host{n, netip.MustParseAddr(addr)} }

// Addr is the host's address.
func (h *Host) Addr() netip.Addr {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.addr
}

// Addresses is the host's one address, none while it is unplugged.
func (h *Host) Addresses() []netip.Addr {
	if addr := h.Addr(); addr.IsValid() {
		return []netip.Addr{addr}
	}
	return nil
}

// Unplug takes the host off the network: what it has open hears and says nothing
// any more.
func (h *Host) Unplug() {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.net.gone[h.addr] = true
	h.addr = netip.Addr{}
}

// Plug puts an unplugged host back, with the address that it had or another one.
// Sockets of an address that it has not are of no use.
func (h *Host) Plug(addr string) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.addr = netip.MustParseAddr(addr)
	delete(h.net.gone, h.addr)
	for s := range h.net.streams {
		s.wake()
	}
}

// bind chooses the host's address and a free port where they are open. It is
// called with the network locked.
func (h *Host) bind(local netip.AddrPort, taken func(netip.AddrPort) bool) (netip.AddrPort, error) {
	if local.IsValid() && !local.Addr().IsUnspecified() && local.Addr() != h.addr {
		return local, fmt.Errorf("bind %s: not an address of %s", local, h.addr)
	}
	if port := local.Port(); port != 0 {
		local = netip.AddrPortFrom(h.addr, port)
		if taken(local) {
			return local, fmt.Errorf("bind %s: address already in use", local)
		}
		return local, nil
	}
	for {
		h.net.nextPort++
		if h.net.nextPort < 1024 {
			h.net.nextPort = 40000
		}
		if free := netip.AddrPortFrom(h.addr, h.net.nextPort); !taken(free) {
			return free, nil
		}
	}
}

// ListenPacket opens a UDP socket of the host.
func (h *Host) ListenPacket(_ context.Context, local netip.AddrPort) (net.PacketConn, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	bound, err := h.bind(local, func(a netip.AddrPort) bool { return h.net.packets[a] != nil })
	if err != nil {
		return nil, err
	}
	socket := &packetSocket{net: h.net, local: bound, in: make(chan datagram, 4096), done: make(chan struct{})}
	h.net.packets[bound] = socket
	return socket, nil
}

// Listen opens a TCP listener of the host.
func (h *Host) Listen(_ context.Context, local netip.AddrPort) (net.Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	bound, err := h.bind(local, func(a netip.AddrPort) bool { return h.net.listeners[a] != nil })
	if err != nil {
		return nil, err
	}
	l := &listener{net: h.net, local: bound, conns: make(chan net.Conn, 1024), done: make(chan struct{})}
	h.net.listeners[bound] = l
	return l, nil
}

// Dial opens a TCP connection from the host.
func (h *Host) Dial(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	for {
		h.net.mu.Lock()
		parted, wait := h.net.parted(h.addr, remote.Addr()), 2*h.net.delay+h.net.resent()
		h.net.mu.Unlock()
		if parted {
			wait = time.Second // a SYN again
		}
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil, fmt.Errorf("dial %s: %w", remote, ctx.Err())
			}
		}
		if !parted {
			return h.connect(local, remote)
		}
	}
}

func (h *Host) connect(local, remote netip.AddrPort) (net.Conn, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[remote]
	if l == nil {
		return nil, fmt.Errorf("dial %s: connection refused", remote)
	}
	bound, err := h.bind(local, func(netip.AddrPort) bool { return false })
	if err != nil {
		return nil, err
	}
	ours, theirs := newStream(n, bound, remote), newStream(n, remote, bound)
	ours.peer, theirs.peer = theirs, ours
	n.streams[ours], n.streams[theirs] = struct{}{}, struct{}{}
	select {
	case l.conns <- theirs:
		return ours, nil
	default:
		return nil, fmt.Errorf("dial %s: backlog full", remote)
	}
}

// Hosts answers from the names of the network.
func (h *Host) Hosts(name string) []netip.Addr {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return slices.Clone(h.net.names[name])
}

// LookupHost knows the same names as Hosts.
func (h *Host) LookupHost(_ context.Context, name string) ([]netip.Addr, error) {
	if addrs := h.Hosts(name); len(addrs) > 0 {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// SourceFor is the host's one address; to the other family there is no route.
func (h *Host) SourceFor(_ context.Context, remote netip.AddrPort) (netip.Addr, error) {
	addr := h.Addr()
	if remote.Addr().Is4() != addr.Is4() {
		return netip.Addr{}, fmt.Errorf("route to %s: network is unreachable", remote.Addr())
	}
	return addr, nil
}

type listener struct {
	net   *Net
	local netip.AddrPort
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.local)
		l.net.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }
