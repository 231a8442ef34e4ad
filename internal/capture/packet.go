package capture

import (
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// packets takes packets apart down to what UDP and TCP carry.
type packets struct {
	give      func(Chunk)
	tally     *Tally
	tcp       *assembly
	fragments *fragments
}

func (p *packets) end() {
	p.tcp.end()
	p.fragments.forget(func(pending) bool { return true })
	p.tally.Fragments = p.fragments.lost
}

// takeApart is lazy, or the library would look for SIP, DNS and others itself.
var takeApart = gopacket.DecodeOptions{Lazy: true, NoCopy: true}

func (p *packets) packet(data []byte, link layers.LinkType, info gopacket.CaptureInfo) {
	if year := info.Timestamp.Year(); year < 0 || year > 9999 {
		info.Timestamp = time.Time{} // no date that can be written, RFC 3339 1
	}
	if link == layers.LinkTypeIPv4 || link == layers.LinkTypeIPv6 {
		link = layers.LinkTypeRaw // which looks for itself
	}
	if link >= layers.LinkTypeMax || layers.LinkTypeMetadata[link].DecodeWith == nil {
		p.tally.Links++
		return
	}
	packet := gopacket.NewPacket(data, link, takeApart)
	network, transport := packet.NetworkLayer(), packet.TransportLayer()
	if network == nil {
		return
	}
	if transport == nil {
		whole := p.fragments.take(packet, info.Timestamp)
		if whole == nil {
			return
		}
		transport = whole.TransportLayer()
	}
	flow := network.NetworkFlow()
	source, ok1 := netip.AddrFromSlice(flow.Src().Raw())
	destination, ok2 := netip.AddrFromSlice(flow.Dst().Raw())
	if !ok1 || !ok2 {
		return
	}
	switch t := transport.(type) {
	case *layers.UDP:
		if len(t.Payload) == 0 {
			return
		}
		p.give(Chunk{
			Time: info.Timestamp, Transport: "udp", Data: t.Payload, Missing: max(0, int(t.Length)-8-len(t.Payload)),
			From: netip.AddrPortFrom(source, uint16(t.SrcPort)), To: netip.AddrPortFrom(destination, uint16(t.DstPort)),
		})
	case *layers.TCP:
		p.tcp.segment(netip.AddrPortFrom(source, uint16(t.SrcPort)), netip.AddrPortFrom(destination, uint16(t.DstPort)), t, info)
	}
}
