package ua_test

import (
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

func ims(a *ua.Account) { a.IMS = true }

// acceptIMS answers a REGISTER as a core does.
func (s *scripted) acceptIMS(expires string) string {
	s.t.Helper()
	register := s.next("REGISTER")
	s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+";expires="+expires,
		"P-Associated-URI: <sip:public@example.com>, <tel:+15551234>")
	return register
}

// TS 24.229 5.1.1.3, 5.1.1.4; RFC 7315 4.1: the default public identity is watched,
// for 600000 s; the REGISTER is refreshed 600 s ahead where more than 1200 s are
// granted, else half-way, and the subscription with it.
func TestIMSManners(t *testing.T) {
	for granted, after := range map[string]time.Duration{"3600": 3000 * time.Second, "1200": 600 * time.Second, "30": 15 * time.Second} {
		t.Run(granted, func(t *testing.T) {
			inScript(t, wire.UDP, ims, func(s *scripted, r *run) {
				register := s.acceptIMS(granted)
				subscribe := s.takeSubscribe()
				if !strings.HasPrefix(subscribe, "SUBSCRIBE sip:public@example.com SIP/2.0") || header(subscribe, "To") != "<sip:public@example.com>" || header(subscribe, "Expires") != "600000" {
					t.Errorf("subscribed by\n%s", subscribe)
				}
				s.answer(subscribe, "200 OK", "Expires: 600000")
				s.notify("active;expires=600000", reginfo(0, "full", ours(register, "registered", 3600)))
				start := time.Now()
				for r.sent("REGISTER") == 1 {
					time.Sleep(time.Second)
				}
				if took := time.Since(start).Round(2 * time.Second); (took - after).Abs() > 2*time.Second {
					t.Errorf("refreshed after %v, not %v", took, after)
				}
				subscribes := r.requests("SUBSCRIBE")
				s.acceptIMS(granted)
				time.Sleep(time.Second)
				if n := r.requests("SUBSCRIBE"); n != subscribes+1 {
					t.Errorf("%d SUBSCRIBEs with the refresh", n-subscribes)
				}
			})
		})
	}
}

// TS 24.229 5.1.1.3A: deactivated, a device registers anew from scratch, of its own
// accord; rejected, it drops everything and stays off.
func TestIMSKicks(t *testing.T) {
	for _, word := range []string{"deactivated", "rejected"} {
		t.Run(word, func(t *testing.T) {
			inScript(t, wire.UDP, ims, func(s *scripted, r *run) {
				challenge := s.next("REGISTER")
				s.answer(challenge, "401 Unauthorized", `WWW-Authenticate: Digest realm="core", nonce="n1", qop="auth"`)
				register := s.acceptIMS("3600")
				s.answer(s.takeSubscribe(), "200 OK", "Expires: 600000")
				s.notify("active;expires=600000", reginfo(0, "full", ours(register, "registered", 3600)))
				time.Sleep(time.Minute)
				s.notify("active;expires=599000", reginfo(1, "full", ours(register, word, 0)))
				time.Sleep(5 * time.Second)
				if word == "rejected" {
					time.Sleep(2 * time.Hour)
					if n, m := r.sent("REGISTER"), r.requests("SUBSCRIBE"); n != 2 || m != 1 {
						t.Errorf("%d REGISTERs, %d SUBSCRIBEs\n%s", n, m, r.story())
					}
					if s := r.state("alice"); s.Subscription.State != ua.Terminated || s.Registration.State != ua.Unregistered {
						t.Errorf("%s, %s", s.Registration.State, s.Subscription.State)
					}
					return
				}
				anew := s.acceptIMS("3600")
				if header(anew, "Call-ID") == header(register, "Call-ID") || !strings.Contains(header(anew, "Authorization"), `nonce=""`) {
					t.Errorf("not from scratch:\n%s", anew)
				}
				dialog := s.callID
				if subscribe := s.takeSubscribe(); header(subscribe, "Call-ID") == dialog {
					t.Errorf("the old subscription:\n%s", subscribe)
				}
			})
		})
	}
}

// A SUBSCRIBE that was under way when we were taken off is not waited for: its
// answer would be of a dialog that is no more.
func TestIMSKickWhileSubscribing(t *testing.T) {
	inScript(t, wire.UDP, ims, func(s *scripted, r *run) {
		register := s.acceptIMS("3600")
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 600000")
		s.notify("active;expires=600000", reginfo(0, "full", ours(register, "registered", 3600)))
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		refresh := s.takeSubscribe()
		s.notify("active;expires=599000", reginfo(1, "full", ours(register, "deactivated", 0)))
		dialog := s.callID
		s.acceptIMS("3600")
		s.answer(refresh, "200 OK", "Expires: 600000")
		for subscribe := s.takeSubscribe(); header(subscribe, "Call-ID") == dialog; {
			subscribe = s.takeSubscribe() // the old one, sent again
		}
	})
}

// watch_uri: somebody else's registration is subscribed to, under our own name.
func TestWatchURI(t *testing.T) {
	change := func(a *ua.Account) { a.WatchURI, a.WatchOnly = "sip:bob@example.com", true }
	inScript(t, wire.UDP, change, func(s *scripted, r *run) {
		subscribe := s.takeSubscribe()
		if !strings.HasPrefix(subscribe, "SUBSCRIBE sip:bob@example.com SIP/2.0") || header(subscribe, "To") != "<sip:bob@example.com>" ||
			!strings.HasPrefix(header(subscribe, "From"), "<sip:alice@example.com>;tag=") {
			t.Errorf("subscribed by\n%s", subscribe)
		}
	})
}

// RFC 5627 4.4: with our GRUU as the Contact of the SUBSCRIBE the NOTIFY that tells
// of our removal finds no way, which is to be seen; with our address it does.
func TestSubscribeContact(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.SubscribeGRUU = true
		r := l.watch(phoneHost, "", a)
		r.awaitRegistration(ua.Registered)
		time.Sleep(time.Second)
		for _, m := range r.trace.Messages() {
			raw := string(m.Raw)
			if strings.HasPrefix(raw, "SUBSCRIBE ") && !strings.Contains(header(raw, "Contact"), ";gr=urn:uuid:") {
				t.Errorf("Contact: %s", header(raw, "Contact"))
			}
		}
		r.close()
	})
}
