package ua

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// handSub is a subscription that a tester made and that is not the agent's own.
type handSub struct {
	dialog
	event, id string // of its Event, the package in lower case
}

func (h *handSub) same(o handSub) bool {
	return h.callID == o.callID && h.fromTag == o.fromTag && h.event == o.event && h.id == o.id
}

// turnSubscribe is what a turn holds where its request is a SUBSCRIBE.
type turnSubscribe struct {
	sub    subKind // what the first one is to our own subscription; "" nothing
	subWas struct {
		state     SubscriptionState
		since     time.Time
		status    int
		reason    string
		wanted    bool
		retryAt   time.Time
		refreshAt time.Time
	}
	hand  handSub // where it is nothing to ours
	fresh bool    // nothing was known of hand
	waits bool    // the answer waits for the password
}

// holds reports whether a SUBSCRIBE by hand is the one under way in our own
// subscription: that may have ended meanwhile.
func (a *Agent) holds(t *turn) bool { return t.sub != "" && t.callID == a.sub.callID }

// subscribeByHand notes what a SUBSCRIBE by hand that is about to leave may change.
func (a *Agent) subscribeByHand(t *turn, r *wire.Request, now time.Time) {
	if t.tries > 1 {
		if a.holds(t) {
			a.sub.sentAt, a.sub.slow = now, ""
		}
		return
	}
	s := &a.sub
	t.sub = a.subscribeKind(t, r)
	t.subWas.state, t.subWas.since, t.subWas.status, t.subWas.reason = s.state, s.since, s.status, s.reason
	t.subWas.wanted, t.subWas.retryAt, t.subWas.refreshAt = s.wanted, s.retryAt, s.refreshAt
	if t.sub == "" {
		a.noteHandSub(t, r)
		return
	}
	a.subVia = a.flow
	if t.sub == subOpen {
		a.subPeer = a.flow.Remote().Addr()
	}
	a.apply(s.beginByHand(t.sub, t.dialog, now), now)
}

// subscribeKind reads from a SUBSCRIBE, as it stands, what it is to our own
// subscription. Outside a dialog "Expires: 0" is a fetch (RFC 6665 4.4.3).
func (a *Agent) subscribeKind(t *turn, r *wire.Request) subKind {
	event, id := eventOf(r)
	to, _ := wire.ParseNameAddr(r.Headers.Get("To"))
	asked, given := r.Headers.Number("Expires")
	ends := given && asked == 0
	switch within := a.sub.live(); {
	case t.what.CallID != "" && t.callID != a.sub.callID, event != "reg", id != "", !reginfo.SameURI(to.URI, t.about),
		r.Headers.Tag("From") != t.fromTag, r.Headers.Tag("To") != t.remoteTag:
		return ""
	case within && ends:
		return subClose
	case within:
		return subRenew
	case ends:
		return ""
	}
	return subOpen
}

// eventOf is what a SUBSCRIBE subscribes to, as ParseNotify reads it from a NOTIFY.
func eventOf(r *wire.Request) (event, id string) {
	value := r.Headers.Get("Event")
	event, _, _ = strings.Cut(value, ";")
	if parsed, err := wire.ParseNameAddr(value); err == nil {
		id = parsed.Params.Get("id")
	}
	return strings.ToLower(strings.TrimSpace(event)), id
}

func (a *Agent) noteHandSub(t *turn, r *wire.Request) {
	const kept = 64
	t.hand.dialog = t.dialog
	t.hand.fromTag, t.hand.remoteTag = r.Headers.Tag("From"), r.Headers.Tag("To")
	t.hand.event, t.hand.id = eventOf(r)
	if t.fresh = !slices.ContainsFunc(a.handSubs, t.hand.same); t.fresh {
		a.handSubs = append(a.handSubs, t.hand)
		a.handSubs = a.handSubs[max(0, len(a.handSubs)-kept):]
	}
}

// notifiedByHand answers a NOTIFY of a subscription that a tester made; false
// where it is of none.
func (a *Agent) notifiedByHand(n wire.Notify, now time.Time) bool {
	i := slices.IndexFunc(a.handSubs, func(h handSub) bool { return h.belongs(n) && h.event == n.Event && h.id == n.EventID })
	if i < 0 {
		return false
	}
	a.handSubs[i].heard(n)
	if n.State.State == "terminated" {
		a.handSubs = slices.Delete(a.handSubs, i, i+1)
	}
	n.Respond(wire.Answer{Status: 200, Reason: "OK"})
	state := cut(n.Headers.Get("Subscription-State"), 80)
	a.tellReached(n.Incoming, fmt.Sprintf("NOTIFY of a subscription by hand to %s (%s)", n.Event, state), 200)
	return true
}

