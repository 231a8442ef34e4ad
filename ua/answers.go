package ua

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/plural"
	"regwatch/internal/wire"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

// No exchange takes more requests than this: stale nonces without end are no
// reason to go on.
const exchangeMax = 5

func (a *Agent) registerResult(r registerResult, now time.Time) {
	current := func() bool { return r.cseq == a.regCSeq && a.reg.inFlight != "" && a.reg.inFlight != regHand }
	if !current() {
		return
	}
	switch {
	case heard(r.err):
		a.apply(a.reg.unanswered(explain(r.err), now), now)
		a.settleDeferred(now)
		return
	case r.err != nil:
		a.suspect = r.flow
		a.apply(a.reg.broken(a.withHint(explain(r.err)), now), now)
		a.settleDeferred(now)
		return
	}
	a.roundTrip = r.response.RoundTrip
	a.learnFromAnswer(r.response)
	answer := a.readRegisterAnswer(r.response)
	if answer.status == 503 {
		a.overloaded(&answer, now)
	}
	finish := func() {
		now := a.group.now()
		if !current() {
			return // the connection went while the password was asked for
		}
		if answer.status < 300 {
			a.registerAccepted(r, now)
		}
		a.apply(a.reg.answered(answer, now), now)
		a.settleDeferred(now)
		if answer.status < 300 {
			a.responded(r.response, now)
		}
	}
	if answer.status == 401 || answer.status == 407 {
		a.challenged(r.response, &a.reg.answeredTo, a.reg.tries, &a.reg.asking, func(ok bool, fault string) {
			answer.retryAuth, answer.authFault = ok, fault
			finish()
		})
		return
	}
	finish()
}

// heard reports whether something came over the flow, though no answer: that is
// no failure of the target (RFC 3263 4.3).
func heard(err error) bool {
	return errors.Is(err, wire.ErrUnfinished) || errors.Is(err, wire.ErrMismatch)
}

// explain says in words why no answer came.
func explain(err error) string {
	switch {
	case errors.Is(err, wire.ErrUnfinished):
		return "only provisional answers within 32 s"
	case errors.Is(err, wire.ErrTimeout):
		return "no answer within 32 s"
	case errors.Is(err, wire.ErrClosed):
		return "closed"
	}
	return strings.TrimPrefix(err.Error(), wire.ErrTransport.Error()+": ")
}

// learnFromAnswer takes from any final answer what it tells of the way.
func (a *Agent) learnFromAnswer(r *wire.Response) {
	if r.Status != 503 { // RFC 3263 4.3: a failure of the target
		a.group.avoid.Worked(a.target)
	}
	a.hint = ""
	if seen, ok := r.SeenAs(); ok {
		a.seenAs = seen
		a.keep.see(a.behindNAT(), a.group.now())
	}
	a.authenticated(r)
}

// authenticated takes from an answer what it says of our credentials.
func (a *Agent) authenticated(r *wire.Response) {
	if err := a.creds.Accepted(r); err != nil && !slices.Contains(a.notices, err.Error()) {
		a.notices = append(a.notices, err.Error())
	}
}

// overloaded notes that the target takes no requests now, for as long as it says,
// and sees whether there is another. Its Retry-After is the registration's where
// there is none that could be asked sooner (RFC 3261 21.5.4, RFC 3263 4.3).
func (a *Agent) overloaded(answer *registerAnswer, now time.Time) {
	if answer.hasRetry {
		a.group.avoid.Hold(a.target, now, now.Add(min(seconds(answer.retryAfter), retryAfterMost)))
	} else {
		a.group.avoid.Failed(a.target, now)
	}
	answer.another = a.anotherTarget(now)
	if slices.ContainsFunc(a.targets, func(t wire.Target) bool { return t != a.target && !a.group.avoid.Holds(t, now) }) {
		answer.hasRetry = false
	}
}

func (a *Agent) readRegisterAnswer(r *wire.Response) registerAnswer {
	answer := registerAnswer{status: r.Status, reason: r.Reason, expires: a.reg.expires}
	if a.reg.inFlight == regUnbind || a.reg.inFlight == regWipe {
		answer.expires = 0
	}
	answer.minExpires, answer.hasMin = r.Headers.Number("Min-Expires")
	answer.retryAfter, answer.hasRetry = r.Headers.Number("Retry-After")
	answer.unsupported, answer.required = r.Headers.Tokens("Unsupported"), r.Headers.Tokens("Require")
	if r.Status >= 300 {
		answer.points = pointsOf(r)
		return answer
	}
	// RFC 3261 10.2.4: our Contact's parameter, else the header field.
	if n, ok := r.Headers.Number("Expires"); ok {
		answer.expires = n
	}
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	answer.listed = len(contacts)
	if ours, ok := a.ourContact(r); ok {
		answer.ours = true
		if n, ok := wire.LeadingNumber(ours.Params.Get("expires")); ok {
			answer.expires = n
		}
	}
	return answer
}

