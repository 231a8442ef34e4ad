package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// composing is a bench with an agent that writes down what it is to send.
type composing struct {
	*bench
	sent   []ua.ByHand
	render func(ua.ByHand) (string, error)
	answer func(context.Context, ua.ByHand) (ua.Exchange, error)
	held   []tea.Cmd // where hold is set: what is to be run later
	hold   bool
}

const ownRegister = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKa1;rport\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1j9FpLxk3y\r\nTo: <sip:alice@example.com>\r\nCall-ID: " + callID +
	"\r\nCSeq: 5 REGISTER\r\nUser-Agent: regwatch/test\r\nContact: <sip:alice@192.0.2.7:5060>;+sip.instance=\"<" + instanceID + ">\";reg-id=1\r\nExpires: 3600\r\nSupported: path, outbound, gruu\r\nContent-Length: 0\r\n\r\n"

func newComposing(t *testing.T, w, h int) *composing {
	c := &composing{}
	c.render = func(b ua.ByHand) (string, error) {
		text := ownRegister
		if b.Method == ua.MethodSubscribe {
			text = strings.NewReplacer("REGISTER", "SUBSCRIBE", "Expires: 3600", "Event: reg\r\nAccept: application/reginfo+xml\r\nExpires: 3761").Replace(text)
		}
		for i, contact := range b.Contacts {
			if at := strings.Index(text, "Contact: "); i == 0 {
				text = text[:at] + "Contact: " + contact + text[at+strings.Index(text[at:], "\r\n"):]
			}
		}
		if b.Expires != "" {
			text = strings.Replace(text, "Expires: 3600", "Expires: "+b.Expires, 1)
		}
		return text, nil
	}
	c.answer = func(_ context.Context, b ua.ByHand) (ua.Exchange, error) {
		text, _ := c.render(b)
		at := c.at
		return ua.Exchange{Status: 200, RoundTrip: 12 * time.Millisecond, Outcome: "200 OK, answered in 12 ms", Effect: "we are unregistered, and stay off",
			Messages: []trace.Message{
				{Number: 1, Time: at, Direction: trace.Sent, Raw: []byte(text)},
				{Number: 2, Time: at, Direction: trace.Received, Raw: []byte("SIP/2.0 401 Unauthorized\r\nCSeq: 5 REGISTER\r\nWWW-Authenticate: Digest realm=\"example.com\", nonce=\"n1\"\r\nContent-Length: 0\r\n\r\n")},
				{Number: 3, Time: at, Direction: trace.Sent, Raw: []byte(strings.Replace(text, "CSeq: 5", "CSeq: 6", 1))},
				{Number: 4, Time: at, Direction: trace.Received, Raw: []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKa2;rport=40112;received=203.0.113.5\r\nTo: <sip:alice@example.com>;tag=r1\r\nCSeq: 6 REGISTER\r\nContent-Length: 0\r\n\r\n")},
			}}, nil
	}
	c.bench = newBench(t, w, h, func(o *Options) {
		o.Render = func(_ context.Context, account string, b ua.ByHand) (string, error) { return c.render(b) }
		o.Send = func(ctx context.Context, account string, b ua.ByHand) (ua.Exchange, error) {
			c.sent = append(c.sent, b)
			return c.answer(ctx, b)
		}
	})
	c.show(snapshot(), past()...)
	return c
}

// run runs what a key started to its end.
func (c *composing) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	if c.hold {
		c.held = append(c.held, cmd)
		return
	}
	msg := cmd()
	if batch, ok := msg.(tea.BatchMsg); ok {
		for _, each := range batch {
			c.run(each)
		}
		return
	}
	c.msg(msg)
}

func (c *composing) msg(msg tea.Msg) {
	c.ticking = true
	_, cmd := c.Update(msg)
	c.run(cmd)
}

