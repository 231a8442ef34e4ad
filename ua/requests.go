package ua

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
)

// What we answer to, and what we understand (RFC 3261 20.5, 20.37).
const (
	allow     = "OPTIONS, MESSAGE, NOTIFY"
	supported = "path, outbound, gruu"
	// In requests of ours that are no REGISTER (RFC 5626 4.3, RFC 5627 4.3).
	supportedElsewhere = "gruu, outbound"
)

// transmit sends what a state machine asked for, once there is a flow.
func (a *Agent) transmit(e effect, now time.Time) {
	if a.flow != nil && a.flow.Err() != nil {
		a.flowLost("connection lost", now)
	}
	if a.flow == nil || a.mustLocate(e) {
		a.unsent = append(a.unsent, e)
		a.connect()
		return
	}
	switch e := e.(type) {
	case sendRegister:
		a.sendRegister(e.kind, now)
	case sendSubscribe:
		a.sendSubscribe(e.kind, now)
	case sendByHand:
		a.sendByHand(e.turn, now)
	case renderByHand:
		a.renderByHand(e.turn, now)
	}
}

// mustLocate reports whether the next hop is to be found anew though there is a
// flow: an attempt failed, and the names are revisited (RFC 5626 4.2.1), or a
// redirect sends the REGISTER elsewhere. Who leaves does not wait for that.
func (a *Agent) mustLocate(e effect) bool {
	_, register := e.(sendRegister)
	return a.leaving == nil && (a.relocate && (register || a.account.WatchOnly) || register && a.hopped != a.hop())
}

func (a *Agent) sendRegister(kind regKind, now time.Time) {
	cseq := a.regCSeq + 1
	request := a.registerRequest(kind, a.id.callID, cseq)
	err := a.creds.Sign(request)
	if (a.account.IMS || a.account.AKA.Set()) && request.Headers.Get("Authorization") == "" {
		request.Headers = append(request.Headers, a.introduction(request))
	}
	if err == nil && a.widen(request, sendRegister{kind}) {
		return
	}
	a.regCSeq = cseq
	if err != nil {
		a.apply(a.reg.broken(err.Error(), now), now)
		return
	}
	if kind != regQuery {
		a.noteSent(sentRegister{callID: a.id.callID, cseq: cseq, kind: kind, contact: a.id.contact})
		a.removed = kind != regBind
	}
	if kind == regBind {
		a.save() // a crash from here on may leave a binding behind
	}
	flow := a.flow
	a.do(request, func(response *wire.Response, err error) any { return registerResult{flow, cseq, response, err} })
}

// noteSent remembers a REGISTER that may change what is bound.
func (a *Agent) noteSent(sent sentRegister) {
	const kept = 64
	a.sent = append(a.sent, sent)
	if len(a.sent) > kept {
		a.sent = a.sent[1:]
	}
}

// do sends the request off this goroutine and posts what comes of it.
func (a *Agent) do(request *wire.Request, result func(*wire.Response, error) any) {
	l, flow, g := a.line, a.flow, a.group
	go func() {
		defer guard.Recover(g.options.OnPanic)
		answered := g.admit()
		response, err := flow.Do(g.ctx, request)
		answered()
		a.post(onLine{l, result(response, err)})
	}()
}

// So many requests of a group are under way before the next one waits for an answer
// to one of them, so long: what thousands of accounts send at once is answered later
// than 500 ms, and all of it is sent again. A registrar that is silent holds up none.
const (
	mostUnderWay = 256
	admitWithin  = time.Second
)

// admit waits for its turn to send, and gives what is to be called at the answer.
func (g *Group) admit() (answered func()) {
	answered = func() { <-g.underWay }
	select {
	case g.underWay <- struct{}{}:
		return answered
	default:
	}
	limit := time.NewTimer(admitWithin)
	defer limit.Stop()
	select {
	case g.underWay <- struct{}{}:
		return answered
	case <-limit.C:
	case <-g.ctx.Done():
	}
	return func() {}
}

