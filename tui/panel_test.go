package tui

import (
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

func (b *bench) did(want ...string) {
	b.t.Helper()
	if got, want := strings.Join(b.asked, ","), strings.Join(want, ","); got != want {
		b.t.Errorf("asked of the engine: %q, want %q", got, want)
	}
	b.asked = nil
}

func openPanel(t *testing.T) *bench {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot(), past()...)
	b.after(time.Second)
	b.show(kicked(1, b.at))
	return b
}

func TestPanelWaitsBeforeItTakesKeys(t *testing.T) {
	b := openPanel(t)
	b.sees("KICKED 14:05:00.000: deactivated by the network", "(wait)")
	b.after(300 * time.Millisecond)
	b.key("R")
	b.key("i")
	b.did()
	b.after(800 * time.Millisecond)
	b.seesNot("(wait)")
	b.key("R")
	b.did("alice register")
}

func TestPanelTakesAnEarlyKeyAt800(t *testing.T) {
	b := openPanel(t)
	b.after(699 * time.Millisecond)
	b.key("R")
	b.did()
	b = openPanel(t)
	b.after(800 * time.Millisecond)
	b.key("R")
	b.did("alice register")
}

func TestPanelTakesNoKeyWhileTyping(t *testing.T) {
	b := openPanel(t)
	b.after(800 * time.Millisecond)
	b.key("j") // looking goes on beneath the panel
	b.after(100 * time.Millisecond)
	b.key("R")
	b.did()
	b.after(499 * time.Millisecond)
	b.key("R")
	b.did()
	b.after(500 * time.Millisecond)
	b.key("R")
	b.did("alice register")
}

// TestOtherCapitalsWait: what the user was about to send may no longer be what
// is wanted now.
func TestOtherCapitalsWait(t *testing.T) {
	b := openPanel(t)
	b.after(100 * time.Millisecond)
	b.key("U")
	b.key("X")
	b.did()
	b.seesNot("y/n")
	b.after(time.Second)
	b.key("U")
	b.did("alice unregister")
}

func TestNothingButItsKeysConsents(t *testing.T) {
	for _, k := range []string{"enter", " ", "esc", "l", "y", "r", "1"} {
		b := openPanel(t)
		b.after(time.Second)
		b.key(k)
		b.after(time.Second)
		b.key(k)
		b.did()
	}
}

func TestBurstsAndPastesConsentToNothing(t *testing.T) {
	b := openPanel(t)
	b.after(time.Minute)
	b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("RRi")})
	b.after(time.Minute)
	b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("R"), Paste: true})
	b.did()
	b = newBench(t, 80, 24, nil)
	b.show(snapshot())
	b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("2UXy")})
	b.did()
	b.sees("timeline: 0 events", "nothing to copy")
}

func TestPanelFolds(t *testing.T) {
	for _, k := range []string{"esc", "l"} {
		b := newBench(t, 80, 24, nil)
		s := kicked(1, noon)
		s.Prompts[0].Decision, s.Prompts[0].ActAt = ua.Waiting, noon.Add(2*time.Minute)
		b.show(s)
		b.after(time.Second)
		b.sees("next    must wait; registers again by itself in 1:59, at 14:06:59")
		b.key(k)
		b.sees(" KICKED 14:04:59 deactivated by the network, registers in 1:59 (l opens)")
		b.seesNot("means")
		b.after(time.Second)
		b.sees("registers in 1:58")
		b.key("l")
		b.sees("means", "(wait)")
		b.key("i")
		b.did()
		b.after(time.Second)
		b.key("i")
		b.did("alice ignore")
		if c := b.commands[0]; c.Prompt != 1 {
			t.Errorf("ignored prompt %d, not 1", c.Prompt)
		}
	}
}

