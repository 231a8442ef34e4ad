package ua_test

import (
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// wholeNotify is a NOTIFY in our dialog as it stands in a datagram, but for what
// each run makes up: URI, TAG and CALLID. Without a Content-Length the body is the
// rest (RFC 3261 18.3).
const wholeNotify = `NOTIFY URI SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKwhole
Max-Forwards: 70
From: <sip:alice@example.com>;tag=server
To: <sip:alice@example.com>;tag=TAG
Call-ID: CALLID
CSeq: 2 NOTIFY
Contact: <sip:notifier@192.0.2.1>
Event: reg
Subscription-State: active;expires=3600
Content-Type: application/reginfo+xml

`

// FuzzNotify: whatever datagram comes into our dialog, the agent lives, stays
// registered or registers as it said it would, sends nothing that is malformed, and
// tells nothing that is unsafe to print.
func FuzzNotify(f *testing.F) {
	body := reginfo(1, "partial", another)
	with := func(old, new string) string { return strings.Replace(wholeNotify, old, new, 1) + body }
	for _, seed := range []string{
		wholeNotify + body, wholeNotify, wholeNotify + document(7, "full", "unregistered", 1), wholeNotify + strings.Replace(body, "sip:", "sip:&#27;[2J", 1),
		with("active;expires=3600", "terminated;reason=deactivated"), with("active;expires=3600", "terminated;reason=probation;retry-after=4000000000"),
		with("active;expires=3600", "pending;expires=0"), with("CSeq: 2", "CSeq: 4294967295"), with("CSeq: 2", "CSeq: 1"), with("tag=server", "tag=other"),
		with("Event: reg", "Event: reg;id=1"), with("Event: reg", "o: presence"), with("application/reginfo+xml", "multipart/mixed;boundary=x"),
		with("<sip:notifier@192.0.2.1>", "<sip:a@[2001:db8::1]:0;lr;x=\"y\">, *"), with("Event: reg", "Record-Route: <sip:198.51.100.1;lr>,<sip:198.51.100.2>\nEvent: reg"),
		with("Via: SIP/2.0/UDP 192.0.2.1:5060", "Via: SIP/2.0/TCP no.such.host.invalid:1"), with("NOTIFY URI", "NOTIFY tel:+1"), with("Max-Forwards: 70", "Max-Forwards: -1"),
	} {
		f.Add(strings.ReplaceAll(seed, "\n", "\r\n"))
	}
	f.Fuzz(func(t *testing.T, datagram string) {
		if len(datagram) > 60_000 {
			return
		}
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			s.begin()
			s.send(strings.NewReplacer("URI", s.contact, "TAG", s.toTag, "CALLID", s.callID).Replace(datagram))
			for range 10 { // a SUBSCRIBE or a REGISTER may follow
				time.Sleep(time.Second)
				for len(s.in) > 0 {
					switch message := <-s.in; {
					case strings.HasPrefix(message, "REGISTER"):
						s.answer(message, "200 OK", "Contact: "+header(message, "Contact")+";expires=3600")
					case strings.HasPrefix(message, "SUBSCRIBE"):
						s.answer(message, "200 OK", "Expires: 3600")
					}
				}
			}
			if state := r.state("alice").Registration.State; state != ua.Registered {
				t.Errorf("%s\n%s", state, r.story())
			}
			r.isHarmless()
		})
	})
}
