package wire

import "github.com/emiago/sipgo/sip"

// ask notes that a request of ours, with that branch, waits for an answer. What
// the wire has first is the answer (RFC 3261 17.1.2.2), though sipgo hands each
// message over on a goroutine of its own, in no order; and there are registrars
// that send a second final answer behind the first.
func (s *Stack) ask(branch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[branch] = nil
}

func (s *Stack) unask(branch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, branch)
}

// answered is called for each answer in wire order, and for what a transaction
// hands over, which may be before that. What has no Via or CSeq belongs to no
// request.
func (s *Stack) answered(r *sip.Response) {
	via := r.Via()
	if r.IsProvisional() || via == nil || r.CSeq() == nil {
		return
	}
	branch, _ := via.Params.Get("branch")
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, waits := s.asked[branch]; waits && first == nil {
		s.asked[branch] = r
	}
}

// firstAnswer is the first final answer that was read to the request of that
// branch, or nil.
func (s *Stack) firstAnswer(branch string) *sip.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[branch]
}
