package ua

import (
	"context"
	"fmt"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
)

// A firewall that swallows TCP costs a large request this long, once a flow.
const widenTime = 4 * time.Second

// widened is what came of a TCP connection to where our UDP flow goes.
type widened struct {
	flow *wire.Flow
	err  error
}

// widen reports whether a request is too large for UDP and may go over TCP
// (RFC 3261 18.1.1). Then e waits for a connection to the same address, and the
// account moves there whole: a binding belongs to the flow that its REGISTER came
// over, and NOTIFYs come back over it. The target is still the one that was found:
// when it fails, that one is avoided.
func (a *Agent) widen(request *wire.Request, e effect) bool {
	if a.narrow == a.flow || a.flow.Fits(a.group.ctx, request) {
		return false
	}
	a.unsent = append(a.unsent, e)
	if a.connecting {
		return true
	}
	a.connecting = true
	l, stacks, local, target := a.line, a.group.stacks, a.local, wire.Target{Transport: wire.TCP, Addr: a.target.Addr}
	go func() {
		defer guard.Recover(a.group.options.OnPanic)
		ctx, cancel := context.WithTimeout(a.group.ctx, widenTime)
		defer cancel()
		flow, err := stacks.Flow(ctx, target, local, wire.Peer{})
		a.post(onLine{l, widened{flow, err}})
	}()
	return true
}

func (a *Agent) widened(w widened, now time.Time) {
	a.connecting = false
	unsent := a.unsent
	a.unsent = nil
	const tooLarge = "a request has over 1300 bytes, too many for UDP"
	switch {
	case a.flow == nil: // it went meanwhile; the next one begins anew
	case w.err != nil:
		a.narrow = a.flow
		a.tellFlow(now, "up", fmt.Sprintf("%s, and TCP fails (%s): it goes over UDP", tooLarge, explain(w.err)))
	default:
		a.useFlow(w.flow)
		a.tellFlow(now, "up", tooLarge)
		if a.reg.state == Registered && a.leaving == nil {
			a.apply(a.reg.want(regBind, now), now) // what is bound is the other flow
		}
	}
	for _, e := range unsent {
		a.transmit(e, now)
	}
}
