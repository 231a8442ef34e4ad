package tui

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"regwatch/internal/trace"
	"regwatch/ua"
)

const (
	// keptRequests is how many requests by hand the screen remembers of an account.
	keptRequests = 20
	// sendSettle is how long the request has to be on the screen before it may be
	// sent: keys typed or pasted ahead are no consent.
	sendSettle = 500 * time.Millisecond
)

// composer writes a request by hand, for one account. It goes from the form to the
// request as it would be sent, and from there to the answer; Esc goes back.
type composer struct {
	account string
	draft
	past   []ua.ByHand       // requests that were sent or put aside, oldest first
	at     int               // which of past is in the form; len(past): none
	ours   map[string]string // what is in the request for the form as it is: start line and header fields
	fault  *ua.FieldError    // what is wrong in the form; nil: nothing known
	wrong  int               // the row of that
	broken string            // what else kept it from being shown
	scroll list
	edits  int    // rises with what is in the form
	live   *pager // what the form makes, where there is room for it beside; nil: not written yet

	page    composerPage
	shown   time.Time // when the page came up
	waits   bool      // for the request to be written, or answered
	errand  int       // number of the last thing asked for: other outcomes are late
	cancel  context.CancelFunc
	sends   ua.ByHand // as it is shown, and sent
	request *pager
	answer  *pager
	lower   bool // the arrows scroll the answer
	result  ua.Exchange
	err     error
	sentAt  time.Time
}

// composerPage is what of the composer is on the screen.
type composerPage int

const (
	composerForm composerPage = iota
	composerRequest
	composerAnswer
)

// What comes of the composer's errands.
type (
	// liveMsg is what the form makes, as it was after so many edits.
	liveMsg struct {
		c     *composer
		edits int
		text  string
		err   error
	}
	renderedMsg struct {
		c      *composer
		errand int
		text   string
		err    error
	}
	sentMsg struct {
		c      *composer
		errand int
		result ua.Exchange
		err    error
	}
)

// composerKeys are the keys of the composer. In the form letters are text, so
// none of its keys is one.
type composerKeys struct {
	open                             key.Binding
	next, before, left, right        key.Binding
	older, newer, preview, back      key.Binding
	send, pane, scrollUp, scrollDown key.Binding
}

func newComposerKeys(enabled bool) composerKeys {
	k := composerKeys{
		open:       bind("C", "compose", "C"),
		next:       bind("Tab", "next row", "tab", "down"),
		before:     bind("S-Tab", "row before", "shift+tab", "up"),
		left:       bind("left", "choice before", "left"),
		right:      bind("right", "next choice", "right", " "),
		older:      bind("^P", "older", "ctrl+p"),
		newer:      bind("^N", "newer", "ctrl+n"),
		preview:    bind("Enter", "show it", "enter"),
		back:       bind("Esc", "back", "esc"),
		send:       bind("S", "send", "S"),
		pane:       bind("Tab", "other pane", "tab"),
		scrollUp:   bind("up k", "up", "up", "k"),
		scrollDown: bind("down j", "down", "down", "j"),
	}
	k.open.SetEnabled(enabled)
	return k
}

func (k *composerKeys) help() group {
	if !k.open.Enabled() {
		return group{}
	}
	return group{"the composer", []key.Binding{k.next, k.before, k.right, k.left, k.older, k.newer, k.preview, k.send, k.pane, k.back}}
}

// footer lists the keys of the page that is shown.
func (c *composer) footer(k *composerKeys) []key.Binding {
	switch c.page {
	case composerForm:
		if c.rows()[c.row].choose != nil {
			return []key.Binding{k.preview, k.back, k.right, k.left, k.next, k.older, k.newer}
		}
		return []key.Binding{k.preview, k.back, k.next, k.before, k.older, k.newer}
	case composerRequest:
		return []key.Binding{k.send, k.back, k.scrollDown, k.scrollUp}
	}
	return []key.Binding{k.back, k.pane, k.scrollDown, k.scrollUp}
}

// compose opens the composer of the current account, as it was left.
func (a *app) compose() tea.Cmd {
	name := a.account().name
	i := slices.IndexFunc(a.composers, func(c *composer) bool { return c.account == name })
	if i < 0 {
		i = len(a.composers)
		a.composers = append(a.composers, &composer{account: name, cancel: func() {}})
	}
	c := a.composers[i]
	c.end()
	a.composing = c
	return a.writeLive(c)
}

// writeLive has what is in the form written: its empty fields show what the agent
// writes there, and where there is room the whole stands beside it.
func (a *app) writeLive(c *composer) tea.Cmd {
	c.edits++
	b, edits := c.draft.request(), c.edits
	return a.guard(func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), quitLimit)
		defer cancel()
		text, err := a.o.Render(ctx, c.account, b)
		return liveMsg{c, edits, text, err}
	})
}

