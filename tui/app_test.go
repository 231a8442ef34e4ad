package tui

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/internal/trace"
	"regwatch/ua"
)

func TestKeysSend(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot())
	b.keys("R", "U", "Q", "S", "N", "O")
	b.did("alice register", "alice unregister", "alice query", "alice subscribe", "alice unsubscribe", "alice ping")
	b.keys("r", "u", "s", "n", "x", "enter", " ", "esc", "4", "6", "8", "/", "C", "A")
	b.did()
}

func TestRemoveAllAsks(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot())
	for _, k := range []string{"n", "esc", "enter", " ", "Y", "X"} {
		b.keys("X")
		b.sees("remove every binding of sip:alice@example.com? y/n")
		b.keys(k)
		b.did()
		b.seesNot("y/n")
	}
	b.keys("X", "y")
	b.did("alice remove-all")
}

func TestAdminMenu(t *testing.T) {
	ran := 0
	b := newBench(t, 80, 24, func(o *Options) {
		o.Hint = "A, then d: be kicked"
		o.Admin = []AdminAction{
			{"d", "deactivate this device", func() error { ran++; return nil }},
			{"R", "reject this device", func() error { return errors.New("no such contact") }},
		}
	})
	b.show(snapshot(), past()...)
	b.sees("A admin", "A, then d: be kicked")
	b.keys("A")
	b.sees("d deactivate this device", "R reject this device", "Esc closes")
	b.keys("esc")
	b.seesNot("deactivate this device", "be kicked")
	b.keys("A", "z")
	b.sees("deactivate this device")
	run := func(k string) {
		b.after(time.Second)
		b.ticking = true
		_, cmd := b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)})
		b.Update(cmd())
	}
	run("d")
	if ran != 1 {
		t.Error("the action did not run")
	}
	b.sees("✓ deactivate this device")
	b.keys("A")
	run("R")
	b.sees("✗ reject this device: no such contact")
	b.did()

	// A kick under the open menu waits until it is seen.
	b.keys("A")
	b.show(kicked(1, b.at))
	b.seesNot("KICKED")
	b.keys("esc")
	b.sees("KICKED", "(wait)")
	b.key("R")
	b.did()
}

func TestPauseFreezesTheScreenNotThePanel(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	events := past()
	b.show(snapshot(), events[:5]...)
	b.keys("p")
	b.sees("paused, 0 new")
	s := kicked(1, b.at)
	b.show(s, events[5], events[6])
	b.sees("paused, 2 new", "✓ REGISTERED", "KICKED")
	b.seesNot("203.0.113.9   registered (other")
	b.keys("p")
	b.sees("UNREGISTERED", "203.0.113.9  ")
	b.seesNot("paused")
}

func TestTimeFormats(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Zone = time.FixedZone("east", 3*3600) })
	b.show(snapshot(), past()...)
	b.sees(" 17:01:55.871  203.0.113.9")
	b.keys("t")
	b.sees(" 14:01:55.871Z 203.0.113.9")
	b.keys("t")
	b.sees(" +3:54         203.0.113.9", " start         flow")
	b.at = b.at.Add(48 * time.Hour)
	b.keys("t")
	b.sees(" Mar 14 17:01  203.0.113.9")
}

func TestMessages(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot())
	b.o.Trace.Add(trace.Message{Direction: trace.Sent, Transport: "udp", Time: noon,
		Raw: []byte("REGISTER sip:example.com SIP/2.0\r\nCSeq: 2 REGISTER\r\nAuthorization: Digest username=\"alice\", response=\"0123456789abcdef\"\r\n\r\n")})
	b.o.Trace.Add(trace.Message{Direction: trace.Received, Transport: "udp", Time: noon, Raw: []byte("SIP/2.0 200 OK\r\nCSeq: 2 REGISTER\r\n\r\n")})
	b.keys("3")
	b.sees("messages: 2, newest first", "> REGISTER         0.0 ms    2  signed  sip:example.com", "< 200 OK           0.0 ms    REGISTER 2")
	b.keys("j", "r")
	b.sees("message 1, sent to", "username=\"alice\"", "response=\"***\"")
	b.seesNot("0123456789abcdef")
	b.keys("esc")
	b.sees("messages: 2")
	b.o.Trace.Add(trace.Message{Direction: trace.Received, Transport: "udp", Time: noon, Raw: []byte("NOTIFY sip:x SIP/2.0\r\n\r\n")})
	b.Update(tickMsg{})
	b.keys("enter")
	b.sees("message 1, sent to") // the selection stays with its message
}

func TestTimelineFollowsUntilLeft(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	events := past()
	b.show(snapshot(), events[:6]...)
	b.keys("2")
	b.sees(">14:01:55.871  203.0.113.9")
	b.show(snapshot(), events[6])
	b.sees(">14:02:52.598  this device ! deactivated")
	b.keys("j")
	b.show(snapshot(), events[7])
	b.sees(">14:01:55.871  203.0.113.9")
	b.keys("g", "enter")
	b.sees("as in the journal:", `"kind": "action"`)
}

func TestDetailsOfEveryView(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot(), past()...)
	for view, want := range map[string]string{"1": "recognised by instance", "2": "as in the journal", "5": "sip:alice@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00", "6": "truths of a contact", "7": "last detail"} {
		b.keys(view, "enter")
		b.sees(want)
		b.keys("enter")
		b.seesNot(want)
	}
	b.keys("1", "r")
	b.sees("document version 7", "<reginfo xmlns=")
}

func TestMissedIsSaid(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.ticking = true
	b.Update(updateMsg{Snapshots: []*ua.Snapshot{snapshot()}, Missed: 12})
	b.sees("12 events went by too fast", "12 missed")
}

func TestHelpComesFromTheBindings(t *testing.T) {
	b := newBench(t, 80, 60, func(o *Options) { o.Admin = []AdminAction{{Key: "d"}} })
	b.keys("?")
	for _, g := range b.app.keys.groups() {
		for _, k := range g.keys {
			if k.Enabled() {
				b.sees(k.Help().Key + " ")
				b.sees(k.Help().Desc)
			}
		}
	}
	b.seesNot("next account")
}

func TestQuitTwice(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	off := false
	b.callOff = func() { off = true }
	b.show(snapshot())
	b.ticking = true
	_, cmd := b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")})
	b.sees("unregistering... (q again ends at once)")
	if _, ok := cmd().(leftMsg); !ok {
		t.Error("q does not leave")
	}
	b.keys("R", "U")
	b.did()
	_, cmd = b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q")})
	if _, ok := cmd().(tea.QuitMsg); !ok || !off {
		t.Error("the second q does not end at once")
	}
}

func TestPagerBreaksLongLines(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	s := snapshot()
	s.Document.Raw = []byte(strings.Repeat("x", 100) + "END\tTAB\n")
	b.show(s)
	b.keys("r")
	b.sees(strings.Repeat("x", 80)+"\n", strings.Repeat("x", 20)+"END    TAB")
}

func TestSelectionStaysWithItsContact(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot())
	s := snapshot()
	s.Bindings = []ua.Binding{s.Bindings[1], s.Bindings[0]}
	b.show(s)
	b.sees(" > this device")
	b.keys("k")
	b.sees(" > alice@203.0.113.9:5062")
	b.show(snapshot())
	b.sees(" > alice@203.0.113.9:5062")
}
