package memnet

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"time"
)

type datagram struct {
	data []byte
	from netip.AddrPort
}

// packetSocket is a UDP socket: a full queue drops, as a kernel's does.
type packetSocket struct {
	net   *Net
	local netip.AddrPort
	in    chan datagram
	once  sync.Once
	done  chan struct{}
}

func (s *packetSocket) ReadFrom(buffer []byte) (int, net.Addr, error) {
	select {
	case d := <-s.in:
		return copy(buffer, d.data), net.UDPAddrFromAddrPort(d.from), nil
	case <-s.done:
		return 0, nil, net.ErrClosed
	}
}

func (s *packetSocket) WriteTo(data []byte, to net.Addr) (int, error) {
	select {
	case <-s.done:
		return 0, net.ErrClosed
	default:
	}
	target := to.(*net.UDPAddr).AddrPort()
	target = netip.AddrPortFrom(target.Addr().Unmap(), target.Port())
	n := s.net
	n.mu.Lock()
	defer n.mu.Unlock()
	packet := Packet{s.local, target, data}
	if n.parted(s.local.Addr(), target.Addr()) || n.drop != nil && n.drop(packet) || n.lost() {
		return len(data), nil
	}
	wait := n.delay
	if n.jitter > 0 {
		wait += time.Duration(n.random.Int64N(int64(n.jitter)))
	}
	copied := datagram{bytes.Clone(data), s.local}
	if wait == 0 {
		n.arrive(target, copied)
		return len(data), nil
	}
	time.AfterFunc(wait, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.arrive(target, copied)
	})
	return len(data), nil
}

// arrive is called with the network locked.
func (n *Net) arrive(at netip.AddrPort, d datagram) {
	socket := n.packets[at]
	if socket == nil {
		return
	}
	select {
	case socket.in <- d:
	default:
	}
}

func (s *packetSocket) Close() error {
	s.once.Do(func() {
		s.net.mu.Lock()
		if s.net.packets[s.local] == s {
			delete(s.net.packets, s.local)
		}
		s.net.mu.Unlock()
		close(s.done)
	})
	return nil
}

func (s *packetSocket) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(s.local) }
func (s *packetSocket) SetDeadline(time.Time) error      { return nil }
func (s *packetSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *packetSocket) SetWriteDeadline(time.Time) error { return nil }
