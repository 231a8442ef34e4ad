package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"regwatch/ua"
)

// terminal stands in for one: what is written is kept, what is typed is read.
type terminal struct {
	mu  sync.Mutex
	out bytes.Buffer
	in  *io.PipeReader
	key *io.PipeWriter
}

func newTerminal() *terminal {
	r, w := io.Pipe()
	return &terminal{in: r, key: w}
}

func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(p)
}

func (t *terminal) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.String()
}

// waitFor waits until the terminal was told s.
func (t *terminal) waitFor(tb testing.TB, s string) {
	tb.Helper()
	for range 500 {
		if strings.Contains(t.String(), s) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatalf("%q was never written:\n%q", s, t.String())
}

func (t *terminal) options() Options {
	return Options{Accounts: []string{"alice"}, Input: t.in, Output: t, Width: 80, Height: 24, Where: []string{"journal   /tmp/j"},
		Updates: func(ctx context.Context) iter.Seq[ua.Update] {
			return func(yield func(ua.Update) bool) {
				s := snapshot()
				s.Registration.ExpiresAt = time.Now().Add(time.Hour)
				if yield(ua.Update{Snapshots: []*ua.Snapshot{s}, Events: past()}) {
					<-ctx.Done()
				}
			}
		}}
}

// leftScreen reports whether the normal screen and the cursor came back, and
// the summary after them.
func (t *terminal) leftScreen(tb testing.TB) {
	tb.Helper()
	out := t.String()
	back := strings.LastIndex(out, "\x1b[?1049l")
	if back < 0 || !strings.Contains(out, "\x1b[?25h") {
		tb.Errorf("the terminal was not restored: %q", out)
		return
	}
	if !strings.Contains(out[back:], "journal   /tmp/j") {
		tb.Errorf("no summary on the normal screen: %q", out[back:])
	}
}

func start(ctx context.Context, o Options) <-chan error {
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	return done
}

func wait(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not return")
		return nil
	}
}

func TestRunQuits(t *testing.T) {
	term := newTerminal()
	o := term.options()
	asked, quits := make(chan string, 1), 0
	o.Do = func(account string, c ua.Command) { asked <- account + " " + string(c.Verb) }
	o.Quit = func(context.Context) { quits++ }
	done := start(t.Context(), o)
	term.waitFor(t, "REGISTERED")
	term.key.Write([]byte("Q"))
	if got := <-asked; got != "alice query" {
		t.Errorf("asked %q", got)
	}
	term.key.Write([]byte("q"))
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	if quits != 1 {
		t.Errorf("Quit called %d times", quits)
	}
	term.leftScreen(t)
}

