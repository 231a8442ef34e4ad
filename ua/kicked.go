package ua

import (
	"fmt"
	"time"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

// kicked: the network did something to our own contact.
func (a *Agent) kicked(kick Kick, change reginfo.Change, m match, j judgement, at time.Time) {
	row := change.Row()
	left := row.ExpiresAt.Sub(at)
	contact := row.Contact
	contact.Event = j.event
	if underAnotherName(j.event) {
		a.finding(at, finding.Finding{Code: finding.KickUnderAnotherName, Detail: fmt.Sprintf("our contact was removed as %q", j.event)})
	}
	a.short = a.short || kick == KickShortened
	a.kicks++
	prompt := a.reaction.kick(kick, a.account.policy(kick), Prompt{
		ID: a.kicks, Contact: contact, AOR: row.AOR, MatchedBy: m.by, Origin: j.origin, Evidence: j.evidence, Message: a.cause,
	}, left, at)
	if kick.TakesOff() {
		a.spent = a.answered
		a.apply(a.reg.kicked(InWords(j.event)+" by the network", at), at)
		a.outbound = false
		a.keep.agree(promise{}, at)
		a.voidGRUUs("the network removed our contact", at)
		if a.account.IMS {
			a.imsKicked(kick, at)
		}
	} else if !row.ExpiresAt.IsZero() {
		a.apply(a.reg.shortened(left, prompt.Decision != Reregistering, at), at)
	}
	a.tell(at, a.flowWord()+actionSummary(prompt, at), prompt.action(at))
}

// rejectedToo: the removal that a query found was a rejection. It is one kick, but
// what was decided then does not hold (RFC 3680 4.7.1).
func (a *Agent) rejectedToo(change reginfo.Change, m match, at time.Time) {
	if a.pending() == regBind {
		a.deferred = append(a.deferred, heldChange{change, at, a.cause}) // its answer may be the later word
		return
	}
	if a.reg.state != Refused {
		a.apply(a.reg.kicked("rejected by the network", at), at)
	}
	if a.account.IMS {
		a.imsKicked(KickRejected, at)
	}
	prompt := a.reaction.rejected(change.Row().Contact, a.account.policy(KickRejected))
	a.tell(at, actionSummary(prompt, at), prompt.action(at))
}

func actionSummary(p Prompt, now time.Time) string {
	in := p.ActAt.Sub(now).Round(100 * time.Millisecond)
	switch p.Decision {
	case Reregistering:
		return fmt.Sprintf("%s: registering again in %s", p.On, in)
	case Waiting:
		return fmt.Sprintf("%s: registering again when the time is over, in %s", p.On, in)
	case Asked:
		if p.Policy == Auto {
			return fmt.Sprintf("%s: kicked three times within a minute after registering again by itself: register again?", p.On)
		}
	case Stopped:
		return fmt.Sprintf("%s: staying off until you register", p.On)
	}
	return fmt.Sprintf("%s: register again?", p.On)
}