// ourContact finds our binding among those that a 2xx lists: by URI, else, where
// the registrar rewrote that, by instance and reg-id. The URI comes first, since
// the device may have left a binding under another address; but one under our URI
// that shows another instance or reg-id is not ours.
func (a *Agent) ourContact(r *wire.Response) (ours wire.NameAddr, ok bool) {
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	i := slices.IndexFunc(contacts, func(c wire.NameAddr) bool { return reginfo.SameURI(c.URI, a.id.contact) && a.isOurs(c) })
	if i < 0 {
		i = slices.IndexFunc(contacts, a.isOurs)
	}
	if i < 0 {
		return wire.NameAddr{}, false
	}
	return contacts[i], true
}

// isOurs reports whether a contact of an answer is this device, under whatever
// URI.
func (a *Agent) isOurs(c wire.NameAddr) bool { return a.id.registers(ContactOf(c)) }

// registerAccepted takes from a 2xx what is not the state machine's.
func (a *Agent) registerAccepted(r registerResult, now time.Time) {
	a.takeRoutes(r.response)
	ours, ok := a.ourContact(r.response)
	if a.reg.inFlight == regQuery {
		a.tellQuery(r, now)
	}
	if a.reg.inFlight == regBind && ok {
		a.boundBy(sentRegister{callID: a.id.callID, cseq: r.cseq, kind: regBind, contact: a.id.contact}, r.response, ours, a.reg.expires, now)
		if r.flow == a.flow {
			a.agreeKeepAlive(r.response, now)
		}
	}
}

// takeRoutes takes Service-Route and P-Associated-URI: replaced by each 2xx, gone
// when that has none (RFC 3608 6.1).
func (a *Agent) takeRoutes(r *wire.Response) {
	a.identities = identitiesOf(r)
	a.service = r.Headers.Routes("Service-Route")
}

// boundBy takes from the 2xx to a REGISTER that bound us what it says of our
// Contact beside the expiry; asked are the seconds that the REGISTER asked for.
func (a *Agent) boundBy(sent sentRegister, r *wire.Response, ours wire.NameAddr, asked uint32, now time.Time) {
	a.outbound = r.Headers.HasToken("Require", "outbound")
	// The document that tells of this REGISTER may have overtaken its 2xx.
	a.answered, a.justBound, a.listed, a.missed, a.short = sent, now, a.listedWith(sent), false, false
	if a.tellBy = (time.Time{}); !a.listed {
		a.tellBy = now.Add(2 * notifyGrace)
	} else if a.documents > 1 {
		a.tells = true
	}
	if granted := grantedBy(r, ours, asked); granted > asked {
		a.finding(now, finding.Finding{Code: finding.GrantedLonger, Detail: fmt.Sprintf("asked for %d s, granted %d s", asked, granted)})
	}
	if a.id.boundAs != "" && a.id.boundAs != sent.callID {
		// RFC 5627 4.2: another Call-ID voids the temporary ones that were given before.
		a.tellGRUUs(now, a.ledger.void("our binding has another Call-ID", FromRegister, func(g GRUU) bool { return g.CallID == sent.callID }))
	}
	a.id.boundAs = sent.callID
	before := a.ledger.public
	a.tellGRUUs(now, a.ledger.learnPublic(a.account.AOR, ours.Params.Get("pub-gruu"), FromRegister))
	a.differentGRUU(before, now)
	a.tellGRUUs(now, a.ledger.learnTemporary(GRUU{
		AOR: a.account.AOR, URI: ours.Params.Get("temp-gruu"), CallID: sent.callID, CSeq: sent.cseq, RegID: a.id.regID,
	}, FromRegister))
}

// tellQuery says what the registrar holds for the address-of-record, and which of our
// bindings are not there.
func (a *Agent) tellQuery(r registerResult, now time.Time) {
	contacts, _ := r.response.Headers.ParseNameAddrs("Contact")
	reason := "queried: " + plural.Count(len(contacts), "contact") + " bound"
	asked := a.reg.sentAt
	var found []func() // told behind the query itself
	a.eachLine(func() {
		who := "ours"
		if len(a.lines) > 1 {
			who = fmt.Sprintf("flow %d", a.id.regID)
		}
		l := a.line
		on := func(f func()) {
			found = append(found, func() {
				defer a.use(l)()
				f()
			})
		}
		_, ours := a.ourContact(r.response)
		switch {
		case a.reg.inFlight != "" && a.reg.inFlight != regQuery, a.justBound.After(asked):
			return // the answer may be from before it
		case ours:
			reason += ", " + who + " among them"
			on(func() { a.shortenedByQuery(r, now) })
		case a.reg.registered() && (a.reg.state == Retrying || a.poller.silent):
			// As in heardAgain.
			reason += ", " + who + " is not among them after a silence: registering again"
			if a.reg.state == Registered && !a.reg.held && a.leaving == nil {
				a.apply(a.reg.want(regBind, now), now)
			}
		case a.reg.registered():
			reason += ", " + who + " is not among them"
			on(func() { a.absentByQuery(now) })
		}
	})
	if !a.quiet {
		a.tell(now, reason, RegistrationDetail{
			State: a.reg.state, AOR: a.account.AOR, Status: r.response.Status, Reason: reason, CallID: a.id.callID, CSeq: r.cseq,
		})
	}
	for _, tell := range found {
		tell()
	}
}

