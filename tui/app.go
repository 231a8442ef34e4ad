package tui

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"regwatch/internal/plural"
	"regwatch/ua"
)

// The smallest terminal that is drawn on.
const (
	leastWidth  = 40
	leastHeight = 10
	twoPanes    = 110 // from this width GRUUs stand beside the bindings
	roomy       = 16  // from this height headings and detail lines are shown
)

// app is the one model of the program. All of it belongs to the program's
// loop; nothing in it blocks or does input or output.
type app struct {
	o    Options
	th   *theme
	keys *keymap
	// leave starts the end: it asks the agents to unregister and returns when
	// they have, or when it is called off.
	leave func()
	// callOff ends a leave at once.
	callOff context.CancelFunc
	// errand runs f soon, in the order of calls, on another goroutine; false
	// when too many wait.
	errand func(f func()) bool
	// page shows a text in the user's pager, and returns when that is left.
	page func(text string) error
	// guard wraps what runs on goroutines of the program.
	guard func(tea.Cmd) tea.Cmd

	w, h      int
	accounts  []*account
	byName    map[string]*account
	roster    list // the rows of the accounts' view
	pick      accountPick
	current   int
	views     []*view
	view      *view
	pager     *pager
	messages  messages
	timeline  timeline
	prompt    *prompt // a line that is typed, instead of the footer
	choice    *choice // a menu of keys, above the footer
	panel     panel
	composers []*composer
	composing *composer    // the one that is open; nil: none
	ignored   []openPrompt // answered by ignoring, not closed yet
	endings   []ending
	menu      bool
	asking    bool
	quitting  bool
	flash     flash
	hinted    bool // the hint has been seen to work
	clock     timeFormat
	lastKey   time.Time
	attention attention
	paused    bool
	held      ua.Update // what came while paused
	missed    uint64
	ticking   bool
}

type (
	tickMsg struct{} // a second has passed while something counts
	wakeMsg struct{} // the panel takes keys now: say so
	readMsg struct{} // there is more for the view to read, and keys had their turn
	leftMsg struct{} // the agents have left
	// adminMsg is the outcome of an administrator's action.
	adminMsg struct {
		label string
		err   error
	}
)

func newApp(o Options, th *theme) *app {
	a := &app{
		o: o, th: th, w: o.Width, h: o.Height,
		keys:    newKeymap(len(o.Admin) > 0, len(o.Accounts) > 1, o.Render != nil && o.Send != nil),
		leave:   func() {},
		callOff: func() {},
		byName:  make(map[string]*account),
		errand:  func(f func()) bool { f(); return true },
		guard:   func(c tea.Cmd) tea.Cmd { return c },
	}
	a.keys.save.SetEnabled(o.Save != nil)
	a.keys.external.SetEnabled(o.Pager != nil)
	a.attention.lastKey = a.now()
	a.messages.at.follow, a.timeline.at.follow = true, true
	a.views = a.makeViews()
	a.view = a.views[0]
	for _, name := range o.Accounts {
		a.adopt(name)
	}
	if len(a.accounts) == 0 {
		a.adopt("")
	}
	return a
}

func (a *app) now() time.Time       { return a.o.Now() }
func (a *app) zone() *time.Location { return a.o.Zone }
func (a *app) account() *account    { return a.accounts[a.current] }

// Init implements tea.Model.
func (a *app) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (a *app) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		a.w, a.h = msg.Width, msg.Height
	case tea.FocusMsg:
		a.attention.reports, a.attention.focused = true, true
	case tea.BlurMsg:
		a.attention.reports, a.attention.focused = true, false
	case tea.KeyMsg:
		a.attention.lastKey = a.now()
		cmd = a.pressed(msg)
	case updateMsg:
		cmd = a.update(ua.Update(msg))
	case tickMsg:
		a.ticking = false
	case endMsg:
		cmd = a.quit()
	case leftMsg:
		return a, tea.Quit
	case sharedMsg:
		a.shared(msg)
	case liveMsg:
		a.wroteLive(msg)
	case renderedMsg:
		a.rendered(msg)
	case sentMsg:
		a.sent(msg)
	case adminMsg:
		if msg.err != nil {
			a.say(levelBad, fmt.Sprintf("%s: %v", msg.label, msg.err))
		} else {
			a.say(levelGood, msg.label)
		}
	}
	if a.flash.text != "" && !a.now().Before(a.flash.until) {
		a.flash = flash{}
	}
	if a.view.refresh != nil && !a.paused && a.view.refresh() {
		cmd = tea.Batch(cmd, func() tea.Msg { return readMsg{} })
	}
	return a, tea.Batch(cmd, a.tick())
}

