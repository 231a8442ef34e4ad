package tui

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/ua"
)

// copyLimit bounds what is copied, in bytes: terminals drop a longer sequence
// without a word, xterm from 100,000 characters of base64.
const copyLimit = 64 << 10

// sharedMsg is the outcome of saving, copying or paging; a question where it
// could not be done without one.
type sharedMsg struct {
	said string
	err  error
	ask  *prompt
}

func (a *app) shared(m sharedMsg) {
	switch {
	case m.ask != nil && (a.quitting || a.prompt != nil):
		a.say(levelNone, "nothing saved: "+m.ask.label)
	case m.ask != nil:
		m.ask.since = a.now()
		a.ask(m.ask)
	case m.err != nil:
		a.say(levelBad, m.err.Error())
	case m.said != "":
		a.say(levelGood, m.said)
	}
}

// save asks for a name and saves messages under it: in the view of the messages
// those that it shows, elsewhere all.
func (a *app) save() {
	m := &a.messages
	if !a.paused {
		m.refresh(a.o.Trace, math.MaxInt)
	}
	var messages []trace.Message
	if a.view == a.viewOf(a.keys.messages) {
		for _, number := range m.ladder.shownIn(m.shown) {
			messages = append(messages, m.index.at(number).Message)
		}
	} else {
		for i := range m.entries {
			messages = append(messages, m.entries[i].Message)
		}
	}
	if len(messages) == 0 {
		a.say(levelNone, "no messages to save")
		return
	}
	a.ask(&prompt{
		label: "save " + plural.Count(len(messages), "message") + " to (.pcapng, .txt):",
		text:  a.now().In(a.zone()).Format("regwatch-20060102-150405.pcapng"),
		enter: func(path string) tea.Cmd { return a.saveTo(strings.TrimSpace(path), false, messages) },
	})
}

// saveTo saves on another goroutine. What is there is replaced only after a yes.
func (a *app) saveTo(path string, replace bool, messages []trace.Message) tea.Cmd {
	if path == "" {
		a.say(levelNone, "nothing saved")
		return nil
	}
	return a.guard(func() tea.Msg {
		err := a.o.Save(path, replace, messages)
		if errors.Is(err, fs.ErrExist) && !replace {
			return sharedMsg{ask: &prompt{
				label: path + " is there already: replace it? y/n",
				yes:   func() tea.Cmd { return a.saveTo(path, true, messages) },
			}}
		}
		return sharedMsg{said: "saved " + plural.Count(len(messages), "message") + " to " + path, err: err}
	})
}

// copy hands what is selected to the terminal's clipboard by OSC 52. The sequence
// is one write, as each frame is, and leaves cursor and screen as they are: it may
// go between any two frames.
func (a *app) copy() tea.Cmd {
	text := ""
	switch {
	case a.pager != nil:
		text = a.pager.copied()
	case a.view.copied != nil:
		text = a.view.copied()
	}
	switch {
	case text == "":
		a.say(levelNone, "nothing to copy here")
		return nil
	case len(text) > copyLimit:
		a.say(levelBad, fmt.Sprintf("%d bytes are too many for a clipboard: save (s) or view (v) it", len(text)))
		return nil
	}
	return a.guard(func() tea.Msg {
		_, err := io.WriteString(a.o.Output, ansi.SetSystemClipboard(text))
		return sharedMsg{said: "copied " + plural.Count(len(text), "byte") + " (OSC 52)", err: err}
	})
}

// external shows the page that is open, else that of the selected row, in the
// user's own pager.
func (a *app) external() tea.Cmd {
	page := a.pager
	if page == nil {
		page = a.view.details()
	}
	if page == nil {
		a.say(levelNone, "nothing to view here")
		return nil
	}
	text, run := page.title+"\n\n"+page.text(), a.page
	return tea.Exec(outside{func() error { return run(text) }}, func(err error) tea.Msg {
		if err != nil {
			err = fmt.Errorf("pager: %w", err)
		}
		return sharedMsg{err: err}
	})
}

// outside is a function that has the terminal while it runs.
type outside struct{ run func() error }

func (o outside) Run() error { return o.run() }

// It knows the terminal by itself.
func (outside) SetStdin(io.Reader)  {}
func (outside) SetStdout(io.Writer) {}
func (outside) SetStderr(io.Writer) {}

// copyable is what came from the network as it may be pasted: as it was, line
// ends and tabs too, but for what could steer a terminal, which is made visible.
func copyable(raw []byte) string {
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		text := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		for i, part := range strings.Split(text, "\t") {
			if i > 0 {
				out.WriteByte('\t')
			}
			out.WriteString(visibleAll(part, false))
		}
		out.WriteString(line[len(text):])
	}
	return out.String()
}

func (a *app) messageCopy() string {
	e, ok := a.messages.selected()
	if !ok {
		return ""
	}
	return copyable(trace.Masked(e.Raw))
}

func (a *app) bindingCopy() string {
	acc := a.account()
	if acc.shown == nil || len(acc.shown.Bindings) == 0 {
		return ""
	}
	return copyable([]byte(acc.shown.Bindings[acc.bindings.selected].Contact.URI))
}

func (a *app) gruuCopy() string {
	acc := a.account()
	if acc.shown == nil || len(acc.shown.GRUUs) == 0 {
		return ""
	}
	return copyable([]byte(acc.shown.GRUUs[acc.gruus.selected].URI))
}

// eventCopy is what an event is about where that has a name, else what it tells.
func (a *app) eventCopy() string {
	e := a.timeline.selected()
	if e == nil {
		return ""
	}
	switch d := e.Detail.(type) {
	case ua.GRUUDetail:
		return copyable([]byte(d.URI))
	case ua.ContactDetail:
		return copyable([]byte(d.URI))
	}
	return copyable([]byte(told(*e)))
}
