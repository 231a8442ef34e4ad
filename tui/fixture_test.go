package tui

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// noon is when all of it happens.
var noon = time.Date(2026, 3, 14, 14, 4, 59, 0, time.UTC)

// bench is a screen without a terminal: a clock set by hand, and what was asked
// of the engine.
type bench struct {
	*app
	t        *testing.T
	at       time.Time
	asked    []string
	commands []ua.Command
}

func newBench(t *testing.T, w, h int, change func(o *Options)) *bench {
	t.Helper()
	b := &bench{t: t, at: noon}
	o := Options{
		Accounts: []string{"alice"}, Width: w, Height: h,
		Now: func() time.Time { return b.at }, Zone: time.UTC,
		Do: func(account string, c ua.Command) {
			b.asked = append(b.asked, account+" "+string(c.Verb))
			b.commands = append(b.commands, c)
		},
		Trace: trace.NewRing(100), Output: io.Discard,
	}
	if change != nil {
		change(&o)
	}
	ascii := o.ASCII
	o = o.withDefaults()
	o.ASCII = ascii // not the locale that the test happens to run in
	b.app = newApp(o, newTheme(io.Discard, ascii, false))
	return b
}

// keys presses keys, far enough apart to be meant.
func (b *bench) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.after(time.Second)
		b.key(k)
	}
}

// key presses a key now, and runs to its end what that starts.
func (b *bench) key(k string) {
	b.t.Helper()
	msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
	switch k {
	case "enter":
		msg = tea.KeyMsg{Type: tea.KeyEnter}
	case "esc":
		msg = tea.KeyMsg{Type: tea.KeyEsc}
	case "tab":
		msg = tea.KeyMsg{Type: tea.KeyTab}
	case "backspace":
		msg = tea.KeyMsg{Type: tea.KeyBackspace}
	case "ctrl+u":
		msg = tea.KeyMsg{Type: tea.KeyCtrlU}
	case "left":
		msg = tea.KeyMsg{Type: tea.KeyLeft}
	case "right":
		msg = tea.KeyMsg{Type: tea.KeyRight}
	case "down":
		msg = tea.KeyMsg{Type: tea.KeyDown}
	case " ":
		msg = tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(" ")}
	}
	b.ticking = true                                                // no timers: the test is the clock
	if _, cmd := b.Update(msg); cmd != nil && !b.panel.unfolded() { // whose command is a timer
		b.ran(cmd())
	}
}

// ran hands over what a command came back with.
func (b *bench) ran(msg tea.Msg) {
	switch msg := msg.(type) {
	case sharedMsg:
		b.Update(msg)
	case tea.BatchMsg:
		for _, cmd := range msg {
			if cmd != nil {
				b.ran(cmd())
			}
		}
	}
}

// types types a text.
func (b *bench) types(text string) {
	b.t.Helper()
	for _, r := range text {
		b.key(string(r))
	}
}

func (b *bench) after(d time.Duration) { b.at = b.at.Add(d) }

func (b *bench) show(s *ua.Snapshot, events ...ua.Event) {
	b.t.Helper()
	b.ticking = true
	b.Update(updateMsg{Snapshots: []*ua.Snapshot{s}, Events: events})
}

