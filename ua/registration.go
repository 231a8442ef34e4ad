package ua

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// regKind is what a REGISTER is for.
type regKind string

const (
	regBind   regKind = "register"   // bind our contact, or refresh it
	regUnbind regKind = "unregister" // remove our contact
	regQuery  regKind = "query"      // list the bindings (RFC 3261 10.2.3)
	regWipe   regKind = "remove all" // Contact: * (RFC 3261 10.2.2)
	regHand   regKind = "by hand"    // as a tester has it; Agent.pending says what it is to our binding
	regOther  regKind = "others"     // of those by hand: for other contacts
)

const (
	// A non-INVITE transaction over UDP gives up after this (64*T1).
	transactionTime = 32 * time.Second
	// Said once a request is this old: over UDP it was sent four times by then.
	slowAfter = 7 * time.Second
	// RFC 5626 4.5: the wait doubles from the base with each failure, to the cap.
	backoffBase          = 30 * time.Second
	backoffBaseElsewhere = 90 * time.Second // while another flow holds
	backoffCap           = 1800 * time.Second
	// In place of a wait: none. No time at all is to back off.
	atOnce time.Duration = -1
)

// registration is the state machine of our own registration (RFC 3261 10). It
// is given inputs and the time, and gives back what is to be done.
//
// One REGISTER is under way at a time; others wait in wanted. One after another
// they are an exchange, until an answer ends it.
type registration struct {
	state   RegistrationState
	since   time.Time
	status  int
	reason  string
	reached bool // something came for the attempt that failed, though no answer

	home    string   // URI of the account's registrar
	proxy   string   // of its outbound proxy; "": none
	follow  bool     // 3xx are followed
	expires uint32   // asked for; raised by 423
	ims     bool     // refreshed as TS 24.229 has it
	offers  []string // option tags in Supported; fewer after 420 and 439

	redirection
	inFlight   regKind // "" none
	sentAt     time.Time
	answeredTo []string // realms whose challenge was answered in this exchange
	tries      int      // requests sent in this exchange
	asking     bool     // an answer is here, and waits for the password
	slow       string
	wanted     []regKind

	granted   time.Duration
	expiresAt time.Time // zero: not registered
	refreshAt time.Time // zero: no refresh is set
	retryAt   time.Time // zero: no retry is set
	failures  int       // in a row
	flowGone  bool      // a good flow was lost; the one immediate attempt is used up
	boundAt   time.Time // of the last 2xx
	brief     int       // flows in a row that were lost as soon as they bound us
	elsewhere bool      // another flow of the account holds: see backoff
	held      bool      // shortened, and the user is to decide: no refresh
}

// What the registration asks of its agent.
type (
	sendRegister struct{ kind regKind }
	// tellRegistration makes a registration event of the state as it is.
	tellRegistration struct{}
	// boundEffect: a 2xx bound our contact.
	boundEffect struct {
		anew bool // it was not bound before, by our count
	}
	// lostEffect: our contact is no longer bound, by our own doing or lapse.
	lostEffect struct {
		cause string
		lapse bool // its time ran out
	}
	// tellQueryFailed makes an event of a query that failed.
	tellQueryFailed struct{ reason string }
	// needFlow: the way to the registrar is to be made anew before the next try.
	needFlow struct{}
	// needTarget: the one that we used wants no requests now (RFC 3263 4.3).
	needTarget struct{}
)

type effect any

// registerAnswer is what a final answer to a REGISTER says to the machine.
type registerAnswer struct {
	status      int
	reason      string
	ours        bool   // our Contact is among those returned
	listed      int    // how many are
	expires     uint32 // of our Contact, else of the Expires field, else what we asked
	minExpires  uint32
	hasMin      bool
	retryAfter  uint32
	hasRetry    bool
	retryAuth   bool     // a challenge that we can answer, and that is no refusal
	authFault   string   // why we cannot
	unsupported []string // of a 420
	required    []string // of a 421
	points      []string // of a 3xx: where it points, best first
	another     bool     // of a 503: there is another target to be tried at once
}

// line is the reason in words: what was answered, and what that means.
func (a registerAnswer) line(words string) string {
	line := fmt.Sprintf("%d %s", a.status, cut(a.reason, 80))
	if line = strings.TrimSpace(line); words != "" {
		line += ": " + words
	}
	return line
}

func (r *registration) registered() bool { return !r.expiresAt.IsZero() }

func (r *registration) enter(state RegistrationState, reason string, now time.Time) {
	if r.state != state {
		r.since = now
	}
	r.state, r.reason = state, reason
}

