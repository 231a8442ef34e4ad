package ua

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
)

// A next hop of its own has this long to answer: four sends over UDP (RFC 3261
// 17.1.2.2). Timer N leaves time enough to go the other way then.
const ownHopTime = 4 * time.Second

// Who leaves has not so much.
const ownHopTimeLeaving = time.Second

// aim gives the Request-URI and the Routes of a request in the dialog, and the URI
// that its next hop is found by (RFC 3261 12.2.1.1, 8.1.2).
func (s *dialog) aim() (uri string, routes []string, hop string) {
	target := cmp.Or(s.target, s.about) // a NOTIFY should have a Contact
	if len(s.routes) == 0 {
		return target, nil, target
	}
	first := bareURI(s.routes[0])
	u, err := wire.ParseURI(first)
	if err != nil || u.Params.Has("lr") {
		return target, s.routes, first
	}
	// A strict router puts the first Route in the place of the Request-URI.
	uri = requestURI(first)
	return uri, append(slices.Clone(s.routes[1:]), "<"+target+">"), uri
}

// requestURI leaves out what a Request-URI may not have: headers and the method
// parameter (RFC 3261 19.1.1).
func requestURI(uri string) string {
	user, rest, found := strings.Cut(uri, "@")
	if !found {
		user, rest = "", uri
	} else {
		user += "@"
	}
	rest, _, _ = strings.Cut(rest, "?")
	parts := strings.Split(rest, ";")
	kept := parts[:1]
	for _, p := range parts[1:] {
		if name, _, _ := strings.Cut(p, "="); !strings.EqualFold(name, "method") {
			kept = append(kept, p)
		}
	}
	return user + strings.Join(kept, ";")
}

// ownHop is the hop of a request in the dialog where that has to be looked for
// (RFC 3261 8.1.2), or "" where the request goes over the account's flow:
//
//   - a NOTIFY has yet to name the dialog's own;
//   - the account is bound to its flow, by outbound (RFC 5626 4.3) or because a NAT
//     lets in only who was written to: a notifier that sees the refresh come from
//     elsewhere would send its NOTIFYs there;
//   - it comes over a WebSocket, which is the way for all that a client of RFC 7118
//     sends and is sent;
//   - all goes over an outbound proxy, which RFC 3261 8.1.2 allows where there is no
//     route set, and there is none;
//   - the account left the peer that the dialog was made with. Where it is registered
//     now is to be watched: that one knows the way, or says 481 and is subscribed to;
//   - nobody answered there.
//
// What goes over TLS goes over TLS there too.
func (a *Agent) ownHop(hop string) string {
	switch {
	case !a.sub.confirmed(), a.outbound, a.behindNAT():
	case a.flow.Transport() == wire.WS, a.flow.Transport() == wire.WSS:
	case len(a.sub.routes) == 0 && len(a.proxies()) > 0:
	case a.flow.Remote().Addr() != a.subPeer:
	case hop == a.astray:
	default:
		return hop
	}
	return ""
}

// ownWay is a flow to a hop of the dialog's own.
type ownWay struct {
	stacks    *wire.Stacks
	hop       string
	transport string
	local     netip.AddrPort
	tls       wire.TLSSettings
	account   *wire.Flow // over which all else goes
}

// find gives the flow that the request goes over: the account's where the hop is
// the machine that it leads to, whatever port and transport a Contact leaves out.
// So also where the name of the hop means nothing here, or its address means
// another machine here than there: RFC 3261 8.1.2 has those who cannot resolve a
// Route leave that to the proxy. The registrar behind a proxy that writes no
// Record-Route, and names its address in the core or 127.0.0.1, is met often.
func (w ownWay) find(ctx context.Context, request *wire.Request) (*wire.Flow, error) {
	hop := w.hop
	if w.account.Transport() == wire.TLS {
		hop = toSIPS(hop)
	}
	targets, err := w.stacks.Locate(ctx, hop, w.transport)
	if err != nil || len(targets) == 0 || slices.ContainsFunc(targets, w.leadsHome) {
		return w.account, nil
	}
	for _, target := range targets {
		if reachOf(target.Addr.Addr()) < reachOf(w.account.Remote().Addr()) {
			return w.account, nil
		}
		var flow *wire.Flow
		if flow, err = w.stacks.Flow(ctx, target, w.local, wire.PeerOf(hop, w.tls)); err != nil {
			continue
		}
		if !flow.Fits(ctx, request) { // RFC 3261 18.1.1
			target.Transport = wire.TCP
			if wide, err := w.stacks.Flow(ctx, target, w.local, wire.Peer{}); err == nil {
				return wide, nil
			}
		}
		return flow, nil
	}
	return nil, err
}

// leadsHome reports whether the target is the other end of the account's flow. A
// URI without a port, or without a transport, says what is usual and not what is
// used: over TLS, or where the transports differ, the address decides.
func (w ownWay) leadsHome(t wire.Target) bool {
	home := w.account.Remote()
	return t.Addr.Addr() == home.Addr() &&
		(t.Addr.Port() == home.Port() || t.Transport != w.account.Transport() || t.Transport == wire.TLS)
}

// reachOf is how far an address is known: 0 on this machine alone, 3 everywhere.
func reachOf(a netip.Addr) int {
	switch {
	case a.IsLoopback(), a.IsUnspecified(), a.IsMulticast():
		return 0
	case a.IsLinkLocalUnicast():
		return 1
	case a.IsPrivate():
		return 2
	}
	return 3
}

// doInDialog sends a request of the dialog to its next hop.
func (a *Agent) doInDialog(request *wire.Request, hop, callID string, cseq uint32) {
	if hop == "" {
		flow := a.flow
		a.do(request, func(response *wire.Response, err error) any {
			return subscribeResult{flow: flow, callID: callID, cseq: cseq, response: response, err: err}
		})
		return
	}
	w := ownWay{a.group.stacks, hop, a.account.Transport, a.local, a.account.TLS, a.flow}
	patience := ownHopTime
	if a.leaving != nil {
		patience = ownHopTimeLeaving
	}
	l, all := a.line, a.group.ctx
	go func() {
		defer guard.Recover(a.group.options.OnPanic)
		ctx, cancel := context.WithTimeout(all, patience)
		defer cancel()
		result := subscribeResult{callID: callID, cseq: cseq, hop: hop}
		flow, err := w.find(ctx, request)
		if err != nil {
			result.astray, flow = hop, w.account
		}
		if flow == w.account {
			result.hop, ctx = "", all
		}
		result.flow = flow
		result.response, result.err = flow.Do(ctx, request)
		a.post(onLine{l, result})
	}()
}

// goneAstray: nobody is, or answers, where the dialog says that its requests go.
// They go over the account's flow then, as long as there is that one: who is there
// is as sure as anybody to know the way, and RFC 3263 4.3 has the next target tried.
func (a *Agent) goneAstray(hop string, now time.Time) {
	a.astray = hop
	reason := fmt.Sprintf("nobody answers at %s, the next hop of the subscription: over %s then", cut(hop, 200), a.lastFlow.Remote)
	a.tell(now, reason, SubscriptionDetail{State: a.sub.state, AOR: a.account.AOR, Reason: reason})
}
