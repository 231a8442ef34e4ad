package ua

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/wire"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

// A removed contact is shown for this long.
const goneShown = 30 * time.Second

// No more than this are shown at a time.
const goneKept = 100

// notifyGrace is how long a NOTIFY may take behind the 2xx that it tells of.
const notifyGrace = 5 * time.Second

// Full state is asked for again at most this often.
const fullPause = 10 * time.Second

func (a *Agent) newDialog(d newDialog) {
	a.subCSeq, a.documents, a.askAll, a.fullSeen = 0, 0, time.Time{}, false
	a.table.Renew()
	a.sub.about = a.watched()
	if a.box == nil {
		return
	}
	if d.before != "" {
		a.box.Forget(d.before)
	}
	if a.sub.live() {
		a.box.Expect(a.sub.callID)
	}
}

// notify answers a NOTIFY by its headers and the dialog, at once, and then
// takes what it says.
func (a *Agent) notify(in *wire.Incoming, now time.Time) {
	n, err := wire.ParseNotify(in)
	if err != nil {
		in.Respond(wire.Answer{Status: 400, Reason: "Bad Request"})
		return
	}
	status, reason, news := a.sub.verdict(n)
	if (status == 481 || status == 489) && a.notifiedByHand(n, now) {
		return
	}
	answer := wire.Answer{Status: status, Reason: reason}
	switch status {
	case 489:
		answer.Headers = wire.Headers{{Name: "Allow-Events", Value: "reg"}}
	case 415:
		answer.Headers = wire.Headers{{Name: "Accept", Value: "application/reginfo+xml"}}
	case 400:
		a.finding(now, finding.Finding{Code: finding.SubscriptionStateMissing})
	}
	in.Respond(answer)
	if !news {
		return
	}
	before, lostAt := a.sub.state, a.sub.lostAt
	effects := a.sub.notified(n, now)
	if a.sub.confirmed() {
		a.poller.stop() // somebody tells
	}
	if !lostAt.IsZero() {
		a.doubt(lostAt)
	}
	if before != Active && a.sub.state == Active {
		a.apply(effects, now)
		effects = nil
	}
	if len(n.Body) > 0 {
		a.takeDocument(n)
	}
	a.heardAgain(now)
	a.apply(effects, now)
}

// doubt: a notifier that lost our subscription, or did not answer, may be a
// registrar that was restarted and has lost our binding as well, or another
// machine that never had it.
func (a *Agent) doubt(lostAt time.Time) {
	for _, l := range a.lines {
		l.doubted = l.registered() && !l.reg.held && a.leaving == nil && l.justBound.Before(lostAt)
	}
}

// toReassure: a REGISTER follows the document at hand. Where we are not registered,
// or have tried to refresh in vain, the next one is set, or the user's.
func (l *line) toReassure() bool { return l.doubted && l.reg.state == Registered }

// heardAgain: that a document does not list what is doubted is no kick: our
// registration is refreshed, as it would have been in time. The first document is
// read before that, since it may tell by a word of its own of a kick during the
// silence, and then the policy says whether we register.
func (a *Agent) heardAgain(now time.Time) {
	a.eachLine(func() {
		if a.toReassure() {
			a.apply(a.reg.want(regBind, now), now)
			a.reassuring = a.reg.inFlight == regBind && !a.account.IMS // who begins under another Call-ID at a kick
		}
		a.doubted = false
	})
}