// press presses keys, far enough apart to be meant; others are typed at once.
func (c *composing) press(keys ...string) {
	c.t.Helper()
	named := map[string]tea.KeyType{
		"enter": tea.KeyEnter, "esc": tea.KeyEsc, "tab": tea.KeyTab, "back": tea.KeyShiftTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"backspace": tea.KeyBackspace, "home": tea.KeyHome, "end": tea.KeyEnd, "delete": tea.KeyDelete, "^P": tea.KeyCtrlP, "^N": tea.KeyCtrlN, "^U": tea.KeyCtrlU, "^K": tea.KeyCtrlK, "^W": tea.KeyCtrlW, "^C": tea.KeyCtrlC,
	}
	for _, k := range keys {
		c.after(time.Second)
		msg := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
		if kind, ok := named[k]; ok {
			msg = tea.KeyMsg{Type: kind}
		} else if k == " " {
			msg = tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(k)}
		}
		c.msg(msg)
	}
}

func (c *composing) paste(text string) {
	c.after(time.Second)
	c.msg(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(text), Paste: true})
}

// to goes to the row of a label.
func (c *composing) to(label string) {
	c.t.Helper()
	for range 40 {
		if rows := c.app.composing.rows(); strings.TrimSpace(rows[c.app.composing.row].label) == label {
			return
		}
		c.press("tab")
	}
	c.t.Fatalf("no row %q", label)
}

// choose takes a template by the beginning of its name.
func (c *composing) choose(name string) {
	c.t.Helper()
	c.to("template")
	for range templates {
		if strings.Contains(c.screen(), "< "+name) {
			return
		}
		c.press("right")
	}
	c.t.Fatalf("no template %q", name)
}

func (c *composing) sends(want ...ua.ByHand) {
	c.t.Helper()
	if !reflect.DeepEqual(c.sent, want) {
		c.t.Errorf("sent %+v, want %+v", c.sent, want)
	}
	c.sent = nil
}

// To compose a "Contact: *": press C, take the template, see it, send it, see what
// it did. Enter never sends, however often.
func TestComposeStar(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	c.sees("by hand: REGISTER", "Request-URI [sip:example.com]", "Expires     [3600]", "Call-ID     ["+callID+"]", "Enter show it")
	c.press("right", "right")
	c.sees("< remove all: Contact: * >", "Contact     *", "Expires     0")
	c.press("enter", "enter", "enter", " ", "tab")
	c.sees("request, not sent yet", "Contact: *", "Expires: 0", "S send  Esc back")
	c.sends()
	c.press("S")
	c.sends(ua.ByHand{Contacts: []string{"*"}, Expires: "0"})
	c.sees("✓ 200 OK, answered in 12 ms", "we are unregistered, and stay off", "nothing is bound", "request (the last of 2)", "answer (the last of 2)", "SIP/2.0 200 OK")
	c.press("S", "enter", "S")
	c.sends()
	c.press("esc")
	c.sees("< remove all: Contact: * >", "Contact     *")
	c.press("esc")
	c.sees("timeline")
	c.did()
	// It is as it was left.
	c.press("C")
	c.sees("Contact     *", "Expires     0")
}

func TestGoldenComposer(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		t.Run(name, func(t *testing.T) {
			c := newComposing(t, size[0], size[1])
			c.press("C")
			c.choose("remove all")
			c.to("header")
			c.press("Require: x")
			c.golden("composer-form-" + name)
			c.press("enter")
			c.golden("composer-request-" + name)
			c.press("S")
			c.golden("composer-answer-" + name)
		})
	}
}

// On a wide terminal what the form makes stands beside it, as it is written; on one
// that is made narrow it goes.
func TestComposerLive(t *testing.T) {
	c := newComposing(t, 120, 40)
	c.press("C")
	c.sees("as it would be sent", " Expires: 3600")
	c.to("Expires")
	c.press("60")
	c.sees(" Expires: 60")
	c.hold = true
	c.press("9")
	late := c.held[0]
	c.hold = false
	c.press("1")
	c.sees(" Expires: 6091")
	c.run(late)
	c.sees(" Expires: 6091")
	c.render = func(b ua.ByHand) (string, error) { return "", b.Check() }
	c.to("header")
	c.press("X")
	c.sees("not to be sent", `headers "X" is no header field`)
	c.sees("Expires     6091", "CSeq        [5 REGISTER]") // what was known stays
	c.msg(tea.WindowSizeMsg{Width: 80, Height: 24})
	c.seesNot("not to be sent")
}

