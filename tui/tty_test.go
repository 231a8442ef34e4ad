package tui

import (
	"context"
	"iter"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/ua"
)

func TestTTYDrawsTheRowsThatDiffer(t *testing.T) {
	var out strings.Builder
	tty := newTTY(strings.NewReader(""), &out, false)
	for _, step := range []struct{ what, frame, want string }{
		{"all at first", "abcd\nef\n", "\x1b[1;1Habcd" + "\x1b[2;1Hef\x1b[K" + "\x1b[3;1H\x1b[K"},
		{"nothing new", "abcd\nef\n", ""},
		{"one row", "abcd\n漢字\n", "\x1b[2;1H漢字"},
		{"another size", "ab\ncd", "\x1b[1;1Hab\x1b[K" + "\x1b[2;1Hcd\x1b[K"},
	} {
		out.Reset()
		tty.draw(step.frame, 4)
		if got := strings.ReplaceAll(out.String(), "\x1b[H", "\x1b[1;1H"); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
	out.Reset()
	tty.forget()
	tty.draw("ab\ncd", 4)
	if !strings.Contains(out.String(), "cd") {
		t.Errorf("after it was forgotten: %q", out.String())
	}
}

// writes is a terminal's output that keeps each write by itself.
type writes struct {
	*terminal
	all []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.all = append(w.all, string(p))
	w.mu.Unlock()
	return w.terminal.Write(p)
}

// take returns what was written since the last time.
func (w *writes) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

// In a minute in which nothing happens but countdowns the terminal is written to
// once a second, and told those rows alone that have one; where nothing counts it is
// told nothing. A screen that drew for any other reason would show here.
func TestIdleMinute(t *testing.T) {
	// The first to ask for signals starts a goroutine that stays: not one of virtual time.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCONT)
	signal.Stop(signals)

	idle := &ua.Snapshot{Account: "alice", AOR: "sip:alice@example.com"}
	for _, c := range []struct {
		name        string
		snapshot    *ua.Snapshot
		least, most int
	}{{"countdowns", snapshot(), 59, 61}, {"nothing", idle, 0, 0}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &writes{terminal: newTerminal()}
				o := out.options()
				o.Output = out
				began := time.Now()
				o.Now = func() time.Time { return noon.Add(time.Since(began)) }
				o.Updates = func(ctx context.Context) iter.Seq[ua.Update] {
					return func(yield func(ua.Update) bool) {
						if yield(ua.Update{Snapshots: []*ua.Snapshot{c.snapshot}, Events: past()}) {
							<-ctx.Done()
						}
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := start(ctx, o)
				time.Sleep(10*time.Second + time.Millisecond)
				synctest.Wait()
				out.take()
				time.Sleep(time.Minute)
				synctest.Wait()
				all := out.take()
				if n := len(all); n < c.least || n > c.most {
					t.Errorf("%d writes in a minute: %q", n, all)
				}
				for _, one := range all {
					for row := range strings.SplitSeq(one, "\x1b[K") {
						if row != "" && !strings.Contains(row, ":") {
							t.Errorf("drawn without a countdown: %q", row)
						}
					}
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				out.in.Close()
				time.Sleep(time.Second) // the program leaves its tick behind
			})
		})
	}
}
