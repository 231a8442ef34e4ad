package tui

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/ua"
)

func TestRelaySendsTheFirstAtOnceAndGathersTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type sent struct {
			after time.Duration
			ua.Update
		}
		var got []sent
		start := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		updates, ending := make(chan ua.Update), make(chan struct{})
		done, ended := make(chan struct{}), 0
		go func() {
			defer close(done)
			relay(ctx, updates, ending, func(m tea.Msg) {
				switch m := m.(type) {
				case updateMsg:
					got = append(got, sent{time.Since(start), ua.Update(m)})
				case endMsg:
					ended++
				}
			})
		}()
		for i := range 1001 { // one a millisecond
			updates <- ua.Update{
				Snapshots: []*ua.Snapshot{{Account: "alice", At: time.Now()}},
				Events:    []ua.Event{{Seq: uint64(i), Detail: ua.StartDetail{}}}, Missed: 1,
			}
			time.Sleep(time.Millisecond)
		}
		close(ending)
		time.Sleep(time.Second)
		stop()
		<-done
		if len(got) > 22 {
			t.Errorf("%d frames in a second", len(got))
		}
		if got[0].after != 0 || len(got[0].Events) != 1 {
			t.Errorf("the first was sent after %v with %d events", got[0].after, len(got[0].Events))
		}
		next, missed := uint64(0), uint64(0)
		for _, u := range got {
			missed += u.Missed
			if len(u.Snapshots) != 1 {
				t.Errorf("%d snapshots of one account in one update", len(u.Snapshots))
			}
			for _, e := range u.Events {
				if e.Seq != next {
					t.Fatalf("event %d where %d should be", e.Seq, next)
				}
				next++
			}
		}
		if next != 1001 || missed != 1001 {
			t.Errorf("%d events and %d missed arrived of 1001", next, missed)
		}
		if ended != 1 {
			t.Errorf("the end was told %d times", ended)
		}
	})
}
