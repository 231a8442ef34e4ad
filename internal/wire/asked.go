package wire

import (
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// asked is a request of ours that waits for its answer.
type asked struct {
	remote netip.AddrPort // where it went to
	first  *sip.Response  // final one that was read; nil: none yet
}

// ask notes that a request of ours to remote, with that branch, waits for an answer. What
// the wire has first is the answer (RFC 3261 17.1.2.2), though sipgo hands each
// message over on a goroutine of its own, in no order; and there are registrars
// that send a second final answer behind the first.
func (s *Stack) ask(branch string, remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[branch] = &asked{remote: remote}
}

func (s *Stack) unask(branch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, branch)
}

// answered is called for each answer in wire order, and for what a transaction
// hands over, which may be before that. What has no Via, or no CSeq that is one,
// belongs to no request.
func (s *Stack) answered(r *sip.Response) {
	via := r.Via()
	if r.IsProvisional() || via == nil || r.CSeq() == nil || strings.HasPrefix(string(r.CSeq().MethodName), noCSeq) {
		return
	}
	branch, _ := via.Params.Get("branch")
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.asked[branch]; q != nil && q.first == nil {
		q.first = r
	}
}

// firstAnswer is the first final answer that was read to the request of that
// branch, or nil.
func (s *Stack) firstAnswer(branch string) *sip.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.asked[branch]; q != nil {
		return q.first
	}
	return nil
}
