package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/reginfo"
	"regwatch/ua"
)

// A panel that the network opened takes keys only when the user has had time to
// see it and is not in the middle of typing: no event may turn a keystroke into
// consent.
const (
	panelSettle = 700 * time.Millisecond // after it appears
	panelPause  = 500 * time.Millisecond // after the last key
)

// panelRows is the most the panel takes of the screen.
const panelRows = 7

// openPrompt is a kick that waits for an answer or for its time, and whose.
type openPrompt struct {
	account string
	ua.Prompt
}

// panel is what a kick opens above the footer.
type panel struct {
	open   []openPrompt // of all accounts, the newest last
	folded bool
	shown  time.Time         // when it appeared, or when the newest kick joined it
	seen   map[string]uint64 // highest prompt of each account that was ever shown
}

// sync takes over the prompts that are open now. It returns those that closed,
// and whether there is one that was never shown: then the panel opens, even
// when it was folded, and starts to wait anew.
func (p *panel) sync(now time.Time, accounts []*account) (closed []openPrompt, fresh bool) {
	if p.seen == nil {
		p.seen = map[string]uint64{}
	}
	var open []openPrompt
	for _, a := range accounts {
		if a.live == nil {
			continue
		}
		for _, prompt := range a.live.Prompts {
			open = append(open, openPrompt{a.name, prompt})
			if prompt.ID > p.seen[a.name] {
				p.seen[a.name] = prompt.ID
				fresh = true
			}
		}
	}
	// By time over all accounts; prompts of one account are in order already.
	slices.SortStableFunc(open, func(a, b openPrompt) int { return a.At.Compare(b.At) })
	for _, old := range p.open {
		if !containsPrompt(open, old) {
			closed = append(closed, old)
		}
	}
	p.open = open
	if fresh {
		p.folded, p.shown = false, now
	}
	if len(open) == 0 {
		p.folded = false
	}
	return closed, fresh
}

func containsPrompt(open []openPrompt, p openPrompt) bool {
	return slices.ContainsFunc(open, p.is)
}

// is reports whether two are the same kick; the same one may have come nearer
// to its time.
func (p openPrompt) is(o openPrompt) bool { return p.account == o.account && p.ID == o.ID }

// current is the kick that the panel tells and that its keys answer: the
// newest.
func (p *panel) current() *openPrompt {
	if len(p.open) == 0 {
		return nil
	}
	return &p.open[len(p.open)-1]
}

// unfolded reports whether the panel is there in full.
func (p *panel) unfolded() bool { return len(p.open) > 0 && !p.folded }

// takes reports whether the panel takes a key at now; lastKey is when the key
// before it was pressed.
func (p *panel) takes(now, lastKey time.Time) bool {
	return now.Sub(p.shown) >= panelSettle && now.Sub(lastKey) >= panelPause
}

// kickWord says what happened in words: the registrar's own, and for a kick
// under another name that it was not our doing.
func kickWord(p *openPrompt) string {
	if p.On == ua.KickAbsent {
		return ua.InWords(reginfo.Absent)
	}
	word := string(p.Contact.Event)
	if word == "" || ua.Kick(word) == p.On {
		word = strings.TrimPrefix(string(p.On), "contact-")
	}
	return word
}

// next says what happens now, and when.
func (a *app) next(p *openPrompt) string {
	in := func() string {
		return fmt.Sprintf("in %s, at %s", countdown(p.ActAt.Sub(a.now())), a.clock.moment(p.ActAt, a.zone()))
	}
	if s := a.named(p.account).live; s != nil {
		switch r := &s.Registration; r.State {
		case ua.Registering:
			return "registering now"
		case ua.Retrying:
			return fmt.Sprintf("the last attempt failed; the next is in %s", countdown(r.RetryAt.Sub(a.now())))
		case ua.Registered:
			if r.Pending {
				return "registering now"
			}
		}
	}
	switch {
	case p.Decision == ua.Reregistering && !p.ActAt.IsZero():
		return "registers again by itself " + in()
	case p.Decision == ua.Waiting && !p.ActAt.IsZero():
		return "must wait; registers again by itself " + in()
	case p.Decision == ua.Waiting:
		return "must wait before registering again; then it is up to you"
	case p.Decision == ua.Stopped:
		return "stays off until you register by hand"
	case !p.ActAt.IsZero():
		return "registers again by itself " + in()
	}
	return "nothing happens by itself: it is up to you"
}

