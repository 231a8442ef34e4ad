package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
)

// ladder draws messages as arrows between this device and those that it talks
// with, the oldest first: those of one Call-ID, or all that pass the filter.
type ladder struct {
	mode    ladderMode
	callID  string   // with ofDialog
	numbers []uint64 // with ofDialog: those of the Call-ID, oldest first
	peers   []string // remote addresses, in the order in which they turned up
	rungs   list     // the oldest first
}

type ladderMode int

const (
	noLadder ladderMode = iota
	ofDialog
	ofAll
)

// More columns than this do not fit on any terminal.
const peersKept = 16

func (l *ladder) on() bool { return l.mode != noLadder }
func (l *ladder) close()   { l.mode = noLadder }

// drop forgets the messages before that number, of which passing
// ones passed the filter.
func (l *ladder) drop(oldest uint64, passing int) {
	gone := passing
	if l.mode == ofDialog {
		gone = len(l.numbers)
		l.numbers = from(l.numbers, oldest)
		gone -= len(l.numbers)
	}
	l.rungs.count -= gone
	l.rungs.move(-gone)
}

// add takes a new message.
func (l *ladder) add(e *entry) {
	if l.mode == ofDialog && e.callID != l.callID {
		return
	}
	if l.on() {
		l.meet(e)
	}
	if l.mode == ofDialog {
		l.numbers = append(l.numbers, e.Number)
	}
}

// meet gives a peer its column.
func (l *ladder) meet(e *entry) {
	if peer := peerOf(e); len(l.peers) < peersKept && !slices.Contains(l.peers, peer) {
		l.peers = append(l.peers, peer)
	}
}

func peerOf(e *entry) string { return fmt.Sprintf("%s %s", e.Transport, e.Remote) }

// shownIn are the numbers that the ladder draws, of those that pass the filter.
func (l *ladder) shownIn(shown []uint64) []uint64 {
	if l.mode == ofDialog {
		return l.numbers
	}
	return shown
}

// selected is the number of the message under the mark; 0: there is none.
func (l *ladder) selected(shown []uint64) uint64 {
	numbers := l.shownIn(shown)
	if len(numbers) == 0 {
		return 0
	}
	return numbers[min(l.rungs.selected, len(numbers)-1)]
}

// pick selects a message by its number.
func (l *ladder) pick(number uint64, shown []uint64) {
	numbers := l.shownIn(shown)
	l.rungs.set(len(numbers))
	l.rungs.selected, _ = slices.BinarySearch(numbers, number)
	l.rungs.clamp()
}

// leaveDialog goes back to all messages before a filter is set: that says nothing
// of a dialog.
func (m *messages) leaveDialog() {
	if m.ladder.mode == ofDialog {
		m.leaveLadder()
	}
}

// leaveLadder goes back to the list, with the same message selected.
func (m *messages) leaveLadder() {
	e, ok := m.selected()
	m.ladder.close()
	if ok {
		m.pick(e.Number)
	}
}

// climb changes from the list to the ladder of the selected message's dialog, to
// that of all messages, and back, always with the same message selected.
func (m *messages) climb() {
	e, ok := m.selected()
	if !ok {
		return
	}
	l := &m.ladder
	if l.mode == ofAll {
		m.leaveLadder()
		return
	}
	l.mode++
	l.callID, l.numbers, l.peers, l.rungs = e.callID, nil, nil, list{}
	for i := range m.entries {
		l.add(&m.entries[i])
	}
	l.pick(e.Number, m.shown)
}

func (a *app) ladderView(w, rows int) []string {
	m := &a.messages
	l := &m.ladder
	numbers := l.shownIn(m.shown)
	title := "ladder: " + plural.Count(len(numbers), "message") + a.heldMessages()
	if l.mode == ofDialog {
		title += ", call " + cutMiddle(a.th.text(l.callID), 24)
	} else {
		title += filterText(string(m.kind), m.query)
	}
	title += ", oldest first"
	// Whoever stands at the newest follows.
	if last := l.rungs.count - 1; l.rungs.count > 0 && l.rungs.selected == last {
		l.rungs.selected = len(numbers) - 1
	}
	l.rungs.set(len(numbers))

	stamp := stampWidth
	if w < 56 {
		stamp = len("15:04:05")
	}
	lanes := newLanes(l.peers, w-stamp-2)
	out := []string{a.th.title(title, w), fit(strings.Repeat(" ", stamp+2)+lanes.heads(a.th), w)}
	return append(out, l.rungs.draw(w, rows-len(out), narrowGutter, a.th, func(i, w int) string {
		e := m.index.at(numbers[i])
		when := a.clock.moment(e.Time, a.zone())
		if stamp == stampWidth {
			before := time.Time{}
			if i > 0 {
				before = m.index.at(numbers[i-1]).Time
			}
			when = a.clock.stamp(e.Time, before, a.now(), a.zone())
		}
		return fit(when, stamp) + " " + lanes.arrow(e, a.th, a.now())
	})...)
}

// lanes are the upright lines of a ladder: this device at the left, and the
// peers that there is room for; the others share the last.
type lanes struct {
	peers []string
	at    []int // their columns; this device is at 0
	width int
}

// leastLane is what an arrow needs for its words.
const leastLane = 22

func newLanes(peers []string, w int) lanes {
	n := max(min(len(peers), (w-1)/leastLane), 1)
	l := lanes{peers: slices.Clone(peers[:min(n, len(peers))]), width: w}
	if len(peers) > n {
		l.peers[n-1] = "others"
	}
	for i := range n {
		l.at = append(l.at, (w-1)*(i+1)/n)
	}
	return l
}

// lane is the column of a peer.
func (l lanes) lane(peer string) int {
	i := slices.Index(l.peers, peer)
	if i < 0 {
		i = len(l.at) - 1
	}
	return l.at[i]
}

// heads names the lanes: each above its line, as far as there is room.
func (l lanes) heads(th *theme) string {
	out := thisDevice
	for i, peer := range l.peers {
		room := l.width - width(out) - 1
		if i < len(l.peers)-1 {
			room = min(room, l.width/len(l.peers)-2)
		}
		name := cutMiddle(th.text(peer), room)
		start := min(l.at[i]-width(name)/2, l.width-width(name))
		out = fit(out, max(start, width(out)+1)) + name
	}
	return out
}

// arrow draws a message from lane to lane, with its words in the middle.
func (l lanes) arrow(e *entry, th *theme, now time.Time) string {
	to := l.lane(peerOf(e))
	words, pairing := th.text(e.label), e.pairing(now)
	if pairing != "" {
		pairing = ", " + pairing
	}
	room := to - 1 // between the lines
	most := max(room-6-width(pairing), 4)
	if number := th.text(e.cseq); e.request() && width(words)+1+width(number) <= most {
		words += " " + number
	}
	words = " " + cutEnd(words, most) + pairing + " "
	words = head(words, room-2)
	shaft := room - 1 - width(words)
	left := strings.Repeat("-", max(shaft/2, 0))
	right := strings.Repeat("-", max(shaft-shaft/2, 0))
	if e.failed() {
		words = th.bad.Render(words)
	}
	out := "|"
	if e.Direction == trace.Sent {
		out += left + words + right + ">"
	} else {
		out += "<" + left + words + right
	}
	out += "|"
	for _, at := range l.at {
		if at > to {
			out = fit(out, at) + "|"
		}
	}
	return out
}
