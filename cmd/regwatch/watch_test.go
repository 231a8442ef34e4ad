package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regwatch/internal/wire/memnet"
	"regwatch/ua"
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
		{"unregistered", []string{"--until", "unregistered"}, after(10*time.Second, "deactivate alice"), 0, "", 11 * time.Second},
		{"subscription ended", []string{"--until", "subscription-terminated"}, noRefresh, 0, "", 2 * time.Minute},
		{"deactivated", []string{"--until", "probation,deactivated"}, after(10*time.Second, "deactivate alice"), 0, "", 11 * time.Second},
		{"probation", []string{"--until", "probation"}, after(10*time.Second, "probation alice 60"), 0, "", 11 * time.Second},
		{"rejected", []string{"--until", "rejected"}, after(10*time.Second, "reject alice"), 0, "", 11 * time.Second},
		{"expired", []string{"--until", "contact-expired"}, after(10*time.Second, "expire alice"), 0, "", 11 * time.Second},
		{"unregistered from elsewhere", []string{"--until", "contact-unregistered"}, unregisterElsewhere, 0, "", 11 * time.Second},
		{"absent", []string{"--until", "absent"}, removeSilently, 0, "", 2 * time.Minute},
		{"another kick", []string{"--until", "probation,rejected,shortened,contact-expired,contact-unregistered,absent", "--timeout", "1m"}, after(10*time.Second, "deactivate alice"),
			3, askHint + "\nregwatch: timed out: no probation or ", 63 * time.Second},
		{"only provisional answers", []string{"--until", "registered", "--timeout", "1m"}, tryingOnly, 3, "regwatch: timed out: no registered within 1m0s\n", 63 * time.Second},
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

// unregisterElsewhere lets another device of the user remove all bindings.
func unregisterElsewhere(l *virtualLab) {
	other := ua.NewGroup(ua.Options{Network: l.net.Host("192.0.2.8")})
	l.t.Cleanup(func() { other.Close(context.Background(), true) })
	time.AfterFunc(10*time.Second, func() {
		if err := other.Start(ua.Account{
			AOR: "sip:alice@example.com", OutboundProxy: []string{"sip:192.0.2.1;lr"}, WatchOnly: true, Watch: ua.WatchOff,
			Password: func() (string, error) { return "secret", nil },
		}); err != nil {
			l.t.Error(err)
		}
		other.Do("alice", ua.Command{Verb: ua.DoRemoveAll})
	})
}

// removeSilently takes alice off without a word; the refresh of the subscription
// shows it.
func removeSilently(l *virtualLab) {
	l.file("config.toml", labAccount+"subscribe_expires = 60\n")
	after(10*time.Second, "remove alice")(l)
}

// noRefresh lets the subscription run out.
func noRefresh(l *virtualLab) {
	l.file("config.toml", labAccount+"subscribe_expires = 60\n")
	time.AfterFunc(10*time.Second, func() {
		l.net.Drop(func(p memnet.Packet) bool { return strings.HasPrefix(string(p.Data), "SUBSCRIBE ") })
	})
}

// tryingOnly makes a proxy of ours that answers nothing but 100 (RFC 3261 8.2.6.1).
func tryingOnly(l *virtualLab) {
	l.file("config.toml", strings.ReplaceAll(labAccount, "192.0.2.1;lr", "192.0.2.9;lr"))
	socket, err := l.net.Host("192.0.2.9").ListenPacket(l.t.Context(), netip.MustParseAddrPort("192.0.2.9:5060"))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { socket.Close() })
	go func() {
		buffer := make([]byte, 65535)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			answer := "SIP/2.0 100 Trying\r\n"
			for line := range strings.SplitSeq(string(buffer[:n]), "\r\n") {
				switch name, _, _ := strings.Cut(line, ":"); name {
				case "Via", "From", "To", "Call-ID", "CSeq":
					answer += line + "\r\n"
				}
			}
			socket.WriteTo([]byte(answer+"Content-Length: 0\r\n\r\n"), from)
		}
	}()
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

