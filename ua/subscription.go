package ua

import (
	"fmt"
	"time"

	"regwatch/internal/wire"
)

// subKind is what a SUBSCRIBE is for.
type subKind string

const (
	subOpen  subKind = "subscribe"
	subRenew subKind = "refresh"
	subClose subKind = "unsubscribe"
)

// Because a subscription ended we subscribe anew at most once in this time.
const resubscribePause = 30 * time.Second

// subscription is the state machine of the subscriber (RFC 6665 4.1) and its
// dialog. It is given inputs and the time, and gives back what is to be done.
type subscription struct {
	state   SubscriptionState
	since   time.Time
	status  int
	reached bool // something came for the attempt that failed, though no answer
	reason  string

	expires uint32 // asked for; raised by 423
	wanted  bool   // the user, or the account, wants to be subscribed
	ims     bool   // refreshed as TS 24.229 has it
	mayPoll bool   // where there is no reg event, polling takes its place
	polling bool   // it does; trying again to subscribe changes nothing until it succeeds

	dialog
	closed closedDialog

	inFlight   subKind // "" none
	sentAt     time.Time
	answeredTo []string // realms whose challenge was answered in this exchange
	tries      int      // requests sent in this exchange
	asking     bool     // an answer is here, and waits for the password
	ended      bool     // a NOTIFY has ended it meanwhile, as we asked
	again      subKind  // wanted once the one under way is over
	slow       string
	ruled      bool // a NOTIFY has said for how long, since that was sent

	granted   time.Duration
	expiresAt time.Time
	refreshAt time.Time
	notifyBy  time.Time // Timer N runs out; zero: not running
	retryAt   time.Time
	anewAt    time.Time // when we last subscribed anew because one had ended
	lostAt    time.Time // when an active one ended without a word; zero: none did since the last NOTIFY
	failures  int
	barred    bar
}

// bar is what a notifier's last word asks us to wait for before we subscribe anew
// (RFC 6665 4.1.3).
type bar int

const (
	notBarred   bar = iota
	untilBound      // noresource, invariant: until there is another registration to watch
	untilWanted     // rejected: until a person says so
)

// closedDialog is one that we have left by unsubscribing: its last NOTIFY may
// come until Timer N runs out (RFC 6665 4.1.2.3, 4.4.1).
type closedDialog struct {
	callID, fromTag, remoteTag string
	until                      time.Time
}

// ends reports whether n is the last NOTIFY of the dialog.
func (d closedDialog) ends(n wire.Notify) bool {
	return !d.until.IsZero() && n.At.Before(d.until) && n.CallID == d.callID && n.ToTag == d.fromTag && n.FromTag == d.remoteTag &&
		n.Event == "reg" && n.EventID == "" && n.State.State == "terminated"
}

// What the subscription asks of its agent.
type (
	sendSubscribe    struct{ kind subKind }
	tellSubscription struct{}
	// tellUnderWay: what the user asks for needs nothing more to be sent.
	tellUnderWay struct{ how string }
	// newDialog: a fresh Call-ID and tag are in place; tables start anew.
	newDialog struct{ before string }
	// noNotify: a 2xx came and no NOTIFY after it.
	noNotify struct{}
	// startPolling: nobody will tell us.
	startPolling struct{}
)

// subscribeAnswer is what a final answer to a SUBSCRIBE says to the machine.
type subscribeAnswer struct {
	status     int
	reason     string
	expires    uint32
	hasExpires bool
	minExpires uint32
	retryAfter uint32
	hasRetry   bool
	target     string // its Contact; "": none that can be one
	retryAuth  bool
	authFault  string
}

func (s *subscription) enter(state SubscriptionState, reason string, now time.Time) {
	if s.polling && state != Active && state != Pending {
		state = Polling
		if reason == "" {
			reason = s.reason
		}
	}
	if s.state != state {
		s.since = now
	}
	s.state, s.reason = state, reason
}

// poll takes polling in the place of a subscription.
func (s *subscription) poll(reason string, now time.Time) []effect {
	s.polling = true
	s.enter(Polling, reason, now)
	return []effect{startPolling{}, tellSubscription{}}
}

