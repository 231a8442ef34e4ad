package ua_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// What is told of our contact last.
func (r *run) lastOfUs() (d ua.ContactDetail, summary string) {
	r.lab.t.Helper()
	time.Sleep(time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range slices.Backward(r.events) {
		if d, ok := e.Detail.(ua.ContactDetail); ok && d.Own {
			return d, e.Summary
		}
	}
	r.lab.t.Fatal("nothing told of us")
	return
}

// A list that has us again behind our kick, or behind our own removal, is no
// REGISTER of ours: there has been none. The next one is, also where its answer
// is lost.
func TestListedAgainIsNoRegister(t *testing.T) {
	bare := func(l listing) listing { // as of a registrar that shows no Call-ID
		l.attributes = ""
		return l
	}
	for name, shown := range map[string]func(listing) listing{
		"call-id":    func(l listing) listing { return l },
		"no call-id": bare,
		"no cseq":    func(l listing) listing { l.attributes, _, _ = strings.Cut(l.attributes, " cseq"); return l },
	} {
		for _, kicked := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
					register := s.acceptRegister()
					s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
					s.notify("active;expires=3600", reginfo(0, "full", shown(ours(register, "registered", 3600))))
					if d, _ := r.lastOfUs(); d.Origin != ua.OriginSelf {
						t.Fatalf("our REGISTER is told as %+v", d)
					}
					if kicked {
						s.notify("active;expires=3600", reginfo(1, "full", shown(ours(register, "unregistered", 0))))
						r.awaitKick(ua.KickUnregistered)
					} else {
						r.Do("alice", ua.Command{Verb: ua.DoUnregister})
						s.answer(s.next("REGISTER"), "200 OK")
						s.notify("active;expires=3600", reginfo(1, "full", shown(ours(register, "unregistered", 0))))
					}
					time.Sleep(time.Second)
					s.notify("active;expires=3600", reginfo(2, "full", shown(ours(register, "registered", 3600))))
					if d, _ := r.lastOfUs(); d.State != "active" || d.Origin != ua.OriginUnknown || len(d.Evidence) != 1 || !strings.Contains(d.Evidence[0], "no REGISTER of ours since") {
						t.Errorf("the list that has us again is told as %+v", d)
					}
					s.notify("active;expires=3600", reginfo(3, "full"))
					time.Sleep(time.Second)
					r.Do("alice", ua.Command{Verb: ua.DoRegister})
					again := s.next("REGISTER")
					if kicked && name != "no call-id" {
						r.awaitRegistration(ua.Retrying) // nobody answers it, but it has arrived
					}
					s.notify("active;expires=3600", reginfo(4, "full", shown(ours(again, "registered", 3600))))
					if d, _ := r.lastOfUs(); d.State != "active" || d.Origin != ua.OriginSelf {
						t.Errorf("our REGISTER without an answer is told as %+v", d)
					}
					want := 0
					if kicked {
						want = 1
					}
					if got := r.kicks(); len(got) != want {
						t.Errorf("kicks %+v\n%s", got, r.story())
					}
				})
			})
		}
	}
}

