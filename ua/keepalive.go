package ua

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
)

// KeepAlive says how an account keeps its flow alive.
type KeepAlive string

// The ways to keep a flow alive.
const (
	// KeepAuto does what was agreed: where the 2xx to our REGISTER requires
	// outbound (RFC 5626 4.4), or answers the "keep" of our Via (RFC 6223), a double
	// CRLF over connections and STUN over UDP, each answered, or the flow has
	// failed. Where nothing was agreed STUN is never sent (RFC 5626 8): a double
	// CRLF that nobody needs to answer where a NAT shows in the Via, else nothing.
	KeepAuto KeepAlive = ""
	// KeepOff sends nothing, and offers nothing.
	KeepOff KeepAlive = "off"
	// KeepCRLF always sends a double CRLF, over UDP too. It is to be answered only
	// over a connection, and where that was agreed.
	KeepCRLF KeepAlive = "crlf"
	// KeepSTUN always sends STUN over UDP: it is the user's word that the next hop
	// knows STUN (RFC 5626 4.4). Where nothing was agreed, only a flow that has
	// carried an answer can fail. Over connections it is as KeepCRLF.
	KeepSTUN KeepAlive = "stun"
)

// maxKeepAliveEvery bounds Account.KeepAliveEvery: a day.
const maxKeepAliveEvery = 86400

// keepMethod is what keeps a flow alive, in the words that the screen has.
type keepMethod string

const (
	keepNothing keepMethod = ""
	keepCRLF    keepMethod = "CRLF"      // nothing is awaited
	keepPing    keepMethod = "CRLF ping" // RFC 5626 4.4.1
	keepSTUN    keepMethod = "STUN"      // RFC 5626 4.4.2
	keepBeat    keepMethod = "WebSocket ping"
)

// span is between which times the next keep-alive is sent; a random time, so
// that many clients that began together drift apart (RFC 5626 3.5).
type span struct{ least, most time.Duration }

func (s span) pick() time.Duration {
	if s.most <= s.least {
		return s.least
	}
	return s.least + rand.N(s.most-s.least)
}

var (
	pingSpan = span{95 * time.Second, 120 * time.Second} // RFC 5626 4.4.1
	stunSpan = span{24 * time.Second, 29 * time.Second}  // RFC 5626 4.4.2
	// Many NATs forget a UDP mapping after 30 s (RFC 5626 4.4.2).
	natSpan = span{25 * time.Second, 25 * time.Second}
)

// promise is what a 2xx to our REGISTER says of keep-alives: the next hop answers
// them, and wants them at least so often (0: it does not say).
type promise struct {
	made  bool
	every uint32 // seconds
}

// keepAlive is the state machine of the keep-alives of a flow. It is given
// inputs and the time, and gives back what is to be done.
type keepAlive struct {
	mode  KeepAlive
	every uint32 // seconds, the user's wish; 0: none

	up     bool // there is a flow
	stream bool // it is a connection
	web    bool // of WebSocket, where each side answers a ping (RFC 6455 5.5.2)
	nat    bool // the next hop sees us under another address
	agreed promise

	method   keepMethod
	between  span
	at       time.Time // of the next one; zero: never
	busy     bool      // one is under way
	mapped   netip.AddrPort
	answered time.Time // when one was answered last over this flow
	failed   bool      // the flow, by us
	// fruitless counts the flows in a row that failed before one keep-alive was
	// answered: they were no good ones (RFC 5626 4.5).
	fruitless int
	elsewhere bool // another flow of the account holds
}

// What the keep-alives ask of the agent.
type (
	sendKeepAlive struct{ method keepMethod }
	// flowFailed: no answer came, or one that is as bad. dead says that the other
	// side may be gone, and not only our address.
	flowFailed struct {
		cause string
		dead  bool
	}
)

// begin takes a new flow. What was agreed was so over the one before.
func (k *keepAlive) begin(transport string, now time.Time) {
	web := transport == wire.WS || transport == wire.WSS
	*k = keepAlive{mode: k.mode, every: k.every, fruitless: k.fruitless, elsewhere: k.elsewhere, up: true, stream: transport != wire.UDP, web: web, agreed: promise{made: web}}
	k.plan(now)
}

// end forgets the flow, and tells how long to wait before another is made: none
// after a good one.
func (k *keepAlive) end() (wait time.Duration) {
	if k.failed && k.answered.IsZero() {
		k.fruitless++
		wait = backoff(k.fruitless, k.elsewhere)
	}
	*k = keepAlive{mode: k.mode, every: k.every, fruitless: k.fruitless, elsewhere: k.elsewhere}
	return wait
}

// agree takes what the 2xx of a REGISTER says; a promise counts until the next
// one (RFC 6223 4.2.2), or until our binding is gone.
func (k *keepAlive) agree(p promise, now time.Time) {
	k.agreed = promise{p.made || k.web, p.every}
	k.plan(now)
}

// see takes how the next hop sees us.
func (k *keepAlive) see(nat bool, now time.Time) {
	k.nat = nat
	k.plan(now)
}

// plan sets the next keep-alive where what is to be sent has changed.
func (k *keepAlive) plan(now time.Time) {
	method, between := k.choose()
	if method == k.method && between == k.between {
		return
	}
	k.method, k.between, k.at = method, between, time.Time{}
	if method != keepNothing {
		k.at = now.Add(between.pick())
	}
}

