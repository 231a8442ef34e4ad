package wire

import (
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// Where thousands of accounts share a socket their registrar may write to each of
// them: a message a second, for as long as sipgo keeps it.
func TestCrowdOfAccounts(t *testing.T) {
	registrar := netip.MustParseAddrPort("192.0.2.2:5060")
	for _, boxes := range []int{1, 5000} {
		s := &Stack{options: Options{Crowds: true}, boxes: make(map[string][]*Box), partners: map[netip.AddrPort]struct{}{registrar: {}}, packets: &packetConn{}}
		for n := range boxes {
			s.Attach("user"+strconv.Itoa(n), func(*Incoming) {})
		}
		now, taken := time.Now(), 0
		for range 300_000 {
			if !s.crowded(registrar, now) {
				taken++
			}
		}
		if want := 16384 + 32*boxes; taken != want {
			t.Errorf("of %d accounts' registrar %d messages are taken, want %d", boxes, taken, want)
		}
	}
}

// The branch tells whose answer a datagram is, wherever in the Via it stands.
func TestAnsweredBy(t *testing.T) {
	s := &Stack{asked: make(map[string]*asked)}
	ours := "z9hG4bK.abcdefghijklmnop"
	s.ask(ours, netip.MustParseAddrPort("192.0.2.2:5060"))
	for _, test := range []struct {
		datagram string
		answers  bool
	}{
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=" + ours + ";rport\r\n\r\n", true},
		{"SIP/2.0 200 OK\r\nv:SIP/2.0/UDP h;branch=z9hG4bKz9hG4bK." + ours + "\r\n\r\n", true},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=" + ours[:20] + "\r\n\r\n", false},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK.ponmlkjihgfedcba\r\n\r\n", false},
		{"SIP/2.0 200 OK\r\n\r\n", false},
		{"NOTIFY sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=" + ours + "\r\n\r\n", false},
	} {
		if got := s.answeredBy([]byte(test.datagram)) != nil; got != test.answers {
			t.Errorf("%q: %v", test.datagram, got)
		}
	}
}
