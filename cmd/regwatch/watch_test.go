package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWatchUntil: what ends a run, and with which status.
func TestWatchUntil(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		prep   func(*virtualLab)
		status int
		stderr string
		within time.Duration // of virtual time
	}{
		{"registered", []string{"--until", "registered"}, nil, 0, "", time.Second},
		{"subscribed", []string{"--until", "failed,subscribed"}, nil, 0, "", time.Second},
		{"kicked", []string{"--until", "kicked"}, after(10*time.Second, "deactivate alice"), 0, "", 11 * time.Second},
		{"shortened is no kick", []string{"--until", "kicked", "--timeout", "1m"}, after(10*time.Second, "shorten alice 200"), 3, "regwatch: timed out: no kicked within 1m0s\n", 63 * time.Second},
		{"shortened", []string{"--until", "shortened"}, after(10*time.Second, "shorten alice 200"), 0, "", 11 * time.Second},
		{"timeout", []string{"--until", "kicked,failed", "--timeout", "1m"}, nil, 3, "regwatch: timed out: no kicked or failed within 1m0s\n", 63 * time.Second},
		{"refused", []string{"--until", "registered"}, func(l *virtualLab) { l.command("reject alice") }, 4, "regwatch: alice: registration refused: ", time.Second},
		{"refusal awaited", []string{"--until", "failed"}, func(l *virtualLab) { l.command("reject alice") }, 0, "", time.Second},
		{"wrong password", []string{"--until", "registered"}, func(l *virtualLab) {
			l.file("config.toml", strings.ReplaceAll(labAccount, "secret", "guess"))
		}, 4, "regwatch: alice: registration refused: ", time.Second},
		{"unreachable", []string{"--until", "registered"}, cutOff, 5, "regwatch: alice: registrar not reached: ", 40 * time.Second},
		{"timeout during the first attempt", []string{"--until", "registered", "--timeout", "5s"}, cutOff, 5, "regwatch: timed out: no answer to the first attempt within 5s\n", 8 * time.Second},
		{"signal before the event", []string{"--until", "kicked"}, func(l *virtualLab) { l.later(5*time.Second, os.Interrupt) }, 1, "regwatch: interrupted\n", 6 * time.Second},
		{"policy", []string{"--until", "unregistered", "--on", "deactivated=auto", "--timeout", "30s"}, after(10*time.Second, "deactivate alice"), 0, "", 13 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, func(l *virtualLab) {
				if c.prep != nil {
					c.prep(l)
				}
				l.later(time.Hour, os.Interrupt) // a run that misses its end must not go on for ever
				began := time.Now()
				status := l.run(append([]string{"watch"}, c.args...)...)
				if status != c.status || !strings.HasPrefix(l.err.String(), c.stderr) || c.stderr == "" && l.err.String() != "" {
					t.Errorf("status %d, want %d; standard error:\n%s\n%s", status, c.status, l.err.String(), l.out.String())
				}
				if took := time.Since(began); took > c.within {
					t.Errorf("took %v, want at most %v\n%s", took, c.within, l.out.String())
				}
				if left := l.registrar.Bindings("alice"); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}

// after gives the registrar commands in a while.
func after(d time.Duration, lines ...string) func(*virtualLab) {
	return func(l *virtualLab) {
		time.AfterFunc(d, func() {
			for _, line := range lines {
				l.command(line)
			}
		})
	}
}

// cutOff parts us from the registrar.
func cutOff(l *virtualLab) {
	l.net.Cut(l.net.Host(ourHost).Addr(), l.net.Host(labHost).Addr())
}

// later sends signals in a while, one right after the other.
func (l *virtualLab) later(d time.Duration, signals ...os.Signal) {
	time.AfterFunc(d, func() {
		for _, s := range signals {
			l.signals <- s
		}
	})
}

// TestWatchSeveral: without --all one account is enough, with it each has to,
// and one that cannot ends the run.
func TestWatchSeveral(t *testing.T) {
	const two = labAccount + `
[[account]]
aor = "sip:bob@example.com"
outbound_proxy = "sip:192.0.2.1;lr"
password = "secret"
`
	for _, c := range []struct {
		name   string
		args   []string
		reject []string
		status int
		stderr string
	}{
		{"any", []string{"--until", "registered"}, []string{"alice"}, 0, ""},
		{"all", []string{"--until", "registered", "--all"}, nil, 0, ""},
		{"one of all cannot", []string{"--until", "registered", "--all"}, []string{"bob"}, 4, "regwatch: bob: registration refused: "},
		{"none can", []string{"--until", "registered"}, []string{"alice", "bob"}, 4, "regwatch: alice: registration refused: "},
		{"chosen", []string{"--until", "registered", "--all", "--account", "bob"}, []string{"alice"}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, func(l *virtualLab) {
				l.file("config.toml", two)
				for _, user := range c.reject {
					l.command("reject " + user)
				}
				if status := l.run(append([]string{"watch"}, c.args...)...); status != c.status || !strings.HasPrefix(l.err.String(), c.stderr) {
					t.Errorf("status %d, want %d; standard error:\n%s\n%s", status, c.status, l.err.String(), l.out.String())
				}
			})
		})
	}
}

