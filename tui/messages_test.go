package tui

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/ua"
)

var (
	usAddr    = netip.MustParseAddrPort("192.0.2.7:5060")
	proxyAddr = netip.MustParseAddrPort("198.51.100.2:5060")
)

// call is a Call-ID of the conversation.
const (
	registerCall  = "1j9FpLxk3y8DxYgOwMwxf6"
	subscribeCall = "9987@192.0.2.7"
)

// conversation is what alice and her registrar said: registered after a challenge
// and a lost REGISTER, subscribed, kicked.
func conversation() []trace.Message {
	at := noon.Add(-420 * time.Second)
	var out []trace.Message
	say := func(after time.Duration, way trace.Direction, callID, branch, cseq, first string, more ...string) {
		at = at.Add(after)
		body := ""
		if n := len(more); n > 0 && strings.HasPrefix(more[n-1], "<") {
			body, more = more[n-1], more[:n-1]
		}
		via := "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK" + branch + ";rport"
		lines := append([]string{first, via, "From: <sip:alice@example.com>;tag=a73kszlfl", "To: <sip:alice@example.com>", "Call-ID: " + callID, "CSeq: " + cseq}, more...)
		out = append(out, trace.Message{
			Time: at, Direction: way, Transport: "udp", Local: usAddr, Remote: proxyAddr,
			Raw: []byte(strings.Join(lines, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)),
		})
	}
	const register, subscribe = "REGISTER sip:example.com SIP/2.0", "SUBSCRIBE sip:alice@example.com SIP/2.0"
	signed := `Authorization: Digest username="alice", realm="example.com", response="0123456789abcdef0123456789abcdef"`
	ms := time.Millisecond
	say(0, trace.Sent, registerCall, "r1", "3 REGISTER", register, "Expires: 3600")
	say(500*ms, trace.Sent, registerCall, "r1", "3 REGISTER", register, "Expires: 3600")
	say(12*ms, trace.Received, registerCall, "r1", "3 REGISTER", "SIP/2.0 401 Unauthorized", `WWW-Authenticate: Digest realm="example.com", nonce="x"`)
	say(ms, trace.Sent, registerCall, "r2", "4 REGISTER", register, signed, "Expires: 3600")
	say(12*ms, trace.Received, registerCall, "r2", "4 REGISTER", "SIP/2.0 200 OK", "Contact: <sip:alice@192.0.2.7:5060;ob>;expires=3600", "Expires: 3600")
	say(2*ms, trace.Sent, subscribeCall, "s1", "1 SUBSCRIBE", subscribe, "Event: reg", "Expires: 3761")
	say(15*ms, trace.Received, subscribeCall, "s1", "1 SUBSCRIBE", "SIP/2.0 200 OK", "Expires: 3761")
	notify := func(after time.Duration, n int, body string) {
		first := "NOTIFY sip:alice@192.0.2.7:5060 SIP/2.0"
		cseq, branch := fmt.Sprintf("%d NOTIFY", n), fmt.Sprintf("n%d", n)
		say(after, trace.Received, subscribeCall, branch, cseq, first, "Event: reg", "Subscription-State: active;expires=3760", "Content-Type: application/reginfo+xml", body)
		say(ms, trace.Sent, subscribeCall, branch, cseq, "SIP/2.0 200 OK")
	}
	notify(2*ms, 1, `<reginfo version="0" state="full"/>`)
	notify(290*time.Second, 2, `<reginfo version="1" state="partial"><contact event="deactivated"/></reginfo>`)
	return out
}

// talked is a bench whose trace holds the conversation, with the event that the
// kick made.
func talked(t *testing.T, w, h int, change func(o *Options)) *bench {
	t.Helper()
	b := newBench(t, w, h, change)
	for _, m := range conversation() {
		b.o.Trace.Add(m)
	}
	events := past()
	for i := range events {
		switch events[i].Detail.(type) {
		case ua.ContactDetail, ua.ActionDetail:
			events[i].Message = 8
			if events[i].Seq >= 7 {
				events[i].Message = 10
			}
		}
	}
	b.show(snapshot(), events...)
	return b
}

