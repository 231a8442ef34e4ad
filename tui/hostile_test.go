package tui

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/eventschema"
	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

// hostile are texts that others may write. Those that steer have blinking in them
// (SGR 5), which the screen never uses.
var hostile = map[string]string{
	"steers":  "\x1b[5m\x1b[2J\x1b[1;1H\x1b]0;owned\x07\x1bc\u009b5m\u009b2J\u0090q\u009c\x9b",
	"lines":   "one\ntwo\r\nthree\vfour\tfive\u2028six\u0085seven",
	"invalid": "\xff\xfe\xc0\x80",
	"unseen":  "a\u202e\u2066moc.elpmaxe\u2069\u3164\u200b\u2060\ufeff\u115f\uffa0\u2800\u00ad\u034f\u061c\U000e0041b\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd\u2764\ufe0f\U0001f468\u200d\U0001f469",
	"wide":    strings.Repeat("日本語", 30),
	"heap":    "e" + strings.Repeat("\u0301", 20) + "\u1112" + strings.Repeat("\u1161", 20),
	"long":    strings.Repeat("x;y=@:", 1700),
	"escapes": strings.Repeat("\x1b[5;31m", 40),
	"empty":   "",
	"uri":     "sip:" + strings.Repeat("u", 300) + "@" + strings.Repeat("h.", 300) + "example.com:5060;" + strings.Repeat("p=1;", 100),
}

// fill puts a text into every string, byte slice and error that can be reached from
// v, and makes what is nil, so that no field is forgotten when one is added. Named
// types such as states keep what they have unless words is set: what is drawn
// depends on them.
func fill(v reflect.Value, text string, words bool) {
	if !v.CanSet() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if words || v.Type() == reflect.TypeFor[string]() {
			v.SetString(text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text, words)
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
			fill(v.Index(i), text, words)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), text, words)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text, words)
		fill(value, text, words)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem(), text, words)
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[error]() {
			v.Set(reflect.ValueOf(errors.New(text)))
		}
	case reflect.Bool:
		v.SetBool(true)
	}
}

// stage is the program with a terminal that is only read, in virtual time.
type stage struct {
	*terminal
	t       *testing.T
	text    string
	trace   *trace.Ring
	updates chan ua.Update
	paged   []string // what the user's pager was given
}

// told are all kinds of event that ua has, with the text in each field.
func (s *stage) told(account string, words bool) (out []ua.Event) {
	for i, d := range eventschema.Details {
		v := reflect.New(reflect.TypeOf(d)).Elem()
		fill(v, s.text, words)
		out = append(out, ua.Event{Run: s.text, Seq: uint64(i), Time: noon, Account: account, Summary: s.text, Message: 1, Detail: v.Interface().(ua.Detail)})
	}
	plain := reginfo.Contact{URI: s.text, Event: reginfo.ContactEvent(s.text)}
	kick := plain
	kick.Event = reginfo.Deactivated
	for _, d := range []ua.Detail{
		ua.ContactDetail{Contact: plain}, ua.ContactDetail{Own: true, Origin: ua.OriginNetwork, Evidence: []string{s.text}, Contact: kick},
	} {
		out = append(out, ua.Event{Seq: 100, Time: noon, Account: account, Message: 2, Summary: s.text, Detail: d})
	}
	return out
}

// shown is a snapshot with the text in each field.
func (s *stage) shown(account string, words bool) *ua.Snapshot {
	out := kicked(1, noon)
	out.Prompts = append(out.Prompts, out.Prompts[0])
	out.Prompts[1].ID = 2
	out.Disagreements = make([]ua.Disagreement, 2)
	out.Disagreements[0].Against = ua.WitnessWatched
	fill(reflect.ValueOf(out), s.text, words) // a pointer cannot be set
	fill(reflect.ValueOf(out).Elem(), s.text, words)
	out.Account = account
	for i := range 4 {
		b := out.Bindings[0]
		b.Own, b.EarlierRun, b.StillListed = i == 0, i == 1, i == 2
		if i > 0 {
			b.Contact.State = reginfo.ContactActive
		}
		out.Bindings = append(out.Bindings, b)
	}
	// Documents that can be read, with the text in each value; what XML cannot carry
	// is sent all the same, and as a reference.
	for k, state := range []reginfo.DocState{reginfo.Full, reginfo.Partial} {
		doc := reginfo.Document{Version: reginfo.Num(uint64(k)), State: state, Registrations: make([]reginfo.Registration, 1)}
		fill(reflect.ValueOf(&doc.Registrations).Elem(), s.text, true)
		raw := reginfo.Encode(&doc)
		if k == 1 {
			raw = bytes.ReplaceAll(raw, []byte("\ufffd"), []byte("\x1b&#27;&#x9b;"))
		}
		out.Documents = append(out.Documents, ua.Document{At: noon, CSeq: uint32(k), Verdict: reginfo.Applied, State: doc.State, Reason: s.text, Raw: raw})
	}
	return out
}