// ask is want for the user. Where what he asks for is under way he is told so: the
// NOTIFY that it brings has the full state (RFC 3680 4.3), and a second SUBSCRIBE
// would bring no more.
func (s *subscription) ask(now time.Time) []effect {
	s.failures, s.barred = 0, notBarred // what a person begins is not backed off from
	effects := s.want(now)
	switch {
	case effects != nil || s.again != "":
		return effects
	case s.asking:
		return []effect{tellUnderWay{"the password is asked for"}}
	case s.inFlight != "":
		return []effect{tellUnderWay{"the registrar has not answered yet"}}
	}
	return []effect{tellUnderWay{"accepted, and the NOTIFY is on its way"}}
}

// want subscribes, or refreshes the subscription that is there.
func (s *subscription) want(now time.Time) []effect {
	s.wanted = true
	if s.inFlight != "" {
		switch {
		case s.inFlight == subClose:
			s.again = subOpen
		case s.again == subClose:
			s.again = "" // it is no longer wished for
		}
		return nil
	}
	switch {
	case s.live() && s.confirmed():
		return s.begin(subRenew, now)
	case s.live() && !s.notifyBy.IsZero():
		return nil // the first NOTIFY is on its way
	case s.barred != notBarred:
		return nil
	}
	return s.open(now)
}

// move refreshes since NOTIFYs would go where we are no more. What is under way
// says where we were, and so one more follows it.
func (s *subscription) move(now time.Time) []effect {
	if s.inFlight != "" {
		if s.inFlight != subClose && s.again == "" {
			s.again = subOpen
		}
		return nil
	}
	return s.want(now)
}

// needFull refreshes for the full document that a refresh brings. Where one is
// under way it comes anyway; the SUBSCRIBE that made the dialog may still be
// unanswered though its NOTIFYs are here.
func (s *subscription) needFull(now time.Time) []effect {
	switch {
	case !s.wanted || !s.live():
		return nil // a last document asks for nothing
	case s.inFlight == subOpen:
		s.again = subOpen
		return nil
	}
	return s.want(now)
}

// open subscribes in a new dialog.
func (s *subscription) open(now time.Time) []effect {
	return append(s.openIn(freshDialog(), now), s.begin(subOpen, now)...)
}

func (s *subscription) openIn(d dialog, now time.Time) []effect {
	before := s.callID
	s.dialog = d
	s.granted, s.expiresAt, s.refreshAt, s.retryAt = 0, time.Time{}, time.Time{}, time.Time{}
	s.enter(NotifyWait, "", now)
	return []effect{newDialog{before}, tellSubscription{}}
}

func (s *subscription) begin(kind subKind, now time.Time) []effect {
	s.inFlight, s.answeredTo, s.tries, s.refreshAt = kind, nil, 0, time.Time{}
	s.ended = false
	return s.send(now)
}

// send sends what is under way, for the first time or again with another CSeq.
func (s *subscription) send(now time.Time) []effect {
	s.sentAt, s.slow, s.ruled = now, "", false
	s.tries++
	s.notifyBy = now.Add(transactionTime) // Timer N (RFC 6665 4.1.2.2, 4.1.2.4)
	if s.inFlight == subClose {
		s.notifyBy = time.Time{} // see closedDialog
	}
	return []effect{sendSubscribe{s.inFlight}}
}

// unsubscribe ends the subscription, and stays without.
func (s *subscription) unsubscribe(now time.Time) []effect {
	s.wanted, s.retryAt, s.polling = false, time.Time{}, false
	switch {
	case s.inFlight == subClose:
		s.again = ""
		return nil
	case s.inFlight != "":
		s.again = subClose
		return nil
	case s.live() && s.confirmed():
		return s.begin(subClose, now)
	}
	if s.state == "" || s.state == Unsupported || s.state == Terminated {
		return nil // there is nothing to end
	}
	effects := s.over("unsubscribed", now)
	return append(effects, tellSubscription{})
}

// leave keeps in mind what tells the last NOTIFY of the dialog.
func (s *subscription) leave(now time.Time) {
	s.closed = closedDialog{s.callID, s.fromTag, s.remoteTag, now.Add(transactionTime)}
}

