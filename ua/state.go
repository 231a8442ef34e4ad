package ua

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"regwatch/internal/wire"
)

// takeSnapshot makes the state as others see it.
func (a *Agent) takeSnapshot(now time.Time) *Snapshot {
	s := &Snapshot{
		Account:      a.account.Name,
		AOR:          a.account.AOR,
		At:           now,
		Registration: a.shownRegistration(),
		Subscription: Subscription{
			State: a.sub.state, Since: a.sub.since, Status: a.sub.status, Reason: a.sub.reason, Granted: a.sub.granted,
			ExpiresAt: a.sub.expiresAt, RefreshAt: a.sub.refreshAt, RetryAt: a.sub.retryAt, Slow: a.slowSubscribe(),
		},
		Flow:     a.shownFlow(),
		GRUUs:    a.ledger.list(a.some((*line).registered)),
		Document: a.document,
		Notices:  slices.Clone(a.notices),

		Documents: a.received, Answer: a.truths.response, Listed: a.listedInFull(), Disagreements: a.truths.open(), Ping: a.lastPing,
	}
	for _, d := range s.Disagreements {
		s.Notices = append(s.Notices, d.Detail+": "+d.Remedy())
	}
	a.eachLine(func() {
		s.Prompts = append(s.Prompts, a.reaction.prompts...)
		if len(a.lines) > 1 {
			s.Flows = append(s.Flows, FlowState{a.shownFlow(), a.shownRegistration()})
		}
	})
	slices.SortFunc(s.Prompts, func(p, other Prompt) int { return cmp.Compare(p.ID, other.ID) })
	if a.poller.on {
		s.Subscription.RetryAt = a.poller.at
	}
	gone := slices.Clone(a.gone)
	for _, row := range a.table.Rows() {
		m := a.matchOf(&row)
		if m.own {
			i := slices.IndexFunc(gone, func(b Binding) bool { return b.Own && b.At.After(row.At) && b.Contact.URI == row.Contact.URI })
			if i >= 0 { // a query has told since that it is gone
				gone[i].StillListed = true
				continue
			}
		}
		s.Bindings = append(s.Bindings, Binding{
			Row: row, Own: m.own, EarlierRun: m.earlierRun, MatchedBy: m.by, Origin: a.origins[boundKey{row.AOR, row.Contact.URI}],
		})
	}
	s.Bindings = append(s.Bindings, gone...)
	return s
}

func (a *Agent) shownRegistration() Registration {
	r := Registration{
		State: a.reg.state, Since: a.reg.since, Contact: a.id.contact, Instance: a.id.instance, RegID: a.id.regID,
		CallID: a.id.callID, CSeq: a.regCSeq, Status: a.reg.status, Reason: a.reg.reason, Granted: a.reg.granted,
		ExpiresAt: a.reg.expiresAt, RefreshAt: a.reg.refreshAt, RetryAt: a.reg.retryAt, Pending: a.pending() == regBind, Slow: a.slowRegister(), RoundTrip: a.roundTrip,
		NAT: a.behindNAT(),
	}
	if a.seenAs.IsValid() {
		r.SeenAs = a.seenAs.String()
	}
	return r
}

func (a *Agent) shownFlow() Flow {
	f := a.lastFlow
	f.KeepAlive, f.Answered = string(a.keep.method), a.keep.answered
	return f
}

func (a *Agent) slowRegister() string { return a.slow(a.reg.slow, a.reg.inFlight != "") }

func (a *Agent) slowSubscribe() string {
	if a.sub.slow == noNotifyYet {
		return noNotifyYet + ": " + a.noNotifyDetail()
	}
	return a.slow(a.sub.slow, a.sub.inFlight != "")
}

