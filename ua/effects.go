package ua

import (
	"time"

	"regwatch/reginfo/finding"
)

// apply carries out what the state machines ask for.
func (a *Agent) apply(effects []effect, now time.Time) {
	for _, e := range effects {
		a.carryOut(e, now)
	}
	if a.leaving != nil && a.sub.wanted && !a.some(func(l *line) bool { return l.reg.inFlight != "" && (l.flow != nil || l == a.line) }) {
		a.unsubscribeToLeave(now)
	}
}

// lineFor is the line that an effect is about: what belongs to the subscription
// goes over the front one.
func (a *Agent) lineFor(e effect) *line {
	switch e := e.(type) {
	case sendSubscribe, tellSubscription, tellUnderWay, startPolling, newDialog, noNotify:
		return a.front
	case sendByHand:
		return e.turn.line
	case renderByHand:
		return e.turn.line
	}
	return a.line
}

func (a *Agent) carryOut(e effect, now time.Time) {
	defer a.use(a.lineFor(e))()
	switch e := e.(type) {
	case sendRegister, sendSubscribe, sendByHand, renderByHand:
		a.transmit(e, now)
	case tellRegistration:
		a.tellRegistration(now)
	case tellSubscription:
		a.tellSubscription(now)
	case tellUnderWay:
		a.tellUnderWay(e, now)
	case boundEffect:
		a.boundNow(e, now)
	case lostEffect:
		a.lostNow(e, now)
	case startPolling:
		a.poll(now)
	case tellQueryFailed:
		if a.quiet && a.poller.fault == e.reason {
			break
		}
		a.poller.fault = e.reason
		a.poller.silent = a.poller.silent || a.reg.status == 0 // a refusal is no list
		a.tell(now, e.reason, RegistrationDetail{
			State: a.reg.state, AOR: a.account.AOR, Status: a.reg.status, Reason: e.reason, CallID: a.id.callID, CSeq: a.regCSeq,
		})
	case needFlow:
		a.relocate = true
		a.dropFlow(now)
	case needTarget:
		a.relocate = true
	case sendKeepAlive:
		a.sendKeepAlive(e.method)
	case flowFailed:
		a.flowFailed(e, now)
	case newDialog:
		a.newDialog(e)
	case noNotify:
		a.finding(now, finding.Finding{Code: finding.NoNotify, Detail: a.noNotifyDetail()})
	}
}
