package dissect

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"regwatch/internal/capture"
	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s (go test ./internal/dissect -update):\n%s", path, got)
	}
}

// dissected reads files one after the other.
func dissected(t testing.TB, own *ua.Own, files ...string) (items []Item, remarks []string) {
	t.Helper()
	d := New(own)
	for _, text := range files {
		more, err := d.Read(strings.NewReader(text), func(i Item) error {
			items = append(items, i)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		remarks = append(remarks, more...)
	}
	return items, remarks
}

// printed is the text of items.
func printed(items []Item) string {
	var texts []string
	for _, i := range items {
		texts = append(texts, i.Text())
	}
	return strings.Join(texts, "\n")
}

func file(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// story is the messages of kick.txt as they were on the wire.
func story(t testing.TB) (messages []trace.Message) {
	t.Helper()
	splitText([]byte(file(t, "kick.txt")), func(f found) {
		head, body, _ := strings.Cut(string(f.Data), "\n\n")
		body = strings.TrimRight(body, "\n")
		if body != "" {
			body += "\n"
		}
		m := trace.Message{
			Number: uint64(len(messages) + 1), Time: f.Time, Direction: trace.Sent, Transport: f.Transport, Local: f.From, Remote: f.To,
			Raw: []byte(strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n", "\r\n") + "\r\n\r\n" + body),
		}
		if f.To.Port() == 5062 { // as seen from the device
			m.Direction, m.Local, m.Remote = trace.Received, f.To, f.From
		}
		messages = append(messages, m)
	})
	return messages
}

// recorded writes messages with the writer of traces.
func recorded(t testing.TB, name string, messages []trace.Message) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	w, err := capture.Create(path, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		w.Add(m)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func device() *ua.Own {
	return ua.OwnOf(ua.Account{AOR: "sip:alice@example.com", InstanceID: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}, "")
}

// TestTrace: a text trace of ours, for people and as JSON, with the device's own
// contact told.
func TestTrace(t *testing.T) {
	items, remarks := dissected(t, device(), file(t, "kick.txt"))
	if len(remarks) > 0 {
		t.Error(remarks)
	}
	golden(t, "kick.golden", printed(items))
	var all bytes.Buffer
	for _, i := range items {
		encoder := json.NewEncoder(&all)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(i); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "kick.json", all.String())
}

// TestCaptures: the same messages say the same in whatever they came: datagrams,
// a TCP connection, text with CRLF or without, with what a trace adds or without.
func TestCaptures(t *testing.T) {
	want := file(t, "kick.golden")
	overTCP := story(t)
	for i := range overTCP {
		overTCP[i].Transport = "tcp"
	}
	items, remarks := dissected(t, device(), recorded(t, "udp.pcapng", story(t)))
	if got := printed(items); got != want || len(remarks) > 0 {
		t.Errorf("UDP: %v\n%s", remarks, got)
	}
	// A message is repeated over UDP only; over TCP it is nonsense, but no less one.
	items, remarks = dissected(t, device(), recorded(t, "tcp.pcapng", overTCP))
	if got := printed(items); got != strings.ReplaceAll(want, "Z udp", "Z tcp") || len(remarks) > 0 {
		t.Errorf("TCP: %v\n%s", remarks, got)
	}
	items, remarks = dissected(t, device(), recorded(t, "again.txt", story(t)))
	if got := printed(items); got != want || len(remarks) > 0 {
		t.Errorf("text trace: %v\n%s", remarks, got)
	}
	var bare strings.Builder
	for _, m := range story(t) {
		bare.Write(m.Raw)
	}
	for name, text := range map[string]string{"CRLF": bare.String(), "LF": strings.ReplaceAll(bare.String(), "\r\n", "\n")} {
		items, remarks := dissected(t, device(), text)
		count, changes := 0, 0
		for _, i := range items {
			if i.Document != nil {
				count++
				changes += len(i.Outcome.Changes)
			}
			if i.message == nil || i.message.line == "" {
				t.Errorf("%s: not a message", name)
			}
		}
		if len(items) != len(story(t)) || count != 3 || len(remarks) > 0 {
			t.Errorf("%s: %d messages, %d documents, %v", name, len(items), count, remarks)
		}
	}
}

const xml = `<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="%d" state="%s">
 <registration aor="sip:joe@example.com" id="a7" state="active">
  %s
 </registration>
</reginfo>
`

func document(version int, state string, contacts ...string) string {
	return fmt.Sprintf(xml, version, state, strings.Join(contacts, "\n  "))
}

const (
	one     = `<contact id="1" state="active" event="registered" expires="600"><uri>sip:joe@192.0.2.1</uri></contact>`
	shorter = `<contact id="1" state="active" event="shortened" expires="60"><uri>sip:joe@192.0.2.1</uri></contact>`
	two     = `<contact id="2" state="active" event="created" expires="600"><uri>sip:joe@192.0.2.2</uri></contact>`
)

// TestDocuments: documents in files of their own are one stream in the order given.
func TestDocuments(t *testing.T) {
	items, _ := dissected(t, nil, document(4, "full", one), document(5, "partial", shorter), document(5, "partial", two), document(6, "full", two))
	golden(t, "documents.golden", printed(items))
	if !items[0].First || len(items[0].Findings) > 0 {
		t.Errorf("nobody says that the first file is the first of its subscription: %v", items[0].Findings)
	}
	raw, err := items[0].MarshalJSON()
	if err != nil || !strings.HasPrefix(string(raw), `{"version":4,"state":"full","verdict":"applied","first":true,"registrations":[{"aor":"sip:joe@example.com"`) {
		t.Errorf("%s, %v", raw, err)
	}
}

// message makes one with its lines ended as on the wire.
func sip(lines ...string) string { return strings.Join(lines, "\r\n") }

func notify(callID string, cseq int, kind, body string) string {
	return sip("NOTIFY sip:joe@192.0.2.1 SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKn", "f: <sip:joe@example.com>;tag=n", "t: <sip:joe@example.com>;tag=s",
		"i: "+callID, fmt.Sprintf("CSeq: %d NOTIFY", cseq), "o: reg", "Subscription-State: active;expires=60", "c: "+kind,
		fmt.Sprintf("l: %d", len(body)), "", body)
}

// TestSubscriptions: each dialog has its own table; what was seen on another way is
// not applied again.
func TestSubscriptions(t *testing.T) {
	type told struct{ first, applied bool }
	var got []told
	items, _ := dissected(t, nil,
		notify("a", 1, reginfoType, document(0, "full", one))+notify("b", 1, reginfoType, document(0, "full", two)),
		notify("a", 2, reginfoType, document(1, "full", two))+
			strings.Replace(notify("a", 2, reginfoType, document(1, "full", two)), "192.0.2.9", "192.0.2.8", 1)+
			notify("b", 2, reginfoType, document(1, "full", two)))
	for _, i := range items {
		got = append(got, told{i.First, i.Document != nil})
	}
	if want := []told{{true, true}, {true, true}, {false, true}, {false, false}, {false, true}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if changes := items[2].Outcome.Changes; len(changes) != 2 || changes[0].Kind != reginfo.Vanished || changes[1].Kind != reginfo.Appeared {
		t.Errorf("%+v", changes)
	}
	if len(items[4].Outcome.Changes) > 0 {
		t.Errorf("another dialog changed: %+v", items[4].Outcome.Changes)
	}
}

// TestFirstOfASubscription: that the first document is to be full and to count from
// 0 is asked only where the subscription is seen to begin.
func TestFirstOfASubscription(t *testing.T) {
	subscribe := sip("SUBSCRIBE sip:joe@example.com SIP/2.0", "From: <sip:joe@example.com>;tag=s", "To: <sip:joe@example.com>", "Call-ID: a", "CSeq: 1 SUBSCRIBE", "Event: reg", "Expires: 60", "", "")
	late := notify("a", 7, reginfoType, document(6, "partial", one))
	items, _ := dissected(t, nil, late)
	if len(items[0].Findings) > 0 {
		t.Errorf("in the middle: %v", items[0].Findings)
	}
	items, _ = dissected(t, nil, subscribe+late)
	if f := items[1].Findings; len(f) != 2 || f[0].Code != finding.VersionNotFromZero || f[1].Code != finding.FirstNotFull {
		t.Errorf("from the beginning: %v", f)
	}
}

// TestBodies: what a NOTIFY may carry.
func TestBodies(t *testing.T) {
	body := document(0, "full", one)
	multipart := sip("--frontier", "Content-Type: text/plain", "", "SIP/2.0 200 OK", "--frontier", "Content-Type: application/reginfo+xml", "", body, "--frontier--", "")
	for _, c := range []struct {
		name, message string
		document      bool
		note, code    string
	}{
		{"plain", notify("a", 1, reginfoType, body), true, "subscription active, 60 s left", ""},
		{"multipart", notify("a", 1, `multipart/mixed;boundary="frontier"`, multipart), true, "subscription active, 60 s left", ""},
		{"multipart without it", notify("a", 1, `multipart/mixed;boundary="other"`, multipart), false, "no part of it is application/reginfo+xml", ""},
		{"another type", notify("a", 1, "text/xml", body), true, "Content-Type is text/xml, not application/reginfo+xml", ""},
		{"empty", notify("a", 1, reginfoType, ""), false, "no document in it", ""},
		{"no XML", notify("a", 1, reginfoType, "hello"), false, "", "malformed-xml"},
		{"another package", strings.Replace(notify("a", 1, "text/plain", "x"), "o: reg", "o: presence", 1), false, "event presence: nothing about registrations", ""},
		{"no state", strings.Replace(notify("a", 1, reginfoType, body), "Subscription-State", "X", 1), true, "", "subscription-state-missing"},
		{"ended for good", strings.Replace(notify("a", 1, reginfoType, body), "active;expires=60", "terminated;reason=noresource", 1), true, "subscription terminated, reason noresource", "subscription-state-mismatch"},
		{"encoded", strings.Replace(notify("a", 1, reginfoType, body), "o: reg", "Content-Encoding: gzip\r\no: reg", 1), false, "the body is encoded as gzip, which is not read", ""},
		{"malformed", strings.Replace(notify("a", 1, reginfoType, body), ";tag=n", "", 1), true, "malformed: Call-ID or tags", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			items, _ := dissected(t, nil, c.message)
			if len(items) != 1 {
				t.Fatalf("%d items", len(items))
			}
			i, notes := items[0], ""
			for _, n := range items[0].Notes {
				notes += n.Text + "\n"
			}
			if (i.Document != nil) != c.document || !strings.Contains(notes, c.note) {
				t.Errorf("document %v\n%s", i.Document, notes)
			}
			if c.code == "" && len(i.Findings) > 0 || c.code != "" && (len(i.Findings) != 1 || string(i.Findings[0].Code) != c.code) {
				t.Errorf("findings %v, want %q", i.Findings, c.code)
			}
		})
	}
}

// TestMessages: what is said of requests and answers that carry no document.
func TestMessages(t *testing.T) {
	items, _ := dissected(t, nil, file(t, "messages.sip"))
	golden(t, "messages.golden", printed(items))
}

// TestTextOfAnyKind: a copy out of an editor, a log or a screen.
func TestTextOfAnyKind(t *testing.T) {
	ok := "SIP/2.0 200 OK\nCSeq: 1 REGISTER\n\n"
	for name, c := range map[string]struct {
		text  string
		count int
	}{
		"between lines of a log":     {"12:00 sent:\n" + ok + "12:01 received:\n\n" + ok, 2},
		"without an empty line":      {"SIP/2.0 200 OK\nCSeq: 1 REGISTER", 1},
		"one right behind the other": {"SIP/2.0 200 OK\nCSeq: 1 REGISTER\nSIP/2.0 200 OK\nCSeq: 2 REGISTER\n", 2},
		"a message within a message": {sip("NOTIFY sip:a SIP/2.0", "CSeq: 1 NOTIFY", "Content-Length: 16", "", "SIP/2.0 200 OK\r\n") + ok, 2},
		"a length that is wrong":     {sip("NOTIFY sip:a SIP/2.0", "CSeq: 1 NOTIFY", "Content-Length: 3", "", "hello\r\n") + ok, 2},
		"a log that looks like XML":  {"<134>Nov 23 sip:\n" + ok, 1},
		"folded lines":               {"SIP/2.0 200 OK\nCSeq: 1\n REGISTER\n\n", 1},
	} {
		if items, _ := dissected(t, nil, c.text); len(items) != c.count {
			t.Errorf("%s: %d messages, want %d", name, len(items), c.count)
		}
	}
	items, _ := dissected(t, nil, "SIP/2.0 200 OK\nCSeq: 1\n REGISTER\n\n")
	if items[0].message.method != "REGISTER" {
		t.Errorf("folded: %+v", items[0].message)
	}
}

// TestUnreadable: what is nothing that we know, is empty, too large or fails.
func TestUnreadable(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		in   *bytes.Reader
		want error
	}{
		"text":       {bytes.NewReader([]byte("hello")), ErrNothing},
		"empty":      {bytes.NewReader(nil), ErrNothing},
		"other XML":  {bytes.NewReader([]byte("<presence/>")), reginfo.ErrNotReginfo},
		"large XML":  {bytes.NewReader(append([]byte("<reginfo>"), make([]byte, reginfo.MaxSize)...)), reginfo.ErrTooLarge},
		"a capture":  {bytes.NewReader([]byte("\xd4\xc3\xb2\xa1")), nil},
		"large text": {bytes.NewReader(bytes.Repeat([]byte("x"), maxText+1)), ErrNothing},
		"gzip":       {bytes.NewReader([]byte("\x1f\x8b\x08\x00")), ErrNothing},
	} {
		_, err := New(nil).Read(c.in, func(Item) error { t.Error("an item"); return nil })
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(nil).Read(iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	if _, err := New(nil).Read(strings.NewReader(document(0, "full")), func(Item) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("giving: %v", err)
	}
}

// TestStreams: SIP over TCP is cut by Content-Length in pieces of any size; between
// messages keep-alives, and after a loss the rest of a message, are passed over.
func TestStreams(t *testing.T) {
	first, second := notify("a", 1, reginfoType, document(0, "full", one)), notify("a", 2, reginfoType, document(1, "full", two))
	stream := "\r\n\r\n" + first + "\r\n" + second + second
	for _, size := range []int{1, 2, 7, 100, len(stream)} {
		var got []string
		s := streams{held: map[uint64]partial{}, give: func(f found) { got = append(got, string(f.Data)) }}
		for at := 0; at < len(stream); at += size {
			s.take(capture.Chunk{Stream: 1, Data: []byte(stream[at:min(at+size, len(stream))])})
		}
		if len(got) != 3 || got[0] != first || got[1] != second || got[2] != second || s.size != 0 || len(s.held) > 0 {
			t.Fatalf("in pieces of %d: %d messages, %d bytes held", size, len(got), s.size)
		}
	}
	var got []found
	s := streams{held: map[uint64]partial{}, give: func(f found) { got = append(got, f) }}
	s.take(capture.Chunk{Stream: 1, Data: []byte(first[:len(first)-20])})
	s.take(capture.Chunk{Stream: 1, Data: []byte("rest of something\r\n" + second), Lost: true})
	s.take(capture.Chunk{Stream: 1, Data: []byte(second[:10])})
	s.take(capture.Chunk{Stream: 1, End: true})
	if len(got) != 2 || got[0].cut == "" || got[1].cut != "" || string(got[1].Data) != second || s.size != 0 {
		t.Errorf("%d messages, %d bytes held", len(got), s.size)
	}
	// Nobody can make it hold more than it may.
	for i := range 100 {
		s.take(capture.Chunk{Stream: uint64(i + 2), Data: []byte("NOTIFY sip:a SIP/2.0\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 900_000))})
		if s.size > maxHeld {
			t.Fatalf("%d bytes held", s.size)
		}
	}
	if !s.crowded {
		t.Error("not told")
	}
}

// TestDumpcap: a capture of others' making, by dumpcap on a loopback interface:
// regwatch watch at regwatch lab over TCP, and a kick.
func TestDumpcap(t *testing.T) {
	items, remarks := dissected(t, nil, file(t, "dumpcap.pcap"))
	if len(remarks) > 0 {
		t.Error(remarks)
	}
	golden(t, "dumpcap.golden", printed(items))
}

// TestFraming: the length of a body that came over the wire is as Content-Length
// says, or it is told.
func TestFraming(t *testing.T) {
	short := sip("OPTIONS sip:a SIP/2.0", "CSeq: 1 OPTIONS", "Content-Length: 9", "", "body")
	for _, c := range []struct{ transport, raw, want string }{
		{"udp", short, "Content-Length says 9 bytes, and the body has 4 (RFC 3261 18.3)"},
		{"udp", strings.Replace(short, "9", "3", 1), "1 bytes behind the body, by its Content-Length, are not looked at (RFC 3261 18.3)"},
		{"udp", strings.Replace(short, "9", "4", 1), ""},
		{"udp", strings.Replace(short, "Content-Length: 9\r\n", "", 1), ""},
		{"tcp", sip("OPTIONS sip:a SIP/2.0", "CSeq: 1 OPTIONS", "", ""), "no Content-Length, which TCP needs: taken as 0 (RFC 3261 18.3)"},
	} {
		m := story(t)[0]
		m.Transport, m.Raw = c.transport, []byte(c.raw)
		items, _ := dissected(t, nil, recorded(t, "x.pcapng", []trace.Message{m}))
		var notes []string
		for _, n := range items[0].Notes {
			notes = append(notes, n.Text)
		}
		if got := strings.Join(notes, "|"); len(items) != 1 || got != c.want {
			t.Errorf("%s %q: %q, want %q", c.transport, c.raw, got, c.want)
		}
	}
}

// TestLostSegment: a NOTIFY that the capture has half is shown with what there is,
// and the next one whole.
func TestLostSegment(t *testing.T) {
	messages := story(t)[6:11]
	for i := range messages {
		messages[i].Transport = "tcp"
	}
	var large bytes.Buffer // of several segments
	head, body, _ := strings.Cut(string(messages[0].Raw), "\r\n\r\n")
	body += strings.Repeat("<!-- a comment to fill segments -->\n", 100)
	head = head[:strings.LastIndex(head, "\r\n")]
	fmt.Fprintf(&large, "%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
	messages[0].Raw = large.Bytes()
	content := recorded(t, "x.pcapng", messages)
	// Take the second segment of the first message out of the file.
	var kept strings.Builder
	dropped := false
	for _, block := range pcapngBlocks(content) {
		if !dropped && strings.Contains(block, "a comment to fill") && !strings.Contains(block, "NOTIFY sip:") {
			dropped = true
			continue
		}
		kept.WriteString(block)
	}
	items, _ := dissected(t, nil, kept.String())
	if !dropped || len(items) != len(messages) {
		t.Fatalf("%d items, dropped %v", len(items), dropped)
	}
	text := printed(items)
	if !strings.Contains(text, "cut off: the rest of it is not in the capture") || !strings.Contains(text, "reginfo version 1, partial") {
		t.Error(text)
	}
}

// pcapngBlocks cuts a little-endian pcapng file into its blocks.
func pcapngBlocks(content string) (blocks []string) {
	for len(content) >= 12 {
		length := int(content[4]) | int(content[5])<<8 | int(content[6])<<16
		blocks = append(blocks, content[:length])
		content = content[length:]
	}
	return blocks
}

// TestCutCapture: what could be read, and that it was not all.
func TestCutCapture(t *testing.T) {
	content := recorded(t, "x.pcapng", story(t))
	items, remarks := dissected(t, nil, content[:len(content)-10])
	if len(items) != len(story(t))-1 || len(remarks) != 1 || !strings.HasPrefix(remarks[0], "the capture is cut off after packet 14") {
		t.Errorf("%d items, %q", len(items), remarks)
	}
}

// TestHostile: nothing that a file says can steer a terminal, or break a line.
func TestHostile(t *testing.T) {
	evil := "\x1b]0;x\x07\u202e\u009b2J\t"
	hostile := strings.NewReplacer("alice", "al"+evil+"ice", "Digest realm=\"", "Digest realm=\""+evil, "Service-Route: <", "Service-Route: <"+evil,
		"event=\"deactivated\"", "event=\""+evil+"\"", "SIP/2.0 200 OK", "SIP/2.0 200 "+evil).Replace(file(t, "kick.txt"))
	items, _ := dissected(t, device(), hostile)
	text := printed(items)
	if strings.ContainsAny(text, "\x1b\x07\u202e\u009b\t") || !strings.Contains(text, "<1B>") {
		t.Errorf("%q", text)
	}
}

// TestBounds: subscriptions, their contacts, and messages are remembered in bounded
// room; who spoke last is.
func TestBounds(t *testing.T) {
	s, most := newSubscriptions(), 0
	for i := range maxSubscriptions + 50 {
		table := s.of(dialog{callID: fmt.Sprint(i)})
		s.of(dialog{callID: "0"})
		if i == 0 {
			continue
		}
		table.rows = map[bool]int{true: 2 * reginfo.MaxContacts}[i > maxSubscriptions]
		s.rows += table.rows
		s.forget()
		most = max(most, len(s.tables))
		if len(s.tables) > maxSubscriptions || s.rows > maxRows || s.tables[dialog{callID: "0"}] == nil || s.byUse.Len() != len(s.tables) {
			t.Fatalf("%d: %d tables with %d rows", i, len(s.tables), s.rows)
		}
	}
	if most != maxSubscriptions || len(s.tables) > maxRows/reginfo.MaxContacts {
		t.Errorf("%d tables at most, %d at the end", most, len(s.tables))
	}
	seen := newRetransmissions()
	for i := range 2 * maxSeen {
		if f := (found{Chunk: capture.Chunk{Data: fmt.Append(nil, i)}}); seen.again(f) || !seen.again(f) {
			t.Fatalf("%d is not known again", i)
		}
	}
	if len(seen.by) != maxSeen || len(seen.order) != maxSeen {
		t.Errorf("%d messages are known again", len(seen.by))
	}
}

// FuzzRead: no file makes it fail, and what is shown of it cannot steer a terminal.
func FuzzRead(f *testing.F) {
	f.Add([]byte(file(f, "kick.txt")))
	f.Add([]byte(file(f, "messages.sip")))
	f.Add([]byte(document(0, "full", one)))
	f.Add([]byte(notify("a", 1, `multipart/mixed;boundary=x`, sip("--x", "Content-Type: application/reginfo+xml", "", document(0, "full", one), "--x--"))))
	messages := story(f)[:7]
	messages[6].Transport = "tcp"
	f.Add([]byte(recorded(f, "x.pcapng", messages)))
	f.Fuzz(func(t *testing.T, content []byte) {
		d := New(device())
		for range 2 { // the second time all is known already
			d.Read(bytes.NewReader(content), func(i Item) error {
				if text := i.Text(); strings.ContainsAny(text, "\x1b\x00\t\r\u009b") {
					t.Errorf("%q", text)
				}
				if raw, err := json.Marshal(i); err != nil || !json.Valid(raw) {
					t.Errorf("%s: %v", raw, err)
				}
				return nil
			})
		}
	})
}
