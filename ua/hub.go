package ua

import (
	"container/list"
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

// eventsKept is how many events of a run a late or slow watcher can still have.
const eventsKept = 20000

// messagesKept bounds the bytes of the SIP messages among them.
const messagesKept = 64 << 20

// hub numbers the events of all agents and hands them to watchers. Nothing in
// it waits for a watcher: one that is too slow loses the oldest events, and is
// told how many.
type hub struct {
	run string

	mu       sync.Mutex
	seq      uint64
	events   []Event                  // a ring once it is full; the newest has number seq
	oldest   uint64                   // the number before the oldest that is kept
	messages int                      // bytes of the SIP messages in events
	changes  uint64                   // of snapshots, counted
	latest   list.List                // a state an account, the one that changed last at the end
	places   map[string]*list.Element // in latest, by account
	closed   bool
	changed  chan struct{} // closed and replaced at each change
}

func newHub(run string) *hub {
	return &hub{run: run, places: make(map[string]*list.Element), changed: make(chan struct{})}
}

// state is the last snapshot of an account, and the number of the change that
// brought it: a watcher looks at those only that changed since it looked.
type state struct {
	change   uint64
	snapshot *Snapshot
}

// news is an event that has no number yet.
type news struct {
	at      time.Time
	summary string
	detail  Detail
	message uint64 // see Event
}

// publish adds events of one account and its state after them; nil keeps the
// state that was.
func (h *hub) publish(account string, snapshot *Snapshot, told []news) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range told {
		h.seq++
		event := Event{Run: h.run, Seq: h.seq, Time: n.at, Account: account, Summary: n.summary, Detail: n.detail, Message: n.message}
		if h.seq-h.oldest > eventsKept {
			h.forget()
		}
		if len(h.events) < eventsKept {
			h.events = append(h.events, event)
		} else {
			h.events[(h.seq-1)%eventsKept] = event
		}
		for h.messages += event.weight(); h.messages > messagesKept; {
			h.forget()
		}
	}
	if snapshot != nil {
		h.changes++
		if place := h.places[account]; place != nil {
			*place.Value.(*state) = state{h.changes, snapshot}
			h.latest.MoveToBack(place)
		} else {
			h.places[account] = h.latest.PushBack(&state{h.changes, snapshot})
		}
	}
	h.wake()
}

// forget drops the oldest event; it is called with the lock held.
func (h *hub) forget() {
	slot := &h.events[h.oldest%eventsKept]
	h.oldest++
	h.messages -= slot.weight()
	*slot = Event{}
}

// weight is the bytes of the message that the event is, 0 where it is none.
func (e Event) weight() int {
	d, _ := e.Detail.(SIPDetail)
	return len(d.Raw)
}

// wake is called with the lock held.
func (h *hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		h.wake()
	}
}

// watch yields what changed since the yield before; see Group.Watch.
func (h *hub) watch(ctx context.Context, since uint64) iter.Seq[Update] {
	return func(yield func(Update) bool) {
		shown := uint64(0) // the change up to which snapshots were given
		first := true
		for {
			h.mu.Lock()
			update := h.since(since, shown)
			since, shown = h.seq, h.changes
			changed, closed := h.changed, h.closed
			h.mu.Unlock()
			if first || len(update.Snapshots)+len(update.Events) > 0 {
				first = false
				if !yield(update) {
					return
				}
			} else if closed {
				return
			} else {
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
			}
		}
	}
}

// since is what came after an event and after a change; it is called with the
// lock held. It costs as much as there is to give, however many accounts there are.
func (h *hub) since(since, shown uint64) Update {
	var update Update
	for at := h.latest.Back(); at != nil && at.Value.(*state).change > shown; at = at.Prev() {
		update.Snapshots = append(update.Snapshots, at.Value.(*state).snapshot)
	}
	slices.Reverse(update.Snapshots)
	if since > h.seq {
		since = 0 // a number of another run
	}
	if since < h.oldest {
		update.Missed = h.oldest - since
		since = h.oldest
	}
	if n := h.seq - since; n > 0 {
		update.Events = make([]Event, 0, n)
		for seq := since + 1; seq <= h.seq; seq++ {
			update.Events = append(update.Events, h.events[(seq-1)%eventsKept])
		}
	}
	return update
}