// panelBlock draws the panel in at most rows rows. What matters most stays when
// there is no room: what happened, what happens next, the keys.
func (a *app) panelBlock(w, rows int) []string {
	p := a.panel.current()
	if p == nil || rows <= 0 {
		return nil
	}
	if a.panel.folded || rows == 1 {
		return []string{a.foldedPanel(p, w)}
	}
	rows = min(rows, panelRows)
	lines := map[string]string{}
	line := func(name, text string) {
		lines[name] = " " + fit(name, 7) + " " + cutEnd(a.th.text(text), w-10)
	}
	contact := cutURI(shortURI(a.th.text(p.Contact.URI)), max(w-40, 20))
	if p.MatchedBy != "" {
		contact += ", ours by " + string(p.MatchedBy)
	}
	line("contact", contact)
	if n := len(a.panel.open); n > 1 {
		var others []string
		for i := n - 2; i >= 0; i-- {
			o := &a.panel.open[i]
			text := kickWord(o) + " " + a.clock.instant(o.At, a.zone())
			if o.account != p.account {
				text = o.account + ": " + text
			}
			others = append(others, text)
		}
		lines["contact"] = " " + fit("also", 7) + " " + cutEnd(a.th.text(strings.Join(others, ", ")), w-10)
	}
	who := strings.TrimSpace(strings.TrimPrefix(byWhom(p.Origin), ","))
	if p.Origin == ua.OriginNetwork {
		who = "the network"
	}
	if len(p.Evidence) > 0 {
		who += ": " + strings.Join(p.Evidence, "; ")
	}
	line("who", who)
	if m, ok := ua.MeaningOf(p.Contact.Event); ok {
		means := fmt.Sprintf("%s (%s)", m.Means, m.Clause)
		if m.Word == reginfo.Unregistered || m.Word == reginfo.Expired {
			means += ": the registrar's word, but not our doing"
		}
		line("means", means)
		line("asks", m.Asks)
	} else if m, ok := ua.MeaningOf(reginfo.ContactEvent(p.On)); ok {
		line("means", fmt.Sprintf("%s (%s)", m.Means, m.Clause))
		line("asks", m.Asks)
	}
	if after := p.Contact.RetryAfter; after.Present && after.Value < 1<<31 {
		line("asks", fmt.Sprintf("register again after %s s, that is at %s", after,
			a.clock.moment(p.At.Add(time.Duration(after.Value)*time.Second), a.zone())))
	}
	line("next", a.next(p))

	order := []string{"contact", "who", "means", "asks", "next"}
	for _, least := range []string{"contact", "asks", "means", "who", "next"} {
		if len(order) <= rows-2 {
			break
		}
		for i, name := range order {
			if name == least {
				order = append(order[:i:i], order[i+1:]...)
				break
			}
		}
	}
	out := []string{a.panelTitle(p, w)}
	for _, name := range order {
		if text, ok := lines[name]; ok {
			out = append(out, fit(text, w))
		}
	}
	return append(out, a.panelKeys(w))
}

func (a *app) panelTitle(p *openPrompt, w int) string {
	by := byWhom(p.Origin)
	text := fmt.Sprintf("KICKED %s: %s%s", a.clock.instant(p.At, a.zone()), kickWord(p), by)
	if !p.On.TakesOff() {
		text = fmt.Sprintf("SHORTENED %s%s", a.clock.instant(p.At, a.zone()), by)
	}
	if len(a.accounts) > 1 {
		text = p.account + " " + text
	}
	if n := len(a.panel.open); n > 1 {
		text = fmt.Sprintf("%s (%d open)", text, n)
	}
	if text = a.th.text(text); width(text) > w-6 {
		text = strings.Replace(text, by, "", 1) // the word first: who it was stands below
	}
	text = cutEnd(text, max(w-6, 4))
	return fit("== "+a.th.bad.Render(text)+" "+strings.Repeat("=", max(w-width(text)-4, 0)), w)
}

