package tui

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/ua"
)

// A storm costs the screen one frame each gatherFor. What happens now and then goes
// through at once, and so do the first of a burst: the documents and answers that come
// with a kick must not hold it up.
const (
	gatherFor = 50 * time.Millisecond
	burst     = 4
)

type (
	updateMsg ua.Update
	// endMsg says that the caller wants the program to end, as after a signal.
	endMsg struct{}
)

// relay hands updates to the program: the first at once, those of a storm gathered. It
// alone calls send, which blocks while the program is busy; then updates wait
// with their source, which merges them. It returns when ctx ends. ending, when
// it is done, is passed on once as endMsg.
func relay(ctx context.Context, updates <-chan ua.Update, ending <-chan struct{}, send func(tea.Msg)) {
	var (
		held  ua.Update
		timer <-chan time.Time // runs while something is held
		even  time.Time        // when the next would be due, were each sent gatherFor behind the one before
	)
	deliver := func() {
		now := time.Now()
		if even.Before(now) {
			even = now
		}
		even = even.Add(gatherFor)
		u := held
		held, timer = ua.Update{}, nil
		send(updateMsg(u))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ending:
			ending = nil
			send(endMsg{})
		case u := <-updates:
			held = merge(held, u)
			if timer != nil {
				continue
			}
			if early := time.Until(even.Add(-(burst - 1) * gatherFor)); early > 0 {
				timer = time.After(early)
			} else {
				deliver()
			}
		case <-timer:
			deliver()
		}
	}
}

// merge makes one update of two: the newest snapshot of each account and every
// event.
func merge(older, newer ua.Update) ua.Update {
	out := ua.Update{Missed: older.Missed + newer.Missed}
	out.Events = append(older.Events, newer.Events...)
	out.Snapshots = older.Snapshots
	if len(older.Snapshots) == 0 {
		out.Snapshots = newer.Snapshots
		return out
	}
	places := make(map[string]int, len(older.Snapshots))
	for i, s := range older.Snapshots {
		places[s.Account] = i
	}
	for _, s := range newer.Snapshots {
		if i, found := places[s.Account]; found {
			out.Snapshots[i] = s
			continue
		}
		out.Snapshots = append(out.Snapshots, s)
	}
	return out
}