// In the form letters are text, whatever else they are; ctrl+c quits.
func TestComposerTakesText(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C", "q", "R", "S", "?", " ", "X") // on a choice: a blank chooses, letters do nothing
	c.did()
	c.sees("< query: no Contact >")
	c.to("To")
	c.press("q", "?", "R", "1", " ", "k", "G", "Slow typing", "home", ">", "end", "backspace", "left", "delete")
	c.sees("To          >q?R1 kGSlow typi|")
	c.press("^W")
	c.sees("To          >q?R1 kGSlow |")
	c.press("left", "left", "^K")
	c.sees("To          >q?R1 kGSlo|")
	c.press("^U", "-", "enter")
	c.sees("request, not sent yet")
	c.did()
	c.press("esc", "^C")
	c.sees("unregistering...")
}

// What is pasted goes in as it is: lines of a list become rows, what steers a
// terminal is shown and refused, at its row.
func TestComposerPaste(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	c.to("header")
	c.paste("Require: x\r\nX-Two: 2\n\n X-Three: 3\r\n")
	c.sees("header      Require: x", "X-Two: 2", "X-Three: 3|")
	c.to("Contact")
	c.paste("<sip:a@b>\x1b[2J\u202e")
	c.sees("Contact     <sip:a@b>␛[2J<U+202E>|")
	c.press("enter")
	c.sees("! contacts has a control character")
	c.sends()
	c.press("^U", "<sip:a@b>")
	c.seesNot("! contacts")
	c.to("Call-ID")
	c.paste("one\ntwo\n")
	c.sees("Call-ID     one␊two|")
	c.press("enter")
	c.sees("! call_id has a control character")
	c.press("^U", "enter", "S")
	c.sends(ua.ByHand{Contacts: []string{"<sip:a@b>"}, Headers: []string{"Require: x", "X-Two: 2", "X-Three: 3"}})
	// Of several rows the one that is wrong is shown.
	c.press("esc")
	c.to("header")
	c.press("tab", "^U", "X two", "enter")
	c.sees(" >             X two|\n               ! headers \"X two\" is no header field")
	c.press("^U", "X-Two: 2", "enter", "S")
	c.sent = nil
	// Pasted or typed ahead, S is no consent.
	c.press("esc", "enter")
	c.paste("S")
	c.key("S")
	c.after(100 * time.Millisecond)
	c.key("S")
	c.press("SS")
	c.sends()
	c.press("S")
	if len(c.sent) != 1 {
		t.Errorf("sent %+v", c.sent)
	}
	// A heap of lines or runes is bounded.
	c.press("esc")
	c.to("without")
	c.paste(strings.Repeat("X\n", 10_000))
	c.to("CSeq")
	c.paste(strings.Repeat("1", 100_000))
	if d := c.app.composing.draft.what; len(d.Without) > 100 || len(d.CSeq) > editLimit {
		t.Errorf("%d rows, %d runes", len(d.Without), len(d.CSeq))
	}
	c.press("enter")
	c.sees("! cseq is 16384 bytes long, more than 8192")
	c.press("^U", "enter")
	c.sees("! without has 100 lines, more than 64")
}