// slow adds what the transport did meanwhile: over UDP a request is sent again
// after 0.5, 1.5 and 3.5 s (RFC 3261 17.1.2.2), and the network may say that it
// does not arrive.
func (a *Agent) slow(text string, underWay bool) string {
	if text != "" && a.flow != nil && a.flow.Transport() == wire.UDP {
		text = "sent 4 times, " + text
	}
	switch {
	case !underWay || a.hint == "":
		return text
	case text == "":
		return a.hint
	}
	return text + "; " + a.hint
}

func (a *Agent) tellRegistration(now time.Time) {
	d := RegistrationDetail{
		State: a.reg.state, AOR: a.account.AOR, RegID: a.id.regID, Contact: a.id.contact,
		Status: a.reg.status, Reason: a.reg.reason, CallID: a.id.callID, CSeq: a.regCSeq,
		Heard: a.reg.reached,
	}
	slow := a.slowRegister()
	if slow != "" {
		d.Reason = slow
	}
	if a.flow != nil {
		d.Transport = a.flow.Transport()
	}
	if a.seenAs.IsValid() {
		d.SeenAs = a.seenAs.String()
	}
	summary := string(d.State)
	switch {
	case d.State == Registered:
		d.Expires = Seconds(a.reg.expiresAt.Sub(now).Round(time.Second))
		switch {
		case slow != "":
			summary = "registered; refreshing: " + d.Reason
		case d.Reason != "":
			summary = fmt.Sprintf("registered for %d s more: %s", int(a.reg.granted.Seconds()), d.Reason)
		default:
			summary = fmt.Sprintf("registered for %d s, answered in %s", int(a.reg.granted.Seconds()), shortly(a.roundTrip))
		}
	case d.Reason != "":
		summary += ": " + d.Reason
	}
	if !a.reg.retryAt.IsZero() {
		d.RetryIn = Seconds(a.reg.retryAt.Sub(now))
		summary += fmt.Sprintf(", next try in %s", a.reg.retryAt.Sub(now).Round(time.Second))
	}
	a.tell(now, a.flowWord()+summary, d)
}

func (a *Agent) tellSubscription(now time.Time) {
	d := SubscriptionDetail{State: a.sub.state, AOR: a.account.AOR, Status: a.sub.status, Reason: a.sub.reason, Heard: a.sub.reached}
	if slow := a.slowSubscribe(); slow != "" {
		d.Reason = slow
	}
	summary := "subscription " + string(d.State)
	switch d.State {
	case NotifyWait:
		summary = "subscribing to our own registration"
	case Active:
		d.Expires = Seconds(a.sub.expiresAt.Sub(now))
		summary = fmt.Sprintf("watching our own registration for %d s", int(a.sub.granted.Seconds()))
	case Unsupported:
		summary = "the registrar has no reg event for us"
	}
	if d.Reason != "" {
		summary += ": " + d.Reason
	}
	if d.State == Polling {
		if a.watching == d {
			return // tried again, to no avail
		}
		a.watching = d
		summary = fmt.Sprintf("no reg event: asking for the bindings every %s", a.poller.every)
		if d.Reason != "" {
			summary += ": " + d.Reason
		}
		a.tell(now, summary, d)
		return
	}
	a.watching = d
	if !a.sub.retryAt.IsZero() && a.sub.wanted {
		d.RetryIn = Seconds(a.sub.retryAt.Sub(now))
		summary += fmt.Sprintf(", next try in %s", a.sub.retryAt.Sub(now).Round(time.Second))
	}
	a.tell(now, summary, d)
}

func (a *Agent) tellUnderWay(e tellUnderWay, now time.Time) {
	reason := "a SUBSCRIBE is under way: " + e.how
	a.tell(now, reason, SubscriptionDetail{State: a.sub.state, AOR: a.account.AOR, Status: a.sub.status, Reason: reason})
}

// shortly writes a round-trip time with no more digits than it deserves.
func shortly(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// NewInstance makes an instance id for a device: a random urn:uuid (RFC 5626 4.1,
// RFC 4122 4.4).
func NewInstance() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails (crypto/rand)
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}
