package ua

import (
	"fmt"
	"slices"
	"time"

	"regwatch/reginfo"
)

// onLine is an input that belongs to one line.
type onLine struct {
	line  *line
	input any
}

// newLine makes the n-th line of the account, the first being 0.
func newLine(account Account, n int) *line {
	l := &line{
		reg: registration{
			home: account.Registrar, follow: account.FollowRedirects,
			expires: account.Expires, offers: account.offers(), ims: account.IMS,
		},
		keep: keepAlive{mode: account.KeepAlive, every: account.KeepAliveEvery},
		id:   identity{regID: account.RegID + uint32(n), callID: randomHex(12), watchOnly: account.WatchOnly},
	}
	if n < len(account.OutboundProxy) {
		l.reg.proxy = account.OutboundProxy[n]
	}
	return l
}

// use turns to a line; what it gives turns back.
func (a *Agent) use(l *line) (back func()) {
	was := a.line
	a.line = l
	return func() { a.line = was }
}

// eachLine does f with each line at hand.
func (a *Agent) eachLine(f func()) {
	for _, l := range a.lines {
		back := a.use(l)
		f()
		back()
	}
}

// some reports whether a line is so.
func (a *Agent) some(is func(*line) bool) bool { return slices.ContainsFunc(a.lines, is) }

// holds reports whether the flow has not failed, as RFC 5626 4.5 counts.
func (l *line) holds() bool { return l.flow != nil && l.reg.state == Registered }

func (l *line) registered() bool { return l.reg.registered() }

// elsewhere tells each line whether another one holds: its waits are longer then
// (RFC 5626 4.5).
func (a *Agent) elsewhere() {
	for _, l := range a.lines {
		holds := a.some(func(other *line) bool { return other != l && other.holds() })
		l.reg.elsewhere, l.keep.elsewhere = holds, holds
	}
}

// chooseFront puts another line in front, where the one that was there has failed,
// or was never registered, and another holds: the subscription moves there, and what is asked for from now
// on goes there. It stays in front when the other one is back.
func (a *Agent) chooseFront(now time.Time) {
	was := a.front
	bound := was.answered != (sentRegister{}) // else it makes no dialog that comes back over it (RFC 5626 4.3)
	if bound && was.flow != nil && (was.reg.state != Retrying || was.reg.status != 0) {
		return
	}
	i := slices.IndexFunc(a.lines, (*line).holds)
	if i < 0 || a.lines[i] == was {
		return
	}
	a.front = a.lines[i]
	defer a.use(a.front)()
	if a.sub.live() {
		a.box.Expect(a.sub.callID)
	}
	// What waited for the flow that failed goes over this one.
	waits := slices.ContainsFunc(was.unsent, isSendSubscribe)
	was.unsent = slices.DeleteFunc(was.unsent, isSendSubscribe)
	switch {
	case waits:
		a.apply([]effect{sendSubscribe{a.sub.inFlight}}, now)
	case a.leaving != nil:
	case a.sub.confirmed():
		a.apply(a.sub.move(now), now)
	case a.sub.wanted && a.sub.inFlight == "" && a.sub.status == 0:
		a.apply(a.sub.want(now), now)
	}
}

func isSendSubscribe(e effect) bool {
	_, is := e.(sendSubscribe)
	return is
}

// lineOf is the line that a contact of a document is of, if it is ours: by instance
// and reg-id, else by Call-ID or URI. The front one where nothing says.
func (a *Agent) lineOf(contacts ...*reginfo.Row) *line {
	for _, row := range contacts {
		if row == nil || len(a.lines) == 1 {
			continue
		}
		for _, is := range []func(*line) bool{
			func(l *line) bool {
				c := row.Contact
				return reginfo.SameInstance(c.Instance, l.id.instance) && c.RegID.Present && c.RegID.Value == uint64(l.id.regID)
			},
			func(l *line) bool { return l.id.shows(*row) },
			func(l *line) bool { return l.id.earlier(row.Contact) },
		} {
			if i := slices.IndexFunc(a.lines, is); i >= 0 {
				return a.lines[i]
			}
		}
	}
	return a.front
}

// matchOf tells whether a row is ours, on whatever line.
func (a *Agent) matchOf(row *reginfo.Row) match {
	return a.matches.of(row, a.lineOf(row).id, a.ledger.has)
}

// judge tells of changes that one document, or one answer, made. It may tell of us
// on several lines, and under several identities: each change is judged by what was
// known before it.
func (a *Agent) judge(changes []reginfo.Change, first bool, source Source, now time.Time) {
	known := make(map[*line]evidence)
	a.eachLine(func() {
		e := a.evidence(now)
		e.source, e.first = source, first
		for _, change := range changes {
			if a.lineOf(change.After, change.Before) == a.line && a.replaces(change) {
				e.replacedBy = change.After.Contact.URI
			}
		}
		known[a.line] = e
	})
	for _, change := range changes {
		l := a.lineOf(change.After, change.Before)
		back := a.use(l)
		a.changed(change, known[l])
		back()
	}
}

// voidGRUUs: our binding is gone. Temporary GRUUs stay good as long as a contact of
// the instance is bound (RFC 5627 3.1.2).
func (a *Agent) voidGRUUs(cause string, now time.Time) {
	if !a.some((*line).registered) {
		a.tellGRUUs(now, a.ledger.voidAll(cause))
	}
}

// withdraw removes the bindings beside the front one where the registrar took them
// for other devices': nobody promised that they are reached over their flows, and
// RFC 5626 4.2.1 has the device remove what is not.
func (a *Agent) withdraw(now time.Time) {
	if a.leaving != nil || !a.front.registered() {
		return
	}
	a.eachLine(func() {
		if a.line == a.front || !a.reg.registered() || a.outbound || a.reg.inFlight == regUnbind || slices.Contains(a.reg.wanted, regUnbind) {
			return
		}
		reason := "the registrar does not use RFC 5626: one flow has to do, and this binding is removed"
		a.tell(now, a.flowWord()+reason, RegistrationDetail{
			State: a.reg.state, AOR: a.account.AOR, RegID: a.id.regID, Contact: a.id.contact, Reason: reason, CallID: a.id.callID, CSeq: a.regCSeq,
		})
		a.apply(a.reg.want(regUnbind, now), now)
	})
}

// flowWord begins a summary where the account has several flows.
func (a *Agent) flowWord() string {
	if len(a.lines) == 1 {
		return ""
	}
	return fmt.Sprintf("flow %d: ", a.id.regID)
}
