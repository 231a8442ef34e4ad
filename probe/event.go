package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"regwatch/internal/trace"
	"regwatch/reginfo"
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

func eventOffered(x *exam) (outcome, error) {
	s, err := x.watch()
	if err != nil {
		return outcome{}, err
	}
	x.evidence(s, s.mark)
	switch status := statusOf(s.answer); {
	case s.answer.Raw == nil:
		return outcome{}, errors.New("no answer to the SUBSCRIBE")
	case s.accepted():
		return held("%s", s.line()), nil
	case status == 489 || status == 405 || status == 501 || status == 403 || status == 404:
		return notOffered("%s", s.line()), nil
	}
	return broken("%s", s.line()), nil
}

// eventAuthorised: "It is RECOMMENDED that a user be allowed to subscribe to
// their own registration state."
func eventAuthorised(x *exam) (outcome, error) {
	s, err := x.watch()
	switch {
	case err != nil:
		return outcome{}, err
	case !s.accepted():
		return notOffered("%s", s.line()), nil
	case s.first == nil:
		return notTried("no NOTIFY came"), nil
	case s.first.state != "active":
		return notOffered("%s, Subscription-State: %s", s.line(), s.first.Header("Subscription-State", "")), nil
	}
	return held("%s, Subscription-State: %s", s.line(), s.first.Header("Subscription-State", "")), nil
}

func firstNotify(x *exam) (outcome, error) {
	s, err := x.watch()
	switch {
	case err != nil:
		return outcome{}, err
	case !s.accepted():
		return notOffered("no subscription: %s", s.line()), nil
	case s.first == nil:
		x.evidence(s, s.mark)
		return broken("none came within %s", answerWithin), nil
	}
	x.evidence(s, s.mark)
	after := max(s.first.Time.Sub(s.answer.Time), 0).Round(time.Millisecond)
	return x.full(*s.first, fmt.Sprintf("after %s", after)), nil
}

// full judges the NOTIFY that has to have everything. Without meaningful state it
// may be empty: an AOR that nobody ever registered.
func (x *exam) full(n notice, when string) outcome {
	switch {
	case n.Header("Content-Length", "l") == "0" && len(x.bound)+len(x.aliens) > 0:
		return broken("%s, without a document", when)
	case n.Header("Content-Length", "l") == "0":
		return held("%s, without a document: nobody is bound", when)
	case n.document == nil:
		return broken("%s, with a document that cannot be read", when)
	case n.document.State != reginfo.Full:
		return broken("%s, with state=%q", when, n.document.State)
	}
	return held("%s, version %s, state=%q", when, n.document.Version, n.document.State)
}

func subscriptionExpiry(x *exam) (outcome, error) {
	s, out, err := x.watching()
	if err != nil || out.verdict != "" {
		return out, err
	}
	x.evidence(s, s.mark)
	asked, _ := number(s.asked, "Expires")
	granted, ok := number(s.answer, "Expires")
	told, err := strconv.ParseUint(s.first.expires, 10, 32)
	switch {
	case !ok:
		return broken("asked for %d s, and the %s has no Expires", asked, s.line()), nil
	case granted > asked:
		return broken("asked for %d s, granted %d s", asked, granted), nil
	case err == nil && told > uint64(asked):
		return broken("asked for %d s, and the NOTIFY says %d s", asked, told), nil
	}
	return held("asked for %d s, granted %d s, NOTIFY says %q", asked, granted, s.first.expires), nil
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

// bindWatched binds a contact that nobody had before, while watched, and waits
// for the NOTIFY that tells of it. Some notifiers end a subscription when a
// contact goes, as that of the check before just did: then it is watched anew.
func (x *exam) bindWatched() (s *subscription, c contact, told *notice, out outcome, err error) {
	for range 2 {
		if s, out, err = x.watching(); err != nil || out.verdict != "" {
			return s, c, nil, out, err
		}
		c = x.second()
		since := x.seen.mark()
		if _, out, err = x.bindOne(c, ua.ByHand{}); err != nil || out.verdict != "" {
			return s, c, nil, out, err
		}
		told, err = x.awaitTold(s, since, toldWithin, func(n notice) bool {
			_, ok := n.tells(c)
			return ok || n.state == "terminated"
		})
		if err != nil || told == nil {
			return s, c, nil, outcome{}, err
		}
		if _, ok := told.tells(c); ok {
			return s, c, told, outcome{}, nil
		}
	}
	return s, c, nil, outcome{}, nil
}

func toldRegistered(x *exam) (outcome, error) {
	_, c, told, out, err := x.bindWatched()
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case told == nil:
		return broken("no NOTIFY told of it within %s", toldWithin), nil
	}
	return word(told, c, reginfo.Registered), nil
}

