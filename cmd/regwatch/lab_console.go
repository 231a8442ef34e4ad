package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"

	"regwatch/internal/capture"
	"regwatch/internal/plural"
	"regwatch/internal/tables"
	"regwatch/internal/trace"
	"regwatch/registrar"
	"regwatch/scenario"
)

// labHelp is the help of the commands on standard input.
const labHelp = registrar.Help + `
Besides:
play FILE                           play a scenario, see docs/scenarios.md
quit                                end`

// messagesWaiting bounds the messages that wait to be printed.
const messagesWaiting = 1024

// console is where the administrator of a lab sits: it takes commands, and tells
// what comes of them and which SIP messages pass.
type console struct {
	in       io.Reader
	out, err io.Writer
	editor   *term.Terminal // nil: standard input is no terminal
	onPanic  func(error)
	quit     chan struct{} // closed by the command of that name

	r       *registrar.Registrar
	stage   *scenario.Stage
	options registrar.Options

	waiting chan trace.Message
	mu      sync.Mutex
	lost    int // messages, since the last that was queued
	closed  bool
	printed <-chan struct{} // closed when the last message is
	playing sync.WaitGroup
	life    context.Context
	end     context.CancelFunc
}

// newConsole takes the terminal, where there is one. The caller closes it.
func newConsole(e *env, onPanic func(error)) (*console, error) {
	c := &console{
		in: e.stdin, out: e.stdout, err: e.stderr, onPanic: onPanic, quit: make(chan struct{}),
		waiting: make(chan trace.Message, messagesWaiting),
	}
	if e.inTerminal && e.outTerminal {
		width, height, err := e.raw()
		if err != nil {
			return nil, fmt.Errorf("set up the terminal: %w", err)
		}
		c.editor = term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{e.stdin, e.stdout}, "lab> ")
		c.editor.SetSize(width, height)
		c.editor.AutoCompleteCallback = c.tab
		c.out, c.err = c.editor, c.editor // what is printed goes above the line that is typed
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.printed = recovered(onPanic, c.print)
	return c, nil
}

// serve says where the registrar is, and takes commands for it.
func (c *console) serve(r *registrar.Registrar, stage *scenario.Stage, options registrar.Options) {
	c.r, c.stage, c.options = r, stage, options
	var at []string
	for _, l := range options.Listen {
		at = append(at, l.Transport+" "+r.Addr(l.Transport).String())
	}
	where := at[len(at)-1]
	if len(at) > 1 {
		where = strings.Join(at[:len(at)-1], ", ") + " and " + where
	}
	who := "anybody may register"
	if options.Users != nil {
		who = plural.Count(len(options.Users), "user") + " may register"
	}
	fmt.Fprintf(c.out, "registrar (%s) at %s; %s; help lists the commands\n", options.Profile, where, who)
	recovered(c.onPanic, c.administer) // nobody waits for it: it may hang in a read
}

// close ends what is played and prints what waits. It comes after the registrar
// has ended.
func (c *console) close() {
	c.end()
	c.playing.Wait()
	c.mu.Lock()
	c.closed = true
	close(c.waiting)
	c.mu.Unlock()
	<-c.printed
	if c.editor != nil {
		restoreTerminal()
	}
}

// administer does the commands of standard input. At the end of a terminal the
// lab ends, at that of a pipe or a file it goes on.
func (c *console) administer() {
	next := c.lines()
	for {
		line, ok := next()
		if !ok {
			if c.editor != nil {
				close(c.quit)
			}
			return
		}
		switch words := strings.Fields(line); {
		case len(words) == 0:
		case len(words) == 1 && (words[0] == "quit" || words[0] == "exit"):
			close(c.quit)
			return
		case len(words) == 1 && words[0] == "help":
			fmt.Fprintln(c.out, labHelp)
		case words[0] == "play":
			if len(words) != 2 {
				say(c.err, "play: write play FILE")
				continue
			}
			if s, err := loadScenario(words[1]); err != nil {
				say(c.err, "play: "+err.Error())
			} else {
				c.play(s)
			}
		default:
			c.command(line, words)
		}
	}
}