func (a *app) wroteLive(m liveMsg) {
	switch {
	case m.edits != m.c.edits: // the form says something else by now
	case m.err != nil:
		m.c.live = newRawPager(a.th, "not to be sent", []byte(m.err.Error()))
	default:
		m.c.live, m.c.ours = newRawPager(a.th, "as it would be sent", []byte(m.text)), fieldsOf(m.text)
	}
}

// leaveComposer goes back to the views. The panel is uncovered: one that opened
// beneath is new to the eye.
func (a *app) leaveComposer() {
	a.composing = nil
	if a.panel.unfolded() {
		a.panel.shown = a.now()
	}
}

// composerKey takes a key while the composer is open. The form takes every key as
// text, also several at once, as terminals deliver what is typed fast or pasted;
// only ctrl+c is the program's.
func (a *app) composerKey(c *composer, msg tea.KeyMsg) tea.Cmd {
	last := a.lastKey
	a.lastKey = a.now()
	k, keys := msg.String(), &a.keys.compose
	if c.page == composerForm {
		before := c.draft.request()
		cmd := a.formKey(c, msg)
		if same(before, c.draft.request()) {
			return cmd
		}
		return tea.Batch(cmd, a.writeLive(c))
	}
	switch {
	case msg.Paste || msg.Type == tea.KeyRunes && len(msg.Runes) > 1:
	case has(keys.back, k) && c.waits:
		c.cancel() // it is given up, and says so
	case has(keys.back, k):
		c.page = composerForm
		return a.writeLive(c)
	case has(a.keys.quit, k):
		return a.quit()
	case c.page == composerRequest && has(keys.send, k):
		if now := a.now(); now.Sub(c.shown) < sendSettle || now.Sub(last) < sendSettle {
			a.say(levelNone, "look at it first, then press "+help(keys.send).name)
			return nil
		}
		return a.send(c)
	case c.page == composerAnswer && has(keys.pane, k):
		c.lower = !c.lower
	default:
		c.pane().at.handle(k, a.keys)
	}
	return nil
}

// pane is what the arrows scroll.
func (c *composer) pane() *pager {
	if c.page == composerAnswer && c.lower {
		return c.answer
	}
	return c.request
}

func (a *app) formKey(c *composer, msg tea.KeyMsg) tea.Cmd {
	k, keys := msg.String(), &a.keys.compose
	row := c.rows()[c.row]
	if c.waits { // what is written is no longer what is in the form
		c.cancel()
		c.waits = false
		c.errand++
	}
	switch {
	case msg.Paste:
		c.paste(string(msg.Runes))
		c.changed(row.key)
	case k == "ctrl+c":
		return a.quit()
	case has(keys.back, k):
		a.leaveComposer()
	case has(keys.preview, k):
		return a.preview(c)
	case has(keys.next, k):
		c.move(1)
	case has(keys.before, k):
		c.move(-1)
	case has(keys.older, k):
		c.walk(-1)
	case has(keys.newer, k):
		c.walk(1)
	case row.choose != nil:
		if by := boolInt(has(keys.right, k)) - boolInt(has(keys.left, k)); by != 0 {
			if row.key == "template" {
				c.putAside()
			}
			row.choose((row.chosen + by + len(row.choices)) % len(row.choices))
			c.changed(row.key)
		}
	case row.list != nil && row.i < len(*row.list) && row.get() == "" && (k == "backspace" || k == "delete"):
		*row.list = slices.Delete(*row.list, row.i, row.i+1)
		if k == "backspace" {
			c.move(-1)
		}
	default:
		text, pos := edit([]rune(row.get()), c.pos, msg)
		c.pos = pos
		if s := string(text); s != row.get() {
			row.set(s)
			c.changed(row.key)
		}
	}
	return nil
}

// changed forgets what was wrong with a row that is written anew.
func (c *composer) changed(key string) {
	c.broken = ""
	if c.fault != nil && (c.fault.Key == key || key == "template" || key == "method") {
		c.fault = nil
	}
}

// walk brings an older or newer request of the past into the form. What was in it
// is kept as the newest.
func (c *composer) walk(by int) {
	if by < 0 && c.at == len(c.past) {
		c.putAside()
		if c.at > 0 && same(c.past[c.at-1], c.draft.request()) {
			c.at--
		}
	}
	if c.at+by < 0 || c.at+by >= len(c.past) {
		return
	}
	c.at += by
	c.draft = draft{what: copied(c.past[c.at]), row: c.row}
	c.end()
	c.fault, c.broken = nil, ""
}

// putAside keeps what is in the form, unless it is kept already or a template.
func (c *composer) putAside() {
	b := c.draft.request()
	if !slices.ContainsFunc(c.past, func(p ua.ByHand) bool { return same(p, b) }) &&
		!slices.ContainsFunc(templates, func(t template) bool { return same(t.what, b) }) {
		c.keep(b)
	}
	c.at = len(c.past)
}

