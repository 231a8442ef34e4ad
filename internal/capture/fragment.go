package capture

import (
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"
)

const (
	// maxFragments bounds the bytes of IP fragments that wait for the others of
	// their packet, each counted with fragmentCost more. Beyond it all are given up.
	maxFragments = 16 << 20
	fragmentCost = 1 << 10
	// fragmentWait is how long they wait before their name may be another packet's:
	// RFC 791 3.2 has 15 s, most hosts 30.
	fragmentWait = 30 * time.Second
)

// fragments puts IP packets together (RFC 791 3.2, RFC 8200 4.5). The library
// holds the bytes and neither bounds nor counts them; that is done here.
type fragments struct {
	v4   *ip4defrag.IPv4Defragmenter
	v6   *ip6defrag.IPv6Defragmenter
	open map[fragmentKey]pending
	held int // bytes, with fragmentCost
	lost int // fragments whose packet was given up
}

// fragmentKey names the packet that a fragment is of.
type fragmentKey struct {
	hosts    gopacket.Flow
	protocol layers.IPProtocol // of IPv4; IPv6 has none in each fragment
	id       uint32
}

// pending is what came of a packet.
type pending struct {
	count, held int
	since       time.Time
}

func newFragments() *fragments {
	return &fragments{v4: ip4defrag.NewIPv4Defragmenter(), v6: ip6defrag.NewIPv6Defragmenter(), open: map[fragmentKey]pending{}}
}

// take takes a packet that may be a fragment, and returns what the last one of
// its packet makes whole, from the transport header on; else nil.
func (f *fragments) take(packet gopacket.Packet, at time.Time) gopacket.Packet {
	switch ip := packet.NetworkLayer().(type) {
	case *layers.IPv4:
		if ip.Flags&layers.IPv4MoreFragments == 0 && ip.FragOffset == 0 {
			return nil
		}
		key := fragmentKey{ip.NetworkFlow(), ip.Protocol, uint32(ip.Id)}
		f.note(key, len(ip.Payload), at)
		whole, err := f.v4.DefragIPv4WithTimestamp(ip, at)
		if err != nil || whole == nil {
			return nil
		}
		f.close(key)
		return gopacket.NewPacket(whole.Payload, whole.Protocol, takeApart)
	case *layers.IPv6:
		fragment, ok := packet.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
		if !ok {
			return nil
		}
		key := fragmentKey{hosts: ip.NetworkFlow(), id: fragment.Identification}
		f.note(key, len(fragment.LayerPayload()), at)
		whole := f.v6.DefragIPv6(ip, fragment)
		if whole == nil {
			return nil
		}
		f.close(key)
		return gopacket.NewPacket(whole.Payload, whole.NextHeader, takeApart)
	}
	return nil
}

func (f *fragments) note(key fragmentKey, size int, at time.Time) {
	size += fragmentCost
	if f.held+size > maxFragments {
		f.forget(func(pending) bool { return true })
		f.v4, f.v6 = ip4defrag.NewIPv4Defragmenter(), ip6defrag.NewIPv6Defragmenter()
	}
	// Half of an old packet must not become half of a new one.
	if old, ok := f.open[key]; ok && at.Sub(old.since) > fragmentWait {
		f.forget(func(p pending) bool { return at.Sub(p.since) > fragmentWait })
		f.v4.DiscardOlderThan(at.Add(-fragmentWait))
	}
	p, ok := f.open[key]
	if !ok {
		p.since = at
	}
	p.count++
	p.held += size
	f.open[key] = p
	f.held += size
}

// close: the packet is whole.
func (f *fragments) close(key fragmentKey) {
	f.held -= f.open[key].held
	delete(f.open, key)
}

// forget gives up the packets that which says.
func (f *fragments) forget(which func(pending) bool) {
	for key, p := range f.open {
		if which(p) {
			f.lost += p.count
			f.close(key)
		}
	}
}