func (a *Agent) takeDocument(n wire.Notify) {
	body := n.Body
	if n.ContentType == "multipart/mixed" {
		body = n.Part("application/reginfo+xml")
	}
	document, err := reginfo.Decode(body)
	if err != nil {
		a.receive(n, Document{Verdict: reginfo.Discarded, Reason: err.Error(), Raw: body})
		a.finding(n.At, finding.Finding{Code: finding.MalformedXML, Detail: err.Error()})
		a.tell(n.At, "document discarded: "+err.Error(), DocumentDetail{CSeq: n.CSeq, Verdict: reginfo.Discarded, Reason: err.Error()})
		return
	}
	first := a.document.At.IsZero()
	outcome := a.table.Apply(document, n.CSeq, n.At)
	a.receive(n, Document{Version: document.Version, State: document.State, Verdict: outcome.Verdict, Reason: outcome.Reason, Raw: body})
	detail := DocumentDetail{
		Version: document.Version, State: document.State, CSeq: n.CSeq,
		Registrations: len(document.Registrations), Verdict: outcome.Verdict, Reason: outcome.Reason,
	}
	for _, r := range document.Registrations {
		detail.Contacts += len(r.Contacts)
	}
	a.tell(n.At, documentSummary(detail), detail)
	for _, f := range slices.Concat(document.Findings, outcome.Findings) {
		a.finding(n.At, f)
	}
	if outcome.NeedFull && a.askAll.IsZero() {
		a.askAll = n.At
		if soonest := a.askedAll.Add(fullPause); n.At.Before(soonest) {
			a.askAll = soonest
		}
	}
	if outcome.Verdict == reginfo.Discarded {
		return
	}
	a.truths.unordered = a.truths.unordered || outcome.Reason != ""
	a.documents++
	a.document = a.received[len(a.received)-1]
	for _, r := range outcome.Registrations {
		if r.After != "" {
			a.tell(n.At, fmt.Sprintf("registration of %s is %s", r.AOR, r.After), RegistrationStateDetail{r.AOR, r.ID, r.After})
		}
	}
	for _, l := range a.lines {
		l.id.shown = l.id.shown || slices.ContainsFunc(a.table.Rows(), l.id.shows)
	}
	a.judge(outcome.Changes, first, FromNotify, n.At)
	full := document.State == reginfo.Full && !document.Incomplete
	a.fullSeen = a.fullSeen || full
	a.countOwn(full, FromNotify, n.At)
	a.forgetRows()
	a.scrutinise(n, document, n.At)
	a.compareTruths(n.At)
}

// askFull refreshes the subscription for a full document.
func (a *Agent) askFull(now time.Time) {
	a.askAll, a.askedAll = time.Time{}, now
	a.apply(a.sub.needFull(now), now)
}

func documentSummary(d DocumentDetail) string {
	summary := fmt.Sprintf("%s document", d.State)
	if d.Version.Present {
		summary += " version " + d.Version.String()
	}
	summary += " with " + plural.Count(d.Contacts, "contact")
	if d.Verdict == reginfo.Discarded {
		summary += ", discarded"
	}
	if d.Reason != "" {
		summary += ": " + d.Reason
	}
	return summary
}

// replaces reports whether a change puts a contact in the place of ours: another
// device has our instance id (RFC 5626 6).
func (a *Agent) replaces(change reginfo.Change) bool {
	if change.After == nil || !change.After.Contact.Active() || !a.matches.ofChange(change, a.id, a.ledger.has).shared {
		return false
	}
	was := change.Before
	return was == nil || !was.Contact.Active() || a.id.recognise(was.Contact, a.ledger.has).own
}

// changed judges one change and tells of it.
func (a *Agent) changed(change reginfo.Change, known evidence) {
	row, at := change.Row(), known.now
	m := a.matches.ofChange(change, a.id, a.ledger.has)
	if change.Kind == reginfo.Altered && a.replaces(change) {
		a.changed(reginfo.Change{Before: change.Before, Kind: reginfo.Vanished, Registration: change.Registration}, known)
		change = reginfo.Change{After: change.After, Kind: reginfo.Appeared, Registration: change.Registration}
	}
	removal := change.Kind == reginfo.Removed || change.Kind == reginfo.Vanished
	if removal {
		a.truths.removed(row.Contact.URI, at)
	}
	if m.own && removal && !a.reg.registered() && (known.source == FromPoll || a.missed) {
		// The answer has told it, or our own timer. But that we are not to come back
		// only a document says.
		if row.Contact.Event == reginfo.Rejected && len(a.reaction.prompts) > 0 && !known.older(row.Contact) {
			a.rejectedToo(change, m, at)
		}
		return
	}
	if m.own && removal {
		if change.Kind == reginfo.Vanished && a.doubted {
			a.tell(at, "the registrar's list lacks us after a silence: it was restarted, or took us off meanwhile; registering again", DisagreementDetail{
				Between: []string{WitnessLocal, WitnessWatched}, About: a.id.contact, Detail: "not listed after a silence of the registrar",
			})
			return
		}
		if a.pending() == regBind && !(a.reassuring && onlyNetworkSays(row.Contact.Event) && known.answered.made(row.Contact)) {
			// Did it overtake the answer to our REGISTER, or was it overtaken? The
			// answer tells.
			a.deferred = append(a.deferred, heldChange{change, at, a.cause})
			return
		}
		if change.Kind == reginfo.Vanished && known.source == FromPoll && a.reg.state == Retrying {
			return // see tellQuery
		}
		if change.Kind == reginfo.Vanished && !a.listed && (a.truths.unordered || at.Sub(a.justBound) < staleWithin) {
			return // no document since our last 2xx has listed us, and this one may be from before it
		}
		if change.Kind == reginfo.Vanished && known.source == FromNotify && a.truths.unordered && at.Sub(a.justBound) < notifyGrace {
			// Nothing says whether the document is from before that 2xx, or the one that
			// listed us was the last. The witnesses differ now: a query settles it.
			a.listed = false
			return
		}
	}
	if m.own && known.nothing(change) {
		return
	}
	j := known.judge(change, m)
	if j.stale || m.own && a.missed && j.event == reginfo.Shortened && !known.sooner(change) {
		return
	}
	a.tellContact(change, m, j, known.source, at)
	a.showGone(change, m, j, at)
	a.sharedInstance(change, m, j, known)
	kick := kickOf(j.event)
	if m.own && j.origin != OriginSelf && kick != "" && a.reg.registered() && a.leaving == nil && !a.reaction.told(kick, at) {
		a.kicked(kick, change, m, j, at)
	}
}

