package capture

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/reassembly"
)

const (
	// maxFollowed bounds the connections that are followed at a time. One more, and
	// all are begun anew: what waits in them is given as it is.
	maxFollowed = 16384
	// Segments that came too early wait in pages of some 2 kB each.
	maxPages      = 16384
	maxPagesOfOne = 1024
	// segmentWait is how long they wait for those before them, by the clock of the
	// capture; lookEvery is how often it is looked, and lookCost bounds what that
	// costs: so many connections a segment.
	segmentWait = 10 * time.Second
	lookEvery   = time.Second
	lookCost    = 64
)

// assembly puts the segments of TCP connections in order (RFC 9293 3.4). The
// library does it; which connection a segment is of is decided here, since
// devices connect again from the ports that they had.
type assembly struct {
	out     func(Chunk)
	inOrder *reassembly.Assembler
	open    map[pair]*followed
	begun   uint64 // connections
	live    int    // of them, those that are not over
	looked  time.Time
	since   int // segments since then

	waiting []Chunk // given while the library goes through its connections, in no order
	walking bool
}

// pair is the two ends of a connection, the lower first.
type pair struct{ low, high netip.AddrPort }

// followed is a connection.
type followed struct {
	*assembly
	number   uint64
	name     pair
	from, to netip.AddrPort // of its first segment
	syn      bool           // its SYN was seen
	initial  uint32         // the number of that
	last     time.Time      // of what was given
}

// sighting is what the library hands back with the bytes of a segment.
type sighting struct {
	gopacket.CaptureInfo
	connection *followed
}

func (s *sighting) GetCaptureInfo() gopacket.CaptureInfo { return s.CaptureInfo }

func newAssembly(give func(Chunk)) *assembly {
	a := &assembly{out: give, open: map[pair]*followed{}}
	a.inOrder = reassembly.NewAssembler(reassembly.NewStreamPool(a))
	a.inOrder.MaxBufferedPagesTotal, a.inOrder.MaxBufferedPagesPerConnection = maxPages, maxPagesOfOne
	return a
}

func (a *assembly) segment(from, to netip.AddrPort, s *layers.TCP, info gopacket.CaptureInfo) {
	a.since++
	if at := info.Timestamp; at.Sub(a.looked) >= lookEvery && a.since*lookCost >= a.live {
		a.walk(func() { a.inOrder.FlushWithOptions(reassembly.FlushOptions{T: at.Add(-segmentWait)}) })
		a.looked, a.since = at, 0
	}
	name, side := pair{from, to}, byte(0)
	if from.Compare(to) > 0 {
		name, side = pair{to, from}, 1
	}
	c := a.open[name]
	opens := s.SYN && !s.ACK
	switch {
	case c == nil && len(s.Payload) == 0 && !s.SYN:
		return // the end of one that is over
	case c == nil || opens && (!c.syn || c.initial != s.Seq):
		if a.live >= maxFollowed {
			a.end()
		}
		a.begun++
		a.live++
		c = &followed{assembly: a, number: a.begun, name: name, from: from, to: to}
		a.open[name] = c
	}
	if opens {
		c.syn, c.initial = true, s.Seq
	}
	// In place of the addresses the connection's number, with the side.
	id := binary.BigEndian.AppendUint64(nil, c.number)
	flow := gopacket.NewFlow(gopacket.EndpointInvalid, append(id[:8:8], side), append(id[:8:8], 1-side))
	a.inOrder.AssembleWithContext(flow, s, &sighting{info, c})
}

// end gives what still waits, and closes all connections.
func (a *assembly) end() { a.walk(func() { a.inOrder.FlushAll() }) }

// walk lets the library go through its connections, and puts what they give in
// the order of time: the library has none.
func (a *assembly) walk(through func()) {
	a.walking = true
	through()
	a.walking = false
	slices.SortStableFunc(a.waiting, func(x, y Chunk) int {
		return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Stream, y.Stream))
	})
	for _, chunk := range a.waiting {
		a.out(chunk)
	}
	a.waiting = nil
}

func (a *assembly) give(chunk Chunk) {
	if !a.walking {
		a.out(chunk)
		return
	}
	chunk.Data = bytes.Clone(chunk.Data)
	a.waiting = append(a.waiting, chunk)
}

// New is called by the library for the first segment of a connection.
func (a *assembly) New(_, _ gopacket.Flow, _ *layers.TCP, context reassembly.AssemblerContext) reassembly.Stream {
	return context.(*sighting).connection
}

// Accept is called by the library for each segment. A connection may have begun
// before the capture did.
func (c *followed) Accept(_ *layers.TCP, _ gopacket.CaptureInfo, _ reassembly.TCPFlowDirection, _ reassembly.Sequence, start *bool, _ reassembly.AssemblerContext) bool {
	*start = true
	return true
}

// ReassembledSG is called by the library with bytes in order.
func (c *followed) ReassembledSG(gathered reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	length, _ := gathered.Lengths()
	if length == 0 {
		return
	}
	direction, _, _, skipped := gathered.Info()
	chunk := c.chunk(direction == reassembly.TCPDirServerToClient)
	c.last = gathered.CaptureInfo(0).Timestamp
	chunk.Time, chunk.Data, chunk.Lost = c.last, gathered.Fetch(length), skipped > 0
	c.give(chunk)
}

// ReassemblyComplete is called by the library when both directions are over.
func (c *followed) ReassemblyComplete(reassembly.AssemblerContext) bool {
	for _, back := range []bool{false, true} {
		chunk := c.chunk(back)
		chunk.Time, chunk.End = c.last, true
		c.give(chunk)
	}
	c.live--
	if c.open[c.name] == c {
		delete(c.open, c.name)
	}
	return true
}

func (c *followed) chunk(back bool) Chunk {
	if back {
		return Chunk{Transport: "tcp", From: c.to, To: c.from, Stream: 2*c.number + 1}
	}
	return Chunk{Transport: "tcp", From: c.from, To: c.to, Stream: 2 * c.number}
}
