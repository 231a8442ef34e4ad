package capture

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket/layers"
)

const (
	// maxStreams bounds the connections that are remembered. One that was
	// forgotten begins again, as a new connection of the same ports would.
	maxStreams = 1024
	// mtu is Ethernet's: segments look as they mostly do.
	mtu = 1500
	// windowScale lets 8 MB be under way, so that no reader finds the window
	// full: what is not answered by a message is never acknowledged.
	windowScale = 7
)

// connection is what the messages of one TCP or TLS connection have in common.
type connection struct {
	transport     string
	local, remote netip.AddrPort
}

// segment is a TCP segment; the ports of its header are left to the frame.
type segment struct {
	sent    bool // by us
	header  layers.TCP
	payload []byte
}

// streams makes up the TCP connections below messages. It counts what is
// written to the file, not what was on the wire: masking changes lengths.
//
// Nobody tells it that a connection began or ended. Its first message brings
// the handshake, opened by the sender, for a client speaks first in SIP; there
// is no FIN.
type streams struct {
	known map[connection]*stream
	begun uint32 // connections, forgotten ones too
	turn  uint64 // rises by one a message
}

// stream is the state of a connection: the next sequence number of each side.
type stream struct {
	ours, theirs uint32
	used         uint64 // the turn of its last message
}

func newStreams() *streams { return &streams{known: map[connection]*stream{}} }

// carry is the segments that bring a message, a handshake before them where the
// connection is new. The last has PSH set. The payloads are slices of message.
func (s *streams) carry(c connection, sent bool, message []byte) []segment {
	s.turn++
	var out []segment
	at := s.known[c]
	if at == nil {
		at, out = s.open(c, sent)
	}
	at.used = s.turn
	for part := range slices.Chunk(message, maxSegment(c)) {
		out = append(out, at.next(sent, layers.TCP{ACK: true}, part))
	}
	if len(message) > 0 {
		out[len(out)-1].header.PSH = true
	}
	return out
}

// open begins a connection with SYN, SYN/ACK and ACK.
func (s *streams) open(c connection, byUs bool) (*stream, []segment) {
	if len(s.known) >= maxStreams {
		s.forget()
	}
	s.begun++
	// Spread over all numbers, so that a connection that comes again on the same
	// ports is not taken for a retransmission; and the same in each run.
	first := s.begun * 0x9e3779b1
	at := &stream{ours: first, theirs: ^first}
	s.known[c] = at

	// The maximum segment size, and a window scale with the padding that
	// everybody gives it (RFC 9293 3.2, RFC 7323 2.2).
	offer := []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionData: binary.BigEndian.AppendUint16(nil, uint16(maxSegment(c)))},
		{OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{windowScale}},
	}
	return at, []segment{
		at.next(byUs, layers.TCP{SYN: true, Options: offer}, nil),
		at.next(!byUs, layers.TCP{SYN: true, ACK: true, Options: offer}, nil),
		at.next(byUs, layers.TCP{ACK: true}, nil),
	}
}

// forget drops the connection that was silent for longest.
func (s *streams) forget() {
	var oldest connection
	last := uint64(math.MaxUint64)
	for c, at := range s.known {
		if at.used < last {
			oldest, last = c, at.used
		}
	}
	delete(s.known, oldest)
}

// next completes a segment and moves the sender's number on. SYN counts as one
// byte (RFC 9293 3.4).
func (at *stream) next(sent bool, header layers.TCP, payload []byte) segment {
	own, other := &at.ours, at.theirs
	if !sent {
		own, other = &at.theirs, at.ours
	}
	header.Seq, header.Window = *own, math.MaxUint16
	if header.ACK {
		header.Ack = other
	}
	*own += uint32(len(payload))
	if header.SYN {
		*own++
	}
	return segment{sent, header, payload}
}

// maxSegment is what the mtu leaves for a segment.
func maxSegment(c connection) int {
	if c.remote.Addr().Is4() {
		return mtu - 20 - 20
	}
	return mtu - 40 - 20
}