func TestGoldenMessages(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
		for name, keys := range map[string][]string{
			"messages": {"3", "j", "j"}, "message": {"3", "j", "j", "j", "j", "enter"}, "ladder": {"3", "j", "d"}, "ladder-all": {"3", "j", "d", "d"},
			"timeline": {"2", "j"}, "timeline-filter": {"2", "f"}, "timeline-kicks": {"2", "f", "k"}, "messages-notify": {"3", "f", "n", "/", "1"},
		} {
			name := fmt.Sprintf("%s-%dx%d", name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				b := talked(t, size[0], size[1], nil)
				b.keys(keys...)
				b.golden(name)
			})
		}
	}
}

// Finding the NOTIFY behind an event: look at the timeline, go to the kick, ask
// for its message, read it, and find it selected among the others.
func TestFindingTheNotifyBehindAnEvent(t *testing.T) {
	b := talked(t, 80, 24, nil)
	b.keys("2", "f", "k")
	b.sees("timeline: 2 events, kicks", "deactivated by the network")
	b.keys("j", "enter")
	b.sees("told by         message 10 (r shows it)")
	b.keys("esc", "r")
	b.sees("message 10, received from 198.51.100.2:5060", `event="deactivated"`, "[3 messages]")
	b.keys("esc")
	b.sees(">14:02:49.545  < NOTIFY           1.0 ms")
	b.keys("d")
	b.sees("ladder: 6 messages, call 9987@192.0.2.7", ">14:02:49.545  |<--")
	b.keys("2")
	b.sees("timeline: 2 events, kicks", ">14:02:52.598")
	b.keys("esc", "G", "r")
	b.sees("no message told this")
	b.did()
}

// Where the filter hides the message that is gone to, the filter gives way.
func TestGoingToAMessageThatIsFiltered(t *testing.T) {
	b := talked(t, 80, 24, nil)
	b.keys("3", "f", "r")
	b.sees("messages: 5 of 11, REGISTER")
	b.keys("2", "f", "k", "r", "esc")
	b.sees("messages: 11, newest first", ">14:02:49.545  < NOTIFY")
	b.o.Trace.Add(trace.Message{Time: b.at, Raw: []byte("X")})
	b.keys("2")
	b.timeline.selected().Message = 77
	b.keys("r")
	b.sees("message 77 is kept no more", "timeline: 2 events")
}

func TestExchangesArePaired(t *testing.T) {
	b := talked(t, 120, 40, nil)
	b.keys("3")
	m := &b.messages
	for number, want := range map[uint64]struct {
		other uint64
		trip  time.Duration
		again bool
	}{
		1: {3, 512 * time.Millisecond, false}, 2: {0, 0, true}, 3: {1, 512 * time.Millisecond, false},
		4: {5, 12 * time.Millisecond, false}, 5: {4, 12 * time.Millisecond, false},
		10: {11, time.Millisecond, false}, 11: {10, time.Millisecond, false},
	} {
		if e := m.index.at(number); e.other != want.other || e.trip != want.trip || e.again != want.again {
			t.Errorf("message %d: other %d after %v, again %v; want %+v", number, e.other, e.trip, e.again, want)
		}
	}
	// A provisional answer is not the end, and a second final one not the answer.
	say := func(first string, way trace.Direction) *entry {
		b.at = b.at.Add(time.Second)
		b.o.Trace.Add(trace.Message{Time: b.at, Direction: way, Raw: []byte(first + "\r\nv: SIP/2.0/UDP h ; Branch = z9hG4bKx , SIP/2.0/UDP i;branch=no\r\nCSeq: 9  OPTIONS\r\ni: c\r\n\r\n")})
		m.refresh(b.o.Trace, readAtOnce)
		return m.index.at(m.total)
	}
	request := say("OPTIONS sip:x SIP/2.0", trace.Sent).Number
	if e := m.index.at(request); e.pairing(b.at) != "waits" || e.pairing(b.at.Add(time.Minute)) != "no answer" {
		t.Errorf("unanswered: %q, %q", e.pairing(b.at), e.pairing(b.at.Add(time.Minute)))
	}
	say("SIP/2.0 100 Trying", trace.Received)
	final := say("SIP/2.0 486 Busy Here", trace.Received)
	if e := m.index.at(request); e.other != final.Number || e.trip != 2*time.Second {
		t.Errorf("paired with %d after %v", e.other, e.trip)
	}
	if e := say("SIP/2.0 486 Busy Here", trace.Received); !e.again {
		t.Error("the same answer again is not marked")
	}
	say("SIP/2.0 200 OK", trace.Received)
	if e := m.index.at(request); e.other != final.Number {
		t.Errorf("paired with the second final answer")
	}
	// One that comes to us with the same branch is another exchange.
	if e := say("OPTIONS sip:x SIP/2.0", trace.Received); e.again {
		t.Error("a request of the other way counts as sent again")
	}
}