// word judges what a NOTIFY says of a contact.
func word(n *notice, c contact, wanted reginfo.ContactEvent) outcome {
	told, _ := n.tells(c)
	if told.Event != wanted || told.State != wanted.LeadsTo() {
		return broken("told as state=%q event=%q", told.State, told.Event)
	}
	return held("told as state=%q event=%q", told.State, told.Event)
}

func toldRefreshed(x *exam) (outcome, error) {
	s, c, told, out, err := x.bindWatched()
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case told == nil:
		return notTried("no NOTIFY told that the contact was bound"), nil
	}
	since := x.seen.mark()
	if _, out, err := x.bindOne(c, ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	told, err = x.awaitTold(s, since, toldWithin, func(n notice) bool { _, ok := n.tells(c); return ok })
	switch {
	case err != nil:
		return outcome{}, err
	case told == nil:
		// "Whether the server sends a notification or not is policy dependent."
		return notOffered("no NOTIFY told of it within %s", toldWithin), nil
	}
	return word(told, c, reginfo.Refreshed), nil
}

// goneFrom reports whether a NOTIFY tells that a contact is no more: as
// terminated, or by a full document without it.
func goneFrom(n notice, c contact) bool {
	if told, ok := n.tells(c); ok {
		return told.State == reginfo.ContactTerminated
	}
	return n.document != nil && n.document.State == reginfo.Full
}

// farewell judges the NOTIFY that tells that a contact is gone.
func farewell(n *notice, c contact, wanted reginfo.ContactEvent) outcome {
	if _, listed := n.tells(c); !listed {
		return broken("told by a document that does not list it any more, without a word")
	}
	return word(n, c, wanted)
}

func toldUnregistered(x *exam) (outcome, error) {
	s, c, told, out, err := x.bindWatched()
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case told == nil:
		return notTried("no NOTIFY told that the contact was bound"), nil
	}
	since := x.seen.mark()
	if a, err := x.unbind(c); err != nil || !a.accepted() {
		return notTried("the contact was not removed: %s", a.short()), err
	}
	told, err = x.awaitTold(s, since, toldWithin, func(n notice) bool { return goneFrom(n, c) })
	switch {
	case err != nil:
		return outcome{}, err
	case told == nil:
		return broken("no NOTIFY told of it within %s", toldWithin), nil
	}
	return farewell(told, c, reginfo.Unregistered), nil
}

func toldExpired(x *exam) (outcome, error) {
	l, err := x.letLapse()
	if err != nil {
		return outcome{}, err
	}
	if l.watched == nil {
		_, out, err := x.watching()
		if out.verdict == "" {
			out = notTried("nobody watched when a contact lapsed")
		}
		return out, err
	}
	x.sent = append(x.sent, "SUBSCRIBE; Event: reg", "REGISTER; Contact: <"+l.contact.uri+">")
	if l.ended.IsZero() {
		return l.outcome, nil
	}
	x.tell("until a NOTIFY tells of the lapse", lapseToldWithin)
	listed := false
	told, err := x.awaitTold(l.watched, l.mark, lapseToldWithin-min(time.Since(l.ended), lapseToldWithin), func(n notice) bool {
		_, is := n.tells(l.contact)
		listed = listed || is
		return listed && goneFrom(n, l.contact)
	})
	switch {
	case err != nil:
		return outcome{}, err
	case told == nil:
		return broken("no NOTIFY told of it within %s", lapseToldWithin), nil
	}
	late := max(told.Time.Sub(l.ended), 0).Round(time.Second)
	out := farewell(told, l.contact, reginfo.Expired)
	out.came += fmt.Sprintf(", %s after the lapse", late)
	return out, nil
}

