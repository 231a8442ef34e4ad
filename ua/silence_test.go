package ua_test

import (
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// forgotten has the notifier lose the subscription, and answer the one that follows;
// its first NOTIFY is the test's.
func (s *scripted) forgotten(r *run) {
	s.t.Helper()
	time.Sleep(time.Minute)
	r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
	s.answer(s.next("SUBSCRIBE"), "481 Subscription Does Not Exist")
	s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
	s.cseq = 0
}

// RFC 3680 4.7.1: the first document after a silence says that we were kicked
// meanwhile: that is told, whatever the word, and the policy says what follows. No
// REGISTER that only the silence calls for undoes it before.
func TestKickDuringSilence(t *testing.T) {
	for _, event := range []string{"deactivated", "probation", "rejected", "unregistered", "expired"} {
		t.Run(event, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				s.forgotten(r)
				s.notify("active;expires=3600", reginfo(0, "full", ours(register, event, 0)))
				s.next("SIP/2.0 200")
				time.Sleep(time.Minute)
				if got := r.kicks(); len(got) != 1 || string(got[0].Event) != event || got[0].Origin != ua.OriginNetwork {
					t.Errorf("kicks %+v\n%s", got, r.story())
				}
				if state := r.state("alice"); state.Registration.State != ua.Unregistered || len(state.Prompts) != 1 || r.requests("REGISTER") != 1 {
					t.Errorf("%s, open %+v\n%s", state.Registration.State, state.Prompts, r.story())
				}
			})
		})
	}
}

// A kick that passes the REGISTER on its way which only the silence called for: it
// is told, where the registrar names our binding and a word that only the network
// has, and the 2xx says that we are bound again. Of a plain removal the 2xx is the
// later word: it may be how this registrar tells of a refresh.
func TestKickPassesReassurance(t *testing.T) {
	for _, c := range []struct {
		event, answer string
		kicks         int
		state         ua.RegistrationState
	}{
		{"deactivated", "200 OK", 1, ua.Registered},
		{"rejected", "200 OK", 1, ua.Registered},
		{"rejected", "403 Forbidden", 1, ua.Refused},
		{"unregistered", "200 OK", 0, ua.Registered},
	} {
		t.Run(c.event+" "+c.answer, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				s.forgotten(r)
				s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3540)))
				s.next("SIP/2.0 200")
				refresh := s.next("REGISTER")
				s.notify("active;expires=3600", reginfo(1, "full", ours(register, c.event, 0)))
				s.next("SIP/2.0 200")
				s.answer(refresh, c.answer, "Contact: "+header(refresh, "Contact")+";expires=3600")
				if c.state == ua.Registered {
					s.notify("active;expires=3600", reginfo(2, "full", ours(refresh, "registered", 3600)))
					s.next("SIP/2.0 200")
				}
				time.Sleep(time.Minute)
				if got := r.kicks(); len(got) != c.kicks {
					t.Errorf("kicks %+v\n%s", got, r.story())
				}
				if state := r.state("alice"); state.Registration.State != c.state || c.state == ua.Registered && len(state.Prompts) != 0 {
					t.Errorf("%s, open %+v\n%s", state.Registration.State, state.Prompts, r.story())
				}
			})
		})
	}
}
