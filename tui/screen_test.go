package tui

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/lipgloss"

	"regwatch/ua"
)

func TestGoldenOverview(t *testing.T) {
	for _, size := range []struct {
		name string
		w, h int
	}{{"overview-80x24", 80, 24}, {"overview-120x40", 120, 40}, {"overview-40x10", 40, 10}} {
		t.Run(size.name, func(t *testing.T) {
			b := newBench(t, size.w, size.h, nil)
			b.show(snapshot(), past()...)
			b.golden(size.name)
		})
	}
}

func TestGoldenPanel(t *testing.T) {
	for _, size := range []struct {
		name string
		w, h int
	}{{"panel-80x24", 80, 24}, {"panel-120x40", 120, 40}, {"panel-40x10", 40, 10}} {
		t.Run(size.name, func(t *testing.T) {
			b := newBench(t, size.w, size.h, nil)
			b.show(snapshot(), past()...)
			b.show(kicked(1, noon))
			b.after(time.Second)
			b.golden(size.name)
		})
	}
}

func TestGoldenViews(t *testing.T) {
	for name, keys := range map[string][]string{
		"help-80x24":    {"?"},
		"contact-80x24": {"enter"}, "folded-80x24": {"l"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 80, 24, nil)
			b.show(snapshot(), past()...)
			if name == "folded-80x24" {
				b.show(kicked(1, noon))
			}
			b.keys(keys...)
			b.after(time.Minute)
			b.golden(name)
		})
	}
}

func TestTooSmall(t *testing.T) {
	b := newBench(t, 39, 9, nil)
	b.show(snapshot(), past()...)
	b.sees("needs a terminal of 40x10")
	for _, size := range [][2]int{{1, 1}, {10, 2}, {39, 50}, {300, 9}} {
		b.w, b.h = size[0], size[1]
		b.screen()
	}
}

// TestEverySize draws every view with and without a panel on terminals of all
// sizes; screen checks the frame.
func TestEverySize(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) {
		o.Admin = []AdminAction{{"d", "deactivate", nil}, {"r", "reject", nil}, {"p", "probation", nil}, {"s", "shorten", nil}, {"u", "unregister", nil}, {"e", "expire", nil}, {"x", "drop without a word", nil}, {"2", "second device comes", nil}, {"3", "second device goes", nil}}
	})
	b.show(snapshot(), past()...)
	for _, prompts := range []int{0, 1, 3} {
		s := snapshot()
		if prompts > 0 {
			s = kicked(1, noon)
			for i := 1; i < prompts; i++ {
				p := s.Prompts[0]
				p.ID = uint64(i + 1)
				s.Prompts = append(s.Prompts, p)
			}
		}
		s.Notices = []string{"another process (pid 4711) holds the state file", "the key log is on"}
		b.show(s)
		for _, v := range b.views {
			b.view = v
			for _, menu := range []bool{false, true} {
				b.menu = menu
				for b.w = 40; b.w < 180; b.w += 31 {
					for b.h = 10; b.h < 60; b.h += 11 {
						b.screen()
					}
				}
			}
		}
	}
}

// Lasting warnings are red; without colour the mark and the words are left.
func TestNoticesAreRed(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	s := snapshot()
	s.Notices = []string{"TLS certificates are not checked \x1b[0m"}
	b.show(s)
	if plain := strings.Join(b.notices(80, 2), ""); plain != " ! TLS certificates are not checked "+b.th.text("\x1b[0m") {
		t.Errorf("without colour: %q", plain)
	}
	colours := lipgloss.NewRenderer(io.Discard)
	colours.SetColorProfile(2) // 16 colours
	b.th = themeFor(colours, false, false)
	if red := strings.Join(b.notices(80, 2), ""); !strings.Contains(red, "31m! TLS") {
		t.Errorf("with colours: %q", red)
	}
}

func TestHeaderSaysState(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *ua.Snapshot)
		sees   []string
	}{
		{"retrying", func(s *ua.Snapshot) {
			s.Registration = ua.Registration{State: ua.Retrying, Since: noon, Status: 503, Reason: "Service Unavailable", RetryAt: noon.Add(28 * time.Second)}
		}, []string{"↻ RETRYING", "0:28", "503 Service Unavailable"}},
		{"refused", func(s *ua.Snapshot) {
			s.Registration = ua.Registration{State: ua.Refused, Status: 403, Reason: "403 Forbidden"}
		}, []string{"✗ REFUSED", " 403 Forbidden\n"}},
		{"failed", func(s *ua.Snapshot) {
			s.Registration = ua.Registration{State: ua.Failed, Reason: "the 200 lists no contact of ours"}
		}, []string{"✗ FAILED", "the 200 lists no contact of ours"}},
		{"slow", func(s *ua.Snapshot) {
			s.Registration = ua.Registration{State: ua.Registering, Slow: "sent 4 times, no answer for 7 s"}
		}, []string{"↻ REGISTERING", "sent 4 times, no answer for 7 s"}},
		{"no notify", func(s *ua.Snapshot) {
			s.Subscription = ua.Subscription{State: ua.NotifyWait, Slow: "200 to SUBSCRIBE but no NOTIFY: NAT, firewall, or notifier off; Contact was 192.0.2.7:5060, seen as 203.0.113.5:40112"}
		}, []string{"↻ SUBSCRIBING", "200 to SUBSCRIBE but no NOTIFY: NAT, firewall, or notifier off; Contact was..."}},
		{"unsupported", func(s *ua.Snapshot) {
			s.Subscription = ua.Subscription{State: ua.Unsupported, Status: 489, Reason: "Bad Event"}
		}, []string{"- NO REG EVENT", "489 Bad Event"}},
		{"not watched", func(s *ua.Snapshot) {
			s.Subscription = ua.Subscription{State: ua.Terminated, Reason: "giveup", RetryAt: noon.Add(time.Minute), Since: noon}
		}, []string{"✗ NOT WATCHED", "1:00", "giveup"}},
		{"pending", func(s *ua.Snapshot) { s.Subscription.State = ua.Pending }, []string{"↻ PENDING"}},
		{"nothing yet", func(s *ua.Snapshot) { *s = ua.Snapshot{Account: s.Account, AOR: s.AOR} },
			[]string{"- UNREGISTERED", "- NOT WATCHED", "no flow yet", "no document yet"}},
		{"flow down", func(s *ua.Snapshot) { s.Flow.Up, s.Flow.Cause = false, "connection refused" }, []string{" down", "flow down: connection refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 80, 24, nil)
			s := snapshot()
			c.change(s)
			b.show(s)
			b.sees(c.sees...)
		})
	}
}

func TestASCII(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.ASCII = true })
	b.show(snapshot(), past()...)
	for _, r := range b.screen() {
		if r > 0x7e {
			t.Fatalf("%q on an ASCII screen:\n%s", r, b.screen())
		}
	}
	b.sees("+ REGISTERED")
}

func TestStarting(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.sees("alice", "STARTING")
}

func TestAccountsByTab(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Accounts = []string{"alice", "bob"} })
	b.show(snapshot(), past()...)
	bob := snapshot()
	bob.Account, bob.AOR = "bob", "sip:bob@example.net"
	b.show(bob)
	b.sees("alice (1 of 2)")
	b.keys("tab")
	b.sees("bob (2 of 2)", "sip:bob@example.net")
	b.keys("R")
	if got := strings.Join(b.asked, ","); got != "bob register" {
		t.Errorf("asked %q", got)
	}
}