// tick has the screen drawn once a second while something on it counts.
func (a *app) tick() tea.Cmd {
	if a.ticking || !a.counts() {
		return nil
	}
	a.ticking = true
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg{} })
}

// counts reports whether anything on the screen changes by time alone.
func (a *app) counts() bool {
	if a.flash.text != "" || len(a.panel.open) > 0 || a.composing != nil && a.composing.waits || a.o.Trace != nil && a.view.refresh != nil {
		return true
	}
	return slices.ContainsFunc(a.accounts, func(acc *account) bool { return acc.runs })
}

// update takes in what happened. While paused only the panel and what it needs
// follow; the rest waits.
func (a *app) update(u ua.Update) tea.Cmd {
	for _, s := range u.Snapshots {
		a.named(s.Account).live = s
	}
	closed, fresh := a.panel.sync(a.now(), a.accounts)
	for _, c := range closed {
		i := slices.IndexFunc(a.ignored, c.is)
		if i >= 0 {
			a.ignored = slices.Delete(a.ignored, i, i+1)
		}
		a.endings = append(a.endings, ending{c, i >= 0})
	}
	a.endings = slices.DeleteFunc(a.endings, func(e ending) bool {
		text, lvl, known := a.outcome(&e, a.named(e.account).live)
		if known {
			a.say(lvl, text)
		}
		return known
	})
	if a.paused {
		a.held = merge(a.held, u)
		a.held.Events = kept(a.held.Events, keptEvents)
	} else {
		a.apply(u)
	}
	if !fresh {
		return nil
	}
	return tea.Batch(a.alert(a.panel.current()), tea.Tick(panelSettle+20*time.Millisecond, func(time.Time) tea.Msg { return wakeMsg{} }))
}

// apply brings an update onto the screen.
func (a *app) apply(u ua.Update) {
	for _, s := range u.Snapshots {
		a.named(s.Account).show(s)
	}
	a.missed += u.Missed
	if u.Missed > 0 {
		a.say(levelBusy, plural.Count(u.Missed, "event")+" went by too fast to be shown: look in the journal")
	}
	for _, e := range u.Events {
		if e.Account == "" {
			for _, acc := range a.accounts {
				acc.add(e)
			}
		} else {
			a.named(e.Account).add(e)
		}
		a.timeline.add(e, a.account().name)
	}
}

// named finds an account, or makes it: the engine may know more than we were
// told.
func (a *app) named(name string) *account {
	if acc := a.byName[name]; acc != nil {
		return acc
	}
	if len(a.accounts) == 1 && a.accounts[0].name == "" {
		a.accounts[0].name = name
		a.byName = map[string]*account{name: a.accounts[0]}
		return a.accounts[0]
	}
	a.keys.account.SetEnabled(true)
	return a.adopt(name)
}

// adopt adds an account.
func (a *app) adopt(name string) *account {
	acc := newAccount(name)
	acc.keep = keptOf(len(a.o.Accounts))
	a.accounts = append(a.accounts, acc)
	a.byName[name] = acc
	return acc
}

// pressed takes a key event apart. Terminals deliver fast typing and text
// pasted the old way as one event of several characters: such a burst may look
// around but send nothing. Pasted text that says so does nothing at all.
func (a *app) pressed(msg tea.KeyMsg) tea.Cmd {
	if a.composing != nil && !a.quitting {
		return a.composerKey(a.composing, msg)
	}
	if msg.Paste {
		if a.prompt != nil {
			a.prompt.insert(msg.Runes)
		}
		return nil
	}
	if msg.Type != tea.KeyRunes || msg.Alt || len(msg.Runes) < 2 {
		return a.press(msg.String(), false)
	}
	var cmds []tea.Cmd
	for _, r := range msg.Runes {
		cmds = append(cmds, a.press(string(r), true))
	}
	return tea.Batch(cmds...)
}

// press does what one key means. Whatever is on top has the first word.
func (a *app) press(k string, burst bool) tea.Cmd {
	last := a.lastKey
	a.lastKey = a.now()
	if len(a.o.Admin) == 0 {
		a.hinted = true
	}
	switch {
	case a.prompt != nil && k != "ctrl+c":
		return a.promptKey(k, burst)
	case has(a.keys.quit, k):
		return a.quit()
	case a.quitting:
		return nil
	case a.asking:
		if burst {
			return nil
		}
		a.asking = false
		if k == "y" {
			a.do(a.account().name, ua.Command{Verb: ua.DoRemoveAll})
		} else {
			a.say(levelNone, "nothing removed")
		}
		return nil
	case a.menu:
		return a.menuKey(k, burst)
	case a.choice != nil:
		a.choiceKey(k)
		return nil
	case a.panelKey(k, burst, last):
		return a.wake()
	}
	if burst && (sendsSIP(k) || has(a.keys.save, k)) {
		return nil
	}
	if a.pager != nil && a.pagerKey(k) {
		return nil
	}
	return a.look(k)
}

