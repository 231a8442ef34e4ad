package tui

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"regwatch/internal/trace"
)

// messages is the view of the SIP messages: a list, newest first, or a ladder,
// oldest first, of those that pass the filter. The ring is read while they are
// looked at, never drawn from directly.
type messages struct {
	index
	shown []uint64 // numbers of those that pass, oldest first
	at    list     // of shown, the newest first
	seen  uint64   // the newest when the first row was last selected

	kind  messageKind
	query string // that they contain, in lower case

	ladder ladder

	preview *pager // of the message previewed last
	of      uint64 // its number
}

// messageKind is what the filter lets pass.
type messageKind string

const (
	everyMessage  messageKind = ""
	otherMessages messageKind = "other methods"
	refusals      messageKind = "refusals"
)

// readAtOnce is how many messages are read between two keys: some 20 ms of work.
const readAtOnce = 5000

// refresh takes the oldest of what is new in the ring, most messages at most, and
// reports whether there is more; it does no input or output.
func (m *messages) refresh(ring *trace.Ring, most int) (more bool) {
	newer, oldest := ring.Since(m.total, most)
	if len(newer) == 0 {
		return false
	}
	m.drop(oldest)
	before := len(m.shown)
	m.shown = from(m.shown, oldest)
	m.ladder.drop(oldest, before-len(m.shown))
	m.entries = slices.Grow(m.entries, len(newer))
	passed := 0
	for _, message := range newer {
		e := m.add(message)
		if m.passes(e) {
			m.shown = append(m.shown, e.Number)
			passed++
		}
		m.ladder.add(e)
	}
	m.at.grow(passed)
	m.at.set(len(m.shown))
	if m.at.selected == 0 {
		m.seen = m.total
	}
	return len(newer) == most
}

// from leaves out the numbers before oldest; numbers rise.
func from(numbers []uint64, oldest uint64) []uint64 {
	i, _ := slices.BinarySearch(numbers, oldest)
	return numbers[i:]
}

// passes reports whether a message is one of those looked for: its own text or
// its row contains the query.
func (m *messages) passes(e *entry) bool {
	switch m.kind {
	case everyMessage:
	case otherMessages:
		if slices.Contains([]string{"REGISTER", "SUBSCRIBE", "NOTIFY"}, e.method) {
			return false
		}
	case refusals:
		if !e.failed() {
			return false
		}
	default:
		if e.method != string(m.kind) {
			return false
		}
	}
	return containsFold(e.Raw, m.query) || containsFold([]byte(e.label+" "+e.summary), m.query)
}

// containsFold reports whether text contains the query, which is in lower case,
// without regard to the case of ASCII letters.
func containsFold(text []byte, query string) bool {
	if query == "" {
		return true
	}
	first := []byte{query[0]}
	if query[0] >= 'a' && query[0] <= 'z' {
		first = append(first, query[0]-'a'+'A')
	}
	for len(text) >= len(query) {
		next := bytes.IndexByte(text, first[0])
		if len(first) > 1 {
			upper := text
			if next >= 0 {
				upper = text[:next]
			}
			if i := bytes.IndexByte(upper, first[1]); i >= 0 {
				next = i
			}
		}
		if next < 0 || len(text)-next < len(query) {
			return false
		}
		if strings.EqualFold(string(text[next:next+len(query)]), query) {
			return true
		}
		text = text[next+1:]
	}
	return false
}

// narrow sets the filter. What was selected stays so where it passes; else the
// one before it is.
func (m *messages) narrow(kind messageKind, query string) {
	query = strings.ToLower(query)
	old, further := m.shown, kind == m.kind && strings.Contains(query, m.query)
	selected, _ := m.selected()
	m.kind, m.query, m.shown = kind, query, nil
	if further { // every message that passes now has passed before
		for _, number := range old {
			if e := m.index.at(number); m.passes(e) {
				m.shown = append(m.shown, number)
			}
		}
	} else {
		for i := range m.entries {
			if e := &m.entries[i]; m.passes(e) {
				m.shown = append(m.shown, e.Number)
			}
		}
	}
	m.at.set(len(m.shown))
	m.seen = m.total
	if selected != nil {
		m.pick(selected.Number)
	}
}

// pick selects the message with that number, else the one before it.
func (m *messages) pick(number uint64) {
	i, found := slices.BinarySearch(m.shown, number)
	if !found {
		i--
	}
	m.at.selected = len(m.shown) - 1 - i
	m.at.clamp()
	m.ladder.pick(number, m.shown)
}

// selected is the message under the mark.
func (m *messages) selected() (e *entry, ok bool) {
	if m.ladder.on() {
		e = m.index.at(m.ladder.selected(m.shown))
	} else if len(m.shown) > 0 {
		e = m.index.at(m.shown[len(m.shown)-1-min(m.at.selected, len(m.shown)-1)])
	}
	return e, e != nil
}

// list is what the arrows move in.
func (m *messages) list() *list {
	if m.ladder.on() {
		return &m.ladder.rungs
	}
	if m.at.selected == 0 {
		m.seen = m.total
	}
	return &m.at
}