// want asks for a REGISTER as soon as none is under way.
func (r *registration) want(kind regKind, now time.Time) []effect {
	if kind == regBind {
		r.retryAt, r.held = time.Time{}, false
	}
	if r.inFlight == "" {
		return r.begin(kind, now)
	}
	if kind == regQuery {
		if r.inFlight != kind && !slices.Contains(r.wanted, kind) {
			r.wanted = append(r.wanted, kind)
		}
		return nil
	}
	// Of what would change the binding, the last wish counts.
	r.wanted = slices.DeleteFunc(r.wanted, func(k regKind) bool { return k != regQuery })
	if r.inFlight != kind {
		r.wanted = append(r.wanted, kind)
	}
	return nil
}

func (r *registration) begin(kind regKind, now time.Time) []effect {
	r.inFlight, r.sentAt, r.answeredTo, r.tries, r.slow = kind, now, nil, 1, ""
	effects := []effect{sendRegister{kind}}
	if kind == regBind {
		r.restart()
	}
	switch {
	case kind == regBind && !r.registered():
		r.enter(Registering, "", now)
		effects = append(effects, tellRegistration{})
	case kind == regUnbind || kind == regWipe:
		r.refreshAt, r.retryAt = time.Time{}, time.Time{}
		r.enter(Unregistering, "", now)
		effects = append(effects, tellRegistration{})
	}
	return effects
}

// again sends the REGISTER under way once more, with another CSeq: after a
// challenge, a 3xx, a 420, a 423 or a 439.
func (r *registration) again(now time.Time) []effect {
	r.sentAt = now
	r.tries++
	return []effect{sendRegister{r.inFlight}}
}

// finish ends the exchange and begins what waits.
func (r *registration) finish(now time.Time, effects ...effect) []effect {
	r.inFlight, r.slow, r.asking = "", "", false
	if len(r.wanted) > 0 {
		kind := r.wanted[0]
		r.wanted = r.wanted[1:]
		effects = append(effects, r.begin(kind, now)...)
	}
	return effects
}

// answered takes the final answer to the REGISTER under way.
func (r *registration) answered(a registerAnswer, now time.Time) []effect {
	r.status, r.asking = a.status, false
	again := r.tries < exchangeMax
	switch {
	case a.status < 300:
		return r.accepted(a, now)
	case a.status < 400:
		return r.redirected(a, now)
	case a.status == 401 || a.status == 407:
		if a.retryAuth {
			return r.again(now)
		}
		return r.lost(refuse, a.line(a.authFault), 0, now)
	case a.status == 420 && again && r.lacking(a.unsupported):
		return r.again(now)
	case a.status == 423 && again && r.inFlight == regBind && a.minExpires > r.expires && a.minExpires <= minExpiresMost:
		// RFC 3261 10.2.8: ask for as much as the registrar wants.
		r.expires = a.minExpires
		return r.again(now)
	case a.status == 439 && again && r.lacking([]string{"outbound"}):
		// RFC 5626 11.6: the first hop knows no outbound; once more without.
		return r.again(now)
	}
	m := meaningOf(a.status)
	var effects []effect
	if a.status == 503 {
		effects = append(effects, needTarget{})
	}
	switch {
	case a.another:
		// RFC 3263 4.3: at once, to the next target. The Retry-After is this one's.
		return append(effects, r.lost(backOff, a.line(m.words), atOnce, now)...)
	case m.later && a.hasRetry:
		words := fmt.Sprintf("it asks to wait %d s", a.retryAfter)
		wait := seconds(a.retryAfter)
		if wait > retryAfterMost {
			wait, words = retryAfterMost, words+", we wait a day"
		}
		if wait == 0 && r.failures == 0 && r.inFlight == regBind {
			// RFC 5626 4.2.1: at once; but not without end.
			r.failures, wait = 1, atOnce
		}
		return append(effects, r.lost(backOff, a.line(words), wait, now)...)
	}
	return append(effects, r.lost(m.course, a.line(r.unmended(a)), 0, now)...)
}

