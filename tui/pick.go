package tui

import (
	"slices"
	"strings"

	"regwatch/ua"
)

// accountPick is which accounts are listed, and in which order. The zero value lists
// all as they were given.
type accountPick struct {
	query string
	only  accountGroup
	order accountOrder
}

type accountOrder string

const (
	asGiven    accountOrder = ""
	worstFirst accountOrder = "worst first"
	mostKicked accountOrder = "most kicked first"
)

type accountGroup string

const (
	everyAccount accountGroup = ""
	notThere     accountGroup = "not registered"
	kickedOnes   accountGroup = "kicked"
)

// picked is the places of the accounts that are listed, in their order.
func (a *app) picked() []int {
	query := strings.ToLower(a.pick.query)
	picked := make([]int, 0, len(a.accounts))
	for i, acc := range a.accounts {
		if a.inGroup(acc) && (query == "" || a.accountLike(acc, query)) {
			picked = append(picked, i)
		}
	}
	switch a.pick.order {
	case worstFirst:
		slices.SortStableFunc(picked, func(i, j int) int { return a.badness(a.accounts[j]) - a.badness(a.accounts[i]) })
	case mostKicked:
		slices.SortStableFunc(picked, func(i, j int) int { return a.accounts[j].kicked() - a.accounts[i].kicked() })
	}
	return picked
}

func (a *app) inGroup(acc *account) bool {
	switch a.pick.only {
	case notThere:
		return acc.shown == nil || acc.shown.Registration.State != ua.Registered
	case kickedOnes:
		return acc.kicked() > 0
	}
	return true
}

// accountLike looks for a text, in small letters, in what the row of an account says.
func (a *app) accountLike(acc *account, query string) bool {
	like := func(text string) bool { return strings.Contains(strings.ToLower(text), query) }
	if like(acc.name) {
		return true
	}
	s := acc.shown
	if s == nil {
		return like("starting")
	}
	return like(s.AOR) || like(a.registrationCount(s).word) || like(a.subscriptionCount(s).word) || like(s.Flow.Transport)
}

// badness orders accounts: the higher, the sooner it wants a look.
func (a *app) badness(acc *account) int {
	if acc.shown == nil {
		return 0
	}
	r, sub := &acc.shown.Registration, &acc.shown.Subscription
	switch {
	case r.State == ua.Failed, r.State == ua.Refused:
		return 5
	case len(acc.shown.Prompts) > 0:
		return 4
	case r.State == ua.Retrying, r.State == ua.Unregistered:
		return 3
	case r.State != ua.Registered:
		return 2
	case sub.State != ua.Active && sub.State != ua.Polling:
		return 1
	}
	return 0
}

// kicked is how often the account was kicked.
func (a *account) kicked() (sum int) {
	for _, n := range a.kicks {
		sum += n
	}
	return sum
}

// selectCurrent puts the mark on the current account, where it is listed.
func (a *app) selectCurrent(picked []int) {
	a.roster.selected = max(slices.Index(picked, a.current), 0)
	a.roster.set(len(picked))
}

// settleCurrent makes the first account that is listed the current one, where the
// current one is not listed any more.
func (a *app) settleCurrent() {
	if picked := a.picked(); len(picked) > 0 && !slices.Contains(picked, a.current) {
		a.current = picked[0]
		a.retell()
	}
}

// accountChoice offers which accounts are listed, and in which order.
func (a *app) accountChoice() *choice {
	only := func(key, label string, group accountGroup) choiceItem {
		return choiceItem{key, label, func() { a.pick.only = group; a.settleCurrent() }}
	}
	order := func(key, label string, order accountOrder) choiceItem {
		return choiceItem{key, label, func() {
			a.pick.order = order
			if picked := a.picked(); order != asGiven && len(picked) > 0 {
				a.current = picked[0]
				a.retell()
			}
		}}
	}
	return &choice{"show which accounts", []choiceItem{
		only("a", "all", everyAccount), only("n", string(notThere), notThere), only("k", string(kickedOnes), kickedOnes),
		order("w", string(worstFirst), worstFirst), order("m", string(mostKicked), mostKicked), order("g", "as given", asGiven),
	}}
}
