package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

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

func subscriptionExpiry(x *exam, s *subscription) (outcome, error) {
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

func subscriptionRefresh(x *exam, s *subscription) (outcome, error) {
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
		return notTried("%s came", plural.Count(len(all), "document")), nil
	}
	return held("%d documents, versions %s to %s", len(all), all[0].document.Version, all[len(all)-1].document.Version), nil
}

func subscriptionEnd(x *exam, s *subscription) (outcome, error) {
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