// TestWatchMessages: the SIP messages stand in the stream before what they lead to,
// as the account's, without secrets, and in the journal too.
func TestWatchMessages(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.later(10*time.Second, syscall.SIGTERM)
		if status := l.run("watch", "--json", "--trace-messages"); status != 0 {
			t.Fatalf("status %d: %s", status, l.err.String())
		}
		var story []string
		for i, e := range events(t, l.out.String()) {
			if e["seq"] != float64(i+1) {
				t.Errorf("event %d: %v", i, e)
			}
			switch e["kind"] {
			case "registration":
				story = append(story, e["state"].(string))
			case "sip":
				line, raw := e["start_line"].(string), e["raw"].(string)
				method, _, _ := strings.Cut(line, " ")
				if story = append(story, e["direction"].(string)+" "+method); method == "SIP/2.0" {
					story[len(story)-1] += line[len(method):]
				}
				if e["account"] != "alice" || e["transport"] != "udp" || !strings.HasPrefix(e["local"].(string), ourHost+":") || e["remote"] != labHost+":5060" || !strings.HasPrefix(raw, line+"\r\n") {
					t.Errorf("message %v", e)
				}
			}
		}
		if want := "registering,sent REGISTER,received SIP/2.0 401 Unauthorized,sent REGISTER,received SIP/2.0 200 OK,registered,"; !strings.HasPrefix(strings.Join(story, ","), want) {
			t.Errorf("got %s\nwant %s", strings.Join(story, ","), want)
		}
		if text := l.out.String(); !strings.Contains(text, `response=\"***\"`) || strings.Count(text, "response=") != strings.Count(text, `response=\"***\"`) {
			t.Error("a digest response is in the stream, or none was to be seen")
		}
		if kept, err := os.ReadFile(filepath.Join(l.dir, "state", "journal.ndjson")); err != nil || string(kept) != l.out.String() {
			t.Errorf("journal differs: %v", err)
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

// TestWatchLines: columns that stand under each other, a kick that stands out
// without colour, a line for a new day, and messages moved in.
func TestWatchLines(t *testing.T) {
	var out output
	s := newStream(&out, false, []string{"alice", "switchboard"})
	at := time.Date(2026, 11, 23, 23, 59, 59, 0, time.Local)
	contact := ua.ContactDetail{Own: true, Origin: ua.OriginNetwork}
	line := func(after time.Duration, account, summary string, d ua.Detail) {
		t.Helper()
		if err := s.write([]ua.Event{{Time: at.Add(after), Account: account, Summary: summary, Detail: d}}); err != nil {
			t.Fatal(err)
		}
	}
	line(0, "", "regwatch watches 2 accounts", ua.StartDetail{})
	line(0, "alice", "registered for 3600 s", ua.RegistrationDetail{})
	contact.Event = "deactivated"
	line(time.Millisecond, "alice", "this device deactivated by the network", contact)
	contact.Event = "shortened"
	line(2*time.Second, "switchboard", "this device shortened by the network", contact)
	contact.Origin = ua.OriginSelf
	line(2*time.Second, "alice", "this device refreshed by us", contact)
	line(2*time.Second, "alice", "registration of sip:a@b is active", ua.RegistrationStateDetail{})
	line(2*time.Second, "alice", "sent OPTIONS\x1b", ua.SIPDetail{Raw: "OPTIONS sip:b SIP/2.0\r\nTo: \x1b[2J\r\n\r\nbody\r\n"})
	want := `23:59:59.000               start         regwatch watches 2 accounts
23:59:59.000  alice        registration  registered for 3600 s
23:59:59.001  alice        KICKED        this device deactivated by the network
2026-11-24
00:00:01.000  switchboard  SHORTENED     this device shortened by the network
00:00:01.000  alice        contact       this device refreshed by us
00:00:01.000  alice        aor           registration of sip:a@b is active
00:00:01.000  alice        sip           sent OPTIONS<1B>
    | OPTIONS sip:b SIP/2.0
    | To: <1B>[2J
    |
    | body
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
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
	inLab(t, func(l *virtualLab) { // while the run goes on, not at its end
		l.file("config.toml", labAccount+"[journal]\nfile = \"/dev/full\"\n")
		time.AfterFunc(5*time.Second, func() {
			if said := l.err.String(); said != "regwatch: warning: journal: write /dev/full: no space left on device\n" {
				t.Errorf("said %q", said)
			}
		})
		l.later(10*time.Second, os.Interrupt)
		if status := l.run("watch"); status != 0 {
			t.Errorf("status %d: %s", status, l.err.String())
		}
	})
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