// lines reads line by line, and remembers in a terminal what was typed.
func (c *console) lines() func() (string, bool) {
	if c.editor != nil {
		return func() (string, bool) {
			line, err := c.editor.ReadLine()
			return line, err == nil || errors.Is(err, term.ErrPasteIndicator)
		}
	}
	lines := bufio.NewScanner(c.in)
	return func() (string, bool) {
		ok := lines.Scan()
		return lines.Text(), ok
	}
}

// command is one of the registrar's.
func (c *console) command(line string, words []string) {
	said, err := c.r.Command(line)
	if err == nil {
		for text := range strings.Lines(said) {
			fmt.Fprintln(c.out, capture.Visible(strings.TrimSuffix(text, "\n")))
		}
		return
	}
	text := err.Error()
	if near := tables.Near(strings.ToLower(words[0]), commandNames()); near != "" && near != strings.ToLower(words[0]) {
		text = fmt.Sprintf("%q is no command: did you mean %s?", words[0], near)
	} else if errors.Is(err, registrar.ErrNoMatch) {
		if known := c.users(); len(known) > 0 {
			text += "; there are " + strings.Join(known[:min(len(known), 10)], ", ")
		}
	}
	say(c.err, text)
}

// play plays a scenario beside the commands, one at a time, and tells each step.
func (c *console) play(s *scenario.Scenario) {
	if s.Profile != "" && s.Profile != c.options.Profile {
		say(c.err, fmt.Sprintf("warning: %s is for the profile %s, and this registrar is %s", s.File, s.Profile, c.options.Profile))
	}
	told := func(line string) { fmt.Fprintln(c.out, capture.Visible(line)) }
	c.playing.Add(1)
	recovered(c.onPanic, func() {
		defer c.playing.Done()
		told(fmt.Sprintf("playing %s: %s", s.File, s.Name))
		switch err := c.stage.Play(c.life, c.r, s, scenario.Phone{Told: told}); {
		case err == nil:
			told(s.File + ": over, everything came as it says")
		case c.life.Err() == nil:
			say(c.err, err.Error())
		}
	})
}

// message queues a line about a SIP message. It is called under the trace's lock,
// and never waits: of too many, some are only counted.
func (c *console) message(m trace.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	select {
	case c.waiting <- m:
	default:
		c.lost++
	}
}

// print writes a line for each message, until close.
func (c *console) print() {
	for m := range c.waiting {
		c.mu.Lock()
		lost := c.lost
		c.lost = 0
		c.mu.Unlock()
		if lost > 0 {
			fmt.Fprintf(c.out, "%s went by too fast to be shown\n", plural.Count(lost, "message"))
		}
		fmt.Fprintln(c.out, capture.Visible(messageLine(m)))
	}
}

// messageLine is a message in a line: who, which way, and its first line; of an
// answer also what it answers.
func messageLine(m trace.Message) string {
	arrow, line := "->", m.StartLine()
	if m.Direction == trace.Sent {
		arrow = "<-"
	}
	if answer, ok := strings.CutPrefix(line, "SIP/2.0 "); ok {
		if fields := strings.Fields(m.Header("CSeq", "")); len(fields) == 2 {
			answer += " (" + fields[1] + ")"
		}
		line = answer
	} else {
		line = strings.TrimSuffix(line, " SIP/2.0")
	}
	return fmt.Sprintf("%s  %s %s %s %s", m.Time.Local().Format("15:04:05.000"), m.Transport, m.Remote, arrow, line)
}

// users lists those who are known: from the file, and from what is bound.
func (c *console) users() []string {
	var names []string
	for name := range c.options.Users {
		names = append(names, name)
	}
	for _, b := range c.r.Bindings("") {
		_, rest, _ := strings.Cut(b.AOR, ":")
		if user, _, ok := strings.Cut(rest, "@"); ok {
			names = append(names, user)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