func (a *Agent) evidence(at time.Time) evidence {
	return evidence{
		source: FromNotify, now: at, callID: a.id.callID, contact: a.id.contact, sent: a.sent, pending: a.pending(), reassure: a.toReassure(), removed: a.removed,
		wiped:    a.removed && len(a.sent) > 0 && a.sent[len(a.sent)-1].kind == regWipe,
		answered: a.answered, spent: a.spent, expiresAt: a.reg.expiresAt, lapsedAt: a.lapsedAt, justBound: a.justBound, displacedAt: a.displacedAt,
	}
}

// settleDeferred judges the removals that waited for the end of our REGISTER.
func (a *Agent) settleDeferred(now time.Time) {
	if a.pending() == regBind {
		return
	}
	held := a.deferred
	a.deferred, a.reassuring = nil, false
	defer func(cause uint64) { a.cause = cause }(a.cause)
	for _, h := range held {
		a.cause = h.cause
		known := a.evidence(h.at)
		if !h.change.Row().Contact.CSeq.Present || h.change.Kind == reginfo.Vanished {
			if a.reg.registered() && !a.justBound.Before(h.at) {
				continue // it does not say which REGISTER it is about, and the 2xx is the later word
			}
		}
		a.changed(h.change, known)
	}
}

func (a *Agent) tellContact(change reginfo.Change, m match, j judgement, source Source, at time.Time) {
	row := change.Row()
	contact := row.Contact
	contact.Event = j.event
	if j.event == reginfo.Absent {
		contact.State = reginfo.ContactTerminated
		contact.Expires = reginfo.Number{}
	}
	a.origins[boundKey{row.AOR, row.Contact.URI}] = j.origin
	d := ContactDetail{
		AOR: row.AOR, RegistrationID: row.RegistrationID, Own: m.own, EarlierRun: m.earlierRun, MatchedBy: m.by,
		Origin: j.origin, Evidence: j.evidence, Source: source, Contact: contact,
	}
	summary := contactSummary(d)
	if d.Own {
		summary = a.flowWord() + summary
	}
	a.tell(at, summary, d)
}

func contactSummary(d ContactDetail) string {
	who := d.URI
	switch {
	case d.Own:
		who = "this device"
	case d.EarlierRun:
		who = "an earlier run of this device"
	case d.MatchedBy == ByInstance:
		who += ", with our instance id,"
	}
	summary := who + " " + d.Word()
	switch d.Origin {
	case OriginSelf:
		summary += " by us"
	case OriginNetwork:
		summary += " by the network"
	case OriginElsewhere:
		summary += " from elsewhere"
	case OriginOtherDevice:
		summary += " (other device)"
	}
	if d.Own && d.Origin != OriginSelf && len(d.Evidence) > 0 {
		summary += ": " + d.Evidence[0]
	}
	return summary
}