// TestWatchStream: JSON lines numbered without a gap, start first, the end last,
// and the same in the journal.
func TestWatchStream(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.later(10*time.Second, syscall.SIGTERM)
		after(5*time.Second, "deactivate alice")(l)
		if status := l.run("watch", "--json"); status != 0 {
			t.Fatalf("status %d: %s", status, l.err.String())
		}
		if l.err.String() != askHint+"\n" {
			t.Errorf("standard error: %s", l.err.String())
		}
		all := events(t, l.out.String())
		kinds := map[string]int{}
		for i, e := range all {
			kinds[e["kind"].(string)]++
			if e["v"] != 1.0 || e["seq"] != float64(i+1) || e["run"] != all[0]["run"] || e["summary"] == "" {
				t.Errorf("event %d: %v", i, e)
			}
			if e["kind"] != "start" && e["account"] != "alice" {
				t.Errorf("event %d: %v", i, e)
			}
			for field, value := range e {
				if value == nil {
					t.Errorf("event %d: %s is null", i, field)
				}
			}
		}
		if all[0]["kind"] != "start" {
			t.Errorf("first: %v", all[0])
		}
		for _, kind := range []string{"registration", "subscription", "document", "contact", "action", "flow"} {
			if kinds[kind] == 0 {
				t.Errorf("no %s among %v", kind, kinds)
			}
		}
		kept, err := os.ReadFile(filepath.Join(l.dir, "state", "journal.ndjson"))
		if err != nil || string(kept) != l.out.String() {
			t.Errorf("journal differs: %v\n%s\n%s", err, kept, l.out.String())
		}
	})
}

// TestWatchEnd: a signal unregisters, --leave does not, and neither a registrar
// that is gone nor a second signal holds the end up.
func TestWatchEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		args    []string
		cut     bool
		signals []os.Signal
		status  int
		bound   int
		within  time.Duration
	}{
		{"unregisters", nil, false, []os.Signal{syscall.SIGHUP}, 0, 0, 500 * time.Millisecond},
		{"leaves", []string{"--leave"}, false, []os.Signal{os.Interrupt}, 0, 1, 500 * time.Millisecond},
		{"registrar gone", nil, true, []os.Signal{os.Interrupt}, 0, 1, 3 * time.Second},
		{"second signal", nil, true, []os.Signal{os.Interrupt, os.Interrupt}, 1, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, func(l *virtualLab) {
				if c.cut {
					time.AfterFunc(9*time.Second, func() { cutOff(l) })
				}
				l.later(10*time.Second, c.signals...)
				began := time.Now()
				status := l.run(append([]string{"watch"}, c.args...)...)
				if took := time.Since(began) - 10*time.Second; status != c.status || took > c.within {
					t.Errorf("status %d after %v: %s", status, took, l.err.String())
				}
				if bound := l.registrar.Bindings("alice"); len(bound) != c.bound {
					t.Errorf("bound: %v", bound)
				}
				time.Sleep(5 * time.Second) // what the second signal left behind ends by itself
			})
		})
	}
}