// registerRequest is yet to be signed.
func (a *Agent) registerRequest(kind regKind, callID string, cseq uint32) *wire.Request {
	r := &wire.Request{Method: "REGISTER", URI: a.registerURI()}
	r.Keep = kind == regBind && a.account.KeepAlive != KeepOff
	// RFC 3608 6.1: the Service-Route is never put on a REGISTER.
	a.addRoutes(r, a.proxyRoute())
	a.addCommon(r, callID, a.registerTag(), "", cseq)
	switch kind {
	case regBind, regUnbind:
		expires := a.reg.expires
		if kind == regUnbind {
			expires = 0
		}
		r.Headers = append(r.Headers,
			wire.Header{Name: "Contact", Value: a.registerContact(ByHand{})},
			wire.Header{Name: "Expires", Value: strconv.FormatUint(uint64(expires), 10)})
	case regWipe:
		r.Headers = append(r.Headers, wire.Header{Name: "Contact", Value: "*"}, wire.Header{Name: "Expires", Value: "0"})
	}
	if len(a.reg.offers) > 0 {
		r.Headers = append(r.Headers, wire.Header{Name: "Supported", Value: strings.Join(a.reg.offers, ", ")})
	}
	for _, line := range a.account.Headers {
		name, value, _ := strings.Cut(line, ":")
		r.Headers = append(r.Headers, wire.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	return r
}

func (a *Agent) usesOutbound() bool { return slices.Contains(a.reg.offers, "outbound") }

// registerTag is the From tag of every REGISTER of the run: it stays, as the
// Call-ID does.
func (a *Agent) registerTag() string { return a.id.callID[:10] }

// contactURI is where we are reached by who got the request, which has its Routes
// already; params are put on the URI.
//
// It is a sips: URI where the request leads to one (RFC 3261 8.1.1.8), and then
// to the end, since a dialog does not go back (RFC 5630 5.1.1.2). Otherwise it is
// a sip: URI, over TLS too: a sips: Contact would need a sips: AOR in From and To
// (RFC 5630 5.1.1.1). What it says of the transport then is tcp, since tls is not
// to be written (RFC 3261 26.2.2). Kamailio 5.6, which sends a NOTIFY to the
// Contact, finds the connection by its address in both forms; without a transport
// it tries UDP, and nothing arrives.
func (a *Agent) contactURI(r *wire.Request, params string) string {
	address := a.box.User() + "@" + a.flow.Host()
	scheme, transport := "sip:", ""
	switch a.flow.Transport() {
	case wire.TCP, wire.TLS:
		transport = ";transport=" + wire.TCP
	case wire.WS, wire.WSS:
		transport = ";transport=" + wire.WS // RFC 7118 5.2
	}
	secure := a.flow.Transport() == wire.TLS || a.flow.Transport() == wire.WSS
	if secure && (isSIPS(a.hop()) || isSIPS(r.URI) || isSIPS(bareURI(r.Headers.Get("Route")))) {
		scheme = "sips:"
		if a.flow.Transport() == wire.TLS {
			transport = ""
		}
	}
	return scheme + address + transport + params
}

// registerContact is our Contact, with what b has it say otherwise.
func (a *Agent) registerContact(b ByHand) string {
	regID := ""
	if a.usesOutbound() {
		regID = strconv.FormatUint(uint64(a.id.regID), 10)
	}
	value := "<" + a.id.contact + ">"
	if instance := orOurs(b.Instance, a.id.instance); instance != "" {
		value += ";+sip.instance=" + wire.Quote("<"+instance+">")
	}
	if regID = orOurs(b.RegID, regID); regID != "" {
		value += ";reg-id=" + regID
	}
	if q := orOurs(b.Q, a.account.Q); q != "" {
		value += ";q=" + q
	}
	for _, params := range []string{a.account.ContactExtra, b.ContactParams} {
		if params != "" {
			value += ";" + params
		}
	}
	return value
}

func (a *Agent) proxyRoute() []string {
	var routes []string
	for _, proxy := range a.proxies() {
		if !strings.Contains(strings.ToLower(proxy), ";lr") {
			proxy += ";lr"
		}
		routes = append(routes, "<"+proxy+">")
	}
	return routes
}

// hop is the URI that requests go to next: the outbound proxy, else the
// registrar, or where it sent us. A sips: AOR makes it a sips: one.
func (a *Agent) hop() string {
	hop := a.registerURI()
	if proxies := a.proxies(); len(proxies) > 0 {
		hop = proxies[0]
	}
	if isSIPS(a.account.AOR) {
		hop = toSIPS(hop)
	}
	return hop
}

func (a *Agent) addRoutes(r *wire.Request, routes []string) {
	for _, route := range routes {
		if address, err := wire.ParseNameAddr(route); err == nil && isSIPS(r.URI) {
			// RFC 5630 5.1.1: all of them, whatever the registrar or the user wrote.
			route = strings.Replace(route, "<"+address.URI, "<"+toSIPS(address.URI), 1)
		}
		r.Headers = append(r.Headers, wire.Header{Name: "Route", Value: route})
	}
}

func (a *Agent) addCommon(r *wire.Request, callID, fromTag, toTag string, cseq uint32) {
	from, to := "<"+a.account.AOR+">;tag="+fromTag, "<"+a.account.AOR+">"
	if a.account.DisplayName != "" {
		from = wire.Quote(a.account.DisplayName) + " " + from
	}
	if toTag != "" {
		to += ";tag=" + toTag
	}
	r.Headers = append(r.Headers,
		wire.Header{Name: "From", Value: from},
		wire.Header{Name: "To", Value: to},
		wire.Header{Name: "Call-ID", Value: callID},
		wire.Header{Name: "CSeq", Value: fmt.Sprintf("%d %s", cseq, r.Method)},
		wire.Header{Name: "User-Agent", Value: a.group.options.UserAgent},
	)
}

func (a *Agent) sendSubscribe(kind subKind, now time.Time) {
	if kind == subRenew && a.sub.tied && a.moved() {
		// The notifier's route set names the flow that is gone, by the token of an edge
		// proxy (RFC 5626 4.3, 5.3), and stays what it is (RFC 3261 12.2).
		a.apply(a.sub.replace("its flow is gone", now), now)
		return
	}
	cseq := a.subCSeq + 1
	request, hop := a.subscribeRequest(&a.sub.dialog, kind, cseq)
	hop = a.ownHop(hop)
	err := a.creds.Sign(request)
	if err == nil && a.widen(request, sendSubscribe{kind}) {
		return
	}
	a.subCSeq, a.subVia = cseq, a.flow
	if kind == subOpen {
		a.subPeer, a.sub.tied = a.flow.Remote().Addr(), a.outbound
	}
	if err != nil {
		a.apply(a.sub.broken(err.Error(), false, now), now)
		return
	}
	a.doInDialog(request, hop, a.sub.callID, cseq)
}

// subscribeRequest gives the SUBSCRIBE, yet to be signed, and the next hop of its
// dialog, see aim.
func (a *Agent) subscribeRequest(d *dialog, kind subKind, cseq uint32) (r *wire.Request, hop string) {
	r = &wire.Request{Method: "SUBSCRIBE", URI: d.about}
	if d.confirmed() {
		var routes []string
		r.URI, routes, hop = d.aim()
		a.addRoutes(r, routes)
	} else {
		// RFC 3608 6.1: after the outbound proxy's own Route.
		a.addRoutes(r, append(a.proxyRoute(), a.service...))
	}
	a.addCommon(r, d.callID, d.fromTag, d.remoteTag, cseq)
	expires := a.sub.expires
	if kind == subClose {
		expires = 0
	}
	params := ""
	if a.outbound {
		params = ";ob" // RFC 5626 4.3: requests in this dialog come over this flow
	}
	// Our address, not our GRUU: the NOTIFY that tells of our removal could not find
	// its way by a GRUU that our binding carries.
	contact := a.contactURI(r, params)
	if gruus := a.ledger.usable(a.account.AOR, a.some((*line).registered)); a.account.SubscribeGRUU && len(gruus) > 0 {
		contact = gruus[0].URI
	}
	for i, h := range r.Headers {
		if h.Name == "To" {
			r.Headers[i].Value = strings.Replace(h.Value, "<"+a.account.AOR+">", "<"+d.about+">", 1)
		}
	}
	r.Headers = append(r.Headers,
		wire.Header{Name: "Contact", Value: "<" + contact + ">"},
		wire.Header{Name: "Event", Value: "reg"},
		wire.Header{Name: "Accept", Value: "application/reginfo+xml"},
		wire.Header{Name: "Allow-Events", Value: "reg"},
		wire.Header{Name: "Expires", Value: strconv.FormatUint(uint64(expires), 10)},
		wire.Header{Name: "Supported", Value: supportedElsewhere},
	)
	return r, hop
}
