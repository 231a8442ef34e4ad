package ua

import (
	"fmt"
	"slices"
	"time"

	"regwatch/reginfo"
)

// lapseSlack is how far the registrar's clock for our binding may run ahead of
// ours before its end is no lapse.
const lapseSlack = 2 * time.Second

// staleWithin is how long a document may be under way behind a 2xx that it knows
// nothing of. Later than that a lower CSeq has another reason: a border controller
// that answers our refreshes itself leaves the registrar's behind.
const staleWithin = 2 * transactionTime

// expirySlack is by how much two expiry times may differ and mean the same.
const expirySlack = 5 * time.Second

// sentRegister is a REGISTER of this run that may have changed our binding.
type sentRegister struct {
	callID  string
	cseq    uint32
	kind    regKind
	contact string // that we had then
	byHand  bool
}

func (s sentRegister) String() string {
	if s.byHand {
		return "REGISTER by hand"
	}
	return "REGISTER"
}

// evidence is what the agent knows about itself when a change of a contact is
// to be judged.
type evidence struct {
	source      Source
	now         time.Time
	callID      string         // of our REGISTERs
	contact     string         // the URI that we register now
	sent        []sentRegister // the newest last, answered or not
	pending     regKind        // of the REGISTER under way; "" none
	reassure    bool           // one that refreshes our binding follows this document
	removed     bool           // our removal is under way, or was the last that was answered
	wiped       bool           // and it was of all bindings
	answered    sentRegister   // our last REGISTER that bound us and got a 2xx
	spent       sentRegister   // the last whose binding has ended
	expiresAt   time.Time      // of our binding, by our clock; zero: none
	lapsedAt    time.Time      // when our binding last ran out; zero: never
	justBound   time.Time      // when our last REGISTER got its 2xx; zero: never
	first       bool           // nothing was known of the bindings before this document
	replacedBy  string         // a contact, not ours, that this document has in our place; "" none
	displacedAt time.Time      // when a REGISTER by hand last bound our address for another than us; zero: never
}

// judgement is what was made of a change.
type judgement struct {
	event    reginfo.ContactEvent // the registrar's word, or the one that tells what happened
	origin   Origin
	evidence []string
	stale    bool // a removal older than our last REGISTER: nothing happened to us
}

// onlyNetworkSays: no request of a device ends a contact in these words (RFC 3680
// 4.7.1, 5.1).
func onlyNetworkSays(event reginfo.ContactEvent) bool {
	return event == reginfo.Deactivated || event == reginfo.Probation || event == reginfo.Rejected
}

// judge says who caused a change of a contact, and how we know.
//
// On a terminated contact Call-ID and CSeq prove nothing: they repeat the last
// REGISTER, so a kick carries our own.
func (e evidence) judge(change reginfo.Change, m match) judgement {
	row := change.Row()
	j := judgement{event: row.Contact.Event}
	removal := change.Kind == reginfo.Removed || change.Kind == reginfo.Vanished
	if change.Kind == reginfo.Vanished || m.own && removal && j.event.LeadsTo() != reginfo.ContactTerminated {
		j.event = reginfo.Absent // no word of the standard says why it is gone
	}
	switch {
	case m.earlierRun:
		e.judgeEarlier(&j, removal)
	case m.byHand != nil:
		e.judgeByHand(&j, row.Contact, *m.byHand, removal)
	case !m.own:
		e.judgeOther(&j, row.Contact, removal)
		if m.shared {
			j.evidence = append(j.evidence, "it has our instance id, under a Call-ID and an address that are none of ours")
		}
	case removal:
		e.judgeRemoval(&j, change)
	default:
		e.judgeBinding(&j, change)
	}
	return j
}

func (j *judgement) say(origin Origin, evidence ...string) { j.origin, j.evidence = origin, evidence }

func (e evidence) judgeEarlier(j *judgement, removal bool) {
	switch {
	case !removal:
		j.say(OriginSelf, "a run of ours before this one made it")
	case onlyNetworkSays(j.event):
		j.say(OriginNetwork, fmt.Sprintf("only the network says %q", j.event))
	default:
		j.say(OriginSelf, "a run of ours before this one left it; nobody refreshes it")
	}
}

