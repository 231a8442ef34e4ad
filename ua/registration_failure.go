package ua

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// lost takes an attempt that came to nothing. Where a redirect named other places
// it goes on to the next (RFC 3261 8.1.3.4); else the exchange ends as course says.
// wait is the time to the next attempt; 0 backs off.
func (r *registration) lost(course course, reason string, wait time.Duration, now time.Time) []effect {
	if r.inFlight == regBind {
		if len(r.rest) > 0 {
			return r.goOn(reason, now)
		}
		if r.at.uri != "" {
			reason += " (" + cut(r.at.uri, 60) + ")"
		}
		r.redirection = redirection{}
	}
	switch course {
	case refuse:
		return r.end(Refused, reason, now)
	case giveUp:
		return r.end(Failed, reason, now)
	}
	return r.failed(reason, wait, now)
}

// end stops trying: only the user begins again. A binding that is still there
// is left to lapse; a query that fails changes nothing.
func (r *registration) end(state RegistrationState, reason string, now time.Time) []effect {
	switch r.inFlight {
	case regQuery:
		return r.finish(now, tellQueryFailed{"query: " + reason})
	case regUnbind, regWipe:
		r.drop()
		r.enter(Unregistered, "our removal was not confirmed: "+reason, now)
		return r.finish(now, tellRegistration{}, lostEffect{cause: "we gave it up"})
	}
	r.failures++
	r.refreshAt, r.retryAt = time.Time{}, time.Time{}
	r.enter(state, reason, now)
	return r.finish(now, tellRegistration{})
}

// failed sets the next attempt; wait as for lost.
func (r *registration) failed(reason string, wait time.Duration, now time.Time) []effect {
	if r.inFlight != regBind {
		return r.end(Failed, reason, now)
	}
	if wait == atOnce {
		wait = 0 // the attempt goes on, elsewhere
	} else {
		r.failures++
		wait = cmp.Or(wait, backoff(r.failures, r.elsewhere))
	}
	r.refreshAt = time.Time{}
	r.retryAt = now.Add(wait)
	r.enter(Retrying, reason, now)
	return r.finish(now, tellRegistration{})
}

// broken: no final answer came, or the request could not be sent. Right after a
// good flow was lost the first attempt does not wait (RFC 5626 4.5).
func (r *registration) broken(reason string, now time.Time) []effect {
	r.status, r.reached = 0, false
	wait := time.Duration(0)
	if r.failures == 0 && !r.flowGone && r.registered() {
		r.flowGone, wait = true, atOnce
	}
	return append([]effect{needFlow{}}, r.lost(backOff, reason, wait, now)...)
}

// unanswered: the way is good, and yet no answer came that could be used.
func (r *registration) unanswered(reason string, now time.Time) []effect {
	r.status, r.reached = 0, true
	return r.lost(backOff, reason, 0, now)
}

// brokenIf is broken where a REGISTER is under way.
func (r *registration) brokenIf(reason string, now time.Time) []effect {
	if r.inFlight == "" || r.inFlight == regHand {
		return nil
	}
	return r.broken(reason, now)
}

// A flow that is lost so soon behind the 2xx that it bound us with was no good one.
const briefFlow = backoffBase

// flowLost: the connection went. A REGISTER under way fails by itself, and a
// retry that is set stays set. Only the loss of a good flow is met at once (RFC 5626
// 4.5). One that was none is replaced after wait; and one that a server took only to
// close it, from the second in a row on, after as much as a failure waits.
func (r *registration) flowLost(reason string, wait time.Duration, now time.Time) []effect {
	if (r.inFlight == regQuery || r.inFlight == regHand) && r.state == Registered && !slices.Contains(r.wanted, regBind) {
		r.wanted = append(r.wanted, regBind)
	}
	if r.inFlight != "" || r.state != Registered {
		return nil
	}
	if now.Sub(r.boundAt) >= briefFlow {
		r.brief = 0
	} else {
		if r.brief > 0 {
			wait = max(wait, backoff(r.brief, r.elsewhere))
		}
		r.brief++
	}
	r.refreshAt, r.retryAt, r.flowGone = time.Time{}, now.Add(wait), true
	r.enter(Retrying, reason, now)
	return []effect{tellRegistration{}}
}

// backoff is 50 to 100 % of min(1800 s, 30 s * 2^failures) (RFC 5626 4.5), where
// the failure that just happened counts: the first of a registration waits 30 to
// 60 s. Where another flow holds the base is 90 s.
func backoff(failures int, elsewhere bool) time.Duration {
	base, wait := backoffBase, backoffCap
	if elsewhere {
		base = backoffBaseElsewhere
	}
	if failures < 6 {
		wait = min(backoffCap, base<<failures)
	}
	return wait/2 + rand.N(wait/2)
}
