package ua

import (
	"slices"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// WatchMode says how an account learns what becomes of its contacts.
type WatchMode string

// The ways to watch.
const (
	WatchAuto WatchMode = "auto" // by the reg event; where that is refused, by polling; "" means the same
	WatchReg  WatchMode = "reg"  // by the reg event only
	WatchPoll WatchMode = "poll" // by polling only
	WatchOff  WatchMode = "off"  // not at all
)

// DefaultPollInterval is how often bindings are asked for where nobody tells.
const DefaultPollInterval = 30 * time.Second

// poller asks for the bindings, by a REGISTER without Contact (RFC 3261 10.2.3),
// where there is no reg event, and makes documents of the answers, so that the
// same table finds out what changed.
type poller struct {
	on      bool
	every   time.Duration
	at      time.Time // of the next question; zero: none is set
	version uint64
	cseq    uint32
	fault   string // why the last question failed, told once
	silent  bool   // one since the last list got no answer
}

// start polls from now on; ok is false where it does already.
func (p *poller) start(now time.Time) (ok bool) {
	if p.on {
		return false
	}
	*p = poller{on: true, every: p.every, at: now}
	return true
}

func (p *poller) stop() { p.on, p.at = false, time.Time{} }

// document is what an answer says, as a registrar with the reg event would have
// said it. before are the rows that are known.
func (p *poller) document(aor string, contacts []wire.NameAddr, before []reginfo.Row, now time.Time) *reginfo.Document {
	reg := reginfo.Registration{AOR: aor, ID: "poll", State: reginfo.RegTerminated}
	for _, c := range contacts {
		reg.State = reginfo.RegActive
		contact := ContactOf(c)
		contact.ID, contact.Event = c.URI, reginfo.Registered
		contact.TempGRUU = "" // of which REGISTER it is, is not told here
		if i := slices.IndexFunc(before, func(r reginfo.Row) bool { return reginfo.SameURI(r.Contact.URI, c.URI) }); i >= 0 {
			contact.Event = before[i].Contact.Event
			if contact.Expires.Present && differ(now.Add(seconds(uint32(contact.Expires.Value))), before[i].ExpiresAt) {
				contact.Event = reginfo.Refreshed // or shortened: of our own we know which
			}
		}
		reg.Contacts = append(reg.Contacts, contact)
	}
	document := &reginfo.Document{Version: reginfo.Num(p.version), State: reginfo.Full, Registrations: []reginfo.Registration{reg}}
	p.version++
	p.cseq++
	return document
}

// poll begins to ask for the bindings.
func (a *Agent) poll(now time.Time) {
	if a.poller.start(now) {
		a.table.Renew()
		a.documents, a.fullSeen = 0, false
	}
}

// query asks for the bindings. quietly: the answer is for us, not for the user.
func (a *Agent) query(quietly bool, now time.Time) {
	if quietly && a.reg.inFlight != "" {
		return // its answer lists them too, or the next one does
	}
	a.quiet = quietly
	a.apply(a.reg.want(regQuery, now), now)
}

// polled is called when the next question is due.
func (a *Agent) polled(now time.Time) {
	a.poller.at = now.Add(a.poller.every)
	// Credentials that were refused are not sent again and again: a registrar may
	// lock the account.
	if a.leaving == nil && a.reg.state != Refused {
		a.query(true, now)
	}
}

// responded takes the contacts that a 2xx lists.
func (a *Agent) responded(r *wire.Response, now time.Time) {
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	contacts = slices.DeleteFunc(contacts, func(c wire.NameAddr) bool {
		n, ok := wire.LeadingNumber(c.Params.Get("expires"))
		return c.URI == "*" || ok && n == 0 // what was just removed
	})
	isOurs := func(c wire.NameAddr) bool {
		return a.some(func(l *line) bool { return l.id.registers(ContactOf(c)) })
	}
	a.truths.answered(contacts, isOurs, now)
	a.poller.fault, a.poller.silent = "", false
	if a.poller.on {
		a.poller.at = now.Add(a.poller.every)
		document := a.poller.document(a.account.AOR, contacts, a.table.Rows(), now)
		outcome := a.table.Apply(document, a.poller.cseq, now)
		a.judge(outcome.Changes, false, FromPoll, now)
		a.countOwn(true, FromRegister, now)
		a.forgetRows()
	}
	a.compareTruths(now)
}
