package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"regwatch/ua"
)

// The names for --until beside those of the kicks.
const (
	untilRegistered   = "registered"
	untilUnregistered = "unregistered"
	untilFailed       = "failed"
	untilSubscribed   = "subscribed"
	untilTerminated   = "subscription-terminated"
	untilKicked       = "kicked" // any kick that takes our contact off
)

func untilNames() []string {
	names := []string{untilRegistered, untilUnregistered, untilFailed, untilSubscribed, untilTerminated}
	for _, kick := range ua.Kicks {
		names = append(names, string(kick))
	}
	return append(names, untilKicked)
}

// goal is what a run of watch waits for. It is fed every event and says when
// the run is over, and how. The zero value waits for nothing.
type goal struct {
	names    []string
	all      bool // on each account, not on any
	accounts map[string]*attempt
	// Of accounts, so that no event looks at all of them.
	reached, lost int
}

// attempt is how far one account has come.
type attempt struct {
	watchOnly bool
	flows     int                             // that it registers over
	states    map[uint32]ua.RegistrationState // of each flow, by reg-id, as last told
	reached   bool                            // the goal
	tried     bool                            // the first attempt has had its outcome
	lost      int                             // the status to end with, when the first attempt was its last; 0: not so
	why       string                          // of lost
}

// newGoal reads the value of --until.
func newGoal(text string, all bool) (*goal, error) {
	g := &goal{all: all, accounts: map[string]*attempt{}}
	if text == "" {
		return g, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(untilNames(), name) {
			return nil, fail(statusUsage, "", "--until: %q is unknown; there are %s", name, strings.Join(untilNames(), ", "))
		}
		g.names = append(g.names, name)
	}
	return g, nil
}

func (g *goal) waits() bool { return len(g.names) > 0 }

// watch says which accounts there are. names are those that events carry.
func (g *goal) watch(names []string, accounts []ua.Account) {
	for i, name := range names {
		g.accounts[name] = &attempt{watchOnly: accounts[i].WatchOnly, flows: accounts[i].Flows(), states: map[uint32]ua.RegistrationState{}}
	}
}

// feed takes an event in. over tells that the run has its end: err is nil when
// the goal is reached.
func (g *goal) feed(e ua.Event) (over bool, err error) {
	a := g.accounts[e.Account]
	if !g.waits() || a == nil {
		return false, nil
	}
	reached, lost := a.counts()
	a.note(e)
	if g.matches(a, e) {
		a.reached = true
	}
	g.attempted(a, e)
	reachedNow, lostNow := a.counts()
	g.reached += reachedNow - reached
	g.lost += lostNow - lost
	return g.verdict()
}

// note keeps the state of each flow: what befalls one of several is not yet what
// becomes of the account.
func (a *attempt) note(e ua.Event) {
	if d, is := e.Detail.(ua.RegistrationDetail); is && (d.RegID != 0 || a.flows == 1) {
		a.states[d.RegID] = d.State
	}
}

// every reports whether each flow is in one of the states.
func (a *attempt) every(states ...ua.RegistrationState) bool {
	n := 0
	for _, state := range a.states {
		if slices.Contains(states, state) {
			n++
		}
	}
	return n >= a.flows
}

// matches reports whether the event is one of those awaited.
func (g *goal) matches(a *attempt, e ua.Event) bool {
	is := func(name string) bool { return slices.Contains(g.names, name) }
	switch d := e.Detail.(type) {
	case ua.RegistrationDetail:
		switch d.State {
		case ua.Registered:
			return is(untilRegistered)
		case ua.Unregistered:
			return is(untilUnregistered) && a.every(ua.Unregistered, ua.Refused, ua.Failed)
		case ua.Refused, ua.Failed:
			return is(untilFailed) && a.every(ua.Refused, ua.Failed)
		}
	case ua.SubscriptionDetail:
		switch d.State {
		case ua.Active:
			return is(untilSubscribed)
		case ua.Terminated:
			return is(untilTerminated)
		}
	case ua.ContactDetail:
		kick := d.Kick()
		return kick != "" && (is(string(kick)) || kick.TakesOff() && is(untilKicked))
	}
	return false
}

// attempted notes how the first attempt of an account ended: with an answer to
// build on, with a refusal, or with nobody reached.
func (g *goal) attempted(a *attempt, e ua.Event) {
	if a.tried {
		return
	}
	lose := func(status int, format string, args ...any) {
		a.lost, a.why = status, e.Account+": "+strings.TrimSpace(fmt.Sprintf(format, args...))
	}
	switch d := e.Detail.(type) {
	case ua.RegistrationDetail:
		switch d.State {
		case ua.Registered:
		case ua.Refused, ua.Failed:
			if a.every(ua.Refused, ua.Failed, ua.Retrying) {
				lose(statusRefused, "registration refused: %s", answer(d.Status, d.Reason))
			}
		case ua.Retrying:
			if d.Status == 0 && !d.Heard && a.every(ua.Refused, ua.Failed, ua.Retrying) {
				lose(statusUnreachable, "registrar not reached: %s", d.Reason)
			}
		default:
			return
		}
		a.tried = a.lost != 0 || a.every(ua.Refused, ua.Failed, ua.Retrying) || slices.Contains(slices.Collect(maps.Values(a.states)), ua.Registered)
	case ua.SubscriptionDetail:
		if !a.watchOnly {
			return
		}
		switch d.State {
		case ua.Pending, ua.Active:
		case ua.Terminated, ua.Unsupported:
			switch {
			case d.Status >= 300:
				lose(statusRefused, "subscription refused: %s", answer(d.Status, d.Reason))
			case d.Status == 0 && !d.Heard:
				lose(statusUnreachable, "registrar not reached: %s", d.Reason)
			}
		default:
			return
		}
		a.tried = true
	}
}

func answer(status int, reason string) string {
	if status == 0 || strings.HasPrefix(reason, fmt.Sprint(status)) {
		return reason
	}
	return fmt.Sprintf("%d %s", status, reason)
}

// verdict weighs the accounts: without --all one that reaches the goal is
// enough, and the run is lost when none can; with it, all have to.
func (g *goal) verdict() (over bool, err error) {
	switch {
	case g.reached == len(g.accounts) || g.reached > 0 && !g.all:
		return true, nil
	case g.lost == len(g.accounts) || g.lost > 0 && g.all:
		worst := g.worst()
		return true, fail(worst.lost, "", "%s", worst.why)
	}
	return false, nil
}

// worst is the account that says most about why the run is lost: a refusal says
// more than silence.
func (g *goal) worst() (worst *attempt) {
	for _, a := range g.accounts {
		if a.reached || a.lost == 0 {
			continue
		}
		if worst == nil || a.lost < worst.lost || a.lost == worst.lost && a.why < worst.why {
			worst = a
		}
	}
	return worst
}

// counts is what the account counts for: 1 where it has reached the goal, 1 where
// it is lost and has not.
func (a *attempt) counts() (reached, lost int) {
	switch {
	case a.reached:
		return 1, 0
	case a.lost != 0:
		return 0, 1
	}
	return 0, 0
}

// timedOut is the error of --timeout: while every first attempt was still under
// way, nobody was reached.
func (g *goal) timedOut(limit fmt.Stringer) error {
	for _, a := range g.accounts {
		if a.tried {
			return fail(statusTimeout, "", "timed out: no %s within %s", strings.Join(g.names, " or "), limit)
		}
	}
	return fail(statusUnreachable, "", "timed out: no answer to the first attempt within %s", limit)
}
