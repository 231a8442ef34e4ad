package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/eventschema"
	"regwatch/internal/guard"
	"regwatch/tui"
	"regwatch/ua"
)

// TestScreen: the screen is given what it needs, and what it does at its end
// unregisters.
func TestScreen(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal bool // ends it, not the user
	}{{"quit", false}, {"signal", true}} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, func(l *virtualLab) {
				l.outTerminal = true
				l.screen = func(ctx context.Context, o tui.Options) error {
					if !slices.Equal(o.Accounts, []string{"alice"}) || o.Trace == nil || len(o.Admin) > 0 {
						t.Errorf("options are %+v", o)
					}
					if want := "journal " + filepath.Join(l.dir, "state", "journal.ndjson"); !slices.Contains(o.Where, want) {
						t.Errorf("where is %q, want %q", o.Where, want)
					}
					for u := range o.Updates(ctx) {
						if len(u.Snapshots) > 0 && u.Snapshots[0].Registration.State == ua.Registered {
							break
						}
					}
					if c.signal {
						l.signals <- os.Interrupt
						<-ctx.Done()
					}
					quit, cancel := context.WithTimeout(context.Background(), 3*time.Second)
					defer cancel()
					o.Quit(quit)
					if left := l.registrar.Bindings("alice"); len(left) > 0 {
						t.Errorf("left behind: %v", left)
					}
					return nil
				}
				if status := l.run(); status != 0 || l.err.String() != "" {
					t.Errorf("status %d: %s", status, l.err.String())
				}
			})
		})
	}
}

// TestScreenSecondSignal: the end is waited for until the second signal.
func TestScreenSecondSignal(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.outTerminal = true
		l.screen = func(ctx context.Context, o tui.Options) error {
			for u := range o.Updates(ctx) {
				if len(u.Snapshots) > 0 && u.Snapshots[0].Registration.State == ua.Registered {
					break
				}
			}
			cutOff(l)
			l.signals <- os.Interrupt
			<-ctx.Done()
			time.AfterFunc(time.Second, func() { l.signals <- os.Interrupt })
			began := time.Now()
			o.Quit(context.Background())
			if took := time.Since(began); took > 1100*time.Millisecond {
				t.Errorf("the end took %v", took)
			}
			return nil
		}
		if status := l.run(); status != 0 {
			t.Errorf("status %d: %s", status, l.err.String())
		}
	})
}

