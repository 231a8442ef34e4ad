package ua

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// effectOf reads from the request, as it stands, what it would do. A removal under
// our URI counts as ours though it shows another instance: a registrar that tells
// bindings by their URIs alone will take it so.
func (a *Agent) effectOf(r *wire.Request, now time.Time) turnEffect {
	e := turnEffect{kind: regQuery, ours: a.isForUs(r)}
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	cseq, _, _ := r.Headers.CSeq()
	for _, address := range contacts {
		c := ContactOf(address)
		asked := asksFor(r, c)
		removes := asked == 0
		ours := !a.account.WatchOnly && a.id.registers(c)
		if !ours && c.URI != "*" {
			c.CallID, c.CSeq = r.Headers.Get("Call-ID"), reginfo.Num(uint64(cseq))
			e.others = append(e.others, boundByHand{contact: c, at: now, until: now.Add(seconds(asked)), taken: removes})
		}
		switch {
		case c.URI == "*":
			e.kind = regWipe
		case !ours && (a.account.WatchOnly || !removes || !reginfo.SameURI(c.URI, a.id.contact)):
			if e.kind == regQuery {
				e.kind = regOther
			}
		case removes:
			e.kind = regUnbind
		default:
			e.kind, e.asked = regBind, asked
		}
	}
	if !e.ours {
		return turnEffect{kind: regQuery}
	}
	return e
}

// isForUs reports whether a request is for our address-of-record, at our registrar.
func (a *Agent) isForUs(r *wire.Request) bool {
	to, err := wire.ParseNameAddr(r.Headers.Get("To"))
	if err != nil || !reginfo.SameURI(to.URI, a.account.AOR) {
		return false
	}
	asked, err := wire.ParseURI(r.URI)
	ours, _ := parseHop(a.registerURI())
	return err == nil && strings.EqualFold(asked.Host, ours.Host)
}

// asksFor is for how many seconds a Contact asks to be bound; what cannot be read
// counts as not given, and that as an hour (RFC 3261 10.2.1.1).
func asksFor(r *wire.Request, c reginfo.Contact) uint32 {
	if c.Expires.Present {
		return uint32(c.Expires.Value)
	}
	if n, ok := r.Headers.Number("Expires"); ok {
		return n
	}
	return DefaultExpires
}

// noteByHand replaces what was known of the contacts, and keeps the newest.
func (id *identity) noteByHand(list []boundByHand) {
	const kept = 64
	for _, b := range list {
		id.others = append(slices.DeleteFunc(slices.Clone(id.others), func(known boundByHand) bool {
			return known.contact.URI == b.contact.URI && known.contact.Instance == b.contact.Instance && known.contact.RegID == b.contact.RegID
		}), b)
	}
	id.others = id.others[max(0, len(id.others)-kept):]
}

// grantByHand takes from a 2xx how long the contacts are bound that are not ours.
func (id *identity) grantByHand(r *wire.Response, now time.Time) {
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	id.others = slices.Clone(id.others)
	for i, b := range id.others {
		for _, address := range contacts {
			if c := ContactOf(address); c.Expires.Present && id.isBoundByHand(c, b) {
				id.others[i].until = now.Add(seconds(uint32(c.Expires.Value)))
			}
		}
	}
}

// shareByHand has each line know those contacts.
func (a *Agent) shareByHand() {
	for _, l := range a.lines {
		l.id.others = a.id.others
	}
}

func (a *Agent) byHandResult(r turnResult, now time.Time) {
	t := r.turn
	if a.turn != t {
		return
	}
	if r.err != nil {
		a.endByHand(t, Exchange{}, r.err, now)
		return
	}
	if !t.what.subscribes() {
		a.roundTrip = r.response.RoundTrip
	}
	a.learnFromAnswer(r.response)
	end := func(fault string) { a.answeredByHand(t, r.response, fault, a.group.now()) }
	challenged := r.response.Status == 401 || r.response.Status == 407
	if !challenged || t.abandoned() || a.leaving != nil {
		end("")
		return
	}
	again := func(ok bool, fault string) {
		switch {
		case a.turn != t: // its caller went while the password was asked for
		case !ok:
			end(fault)
		case t.cseq == highestCSeq:
			end("no higher CSeq is left to answer with")
		default:
			a.apply([]effect{sendByHand{t}}, a.group.now())
		}
	}
	switch t.what.Credentials {
	case CredentialsNone:
		end("not answered, as asked")
	case CredentialsWrong:
		ok, err := t.creds.Learn(r.response)
		again(err == nil && ok && t.tries < exchangeMax, "answered with a wrong password, as asked")
	default:
		a.challenged(r.response, &t.answeredTo, t.tries, a.asking(t), again)
	}
}