// What is looked at stays while new messages come, paused or scrolled away.
func TestMessagesDoNotMoveWhatIsLookedAt(t *testing.T) {
	b := talked(t, 80, 24, nil)
	more := func(n int) {
		for range n {
			b.o.Trace.Add(trace.Message{Time: b.at, Direction: trace.Received, Transport: "udp", Raw: []byte("OPTIONS sip:new SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n")})
		}
		b.Update(tickMsg{})
	}
	b.keys("3", "j", "j", "j")
	before := b.screen()
	more(5)
	b.sees("5 new above")
	if got := b.screen(); rowsOf(got) != rowsOf(before) {
		t.Errorf("rows moved:\n%s\nbefore\n%s", got, before)
	}
	b.keys("g")
	more(0)
	b.seesNot("new above")
	b.sees("> ", "OPTIONS")
	b.keys("p")
	more(7)
	b.sees("messages: 16, paused, 7 new, newest first")
	b.keys("d")
	b.sees("paused, 7 new")
	b.keys("esc", "p")
	more(0)
	b.sees("messages: 23, newest first --")
	b.keys("f", "n", "G")
	more(3)
	b.seesNot("new above")
}

// Whoever stands at the newest message of a ladder follows; others stay.
func TestLadderFollowsItsEnd(t *testing.T) {
	b := talked(t, 80, 24, nil)
	more := func(callID string) {
		b.o.Trace.Add(trace.Message{Time: b.at, Direction: trace.Sent, Transport: "udp", Remote: proxyAddr, Raw: []byte("SUBSCRIBE sip:new SIP/2.0\r\nCSeq: 9 SUBSCRIBE\r\nCall-ID: " + callID + "\r\n\r\n")})
		b.Update(tickMsg{})
	}
	b.keys("3", "d")
	more(subscribeCall)
	b.sees("ladder: 7 messages", ">14:05:01.000  |-")
	more(registerCall)
	b.sees("ladder: 7 messages")
	b.keys("k")
	more(subscribeCall)
	b.sees("ladder: 8 messages", ">14:02:49.546  |-")
	b.keys("d")
	b.sees("ladder: 14 messages", ">14:02:49.546  |-")
	b.keys("/")
	b.types("notify 2")
	b.keys("enter")
	b.sees("ladder: 2 messages, /notify 2", ">14:02:49.546")
	b.keys("f", "e")
	b.sees("ladder: 0 messages, refusals")
	b.keys("enter", "y", "d", "esc", "esc")
	b.sees("messages: 14, newest first")
}

// Of many peers those that have no room share the last lane.
func TestLadderOfManyPeers(t *testing.T) {
	b := newBench(t, 120, 40, nil)
	b.show(snapshot())
	for i := range 20 {
		remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 5060)
		b.o.Trace.Add(trace.Message{Time: b.at, Direction: trace.Received, Transport: "udp", Remote: remote, Raw: []byte("OPTIONS sip:x SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n")})
	}
	b.seesNot("again")
	b.keys("3", "d", "d")
	b.sees("this device", "udp 10.0.0.0:5060", "udp 10.0.0.2:5060", "others")
	b.golden("ladder-peers-120x40")
	for b.w = 40; b.w < 200; b.w += 7 {
		b.screen()
	}
}

