package wire

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// hearICMP makes the system keep the ICMP messages about what a UDP socket sent
// (IP_RECVERR, see ip(7)), and has tell called with each. Sockets that are not
// the system's are left as they are.
func hearICMP(socket net.PacketConn, tell func(Unreachable)) net.PacketConn {
	conn, ok := socket.(*net.UDPConn)
	if !ok {
		return socket
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return socket
	}
	heard := false
	raw.Control(func(fd uintptr) {
		// A socket of both families needs both.
		v4 := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
		v6 := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
		heard = v4 == nil || v6 == nil
	})
	if !heard {
		return socket
	}
	return &icmpConn{conn, raw, tell}
}

// icmpConn is a UDP socket with an error queue. The kernel also gives each error
// to the next call, whatever that is about: the message itself is in the queue.
type icmpConn struct {
	*net.UDPConn
	raw  syscall.RawConn
	tell func(Unreachable)
}

func (c *icmpConn) ReadFrom(buffer []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.UDPConn.ReadFrom(buffer)
		if err == nil || errors.Is(err, net.ErrClosed) || !c.drain() {
			return n, from, err
		}
	}
}

// WriteTo sends also where the kernel first gives it the error of another
// datagram: a transaction that took that for its own would end.
func (c *icmpConn) WriteTo(data []byte, to net.Addr) (n int, err error) {
	for range 4 { // others may have come meanwhile
		n, err = c.UDPConn.WriteTo(data, to)
		if err == nil || errors.Is(err, net.ErrClosed) {
			return n, err
		}
		c.drain()
	}
	return n, err
}

// drain reads the queue until it is empty, and reports whether anything was in it.
func (c *icmpConn) drain() (found bool) {
	var heard []Unreachable
	c.raw.Control(func(fd uintptr) {
		control := make([]byte, 512)
		for {
			_, n, _, to, err := syscall.Recvmsg(int(fd), nil, control, syscall.MSG_ERRQUEUE|syscall.MSG_DONTWAIT)
			if err != nil {
				return
			}
			found = true
			if u, ok := readError(control[:n], to); ok {
				heard = append(heard, u)
			}
		}
	})
	for _, u := range heard {
		c.tell(u)
	}
	return found
}

// readError reads a sock_extended_err (ip(7)); ok is false where it tells of no
// place that cannot be reached.
func readError(control []byte, to syscall.Sockaddr) (u Unreachable, ok bool) {
	const (
		icmp4, icmp6 = 2, 3 // SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
		size         = 16   // of sock_extended_err; the address of who sent it is behind
	)
	words := map[syscall.Errno]string{
		syscall.ECONNREFUSED: "port unreachable", syscall.EHOSTUNREACH: "host unreachable",
		syscall.ENETUNREACH: "network unreachable", syscall.EACCES: "prohibited",
	}
	u.Remote = addrOf(to)
	messages, err := syscall.ParseSocketControlMessage(control)
	i := slices.IndexFunc(messages, func(m syscall.SocketControlMessage) bool {
		return len(m.Data) >= size && (m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_RECVERR ||
			m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_RECVERR)
	})
	if err != nil || i < 0 || !u.Remote.IsValid() {
		return Unreachable{}, false
	}
	data := messages[i].Data
	if origin := data[4]; origin != icmp4 && origin != icmp6 {
		return Unreachable{}, false // our own system's word comes with the call itself
	}
	u.What, ok = words[syscall.Errno(binary.NativeEndian.Uint32(data))]
	switch by := data[size:]; {
	case len(by) >= 8 && binary.NativeEndian.Uint16(by) == syscall.AF_INET:
		u.By = netip.AddrFrom4([4]byte(by[4:8]))
	case len(by) >= 24 && binary.NativeEndian.Uint16(by) == syscall.AF_INET6:
		u.By = netip.AddrFrom16([16]byte(by[8:24])).Unmap()
	}
	return u, ok
}

func addrOf(to syscall.Sockaddr) netip.AddrPort {
	switch to := to.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))
	case *syscall.SockaddrInet6:
		return unmap(netip.AddrPortFrom(netip.AddrFrom16(to.Addr), uint16(to.Port)))
	}
	return netip.AddrPort{}
}
