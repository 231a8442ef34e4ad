package tui

import (
	"fmt"
	"strings"
	"time"

	"regwatch/ua"
)

// accountColumns are the widths of the list of accounts behind mark and name; a
// column of 0 is left out. Widths include the blanks behind.
type accountColumns struct{ name, state, watch, flow, bound, kicks, aor, next int }

func accountColumnsFor(w int) accountColumns {
	c := accountColumns{name: 13, state: 14, watch: 14, flow: 9, kicks: 6}
	switch {
	case w < 56:
		c = accountColumns{name: 9, state: 13}
	case w < 72:
		c.watch, c.flow = 0, 0
	case w >= 100:
		c.name, c.aor, c.bound = 18, w-100+12, 7
	}
	c.next = w - 2 - c.name - c.state - c.watch - c.flow - c.bound - c.kicks - c.aor
	// What the last column does not need is for the names, then for the addresses.
	const nextRoom = 18
	if more := min(max(c.next-nextRoom, 0), 18-c.name); more > 0 {
		c.name, c.next = c.name+more, c.next-more
	}
	if more := min(max(c.next-nextRoom, 0), 60-c.aor); c.aor > 0 && more > 0 {
		c.aor, c.next = c.aor+more, c.next-more
	}
	return c
}

func (c accountColumns) heading() string {
	line := wideGutter.off + fit("  account", 2+c.name) + fit("address", c.aor) + fit("registration", c.state) + fit("watching", c.watch)
	return line + fit("flow", c.flow) + fit("bound", c.bound) + fit("kicks", c.kicks) + fit("next", c.next)
}

// accountsView lists the accounts that are picked; Enter goes to the selected one.
func (a *app) accountsView(w, rows int) []string {
	picked := a.picked()
	out := []string{a.th.title(a.accountsTitle(len(picked), w), w)}
	c := accountColumnsFor(w - len(wideGutter.off))
	height := rows - 1
	if rows >= 6 {
		out = append(out, c.heading())
		height--
	}
	if len(picked) == 0 {
		out = append(out, fit(wideGutter.off+"no account is like that; Esc shows all", w))
		height--
	}
	a.selectCurrent(picked)
	return append(out, a.roster.draw(w, height, wideGutter, a.th, func(i, w int) string { return a.accountRow(a.accounts[picked[i]], c) })...)
}

// accountsTitle sums up all accounts, and says which are shown.
func (a *app) accountsTitle(picked, w int) string {
	registered, watched, sum := 0, 0, 0
	kicks := make(map[ua.Kick]int)
	for _, acc := range a.accounts {
		if acc.shown != nil && acc.shown.Registration.State == ua.Registered {
			registered++
		}
		if acc.shown != nil && (acc.shown.Subscription.State == ua.Active || acc.shown.Subscription.State == ua.Polling) {
			watched++
		}
		for kick, n := range acc.kicks {
			kicks[kick] += n
			sum += n
		}
	}
	title := fmt.Sprintf("accounts: %d of %d registered", registered, len(a.accounts))
	add := func(text string) bool {
		if width(title)+len(text)+8 > w {
			return false
		}
		title += text
		return true
	}
	if picked < len(a.accounts) {
		add(fmt.Sprintf(", %d shown", picked))
	}
	add(fmt.Sprintf(", %d watched", watched))
	if sum > 0 {
		var events []string
		for _, kick := range ua.Kicks {
			if n := kicks[kick]; n > 0 {
				events = append(events, fmt.Sprintf("%d %s", n, kick))
			}
		}
		if !add(", kicked: " + strings.Join(events, ", ")) {
			add(fmt.Sprintf(", %d kicked", sum))
		}
	}
	if a.pick.order != asGiven {
		add(", " + string(a.pick.order))
	}
	return title
}

func (a *app) accountRow(acc *account, c accountColumns) string {
	name := fit(cutEnd(a.th.text(acc.name), c.name-1), c.name)
	if acc == a.account() {
		name = a.th.own.Render(name)
	}
	s := acc.shown
	if s == nil {
		return a.th.mark(levelNone) + " " + name + fit("", c.aor) + "STARTING"
	}
	reg, watch := a.registrationCount(s), a.subscriptionCount(s)
	flow := s.Flow.Transport + " up"
	switch {
	case len(s.Flows) > 0:
		if flow = flowCount(s.Flows); width(flow) > c.flow-1 {
			flow = strings.TrimSuffix(flow, " flows")
		}
	case s.Flow.Transport == "":
		flow = "none"
	case !s.Flow.Up:
		flow = s.Flow.Transport + " down"
	}
	kicks := ""
	if n := acc.kicked(); n > 0 {
		kicks = fmt.Sprint(n)
	}
	row := a.th.style(reg.level).Render(a.th.mark(reg.level)) + " " + name +
		fit(cutURI(a.th.text(s.AOR), c.aor-2), c.aor) +
		a.th.style(reg.level).Render(fit(reg.word, c.state)) +
		fit(watch.word, c.watch) +
		fit(cutEnd(a.th.text(flow), c.flow-1), c.flow) +
		fit(fmt.Sprint(len(s.Bindings)), c.bound) + fit(kicks, c.kicks)
	return row + fit(cutEnd(a.th.text(a.upcoming(s)), c.next), c.next)
}

// upcoming is what happens next to an account, and when.
func (a *app) upcoming(s *ua.Snapshot) string {
	in := func(what string, at time.Time) string { return what + " " + countdown(at.Sub(a.now())) }
	r, sub := &s.Registration, &s.Subscription
	if n := len(s.Prompts); n > 0 {
		if p := &s.Prompts[n-1]; !p.ActAt.IsZero() {
			return in("register", p.ActAt)
		}
		if r.State == ua.Unregistered || r.State == ua.Registered && !r.Pending {
			return "waits for you"
		}
	}
	switch {
	case r.Pending, r.State == ua.Registering, r.State == ua.Unregistering:
		return "an answer"
	case !r.RetryAt.IsZero():
		return in("retry", r.RetryAt)
	case r.State == ua.Refused, r.State == ua.Failed:
		return "R tries again"
	case !r.RefreshAt.IsZero() && (sub.RetryAt.IsZero() || r.RefreshAt.Before(sub.RetryAt)):
		return in("refresh", r.RefreshAt)
	case sub.State == ua.Polling && !sub.RetryAt.IsZero():
		return in("query", sub.RetryAt)
	case !sub.RetryAt.IsZero():
		return in("subscribe", sub.RetryAt)
	case !r.ExpiresAt.IsZero():
		return in("ends", r.ExpiresAt)
	case !sub.RefreshAt.IsZero():
		return in("subscribe", sub.RefreshAt)
	}
	return "nothing"
}

// accountKey moves among the accounts, and picks them. The one under the mark is the
// current one: what is sent from here goes out for it.
func (a *app) accountKey(k string) bool {
	switch {
	case has(a.keys.search, k):
		a.find(a.pick.query, func(query string) { a.pick.query = query; a.settleCurrent() })
		return true
	case has(a.keys.filter, k):
		a.choice = a.accountChoice()
		return true
	case has(a.keys.back, k):
		a.pick = accountPick{}
		return true
	}
	picked := a.picked()
	a.selectCurrent(picked)
	moved := a.roster.handle(k, a.keys)
	if len(picked) > 0 && picked[a.roster.selected] != a.current {
		a.current = picked[a.roster.selected]
		a.retell()
	}
	return moved
}

// enterAccount goes to the selected account.
func (a *app) enterAccount() *pager {
	a.view = a.views[0]
	return nil
}