// rowsOf is the rows of a list, without its title and what is around.
func rowsOf(screen string) string {
	_, rows, _ := strings.Cut(screen, "newest first")
	_, rows, _ = strings.Cut(rows, "\n")
	rows, _, _ = strings.Cut(rows, "\n-- ")
	return rows
}

func TestSearchNarrowsAtEachKey(t *testing.T) {
	b := talked(t, 80, 24, nil)
	b.keys("3", "/")
	b.sees("search: _")
	b.types("DEACT")
	b.sees("messages: 1 of 11, /deact", "search: DEACT_", "< NOTIFY")
	b.key("backspace")
	b.sees("search: DEAC_")
	b.types("q") // no key but a letter
	b.sees("none of them passes the filter", "search: DEACq_")
	b.key("esc")
	b.sees("messages: 11, newest")
	b.keys("/")
	b.types("REGISTER sip:")
	b.key("enter")
	b.sees("messages: 3 of 11, /register sip:", "again")
	b.keys("/", "ctrl+u")
	b.types("401")
	b.key("enter")
	b.sees("messages: 1 of 11, /401")
	b.keys("esc")
	b.sees("messages: 11, newest", ">13:57:59.512", "SUBSCRIBE")
}

func TestSearchIsQuietWhileThePanelIsOpen(t *testing.T) {
	b := talked(t, 80, 24, nil)
	b.keys("3", "/")
	b.show(kicked(1, b.at))
	b.after(time.Minute)
	b.types("Ri")
	b.sees("search: Ri_", "KICKED", "(wait)")
	b.after(time.Minute)
	b.key("enter")
	b.key("R")
	b.did()
	b.after(time.Second)
	b.key("R")
	b.did("alice register")
}

func TestTimelineFilters(t *testing.T) {
	b := talked(t, 80, 24, func(o *Options) { o.Accounts = []string{"alice", "bob"} })
	bob := snapshot()
	bob.Account = "bob"
	b.show(bob, ua.Event{Seq: 20, Time: noon, Account: "bob", Summary: "bob registers", Detail: ua.RegistrationDetail{State: ua.Registering}})
	b.keys("2")
	b.sees("timeline: 12 events, newest")
	for key, want := range map[string]string{"r": "5 events, registration", "c": "4 events, contacts", "g": "1 event, GRUUs", "d": "1 event, documents", "f": "1 event, findings", "i": "0 events, requests", "k": "2 events, kicks", "a": "12 events, newest"} {
		b.keys("f", key)
		b.sees(want)
	}
	b.keys("f", "a", "f", "o")
	b.sees("events, own, newest")
	b.seesNot("203.0.113.9  ")
	b.keys("f", "o")
	b.sees("events, not own, newest", "203.0.113.9  ")
	b.keys("esc", "f", "m")
	b.sees("13 events, of all accounts", "bob: bob registers", "alice: ")
	b.keys("tab")
	b.sees("13 events, of all accounts")
	b.keys("f", "m")
	b.sees("timeline: 1 event, newest", "bob registers")
	b.show(bob, ua.Event{Seq: 21, Time: noon, Account: "alice", Summary: "not here", Detail: ua.RegistrationDetail{}})
	b.seesNot("not here")
	b.keys("tab", "/")
	b.types("GRUU")
	b.sees("1 event, /gruu")
}

// saver stands in for the file system.
type saver struct {
	files map[string]int
	order []string
}

func (s *saver) save(path string, replace bool, messages []trace.Message) error {
	s.order = append(s.order, fmt.Sprint(path, replace, len(messages)))
	if strings.Contains(path, "nowhere/") {
		return errors.New("trace: open nowhere/x.txt: no such file or directory")
	}
	if _, there := s.files[path]; there && !replace {
		return fmt.Errorf("trace: %w", fs.ErrExist)
	}
	s.files[path] = len(messages)
	return nil
}