// answeredByHand takes the final answer.
func (a *Agent) answeredByHand(t *turn, r *wire.Response, fault string, now time.Time) {
	x := Exchange{Status: r.Status, RoundTrip: r.RoundTrip, Outcome: fmt.Sprintf("%d %s", r.Status, cut(r.Reason, 80))}
	if fault != "" {
		x.Outcome += ": " + fault
	}
	x.Outcome += ", answered in " + shortly(r.RoundTrip)
	if r.Status < 300 && !t.what.subscribes() {
		contacts, _ := r.Headers.ParseNameAddrs("Contact")
		for _, c := range contacts {
			x.Contacts = append(x.Contacts, ContactOf(c))
		}
	}
	switch {
	case t.what.subscribes():
		a.subscribedByHand(t, r, now)
	case !t.ours:
	case r.Status < 300:
		a.acceptedByHand(t, r, now)
	default:
		a.removed, a.id.others, a.displacedAt = t.before.removed, t.before.others, t.before.displacedAt
		a.shareByHand()
	}
	a.endByHand(t, x, nil, now)
	if t.ours && r.Status < 300 {
		a.responded(r, now)
	}
}

// acceptedByHand takes from a 2xx what became of our own binding.
func (a *Agent) acceptedByHand(t *turn, r *wire.Response, now time.Time) {
	a.takeRoutes(r)
	a.id.grantByHand(r, now)
	a.shareByHand()
	ours, listed := a.ourContact(r)
	left := time.Duration(0)
	if listed {
		left = seconds(grantedBy(r, ours, t.asked))
	}
	switch t.kind {
	case regBind:
		if left == 0 {
			a.apply(a.reg.lostByHand("the answer to a REGISTER by hand does not list our contact", now), now)
			return
		}
		a.boundBy(sentRegister{callID: t.callID, cseq: t.cseq, kind: regBind, contact: a.id.contact, byHand: true}, r, ours, t.asked, now)
		a.agreeKeepAlive(r, now)
		a.apply(a.reg.boundByHand(left, r.Status, now), now)
	case regUnbind, regWipe:
		if left > 0 {
			a.removed = t.before.removed
			return
		}
		a.reaction.clear() // what was to happen by itself does not
		a.apply(a.reg.removedByHand(r.Status, now), now)
	case regQuery:
		if !listed && a.reg.registered() {
			a.absentByQuery(now)
		}
	case regOther:
		if !listed {
			// A registrar that tells bindings by their URIs took ours for the other.
			left = a.leftOfURI(r)
		}
		a.reg.countedByHand(left, now)
	}
}

// leftOfURI is how long our URI is still bound, whoever is said to have it.
func (a *Agent) leftOfURI(r *wire.Response) time.Duration {
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	for _, c := range contacts {
		if reginfo.SameURI(c.URI, a.id.contact) {
			return seconds(grantedBy(r, c, 0))
		}
	}
	return 0
}

// grantedBy is for how many seconds a 2xx says that a Contact is bound
// (RFC 3261 10.2.4).
func grantedBy(r *wire.Response, c wire.NameAddr, asked uint32) uint32 {
	if n, ok := wire.LeadingNumber(c.Params.Get("expires")); ok {
		return n
	}
	if n, ok := r.Headers.Number("Expires"); ok {
		return n
	}
	return asked
}

