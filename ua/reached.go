package ua

import (
	"fmt"
	"strings"
	"time"

	"regwatch/internal/wire"
)

// incoming answers a request that reached us.
func (a *Agent) incoming(in *wire.Incoming, now time.Time) {
	if in.Method == "NOTIFY" {
		a.notify(in, now)
		return
	}
	status, reason := 405, "Method Not Allowed"
	headers := wire.Headers{{Name: "Allow", Value: allow}}
	switch in.Method {
	case "OPTIONS":
		status, reason = 200, "OK"
		headers = append(headers,
			wire.Header{Name: "Accept", Value: "application/reginfo+xml"},
			wire.Header{Name: "Supported", Value: supported})
	case "MESSAGE":
		status, reason = 200, "OK" // RFC 3680 3.3: welcome notices are one use of the package
	case "INVITE":
		status, reason = 486, "Busy Here"
	}
	in.Respond(wire.Answer{Status: status, Reason: reason, Headers: headers})
	if in.Method == "OPTIONS" && a.pinged(in) {
		return
	}
	summary := fmt.Sprintf("%s from %s", cut(in.Method, reachedMost), forPeople(cut(bareURI(in.Headers.Get("From")), reachedMost)))
	if in.Method == "INVITE" {
		who, _ := called(in.Headers)
		summary += fmt.Sprintf(" to %s", forPeople(cut(who, reachedMost)))
	}
	a.tellReached(in, summary, status)
}

// The ring of events keeps thousands of requests: no value of one is longer.
const reachedMost = 512

// tellReached tells of a request that reached us and of our answer.
func (a *Agent) tellReached(in *wire.Incoming, summary string, status int) {
	const most, mostOfBody = reachedMost, 4096
	d := RequestDetail{Method: cut(in.Method, most), From: cut(bareURI(in.Headers.Get("From")), most), Target: cut(in.URI, most), Status: status}
	d.Called, d.CalledFrom = called(in.Headers)
	d.Called = cut(d.Called, most)
	if in.Method == "MESSAGE" || in.Method == "NOTIFY" {
		d.ContentType, d.Body = cut(in.Headers.Get("Content-Type"), most), cut(string(in.Body), mostOfBody)
	}
	a.tell(in.At, fmt.Sprintf("%s, answered %d", summary, status), d)
}

// called tells what was called. The Request-URI no longer does: the proxy put our
// Contact in the place of the GRUU (RFC 5627 6.1). It may say so in a header
// field of its own; To is no more than a guess.
func called(h wire.Headers) (uri, from string) {
	if value := h.Get("P-Called-Party-ID"); value != "" { // RFC 7315 4.2
		return bareURI(value), "p-called-party-id"
	}
	if entries, _ := h.ParseNameAddrs("History-Info"); len(entries) > 0 { // RFC 7044 5
		// The last but one: the last is our own Contact.
		entry := entries[max(len(entries)-2, 0)]
		uri, _, _ := strings.Cut(entry.URI, "?")
		return uri, "history-info"
	}
	return bareURI(h.Get("To")), "to"
}

func bareURI(value string) string {
	if address, err := wire.ParseNameAddr(value); err == nil {
		return address.URI
	}
	return value
}

// ping is an OPTIONS to a GRUU of ours, on its way through the proxy.
type ping struct {
	callID string // it comes back with the same: nobody but we knows it
	tag    string
	uri    string
	cseq   uint32
	sentAt time.Time
	back   time.Duration // when it reached us; 0: not yet

	answeredTo []string // realms whose challenge was answered
	asking     bool     // the answer waits for the password
}

// pingResult is the answer to the OPTIONS.
type pingResult struct {
	callID   string
	response *wire.Response
	err      error
}

// pingGRUU sends an OPTIONS to our own GRUU: does it come back to this device,
// and how fast. A temporary one is preferred: it is what callers see.
func (a *Agent) pingGRUU(now time.Time) {
	list := a.ledger.usable(a.account.AOR, a.some((*line).registered))
	if len(list) == 0 || a.flow == nil {
		a.tell(now, "no GRUU to ping", RequestDetail{Method: "OPTIONS", From: a.account.AOR})
		return
	}
	uri := list[len(list)-1].URI
	if !wire.IsURI(uri) {
		a.tell(now, "the GRUU is no URI: "+uri, RequestDetail{Method: "OPTIONS", From: a.account.AOR, Target: uri})
		return
	}
	if a.ping != nil {
		a.box.Forget(a.ping.callID)
	}
	a.ping = &ping{callID: randomHex(12), tag: randomHex(6), uri: uri}
	a.box.Expect(a.ping.callID)
	a.lastPing = Ping{URI: uri, SentAt: now}
	a.sendPing(now)
}

func (a *Agent) sendPing(now time.Time) {
	p := a.ping
	p.cseq++
	p.sentAt = now
	r := &wire.Request{Method: "OPTIONS", URI: p.uri}
	a.addRoutes(r, append(a.proxyRoute(), a.service...))
	a.addCommon(r, p.callID, p.tag, "", p.cseq)
	for i, h := range r.Headers {
		if h.Name == "To" {
			r.Headers[i].Value = "<" + p.uri + ">"
		}
	}
	r.Headers = append(r.Headers, wire.Header{Name: "Supported", Value: supportedElsewhere})
	if err := a.creds.Sign(r); err != nil {
		a.pingOver(now, 0, " failed: "+err.Error())
		return
	}
	a.do(r, func(response *wire.Response, err error) any { return pingResult{p.callID, response, err} })
}

// pinged reports whether the request is our ping come back.
func (a *Agent) pinged(in *wire.Incoming) bool {
	if a.ping == nil || in.Headers.Get("Call-ID") != a.ping.callID {
		return false
	}
	a.ping.back = max(in.At.Sub(a.ping.sentAt), 1)
	return true
}

func (a *Agent) pingDone(r pingResult, now time.Time) {
	p := a.ping
	if p == nil || p.callID != r.callID {
		return
	}
	if r.err != nil {
		a.pingOver(now, 0, " failed: "+explain(r.err))
		return
	}
	status := r.response.Status
	switch {
	case p.back > 0:
		a.pingOver(now, status, fmt.Sprintf(" came back to this device in %s, answered %d", shortly(p.back), status))
	case (status == 401 || status == 407) && p.cseq == 1:
		// RFC 3261 22.3: what a proxy asks for in one dialog serves in no other.
		a.challenged(r.response, &p.answeredTo, 1, &p.asking, func(ok bool, fault string) {
			switch {
			case a.ping != p:
			case ok && a.flow != nil:
				a.sendPing(a.group.now())
			default:
				a.pingOver(a.group.now(), status, fmt.Sprintf(" was not let through: %d %s: %s", status, r.response.Reason, fault))
			}
		})
	default:
		a.pingOver(now, status, fmt.Sprintf(" did not come back to this device: answered %d %s", status, r.response.Reason))
	}
}

// pingOver tells what became of the ping.
func (a *Agent) pingOver(now time.Time, status int, how string) {
	p := a.ping
	a.ping = nil
	a.box.Forget(p.callID)
	a.lastPing.Back, a.lastPing.Status, a.lastPing.Outcome = p.back, status, strings.TrimSpace(how)
	a.tell(now, "our ping"+how+": "+p.uri, RequestDetail{Method: "OPTIONS", From: a.account.AOR, Target: p.uri, Status: status})
}
