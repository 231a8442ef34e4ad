package ua

import (
	"fmt"
	"time"

	"regwatch/reginfo"
)

// answered takes the final answer to the SUBSCRIBE under way.
func (s *subscription) answered(a subscribeAnswer, now time.Time) []effect {
	s.status, s.asking = a.status, false
	kind := s.inFlight
	switch {
	case (a.status == 401 || a.status == 407) && a.retryAuth:
		return s.send(now)
	case a.status == 423 && a.minExpires > s.expires && a.minExpires <= minExpiresMost && kind != subClose && s.tries < exchangeMax:
		s.expires = a.minExpires
		return s.send(now)
	case kind == subClose:
		// The last NOTIFY may be late or never come: it is answered, and not waited for.
		s.leave(now)
		effects := s.over("unsubscribed", now)
		return s.finish(now, append(effects, tellSubscription{})...)
	case a.status < 300:
		s.failures = 0
		switch {
		case s.ruled: // by the word of the NOTIFY that overtook this (RFC 6665 4.1.3)
		case a.hasExpires:
			s.grant(seconds(a.expires), now)
		case s.expiresAt.IsZero():
			s.grant(seconds(s.expires), now)
		}
		if a.status == 204 && kind == subRenew {
			s.notifyBy = time.Time{} // it says that no NOTIFY comes (RFC 6665 4.1.2.2, RFC 5839 6.3)
		}
		// RFC 3261 12.2.1.2; but Kamailio's S-CSCF writes the address-of-record there,
		// and that is where the dialog is not.
		if kind == subRenew && a.target != "" && !reginfo.SameURI(a.target, s.about) {
			s.target = a.target
		}
		if kind == subOpen {
			return s.finish(now) // the first NOTIFY tells, be it before or after
		}
		return s.finish(now, tellSubscription{})
	}
	s.notifyBy = time.Time{} // a non-2xx stops Timer N (RFC 6665 4.1.2.1)
	reason := fmt.Sprintf("%d %s", a.status, a.reason)
	if a.authFault != "" {
		reason += ": " + a.authFault
	}
	if kind == subRenew && !endsDialog(a.status) {
		// RFC 6665 4.1.2.2: any other failure leaves the subscription as it is
		// until it runs out; another refresh is tried half-way there, or when Retry-After
		// says (RFC 3261 20.33), if it can still end before that.
		left := s.expiresAt.Sub(now)
		wait := left / 2
		if a.hasRetry {
			wait = max(wait, seconds(a.retryAfter))
		}
		if wait+transactionTime <= left {
			s.refreshAt = now.Add(wait)
		}
		s.reason = "refresh: " + reason
		return s.finish(now, tellSubscription{})
	}
	end := s.over
	if a.status == 481 { // it does not know what it granted
		end = s.lost
	}
	effects := end(reason, now)
	switch a.status {
	case 403, 404, 405, 489, 501:
		// This registrar does not do that for us. It is asked again at the next
		// registration, or when the user says so.
		if kind == subOpen {
			if s.polling = s.mayPoll; s.polling {
				effects = append(effects, startPolling{})
			}
			s.enter(Unsupported, reason, now)
			break
		}
		fallthrough
	default:
		switch {
		case a.status == 401 || a.status == 407: // the same secret gets the same answer
		case kind == subRenew:
			s.anew(now)
		default:
			s.retry(a.retryAfter, a.hasRetry, now)
		}
	}
	return s.finish(now, append(effects, tellSubscription{})...)
}

// endsDialog: these answers to a refresh end the subscription (RFC 6665 4.1.2.2,
// RFC 5057 5.1).
func endsDialog(status int) bool {
	switch status {
	case 404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604:
		return true
	}
	return false
}

func (s *subscription) grant(d time.Duration, now time.Time) {
	s.granted, s.expiresAt, s.refreshAt = d, now.Add(d), now.Add(refreshAfter(d, s.ims))
	if d == 0 {
		s.refreshAt = time.Time{} // there is nothing to refresh: it has run out
	}
}

// anew subscribes in a new dialog when the registrar wants it, which may be at
// once, but never in a circle.
func (s *subscription) anew(at time.Time) {
	s.retryAt = at
	if soonest := s.anewAt.Add(resubscribePause); at.Before(soonest) {
		s.retryAt = soonest
	}
	s.anewAt = s.retryAt
}

func (s *subscription) retry(after uint32, named bool, now time.Time) {
	if !s.wanted {
		return
	}
	if !named {
		s.retryAt = now.Add(backoff(s.failures, false))
		s.failures++
		return
	}
	s.failures++
	s.anew(now.Add(min(seconds(after), retryAfterMost)))
}

// broken: no final answer came, or the request could not be sent; lost says that
// the connection went with it. A refresh that went with its connection proves
// nothing about the dialog: it is refreshed again over the next one.
func (s *subscription) broken(reason string, lost bool, now time.Time) []effect {
	s.status = 0
	switch s.inFlight {
	case subClose:
		end := "unsubscribed"
		if s.closed.callID != s.callID { // no last NOTIFY has said so (RFC 6665 4.4.1)
			end += ", not confirmed: " + reason
		}
		effects := s.over(end, now)
		return s.finish(now, append(effects, tellSubscription{})...)
	case subRenew:
		if s.notifyBy.IsZero() || lost { // or a NOTIFY came all the same
			s.notifyBy = time.Time{}
			s.refreshAt = now.Add(max(s.expiresAt.Sub(now)/2, time.Second))
			return s.finish(now)
		}
	case subOpen:
		if s.confirmed() { // the NOTIFY overtook a 2xx that never came
			return s.finish(now)
		}
	}
	effects := s.lost(reason, now)
	first := s.failures == 0
	s.retry(0, false, now)
	if lost && first && s.wanted {
		s.retryAt = now.Add(time.Second)
	}
	return append([]effect{needFlow{}}, s.finish(now, append(effects, tellSubscription{})...)...)
}