// What the agent refuses stands at its row, and the rest above the form.
func TestComposerRefused(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	c.to("header")
	c.press("none", "enter")
	c.sees(`! headers "none" is no header field: write something like`, "X-Test: 1")
	c.press("^U")
	c.render = func(ua.ByHand) (string, error) {
		return "", &ua.FieldError{Key: "credentials", Fault: "cannot be stale: no nonce is kept that could be spoilt, register first"}
	}
	c.press("enter")
	c.sees(" > credentials < as usual", "! credentials cannot be stale: no nonce is kept that could be", "! spoilt, register first")
	c.press("right")
	c.seesNot("! cred")
	c.render = func(ua.ByHand) (string, error) { return "", errors.New("no route to \x1b[2Jhost") }
	c.press("enter")
	c.sees("! no route to ␛[2Jhost")
	c.sends()
	// Refused only when it is sent.
	c.render = func(ua.ByHand) (string, error) { return ownRegister, nil }
	c.answer = func(context.Context, ua.ByHand) (ua.Exchange, error) {
		return ua.Exchange{}, fmt.Errorf("REGISTER by hand: %w", &ua.FieldError{Key: "cseq", Fault: "goes back 9 from 3"})
	}
	c.press("enter", "S")
	c.sees("CSeq        |", "! cseq goes back 9 from 3")
}

// While an answer is waited for, the seconds are shown, and Esc gives it up; one
// that comes when the form is back is told.
func TestComposerWaits(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C", "enter")
	c.hold = true
	c.press("S")
	c.after(7 * time.Second)
	c.sees("↻ REGISTER sent, no answer for 0:07", "request", "Contact: <sip:alice@192.0.2.7:5060>")
	if !c.counts() {
		t.Error("nothing draws the seconds")
	}
	given := make(chan error, 1)
	c.answer = func(ctx context.Context, b ua.ByHand) (ua.Exchange, error) {
		given <- ctx.Err()
		return ua.Exchange{Outcome: ""}, ctx.Err()
	}
	c.press("esc")
	c.hold = false
	c.run(c.held[0])
	if err := <-given; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	c.sees("✗ given up; an answer that still comes counts")
	c.press("esc", "esc")
	c.answer = func(context.Context, ua.ByHand) (ua.Exchange, error) {
		return ua.Exchange{Status: 500, Outcome: "500 Oh \x1b[2J"}, nil
	}
	c.press("C", "enter")
	c.hold, c.held = true, nil
	c.press("S")
	c.app.leaveComposer()
	c.hold = false
	c.run(c.held[0])
	c.sees("✗ by hand: 500 Oh ␛[2J")
}

// A key on the form outdates the request that is being written for it.
func TestComposerOutdated(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	c.to("Expires")
	c.hold = true
	c.press("enter", "5")
	c.hold = false
	c.run(c.held[0])
	c.seesNot("not sent yet")
	c.press("enter", "S")
	c.sends(ua.ByHand{Expires: "5"})
}

// The last 20 are kept and walked; what is in the form is never lost.
func TestComposerPast(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	for i := range 25 {
		c.to("Expires")
		c.press("^U", fmt.Sprint(100+i), "enter", "S", "esc")
	}
	c.to("Expires")
	c.press("^U", "unsent")
	c.press("^P")
	c.sees("Expires     124|", "19 of the last 20")
	c.press("^P", "^P")
	c.sees("Expires     122|")
	c.press("^N", "^N", "^N", "^N")
	c.sees("Expires     unsent|", "20 of the last 20")
	for range 30 {
		c.press("^P")
	}
	c.sees("Expires     106|", "1 of the last 20")
	// A template puts aside what was typed.
	c.press("^U", "typed")
	c.choose("lower CSeq")
	c.sees("CSeq        -1", "Expires     [3600]")
	c.press("^P")
	c.sees("Expires     typed")
	// The past is the account's.
	c.press("esc")
	other := snapshot()
	other.Account = "bob"
	c.show(other)
	c.press("tab", "C", "^P")
	c.sees("Expires     [3600]", "by hand: REGISTER ---")
}

