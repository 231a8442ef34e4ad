package probe

import (
	"fmt"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

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

// whileTold makes a check of what follows for a contact that a NOTIFY told of.
func whileTold(check func(*exam, *subscription, contact) (outcome, error)) func(*exam) (outcome, error) {
	return func(x *exam) (outcome, error) {
		s, c, told, out, err := x.bindWatched()
		switch {
		case err != nil || out.verdict != "":
			return out, err
		case told == nil:
			return notTried("no NOTIFY told that the contact was bound"), nil
		}
		return check(x, s, c)
	}
}

func toldRefreshed(x *exam, s *subscription, c contact) (outcome, error) {
	since := x.seen.mark()
	if _, out, err := x.bindOne(c, ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	told, err := x.awaitTold(s, since, toldWithin, func(n notice) bool { _, ok := n.tells(c); return ok })
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

func toldUnregistered(x *exam, s *subscription, c contact) (outcome, error) {
	since := x.seen.mark()
	if a, err := x.unbind(c); err != nil || !a.accepted() {
		return notTried("the contact was not removed: %s", a.short()), err
	}
	told, err := x.awaitTold(s, since, toldWithin, func(n notice) bool { return goneFrom(n, c) })
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
	return held("%s", plural.Count(gone, "terminated contact")), nil
}