func TestNewKickUnfoldsAndCounts(t *testing.T) {
	b := openPanel(t)
	b.keys("l")
	b.after(time.Minute)
	first := kicked(1, noon.Add(time.Second))
	s := kicked(2, b.at)
	s.Prompts = append(first.Prompts, s.Prompts...)
	s.Prompts[1].On = ua.KickAbsent
	b.show(s)
	b.sees("KICKED 14:06:01.000: absent (gone without a word) by the network (2 open)", "also    deactivated 14:05:00.000", "(wait)")
	b.after(100 * time.Millisecond)
	b.key("i")
	b.did()
	b.after(time.Second)
	b.key("i")
	b.did("alice ignore")
	if c := b.commands[0]; c.Prompt != 2 {
		t.Errorf("ignored prompt %d, not the one that is told", c.Prompt)
	}
}

func TestHowAKickEnded(t *testing.T) {
	ended := func(b *bench, change func(s *ua.Snapshot)) {
		s := snapshot()
		s.At = b.at
		change(s)
		b.show(s)
	}
	t.Run("registered again", func(t *testing.T) {
		b := openPanel(t)
		b.keys("R")
		ended(b, func(s *ua.Snapshot) { s.Registration.State, s.Registration.ExpiresAt = ua.Registering, time.Time{} })
		b.seesNot("KICKED", "again at")
		b.sees("REGISTERING")
		ended(b, func(s *ua.Snapshot) {})
		b.sees("✓ registered again at 14:05:01")
		b.after(10 * time.Second)
		b.Update(tickMsg{})
		b.seesNot("again at")
	})
	t.Run("refused", func(t *testing.T) {
		b := openPanel(t)
		b.keys("R")
		ended(b, func(s *ua.Snapshot) {
			s.Registration = ua.Registration{State: ua.Refused, Status: 403, Reason: "Forbidden"}
		})
		b.sees("✗ not registered again: 403 Forbidden")
	})
	t.Run("ignored", func(t *testing.T) {
		b := openPanel(t)
		b.keys("i")
		ended(b, func(s *ua.Snapshot) { s.Registration = ua.Registration{State: ua.Unregistered} })
		b.sees("left off: R registers")
	})
}

func TestPanelShowsTheNotify(t *testing.T) {
	b := openPanel(t)
	for _, m := range []trace.Message{
		{Direction: trace.Received, Time: noon, Raw: []byte("NOTIFY sip:old SIP/2.0\r\n\r\n")},
		{Direction: trace.Received, Time: b.at, Raw: []byte("NOTIFY sip:alice@192.0.2.7 SIP/2.0\r\nEvent: reg\r\n\r\n<kicked/>")},
		{Direction: trace.Sent, Time: b.at, Raw: []byte("SIP/2.0 200 OK\r\n\r\n")},
		{Direction: trace.Received, Time: b.at.Add(time.Hour), Raw: []byte("NOTIFY sip:late SIP/2.0\r\n\r\n")},
	} {
		b.o.Trace.Add(m)
	}
	b.keys("enter")
	b.sees("NOTIFY sip:alice@192.0.2.7 SIP/2.0", "<kicked/>", "KICKED")
	b.keys("enter")
	b.seesNot("<kicked/>")
	b.did()

	b = openPanel(t) // nothing in the trace: the document
	b.keys("enter")
	b.sees("document version 7", "<reginfo ")
}

func TestPanelNeverCoversBindings(t *testing.T) {
	for h := 16; h < 40; h++ {
		b := newBench(t, 80, h, nil)
		b.show(snapshot(), past()...)
		b.show(kicked(1, noon))
		b.sees("REGISTERED", "this device", "alice@203.0.113.9:5062", "KICKED", "next", "register now", "q quit")
	}
}

func TestPanelOfAnotherAccount(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Accounts = []string{"bob", "alice"} })
	b.show(kicked(1, noon))
	b.sees("alice KICKED")
	b.keys("R")
	b.did("alice register")
}

func TestProbationSaysUntilWhen(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	s := kicked(1, noon)
	s.Prompts[0].On = ua.KickProbation
	s.Prompts[0].Contact.Event, s.Prompts[0].Contact.RetryAfter = reginfo.Probation, reginfo.Num(15)
	b.show(s)
	b.sees("KICKED 14:04:59.000: probation by the network", "asks    register again after 15 s, that is at 14:05:14")
	s = kicked(1, noon)
	s.Registration.State, s.Registration.Reason = ua.Registering, ""
	b.show(s)
	b.sees("next    registering now")
}
