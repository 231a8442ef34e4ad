package probe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

// seen is what came by: every message, oldest first, and what the agents tell.
// Many goroutines write it, that of the run reads.
type seen struct {
	mu       sync.Mutex
	list     []trace.Message
	states   map[*agent]*ua.Snapshot
	findings []ua.FindingDetail
	changed  chan struct{} // closed and replaced at each change
}

// No run sends and gets so many messages, unless somebody floods it.
const messagesMost = 20_000

func newSeen() *seen {
	return &seen{states: make(map[*agent]*ua.Snapshot), changed: make(chan struct{})}
}

func (s *seen) add(m trace.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < messagesMost {
		m.Raw = trace.Masked(m.Raw)
		s.list = append(s.list, m)
		s.wake()
	}
}

func (s *seen) update(a *agent, u ua.Update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range u.Snapshots {
		s.states[a] = state
	}
	for _, e := range u.Events {
		if d, ok := e.Detail.(ua.FindingDetail); ok {
			s.findings = append(s.findings, d)
		}
	}
	s.wake()
}

// wake is called with the lock held.
func (s *seen) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// mark is where the messages stand now.
func (s *seen) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// messages are those since a mark.
func (s *seen) messages(since int) []trace.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list[since:])
}

func (s *seen) found() []ua.FindingDetail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.findings)
}

// await looks at each state of things until one fits, and reports whether one
// did within the time. The error is ctx's.
func (s *seen) await(ctx context.Context, within time.Duration, fits func() bool) (bool, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if fits() {
			return true, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return fits(), nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// statusOf is that of an answer; 0: it is none.
func statusOf(m trace.Message) int {
	rest, isAnswer := strings.CutPrefix(m.StartLine(), "SIP/2.0 ")
	if !isAnswer || len(rest) < 3 {
		return 0
	}
	n, _ := strconv.Atoi(rest[:3])
	return n
}

// methodOf is the method that a message is of, be it an answer.
func methodOf(m trace.Message) string {
	_, method, _ := strings.Cut(m.Header("CSeq", ""), " ")
	return strings.TrimSpace(method)
}

// branchOf names the transaction of a message (RFC 3261 17.1.3).
func branchOf(m trace.Message) string {
	_, rest, _ := strings.Cut(m.Header("Via", "v"), "branch=")
	branch, _, _ := strings.Cut(rest, ";")
	branch, _, _ = strings.Cut(branch, ",")
	return strings.TrimSpace(branch)
}

// number reads a header field that begins with a number.
func number(m trace.Message, name string) (uint32, bool) {
	digits, _, _ := strings.Cut(m.Header(name, ""), ";")
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 32)
	return uint32(n), err == nil
}

// has reports whether a header field lists a token.
func has(m trace.Message, name, compact, token string) bool {
	return slices.ContainsFunc(strings.Split(m.Header(name, compact), ","), func(listed string) bool {
		return strings.EqualFold(strings.TrimSpace(listed), token)
	})
}

func texts(list []trace.Message) []string {
	const most = 24
	var out []string
	for _, m := range list[max(0, len(list)-most):] {
		out = append(out, string(m.Direction)+" "+m.Time.UTC().Format(time.RFC3339Nano)+"\n"+string(m.Raw))
	}
	return out
}

// notice is a NOTIFY as it was read.
type notice struct {
	trace.Message
	index    int // among the messages that were asked for
	callID   string
	cseq     uint64
	state    string            // Subscription-State without its parameters
	expires  string            // parameter of it; "" none
	document *reginfo.Document // nil: no body, or none that can be read
}

// notices are the NOTIFYs among messages, each once.
func notices(list []trace.Message) []notice {
	var out []notice
	known := make(map[string]bool)
	for i, m := range list {
		if m.Direction != trace.Received || statusOf(m) != 0 || methodOf(m) != "NOTIFY" {
			continue
		}
		n := notice{Message: m, index: i, callID: m.Header("Call-ID", "i")}
		digits, _, _ := strings.Cut(m.Header("CSeq", ""), " ")
		n.cseq, _ = strconv.ParseUint(digits, 10, 32)
		key := n.callID + " " + digits
		if known[key] {
			continue // sent again
		}
		known[key] = true
		state, params, _ := strings.Cut(m.Header("Subscription-State", ""), ";")
		n.state = strings.ToLower(strings.TrimSpace(state))
		for param := range strings.SplitSeq(params, ";") {
			if name, value, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(name), "expires") {
				n.expires = strings.TrimSpace(value)
			}
		}
		if _, body, found := strings.Cut(string(m.Raw), "\r\n\r\n"); found && body != "" {
			n.document, _ = reginfo.Decode([]byte(body))
		}
		out = append(out, n)
	}
	return out
}

// full reports whether a NOTIFY may be the one that has everything. Without
// meaningful state that has no body.
func (n notice) full() bool {
	return n.Header("Content-Length", "l") == "0" || n.document != nil && n.document.State == reginfo.Full
}

// tells finds a contact in the NOTIFY's document.
func (n notice) tells(c contact) (reginfo.Contact, bool) {
	if n.document == nil {
		return reginfo.Contact{}, false
	}
	for _, r := range n.document.Registrations {
		for _, told := range r.Contacts {
			if reginfo.SameURI(told.URI, c.uri) || userOf(c.uri) != "" && userOf(told.URI) == userOf(c.uri) {
				return told, true
			}
		}
	}
	return reginfo.Contact{}, false
}
