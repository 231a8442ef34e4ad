package tui

import (
	"fmt"
	"strings"
	"time"

	"regwatch/internal/trace"
)

// messages is the list of SIP messages, newest first. The ring is read while
// the list or a message is looked at, never drawn from directly.
type messages struct {
	kept  []trace.Message
	total uint64
	at    list
}

// refresh reads the ring where it has grown; it copies headers of messages,
// not their bytes, and does no input or output.
func (m *messages) refresh(ring *trace.Ring) {
	if ring == nil || ring.Total() == m.total {
		return
	}
	before := m.total
	m.kept = ring.Messages()
	if n := len(m.kept); n > 0 {
		m.total = m.kept[n-1].Number
	}
	m.at.grow(int(m.total - before))
	m.at.set(len(m.kept))
}

// selected is the message under the mark.
func (m *messages) selected() (trace.Message, bool) {
	if len(m.kept) == 0 {
		return trace.Message{}, false
	}
	return m.kept[len(m.kept)-1-min(m.at.selected, len(m.kept)-1)], true
}

func (a *app) messagesView(w, rows int) []string {
	m := &a.messages
	out := []string{a.th.title(fmt.Sprintf("messages: %d, newest first", m.total), w)}
	if len(m.kept) == 0 {
		return pad(append(out, "   none yet"), w, rows)
	}
	return append(out, m.at.draw(w, rows-1, narrowGutter, a.th, func(i, w int) string {
		j := len(m.kept) - 1 - i
		before := time.Time{}
		if j > 0 {
			before = m.kept[j-1].Time
		}
		return a.messageRow(m.kept[j], before, w)
	})...)
}

// messageRow draws a message: when, which way, with whom, its first line, and
// its CSeq where the first line does not tell the method.
func (a *app) messageRow(m trace.Message, before time.Time, w int) string {
	way := "<"
	if m.Direction == trace.Sent {
		way = ">"
	}
	peer := fit(cutMiddle(a.th.text(fmt.Sprintf("%s %s", m.Transport, m.Remote)), 22), 22)
	head := fit(a.clock.stamp(m.Time, before, a.now(), a.zone()), stampWidth) + " " + way + " "
	if w >= 70 {
		head += peer + " "
	}
	line := a.th.text(m.StartLine())
	if seq := a.th.text(m.Header("CSeq", "")); seq != "" {
		seq = cutEnd(seq, 20)
		// A status line is short, and without the CSeq it says little.
		least := 30
		if strings.HasPrefix(line, "SIP/2.0 ") {
			least = 11
		}
		if room := w - width(head) - width(seq) - 1; room >= least {
			line = fit(cutEnd(line, room-1), room) + seq
		}
	}
	return head + cutEnd(line, w-width(head))
}

// messagePage shows the selected message.
func (a *app) messagePage() *pager {
	m, ok := a.messages.selected()
	if !ok {
		return nil
	}
	return a.messagePager(m)
}

// messagePager shows a message as it was, digest responses masked.
func (a *app) messagePager(m trace.Message) *pager {
	way := "received from"
	if m.Direction == trace.Sent {
		way = "sent to"
	}
	title := fmt.Sprintf("message %d, %s %s by %s at %s", m.Number, way, m.Remote, m.Transport, a.clock.moment(m.Time, a.zone()))
	return newRawPager(a.th, title, trace.Masked(m.Raw))
}