// screen is the plain text of a frame, checked for size.
func (b *bench) screen() string {
	b.t.Helper()
	out := ansi.Strip(b.View())
	lines := strings.Split(out, "\n")
	if len(lines) != b.h {
		b.t.Errorf("frame of %d lines on a terminal of %d", len(lines), b.h)
	}
	for i, line := range lines {
		if n := ansi.StringWidth(line); n > b.w {
			b.t.Errorf("line %d is %d columns wide, the terminal %d: %q", i, n, b.w, line)
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (b *bench) sees(parts ...string) {
	b.t.Helper()
	s := b.screen()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			b.t.Errorf("the screen does not say %q:\n%s", p, s)
		}
	}
}

func (b *bench) seesNot(parts ...string) {
	b.t.Helper()
	s := b.screen()
	for _, p := range parts {
		if strings.Contains(s, p) {
			b.t.Errorf("the screen says %q:\n%s", p, s)
		}
	}
}

// golden compares the frame with testdata/name.golden.
func (b *bench) golden(name string) {
	b.t.Helper()
	got, file := b.screen(), filepath.Join("testdata", name+".golden")
	if *updateGolden {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			b.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	if got != string(want) {
		b.t.Errorf("%s differs; got\n%s\nwant\n%s", file, got, want)
	}
}

const (
	aliceURI   = "sip:alice@192.0.2.7:5060;ob"
	deskURI    = "sip:alice@203.0.113.9:5062"
	instanceID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	callID     = "1j9FpLxk3y8DxYgOwMwxf6"
)

func ownContact() reginfo.Contact {
	return reginfo.Contact{
		ID: "76", URI: aliceURI, State: reginfo.ContactActive, Event: reginfo.Registered, Expires: reginfo.Num(3600),
		Q: "1.0", CallID: callID, CSeq: reginfo.Num(4), Instance: instanceID, RegID: reginfo.Num(1),
		PubGRUU: "sip:alice@example.com;gr=" + instanceID, TempGRUU: "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr",
		FirstCSeq: reginfo.Num(2),
	}
}

// snapshot is alice, registered and watching, with a desk phone beside her.
func snapshot() *ua.Snapshot {
	desk := reginfo.Contact{
		ID: "77", URI: deskURI, State: reginfo.ContactActive, Event: reginfo.Registered, Expires: reginfo.Num(900),
		CallID: "desk-phone-88a1", CSeq: reginfo.Num(11),
	}
	row := func(c reginfo.Contact, left time.Duration) reginfo.Row {
		return reginfo.Row{AOR: "sip:alice@example.com", RegistrationID: "a7", RegistrationState: reginfo.RegActive,
			Contact: c, At: noon.Add(-time.Minute), ExpiresAt: noon.Add(left)}
	}
	return &ua.Snapshot{
		Account: "alice", AOR: "sip:alice@example.com", At: noon,
		Registration: ua.Registration{
			State: ua.Registered, Since: noon.Add(-108 * time.Second), Contact: aliceURI, Instance: instanceID, RegID: 1,
			CallID: callID, CSeq: 4, SeenAs: "203.0.113.5:40112", NAT: true, Status: 200,
			Granted: time.Hour, ExpiresAt: noon.Add(58*time.Minute + 12*time.Second), RoundTrip: 12 * time.Millisecond,
		},
		Subscription: ua.Subscription{
			State: ua.Active, Since: noon.Add(-2 * time.Minute), Status: 200,
			Granted: 3761 * time.Second, ExpiresAt: noon.Add(3700 * time.Second),
		},
		Flow: ua.Flow{Up: true, Transport: "udp", Local: "192.0.2.7:5060", Remote: "198.51.100.2:5060", KeepAlive: "STUN", Answered: noon.Add(-9 * time.Second)},
		Bindings: []ua.Binding{
			{Row: row(ownContact(), 58*time.Minute+12*time.Second), Own: true, MatchedBy: ua.ByInstance, Origin: ua.OriginSelf},
			{Row: row(desk, 12*time.Minute+3*time.Second), Origin: ua.OriginOtherDevice},
		},
		GRUUs: []ua.GRUU{
			{Type: ua.PublicGRUU, URI: ownContact().PubGRUU, RegID: 1, Source: ua.FromRegister, Usable: true},
			{Type: ua.TemporaryGRUU, URI: ownContact().TempGRUU, CallID: callID, CSeq: 4, RegID: 1, Source: ua.FromRegister, Usable: true},
		},
		Document: ua.Document{At: noon.Add(-time.Minute), Version: reginfo.Num(7), State: reginfo.Full,
			Raw: []byte("<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"7\" state=\"full\"/>\n")},
	}
}

// past is what happened to alice: registered, kicked, back again.
func past() []ua.Event {
	own := func(event reginfo.ContactEvent, state reginfo.ContactState, origin ua.Origin, evidence ...string) ua.ContactDetail {
		c := ownContact()
		c.Event, c.State = event, state
		if state == reginfo.ContactTerminated {
			c.Expires = reginfo.Number{}
		}
		return ua.ContactDetail{AOR: "sip:alice@example.com", Own: true, MatchedBy: ua.ByInstance, Origin: origin, Evidence: evidence, Source: ua.FromNotify, Contact: c}
	}
	desk := ua.ContactDetail{AOR: "sip:alice@example.com", Origin: ua.OriginOtherDevice, Source: ua.FromNotify,
		Contact: reginfo.Contact{ID: "77", URI: deskURI, State: reginfo.ContactActive, Event: reginfo.Registered, Expires: reginfo.Num(900)}}
	event := func(seq uint64, ago time.Duration, summary string, d ua.Detail) ua.Event {
		return ua.Event{Run: "r1", Seq: seq, Time: noon.Add(-ago), Account: "alice", Summary: summary, Detail: d}
	}
	return []ua.Event{
		event(1, 420310*time.Millisecond, "udp 192.0.2.7:5060 > 198.51.100.2:5060 up", ua.FlowDetail{State: "up"}),
		event(2, 416690*time.Millisecond, "registered for 3600 s, answered in 12 ms", ua.RegistrationDetail{State: ua.Registered}),
		event(3, 416673*time.Millisecond, "watching our own registration for 3761 s", ua.SubscriptionDetail{State: ua.Active}),
		event(4, 416672*time.Millisecond, "document 0, full", ua.DocumentDetail{}),
		event(5, 416671*time.Millisecond, "", own(reginfo.Registered, reginfo.ContactActive, ua.OriginSelf)),
		event(6, 183129*time.Millisecond, "", desk),
		event(7, 126402*time.Millisecond, "", own(reginfo.Deactivated, reginfo.ContactTerminated, ua.OriginNetwork, `only the network says "deactivated"`)),
		event(8, 126401*time.Millisecond, "deactivated: register again?", ua.ActionDetail{On: ua.KickDeactivated, Policy: ua.Ask, Decision: ua.Asked}),
		event(9, 108006*time.Millisecond, "registered for 3600 s, answered in 9.2 ms", ua.RegistrationDetail{State: ua.Registered}),
		event(10, 107990*time.Millisecond, "", own(reginfo.Registered, reginfo.ContactActive, ua.OriginSelf)),
		event(11, 107980*time.Millisecond, "temporary GRUU learned: sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr", ua.GRUUDetail{Change: ua.Learned, Type: ua.TemporaryGRUU}),
		event(12, 107979*time.Millisecond, "version-repeated", ua.FindingDetail{Code: finding.VersionRepeated, Severity: finding.Warning, Clause: "RFC 3680 5.1", Detail: "version 7 came twice"}),
	}
}

// kicked is alice off, asked what to do.
func kicked(id uint64, at time.Time) *ua.Snapshot {
	s := snapshot()
	s.At = at
	c := ownContact()
	c.Event, c.State, c.Expires = reginfo.Deactivated, reginfo.ContactTerminated, reginfo.Number{}
	s.Registration.State, s.Registration.ExpiresAt = ua.Unregistered, time.Time{}
	s.Registration.Reason = "deactivated by the network"
	s.Registration.Status = 0
	s.Bindings = []ua.Binding{s.Bindings[0], s.Bindings[1]}
	s.Bindings[0].Contact, s.Bindings[0].ExpiresAt, s.Bindings[0].Origin = c, time.Time{}, ua.OriginNetwork
	s.Prompts = []ua.Prompt{{
		ID: id, At: at, On: ua.KickDeactivated, Contact: c, AOR: s.AOR, MatchedBy: ua.ByInstance, Origin: ua.OriginNetwork,
		Evidence: []string{`only the network says "deactivated"`}, Policy: ua.Ask, Decision: ua.Asked,
		Message: 2,
	}}
	return s
}
