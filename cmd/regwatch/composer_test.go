package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/tui"
)

// typist sits at the screen of a whole program in virtual time: it presses keys and
// reads what is written.
type typist struct {
	t    *testing.T
	keys io.Writer
	out  output
}

// sees waits until the screen has written each of the texts since the last key.
func (y *typist) sees(texts ...string) {
	y.t.Helper()
	for range 300 {
		synctest.Wait()
		written := y.out.String()
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(written, text) }) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	y.t.Errorf("never written: %q\n%q", texts, y.out.String())
}

// press presses keys, each as a person does: not at once after the one before.
func (y *typist) press(keys ...string) {
	for _, k := range keys {
		time.Sleep(time.Second)
		synctest.Wait()
		y.out.reset()
		io.WriteString(y.keys, k)
	}
}

const (
	keyEnter = "\r"
	keyEsc   = "\x1b"
	keyRight = "\x1b[C"
	keyTab   = "\t"
)

// Composing a "Contact: *" against a registrar: the form shows what the agent would
// send, the request is seen before it leaves, the answer beside it, and what it did
// is in the header; a SUBSCRIBE ends the subscription.
func TestComposeOnTheScreen(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.outTerminal = true
		l.screen = func(ctx context.Context, o tui.Options) error {
			in, keys := io.Pipe()
			defer in.Close()
			y := &typist{t: l.t, keys: keys}
			o.Input, o.Output, o.Width, o.Height = in, &y.out, 80, 24
			ended := make(chan error, 1)
			go func() { ended <- tui.Run(ctx, o) }()

			y.sees("REGISTERED", "WATCHING")
			y.press("C")
			y.sees("by hand: REGISTER", "Request-URI", "[sip:example.com]", "[3600]")
			y.press(keyRight, keyRight)
			y.sees("remove all: Contact: *")
			y.press(keyEnter)
			y.sees("request, not sent yet", "REGISTER sip:example.com SIP/2.0", "Contact: *", "Expires: 0", `response="***"`, "S", "send")
			y.press(keyEnter, " ")
			if len(l.registrar.Bindings("alice")) != 1 {
				l.t.Error("sent without S")
			}
			y.press("S")
			y.sees("UNREGISTERED", "200 OK, answered in", "we are unregistered, and stay off", "nothing is bound", "SIP/2.0 200 OK")
			if left := l.registrar.Bindings("alice"); len(left) != 0 {
				l.t.Errorf("bound still: %v", left)
			}

			y.press(keyEsc, keyTab, keyRight, keyEnter)
			y.sees("SUBSCRIBE sip:", "Event: reg", "Expires: 0")
			y.press("S")
			y.sees("NOT WATCHED", "our subscription is ended")
			y.press(keyEsc, keyEsc, "q")
			return <-ended
		}
		if status := l.run(); status != 0 || l.err.String() != "" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
	})
}