// lost is over for a dialog that the notifier has forgotten, or is silent in.
func (s *subscription) lost(reason string, now time.Time) []effect {
	if s.confirmed() && s.wanted {
		s.lostAt = now
	}
	return s.over(reason, now)
}

// over forgets the dialog.
func (s *subscription) over(reason string, now time.Time) []effect {
	before := s.callID
	s.callID, s.fromTag, s.remoteTag = "", "", ""
	s.granted, s.expiresAt, s.refreshAt, s.notifyBy, s.slow = 0, time.Time{}, time.Time{}, time.Time{}, ""
	s.enter(Terminated, reason, now)
	if before == "" {
		return nil
	}
	return []effect{newDialog{before}}
}

// drop is over with what is under way as well: nobody waits for its answer.
func (s *subscription) drop(reason string, now time.Time) []effect {
	s.inFlight, s.asking, s.again = "", false, ""
	return s.over(reason, now)
}

// replace leaves the dialog, which the notifier will find out, and subscribes in
// another one. Its notifier may be another machine.
func (s *subscription) replace(reason string, now time.Time) []effect {
	if s.confirmed() {
		s.lostAt = now
	}
	return append(s.drop(reason, now), s.open(now)...)
}

func (s *subscription) finish(now time.Time, effects ...effect) []effect {
	s.inFlight, s.slow, s.asking = "", "", false
	next := s.again
	s.again = ""
	switch next {
	case subClose:
		effects = append(effects, s.unsubscribe(now)...)
	case subOpen:
		effects = append(effects, s.want(now)...)
	}
	return effects
}

// noNotifyYet is what is slow where the SUBSCRIBE was answered, and no more.
const noNotifyYet = "200 to SUBSCRIBE but no NOTIFY"

// tick does what is due.
func (s *subscription) tick(now time.Time) []effect {
	var effects []effect
	if s.inFlight != "" && !s.asking && s.slow == "" && !now.Before(s.sentAt.Add(slowAfter)) {
		s.slow = fmt.Sprintf("no answer for %d s", int(slowAfter.Seconds()))
		effects = append(effects, tellSubscription{})
	}
	if s.awaitsNotify() && s.slow == "" && !now.Before(s.sentAt.Add(slowAfter)) {
		s.slow = noNotifyYet
		effects = append(effects, tellSubscription{})
	}
	if due(s.notifyBy, now) {
		answered := s.inFlight == ""
		s.notifyBy = time.Time{}
		if answered {
			effects = append(effects, noNotify{})
			if s.polling = s.mayPoll; s.polling {
				effects = append(effects, startPolling{})
			}
			effects = append(effects, s.lost("no NOTIFY within 32 s", now)...)
			s.retry(0, false, now)
			effects = append(effects, tellSubscription{})
		} else {
			s.notifyBy = now.Add(time.Second) // the transaction is about to time out
		}
	}
	if s.inFlight == "" && due(s.expiresAt, now) {
		effects = append(effects, s.lost("ran out", now)...)
		s.anew(now)
		effects = append(effects, tellSubscription{})
	}
	if s.inFlight == "" && due(s.refreshAt, now) && s.wanted {
		effects = append(effects, s.begin(subRenew, now)...)
	}
	if s.inFlight == "" && due(s.retryAt, now) && s.wanted {
		effects = append(effects, s.open(now)...)
	}
	return effects
}

// awaitsNotify: the SUBSCRIBE that opens was accepted, and nothing has come.
func (s *subscription) awaitsNotify() bool {
	return s.state == NotifyWait && s.inFlight == "" && !s.notifyBy.IsZero()
}

// next is when tick has something to do; zero: never.
func (s *subscription) next() time.Time {
	at := s.notifyBy
	if s.awaitsNotify() && s.slow == "" {
		at = earliest(at, s.sentAt.Add(slowAfter))
	}
	if s.inFlight != "" {
		if s.slow == "" && !s.asking {
			at = earliest(at, s.sentAt.Add(slowAfter))
		}
		return at
	}
	if s.wanted {
		at = earliest(earliest(at, s.refreshAt), s.retryAt)
	}
	return earliest(at, s.expiresAt)
}
