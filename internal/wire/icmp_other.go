//go:build !linux

package wire

import "net"

// hearICMP leaves the socket as it is: no other system queues ICMP messages for
// a socket that is not connected.
func hearICMP(socket net.PacketConn, _ func(Unreachable)) net.PacketConn { return socket }