func (k *keepAlive) choose() (keepMethod, span) {
	if !k.up || k.mode == KeepOff {
		return keepNothing, span{}
	}
	method, between := keepNothing, natSpan
	forced := k.mode == KeepCRLF || k.mode == KeepSTUN
	switch {
	case k.web: // what is between may be of the web, and forget us as soon as a NAT does
		method, between = keepBeat, stunSpan
	case k.stream && k.agreed.made:
		method, between = keepPing, pingSpan
	case k.stream && forced && !k.nat:
		method, between = keepCRLF, pingSpan
	case !k.stream && (k.mode == KeepSTUN || k.mode == KeepAuto && k.agreed.made):
		method, between = keepSTUN, stunSpan
	case forced || k.nat || k.every > 0:
		method = keepCRLF
	default:
		return keepNothing, span{}
	}
	// The Flow-Timer, or the value of "keep", is the latest (RFC 5626 4.4, RFC 6223
	// 5); the user may want it sooner.
	latest := k.every
	if k.agreed.every > 0 && (latest == 0 || k.agreed.every < latest) {
		latest = k.agreed.every
	}
	if latest > 0 {
		between = span{seconds(latest) * 8 / 10, seconds(latest)}
	}
	return method, between
}

// tick sends what is due.
func (k *keepAlive) tick(now time.Time) []effect {
	if k.busy || !due(k.at, now) {
		return nil
	}
	k.busy, k.at = true, now.Add(k.between.pick())
	return []effect{sendKeepAlive{k.method}}
}

// next is when tick has something to do; zero: never.
func (k *keepAlive) next() time.Time {
	if k.busy {
		return time.Time{}
	}
	return k.at
}

// done takes what came of a keep-alive: the address as which the other side sees
// us, where it says so, or why there was no answer.
func (k *keepAlive) done(method keepMethod, mapped netip.AddrPort, err error, now time.Time) []effect {
	k.busy = false
	before := k.mapped
	switch {
	case method == keepCRLF:
		return nil // nothing was awaited
	case err != nil && !k.agreed.made && k.answered.IsZero():
		return nil // nobody said that it would be answered
	case err != nil:
		k.failed = true
		return []effect{flowFailed{keepAliveFault(err), true}}
	}
	k.answered, k.fruitless = now, 0
	if mapped.IsValid() {
		k.mapped = mapped
	}
	if before.IsValid() && mapped.IsValid() && mapped != before {
		// RFC 5626 4.4.2: the way that led to us does no more.
		k.failed = true
		return []effect{flowFailed{fmt.Sprintf("our address as the registrar sees it changed from %s to %s", before, mapped), false}}
	}
	return nil
}

func keepAliveFault(err error) string {
	var refused *wire.STUNError
	switch {
	case errors.Is(err, wire.ErrNoPong), errors.As(err, &refused), errors.Is(err, wire.ErrTimeout):
		return "keep-alive: " + err.Error()
	}
	return "keep-alive: " + explain(err)
}

// keepAliveResult is what came of a keep-alive.
type keepAliveResult struct {
	flow   *wire.Flow
	method keepMethod
	mapped netip.AddrPort
	err    error
}

// sendKeepAlive sends one off this goroutine.
func (a *Agent) sendKeepAlive(method keepMethod) {
	l, flow, ctx := a.line, a.flow, a.group.ctx
	go func() {
		defer guard.Recover(a.group.options.OnPanic)
		r := keepAliveResult{flow: flow, method: method}
		switch method {
		case keepSTUN:
			r.mapped, r.err = flow.Binding(ctx)
		case keepPing, keepBeat:
			r.err = flow.Ping(ctx)
		case keepCRLF:
			r.err = flow.SendCRLF()
		}
		a.post(onLine{l, r})
	}()
}

func (a *Agent) keepAliveResult(r keepAliveResult, now time.Time) {
	// A connection that went by itself is told of by flowGone.
	if a.flow != r.flow || r.flow.Err() != nil {
		return
	}
	a.apply(a.keep.done(r.method, r.mapped, r.err, now), now)
}

// flowFailed: the keep-alives found it out before any request did. A new flow is
// made, and what went over the old one goes over it anew (RFC 5626 4.5).
func (a *Agent) flowFailed(e flowFailed, now time.Time) {
	if e.dead {
		a.group.avoid.Failed(a.target, now)
	}
	flow := a.flow
	a.flowLost(e.cause, now)
	flow.Fail(errors.New(e.cause))
}

// agreeKeepAlive takes from a 2xx to a REGISTER whether the next hop answers
// keep-alives, and how often it wants them.
func (a *Agent) agreeKeepAlive(r *wire.Response, now time.Time) {
	every, wanted := r.Keep()
	// RFC 6223 5 has the two identical; where they differ, the sooner serves both.
	if timer, _ := r.Headers.Number("Flow-Timer"); timer > 0 && (every == 0 || timer < every) {
		every = timer
	}
	if !a.outbound && !wanted {
		every = 0
	}
	a.keep.agree(promise{a.outbound || wanted, every}, now)
}

// behindNAT reports whether the next hop sees us under another address than that
// which we send from.
func (a *Agent) behindNAT() bool {
	return a.flow != nil && a.seenAs.IsValid() && a.seenAs != a.flow.Local()
}
