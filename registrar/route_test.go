package registrar

import (
	"testing"
	"time"
)

// An OPTIONS to a GRUU comes to the device that has it, as the proxy of RFC 5627
// 6.1 does it: rewritten, one hop less, and the answer goes back. What is no GRUU
// any more gets 404, and a public one without a contact 480.
func TestOPTIONSToGRUU(t *testing.T) {
	inLab(t, Options{Users: map[string]string{"alice": "secret"}}, func(l *lab) {
		p := l.phone("192.0.2.7")
		register := func(headers ...string) (pub, temp string) {
			headers = append(headers, "Contact: "+p.contact()+`;+sip.instance="<`+instance+`>";reg-id=1`, "Supported: gruu, outbound")
			challenge := p.register(401, headers...)
			answer := p.register(200, append(headers, authorize(challenge, "REGISTER", "sip:"+domain, "alice", "secret", 1))...)
			c := contactsOf(t, answer)[0].Params
			return c.Get("pub-gruu"), c.Get("temp-gruu")
		}
		options := func(uri string, status int, headers ...string) {
			t.Helper()
			if got := p.send("OPTIONS", uri, headers...); got.Status != status {
				t.Errorf("OPTIONS %s: %d %s, want %d", uri, got.Status, got.Reason, status)
			}
		}
		options(alice+";gr="+instance, 480)
		pub, first := register()
		_, second := register()
		caller := l.phone("203.0.113.9")
		for _, gruu := range []string{pub, first, second} {
			p.answer = 299
			if got := caller.send("OPTIONS", gruu, "Max-Forwards: 9"); got.Status != 299 || got.Reason != "So" {
				t.Errorf("OPTIONS %s: %d %s", gruu, got.Status, got.Reason)
			}
			p.answer = 200
			list := p.heard()
			if len(list) != 1 || "<"+list[0].URI+">" != p.contact() || list[0].Headers.Get("Max-Forwards") != "8" || list[0].Headers.Get("Call-ID") != caller.callID {
				t.Errorf("%s: the device was sent %+v", gruu, list)
			}
		}
		if first == second {
			t.Error("one temporary GRUU for two REGISTERs")
		}
		options(second, 483, "Max-Forwards: 0")
		// Another Call-ID voids the temporary ones (RFC 5627 5.1).
		register("Call-ID: other")
		options(first, 404)
		options(second, 404)
		options(pub, 200)
		options("sip:nobody@"+domain+";gr=x", 404)
		// A connection that is gone, and no other way to the device (RFC 5626 5.3).
		gone := l.phoneOver("tcp", "192.0.2.8")
		p, p.answer = gone, 200
		pub, _ = register()
		l.net.Reset(l.net.Host("192.0.2.1").Addr(), l.net.Host("192.0.2.8").Addr())
		time.Sleep(time.Second)
		if got := caller.send("OPTIONS", pub); got.Status != 430 {
			t.Errorf("a device whose connection is gone: %d %s", got.Status, got.Reason)
		}
		if err := l.Deactivate("alice", ""); err != nil {
			t.Error(err)
		}
		p = caller
		options(pub, 480)
	})
}