// absentByQuery: the registrar's own answer does not list us though our time
// still runs. That settles it: we were removed without a word.
func (a *Agent) absentByQuery(now time.Time) {
	a.missed = true
	contact := reginfo.Contact{
		URI: a.id.contact, CallID: a.id.callID, Instance: a.id.instance,
		State: reginfo.ContactTerminated, Event: reginfo.Absent,
	}
	if len(a.lines) > 1 {
		contact.RegID = reginfo.Num(uint64(a.id.regID))
	}
	row := reginfo.Row{AOR: a.account.AOR, Contact: contact, At: now}
	change := reginfo.Change{Before: &row, Kind: reginfo.Vanished}
	m, j := match{own: true, by: ByURI}, judgement{event: reginfo.Absent}
	left := a.reg.expiresAt.Sub(now).Round(time.Second)
	j.say(OriginNetwork, "a query does not list it", fmt.Sprintf("our registration still had %s to run", left))
	source := FromRegister
	if a.poller.on {
		source = FromPoll
	}
	a.tellContact(change, m, j, source, now)
	a.showGone(change, m, j, now)
	if a.leaving == nil {
		a.kicked(KickAbsent, change, m, j, now)
	}
}

// shortenedByQuery: the registrar's own answer ends our binding sooner than was
// granted to us, and no document told it. Where there is a poll, that makes a
// document of the answer.
func (a *Agent) shortenedByQuery(r registerResult, now time.Time) {
	ours, _ := a.ourContact(r.response)
	n, ok := wire.LeadingNumber(ours.Params.Get("expires"))
	ends := now.Add(seconds(n))
	if !ok || a.poller.on || a.short || !a.reg.registered() || a.leaving != nil || !ends.Add(expirySlack).Before(a.reg.expiresAt) {
		return
	}
	a.missed = true
	contact := ContactOf(ours)
	contact.Event, contact.CallID = reginfo.Shortened, a.id.callID
	row := reginfo.Row{AOR: a.account.AOR, Contact: contact, At: now, ExpiresAt: ends}
	change := reginfo.Change{After: &row, Kind: reginfo.Altered}
	m, j := match{own: true, by: ByURI}, judgement{event: reginfo.Shortened}
	j.say(OriginNetwork, fmt.Sprintf("a query says that it ends %s sooner than was granted to us", left(a.reg.expiresAt, ends)))
	a.tellContact(change, m, j, FromRegister, now)
	a.kicked(KickShortened, change, m, j, now)
}

func (a *Agent) tellGRUUs(now time.Time, list []GRUUDetail) {
	for _, d := range list {
		summary := fmt.Sprintf("%s GRUU %s: %s", d.Type, d.Change, d.URI)
		if d.Cause != "" {
			summary += " (" + d.Cause + ")"
		}
		a.tell(now, summary, d)
	}
}

// boundNow: a 2xx bound our contact.
func (a *Agent) boundNow(bound boundEffect, now time.Time) {
	a.removed, a.lapsedAt = false, time.Time{}
	a.reaction.clear()
	a.save()
	a.chooseFront(now)
	a.withdraw(now)
	if bound.anew && !a.some(func(l *line) bool { return l != a.line && l.registered() }) {
		a.sub.boundAnew()
	}
	// A registration that succeeds is a reason to ask again where the notifier
	// said no to the SUBSCRIBE before, or where nobody answered.
	idle := !a.sub.live() && a.sub.inFlight == "" && (a.sub.retryAt.IsZero() || a.sub.status == 0)
	if a.leaving == nil && idle && (a.sub.wanted || a.sub.state == "") {
		a.watch(now)
	}
	if a.flow == nil && a.leaving == nil {
		// It went behind the 2xx, and was noticed before that.
		a.apply(a.reg.flowLost(a.lastFlow.Cause, 0, now), now)
	}
	switch {
	case !a.sub.confirmed(), a.line != a.front:
	case a.moved():
		a.apply(a.sub.move(now), now)
	case a.account.IMS && a.sub.inFlight == "":
		a.apply(a.sub.want(now), now) // TS 24.229 5.1.1.3: refreshed with the registration
	}
}

