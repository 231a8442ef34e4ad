package tui

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/trace"
)

const (
	// headLimit is how far into a message its row is read from, and valueLimit how
	// much of one value is kept.
	headLimit  = 16 << 10
	valueLimit = 128
	// unanswered is when nobody waits for an answer any more (RFC 3261 17.1.2.2, 64*T1).
	unanswered = 32 * time.Second
)

// entry is a message with what its row shows, read once.
type entry struct {
	trace.Message
	status  int    // of an answer; 0: a request
	method  string // of the CSeq, which is also that of the request an answer is to
	cseq    string // the number of the CSeq
	callID  string
	branch  string // of the topmost Via
	label   string // method, or status and reason
	summary string

	// other is the message of the other way: of a request its first final answer,
	// else the last provisional one; of an answer its request. 0: not seen.
	other uint64
	trip  time.Duration // between the two
	again bool          // it was there before: a retransmission
}

func (e *entry) request() bool { return e.status == 0 }

// failed: an answer that says no.
func (e *entry) failed() bool { return e.status >= 300 }

// exchangeKey is the same for a request, its retransmissions and its answers
// (RFC 3261 17.1.3), and for no others that go the same way.
type exchangeKey struct {
	branch, cseq, method string
	asked                trace.Direction // which way the request went
}

// exchange is a request with its answers.
type exchange struct {
	request uint64 // its first sending; 0: not seen
	answer  uint64 // that the request is paired with
	final   bool   // answer is a final one
	status  int    // of the last answer
	last    uint64 // the newest message of all
}

func (e *entry) key() exchangeKey {
	asked := e.Direction
	if !e.request() {
		asked = trace.Sent
		if e.Direction == trace.Sent {
			asked = trace.Received
		}
	}
	branch := e.branch
	if branch == "" { // then who sent it has to do
		branch = e.callID + " " + e.Remote.String()
	}
	return exchangeKey{branch, e.cseq, e.method, asked}
}

// index holds the kept messages and what belongs together. Each message costs
// its own reading and nothing else, however many there are.
type index struct {
	entries   []entry // of consecutive numbers, oldest first
	exchanges map[exchangeKey]*exchange
	total     uint64 // number of the newest
}

// at is the message with that number; nil where it is not kept.
func (x *index) at(number uint64) *entry {
	if len(x.entries) == 0 || number < x.entries[0].Number || number > x.total {
		return nil
	}
	return &x.entries[number-x.entries[0].Number]
}

// add takes the next message.
func (x *index) add(m trace.Message) *entry {
	x.entries = append(x.entries, readEntry(m))
	x.total = m.Number
	e := &x.entries[len(x.entries)-1]
	if x.exchanges == nil {
		x.exchanges = make(map[exchangeKey]*exchange)
	}
	key := e.key()
	t := x.exchanges[key]
	if t == nil {
		t = &exchange{}
		x.exchanges[key] = t
	}
	t.last = m.Number
	if e.request() {
		e.again = t.request != 0
		if !e.again {
			t.request = m.Number
		}
		return e
	}
	e.again, t.status = t.status == e.status, e.status
	first := x.at(t.request)
	if first == nil {
		return e
	}
	e.other, e.trip = first.Number, e.Time.Sub(first.Time)
	if !t.final {
		t.answer, t.final = m.Number, e.status >= 200
		first.other, first.trip = e.Number, e.trip
	}
	return e
}

// drop forgets the messages before that number.
func (x *index) drop(oldest uint64) {
	n := 0
	for n < len(x.entries) && x.entries[n].Number < oldest {
		e := &x.entries[n]
		if t := x.exchanges[e.key()]; t != nil && t.last <= e.Number {
			delete(x.exchanges, e.key())
		}
		n++
	}
	clear(x.entries[:n]) // lets go of the bytes before the array does
	x.entries = x.entries[n:]
}

// readEntry reads what a row shows. Nothing in a message is believed: what
// cannot be read is left out, and what is long is cut.
func readEntry(m trace.Message) entry {
	e := entry{Message: m}
	head := m.Raw[:min(len(m.Raw), headLimit)]
	body := 0
	if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
		head, body = head[:i], len(m.Raw)-i-4
	}
	line, head, _ := bytes.Cut(head, []byte("\n"))
	first := short(line)
	var facts []string
	uri := ""
	if rest, ok := strings.CutPrefix(first, "SIP/2.0 "); ok {
		e.status, _ = strconv.Atoi(rest[:min(3, len(rest))])
		e.status = max(e.status, 1) // an answer, whatever it says
		e.label = rest
	} else {
		e.label, uri, _ = strings.Cut(first, " ")
		e.method = e.label
	}
	kind := ""
	for len(head) > 0 {
		line, head, _ = bytes.Cut(head, []byte("\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		var lower [len("proxy-authorization")]byte
		switch string(lower[:lowered(lower[:], bytes.TrimSpace(name))]) {
		case "via", "v":
			if e.branch == "" {
				e.branch = branchOf(value)
			}
		case "call-id", "i":
			e.callID = short(value)
		case "cseq":
			e.cseq, e.method, _ = strings.Cut(short(value), " ")
			e.method = strings.TrimSpace(e.method)
		case "expires":
			facts = append(facts, "expires "+short(value))
		case "retry-after":
			facts = append(facts, "retry after "+short(value))
		case "min-expires":
			facts = append(facts, "min-expires "+short(value))
		case "subscription-state":
			facts = append(facts, short(value))
		case "authorization", "proxy-authorization":
			facts = append(facts, "signed")
		case "contact", "m":
			if short(value) == "*" {
				facts = append(facts, "contact *")
			}
		case "content-type", "c":
			kind, _, _ = strings.Cut(short(value), ";")
		}
	}
	if body > 0 {
		facts = append(facts, fmt.Sprintf("%s %d bytes", strings.TrimPrefix(kind, "application/"), body))
	}
	if uri != "" {
		facts = append(facts, strings.TrimSuffix(uri, " SIP/2.0"))
	}
	number := e.cseq
	if !e.request() {
		number = e.method + " " + e.cseq
	}
	e.summary = strings.TrimSpace(number + "  " + strings.Join(facts, "  "))
	return e
}

// lowered writes a header's name in lower case, and returns its length; 0 where it
// is longer than any that is looked for.
func lowered(to, name []byte) int {
	if len(name) > len(to) {
		return 0
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		to[i] = c
	}
	return len(name)
}

// short is a value of its own, which does not hold on to the message.
func short(b []byte) string { return string(bytes.TrimSpace(b[:min(len(b), valueLimit)])) }

// branchOf finds the branch in the first value of a Via.
func branchOf(via []byte) string {
	via, _, _ = bytes.Cut(via, []byte(","))
	for param := range bytes.SplitSeq(via, []byte(";")) {
		name, value, _ := bytes.Cut(param, []byte("="))
		if strings.EqualFold(short(name), "branch") {
			return short(value)
		}
	}
	return ""
}

// tripText says how long an answer took, in at most 8 columns.
func tripText(d time.Duration) string {
	switch {
	case d < 0:
		return "" // the clock was set back
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// pairing says in at most 9 columns how a message stands to the other of its
// exchange.
func (e *entry) pairing(now time.Time) string {
	switch {
	case e.again:
		return "again"
	case e.other != 0:
		return tripText(e.trip)
	case !e.request() || e.method == "ACK":
		return ""
	case now.Sub(e.Time) > unanswered:
		return "no answer"
	}
	return "waits"
}
