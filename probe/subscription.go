package probe

import (
	"slices"
	"time"

	"regwatch/internal/trace"
	"regwatch/ua"
)

const (
	// answerWithin is Timer F and N of RFC 6665 4.1.2.4, and a little more.
	answerWithin = 33 * time.Second
	// toldWithin is how long a NOTIFY may take: no more than one in five seconds is
	// what RFC 3680 4.10 recommends, and one that is lost comes again 0.5, 1.5, 3.5 and
	// 7.5 s later, then each 4 s (RFC 3261 17.1.2.2).
	toldWithin = 18 * time.Second
	// What was overtaken on the way was lost a few times at the most.
	overtakenFor = 8 * time.Second
	// A notifier may look for lapses once a minute.
	lapseToldWithin = 90 * time.Second
)

// subscription is the device's subscription to its own registration.
type subscription struct {
	asked  trace.Message // the SUBSCRIBE that was answered
	answer trace.Message // the final answer; none: nobody answered
	first  *notice       // nil: none came
	mark   int           // of the messages, when it was begun
}

// watch subscribes, once a run, and anew where the notifier has ended that.
func (x *exam) watch() (*subscription, error) {
	x.sent = append(x.sent, "SUBSCRIBE; Event: reg")
	if x.watched != nil && !x.ended(x.watched) {
		return x.watched, nil
	}
	if x.watched != nil {
		// The wire is ahead of the agent, which would refresh what is over.
		if _, err := x.seen.await(x.ctx, time.Second, func() bool { return x.agent.state().Subscription.State != ua.Active }); err != nil {
			return nil, err
		}
	}
	s := &subscription{mark: x.seen.mark()}
	err := x.exchange(ua.DoSubscribe, s.mark, &s.asked, &s.answer)
	if err == nil && s.accepted() {
		s.first, err = x.firstOf(s, s.mark, answerWithin)
	}
	if err != nil {
		return nil, err
	}
	if s.first != nil && s.first.state == "active" {
		// Again: before that it has no dialog that it could unsubscribe from.
		_, err = x.seen.await(x.ctx, time.Second, func() bool { return x.agent.state().Subscription.State == ua.Active })
	} else {
		x.agent.group.Do(x.agent.name, ua.Command{Verb: ua.DoUnsubscribe})
	}
	x.watched = s
	return s, err
}

// firstOf waits for the NOTIFY that follows the answer to a SUBSCRIBE. Another one
// may overtake it.
func (x *exam) firstOf(s *subscription, since int, within time.Duration) (first *notice, err error) {
	came := func(fits func(notice) bool) func() bool {
		return func() bool {
			i := slices.IndexFunc(x.noticesOf(s, since), fits)
			if i >= 0 {
				first = &x.noticesOf(s, since)[i]
			}
			return i >= 0
		}
	}
	some, err := x.seen.await(x.ctx, within, came(func(notice) bool { return true }))
	if err == nil && some && !first.full() {
		_, err = x.seen.await(x.ctx, overtakenFor, came(notice.full))
	}
	return first, err
}

// exchange has the agent send a SUBSCRIBE, and waits for the final answer to it.
// A challenge that the agent answers is none.
func (x *exam) exchange(verb ua.Verb, mark int, asked, answer *trace.Message) error {
	for range 3 {
		// A wish is passed over while the agent has not yet taken the answer to the
		// SUBSCRIBE before, which the wire has had already.
		x.agent.group.Do(x.agent.name, ua.Command{Verb: verb})
		sent, err := x.seen.await(x.ctx, time.Second, func() bool {
			return slices.ContainsFunc(x.seen.messages(mark), func(m trace.Message) bool {
				return m.Direction == trace.Sent && statusOf(m) == 0 && methodOf(m) == "SUBSCRIBE"
			})
		})
		if sent || err != nil {
			break
		}
	}
	given := func() bool {
		state := x.agent.state().Subscription
		return state.State == ua.Terminated && (state.Status == 401 || state.Status == 407)
	}
	_, err := x.seen.await(x.ctx, answerWithin, func() bool {
		challenge := false
		for _, m := range x.seen.messages(mark) {
			switch status := statusOf(m); {
			case methodOf(m) != "SUBSCRIBE":
			case status == 0 && m.Direction == trace.Sent:
				*asked, challenge = m, false
			case status == 401 || status == 407:
				*answer, challenge = m, true
			case status >= 200:
				*answer = m
				return true
			}
		}
		return challenge && given()
	})
	return err
}

// ended reports whether the notifier has said that a subscription is over.
func (x *exam) ended(s *subscription) bool {
	return slices.ContainsFunc(x.noticesOf(s, s.mark), func(n notice) bool { return n.state == "terminated" })
}

func (s *subscription) accepted() bool { return statusOf(s.answer)/100 == 2 }

// noticesOf are the NOTIFYs of a subscription that came first after a mark: a copy
// of one from before it, whose answer was lost, is none.
func (x *exam) noticesOf(s *subscription, since int) []notice {
	return slices.DeleteFunc(notices(x.seen.messages(s.mark)), func(n notice) bool {
		return s.mark+n.index < since || n.callID != s.asked.Header("Call-ID", "i")
	})
}

// watching is for checks that need an active subscription; out has a verdict
// where there is none.
func (x *exam) watching() (*subscription, outcome, error) {
	s, err := x.watch()
	if err != nil {
		return nil, outcome{}, err
	}
	switch {
	case !s.accepted():
		return s, notOffered("no subscription: %s", s.line()), nil
	case s.first == nil:
		return s, notTried("no NOTIFY came"), nil
	case s.first.state != "active":
		return s, notTried("the subscription is %s", s.first.state), nil
	}
	return s, outcome{}, nil
}

// whileWatched makes a check of one that needs an active subscription.
func whileWatched(check func(*exam, *subscription) (outcome, error)) func(*exam) (outcome, error) {
	return func(x *exam) (outcome, error) {
		s, out, err := x.watching()
		if err != nil || out.verdict != "" {
			return out, err
		}
		return check(x, s)
	}
}

// line is the answer to the SUBSCRIBE in words.
func (s *subscription) line() string {
	if s.answer.Raw == nil {
		return "no answer"
	}
	return s.answer.StartLine()[len("SIP/2.0 "):]
}

// evidence shows the messages of the subscription since a mark.
func (x *exam) evidence(s *subscription, since int) {
	for _, m := range x.seen.messages(since) {
		if m.Header("Call-ID", "i") == s.asked.Header("Call-ID", "i") {
			x.messages = append(x.messages, m)
		}
	}
}

// awaitTold waits for the NOTIFY in which a contact fits.
func (x *exam) awaitTold(s *subscription, since int, within time.Duration, fits func(notice) bool) (found *notice, err error) {
	_, err = x.seen.await(x.ctx, within, func() bool {
		for _, n := range x.noticesOf(s, since) {
			if fits(n) {
				found = &n
				return true
			}
		}
		return false
	})
	x.evidence(s, since)
	return found, err
}