// lostNow: our contact is no longer bound, by our own doing or by lapse.
func (a *Agent) lostNow(lost lostEffect, now time.Time) {
	if lost.lapse {
		a.lapsedAt = now
		a.scrutiny.lapseToldBy = now.Add(lapseToldWithin)
	}
	a.outbound, a.spent = false, a.answered
	a.keep.agree(promise{}, now)
	a.voidGRUUs(lost.cause, now)
	a.save()
}

func (a *Agent) subscribeResult(r subscribeResult, now time.Time) {
	current := func() bool { return r.callID == a.sub.callID && r.cseq == a.subCSeq && a.sub.inFlight != "" }
	if !current() {
		return // the dialog that it belongs to is over
	}
	if r.astray != "" {
		a.goneAstray(r.astray, now)
	}
	switch {
	case r.err != nil && r.hop != "":
		a.goneAstray(r.hop, now)
		a.apply(a.sub.send(now), now)
		return
	case r.err != nil:
		if a.sub.reached = heard(r.err); !a.sub.reached {
			a.suspect = r.flow
		}
		a.apply(a.sub.broken(a.withHint(explain(r.err)), errors.Is(r.err, wire.ErrTransport), now), now)
		return
	}
	if r.hop == "" {
		a.learnFromAnswer(r.response)
	} else {
		a.authenticated(r.response)
	}
	answer := readSubscribeAnswer(r.response)
	if answer.status == 401 || answer.status == 407 {
		a.sub.notifyBy = time.Time{} // a non-2xx stops Timer N, and a password may take long
		a.challenged(r.response, &a.sub.answeredTo, a.sub.tries, &a.sub.asking, func(ok bool, fault string) {
			if !current() {
				return
			}
			answer.retryAuth, answer.authFault = ok, fault
			now := a.group.now()
			a.apply(a.sub.answered(answer, now), now)
		})
		return
	}
	a.apply(a.sub.answered(answer, now), now)
}

func readSubscribeAnswer(r *wire.Response) subscribeAnswer {
	answer := subscribeAnswer{status: r.Status, reason: r.Reason}
	answer.expires, answer.hasExpires = r.Headers.Number("Expires")
	answer.minExpires, _ = r.Headers.Number("Min-Expires")
	answer.retryAfter, answer.hasRetry = r.Headers.Number("Retry-After")
	if contacts, _ := r.Headers.ParseNameAddrs("Contact"); len(contacts) > 0 && wire.IsURI(contacts[0].URI) {
		answer.target = contacts[0].URI
	}
	return answer
}

// challenged decides whether a 401 or 407 is answered: then gets true, or why
// not. answeredTo are the realms whose challenges were answered in this exchange:
// one that comes again rejects what it was given. Credentials sent ahead with a
// kept nonce are no such answer, and the other realm of a proxy is another
// question. then may be called later, when a password had to be fetched; asking
// is true until then.
func (a *Agent) challenged(r *wire.Response, answeredTo *[]string, tries int, asking *bool, then func(ok bool, fault string)) {
	if a.secret == secretUnknown && !a.creds.Known() && a.account.Password != nil {
		a.secret = secretLoading
		password := a.account.Password
		go func() {
			defer guard.Recover(a.group.options.OnPanic)
			secret, err := password()
			a.post(secretResult{secret, err})
		}()
	}
	if a.secret == secretLoading {
		*asking = true
		l := a.line
		a.onSecret = append(a.onSecret, func() {
			defer a.use(l)()
			a.challenged(r, answeredTo, tries, asking, then)
		})
		return
	}
	*asking = false
	realms := r.Realms()
	tried := slices.ContainsFunc(realms, func(realm string) bool { return slices.Contains(*answeredTo, realm) })
	*answeredTo = append(*answeredTo, realms...)
	again, err := a.creds.Learn(r)
	if a.creds.AKA != nil {
		a.save() // a sequence number is good for once
	}
	switch {
	case err != nil:
		then(false, err.Error())
	case !a.creds.Known() && a.secretFault != nil:
		a.creds.Forget()
		then(false, a.secretFault.Error())
	case !a.creds.Known():
		a.creds.Forget()
		then(false, "a password is needed and none is set")
	case tried && !again:
		a.creds.Forget()
		then(false, "user name or password is wrong")
	case tries >= exchangeMax:
		a.creds.Forget()
		then(false, "it asks for credentials again and again")
	default:
		then(true, "")
	}
}

func (a *Agent) secretResult(r secretResult) {
	a.secret = secretLoaded
	a.creds.Password = r.password
	a.secretFault = r.err
	waiting := a.onSecret
	a.onSecret = nil
	for _, f := range waiting {
		f()
	}
}
