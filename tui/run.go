// Package tui is the screen: it draws snapshots and events of the user agent
// and hands the user's wishes back. It holds no protocol state and knows no
// protocol beyond words; what it cannot know (an administrator's actions, how to
// end) is handed in as Options.
//
// There is one bubbletea model (app); header, lists, panel, pager and composer are
// plain values that it draws. Nothing in its Update or View blocks, reads or writes;
// tty brings its frames onto the terminal.
// Every string that came from the network passes theme.text, or visibleAll for
// whole messages, before it is drawn: a terminal obeys what it is sent.
//
// Only package ua with reginfo and its findings, package trace and the screen
// libraries (bubbletea, bubbles, lipgloss, x/ansi) may enter: no SIP stack, no
// sockets, no files.
package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime/debug"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/internal/trace"
	"regwatch/ua"
)

// quitLimit is how long the end may take, unregistering included.
const quitLimit = 3 * time.Second

// AdminAction is something that the lab's administrator can do to a binding.
type AdminAction struct {
	Key   string // one letter, pressed in the menu
	Label string
	Run   func() error // may block; its error is shown
}

// Options is what the screen is given. Updates and Do must be set; the rest may
// be left out.
type Options struct {
	// Updates yields the current snapshots first, then what changes, until ctx
	// ends or there is no more. A slow reader is not waited for by the engine.
	Updates func(ctx context.Context) iter.Seq[ua.Update]
	// Do hands a command to the agent of an account. Commands are handed over
	// one by one, in the order of the keys, on a goroutine that may block.
	Do func(account string, c ua.Command)
	// Render and Send are for the composer, which has no key without them: the
	// request that Send would send first, and a request by hand with what came of
	// it. Both may block until ctx ends, and are called from several goroutines.
	Render func(ctx context.Context, account string, b ua.ByHand) (string, error)
	Send   func(ctx context.Context, account string, b ua.ByHand) (ua.Exchange, error)
	// Quit ends what runs: it unregisters and unsubscribes. It is called once,
	// whichever way the screen ends; its context ends after 3 s or when the
	// user presses q again.
	Quit func(ctx context.Context)

	// Save writes messages to a file, secrets masked; the end of its name decides
	// the format. Without replace it fails with fs.ErrExist where the file is there.
	// It may block. nil: no key for it.
	Save func(path string, replace bool, messages []trace.Message) error
	// Pager shows a text, fit for a terminal, in the user's pager, and returns when
	// that is left or ctx ends. It has the terminal meanwhile. nil: no key for it.
	Pager func(ctx context.Context, text string) error

	Accounts []string      // names, in the order of the screen; more may turn up in snapshots
	Admin    []AdminAction // none: no key for it
	Trace    *trace.Ring   // nil: no messages to show
	Where    []string      // lines of the exit summary, such as the paths of journal and trace
	Hint     string        // shown in the status line of the overview until the first key (with Admin: until A)
	Recap    *Recap        // fed with all updates; nil: one of our own

	// Bell rings, and Notify tells the desktop (NotifyOSC9, NotifyOSC777; "": not), at a
	// kick while nobody looks: the terminal says that it lost its focus or, where it
	// says nothing about that, no key came for a minute.
	Bell   bool
	Notify string
	// Theme is ThemeLight or ThemeDark, for the terminal's background; "" goes by
	// $COLORFGBG, else it is dark. Whichever it is, NO_COLOR takes all colours away.
	Theme string

	// ASCII keeps to ASCII. It is also set where the locale has no UTF-8.
	ASCII bool
	Now   func() time.Time // nil: time.Now
	Zone  *time.Location   // of the times shown; nil: local

	// Where keys come from and where the screen goes (nil: standard input and output),
	// and its size where the output is no terminal. Two goroutines may write to Output
	// at once, each whole frames or sequences; an *os.File keeps them apart.
	Input         io.Reader
	Output        io.Writer
	Width, Height int
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Input == nil {
		o.Input = os.Stdin
	}
	if o.Output == nil {
		o.Output = os.Stdout
	}
	if o.Recap == nil {
		o.Recap = &Recap{}
	}
	if o.Do == nil {
		o.Do = func(string, ua.Command) {}
	}
	o.ASCII = o.ASCII || asciiOnly()
	return o
}

// PanicError is a panic in a goroutine of the screen. The terminal has been
// restored when Run returns it.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("the screen broke: %v\n\n%s", e.Value, e.Stack)
}

// guard catches panics in the goroutines of the screen: the first is kept and
// the program is ended, which restores the terminal.
type guard struct {
	once sync.Once
	kill func()
	err  chan error // holds the first
}

