package tui

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/ua"
)

func TestRelaySendsAtOnceAndGathersInAStorm(t *testing.T) {
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
		time.Sleep(time.Second)
		updates <- ua.Update{Snapshots: []*ua.Snapshot{{Account: "alice"}}, Events: []ua.Event{{Seq: 1001, Detail: ua.StartDetail{}}}, Missed: 1}
		synctest.Wait()
		if last := got[len(got)-1]; time.Since(start)-last.after > 0 || len(last.Events) != 1 {
			t.Errorf("after the storm one was sent after %v with %d events", last.after, len(last.Events))
		}
		close(ending)
		time.Sleep(time.Second)
		stop()
		<-done
		if n := burst + int(got[len(got)-2].after/gatherFor); len(got)-1 > n {
			t.Errorf("%d frames in the storm, want %d at most", len(got)-1, n)
		}
		for i, u := range got[:burst] {
			if u.after != time.Duration(i)*time.Millisecond || len(u.Events) != 1 {
				t.Errorf("number %d was sent after %v with %d events", i, u.after, len(u.Events))
			}
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
		if next != 1002 || missed != 1002 {
			t.Errorf("%d events and %d missed arrived of 1002", next, missed)
		}
		if ended != 1 {
			t.Errorf("the end was told %d times", ended)
		}
	})
}