// noTimeLeft looks at every document of the run: expires "MAY be included with
// any event attribute value for which the state of the contact is active".
func noTimeLeft(x *exam) (outcome, error) {
	if err := x.watchSome(); err != nil {
		return outcome{}, err
	}
	gone := 0
	for _, n := range notices(x.seen.messages(0)) {
		if n.document == nil {
			continue
		}
		for _, r := range n.document.Registrations {
			for _, c := range r.Contacts {
				if c.State != reginfo.ContactTerminated {
					continue
				}
				gone++
				if c.Expires.Present && c.Expires.Value > 0 {
					x.messages = []trace.Message{n.Message}
					return broken("%s is terminated, with expires=%q", c.URI, c.Expires), nil
				}
			}
		}
	}
	if gone == 0 {
		return notTried("no document told of a contact that is gone"), nil
	}
	return held("%s", count(gone, "terminated contact")), nil
}

func subscriptionRefresh(x *exam) (outcome, error) {
	s, out, err := x.watching()
	if err != nil || out.verdict != "" {
		return out, err
	}
	since := x.seen.mark()
	var asked, answer trace.Message
	if err := x.exchange(ua.DoSubscribe, since, &asked, &answer); err != nil {
		return outcome{}, err
	}
	if answer.Raw == nil || statusOf(answer)/100 != 2 {
		x.evidence(s, since)
		return broken("%s", (&subscription{answer: answer}).line()), nil
	}
	told, err := x.firstOf(s, since, toldWithin)
	x.evidence(s, since)
	switch {
	case err != nil:
		return outcome{}, err
	case told == nil:
		return broken("no NOTIFY came within %s", toldWithin), nil
	}
	return x.full(*told, fmt.Sprintf("after %s", max(told.Time.Sub(answer.Time), 0).Round(time.Millisecond))), nil
}

// versionsRise looks at every document of the subscription.
func versionsRise(x *exam) (outcome, error) {
	if err := x.watchSome(); err != nil {
		return outcome{}, err
	}
	s, out, err := x.watching()
	if err != nil || out.verdict != "" {
		return out, err
	}
	all := slices.DeleteFunc(x.noticesOf(s, s.mark), func(n notice) bool { return n.document == nil })
	slices.SortFunc(all, func(a, b notice) int { return cmp.Compare(a.cseq, b.cseq) })
	for i, n := range all {
		v, least, most := n.document.Version, uint64(0), uint64(0)
		if i > 0 {
			// A NOTIFY between the two may be under way yet, or have no body.
			before := all[i-1]
			least = before.document.Version.Value + 1
			most = before.document.Version.Value + n.cseq - before.cseq
		}
		if !v.Present || v.Value < least || v.Value > most {
			x.evidence(s, s.mark)
			return broken("document %d has version %q, expected %d", i+1, v, least), nil
		}
	}
	if len(all) < 2 {
		return notTried("%s came", count(len(all), "document")), nil
	}
	return held("%d documents, versions %s to %s", len(all), all[0].document.Version, all[len(all)-1].document.Version), nil
}

func subscriptionEnd(x *exam) (outcome, error) {
	s, out, err := x.watching()
	if err != nil || out.verdict != "" {
		return out, err
	}
	// The agent forgets the dialog with the answer. A NOTIFY that it met after that
	// would get a 481, and with that the notifier may forget it too.
	if err := x.wait(2*time.Second, "until no NOTIFY is under way"); err != nil {
		return outcome{}, err
	}
	since := x.seen.mark()
	var asked, answer trace.Message
	if err := x.exchange(ua.DoUnsubscribe, since, &asked, &answer); err != nil {
		return outcome{}, err
	}
	x.sent = append(x.sent, "SUBSCRIBE; Expires: 0")
	if answer.Raw == nil || statusOf(answer)/100 != 2 {
		x.evidence(s, since)
		return broken("%s", (&subscription{answer: answer}).line()), nil
	}
	told, err := x.awaitTold(s, since, toldWithin, func(n notice) bool { return n.state == "terminated" })
	switch {
	case err != nil:
		return outcome{}, err
	case told == nil:
		return broken("no last NOTIFY came within %s", toldWithin), nil
	}
	return held("Subscription-State: %s", told.Header("Subscription-State", "")), nil
}
