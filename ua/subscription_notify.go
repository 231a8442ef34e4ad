package ua

import (
	"time"

	"regwatch/internal/wire"
)

// verdict judges a NOTIFY by its headers and the dialog alone: the answer to
// send, and whether it is news that the state has to take.
func (s *subscription) verdict(n wire.Notify) (status int, reason string, news bool) {
	switch {
	case s.closed.ends(n):
		return 200, "OK", false
	case !s.belongs(n):
		return 481, "Subscription Does Not Exist", false
	case n.Event != "reg":
		return 489, "Bad Event", false
	case n.EventID != "":
		return 481, "Subscription Does Not Exist", false // we never ask with an id
	case !n.State.Present:
		return 400, "Missing Subscription-State", false
	case s.confirmed() && n.CSeq < s.remoteCSeq:
		return 500, "CSeq Out Of Order", false // RFC 3261 12.2.2
	case s.confirmed() && n.CSeq == s.remoteCSeq:
		return 200, "OK", false // a retransmission that took another way
	case n.ContentType != "" && n.ContentType != "application/reginfo+xml" && n.ContentType != "multipart/mixed":
		return 415, "Unsupported Media Type", false
	}
	return 200, "OK", true
}

// notified takes a NOTIFY that verdict called news.
func (s *subscription) notified(n wire.Notify, now time.Time) []effect {
	s.heard(n)
	s.notifyBy, s.lostAt, s.slow = time.Time{}, time.Time{}, ""
	if n.State.State == "terminated" {
		return s.terminated(n.State, now)
	}
	before := s.state
	s.polling = false
	state := Active
	if n.State.State == "pending" {
		state = Pending
	}
	// RFC 6665 4.1.2.1: the NOTIFY's expires rules over the 2xx's.
	if n.State.HasExpires {
		s.ruled = true
		s.grant(seconds(n.State.Expires), now)
	} else if s.expiresAt.IsZero() {
		s.grant(seconds(s.expires), now)
	}
	s.failures = 0
	s.enter(state, n.State.Reason, now)
	if before != state {
		return []effect{tellSubscription{}}
	}
	return nil
}

// terminated does what the notifier's reason asks for (RFC 6665 4.1.3).
func (s *subscription) terminated(t wire.SubscriptionState, now time.Time) []effect {
	reason := "ended by the notifier"
	if t.Reason != "" {
		reason += ": " + t.Reason
	}
	if s.inFlight == subClose {
		s.leave(now)
	}
	if s.inFlight == subClose || !s.wanted {
		s.ended = true
		return nil // it is what we asked for, whatever reason it gives; the answer ends it
	}
	effects := s.over(reason, now)
	s.inFlight, s.again, s.slow, s.asking = "", "", "", false // whose answer tells nothing any more
	switch t.Reason {
	case "deactivated", "timeout":
		s.anew(now)
	case "rejected":
		s.barred = untilWanted
	case "noresource", "invariant":
		s.barred = untilBound
	default: // probation, giveup, none, or a word we do not know
		s.retry(t.RetryAfter, t.HasRetry, now)
	}
	return append(effects, tellSubscription{})
}

// boundAnew: there is another registration than that which was watched.
func (s *subscription) boundAnew() {
	if s.barred == untilBound {
		s.barred = notBarred
	}
}