// TestScreenBreaks: what breaks the screen, or an agent behind it, is told with
// status 1.
func TestScreenBreaks(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.outTerminal = true
		l.screen = func(_ context.Context, o tui.Options) error {
			o.Quit(context.Background())
			return errors.New("screen: boom")
		}
		if status := l.run(); status != 1 || l.err.String() != "regwatch: screen: boom\n" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		if left := l.registrar.Bindings("alice"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	var out output
	if status := explain(&out, &guard.Panic{Value: "boom", Stack: []byte("here")}); status != 1 || out.String() != "regwatch: internal error: boom\n\nhere" {
		t.Errorf("status %d: %s", status, out.String())
	}
}

// TestScreenAsks: a password is asked for before the screen takes the terminal,
// and a signal ends the question.
func TestScreenAsks(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.inTerminal, l.outTerminal = true, true
		l.secret = func() (string, error) { return "secret", nil }
		l.screen = func(ctx context.Context, o tui.Options) error {
			for u := range o.Updates(ctx) {
				if len(u.Snapshots) > 0 && u.Snapshots[0].Registration.State == ua.Registered {
					break
				}
			}
			o.Quit(context.Background())
			return nil
		}
		args := []string{"sip:alice@example.com", "--proxy", "sip:192.0.2.1;lr"}
		if status := l.run(args...); status != 0 || !strings.HasPrefix(l.err.String(), "Password for sip:alice@example.com") {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		never := make(chan struct{})
		l.secret = func() (string, error) { <-never; return "", nil }
		l.later(time.Second, os.Interrupt)
		if status := l.run(args...); status != 1 || !strings.HasSuffix(l.err.String(), "regwatch: interrupted\n") {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		close(never)
	})
}

// TestDemo: nothing of the user's is read, the administrator's hands work, a
// second device turns up, and nothing is left.
func TestDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	inLab(t, func(l *virtualLab) {
		l.network = l.net.Host("127.0.0.1")
		l.outTerminal = true
		l.configFile = func() (string, error) { t.Error("looked for a config"); return "", nil }
		l.screen = func(ctx context.Context, o tui.Options) error {
			await := func(what string, is func(*ua.Snapshot) bool) {
				ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
				defer cancel()
				for u := range o.Updates(ctx) {
					for _, s := range u.Snapshots {
						if is(s) {
							return
						}
					}
				}
				t.Errorf("never: %s", what)
			}
			others := func(s *ua.Snapshot) (n int) {
				for _, b := range s.Bindings {
					if b.Active() && !b.Own {
						n++
					}
				}
				return n
			}
			await("registered and watching", func(s *ua.Snapshot) bool {
				return s.Registration.State == ua.Registered && s.Subscription.State == ua.Active
			})
			await("the second device comes", func(s *ua.Snapshot) bool { return others(s) == 1 })
			await("the second device goes", func(s *ua.Snapshot) bool { return others(s) == 0 })
			await("the second device comes again", func(s *ua.Snapshot) bool { return others(s) == 1 })
			for _, action := range o.Admin {
				if strings.HasPrefix(action.Label, "allow") || strings.HasPrefix(action.Label, "create") {
					continue
				}
				if err := action.Run(); err != nil {
					t.Errorf("%s: %v", action.Label, err)
				}
				if label := action.Label; label == "deactivate" || strings.HasPrefix(label, "probation") || label == "reject" || label == "expire" {
					await(label, func(s *ua.Snapshot) bool { return len(s.Prompts) > 0 })
				}
				for _, again := range o.Admin {
					if action.Label == "reject" && strings.HasPrefix(again.Label, "allow") {
						if err := again.Run(); err != nil {
							t.Errorf("%s: %v", again.Label, err)
						}
					}
				}
				o.Do("alice", ua.Command{Verb: ua.DoRegister})
				time.Sleep(5 * time.Second) // of virtual time: the next action must not meet this REGISTER on its way
				await("registered after "+action.Label, func(s *ua.Snapshot) bool {
					return s.Registration.State == ua.Registered && len(s.Prompts) == 0 &&
						slices.ContainsFunc(s.Bindings, func(b ua.Binding) bool { return b.Own && b.Active() })
				})
				// The next action may need the second device, which comes by itself.
				await("the second device after "+action.Label, func(s *ua.Snapshot) bool { return others(s) == 1 })
			}
			for u := range o.Updates(ctx) {
				eventschema.Events(t, u.Events...)
				break
			}
			o.Quit(context.Background())
			return nil
		}
		if status := l.run("demo"); status != 0 || l.err.String() != "" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
	})
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestLab: commands from standard input, their answers, and the end.
func TestLab(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		in, typed := io.Pipe()
		l.stdin = in
		l.network = l.net.Host("192.0.2.50")
		users := l.file("users.txt", "# the lab's\nalice:secret\n\nbob:with:colon\n")
		time.AfterFunc(time.Second, func() {
			io.WriteString(typed, "create alice sip:alice@192.0.2.9\nlist\ndance\nquit\n")
		})
		status := l.run("lab", "--listen", "192.0.2.50:5060", "--users", users, "--domain", "example.com", "--trace", filepath.Join(l.dir, "lab.txt"))
		typed.Close()
		if status != 0 || l.err.String() != "regwatch: \"dance\" is no command: try help\n" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		for _, want := range []string{"registrar (rfc) at udp 192.0.2.50:5060 and tcp 192.0.2.50:5060; 2 users may register;", "Created sip:alice@192.0.2.9;", "sip:alice@example.com  sip:alice@192.0.2.9  created"} {
			if !strings.Contains(l.out.String(), want) {
				t.Errorf("no %q in\n%s", want, l.out.String())
			}
		}
	})
}

// TestMissed: a reader that lost events is told how many, in the right place.
func TestMissed(t *testing.T) {
	event := ua.Event{Run: "r", Seq: 12, Detail: ua.FlowDetail{State: "up"}}
	got := withMissed("0123abcd", ua.Update{Missed: 3, Events: []ua.Event{event}})
	if len(got) != 2 || got[0].Seq != 11 || got[0].Detail != (ua.MissedDetail{Count: 3}) {
		t.Errorf("got %+v", got)
	}
	var out bytes.Buffer
	eventschema.Events(t, got[0])
	if err := (&stream{out: &out, json: true}).write(got); err != nil || !strings.Contains(out.String(), `"kind":"missed"`) || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%v: %s", err, out.String())
	}
}