// rescue is deferred by everything of ours that runs in a program's goroutine.
func (g *guard) rescue() {
	v := recover()
	if v == nil {
		return
	}
	g.fail(&PanicError{v, debug.Stack()})
}

// fail ends the program with an error.
func (g *guard) fail(err error) {
	g.once.Do(func() { g.err <- err })
	g.kill()
}

// command guards what the program runs on goroutines of its own.
func (g *guard) command(c tea.Cmd) tea.Cmd {
	return func() tea.Msg {
		defer g.rescue()
		return c()
	}
}

// guarded is the model that the program sees: the app on its terminal, with panics
// caught.
type guarded struct {
	app *app
	tty *tty
	g   *guard
}

func (m guarded) Init() tea.Cmd { return m.app.Init() }

func (m guarded) Update(msg tea.Msg) (model tea.Model, cmd tea.Cmd) {
	model = m
	defer m.g.rescue()
	switch msg.(type) {
	case resumedMsg: // whoever had the terminal meanwhile left it in a state of its own
		if err := m.tty.lend(func() error { return nil }); err != nil {
			m.g.fail(err)
		}
	case tea.WindowSizeMsg:
		m.tty.forget()
	}
	_, cmd = m.app.Update(msg)
	return
}

// View draws the frame itself: the program has no renderer to hand it to.
func (m guarded) View() string {
	defer m.g.rescue()
	m.tty.draw(m.app.View(), m.app.w)
	return ""
}

// Run shows the screen until the user quits, ctx ends or the terminal is gone, restores it
// and prints the exit summary. It returns nil after either end, and an error
// when the terminal failed or something of ours panicked (*PanicError).
//
// Of signals Run handles SIGCONT, after which it draws anew. The caller ends ctx at
// SIGINT, SIGTERM and SIGHUP, which then does what q does, as the loss of the terminal.
func Run(ctx context.Context, o Options) error {
	o = o.withDefaults()
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	// What runs beside the screen outlives ctx: the end is to be seen too.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	leaving, callOff := context.WithCancel(running)
	defer callOff()

	t := newTTY(o.Input, o.Output, o.Bell || o.Notify != "")
	if w, h := t.size(); w > 0 {
		o.Width, o.Height = w, h
	}
	a := newApp(o, newTheme(o.Output, o.ASCII, onLight(o.Theme)))
	g := &guard{err: make(chan error, 1)}
	p := tea.NewProgram(guarded{a, t, g}, tea.WithoutRenderer(), tea.WithoutSignalHandler(), tea.WithInput(untilHangup(o.Input, hangUp)))
	g.kill = p.Kill

	var once sync.Once
	leave := func() {
		once.Do(func() {
			if o.Quit == nil {
				return
			}
			limited, cancel := context.WithTimeout(leaving, quitLimit)
			defer cancel()
			o.Quit(limited)
		})
	}
	errands := make(chan func(), 32)
	a.leave, a.callOff, a.guard = leave, callOff, g.command
	a.page = func(text string) error { return t.lend(func() error { return o.Pager(ctx, text) }) }
	a.errand = func(f func()) bool {
		select {
		case errands <- f:
			return true
		default:
			return false
		}
	}
	begin := func(f func()) {
		go func() {
			defer g.rescue()
			f()
		}()
	}
	begin(func() {
		for {
			select {
			case f := <-errands:
				f()
			case <-running.Done():
				return
			}
		}
	})
	updates, drained := make(chan ua.Update), make(chan struct{})
	begin(func() {
		defer close(drained)
		if o.Updates == nil {
			return
		}
		for u := range o.Updates(running) {
			o.Recap.Add(u)
			select {
			case updates <- u:
			case <-running.Done():
				return
			}
		}
	})
	begin(func() { awaitSignals(running, t.size, p.Send) })
	begin(func() { relay(running, updates, ctx.Done(), p.Send) })

	err := t.take()
	if err == nil {
		_, err = p.Run()
		t.giveBack()
	}
	p.Kill() // nobody may wait for a program that never ran
	select {
	case err = <-g.err:
	default:
		if errors.Is(err, tea.ErrProgramKilled) && errors.Is(err, context.Canceled) {
			err = nil
		}
	}
	if leaving.Err() == nil {
		// Begins it where the screen broke, and waits for one that the lost
		// terminal cut short: the registrar must not suffer.
		leave()
	}
	// The last snapshots may still be on their way; the summary wants them.
	select {
	case <-drained:
	case <-time.After(100 * time.Millisecond):
	}
	stop()
	fmt.Fprint(o.Output, Summary(o.Recap, o.Where, o.Zone, o.ASCII))
	if err != nil {
		return fmt.Errorf("screen: %w", err)
	}
	return nil
}
