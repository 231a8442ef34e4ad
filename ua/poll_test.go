package ua_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// bindings is a registrar without the reg event: it binds what it is asked to
// bind, and lists what the test wants listed besides.
type bindings struct {
	mu     sync.Mutex
	listed []string // Contact values
	hidden bool     // our own is left out
	status string   // of the answer to SUBSCRIBE
}

func (b *bindings) set(change func(*bindings)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *bindings) serve(s *scripted) {
	ours := ""
	for message := range s.in {
		b.mu.Lock()
		switch {
		case strings.HasPrefix(message, "SUBSCRIBE "):
			s.answer(message, b.status)
		case strings.HasPrefix(message, "REGISTER "):
			if contact := header(message, "Contact"); contact != "" {
				ours, b.hidden = contact+";expires="+header(message, "Expires"), false
			}
			var headers []string
			for _, c := range b.listed {
				headers = append(headers, "Contact: "+c)
			}
			if !b.hidden {
				headers = append(headers, "Contact: "+ours)
			}
			s.answer(message, "200 OK", headers...)
		}
		b.mu.Unlock()
	}
}

func contacts(r *run) (out []string) {
	for _, d := range all[ua.ContactDetail](r) {
		who := d.URI
		if d.Own {
			who = "own"
		}
		out = append(out, who+" "+string(d.Event)+" "+string(d.Origin)+" "+string(d.Source))
	}
	return out
}

// RFC 3261 10.2.3: a registrar without the reg event is asked for its bindings,
// and what changed between two answers makes the same events, marked as polled.
// The reg event is tried again at each refresh.
func TestPolling(t *testing.T) {
	for _, status := range []string{"489 Bad Event", "405 Method Not Allowed", "501 Not Implemented", "403 Forbidden", "404 Not Found", "200 OK"} {
		t.Run(status, func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Expires = 600 }, func(s *scripted, r *run) {
				b := &bindings{status: status}
				go b.serve(s)
				defer func() { r.kill(); close(s.in) }()
				r.awaitSubscription(ua.Polling)
				time.Sleep(time.Minute)
				before := len(contacts(r))
				b.set(func(b *bindings) { b.listed = []string{"<sip:alice@203.0.113.9:5062>;expires=900;q=0.5"} })
				time.Sleep(time.Minute)
				b.set(func(b *bindings) { b.listed = nil })
				time.Sleep(time.Minute)
				b.set(func(b *bindings) { b.hidden = true })
				kick := r.awaitKick(ua.KickAbsent)
				if kick.Source != ua.FromPoll || kick.Origin != ua.OriginNetwork {
					t.Errorf("the kick: %+v", kick)
				}
				r.awaitAction(ua.Asked)
				time.Sleep(5 * time.Minute)
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				r.awaitRegistration(ua.Registered)
				time.Sleep(20 * time.Minute)
				got := strings.Join(contacts(r)[before:], "\n")
				want := strings.Join([]string{
					"sip:alice@203.0.113.9:5062 registered other-device poll",
					"sip:alice@203.0.113.9:5062 refreshed other-device poll",
					"sip:alice@203.0.113.9:5062 absent unknown poll",
					"own absent network poll",
					"own registered self poll",
				}, "\n")
				if got != want {
					t.Errorf("told\n%s\nnot\n%s\n%s", got, want, r.story())
				}
				if n := r.sent("SUBSCRIBE"); n < 3 {
					t.Errorf("the reg event was tried %d times", n)
				}
				states := 0
				for _, d := range all[ua.SubscriptionDetail](r) {
					if d.State == ua.Polling {
						states++
					}
				}
				if states != 1 || r.state("alice").Subscription.State != ua.Polling {
					t.Errorf("polling was told %d times\n%s", states, r.story())
				}
			})
		})
	}
}

// watch = "poll" never subscribes by itself; watch = "reg" never polls.
func TestWatchModes(t *testing.T) {
	for _, mode := range []ua.WatchMode{ua.WatchPoll, ua.WatchReg} {
		t.Run(string(mode), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Watch, a.PollInterval = mode, 10*time.Second }, func(s *scripted, r *run) {
				b := &bindings{status: "489 Bad Event"}
				go b.serve(s)
				defer func() { r.kill(); close(s.in) }()
				r.awaitRegistration(ua.Registered)
				time.Sleep(10 * time.Minute)
				registers, subscribes := r.sent("REGISTER"), r.sent("SUBSCRIBE")
				if mode == ua.WatchPoll && (registers < 50 || registers > 70 || subscribes != 0) || mode == ua.WatchReg && (registers != 1 || subscribes != 1) {
					t.Errorf("%d REGISTERs, %d SUBSCRIBEs", registers, subscribes)
				}
			})
		})
	}
}

// A registrar that gets the reg event is no longer polled.
func TestPollingEnds(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.acceptRegister()
		s.answer(s.takeSubscribe(), "489 Bad Event")
		r.awaitSubscription(ua.Polling)
		s.answer(s.next("REGISTER"), "200 OK", "Contact: "+header(register, "Contact")+";expires=3600")
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
		r.awaitSubscription(ua.Active)
		sent := r.sent("REGISTER")
		time.Sleep(10 * time.Minute)
		if n := r.sent("REGISTER"); n != sent {
			t.Errorf("%d more questions", n-sent)
		}
	})
}
