package ua

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
	"regwatch/reginfo/finding"
)

// connect makes the way to the next hop, off this goroutine.
func (a *Agent) connect() {
	if a.connecting {
		return
	}
	a.connecting = true
	a.relocate = false
	l, hop := a.line, a.hop()
	peer := wire.PeerOf(hop, a.account.TLS)
	peer.Path = a.account.WSPath
	stacks, avoid, transport, local, now := a.group.stacks, &a.group.avoid, a.account.Transport, a.local, a.group.now
	go func() {
		defer guard.Recover(a.group.options.OnPanic)
		ctx, cancel := context.WithTimeout(a.group.ctx, transactionTime)
		defer cancel()
		result := flowResult{hop: hop}
		result.targets, result.err = stacks.Locate(ctx, hop, transport)
		// RFC 3263 4.3: the next target where one fails, and the failed one last for
		// a while.
		distrusted := false
		for _, result.target = range avoid.Order(result.targets, now()) {
			if distrusted && result.target.Transport != wire.TLS && result.target.Transport != wire.WSS {
				continue
			}
			attempt, done := context.WithTimeout(ctx, transactionTime/time.Duration(len(result.targets)))
			result.flow, result.err = stacks.Flow(attempt, result.target, local, peer)
			done()
			if result.err == nil {
				break
			}
			// RFC 3261 26.3.2.1: with a certificate that is not the registrar's we do not
			// register; so neither in the clear with the next target, nor next time.
			if fault := (*wire.TLSError)(nil); errors.As(result.err, &fault) && fault.Peer != nil {
				distrusted = true
				continue
			}
			avoid.Failed(result.target, now())
		}
		a.post(onLine{l, result})
	}()
}

func (a *Agent) connected(r flowResult, now time.Time) {
	a.connecting = false
	stale := a.stale
	a.stale = false
	if stale && r.err != nil {
		a.connect() // it was looked for in a network that is no more
		return
	}
	unsent := a.unsent
	a.unsent = nil
	if r.err != nil {
		reason := explain(r.err)
		if a.flow == nil {
			a.lastFlow.Up, a.lastFlow.Cause = false, reason
		}
		a.apply(a.reg.brokenIf(reason, now), now)
		// One that went over the flow before may have its answer already.
		waits := slices.ContainsFunc(unsent, isSendSubscribe)
		if waits && a.sub.inFlight != "" {
			a.apply(a.sub.broken(reason, true, now), now)
		}
		a.failByHand(unsent, r.err, now)
		a.settleDeferred(now)
		return
	}
	changed := !a.have(r)
	a.target, a.targets, a.hopped = r.target, r.targets, r.hop
	if changed {
		if a.flow != nil {
			a.tellFlow(now, "down", "left for "+r.target.String())
		}
		a.useFlow(r.flow)
		a.tellFlow(now, "up", "")
	}
	if changed && a.leaving == nil && a.reg.state == Retrying && a.reg.status == 0 {
		a.apply(a.reg.want(regBind, now), now) // what it waits for is here
	}
	for _, e := range unsent {
		a.transmit(e, now)
	}
	if stale {
		a.networkChanged(now)
	}
}

// have reports whether what was found is the way that we have, be it the TCP
// beside the UDP that was found, see widen.
func (a *Agent) have(r flowResult) bool {
	return a.flow != nil && (a.flow.Same(r.flow) || r.target == a.target && a.flow.Transport() != r.target.Transport)
}

func (a *Agent) useFlow(flow *wire.Flow) {
	l := a.line
	if a.box == nil || a.flow == nil || a.flow.Stack() != flow.Stack() {
		if a.box != nil {
			a.box.Detach()
		}
		a.box = flow.Stack().Attach(a.aor.User, func(in *wire.Incoming) { a.post(in) })
		a.box.OnUnreachable(func(u wire.Unreachable) { a.post(onLine{l, u}) })
		a.box.OnStray(func(s wire.Stray) { a.post(onLine{l, s}) })
		if a.sub.live() && a.line == a.front {
			a.box.Expect(a.sub.callID)
		}
	}
	if a.flow != flow {
		a.keep.begin(flow.Transport(), a.group.now())
		a.hint, a.astray = "", ""
	}
	a.flow = flow
	a.lastFlow = Flow{Up: true, Transport: flow.Transport(), Local: flow.Local().String(), Remote: flow.Remote().String()}
	a.id.contact = a.contactURI(&wire.Request{URI: a.registerURI()}, "")
	if flow.Transport() != wire.UDP {
		go func() {
			defer guard.Recover(a.group.options.OnPanic)
			select {
			case <-flow.Done():
				a.post(onLine{l, flowGone{flow}})
			case <-a.done:
			}
		}()
	}
}