// panelKeys draws the keys; while they are not taken yet it says so.
func (a *app) panelKeys(w int) string {
	out := " "
	for _, b := range []keyHelp{help(a.keys.panelRegister), help(a.keys.panelLater), help(a.keys.panelIgnore), help(a.keys.panelNotify)} {
		part := a.th.key.Render(b.name) + " " + b.text
		if width(out)+width(part)+2 > w {
			break
		}
		out += part + "  "
	}
	if a.prompt != nil || !a.panel.takes(a.now(), a.lastKey) {
		if wait := "(wait)"; width(out)+len(wait) < w {
			out += wait
		}
	}
	return fit(out, w)
}

// foldedPanel is the panel put off: one line with its countdown.
func (a *app) foldedPanel(p *openPrompt, w int) string {
	text := fmt.Sprintf("%s %s%s", a.clock.moment(p.At, a.zone()), kickWord(p), byWhom(p.Origin))
	switch {
	case !p.ActAt.IsZero():
		text += ", registers in " + countdown(p.ActAt.Sub(a.now()))
	case p.Decision == ua.Stopped:
		text += ", stays off"
	default:
		text += ", waits for you"
	}
	if n := len(a.panel.open); n > 1 {
		text += fmt.Sprintf(" (%d open)", n)
	}
	tail := " (l opens)"
	if a.composing != nil {
		tail = " (Esc, then answer)"
	}
	return fit(a.th.bad.Render(" KICKED")+" "+cutEnd(a.th.text(text), w-8-len(tail))+tail, w)
}

// panelKey answers the panel with a key. taken is false for the keys that the
// panel leaves to the rest of the screen. While the panel does not take keys
// yet, those that could mean it or send SIP do nothing at all.
func (a *app) panelKey(k string, burst bool, lastKey time.Time) (taken bool) {
	p := a.panel.current()
	if p == nil {
		return false
	}
	if a.panel.folded {
		if k == "l" && !burst {
			// The user opened it, but may have meant something else: wait anew.
			a.panel.folded, a.panel.shown = false, a.now()
			return true
		}
		return false
	}
	keys := a.keys
	meant := has(keys.panelRegister, k) || has(keys.panelLater, k) || has(keys.panelIgnore, k) || has(keys.panelNotify, k) || k == " "
	if burst || !a.panel.takes(a.now(), lastKey) {
		return meant || sendsSIP(k)
	}
	switch {
	case has(keys.panelRegister, k):
		a.do(p.account, ua.Command{Verb: ua.DoRegister})
	case has(keys.panelLater, k):
		a.panel.folded = true
	case has(keys.panelIgnore, k):
		a.ignored = append(a.ignored, *p)
		a.do(p.account, ua.Command{Verb: ua.DoIgnore, Prompt: p.ID})
	case has(keys.panelNotify, k):
		a.showNotify(p)
		a.panel.folded = true // the page needs the room; Esc leaves it, l opens the panel again
	}
	return meant
}

// sendsSIP reports whether a key is of those that send SIP: the capitals.
func sendsSIP(k string) bool { return len(k) == 1 && k[0] >= 'A' && k[0] <= 'Z' && k != "G" }

// ending is a kick whose panel has closed and whose outcome is still to be
// said.
type ending struct {
	openPrompt
	ignored bool
}

// outcome says how a kick ended; ok is false while that is not known yet.
func (a *app) outcome(e *ending, s *ua.Snapshot) (text string, lvl level, ok bool) {
	name := ""
	if len(a.accounts) > 1 {
		name = e.account + ": "
	}
	r := &s.Registration
	switch {
	case e.ignored && !e.On.TakesOff():
		return name + "left as it is", levelNone, true
	case e.ignored:
		return name + "left off: R registers", levelNone, true
	case r.State == ua.Registered:
		at := s.At
		if r.Since.After(e.At) {
			at = r.Since
		}
		return name + "registered again at " + a.clock.moment(at, a.zone()), levelGood, true
	case r.State == ua.Refused || r.State == ua.Failed:
		return name + "not registered again: " + reason(r.Status, r.Reason), levelBad, true
	case r.State == ua.Unregistered:
		return name + "not registered", levelNone, true
	}
	return "", levelNone, false
}
