package tui

import (
	"time"

	"regwatch/ua"
)

// count is a state in a word with what runs down: how long it lasts, or until
// something is tried.
type count struct {
	word string
	level
	ends  time.Time // zero: nothing runs
	total time.Duration
}

// registrationCount is where our registration stands: what is left of it, else of
// the wait for the next attempt, else of a probation or the time until we register
// again by ourselves.
func (a *app) registrationCount(s *ua.Snapshot) count {
	r := &s.Registration
	var c count
	c.word, c.level = registrationWord(r.State)
	c.ends, c.total = r.ExpiresAt, r.Granted
	if r.State == ua.Retrying || c.ends.IsZero() {
		c.ends, c.total = r.RetryAt, r.RetryAt.Sub(r.Since)
	}
	if n := len(s.Prompts); n > 0 && r.State == ua.Unregistered {
		p := &s.Prompts[n-1]
		if p.On == ua.KickProbation {
			if end := probationEnd(p); a.now().Before(end) {
				c.word, c.level = "PROBATION", levelBusy
				c.ends, c.total = end, end.Sub(p.At)
			}
		} else if c.ends.IsZero() && !p.ActAt.IsZero() {
			c.ends, c.total = p.ActAt, p.ActAt.Sub(p.At)
		}
	}
	return c
}

// probationEnd is when a contact may be registered again: when we do so by
// ourselves, else what the registrar said; zero where neither is set.
func probationEnd(p *ua.Prompt) time.Time {
	after := p.Contact.RetryAfter
	switch {
	case !p.ActAt.IsZero():
		return p.ActAt
	case after.Present && after.Value < 1<<31:
		return p.At.Add(time.Duration(after.Value) * time.Second)
	}
	return time.Time{}
}

// subscriptionCount is where the subscription stands.
func (a *app) subscriptionCount(s *ua.Snapshot) count {
	sub := &s.Subscription
	var c count
	c.word, c.level = subscriptionWord(sub.State)
	c.ends, c.total = sub.ExpiresAt, sub.Granted
	if sub.State == ua.Terminated || sub.State == ua.Unsupported || c.ends.IsZero() {
		c.ends, c.total = sub.RetryAt, sub.RetryAt.Sub(sub.Since)
	}
	return c
}

// counter draws a state with its mark, what is left of it as a number and as a
// bar, in n columns behind the mark.
func (a *app) counter(c count, n, bars int) string {
	style := a.th.style(c.level)
	out := style.Render(a.th.mark(c.level)) + " "
	if c.ends.IsZero() {
		return out + fit(style.Render(c.word), n) + " "
	}
	left := c.ends.Sub(a.now())
	number := countdown(left)
	// The bar gives way where word and number need its room.
	bars = min(bars, n-width(c.word)-1-width(number)-1)
	tail := number
	if bars >= 3 {
		tail += " " + bar(left, c.total, bars)
	}
	return out + style.Render(c.word) + fitRight(tail, n-width(c.word)) + " "
}