// judgeByHand is about a contact that is not ours but for a REGISTER by hand.
func (e evidence) judgeByHand(j *judgement, c reginfo.Contact, b boundByHand, removal bool) {
	sent, ours := e.sentAs(c)
	switch {
	case onlyNetworkSays(j.event), j.event == reginfo.Shortened:
		j.say(OriginNetwork, fmt.Sprintf("only the network says %q", j.event))
	case removal && (b.taken || e.wiped):
		j.say(OriginSelf, "a REGISTER by hand of ours removed it")
	case removal && j.event == reginfo.Expired && e.now.Add(lapseSlack).Before(b.until):
		j.say(OriginNetwork, "a REGISTER by hand of ours bound it", fmt.Sprintf("it still had %s to run", left(b.until, e.now)))
	case removal && j.event == reginfo.Expired:
		j.say(OriginSelf, "a REGISTER by hand of ours bound it, and nobody refreshes it")
	case removal && j.event == reginfo.Absent:
		j.say(OriginUnknown, e.absence())
	case removal && c.CallID != "" && !ours:
		j.say(OriginElsewhere, "a REGISTER by hand of ours bound it", "we did not ask for the removal", "its Call-ID or CSeq is none of ours")
	case removal:
		j.say(OriginNetwork, "a REGISTER by hand of ours bound it", "we did not ask for the removal")
	case ours:
		j.say(OriginSelf, fmt.Sprintf("Call-ID and CSeq %d are of a %s of ours", c.CSeq.Value, sent))
	case c.CallID == "" && e.now.Sub(b.at) < transactionTime:
		j.say(OriginSelf, "the registrar shows no Call-ID, and a REGISTER by hand of ours was just on its way")
	case c.CallID == "":
		j.say(OriginOtherDevice, "no REGISTER by hand of ours was on its way")
	default:
		j.say(OriginOtherDevice, "its Call-ID or CSeq is none of ours")
	}
}

func (e evidence) judgeOther(j *judgement, c reginfo.Contact, removal bool) {
	if removal && e.wiped && underAnotherName(j.event) {
		j.say(OriginSelf, "we removed all bindings")
		return
	}
	switch j.event {
	case reginfo.Created:
		// By the standard no REGISTER made it; Kamailio says so of every new one.
		if c.CallID == "" {
			j.say(OriginNetwork, "it has no Call-ID: no REGISTER made it")
		} else {
			j.say(OriginOtherDevice, "a REGISTER made it, by its Call-ID")
		}
	case reginfo.Deactivated, reginfo.Probation, reginfo.Rejected, reginfo.Shortened:
		j.say(OriginNetwork, fmt.Sprintf("only the network says %q", j.event))
	case reginfo.Absent:
		j.say(OriginUnknown, e.absence())
	default:
		j.say(OriginOtherDevice, "not a contact of ours")
	}
}

func (e evidence) absence() string {
	if e.source == FromPoll {
		return "the answer to a query does not list it"
	}
	return "it is missing from a full document"
}

func (e evidence) judgeRemoval(j *judgement, change reginfo.Change) {
	c := change.Row().Contact
	switch {
	case e.overtaken(c), e.left(c), e.older(c) && (!reginfo.SameURI(c.URI, e.contact) || e.now.Sub(e.justBound) < staleWithin), change.Before == nil && c.CallID != "" && c.CallID != e.callID && c.CallID != e.answered.callID:
		// Older than our last REGISTER, and it can only have been overtaken, or tells
		// of an address that we left; or the end of a binding that this table never
		// held, under a Call-ID that was never ours: a registrar may give a
		// new subscriber the last document as it was.
		j.stale = true
	case onlyNetworkSays(j.event):
		j.say(OriginNetwork, fmt.Sprintf("only the network says %q", j.event))
	case e.removed:
		j.say(OriginSelf, "we asked for the removal")
	case !e.displacedAt.IsZero() && e.now.Sub(e.displacedAt) < transactionTime:
		j.say(OriginSelf, "a REGISTER by hand of ours bound our address for another instance or reg-id")
	case !e.expiresAt.IsZero() && e.now.Add(lapseSlack).Before(e.expiresAt):
		left := e.expiresAt.Sub(e.now).Round(time.Second)
		facts := []string{"we did not ask for it", fmt.Sprintf("our registration still had %s to run", left)}
		if e.replacedBy != "" {
			// RFC 5626 6: instance and reg-id name the binding, whoever sends them.
			j.say(OriginElsewhere, append([]string{fmt.Sprintf("a REGISTER that is none of ours bound %s in its place, under our instance id", e.replacedBy)}, facts...)...)
		} else if _, ours := e.sentAs(c); j.event == reginfo.Unregistered && c.CallID != "" && !ours {
			j.say(OriginElsewhere, append(facts, "its Call-ID or CSeq is none of ours")...)
		} else {
			j.say(OriginNetwork, facts...)
		}
	case !e.expiresAt.IsZero() || !e.lapsedAt.IsZero():
		j.say(OriginSelf, "our own registration had run out")
	default:
		j.say(OriginUnknown, "we hold no registration that it could end")
	}
}

// overtaken reports whether a removal may be that which we asked for before our last
// REGISTER, where it does not say which one it is about.
func (e evidence) overtaken(c reginfo.Contact) bool {
	i := slices.Index(e.sent, e.answered)
	return !c.CSeq.Present && e.now.Sub(e.justBound) < notifyGrace && i > 0 && (e.sent[i-1].kind == regUnbind || e.sent[i-1].kind == regWipe)
}

// ended reports whether a contact of ours is listed once more though the binding
// has ended that it shows, made by the REGISTER given.
func (e evidence) ended(c reginfo.Contact, by sentRegister) bool {
	if e.spent == (sentRegister{}) {
		return false
	}
	spent := slices.Index(e.sent, e.spent)
	if c.CallID == "" || !c.CSeq.Present {
		return spent == e.lastBind()
	}
	made := slices.Index(e.sent, by)
	return made >= 0 && made <= spent
}