// states are snapshots of the account as it goes through what a header may show.
func (s *stage) states(account string) (out []*ua.Snapshot) {
	for i, state := range []ua.RegistrationState{ua.Registered, ua.Retrying, ua.Registering, ua.Unregistered} {
		next := s.shown(account, false)
		next.Registration.State, next.Subscription.State = state, []ua.SubscriptionState{ua.Active, ua.Terminated, ua.NotifyWait, ua.Polling}[i]
		if i > 0 {
			next.Registration.Slow, next.Subscription.Slow, next.Flows = "", "", nil
		}
		if i > 1 {
			next.Registration.Reason, next.Flow.Up = "", false
		}
		out = append(out, next)
	}
	return out
}

func (s *stage) messages() {
	add := func(d trace.Direction, raw string) {
		s.trace.Add(trace.Message{Time: noon, Direction: d, Transport: s.text, Remote: netip.MustParseAddrPort("192.0.2.1:5060"), Raw: []byte(raw)})
	}
	add(trace.Received, s.text)
	add(trace.Received, "NOTIFY "+s.text+"\r\nCSeq: "+s.text+"\r\n\r\n"+s.text)
	for _, first := range []string{"SIP/2.0 " + s.text, "SIP/2.0 500 " + s.text, s.text + " " + s.text + " SIP/2.0"} {
		fields := ""
		for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq", "Expires", "Retry-After", "Subscription-State", "Content-Type", "Contact", s.text} {
			fields += name + ": " + s.text + "\r\n"
		}
		add(trace.Sent, first+"\r\n"+fields+"\r\n"+s.text)
	}
}

// press types keys, far enough apart to be meant; longer ones are pasted.
func (s *stage) press(keys ...string) {
	for _, k := range keys {
		s.key.Write([]byte(k))
		time.Sleep(panelSettle)
	}
}

func (s *stage) paste() {
	s.press("\x1b[200~" + s.text[:min(len(s.text), 2000)] + "\x1b[201~")
}

// TestHostileText puts every hostile text into every field of snapshots, events,
// messages, documents, exchanges by hand and errors, walks through every view, page,
// menu and panel, and reads the bytes that the program writes as a terminal would:
// nothing but text and what the screen itself uses.
func TestHostileText(t *testing.T) {
	t.Setenv("CLICOLOR_FORCE", "1")
	t.Setenv("TERM", "xterm")
	t.Setenv("COLORTERM", "")
	t.Setenv("NO_COLOR", "")
	t.Setenv("LC_ALL", "C.UTF-8")
	// The runtime's goroutine for signals is to be made outside of the bubbles.
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	signal.Stop(resumed)
	for name, text := range hostile {
		for _, size := range hostileSizes {
			t.Run(name+"/"+sizeName(size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					(&stage{terminal: newTerminal(), t: t, text: text, trace: trace.NewRing(100), updates: make(chan ua.Update)}).play(name, size[0], size[1])
				})
			})
		}
	}
}

func sizeName(size [2]int) string {
	return map[int]string{80: "80x24", 120: "120x40", 40: "40x10"}[size[0]]
}