// keep remembers a request as the newest.
func (c *composer) keep(b ua.ByHand) {
	c.past = append(slices.DeleteFunc(c.past, func(p ua.ByHand) bool { return same(p, b) }), b)
	c.past = c.past[max(0, len(c.past)-keptRequests):]
	c.at = len(c.past)
}

func same(a, b ua.ByHand) bool { return reflect.DeepEqual(copied(a), copied(b)) }

// preview has the request written as it would be sent.
func (a *app) preview(c *composer) tea.Cmd {
	b := c.draft.request()
	if err := b.Check(); err != nil {
		c.refused(err)
		return nil
	}
	ctx := c.begin()
	c.sends = b
	errand := c.errand
	return a.guard(func() tea.Msg {
		text, err := a.o.Render(ctx, c.account, b)
		return renderedMsg{c, errand, text, err}
	})
}

// begin numbers an errand, which Esc can end.
func (c *composer) begin() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel()
	c.cancel = cancel
	c.errand++
	c.waits, c.fault, c.broken = true, nil, ""
	return ctx
}

// refused says what is wrong, at its row where there is one.
func (c *composer) refused(err error) {
	c.fault, c.broken = nil, ""
	fault := (*ua.FieldError)(nil)
	if !errors.As(err, &fault) {
		c.broken = err.Error()
		return
	}
	rows := c.rows()
	i := slices.IndexFunc(rows, func(r formRow) bool { return r.key == fault.Key })
	if i < 0 {
		c.broken = fault.Error()
		return
	}
	// Of a list it is the first row that is wrong by itself.
	for j, r := range rows[i:] {
		if r.key == fault.Key && r.list != nil && c.isWrong(r) {
			i += j
			break
		}
	}
	c.fault, c.wrong, c.row = fault, i, i
	c.end()
}

// isWrong reports whether a row of a list would be refused if it stood alone.
func (c *composer) isWrong(r formRow) bool {
	alone := draft{what: ua.ByHand{Method: c.draft.what.Method, Credentials: c.draft.what.Credentials}}
	for _, other := range alone.rows() {
		if other.key == r.key {
			other.set(r.get())
		}
	}
	fault := (*ua.FieldError)(nil)
	return errors.As(alone.request().Check(), &fault) && fault.Key == r.key
}

func (a *app) rendered(m renderedMsg) {
	c := m.c
	if m.errand != c.errand {
		return
	}
	c.waits = false
	if m.err != nil {
		if !errors.Is(m.err, context.Canceled) {
			c.refused(m.err)
		}
		return
	}
	c.page, c.shown = composerRequest, a.now()
	c.request = newRawPager(a.th, "request, not sent yet", []byte(m.text))
}

// send sends what is shown.
func (a *app) send(c *composer) tea.Cmd {
	b := copied(c.sends)
	c.keep(b)
	ctx := c.begin()
	errand := c.errand
	c.page, c.shown, c.sentAt, c.lower = composerAnswer, a.now(), a.now(), true
	c.request.title = "request"
	c.result, c.err, c.answer = ua.Exchange{}, nil, newPager("answer", nil)
	return a.guard(func() tea.Msg {
		result, err := a.o.Send(ctx, c.account, b)
		return sentMsg{c, errand, result, err}
	})
}

func (a *app) sent(m sentMsg) {
	c := m.c
	if m.errand != c.errand {
		return
	}
	c.waits, c.result, c.err = false, m.result, m.err
	if len(m.result.Messages) > 0 {
		c.request = a.messagesPager("request", m.result.Messages, trace.Sent)
	}
	c.answer = a.messagesPager("answer", m.result.Messages, trace.Received)
	if a.composing != c || c.page != composerAnswer {
		word, lvl := c.outcome()
		a.say(lvl, "by hand: "+word)
	}
	if fault := (*ua.FieldError)(nil); errors.As(m.err, &fault) {
		c.page = composerForm
		c.refused(m.err)
	}
}

// messagesPager shows the messages of one direction, the last first.
func (a *app) messagesPager(title string, messages []trace.Message, way trace.Direction) *pager {
	var text []byte
	n := 0
	for _, m := range slices.Backward(messages) {
		if m.Direction != way {
			continue
		}
		if n++; n > 1 {
			text = fmt.Appendf(text, "-- before it, at %s --\r\n", a.clock.moment(m.Time, a.zone()))
		}
		text = append(text, m.Raw...)
	}
	if n > 1 {
		title = fmt.Sprintf("%s (the last of %d)", title, n)
	}
	return newRawPager(a.th, title, text)
}

// outcome says in a word what came of the request.
func (c *composer) outcome() (string, level) {
	switch {
	case c.result.Status/100 == 2:
		return c.result.Outcome, levelGood
	case c.result.Status > 0:
		return c.result.Outcome, levelBad
	case errors.Is(c.err, context.Canceled):
		return "given up; an answer that still comes counts", levelBad
	case c.err != nil:
		return c.err.Error(), levelBad
	}
	return c.result.Outcome, levelNone
}