// showGone keeps a removed contact on show for a while.
func (a *Agent) showGone(change reginfo.Change, m match, j judgement, at time.Time) {
	row := *change.Row()
	again := func(b Binding) bool {
		sameID := b.Contact.ID == row.Contact.ID && b.Contact.ID != "" && b.Contact.CallID == row.Contact.CallID
		return b.AOR == row.AOR && (sameID || reginfo.SameURI(b.Contact.URI, row.Contact.URI))
	}
	for i := len(a.gone) - 1; i >= 0; i-- {
		if again(a.gone[i]) {
			a.gone = slices.Delete(slices.Clone(a.gone), i, i+1)
			a.goneAt = slices.Delete(a.goneAt, i, i+1)
		}
	}
	if change.Kind != reginfo.Removed && change.Kind != reginfo.Vanished {
		return
	}
	row.Contact.State, row.Contact.Event, row.ExpiresAt = reginfo.ContactTerminated, j.event, time.Time{}
	if len(a.gone) >= goneKept {
		return
	}
	a.gone = append(slices.Clone(a.gone), Binding{Row: row, Own: m.own, EarlierRun: m.earlierRun, MatchedBy: m.by, Origin: j.origin})
	a.goneAt = append(a.goneAt, at.Add(goneShown))
}

// forgetRows drops what was noted of contacts that are neither listed nor shown as
// gone, and that no removal is about which still waits.
func (a *Agent) forgetRows() {
	used, bound := make(map[rowKey]bool), make(map[boundKey]bool)
	use := func(row *reginfo.Row) {
		if row != nil {
			used[rowKey{row.AOR, row.Contact.ID}], bound[boundKey{row.AOR, row.Contact.URI}] = true, true
		}
	}
	for _, row := range a.table.Rows() {
		use(&row)
	}
	for _, b := range a.gone {
		use(&b.Row)
	}
	for _, l := range a.lines {
		for _, h := range l.deferred {
			use(h.change.Before)
			use(h.change.After)
		}
	}
	maps.DeleteFunc(a.matches, func(k rowKey, _ stuck) bool { return !used[k] })
	maps.DeleteFunc(a.origins, func(k boundKey, _ Origin) bool { return !bound[k] })
}

// countOwn looks which contacts of ours the table holds after a document, and
// brings the GRUUs in step (RFC 5628 6).
func (a *Agent) countOwn(full bool, source Source, at time.Time) {
	var own []reginfo.Row
	for _, row := range a.table.Rows() {
		if a.matchOf(&row).own {
			own = append(own, row)
			a.lineOf(&row).listed, a.ownSeen = true, true
		}
	}
	told := a.some(func(l *line) bool { return a.listedWith(l.answered) }) &&
		!a.some(func(l *line) bool { return l.registered() && !a.listedWith(l.answered) })
	if told && !a.tellBy.IsZero() {
		// The first document of a dialog comes because we subscribed.
		a.tells, a.tellBy = a.tells || a.documents > 1, time.Time{}
	}
	// While a REGISTER is under way, or about to be, the document may be from before
	// it; and a partial one that tells of others says nothing of us.
	binding := a.some(func(l *line) bool { return l.toReassure() || a.pendingOn(l) == regBind })
	if a.ownSeen && !binding && (full && a.some(func(l *line) bool { return l.listed }) || len(own) > 0) {
		before := a.ledger.public
		a.tellGRUUs(at, a.ledger.notified(own, a.unlisted(own), source))
		a.differentGRUU(before, at)
	}
}

// unlisted are the Call-IDs of our bindings over several flows that are not among the
// rows.
func (a *Agent) unlisted(own []reginfo.Row) (callIDs []string) {
	for _, l := range a.lines {
		if len(a.lines) > 1 && l.registered() && !slices.ContainsFunc(own, func(row reginfo.Row) bool { return a.lineOf(&row) == l }) {
			callIDs = append(callIDs, l.id.boundAs)
		}
	}
	return callIDs
}

// listedWith reports whether the table has our contact as that REGISTER made it.
func (a *Agent) listedWith(sent sentRegister) bool {
	for _, row := range a.table.Rows() {
		if sent.made(row.Contact) {
			return true
		}
	}
	return false
}

// noNotifyDetail says what may keep a NOTIFY away, and where it would have to come
// to.
func (a *Agent) noNotifyDetail() string {
	detail := "NAT, firewall, or notifier off"
	if a.flow == nil {
		return detail
	}
	detail += fmt.Sprintf("; Contact was %s", a.flow.Local())
	if a.behindNAT() {
		detail += fmt.Sprintf(", seen as %s", a.seenAs)
	}
	return detail
}