// Saving a trace: filter what is wanted, give it a name, and replace what is there
// only after a yes.
func TestSavingATrace(t *testing.T) {
	s := &saver{files: map[string]int{"kick.txt": 99}}
	b := talked(t, 80, 24, func(o *Options) { o.Save = s.save })
	b.keys("3", "f", "n", "s")
	b.sees("save 4 messages to (.pcapng, .txt): regwatch-20260314-140", ".pcapng_")
	b.key("ctrl+u")
	b.types("kick.txt")
	b.key("enter")
	b.sees("kick.txt is there already: replace it? y/n")
	b.key("y") // meant for something else
	b.sees("replace it? y/n")
	b.keys("n")
	b.sees("left as it is")
	if s.files["kick.txt"] != 99 {
		t.Error("replaced without a yes")
	}
	b.keys("s", "ctrl+u")
	b.types("kick.txt")
	b.keys("enter", "y")
	b.sees("✓ saved 4 messages to kick.txt")
	if s.files["kick.txt"] != 4 {
		t.Errorf("saved %v", s.order)
	}
	b.keys("esc", "d", "s", "enter") // the ladder of the selected one's call, under the name that is proposed
	b.sees("✓ saved 6 messages to regwatch-20260314-14")
	b.keys("s", "ctrl+u")
	b.types("nowhere/x.txt")
	b.key("enter")
	b.sees("✗ trace: open nowhere/x.txt: no such file")
	b.keys("1", "s")
	b.sees("save 11 messages")
	b.keys("esc")
	b.seesNot("save 11")
	b.did()
}

func TestCopyGoesToTheTerminal(t *testing.T) {
	var out bytes.Buffer
	b := talked(t, 80, 24, func(o *Options) { o.Output = &out })
	copied := func(want string) {
		t.Helper()
		text, ok := strings.CutPrefix(out.String(), "\x1b]52;c;")
		text, end := strings.CutSuffix(text, "\x07")
		got, err := base64.StdEncoding.DecodeString(text)
		if !ok || !end || err != nil || string(got) != want {
			t.Errorf("the terminal got %q: %q, %v; want %q", out.String(), got, err, want)
		}
		b.sees(fmt.Sprintf("copied %d bytes (OSC 52)", len(want)))
		out.Reset()
	}
	b.keys("y")
	copied(aliceURI)
	b.keys("5", "j", "y")
	copied(snapshot().GRUUs[1].URI)
	signed := string(trace.Masked(conversation()[3].Raw))
	b.keys("3", "G", "k", "k", "k", "y")
	copied(signed)
	if strings.Contains(signed, "0123456789abcdef") {
		t.Error("not masked")
	}
	b.keys("enter", "y")
	copied(signed)
	b.keys("esc")
	b.o.Trace.Add(trace.Message{Time: b.at, Raw: []byte("A \x1b[201~\nrm\tx\r\n\xff" + "\r\n\r\n")})
	b.keys("g", "y")
	b.keys("g", "y")
	out.Reset()
	b.keys("y")
	copied("A ␛[201~\nrm\tx\r\n<FF>\r\n\r\n")
	b.o.Trace.Add(trace.Message{Time: b.at, Raw: bytes.Repeat([]byte("x"), copyLimit+1)})
	b.Update(tickMsg{})
	b.keys("y")
	b.sees("too many for a clipboard")
	b.keys("7", "y")
	b.sees("nothing to copy here")
	if out.Len() > 0 {
		t.Errorf("the terminal got %.40q", out.String())
	}
}