// A registrar that gives no word for what it did is told by the state.
func TestContactWithoutAWord(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "", 3600), listing{uri: another.uri, state: "terminated", attributes: another.attributes}))
		time.Sleep(time.Second)
		var got []string
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events {
			if _, ok := e.Detail.(ua.ContactDetail); ok {
				got = append(got, e.Summary)
			}
		}
		if want := []string{"this device active by us", another.uri + " terminated (other device)"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// RFC 3680 4.7.1: rejected is never answered by a REGISTER of our own accord, also
// where a query had found us gone before the document came that says why, and
// whether that REGISTER is to come, waits for its next try or is under way. Told is
// one kick.
func TestRejectedBehindAQuery(t *testing.T) {
	for _, when := range []string{"before the REGISTER", "between two tries", "during the REGISTER", "refused"} {
		for _, policy := range []ua.Policy{ua.Auto, ua.Ask, ua.Never} {
			t.Run(when+"/"+string(policy), func(t *testing.T) {
				change := func(a *ua.Account) {
					a.On = map[ua.Kick]ua.Policy{ua.KickAbsent: ua.Auto, ua.KickRejected: policy}
				}
				inScript(t, wire.UDP, change, func(s *scripted, r *run) {
					register := s.begin()
					time.Sleep(time.Minute)
					r.Do("alice", ua.Command{Verb: ua.DoQuery})
					s.answer(s.next("REGISTER"), "200 OK")
					if d := r.awaitAction(ua.Reregistering); when == "before the REGISTER" && time.Duration(d.In) < 200*time.Millisecond {
						return // the jitter left no time for it
					}
					sent, state := 2, ua.Unregistered
					var again string
					if when != "before the REGISTER" {
						again, sent = s.next("REGISTER"), 3
					}
					if when == "between two tries" {
						s.answer(again, "500 Server Internal Error")
						r.awaitRegistration(ua.Retrying)
					}
					s.notify("active;expires=3500", reginfo(1, "full", ours(register, "rejected", 0)))
					s.next("SIP/2.0 200")
					switch when {
					case "during the REGISTER":
						s.answer(again, "500 Server Internal Error")
					case "refused":
						s.answer(again, "403 Forbidden")
						state = ua.Refused
					}
					decision := ua.Stopped
					if policy == ua.Ask {
						decision = ua.Asked
					}
					if d := r.awaitAction(decision); d.On != ua.KickRejected || d.Policy != policy {
						t.Errorf("told %+v", d)
					}
					time.Sleep(2 * time.Hour)
					if n := r.sent("REGISTER"); n != sent {
						t.Errorf("%d REGISTERs\n%s", n, r.story())
					}
					if got := r.kicks(); len(got) != 1 || got[0].Event != "absent" {
						t.Errorf("kicks %+v\n%s", got, r.story())
					}
					if s := r.state("alice"); s.Registration.State != state || len(s.Prompts) != 1 || s.Prompts[0].On != ua.KickRejected {
						t.Errorf("%s, prompts %+v", s.Registration.State, s.Prompts)
					}
				})
			})
		}
	}
}

// A rejection from before the REGISTER that bound us anew is nothing, whether that
// one waits for its answer, or is found gone in its turn.
func TestOldRejectionBehindAQuery(t *testing.T) {
	for _, pending := range []bool{true, false} {
		inScript(t, wire.UDP, func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickAbsent: ua.Auto} }, func(s *scripted, r *run) {
			register := s.begin()
			time.Sleep(time.Minute)
			accept := func() {
				again := s.next("REGISTER")
				if pending {
					s.notify("active;expires=3500", reginfo(1, "full", ours(register, "rejected", 0)))
					s.next("SIP/2.0 200")
				}
				s.answer(again, "200 OK", "Contact: "+header(again, "Contact")+";expires=3600")
			}
			if !pending {
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				accept()
				time.Sleep(time.Second)
			}
			r.Do("alice", ua.Command{Verb: ua.DoQuery})
			s.answer(s.next("REGISTER"), "200 OK")
			if !pending {
				s.notify("active;expires=3500", reginfo(1, "full", ours(register, "rejected", 0)))
				s.next("SIP/2.0 200")
			}
			accept()
			time.Sleep(time.Minute)
			if s := r.state("alice"); s.Registration.State != ua.Registered || len(r.kicks()) != 1 {
				t.Errorf("%s\n%s", s.Registration.State, r.story())
			}
		})
	}
}

// A match once made stays while the row's Call-ID or URI stays, across dialogs too,
// where ids mean nothing: of a registrar that rewrites our URI and shows no
// instance, a removal repeats no more than our Call-ID, which alone proves nothing.
func TestMatchOutlivesTheDialog(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		rewritten := func(l listing) listing {
			l.uri = "sip:alice@198.51.100.4:1024"
			return l
		}
		register := s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", rewritten(ours(register, "registered", 3600))))
		if d, _ := r.lastOfUs(); d.MatchedBy != ua.ByCallID {
			t.Errorf("matched by %s", d.MatchedBy)
		}
		time.Sleep(time.Minute)
		s.notify("terminated;reason=deactivated", "")
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		s.cseq = 0
		gone := strings.Replace(reginfo(0, "full", rewritten(ours(register, "unregistered", 0))), `contact id="`, `contact id="another`, 1)
		s.notify("active;expires=3600", gone)
		r.awaitKick(ua.KickUnregistered)
	})
}

// Who takes our place is shown as what it is, and ours as gone, though both have
// had the same id.
func TestReplacedBindingIsShown(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		stolen := ours(register, "refreshed", 3600)
		uri := stolen.uri
		stolen.uri, stolen.attributes = "sip:alice@203.0.113.9:5062", `callid="stranger" cseq="7" expires="3600"`
		document := strings.Replace(reginfo(1, "full", stolen), `contact id="`+stolen.uri, `contact id="`+uri, 1)
		s.notify("active;expires=3600", strings.Replace(withInstance(document, header(register, "Contact")), "</contact>", `<unknown-param name="reg-id">1</unknown-param></contact>`, 1))
		r.awaitKick(ua.KickAbsent)
		var got []string
		for _, b := range r.state("alice").Bindings {
			got = append(got, fmt.Sprint(b.Contact.URI, " ", b.Own, " ", b.MatchedBy, " ", b.Contact.State, " ", b.Origin))
		}
		if want := []string{stolen.uri + " false instance active other-device", uri + " true call-id terminated elsewhere"}; !slices.Equal(got, want) {
			t.Errorf("shown %q, want %q", got, want)
		}
	})
}
