package tui

import (
	"fmt"
	"io"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

// The ways to have the terminal tell the desktop of a kick. There is no standard;
// a terminal that knows both would tell twice, so one is chosen.
const (
	NotifyOSC9   = "osc9"   // iTerm2, kitty, WezTerm, Ghostty
	NotifyOSC777 = "osc777" // urxvt, foot, VTE
)

const (
	// awayAfter is how long without a key counts as nobody there, where the
	// terminal does not report its focus.
	awayAfter = time.Minute
	// alertEvery bounds the alerts: a registrar must not ring as it likes.
	alertEvery = 5 * time.Second
	// alertRoom bounds the text of a notification, in columns.
	alertRoom = 100
)

// attention is whether anybody looks, and when we asked for it.
type attention struct {
	reports bool // the terminal has told of its focus
	focused bool
	lastKey time.Time // or the start
	asked   time.Time
}

// away reports whether nobody looks at the screen, as far as is known.
func (t *attention) away(now time.Time) bool {
	if t.reports {
		return !t.focused
	}
	return now.Sub(t.lastKey) >= awayAfter
}

// alert calls the user to a kick, by bell and notification, where those are
// wanted and nobody looks. As a copy does, it writes once and leaves cursor and
// screen as they are: it may go between any two frames.
func (a *app) alert(p *openPrompt) tea.Cmd {
	if !a.attention.away(a.now()) || a.now().Sub(a.attention.asked) < alertEvery {
		return nil
	}
	out := notification(a.o.Notify, a.alertText(p))
	if a.o.Bell {
		out += "\a"
	}
	if out == "" {
		return nil
	}
	a.attention.asked = a.now()
	return a.guard(func() tea.Msg {
		io.WriteString(a.o.Output, out) // where it fails the next frame fails too, and says so
		return nil
	})
}

// alertText says what happened, to whom, in one plain line.
func (a *app) alertText(p *openPrompt) string {
	what := "kicked: " + kickWord(p)
	if !p.On.TakesOff() {
		what = "shortened"
	}
	return cutEnd(a.th.text(fmt.Sprintf("%s %s%s", p.account, what, byWhom(p.Origin))), alertRoom)
}

// notification is the sequence for a text that is fit for a terminal; "" for none.
func notification(way, text string) string {
	switch way {
	case NotifyOSC9:
		// With the name in front it is no number, which other terminals take for
		// a command of their own (OSC 9;4 is a bar of progress).
		return ansi.Notify("regwatch: " + text)
	case NotifyOSC777:
		return "\x1b]777;notify;regwatch;" + strings.ReplaceAll(text, ";", ",") + "\a"
	}
	return ""
}