// endByHand tells of the exchange and gives the turn on.
func (a *Agent) endByHand(t *turn, x Exchange, err error, now time.Time) {
	defer a.use(t.line)()
	a.turn = nil
	if err != nil {
		switch {
		case t.what.subscribes():
			a.refusedSubscribe(t, 0, now)
		case t.ours:
			a.removed, a.displacedAt = t.before.removed, t.before.displacedAt
		}
		if x.Outcome == "" {
			x.Outcome = explain(err)
		}
		err = fmt.Errorf("%s by hand: %w", cmp.Or(t.what.Method, MethodRegister), err)
	}
	x.Messages = t.exchange().Messages
	x.Effect = a.didByHand(t, x.Status)
	if t.tries > 0 {
		a.tellByHand(t, x, now)
	}
	t.done <- turnEnd{exchange: x, err: err}
	if !t.what.subscribes() {
		a.apply(a.reg.finish(now), now)
		a.settleDeferred(now)
	}
}

// didByHand says what came of an exchange for what is ours.
func (a *Agent) didByHand(t *turn, status int) string {
	switch {
	case status == 0:
		return ""
	case status/100 != 2:
		return "it changes nothing of ours"
	case t.what.subscribes():
		return a.didSubscribe(t)
	case !t.ours:
		return "it is not about our address-of-record: nothing of ours is changed"
	case t.kind == regBind && a.reg.registered():
		return fmt.Sprintf("we are registered for %d s, and refresh it from now on", int(a.reg.granted.Seconds()))
	case t.kind == regBind:
		return "the answer does not list our contact: we are not registered"
	case t.kind == regOther:
		return "it binds what is not our contact: nobody refreshes that, or removes it at the end"
	case t.kind == regQuery:
		return "a query: it changes nothing"
	case a.reg.registered():
		return "the answer lists our contact still: we are registered"
	}
	return "we are unregistered, and stay off"
}

func (a *Agent) tellByHand(t *turn, x Exchange, now time.Time) {
	if t.what.subscribes() {
		a.tellSubscribeByHand(t, x, now)
		return
	}
	d := RegistrationDetail{
		State: a.reg.state, AOR: a.account.AOR, RegID: a.id.regID, Contact: a.id.contact, Transport: a.lastFlow.Transport,
		Status: x.Status, Reason: "by hand: " + x.Outcome, CallID: t.callID, CSeq: t.cseq,
	}
	if d.State == "" {
		d.State = Unregistered // an account that only watches
	}
	summary, accepted := d.Reason, x.Status/100 == 2
	if accepted {
		summary += ", " + plural.Count(len(x.Contacts), "contact") + " bound"
	}
	if a.reg.registered() {
		d.Expires = Seconds(a.reg.expiresAt.Sub(now).Round(time.Second))
		if accepted && t.kind == regBind {
			summary += fmt.Sprintf(": registered for %d s", int(a.reg.granted.Seconds()))
		}
	}
	a.tell(now, summary, d)
}

// boundByHand: a REGISTER by hand bound our contact.
func (r *registration) boundByHand(d time.Duration, status int, now time.Time) []effect {
	anew := !r.registered()
	r.status, r.failures, r.held, r.flowGone = status, 0, false, false
	r.granting(d, now)
	r.enter(Registered, "", now)
	return []effect{boundEffect{anew}}
}

// removedByHand: a REGISTER by hand removed our contact, and it stays off.
func (r *registration) removedByHand(status int, now time.Time) []effect {
	r.status = status
	r.drop()
	r.enter(Unregistered, "unregistered by hand", now)
	return []effect{lostEffect{cause: "we unregistered by hand"}}
}

// lostByHand: the registrar took a REGISTER by hand for our contact, and yet does
// not list it. Who was registered wants to be so again.
func (r *registration) lostByHand(reason string, now time.Time) []effect {
	if !r.registered() {
		return nil
	}
	r.drop()
	r.failures++
	r.retryAt = now.Add(backoff(r.failures, r.elsewhere))
	r.enter(Retrying, reason, now)
	return []effect{lostEffect{cause: reason}, tellRegistration{}}
}

// countedByHand: a REGISTER by hand that was not for our binding shows how long the
// registrar counts that. Where it has changed it after all, the sooner end counts.
func (r *registration) countedByHand(left time.Duration, now time.Time) {
	if left == 0 || !r.registered() || !now.Add(left+expirySlack).Before(r.expiresAt) {
		return
	}
	held := r.held
	r.grant(now, left)
	if held {
		r.refreshAt = time.Time{}
	}
}
