package wire

import (
	"fmt"
	"net/url"
	"slices"
)

// Box is one account's share of a stack: the requests that are for it.
type Box struct {
	stack   *Stack
	user    string
	deliver func(*Incoming)
	callIDs []string

	unreachable func(Unreachable) // nil: not told
	stray       func(Stray)       // nil: not told
}

// Attach claims a share of the requests that reach the stack. deliver is called
// in wire order on the goroutine that reads the socket: it must not block.
//
// user is the user part that our Contact wants to have; where another box of
// the stack has it already, User gives another. A box with an empty user takes
// every request that no other box claims.
func (s *Stack) Attach(user string, deliver func(*Incoming)) *Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	box := &Box{stack: s, user: user, deliver: deliver}
	for n := 2; user != "" && s.boxOf(box.user) != nil; n++ {
		box.user = fmt.Sprintf("%s-%d", user, n)
	}
	s.boxes[box.user] = append(s.boxes[box.user], box)
	return box
}

// User is the user part that tells requests for this box from others.
func (b *Box) User() string { return b.user }

// Expect claims every request with this Call-ID: a dialog's.
func (b *Box) Expect(callID string) {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	b.stack.byCallID[callID] = b
	b.callIDs = append(b.callIDs, callID)
}

// OnUnreachable has f called with each ICMP message about what the stack sent
// over UDP, for any box; only Linux tells. f must not block.
func (b *Box) OnUnreachable(f func(Unreachable)) {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	b.unreachable = f
}

// Detach ends the claims; a delivery under way may still arrive.
func (b *Box) Detach() {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	others := slices.DeleteFunc(b.stack.boxes[b.user], func(other *Box) bool { return other == b })
	if b.stack.boxes[b.user] = others; len(others) == 0 {
		delete(b.stack.boxes, b.user)
	}
	for _, callID := range b.callIDs {
		if b.stack.byCallID[callID] == b {
			delete(b.stack.byCallID, callID)
		}
	}
}

// Forget ends the claim on a Call-ID whose dialog is over.
func (b *Box) Forget(callID string) {
	b.stack.mu.Lock()
	defer b.stack.mu.Unlock()
	if b.stack.byCallID[callID] == b {
		delete(b.stack.byCallID, callID)
	}
	b.callIDs = slices.DeleteFunc(b.callIDs, func(id string) bool { return id == callID })
}

// unescaped is a user part without escapes, or as it is where one of them is none.
func unescaped(user string) string {
	if plain, err := url.PathUnescape(user); err == nil {
		return plain
	}
	return user
}

// boxOf is called with the stack locked.
func (s *Stack) boxOf(user string) *Box {
	if boxes := s.boxes[user]; len(boxes) > 0 {
		return boxes[0]
	}
	return nil
}

func (s *Stack) deliver(in *Incoming) {
	uri, err := ParseURI(in.URI)
	s.mu.Lock()
	box := s.byCallID[in.Headers.Get("Call-ID")]
	if box == nil && err == nil {
		if box = s.boxOf(uri.User); box == nil { // an escape means what it escapes (RFC 3261 19.1.4)
			box = s.boxOf(unescaped(uri.User))
		}
	}
	if box == nil {
		box = s.boxOf("")
	}
	s.mu.Unlock()
	switch {
	case box != nil:
		box.deliver(in)
	case in.Headers.Tag("To") != "":
		in.Respond(Answer{Status: 481, Reason: "Call/Transaction Does Not Exist"})
	default:
		in.Respond(Answer{Status: 404, Reason: "Not Found"})
	}
}