// closedPipe is standard output whose reader has gone.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
}

func TestWatchReaderGone(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.stdout = closedPipe{}
		if status := l.run("watch"); status != 0 || l.err.String() != "" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		if left := l.registrar.Bindings("alice"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestWatchCapture: a trace for Wireshark, without secrets. What is in it is the
// capture package's business.
func TestWatchCapture(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		file := filepath.Join(l.dir, "x.pcapng")
		l.later(10*time.Second, os.Interrupt)
		if status := l.run("watch", "--trace", file); status != 0 || l.err.String() != "" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		content, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(content), "\x0a\x0d\x0d\x0a") || !strings.Contains(string(content), "REGISTER sip:example.com SIP/2.0\r\n") || !strings.Contains(string(content), `response="***"`) {
			t.Errorf("%v\n%q", err, content)
		}
	})
}

// TestWatchPlain: lines for people, a trace without secrets, a log, and the
// password asked for when the registrar wants it.
func TestWatchPlain(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		asked := 0
		l.inTerminal = true
		l.secret = func() (string, error) { asked++; return "secret", nil }
		trace, log := filepath.Join(l.dir, "trace.txt"), filepath.Join(l.dir, "log.txt")
		l.later(10*time.Second, os.Interrupt)
		status := l.run("watch", "sip:alice@example.com", "--proxy", "sip:192.0.2.1;lr", "--transport", "tcp", "--trace", trace, "--log", log)
		if status != 0 || asked != 1 || l.err.String() != "Password for sip:alice@example.com (none: Enter): \n" {
			t.Errorf("status %d, asked %d times: %s", status, asked, l.err.String())
		}
		lines := strings.Split(l.out.String(), "\n")
		if _, err := time.Parse("15:04:05.000", lines[0][:12]); err != nil || !strings.Contains(l.out.String(), "this device registered by us\n") {
			t.Errorf("%v\n%s", err, l.out.String())
		}
		text, err := os.ReadFile(trace)
		if err != nil || !strings.Contains(string(text), "\nREGISTER sip:example.com SIP/2.0\n") || !strings.Contains(string(text), `response="***"`) || !strings.Contains(string(text), " tcp ") {
			t.Errorf("trace: %v\n%s", err, text)
		}
		if _, err := os.Stat(log); err != nil {
			t.Error(err)
		}
	})
}

// TestNoTerminal: without a terminal to draw on the root command is watch.
func TestNoTerminal(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.later(10*time.Second, os.Interrupt)
		if status := l.run(); status != 0 || l.err.String() != "regwatch: standard output is no terminal: running as watch\n" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		if !strings.Contains(l.out.String(), "this device registered by us\n") {
			t.Errorf("got %s", l.out.String())
		}
	})
}

// TestWatchJournalFails: what cannot be recorded is told once, and the run goes
// on.
func TestWatchJournalFails(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.file("config.toml", labAccount+"[journal]\nfile = \"/dev/full\"\n")
		if status := l.run("watch", "--until", "registered"); status != 0 || l.err.String() != "regwatch: warning: journal: write /dev/full: no space left on device\n" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		l.file("config.toml", labAccount+"[journal]\nfile = \""+l.dir+"\"\n")
		if status := l.run("watch", "--until", "registered"); status != 0 || !strings.HasPrefix(l.err.String(), "regwatch: warning: journal: open ") {
			t.Errorf("status %d: %s", status, l.err.String())
		}
	})
}