// Every template is one that the agent would send, and the method decides which
// rows there are.
func TestComposerTemplates(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	for i, want := range templates {
		if err := want.what.Check(); err != nil {
			t.Errorf("%s: %v", want.name, err)
		}
		if got := c.app.composing.draft.request(); !same(got, want.what) {
			t.Errorf("template %d makes %+v", i, got)
		}
		c.press("right")
	}
	c.to("q")
	c.press("0.5")
	c.sees("as the agent would send it, edited")
	c.to("method")
	c.press("right")
	c.sees("by hand: SUBSCRIBE", "Event       [reg]", "Accept      [application/reginfo+xml]", "Expires     [3761]")
	c.seesNot("reg-id ")
	c.to("Event")
	c.press("presence", "enter", "S")
	c.sends(ua.ByHand{Method: ua.MethodSubscribe, Event: "presence"})
	c.press("esc")
	c.to("method")
	c.press("left", "enter", "S")
	c.sends(ua.ByHand{Q: "0.5"})
}

// A kick folds above the footer and takes no key while the composer is open; then
// it is new to the eye.
func TestKickWhileComposing(t *testing.T) {
	c := newComposing(t, 80, 24)
	c.press("C")
	c.to("To")
	c.show(kicked(1, c.at))
	c.sees("KICKED 14:0", "(Esc, then answer)", " > To", "template", "without")
	c.seesNot("means")
	c.press("R", "l", "i")
	c.did()
	c.sees(" > To          Rli|")
	c.golden("composer-kick-80x24")
	c.w, c.h = 40, 10
	c.golden("composer-kick-40x10")
	c.w, c.h = 80, 24
	c.press("^U", "enter")
	c.sees("request, not sent yet", "(Esc, then answer)")
	c.press("l", "i", "R")
	c.did()
	c.press("esc", "esc")
	c.sees("R register now  l later", "means")
	c.key("R")
	c.did() // it was not there to be seen
	c.press("R")
	c.did("alice register")
}

// Nothing that a registrar says, nor what is typed, reaches the terminal raw.
func TestHostileComposer(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			c := newComposing(t, 80, 24)
			c.th = themeFor(lipgloss.NewRenderer(io.Discard, termenv.WithProfile(termenv.ANSI)), name == "invalid", false)
			draw := func() {
				t.Helper()
				for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}, {63, 17}} {
					c.w, c.h = size[0], size[1]
					c.screen()
					for line := range strings.SplitSeq(c.View(), "\n") {
						harmless(t, withoutOurStyles(line))
					}
				}
			}
			c.render = func(ua.ByHand) (string, error) {
				return "REGISTER " + text + " SIP/2.0\r\nContact: " + text + "\r\nExpires:" + text, nil
			}
			c.press("C")
			draw()
			for _, label := range []string{"To", "Contact", "header"} {
				c.to(label)
				c.paste(text)
				draw()
			}
			c.app.composing.draft = draft{}
			c.app.composing.fault = &ua.FieldError{Key: "to", Fault: text}
			c.app.composing.broken = text
			draw()
			c.answer = func(context.Context, ua.ByHand) (ua.Exchange, error) {
				return ua.Exchange{Status: 200, Outcome: text, Effect: text, Contacts: slices.Repeat([]reginfo.Contact{{URI: text, Expires: reginfo.Num(1)}}, 300),
					Messages: []trace.Message{{Direction: trace.Sent, Raw: []byte(text)}, {Direction: trace.Received, Raw: []byte("SIP/2.0 200 " + text + "\r\n\r\n" + text)}}}, nil
			}
			c.press("enter")
			draw()
			c.press("S")
			c.show(snapshot(), ua.Event{Time: c.at, Account: "alice", Detail: ua.FindingDetail{Code: finding.Code(text), Clause: text, Detail: text}})
			draw()
			c.press("tab", "j", "j")
			draw()
		})
	}
}

// The composer has no key where there is nobody to send for it.
func TestNoComposer(t *testing.T) {
	b := newBench(t, 80, 60, nil)
	b.show(snapshot())
	b.keys("C")
	b.sees("timeline")
	b.keys("?")
	b.seesNot("compose")
	c := newComposing(t, 80, 70)
	c.press("?")
	c.sees("C        compose", "the composer", "^P       older")
}