func TestRunEndsWithItsContext(t *testing.T) {
	term := newTerminal()
	o := term.options()
	said := make(chan struct{})
	o.Quit = func(ctx context.Context) {
		if ctx.Err() != nil {
			t.Error("no time was left to unregister")
		}
		<-said
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := start(ctx, o)
	term.waitFor(t, "REGISTERED")
	cancel()
	term.waitFor(t, "unregistering...")
	close(said)
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	term.leftScreen(t)
}

func TestRunSecondQuitEndsAtOnce(t *testing.T) {
	term := newTerminal()
	o := term.options()
	calledOff := make(chan struct{})
	o.Quit = func(ctx context.Context) { <-ctx.Done(); close(calledOff) }
	done := start(t.Context(), o)
	term.waitFor(t, "REGISTERED")
	term.key.Write([]byte("q"))
	term.waitFor(t, "unregistering...")
	begun := time.Now()
	term.key.Write([]byte("q"))
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	<-calledOff
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	term.leftScreen(t)
}

// A process that was stopped finds the terminal as the shell left it: the screen is
// taken and drawn anew.
func TestRunGoesOnAfterAStop(t *testing.T) {
	term := newTerminal()
	ctx, cancel := context.WithCancel(t.Context())
	done := start(ctx, term.options())
	term.waitFor(t, "REGISTERED")
	taken := func() int { return strings.Count(term.String(), "\x1b[?1049h") }
	if err := syscall.Kill(os.Getpid(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if taken() == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := taken(); n != 2 {
		t.Errorf("the terminal was taken %d times: %q", n, term.String())
	}
	cancel()
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	term.leftScreen(t)
}

func TestPanicsRestoreTheTerminal(t *testing.T) {
	for name, change := range map[string]func(o *Options){
		"relay": func(o *Options) {
			o.Updates = func(context.Context) iter.Seq[ua.Update] {
				return func(func(ua.Update) bool) { time.Sleep(50 * time.Millisecond); panic("boom") }
			}
		},
		"update": func(o *Options) {
			o.Updates = func(context.Context) iter.Seq[ua.Update] {
				return func(yield func(ua.Update) bool) {
					yield(ua.Update{Events: []ua.Event{{Account: "alice"}}}) // no detail
				}
			}
			o.Recap = nil
		},
		"draw": func(o *Options) {
			calls := 0
			o.Now = func() time.Time {
				if calls++; calls > 3 {
					panic("boom")
				}
				return time.Now()
			}
		},
		"errand": func(o *Options) {
			o.Do = func(string, ua.Command) { panic("boom") }
		},
		"action": func(o *Options) {
			o.Admin = []AdminAction{{"d", "deactivate", func() error { panic("boom") }}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			term := newTerminal()
			o := term.options()
			quits := 0
			o.Quit = func(context.Context) { quits++ }
			change(&o)
			done := start(t.Context(), o)
			term.waitFor(t, "\x1b[?1049h")
			switch name {
			case "errand":
				term.key.Write([]byte("Q"))
			case "action":
				term.key.Write([]byte("A"))
				term.waitFor(t, "administrator")
				term.key.Write([]byte("d"))
			}
			err := wait(t, done)
			var broke *PanicError
			if !errors.As(err, &broke) || len(broke.Stack) == 0 {
				t.Errorf("Run returned %v", err)
			}
			if quits != 1 {
				t.Errorf("Quit called %d times", quits)
			}
			term.leftScreen(t)
		})
	}
}

// The user's pager has the terminal while it runs, is given what is on the page,
// and the screen comes back.
func TestRunPages(t *testing.T) {
	term := newTerminal()
	o := term.options()
	paged := make(chan string, 1)
	o.Pager = func(_ context.Context, text string) error {
		paged <- text
		return errors.New("no such program")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := start(ctx, o)
	term.waitFor(t, "REGISTERED")
	term.key.Write([]byte("v"))
	text := <-paged
	if !strings.Contains(text, "recognised by") || !strings.Contains(text, aliceURI) {
		t.Errorf("paged %q", text)
	}
	term.waitFor(t, "pager: no such program")
	cancel() // a pipe, unlike a terminal, gives no key back that the old reader took
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	term.leftScreen(t)
}

// A signal ends the pager too: the way out must not wait for it.
func TestRunEndsWhilePaging(t *testing.T) {
	term := newTerminal()
	o := term.options()
	paging := make(chan struct{})
	o.Pager = func(ctx context.Context, _ string) error {
		close(paging)
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := start(ctx, o)
	term.waitFor(t, "REGISTERED")
	term.key.Write([]byte("v"))
	<-paging
	cancel()
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	term.leftScreen(t)
}

// What is copied reaches the terminal whole, between frames.
func TestRunCopies(t *testing.T) {
	term := newTerminal()
	done := start(t.Context(), term.options())
	term.waitFor(t, "REGISTERED")
	term.key.Write([]byte("y"))
	term.waitFor(t, ansi.SetSystemClipboard(aliceURI))
	term.waitFor(t, "copied 27 bytes (OSC 52)")
	term.key.Write([]byte("q"))
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
}