// subscribedByHand takes the final answer.
func (a *Agent) subscribedByHand(t *turn, r *wire.Response, now time.Time) {
	switch {
	case r.Status >= 300:
		a.refusedSubscribe(t, r.Status, now)
	case a.holds(t):
		if t.sub == subClose {
			a.sub.wanted, a.sub.polling = false, false
			a.poller.stop()
		}
		a.apply(a.sub.answered(readSubscribeAnswer(r), now), now)
	default:
		a.freeSubscription(t, now)
	}
}

// refusedSubscribe: a SUBSCRIBE by hand got another answer than a 2xx, or none
// (status 0), and leaves all as it was.
func (a *Agent) refusedSubscribe(t *turn, status int, now time.Time) {
	switch {
	case a.holds(t):
		a.apply(a.sub.refusedByHand(t, status, now), now)
	case t.sub == "" && t.fresh:
		a.handSubs = slices.DeleteFunc(a.handSubs, t.hand.same)
	default:
		a.freeSubscription(t, now)
	}
}

// freeSubscription: what a SUBSCRIBE by hand was sent in has ended below it.
func (a *Agent) freeSubscription(t *turn, now time.Time) {
	if t.sub != "" && !a.sub.live() && a.sub.inFlight != "" {
		a.apply(a.sub.finish(now), now)
	}
}

// beginByHand: a SUBSCRIBE by hand is about to leave in our own subscription.
func (s *subscription) beginByHand(kind subKind, d dialog, now time.Time) []effect {
	var effects []effect
	if kind == subOpen {
		effects = s.openIn(d, now)
	}
	s.wanted = true
	s.begin(kind, now) // whose effect is on its way already
	return effects
}

// refusedByHand: it was refused, or not answered.
func (s *subscription) refusedByHand(t *turn, status int, now time.Time) []effect {
	s.notifyBy = time.Time{} // RFC 6665 4.1.2.1
	kind := s.inFlight
	switch {
	case kind == subClose && s.ended: // the NOTIFY was the answer
		s.wanted = false
		return s.finish(now, append(s.over("unsubscribed", now), tellSubscription{})...)
	case kind == subOpen && s.confirmed(): // the NOTIFY overtook a 2xx that never came
		return s.finish(now)
	case kind == subOpen:
		effects := s.over("", now)
		was := &t.subWas
		s.state, s.since, s.status, s.reason = was.state, was.since, was.status, was.reason
		s.wanted, s.retryAt = was.wanted, was.retryAt
		return s.finish(now, append(effects, tellSubscription{})...)
	}
	s.refreshAt = t.subWas.refreshAt
	switch {
	case kind == subClose && !s.wanted: // somebody else wants it to end, too
		s.again = subClose
	case endsDialog(status) && s.again == "":
		s.again = subOpen // it may have been what the tester wrote, or the subscription
	}
	return s.finish(now)
}

// didSubscribe says what a SUBSCRIBE did that got a 2xx.
func (a *Agent) didSubscribe(t *turn) string {
	switch t.sub {
	case "":
		return "it is no subscription of the agent's: NOTIFYs are answered and shown, and nobody refreshes it"
	case subClose:
		return "our subscription is ended, and we stay without"
	case subOpen:
		return fmt.Sprintf("we are subscribed for %d s, and refresh it from now on", int(a.sub.granted.Seconds()))
	}
	return fmt.Sprintf("our subscription is refreshed for %d s", int(a.sub.granted.Seconds()))
}

func (a *Agent) tellSubscribeByHand(t *turn, x Exchange, now time.Time) {
	d := SubscriptionDetail{State: a.sub.state, AOR: a.account.AOR, Status: x.Status, Reason: "by hand: " + x.Outcome}
	if d.State == "" {
		d.State = Terminated
	}
	if !a.sub.expiresAt.IsZero() {
		d.Expires = Seconds(a.sub.expiresAt.Sub(now).Round(time.Second))
	}
	a.tell(now, "SUBSCRIBE "+d.Reason, d)
}
