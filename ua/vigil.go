package ua

import (
	"context"
	"fmt"
	"time"

	"regwatch/internal/guard"
)

// The vigil looks at this often whether the machine slept, its clock was set, or
// its network changed. None of them is told to a program that waits.
const vigilEvery = 2 * time.Second

// A clock that is this far from where it should be was not merely slewed.
const clockTolerance = 2 * time.Second

// Inputs of an agent that come from the vigil.
type (
	// clockJumped: the clock is that much further than the time that ran.
	clockJumped struct{ by time.Duration }
	// networkChanged: addresses or routes of this machine are not what they were.
	networkChanged struct{}
)

// keepVigil runs until the group is closed.
func (g *Group) keepVigil() {
	defer g.vigil.Done()
	defer guard.Recover(g.options.OnPanic)
	ticker := time.NewTicker(vigilEvery)
	defer ticker.Stop()
	around := g.stacks.Surroundings(g.ctx)
	wall, ran := g.now(), time.Now()
	for {
		select {
		case <-ticker.C:
		case <-g.ctx.Done():
			return
		}
		// ran counts what the machine was awake for: it stands still in a suspend,
		// and nobody can set it.
		by := g.now().Sub(wall) - time.Since(ran)
		wall, ran = g.now(), time.Now()
		before := around
		if around = g.stacks.Surroundings(g.ctx); around != before {
			g.tellAgents(networkChanged{})
		}
		if by.Abs() > clockTolerance {
			g.tellAgents(clockJumped{by})
		}
	}
}

func (g *Group) tellAgents(input any) {
	g.mu.Lock()
	agents := g.agents
	g.mu.Unlock()
	for _, agent := range agents {
		agent.post(input)
	}
}

// now is the wall clock, without Go's second reading that stands still in a
// suspend: a registration runs out while the machine sleeps.
func (g *Group) now() time.Time {
	if g.options.Now != nil {
		return g.options.Now().Round(0)
	}
	return time.Now().Round(0)
}

// clockJumped: the registrar's time went on, so that everything that we know may
// be over, and a NAT has forgotten us. A clock that was set is taken for the same:
// to ask once too often is no harm.
func (a *Agent) clockJumped(j clockJumped, now time.Time) {
	cause := fmt.Sprintf("the clock jumped by %s: this machine slept, or its time was set", j.by.Round(time.Second))
	if j.by < 0 {
		// It was set back. What was to come by a certain time comes as soon as before.
		a.sub.shift(j.by)
		for _, l := range a.lines {
			l.reg.shift(j.by)
			l.reaction.shift(j.by)
		}
		shift(j.by, &a.beginAt)
	}
	a.eachLine(func() { a.renewAll(cause, now) })
}

// networkChanged finds out whether the flow is affected: whether packets to the
// registrar leave from another address than its own, or find no way at all.
func (a *Agent) networkChanged(now time.Time) {
	if a.flow == nil {
		a.stale = a.connecting
		if !a.connecting {
			a.retryNow(now)
		}
		return
	}
	ctx, cancel := context.WithTimeout(a.group.ctx, time.Second)
	defer cancel()
	source, err := a.flow.Source(ctx)
	local := a.flow.Local().Addr()
	switch {
	case err != nil:
		a.renewAll(fmt.Sprintf("the network is gone: no route to %s", a.flow.Remote().Addr()), now)
	case a.local.Addr().IsValid() || source == local:
	default:
		a.renewAll(fmt.Sprintf("our address changed from %s to %s", local, source), now)
	}
}

// renewAll gives the flow up and begins again at once, over a new one.
func (a *Agent) renewAll(cause string, now time.Time) {
	if a.flow == nil || a.leaving != nil {
		return
	}
	flow := a.flow
	a.flowLost(cause, now)
	flow.Close()
	// What is under way got lost with it; its answer would be waited for in vain.
	a.apply(a.reg.brokenIf(cause, now), now)
	a.breakByHand(cause, now)
	if a.line == a.front && a.sub.inFlight != "" {
		a.apply(a.sub.broken(cause, true, now), now)
	}
	a.retryNow(now)
}

// retryNow tries at once what waits for its next try because there was no way to
// the registrar. What a registrar refused waits on.
func (a *Agent) retryNow(now time.Time) {
	if a.leaving != nil {
		return
	}
	if a.reg.state == Retrying && a.reg.status == 0 && a.reg.inFlight == "" {
		a.reg.failures = 0
		a.apply(a.reg.want(regBind, now), now)
	}
	if a.reg.state == Retrying || a.line != a.front {
		return // the subscription follows
	}
	if a.sub.wanted && (a.sub.state == Terminated && a.sub.status == 0 && !a.sub.retryAt.IsZero() || a.sub.confirmed()) {
		a.apply(a.sub.want(now), now)
	}
}

// moved reports whether NOTIFYs of the subscription go where we are no more: to
// the Contact that its last SUBSCRIBE named, or over UDP, where that is the same,
// by the mapping of a NAT that is gone, or to a target that we left.
func (a *Agent) moved() bool {
	return a.flow != nil && a.subVia != nil && a.subVia != a.flow
}

// shift moves every time that is set.
func shift(by time.Duration, times ...*time.Time) {
	for _, t := range times {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
}

func (r *registration) shift(by time.Duration) {
	shift(by, &r.sentAt, &r.boundAt, &r.expiresAt, &r.refreshAt, &r.retryAt)
}

func (s *subscription) shift(by time.Duration) {
	shift(by, &s.sentAt, &s.expiresAt, &s.refreshAt, &s.notifyBy, &s.retryAt, &s.anewAt, &s.closed.until)
}