// fresh is how many that pass came since the newest was last looked at.
func (m *messages) fresh() int {
	return len(from(m.shown, m.seen+1))
}

// previewFrom is the height from which the selected message is shown below the
// list.
const previewFrom = 24

func (a *app) messagesView(w, rows int) []string {
	m := &a.messages
	if m.ladder.on() {
		return a.ladderView(w, rows)
	}
	title := fmt.Sprintf("messages: %d", len(m.entries))
	if m.kind != everyMessage || m.query != "" {
		title = fmt.Sprintf("messages: %d of %d", len(m.shown), len(m.entries))
	}
	if m.at.selected > 0 && m.fresh() > 0 && !a.paused {
		title += fmt.Sprintf(", %d new above", m.fresh())
	}
	title += a.heldMessages() + filterText(string(m.kind), m.query) + ", newest first"
	out := []string{a.th.title(title, w)}
	if len(m.shown) == 0 {
		text := "none yet"
		if len(m.entries) > 0 {
			text = "none of them passes the filter: Esc shows all"
		}
		return pad(append(out, "   "+cutEnd(text, w-3)), w, rows)
	}
	height := rows - 1
	if rows >= previewFrom {
		height = min(max(rows/3, 8), rows-1)
	}
	out = append(out, m.at.draw(w, height, narrowGutter, a.th, func(i, w int) string {
		j := len(m.shown) - 1 - i
		before := time.Time{}
		if j > 0 {
			before = m.index.at(m.shown[j-1]).Time
		}
		return a.messageRow(m.index.at(m.shown[j]), before, w)
	})...)
	if e, ok := m.selected(); ok && height < rows-1 {
		if m.preview == nil || m.of != e.Number {
			m.preview, m.of = a.messagePager(e.Message), e.Number
		}
		m.preview.at.selected = 0
		out = append(out, m.preview.draw(w, rows-len(out), a.th)...)
	}
	return out
}

// heldMessages says in a title how many messages a pause holds back.
func (a *app) heldMessages() string {
	if !a.paused {
		return ""
	}
	return fmt.Sprintf(", paused, %d new", a.o.Trace.Total()-a.messages.total)
}

// filterText says in a title what passes.
func filterText(kind, query string) string {
	text := ""
	if kind != "" {
		text = ", " + kind
	}
	if query != "" {
		text += ", /" + visible(query, true)
	}
	return text
}

// messageRow draws a message: when, which way, what, how it stands to the other
// of its exchange, and what it says.
func (a *app) messageRow(e *entry, before time.Time, w int) string {
	way := "<"
	if e.Direction == trace.Sent {
		way = ">"
	}
	what := a.th.text(e.label)
	style := func(s string) string { return s }
	if e.failed() {
		style = func(s string) string { return a.th.bad.Render(s) }
	}
	pairing := e.pairing(a.now())
	if w < 56 {
		head := a.clock.moment(e.Time, a.zone()) + " " + way + " "
		if pairing != "" {
			pairing = " " + pairing
		}
		room := w - width(head) - width(pairing)
		what = cutEnd(what, min(16, room))
		return head + style(what) + fit(cutEnd("  "+a.th.text(e.summary), room-width(what)), room-width(what)) + pairing
	}
	head := fit(a.clock.stamp(e.Time, before, a.now(), a.zone()), stampWidth) + " " + way + " " +
		style(fit(cutEnd(what, 16), 16)) + " " + fit(pairing, 9) + " "
	if w >= 100 {
		head += fit(cutMiddle(a.th.text(fmt.Sprintf("%s %s", e.Transport, e.Remote)), 24), 24) + " "
	}
	return head + cutEnd(a.th.text(e.summary), w-width(head))
}

// messagePage shows the selected message.
func (a *app) messagePage() *pager {
	e, ok := a.messages.selected()
	if !ok {
		return nil
	}
	return a.messagePager(e.Message)
}

// messagePager shows a message as it was, digest responses masked.
func (a *app) messagePager(m trace.Message) *pager {
	way := "received from"
	if m.Direction == trace.Sent {
		way = "sent to"
	}
	title := fmt.Sprintf("message %d, %s %s by %s at %s", m.Number, way, m.Remote, a.th.text(m.Transport), a.clock.moment(m.Time, a.zone()))
	return newRawPager(a.th, title, trace.Masked(m.Raw))
}

// goToMessage changes to the view of the messages with that one selected, whatever
// was filtered, and shows it; false where it is not kept.
func (a *app) goToMessage(number uint64) bool {
	m := &a.messages
	e := a.messageOf(number)
	if e == nil {
		return false
	}
	a.view = a.viewOf(a.keys.messages)
	m.ladder.close()
	if !m.passes(e) {
		m.narrow(everyMessage, "")
	}
	m.pick(number)
	a.pager = a.messagePager(e.Message)
	return true
}

// messageOf is the message with that number; nil where it is not kept. A pause
// gives way where it holds that one back.
func (a *app) messageOf(number uint64) *entry {
	if e := a.messages.index.at(number); e != nil {
		return e
	}
	a.messages.refresh(a.o.Trace, math.MaxInt)
	return a.messages.index.at(number)
}