// Messages that come and go while a filter and a ladder are open keep index,
// filter and ladder in step.
func TestIndexForgetsWithTheRing(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Trace = trace.NewRing(50) })
	b.show(snapshot())
	add := func(n int) {
		for i := range n {
			number := b.o.Trace.Total() + 1
			b.o.Trace.Add(trace.Message{Time: b.at, Direction: trace.Sent, Transport: "udp", Remote: proxyAddr,
				Raw: fmt.Appendf(nil, "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nCSeq: %d OPTIONS\r\nCall-ID: c%d\r\n\r\n", number, number, i%2)})
		}
		b.Update(tickMsg{})
	}
	b.keys("3")
	for _, keys := range [][]string{{"/", "c", "1", "enter"}, {"d"}, {"d"}, {"esc", "esc"}} {
		b.keys(keys...)
		for _, n := range []int{30, 30, 7, 200, 1} {
			add(n)
			b.screen()
			m := &b.messages
			if kept := min(m.total, 50); uint64(len(m.entries)) != kept || m.entries[0].Number != m.total-kept+1 || m.index.at(m.total).Number != m.total {
				t.Fatalf("after %v: %d entries to %d", keys, len(m.entries), m.total)
			}
			if len(m.exchanges) > 50 {
				t.Fatalf("%d exchanges of 50 messages", len(m.exchanges))
			}
			for _, number := range append(m.shown[:len(m.shown):len(m.shown)], m.ladder.numbers...) {
				if m.index.at(number) == nil {
					t.Fatalf("message %d is shown and not kept", number)
				}
			}
		}
	}
}

func TestContainsFold(t *testing.T) {
	for text, found := range map[string]bool{"NOTIFY x": true, "xnotify": true, "nnOtIfY": true, "notif": false, "": false, "n o t i f y": false} {
		if got := containsFold([]byte(text), "notify"); got != found {
			t.Errorf("containsFold(%q) = %v", text, got)
		}
	}
	if !containsFold(nil, "") || !containsFold([]byte("a/B"), "/b") {
		t.Error("containsFold misses")
	}
}

// What a message costs once, when it comes, and what narrowing a hundred thousand
// costs at a key.
func BenchmarkIndex(b *testing.B) {
	ring := trace.NewRing(100_000)
	talk := conversation()
	for i := range 100_000 {
		ring.Add(talk[i%len(talk)])
	}
	b.Run("message", func(b *testing.B) {
		var m messages
		for i := 0; b.Loop(); i++ {
			m.add(talk[i%len(talk)])
		}
	})
	b.Run("search of 100000", func(b *testing.B) {
		var m messages
		m.refresh(ring, readAtOnce)
		for b.Loop() {
			m.narrow(everyMessage, "")
			m.narrow(everyMessage, "deactivated")
		}
	})
}

// A frame of many messages costs what one of few does.
func BenchmarkMessages(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		for _, view := range []string{"list", "ladder", "one new"} {
			b.Run(fmt.Sprintf("%s of %d", view, n), func(b *testing.B) {
				bench := newBench(&testing.T{}, 120, 40, func(o *Options) { o.Trace = trace.NewRing(n) })
				bench.show(snapshot())
				talk := conversation()
				for i := range n {
					bench.o.Trace.Add(talk[i%len(talk)])
				}
				bench.keys("3")
				if view == "ladder" {
					bench.keys("j", "d", "d")
				}
				for b.Loop() {
					if view == "one new" {
						bench.o.Trace.Add(talk[0])
						bench.Update(tickMsg{})
					}
					bench.View()
				}
			})
		}
	}
}

// Who looks at the messages for the first time has many to read: keys get their turn
// in between.
func TestMessagesAreReadInParts(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Trace = talk(2*readAtOnce + 1) })
	b.show(snapshot())
	b.view = b.viewOf(b.app.keys.messages)
	for _, want := range []int{readAtOnce, 2 * readAtOnce, 2*readAtOnce + 1} {
		b.ticking = true // no timers
		_, cmd := b.Update(readMsg{})
		if n := len(b.messages.entries); n != want || (cmd != nil) != (n < 2*readAtOnce+1) {
			t.Errorf("%d messages read, want %d; is there more: %v", n, want, cmd != nil)
		}
	}
	b.sees("messages: 10001")
}
