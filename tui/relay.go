package tui

import (
	"context"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/ua"
)

// gatherFor is how long the relay gathers after it sent something, so that a
// storm costs the screen at most 20 frames a second.
const gatherFor = 50 * time.Millisecond

type (
	updateMsg ua.Update
	// endMsg says that the caller wants the program to end, as after a signal.
	endMsg struct{}
)

// relay hands updates to the program: the first at once, the rest gathered. It
// alone calls send, which blocks while the program is busy; then updates wait
// with their source, which merges them. It returns when ctx ends. ending, when
// it is done, is passed on once as endMsg.
func relay(ctx context.Context, updates <-chan ua.Update, ending <-chan struct{}, send func(tea.Msg)) {
	var (
		held  ua.Update
		any   bool
		timer <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ending:
			ending = nil
			send(endMsg{})
		case u := <-updates:
			if timer == nil {
				send(updateMsg(u))
				timer = time.After(gatherFor)
				continue
			}
			held = merge(held, u)
			any = true
		case <-timer:
			timer = nil
			if any {
				send(updateMsg(held))
				held, any = ua.Update{}, false
				timer = time.After(gatherFor)
			}
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