// dropFlow makes the next request go over a new connection: one that swallowed
// a request would swallow the next. The UDP socket is shared, and stays.
func (a *Agent) dropFlow(now time.Time) {
	if a.flow == nil || a.flow != a.suspect {
		return
	}
	a.group.avoid.Failed(a.target, now)
	flow, next := a.flow, a.anotherTarget(now)
	switch {
	case next:
		a.flowLost("no answer: the next target is tried", now)
		if a.reg.state == Retrying {
			a.reg.retryAt = now
		}
	case flow.Transport() == wire.UDP:
		return
	case flow.Err() != nil:
		a.flowLost(howLost(flow), now)
	default:
		a.flowLost("closed by us: it carried no answer", now)
	}
	flow.Close()
}

// anotherTarget reports whether there is one that is not to be avoided.
func (a *Agent) anotherTarget(now time.Time) bool {
	return slices.ContainsFunc(a.targets, func(t wire.Target) bool { return !a.group.avoid.Avoids(t, now) })
}

func (a *Agent) flowGone(g flowGone, now time.Time) {
	if a.flow != g.flow {
		return
	}
	a.flowLost(howLost(g.flow), now)
}

// howLost says how a connection ended that is no more.
func howLost(flow *wire.Flow) string {
	if err := flow.Err(); !errors.Is(err, wire.ErrClosed) {
		return "connection lost: " + err.Error()
	}
	return "connection lost"
}

// flowLost: our binding goes over a connection that is no more.
func (a *Agent) flowLost(cause string, now time.Time) {
	a.lastFlow.Up, a.lastFlow.Cause = false, cause
	a.tellFlow(now, "down", cause)
	a.flow = nil
	wait := a.keep.end()
	if a.leaving != nil {
		return
	}
	a.apply(a.reg.flowLost(cause, wait, now), now)
	if a.line == a.front && a.reg.state != Retrying && a.reg.inFlight == "" && a.sub.confirmed() && a.sub.inFlight == "" {
		// No REGISTER will make a new one, and NOTIFYs go to the old one's Contact.
		a.sub.refreshAt = now.Add(time.Second)
	}
}

func (a *Agent) tellFlow(now time.Time, state, cause string) {
	d := FlowDetail{
		State: state, RegID: a.id.regID, Transport: a.flow.Transport(),
		Local: a.flow.Local().String(), Remote: a.flow.Remote().String(), Cause: cause,
	}
	summary := a.flowWord() + fmt.Sprintf("%s %s > %s %s", d.Transport, d.Local, d.Remote, state)
	if cause != "" {
		summary += ": " + cause
	}
	a.tell(now, summary, d)
}

// unreachable: an ICMP message says that what we sent did not arrive. It may be
// forged, or be about a moment only: the request under way goes on.
func (a *Agent) unreachable(u wire.Unreachable, now time.Time) {
	if a.flow == nil || a.flow.Transport() != wire.UDP || a.hint != "" {
		return // the first is told: of each request, not of each time that it is sent
	}
	if remote := a.flow.Remote(); u.Remote != netip.AddrPortFrom(remote.Addr().WithZone(""), remote.Port()) {
		return // it is about another account's
	}
	registering, subscribing := a.reg.inFlight != "" && !a.reg.asking, a.line == a.front && a.sub.inFlight != "" && !a.sub.asking
	if registering || subscribing {
		a.hint = u.String()
	}
	if registering {
		a.tellRegistration(now)
	}
	if subscribing {
		a.tellSubscription(now)
	}
}

// stray: something came that was not taken.
func (a *Agent) stray(s wire.Stray, now time.Time) {
	if s.What == wire.StrayCrowd {
		a.finding(now, finding.Finding{Code: finding.CrowdOfStrangers}) // whose addresses may be forged, and many
		return
	}
	a.finding(now, finding.Finding{Code: finding.AnswerFromElsewhere, Detail: "from " + s.Remote.String()})
}

// withHint adds to the reason of a failure what the network said meanwhile, and
// forgets that: the next request hears anew.
func (a *Agent) withHint(reason string) string {
	if a.hint != "" {
		reason += "; " + a.hint
	}
	a.hint = ""
	return reason
}
