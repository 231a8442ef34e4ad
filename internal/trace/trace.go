// Package trace holds SIP messages as they were seen on the wire, each with its
// time and addresses, in a bounded ring.
//
// It imports the standard library only and knows no protocol: whoever reads a
// message parses it. Secrets are still in it; Masked removes them, and every
// export goes through Masked unless a user asked for the secrets by name.
package trace

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Direction says which way a message went, seen from us.
type Direction string

// The two directions.
const (
	Sent     Direction = "sent"
	Received Direction = "received"
)

// Message is one SIP message as its bytes were written or read.
type Message struct {
	Number    uint64 // rises by one for each message of the ring, from 1
	Time      time.Time
	Direction Direction
	Transport string // "udp", "tcp", ...
	Local     netip.AddrPort
	Remote    netip.AddrPort
	Raw       []byte // not to be changed; it is shared
}

// StartLine returns the first line without its line end: a request line or a
// status line.
func (m Message) StartLine() string {
	line, _, _ := strings.Cut(string(m.Raw), "\n")
	return strings.TrimRight(line, "\r")
}

// Header returns the first value of the header field with that name, in its
// long or its compact form, or "". It is for showing and pairing messages, not
// for protocol decisions: folded lines are not joined.
func (m Message) Header(name, compact string) string {
	head, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\n") {
		key, value, found := strings.Cut(line, ":")
		key = strings.TrimSpace(key)
		if found && (strings.EqualFold(key, name) || compact != "" && strings.EqualFold(key, compact)) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Ring keeps the newest messages, and hands each to a sink where one is set.
// All methods may be called from several goroutines.
type Ring struct {
	mu     sync.Mutex
	size   int
	number uint64
	kept   []Message // grows to size, then is overwritten from next on
	next   int
	sinks  []func(Message)
}

// NewRing returns a ring of at most size messages; size must be positive.
func NewRing(size int) *Ring { return &Ring{size: size} }

// Tee calls sink for every message added from now on, in order. The sink is
// called with the ring locked: it must be quick and must not use the ring.
func (r *Ring) Tee(sink func(Message)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sinks = append(r.sinks, sink)
}

// Add numbers the message and keeps it, dropping the oldest when full, and
// returns it as it is kept. One without a time gets that of now, so that numbers
// and times rise together whoever adds. The bytes are kept, not copied. A nil
// ring gives a time only.
func (r *Ring) Add(m Message) Message {
	if r == nil {
		return stamped(m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	m = stamped(m)
	m.Number = r.number
	if len(r.kept) < r.size {
		r.kept = append(r.kept, m)
	} else {
		r.kept[r.next] = m
		r.next = (r.next + 1) % r.size
	}
	for _, sink := range r.sinks {
		sink(m)
	}
	return m
}

func stamped(m Message) Message {
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	return m
}

// Messages returns what is kept, oldest first.
func (r *Ring) Messages() []Message {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Message, 0, len(r.kept))
	out = append(out, r.kept[r.next:]...)
	return append(out, r.kept[:r.next]...)
}

// Since returns the kept messages with a higher number, oldest first and no more than
// most, and the number of the oldest that is kept at all: 0 where none is. It copies
// no more than what it returns, so that a reader who comes again pays for the news
// only.
func (r *Ring) Since(number uint64, most int) (newer []Message, oldest uint64) {
	if r == nil {
		return nil, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) == 0 {
		return nil, 0
	}
	oldest = r.number - uint64(len(r.kept)) + 1
	if number >= r.number {
		return nil, oldest
	}
	n := int(min(r.number-number, uint64(len(r.kept))))
	first := len(r.kept) - n
	n = min(n, most)
	newer = make([]Message, 0, n)
	for i := first; i < first+n; i++ {
		newer = append(newer, r.kept[(r.next+i)%len(r.kept)])
	}
	return newer, oldest
}

// Find returns the newest message that match says yes to; it looks at no more
// than the last most of them. match is called with the ring locked: it must be
// quick and must not use the ring.
func (r *Ring) Find(most int, match func(Message) bool) (m Message, ok bool) {
	if r == nil {
		return Message{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.kept) - 1; i >= 0 && len(r.kept)-i <= most; i-- {
		if m := r.kept[(r.next+i)%len(r.kept)]; match(m) {
			return m, true
		}
	}
	return Message{}, false
}

// Total returns how many messages were ever added.
func (r *Ring) Total() uint64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.number
}
