package wire

import (
	"bytes"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"regwatch/internal/trace"
)

// Stray is something over UDP that was not taken, for whom it came from. The
// address may be forged.
type Stray struct {
	Remote netip.AddrPort
	What   StrayKind
}

// StrayKind is why it was not taken.
type StrayKind uint8

const (
	// StrayAnswer is an answer to a request of ours from another address than that
	// went to: a server that is asked for rport answers from where it was asked
	// (RFC 3581 4).
	StrayAnswer StrayKind = iota
	// StrayCrowd is the first message beyond what is taken of strangers.
	StrayCrowd
)

// OnStray has f called with what was not taken by the stack, for any box. f must
// not block.
func (b *Box) OnStray(f func(Stray)) {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	b.stray = f
}

// stray tells every box. It is called by the reader.
func (s *Stack) stray(stray Stray) {
	s.mu.Lock()
	var tell []func(Stray)
	for _, boxes := range s.boxes {
		for _, box := range boxes {
			if box.stray != nil {
				tell = append(tell, box.stray)
			}
		}
	}
	s.mu.Unlock()
	for _, f := range tell {
		f(stray)
	}
}

// Of those whom we wrote to, and of all others together, so many messages are taken
// within answerWait: sipgo keeps each request for so long. A phone is written to by
// its registrar, and where thousands share the stack each of them is. Answers to
// requests of ours are not counted.
const (
	peersMost     = 16384
	peersMostEach = 32 // more, for each box
	strangersMost = 1024
)

// partnersKept bounds the addresses of whom we wrote to.
const partnersKept = 1024

// crowd counts what came. The zero value is ready; one goroutine uses it.
type crowd struct {
	since time.Time
	taken int
}

// full reports whether one more is more than most, and whether it is the first.
func (c *crowd) full(most int, now time.Time) (full, first bool) {
	if now.Sub(c.since) >= answerWait {
		*c = crowd{since: now}
	}
	c.taken++
	return c.taken > most, c.taken == most+1
}

// wroteTo notes whom a request of ours goes to.
func (s *Stack) wroteTo(remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.partners) >= partnersKept {
		clear(s.partners) // those whom we are with come back with the next refresh
	}
	s.partners[zoneless(remote)] = struct{}{}
}

// crowded reports whether a message over UDP is beyond what is taken.
func (s *Stack) crowded(remote netip.AddrPort, now time.Time) bool {
	if !s.options.Crowds {
		return false
	}
	s.mu.Lock()
	_, partner := s.partners[zoneless(remote)]
	boxes := len(s.boxes)
	s.mu.Unlock()
	who, most := &s.packets.strangers, strangersMost
	if partner {
		who, most = &s.packets.partners, peersMost+peersMostEach*boxes
	}
	full, first := who.full(most, now)
	if first {
		s.stray(Stray{remote, StrayCrowd})
	}
	return full
}

// answeredBy is the request of ours that a datagram answers, by the branch in its
// Via; nil: it answers none. It may come from elsewhere than that request went to,
// and sipgo would take it: it looks at branch and method alone.
func (s *Stack) answeredBy(datagram []byte) *asked {
	if !bytes.HasPrefix(datagram, []byte("SIP/")) {
		return nil
	}
	via := trace.Message{Raw: datagram}.Header("Via", "v")
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		next := strings.Index(via, sip.RFC3261BranchMagicCookie)
		if next < 0 || len(via)-next < branchLength {
			return nil
		}
		if q := s.asked[via[next:next+branchLength]]; q != nil {
			return q
		}
		via = via[next+1:]
	}
}

// branchLength is that of each branch of ours.
var branchLength = len(sip.GenerateBranch())

func zoneless(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// speakable reports whether an answer is one. To a request without Via, or of
// another version, sipgo writes some by itself that are none.
func speakable(message []byte) bool {
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	first, _, _ := bytes.Cut(head, []byte("\r\n"))
	if !isSIP(message) || bytes.HasSuffix(first, []byte(" SIP/2.0")) {
		return true // a keep-alive, or a request, which is ours
	}
	if !bytes.HasPrefix(first, []byte("SIP/2.0 ")) || !bytes.Contains(head, []byte("\r\nVia: ")) {
		return false
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if bytes.ContainsFunc(line, isLineBreaking) {
			return false
		}
	}
	return true
}
