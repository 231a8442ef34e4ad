package tui

import (
	"bytes"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/muesli/termenv"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, utf8, ascii string }{
		{"sip:alice@example.com", "sip:alice@example.com", "sip:alice@example.com"},
		{"\x1b[2J", "␛[2J", "<1B>[2J"},
		{"a\r\nb\x00\x7f", "a␍␊b␀␡", "a<0D><0A>b<00><7F>"},
		{"\u009b31m", "<9B>31m", "<9B>31m"},
		{"\xff\xc3", "<FF><C3>", "<FF><C3>"},
		{"\u202emoc", "<U+202E>moc", "<U+202E>moc"},
		{"\u2066\u200b\ufeff\u2028", "<U+2066><U+200B><U+FEFF><U+2028>", "<U+2066><U+200B><U+FEFF><U+2028>"},
		{"Jürgen 日本", "Jürgen 日本", "J<U+00FC>rgen <U+65E5><U+672C>"},
		{"\u0301x", "<U+0301>x", "<U+0301>x"},
		{"e\u0301\u0301\u0301", "e\u0301\u0301<U+0301>", "e<U+0301><U+0301><U+0301>"},
		{"❤\ufe0f", "❤<U+FE0F>", "<U+2764><U+FE0F>"},
	} {
		if got := visible(c.in, false); got != c.utf8 {
			t.Errorf("visible(%q) = %q, want %q", c.in, got, c.utf8)
		}
		if got := visible(c.in, true); got != c.ascii {
			t.Errorf("visible(%q, ascii) = %q, want %q", c.in, got, c.ascii)
		}
	}
	if got := visible(strings.Repeat("a", 10_000), false); len(got) > visibleLimit+30 || !strings.Contains(got, "[10000 bytes]") {
		t.Errorf("10 kB became %d bytes", len(got))
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("\x1b]0;title\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		for _, ascii := range []bool{false, true} {
			out := visible(in, ascii)
			harmless(t, out)
			if n := ansi.StringWidth(out); n < 0 || ansi.Strip(out) != out {
				t.Errorf("%q still steers: %q", in, out)
			}
		}
	})
}

// harmless fails for every character that a terminal might obey.
func harmless(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			t.Fatalf("%U in %q", r, s)
		}
	}
}

// poison puts text into every string and every byte slice that can be reached
// from v, so that no field is forgotten when one is added.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(text))
			return
		}
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		}
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), text)
		}
	case reflect.Bool:
		v.SetBool(true)
	}
}

func poisoned[D ua.Detail](text string) ua.Detail {
	var d D
	poison(reflect.ValueOf(&d).Elem(), text)
	return d
}

var hostile = map[string]string{
	"clear":   "\x1b[2J\x1b[1;1H\x1b]0;owned\x07",
	"c1":      "\u009b2J\u0090q\u009c\x9b",
	"bidi":    "a\u202e\u2066moc.elpmaxe\u2069",
	"lines":   "one\ntwo\r\nthree\vfour\tfive",
	"invalid": "\xff\xfe\xc0\x80",
	"wide":    strings.Repeat("日本語", 60),
	"heap":    "e" + strings.Repeat("\u0301", 100),
	"long":    strings.Repeat("x;y=@:", 1700),
	"escapes": strings.Repeat("\x1b[31m", 400),
	"empty":   "",
	"uri":     "sip:" + strings.Repeat("u", 300) + "@" + strings.Repeat("h.", 300) + "example.com:5060;" + strings.Repeat("p=1;", 100),
}