func (r *registration) accepted(a registerAnswer, now time.Time) []effect {
	switch r.inFlight {
	case regQuery:
		return r.finish(now)
	case regUnbind, regWipe:
		reason := "unregistered by us"
		if a.ours && a.expires > 0 {
			reason = fmt.Sprintf("we unregistered, but the registrar still lists our contact for %d s", a.expires)
		}
		r.drop()
		r.enter(Unregistered, reason, now)
		return r.finish(now, tellRegistration{}, lostEffect{cause: "we unregistered"})
	}
	if !a.ours || a.expires == 0 {
		// RFC 3261 10.3: the 200 lists what is bound; what it does not list is not.
		words := fmt.Sprintf("but our contact is not among the bindings (%d)", a.listed)
		if a.ours {
			words = "but our contact has 0 s left"
		}
		reason := fmt.Sprintf("%d %s, %s", a.status, cut(a.reason, 80), words)
		if !r.registered() {
			return r.lost(backOff, reason, 0, now)
		}
		r.drop()
		return append([]effect{lostEffect{cause: reason}}, r.lost(backOff, reason, 0, now)...)
	}
	anew := !r.registered()
	r.failures, r.held, r.flowGone = 0, false, false
	r.granting(seconds(a.expires), now)
	r.enter(Registered, "", now)
	return r.finish(now, tellRegistration{}, boundEffect{anew})
}

// granting takes the time that an answer grants. The registrar may have begun to
// count when we sent the request; but no answer is so late that most of the time
// is over.
func (r *registration) granting(d time.Duration, now time.Time) {
	r.boundAt = now
	r.grant(now.Add(-min(now.Sub(r.sentAt), d/2)), d)
}

// grant sets when the binding ends, counted from the time given, and when it is
// refreshed: so early that the transaction can time out before the end (RFC 5627
// 4.2): 32 s ahead and a little more where there is room, half-way where there is
// not.
func (r *registration) grant(from time.Time, d time.Duration) {
	r.granted, r.expiresAt, r.retryAt = d, from.Add(d), time.Time{}
	r.refreshAt = from.Add(refreshAfter(d, r.ims))
}

func refreshAfter(d time.Duration, ims bool) time.Duration {
	if ims {
		return imsRefreshAfter(d)
	}
	if d <= 2*transactionTime {
		return d / 2
	}
	// Earlier, never later: many clients that started together drift apart.
	early := transactionTime + rand.N(min(d/10, time.Minute))
	return max(d-early, d/2)
}

func (r *registration) drop() {
	r.granted, r.expiresAt, r.refreshAt, r.retryAt, r.held = 0, time.Time{}, time.Time{}, time.Time{}, false
	r.redirection = redirection{}
}

// kicked: the network took our contact off.
func (r *registration) kicked(reason string, now time.Time) []effect {
	r.drop()
	r.enter(Unregistered, reason, now)
	return []effect{tellRegistration{}}
}

// shortened: the network brought the end of the binding nearer. With hold it is
// not refreshed until somebody says so.
func (r *registration) shortened(left time.Duration, hold bool, now time.Time) []effect {
	if !r.registered() {
		return nil
	}
	r.grant(now, left)
	if r.held = hold; hold {
		r.refreshAt = time.Time{}
	}
	r.reason = "shortened by the network"
	return []effect{tellRegistration{}}
}

// tick does what is due.
func (r *registration) tick(now time.Time) []effect {
	var effects []effect
	if due(r.slowAt(), now) {
		r.slow = fmt.Sprintf("no answer for %d s", int(slowAfter.Seconds()))
		effects = append(effects, tellRegistration{})
	}
	if r.inFlight == "" && (due(r.refreshAt, now) || due(r.retryAt, now)) {
		// Before the end is looked at: both are due where the machine slept.
		r.refreshAt = time.Time{}
		effects = append(effects, r.want(regBind, now)...)
	}
	if r.registered() && !now.Before(r.expiresAt) {
		r.granted, r.expiresAt = 0, time.Time{}
		cause := "our registration ran out"
		if r.idle() && r.retryAt.IsZero() {
			r.drop()
			if r.state == Registered {
				r.enter(Unregistered, cause, now)
			}
		} else {
			r.enter(Retrying, cause+" while we tried to refresh it", now)
		}
		effects = append(effects, lostEffect{cause, true}, tellRegistration{})
	}
	return effects
}

// idle reports whether nothing of our own is under way, nor waits behind a REGISTER
// by hand.
func (r *registration) idle() bool {
	return r.inFlight == "" || r.inFlight == regHand && r.refreshAt.IsZero() && len(r.wanted) == 0
}

// slowAt is when to say that no answer comes; zero: never.
func (r *registration) slowAt() time.Time {
	if r.inFlight == "" || r.inFlight == regHand || r.asking || r.slow != "" {
		return time.Time{}
	}
	return r.sentAt.Add(slowAfter)
}

// next is when tick has something to do; zero: never.
func (r *registration) next() time.Time {
	at := earliest(r.slowAt(), r.expiresAt)
	if r.inFlight == "" {
		at = earliest(earliest(at, r.refreshAt), r.retryAt)
	}
	return at
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// earliest of two times, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
