package capture

import (
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"regwatch/internal/trace"
)

const (
	// maxDatagram is what a UDP datagram holds over IPv4. None of ours was larger
	// on the wire; one that masking made so is cut off.
	maxDatagram = 65535 - 20 - 8
	hops        = 64
)

// frames builds packets that begin with the IP header, lengths and checksums
// right. What it returns is good until the next call.
type frames struct{ buffer gopacket.SerializeBuffer }

func newFrames() *frames { return &frames{gopacket.NewSerializeBuffer()} }

// datagram is one UDP packet, however large: as on a link that takes it whole.
func (f *frames) datagram(from, to netip.AddrPort, payload []byte) ([]byte, error) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	packet, err := f.packet(from.Addr(), to.Addr(), layers.IPProtocolUDP, udp, payload[:min(len(payload), maxDatagram)])
	if err != nil {
		return nil, err
	}
	// A sum of zero is sent as all ones: zero says that there is none (RFC 768),
	// which over IPv6 is an error (RFC 8200 8.1). The library leaves it zero.
	if udp.Checksum == 0 {
		sum := len(packet) - int(udp.Length) + 6
		packet[sum], packet[sum+1] = 0xff, 0xff
	}
	return packet, nil
}

func (f *frames) segment(from, to netip.AddrPort, s segment) ([]byte, error) {
	tcp := s.header
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(from.Port()), layers.TCPPort(to.Port())
	return f.packet(from.Addr(), to.Addr(), layers.IPProtocolTCP, &tcp, s.payload)
}

// transport is what both layers.UDP and layers.TCP are.
type transport interface {
	gopacket.SerializableLayer
	SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
}

func (f *frames) packet(from, to netip.Addr, protocol layers.IPProtocol, t transport, payload []byte) ([]byte, error) {
	var ip interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	}
	if from.Is4() {
		// An id of 0 is right where nothing may be fragmented (RFC 6864 4.1).
		ip = &layers.IPv4{Version: 4, TTL: hops, Flags: layers.IPv4DontFragment, Protocol: protocol, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: hops, NextHeader: protocol, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	if err := t.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(f.buffer, options, ip, t, gopacket.Payload(payload)); err != nil {
		return nil, err
	}
	return f.buffer.Bytes(), nil
}

// endpoints are a message's addresses, both of one family, since a packet has
// only one. A socket for both families knows IPv4 as ::ffff:192.0.2.1; where our
// own address is that of any interface or unknown, it stays unspecified.
func endpoints(m trace.Message) (local, remote netip.AddrPort) {
	ours, theirs := m.Local.Addr().Unmap().WithZone(""), m.Remote.Addr().Unmap().WithZone("")
	switch {
	case ours.Is4() && theirs.Is4(), ours.Is6() && theirs.Is6():
	case theirs.Is4() || !theirs.IsValid() && ours.Is4():
		ours, theirs = ipv4(ours), ipv4(theirs)
	default:
		ours, theirs = ipv6(ours), ipv6(theirs)
	}
	return netip.AddrPortFrom(ours, m.Local.Port()), netip.AddrPortFrom(theirs, m.Remote.Port())
}

func ipv4(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	return netip.IPv4Unspecified()
}

func ipv6(a netip.Addr) netip.Addr {
	if a.Is6() {
		return a
	}
	return netip.IPv6Unspecified()
}

// ordered is the addresses as a frame has them, the sender's first.
func ordered(local, remote netip.AddrPort, sent bool) (from, to netip.AddrPort) {
	if sent {
		return local, remote
	}
	return remote, local
}