// TestHostileText puts every hostile text into every field of snapshots, events
// and messages, draws every view, and reads what would be written: nothing but
// text and the styling that is ours, in a frame of the right size.
func TestHostileText(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 80, 24, nil)
			colours := lipgloss.NewRenderer(io.Discard, termenv.WithProfile(termenv.ANSI))
			b.th = themeFor(colours, name == "invalid", false)
			for _, state := range []ua.RegistrationState{ua.Registered, ua.Retrying} {
				s := kicked(1, noon)
				s.Prompts = append(s.Prompts, s.Prompts[0])
				s.Prompts[1].ID = 2
				poison(reflect.ValueOf(s).Elem(), text)
				s.Account = "alice"
				for i := range 3 {
					clean := *s
					clean.Registration.State, clean.Subscription.State = state, ua.Active
					if i > 0 {
						clean.Registration.Slow, clean.Subscription.Slow = "", ""
					}
					if i > 1 {
						clean.Registration.Reason, clean.Flow.Up, clean.Subscription.State = "", false, ua.Terminated
					}
					c := clean.Bindings[0]
					c.Contact.State = reginfo.ContactActive
					clean.Bindings = append(clean.Bindings, c)
					for j := range clean.Bindings {
						clean.Bindings[j].Own, clean.Bindings[j].EarlierRun = j == 0, j == 1
					}
					var events []ua.Event
					for j, d := range []ua.Detail{
						poisoned[ua.RegistrationDetail](text), poisoned[ua.SubscriptionDetail](text), poisoned[ua.DocumentDetail](text),
						poisoned[ua.RegistrationStateDetail](text), poisoned[ua.ContactDetail](text), poisoned[ua.ActionDetail](text),
						poisoned[ua.GRUUDetail](text), poisoned[ua.FindingDetail](text), poisoned[ua.FlowDetail](text), poisoned[ua.RequestDetail](text),
						ua.ContactDetail{Contact: reginfo.Contact{URI: text, Event: reginfo.ContactEvent(text)}},
						ua.ContactDetail{Own: true, Origin: ua.OriginNetwork, Evidence: []string{text}, Contact: reginfo.Contact{URI: text, Event: reginfo.Deactivated}},
					} {
						events = append(events, ua.Event{Seq: uint64(j), Time: noon, Account: "alice", Run: text, Summary: text, Detail: d})
					}
					// A document that can be read, its predecessor too, with the text in each value.
					for k, state := range []string{"full", "partial"} {
						doc := reginfo.Document{Version: reginfo.Num(uint64(k)), State: reginfo.DocState(state), Registrations: make([]reginfo.Registration, 1)}
						poison(reflect.ValueOf(&doc.Registrations).Elem(), text)
						raw := reginfo.Encode(&doc)
						if k == 1 { // what XML cannot carry is sent all the same, and as a reference
							raw = bytes.ReplaceAll(raw, []byte("\ufffd"), []byte("\x1b&#27;&#x9b;"))
						}
						clean.Documents = append(clean.Documents, ua.Document{At: noon, CSeq: uint32(k), Verdict: reginfo.Applied, State: doc.State, Raw: raw})
					}
					b.o.Trace.Add(trace.Message{Time: noon, Direction: trace.Received, Transport: text, Remote: netip.MustParseAddrPort("192.0.2.1:5060"), Raw: []byte(text)})
					b.o.Trace.Add(trace.Message{Time: noon, Direction: trace.Received, Transport: "udp", Raw: []byte("NOTIFY " + text + "\r\nCSeq: " + text + "\r\n\r\n" + text)})
					for _, first := range []string{"SIP/2.0 " + text, "SIP/2.0 500 " + text, text + " " + text + " SIP/2.0"} {
						fields := ""
						for _, name := range []string{"Via", "Call-ID", "CSeq", "Expires", "Retry-After", "Subscription-State", "Content-Type", "Contact"} {
							fields += name + ": " + text + "\r\n"
						}
						b.o.Trace.Add(trace.Message{Time: noon, Direction: trace.Sent, Transport: "udp", Raw: []byte(first + "\r\n" + fields + "\r\n" + text)})
					}
					b.show(&clean, events...)
					views := []string{"1"} // the header is what differs
					if state == ua.Registered && i == 0 {
						views = []string{"1", "2", "3", "4", "5", "6", "7", "8"}
					}
					drawAll(t, b, views)
				}
			}
			r := &Recap{}
			s := kicked(1, noon)
			poison(reflect.ValueOf(s).Elem(), text)
			r.Add(ua.Update{Snapshots: []*ua.Snapshot{s}, Events: []ua.Event{{Account: text, Detail: poisoned[ua.FindingDetail](text)}}})
			for line := range strings.SplitSeq(Summary(r, []string{text}, time.UTC, false), "\n") {
				harmless(t, line)
			}
		})
	}
}

func drawAll(t *testing.T, b *bench, views []string) {
	t.Helper()
	size := [2]int{b.w, b.h}
	n := 0
	defer func() { b.w, b.h = size[0], size[1]; b.pager = nil }()
	for _, v := range views {
		for _, key := range []string{"", "enter", "esc", "r", "esc", "j", "j", "enter", "esc", "d", "d", "y", "f", "esc", "/", "x", "esc", "d"} {
			b.panel.folded = key == "j"
			if key != "" {
				b.keys(key)
			} else {
				b.keys(v)
			}
			sizes := [][2]int{{80, 24}, {120, 40}, {40, 10}, {63, 17}}
			n++
			b.w, b.h = sizes[n%4][0], sizes[n%4][1]
			frame := b.View()
			if n := strings.Count(frame, "\n") + 1; n != b.h {
				t.Fatalf("%d lines on a terminal of %d", n, b.h)
			}
			for line := range strings.SplitSeq(frame, "\n") {
				if n := ansi.StringWidth(line); n > b.w {
					t.Fatalf("a line of %d columns on a terminal of %d: %q", n, b.w, line)
				}
				harmless(t, withoutOurStyles(line))
			}
		}
	}
}

// withoutOurStyles removes the colour sequences that the theme writes, and
// nothing else: any other escape stays to be found.
func withoutOurStyles(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		j := i + 2
		for j < len(s) && (s[j] == ';' || s[j] >= '0' && s[j] <= '9') {
			j++
		}
		if j >= len(s) || s[j] != 'm' {
			return s
		}
		s = s[:i] + s[j+1:]
	}
}
