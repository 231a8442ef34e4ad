package wire

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Network is the one seam to the network. System is the machine's own;
// memnet.Host is one in memory, with loss, delay and partition.
type Network interface {
	// ListenPacket opens a UDP socket; port 0 chooses a free one.
	ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error)
	// Listen opens a TCP listener; port 0 chooses a free one.
	Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error)
	// Dial opens a TCP connection, from local where that is valid.
	Dial(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error)
	// Nameservers says which DNS servers to ask, the best first, how long to wait
	// for one, and how many times to go through them. It is called before each
	// question: a laptop changes its network while we run.
	Nameservers() (servers []netip.AddrPort, timeout time.Duration, attempts int)
	// Hosts gives the addresses that the network's own table has for a name.
	Hosts(name string) []netip.Addr
	// LookupHost gives the addresses of a name by other means than ours, where
	// Nameservers names none.
	LookupHost(ctx context.Context, name string) ([]netip.Addr, error)
	// SourceFor tells which local address packets to remote leave from.
	SourceFor(ctx context.Context, remote netip.AddrPort) (netip.Addr, error)
	// Addresses are those that this machine has now, in no order.
	Addresses() []netip.Addr
}

// System is the machine's own network. The zero value is ready.
type System struct{}

// readBuffer is room for what comes at once where many accounts share a socket: a
// registrar that kicks all of them. What finds none is sent again after 500 ms.
const readBuffer = 4 << 20

// ListenPacket opens a UDP socket.
func (System) ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp", local.String())
	if socket, ok := conn.(*net.UDPConn); ok {
		socket.SetReadBuffer(readBuffer) // as much of it as the system allows
	}
	return conn, err
}

// Listen opens a TCP listener.
func (System) Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", local.String())
}

// Dial opens a TCP connection.
func (System) Dial(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	var dialer net.Dialer
	if local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	return dialer.DialContext(ctx, "tcp", remote.String())
}

// Nameservers reads /etc/resolv.conf.
func (System) Nameservers() (servers []netip.AddrPort, timeout time.Duration, attempts int) {
	return readNameservers("/etc/resolv.conf")
}

// Hosts reads /etc/hosts.
func (System) Hosts(name string) []netip.Addr { return readHosts("/etc/hosts", name) }

// LookupHost asks the machine's resolver.
func (System) LookupHost(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// SourceFor asks the machine's routes; it sends nothing.
func (System) SourceFor(ctx context.Context, remote netip.AddrPort) (netip.Addr, error) {
	var dialer net.Dialer
	probe, err := dialer.DialContext(ctx, "udp", remote.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer probe.Close()
	local, err := addrPort(probe.LocalAddr())
	return local.Addr(), err
}

// Addresses asks the machine's interfaces.
func (System) Addresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range list {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, prefix.Addr())
		}
	}
	return out
}

// addrPort reads what a net.Addr of UDP or TCP says.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort()), nil
	case *net.TCPAddr:
		return unmap(a.AddrPort()), nil
	}
	parsed, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read address %q: %w", a, err)
	}
	return unmap(parsed), nil
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