func (s *stage) play(name string, w, h int) {
	t, began := s.t, time.Now()
	other := s.text + "2"
	s.messages()
	exchange := ua.Exchange{Status: 200}
	fill(reflect.ValueOf(&exchange).Elem(), s.text, true)
	failure := func() error { return errors.New(s.text) }
	o := Options{
		Accounts: []string{"alice", other}, Input: s.in, Output: s, Width: w, Height: h, ASCII: name == "invalid", Zone: time.UTC,
		Now:   func() time.Time { return noon.Add(time.Since(began)) },
		Trace: s.trace, Bell: true, Notify: map[bool]string{true: NotifyOSC9, false: NotifyOSC777}[w == 80],
		Where: []string{s.text}, Hint: s.text,
		Admin: []AdminAction{{"x", s.text, failure}},
		Do:    func(string, ua.Command) {},
		Render: func(context.Context, string, ua.ByHand) (string, error) {
			return "REGISTER " + s.text + " SIP/2.0\r\nContact: " + s.text + "\r\n\r\n" + s.text, nil
		},
		Send: func(context.Context, string, ua.ByHand) (ua.Exchange, error) { return exchange, nil },
		Save: func(path string, replace bool, _ []trace.Message) error {
			if replace {
				return failure()
			}
			return &fs.PathError{Op: "save", Path: path, Err: fs.ErrExist}
		},
		Pager: func(_ context.Context, text string) error {
			s.paged = append(s.paged, text)
			return failure()
		},
		Updates: func(ctx context.Context) iter.Seq[ua.Update] {
			return func(yield func(ua.Update) bool) {
				for {
					select {
					case u := <-s.updates:
						if !yield(u) {
							return
						}
					case <-ctx.Done():
						return
					}
				}
			}
		},
	}
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), o) }()
	time.Sleep(time.Second)
	s.updates <- ua.Update{Snapshots: []*ua.Snapshot{s.shown("alice", false), s.shown(other, true)}, Events: append(s.told("alice", false), s.told(other, true)...), Missed: 3}
	s.walk(map[bool]int{true: 2, false: 1}[w == 80])
	others := s.states(other)
	for i, snapshot := range s.states("alice") {
		s.updates <- ua.Update{Snapshots: []*ua.Snapshot{snapshot, others[i]}, Events: s.told("alice", true)}
		s.press("1", "6", "8", "4")
	}
	s.press("\x1b[O") // nobody looks, and there is another kick
	again := s.shown("alice", false)
	again.Prompts = again.Prompts[:1]
	again.Prompts[0].ID = 7
	s.updates <- ua.Update{Snapshots: []*ua.Snapshot{again}}
	time.Sleep(10 * time.Second)
	again = s.shown(other, true)
	again.Prompts = again.Prompts[:1]
	again.Prompts[0].ID, again.Prompts[0].On = 8, ua.KickAbsent
	s.updates <- ua.Update{Snapshots: []*ua.Snapshot{again}}
	time.Sleep(10 * time.Second)
	s.press("\x1b[I", "q", "q")
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.key.Close()
	s.judge(w, h)
}

// walk presses every key of every view, for so many accounts.
func (s *stage) walk(accounts int) {
	s.press("\r", "\x1b", "l", "\x1b", "l", "p", "p", "t", "t", "t", "R", "U", "Q", "S", "N", "O", "X", "y", "X", "n")
	for range accounts {
		for _, view := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
			s.press(view, "\r", "y", "v", "\x1b", "r", "\x1b", view, "j", "j", "y", "\r", "\x1b", "d", "d", "f", "a", "/")
			s.paste()
			s.press("\x15", "\r", "g", "G", "k", "\x1b[D", "\x1b[C", "\x1b[5~", "\x1b[6~", "v", "\x1b", "\x1b")
		}
		s.press("3", "s")
		s.paste()
		s.press("\r", "y", "A", "x", "?", "j", "\x1b[6~", "\x1b", "C", "\r", "j", "S", "\t", "j", "\x1b[6~", "\x1b", "\x1b", "\x1b", "C", "\x10")
		s.paste()
		s.press("\t")
		s.paste()
		s.press("\t", "\t")
		s.paste()
		s.press("\x10", "\x0e", "\r", "\x1b", "\x1b", "\x1b", "1", "\t")
	}
}

// judge reads all that was written.
func (s *stage) judge(w, h int) {
	t := s.t
	strict := strictTerminal{w: w, h: h}
	strict.read(s.String())
	for _, fault := range strict.faults {
		t.Error(fault)
	}
	for _, word := range []string{"REGISTERED", "RETRYING", "REGISTERING", "NOT WATCHED", "POLLING", "KICKED", "by hand: REGISTER", "by hand\x1b[0m", "ladder: ", "administrator", "truths of a contact", "capitals send SIP"} {
		if !strings.Contains(s.String(), word) {
			t.Errorf("the walk never came by %q", word)
		}
	}
	if strict.alt {
		t.Error("the screen was never left")
	}
	if len(strict.copied) < 5 || len(s.paged) < 5 || len(strict.notices) < 2 {
		t.Errorf("%d copied, %d paged, %d notices: too few", len(strict.copied), len(s.paged), len(strict.notices))
	}
	for _, text := range append(strict.copied, s.paged...) {
		// As it may be pasted, or handed to a pager: line ends and tabs stay.
		harmless(t, strings.NewReplacer("\r\n", "", "\n", "", "\t", "").Replace(text))
	}
	for _, text := range strict.notices {
		harmless(t, text)
	}
	if picture := visible(s.text, false); s.text != "" && len(s.text) < 60 && strings.Count(s.String(), picture[:min(len(picture), 4)]) < 100 {
		t.Errorf("too little of it came through: %q", picture)
	}
}
