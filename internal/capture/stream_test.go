package capture

import (
	"math"
	"net/netip"
	"testing"
)

func peer(port int) connection {
	return connection{"tcp", netip.MustParseAddrPort("192.0.2.7:5060"), netip.AddrPortFrom(netip.MustParseAddr("198.51.100.2"), uint16(port))}
}

// TestForget: connections beyond the bound push the most silent one out, which
// begins anew, with other numbers.
func TestForget(t *testing.T) {
	s := newStreams()
	first := s.carry(peer(1), true, []byte("x"))
	for port := range maxStreams - 1 {
		s.carry(peer(port+2), false, []byte("x"))
	}
	if again := s.carry(peer(1), true, []byte("x")); len(again) != 1 {
		t.Fatalf("%d segments, want 1", len(again))
	}
	s.carry(peer(maxStreams+1), false, []byte("x")) // pushes 2 out
	if again := s.carry(peer(1), true, []byte("x")); len(again) != 1 || len(s.known) != maxStreams {
		t.Errorf("%d segments, want 1; %d connections", len(again), len(s.known))
	}
	again := s.carry(peer(2), true, []byte("x"))
	if len(again) != 4 || again[0].header.Seq == first[0].header.Seq || !again[0].sent {
		t.Errorf("got %+v", again)
	}
}

// TestWrap: numbers begin again after the last.
func TestWrap(t *testing.T) {
	s := newStreams()
	s.known[peer(1)] = &stream{ours: math.MaxUint32 - 1, theirs: 7}
	out := s.carry(peer(1), true, make([]byte, maxSegment(peer(1))+1))
	if len(out) != 2 || out[1].header.Seq != uint32(maxSegment(peer(1)))-2 || out[0].header.PSH || !out[1].header.PSH {
		t.Errorf("got %+v", out)
	}
	if out = s.carry(peer(1), false, []byte("x")); out[0].header.Ack != uint32(maxSegment(peer(1)))-1 || out[0].header.Seq != 7 {
		t.Errorf("got %+v", out)
	}
}