// lastBind is the place of the last REGISTER sent that was to bind us; -1: none.
func (e evidence) lastBind() int {
	for i, s := range slices.Backward(e.sent) {
		if s.kind == regBind {
			return i
		}
	}
	return -1
}

// left reports whether the contact is at an address that this run had before the
// one that it registers now.
func (e evidence) left(c reginfo.Contact) bool {
	return !reginfo.SameURI(c.URI, e.contact) && slices.ContainsFunc(e.sent, func(s sentRegister) bool {
		return s.kind == regBind && s.contact != e.contact && reginfo.SameURI(s.contact, c.URI)
	})
}

// older reports whether what a document says is from before our last REGISTER
// that got a 2xx.
func (e evidence) older(c reginfo.Contact) bool {
	if c.CallID == "" || !c.CSeq.Present {
		return false
	}
	if c.CallID == e.answered.callID {
		return c.CSeq.Value < uint64(e.answered.cseq)
	}
	// Under another Call-ID numbers say nothing, but we know what we sent before.
	before := slices.Index(e.sent, e.answered)
	return before >= 0 && slices.ContainsFunc(e.sent[:before], func(s sentRegister) bool { return s.made(c) })
}

func (e evidence) judgeBinding(j *judgement, change reginfo.Change) {
	c := change.After.Contact
	sooner := e.sooner(change)
	sent, ours := e.sentAs(c)
	switch {
	case j.event == reginfo.Shortened:
		j.say(OriginNetwork, `only the network says "shortened"`)
	case e.ended(c, sent):
		// A document from before the end, or the registrar has it back: nothing that
		// a REGISTER of ours did.
		j.say(OriginUnknown, "our binding had ended, and no REGISTER of ours since explains it")
	case ours && !sooner:
		j.say(OriginSelf, fmt.Sprintf("Call-ID and CSeq %d are of our %s", c.CSeq.Value, sent))
	case c.CallID == "" && (e.pending == regBind || e.reassure || !e.justBound.IsZero() && e.now.Sub(e.justBound) < transactionTime && !(sooner && nearer(change))):
		j.say(OriginSelf, "the registrar shows no Call-ID, and our REGISTER was just on its way")
	case sooner:
		facts := []string{fmt.Sprintf("it ends %s sooner than was granted to us", e.expiresAt.Sub(change.After.ExpiresAt).Round(time.Second)), "no REGISTER of ours asked for that"}
		if j.event != reginfo.Shortened {
			facts = append(facts, fmt.Sprintf("the registrar calls it %q", j.event))
		}
		j.event = reginfo.Shortened
		j.say(OriginNetwork, facts...)
	case ours:
		j.say(OriginNetwork, "no REGISTER of ours asked for that")
	case j.event == reginfo.Created:
		j.say(OriginNetwork, "its Call-ID or CSeq is none of ours", `the network says "created"`)
	case c.CallID == "":
		j.say(OriginElsewhere, "no REGISTER of ours was on its way")
	default:
		j.say(OriginElsewhere, "its Call-ID or CSeq is none of ours")
	}
}

// sooner reports whether the registrar would end our binding before the time
// that it granted to us. The row before is no measure: a new subscriber may be
// sent the last document as it was, with times that have since run on. While a
// REGISTER of ours is under way the time granted is not known; and what we remove may
// be listed with no time left before it is gone.
func (e evidence) sooner(change reginfo.Change) bool {
	return change.Before != nil && !e.removed && !e.reassure && e.pending != regBind && e.pending != regOther && !e.expiresAt.IsZero() && !change.After.ExpiresAt.IsZero() &&
		change.After.ExpiresAt.Add(expirySlack).Before(e.expiresAt)
}

// nearer reports whether the end of a binding is nearer than the registrar said
// before: no REGISTER of ours explains that.
func nearer(change reginfo.Change) bool {
	return !change.Before.ExpiresAt.IsZero() && change.After.ExpiresAt.Add(expirySlack).Before(change.Before.ExpiresAt)
}

// nothing reports whether a change of our binding is none: a document from before
// our last REGISTER, or a time told anew that is not our loss.
func (e evidence) nothing(change reginfo.Change) bool {
	if change.After != nil && change.After.Contact.Active() && e.older(change.After.Contact) {
		return true
	}
	return change.Kind == reginfo.Altered && len(change.Fields) == 1 && change.Fields[0] == "expires" &&
		change.After.Contact.Event != reginfo.Shortened && !e.sooner(change)
}

// sentAs finds the REGISTER of this run that Call-ID and CSeq name. A registrar
// that shows no CSeq is believed by the Call-ID.
func (e evidence) sentAs(c reginfo.Contact) (sent sentRegister, ok bool) {
	for _, s := range slices.Backward(e.sent) {
		if s.callID == c.CallID && (!c.CSeq.Present || s.made(c)) {
			return s, c.CallID != ""
		}
	}
	return sentRegister{}, false
}

// made reports whether Call-ID and CSeq of a contact are of this REGISTER.
func (s sentRegister) made(c reginfo.Contact) bool {
	return s.callID == c.CallID && c.CSeq.Present && uint64(s.cseq) == c.CSeq.Value
}
