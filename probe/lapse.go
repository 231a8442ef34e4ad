package probe

import (
	"time"

	"regwatch/ua"
)

const (
	// patience is the longest that a binding is waited for to lapse.
	patience = 3 * time.Minute
	// lapseSlack is how late, or early, a registrar may be: it counts in seconds,
	// and its clock is not ours.
	lapseSlack = 2 * time.Second
)

// lapse is what became of a binding that nobody refreshed.
type lapse struct {
	outcome
	contact contact
	ended   time.Time     // when it should have gone; zero: it was not bound
	mark    int           // of the messages, when it was bound
	watched *subscription // meanwhile; nil: none was
}

func lapses(x *exam) (outcome, error) {
	l, err := x.letLapse()
	if err != nil {
		return outcome{}, err
	}
	return l.outcome, nil
}

// letLapse binds a contact for as short as the registrar allows, and lets it run
// out, once a run. Where the reg event is examined too, it is watched meanwhile.
func (x *exam) letLapse() (*lapse, error) {
	if x.lapsed != nil {
		return x.lapsed, nil
	}
	l, err := x.tryLapse()
	if err == nil {
		x.lapsed = l
	}
	return l, err
}

func (x *exam) tryLapse() (*lapse, error) {
	l := &lapse{contact: x.second()}
	if x.chooses("event.expired") {
		s, out, err := x.watching()
		if err != nil {
			return nil, err
		}
		if out.verdict == "" {
			l.watched = s
		}
		x.sent = nil // that was for another check
	}
	s, err := x.askShortest()
	if err != nil {
		return nil, err
	}
	l.mark = x.seen.mark()
	const least = 4 // seconds: less is hard to tell from none
	minimum := max(s.minimum, least)
	if time.Duration(minimum)*time.Second > patience {
		l.outcome = notTried("the shortest time is %d s, longer than is waited for", minimum)
		return l, nil
	}
	a, err := x.bindFor(minimum, l.contact, ua.ByHand{})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	seconds, ok := grantedTo(a, l.contact)
	granted := time.Duration(min(seconds, 1<<31)) * time.Second
	switch {
	case !a.accepted() || !a.lists(l.contact) || !ok:
		l.outcome = notTried("the contact that it needs was not bound: %s", a.short())
		return l, nil
	case granted > patience:
		l.outcome = notTried("asked for %d s, granted %d s, longer than is waited for", minimum, seconds)
		return l, nil
	}
	if err := x.wait(granted/2, "until half the time of a binding is over"); err != nil {
		return nil, err
	}
	during, err := x.query()
	if err != nil {
		return nil, err
	}
	if err := x.wait(granted-time.Since(began)+lapseSlack, "until a binding has lapsed"); err != nil {
		return nil, err
	}
	after, err := x.query()
	if err != nil {
		return nil, err
	}
	l.ended = began.Add(granted)
	switch {
	case !during.lists(l.contact):
		l.outcome = broken("granted %d s, and gone after half of it: %s", seconds, during.short())
	case after.lists(l.contact):
		l.outcome = broken("granted %d s, and still listed %s after it: %s", seconds, lapseSlack, after.short())
	default:
		l.outcome = held("granted %d s, and gone after it: %s", seconds, after.short())
		x.forget(l.contact)
	}
	return l, nil
}