// wake has the panel drawn again when it takes keys, after one that it did not.
func (a *app) wake() tea.Cmd {
	if !a.panel.unfolded() {
		return nil
	}
	return tea.Tick(panelSettle+20*time.Millisecond, func(time.Time) tea.Msg { return wakeMsg{} })
}

func (a *app) pagerKey(k string) bool {
	if has(a.keys.back, k) || has(a.keys.details, k) {
		a.pager = nil
		return true
	}
	return a.pager.at.handle(k, a.keys)
}

// look handles the keys that mean the same everywhere.
func (a *app) look(k string) tea.Cmd {
	name, keys := a.account().name, a.keys
	for _, send := range []struct {
		key  key.Binding
		verb ua.Verb
	}{
		{keys.register, ua.DoRegister}, {keys.unregister, ua.DoUnregister}, {keys.query, ua.DoQuery}, {keys.ping, ua.DoPing},
		{keys.subscribe, ua.DoSubscribe}, {keys.unsubscribe, ua.DoUnsubscribe},
	} {
		if has(send.key, k) {
			a.do(name, ua.Command{Verb: send.verb})
			return nil
		}
	}
	for _, v := range a.views {
		if has(v.key, k) {
			a.view, a.pager = v, nil
			return nil
		}
	}
	if a.view.press != nil && a.pager == nil && a.view.press(k) {
		return nil
	}
	switch {
	case has(keys.removeAll, k):
		a.asking = true
	case has(keys.compose.open, k):
		return a.compose()
	case has(keys.admin, k):
		a.menu, a.hinted = true, true
	case has(keys.account, k):
		a.current = (a.current + 1) % len(a.accounts)
		a.pager = nil
		a.retell()
	case has(keys.save, k):
		a.save()
	case has(keys.copy, k):
		return a.copy()
	case has(keys.external, k):
		return a.external()
	case has(keys.pause, k):
		a.pause()
	case has(keys.clock, k):
		a.clock = (a.clock + 1) % timeFormats
		a.say(levelNone, "times: "+a.clock.String())
	case has(keys.help, k):
		a.pager = newPager("help", a.helpLines())
	case has(keys.details, k):
		if page := a.view.details(); page != nil {
			a.pager = page
		}
	case has(keys.raw, k):
		a.raw()
	default:
		a.view.list().handle(k, keys)
	}
	return nil
}

// do hands a command to the agent of an account.
func (a *app) do(name string, c ua.Command) {
	if !a.errand(func() { a.o.Do(name, c) }) {
		a.say(levelBad, fmt.Sprintf("%s: too much is waiting to be done, try again", c.Verb))
		return
	}
	if c.Verb == ua.DoQuery || c.Verb == ua.DoRemoveAll {
		a.say(levelNone, string(c.Verb)+" asked for") // nothing in the header shows these
	}
}

func (a *app) pause() {
	a.paused = !a.paused
	if a.paused {
		return
	}
	u := a.held
	a.held = ua.Update{}
	a.apply(u)
}

// menuKey runs an action of the administrator's menu.
func (a *app) menuKey(k string, burst bool) tea.Cmd {
	if has(a.keys.back, k) || has(a.keys.admin, k) {
		a.closeMenu()
		return nil
	}
	for _, act := range a.o.Admin {
		if act.Key == k && !burst {
			a.closeMenu()
			run, label := act.Run, act.Label
			return a.guard(func() tea.Msg { return adminMsg{label, run()} })
		}
	}
	return nil
}

// closeMenu uncovers the panel: one that opened beneath is new to the eye.
func (a *app) closeMenu() {
	a.menu = false
	a.uncover()
}

// uncover gives the panel its time again after something took the keys or stood
// over it.
func (a *app) uncover() {
	if a.panel.unfolded() {
		a.panel.shown = a.now()
	}
}

// quit begins the end, and at the second time makes it happen at once.
func (a *app) quit() tea.Cmd {
	if a.quitting {
		a.callOff()
		return tea.Quit
	}
	a.quitting, a.asking, a.menu, a.prompt, a.choice = true, false, false, nil, nil
	if a.paused {
		a.pause()
	}
	return a.guard(func() tea.Msg {
		a.leave()
		return leftMsg{}
	})
}
