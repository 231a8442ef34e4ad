package ua_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

func disagreements(r *run) (out []string) {
	for _, d := range all[ua.DisagreementDetail](r) {
		what := strings.Join(d.Between, " against ") + ": " + d.Detail
		if d.Cleared {
			what = "no more: " + what
		}
		out = append(out, what)
	}
	return out
}

// onlySays fails unless the disagreements told are these, in order, each named by
// a part of it.
func (r *run) onlySays(want ...string) {
	r.lab.t.Helper()
	got := disagreements(r)
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		r.lab.t.Errorf("told %q, not %q\n%s", got, want, r.story())
	}
}

// Whatever is done to a registration that is told as it should be, the witnesses
// agree: nothing is said.
func TestTruthsAgree(t *testing.T) {
	for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio} {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				r := l.watch(phoneHost, "", account())
				r.watching()
				other := l.watch(otherHost, "", account())
				other.watching()
				for _, verb := range []ua.Verb{ua.DoQuery, ua.DoRegister, ua.DoUnregister, ua.DoQuery, ua.DoRegister, ua.DoQuery} {
					r.Do("alice", ua.Command{Verb: verb})
					time.Sleep(time.Minute)
				}
				time.Sleep(3 * time.Hour)
				other.close()
				time.Sleep(time.Hour)
				if err := l.Deactivate("alice", ""); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				r.onlySays()
				r.close()
			})
		})
	}
}

// A list that does not have us though we count ourselves registered is told after
// a while, and settled: asked, by the user; auto, by a query at once; off, not
// compared. What a query finds is a kick.
func TestDisagreementIsSettled(t *testing.T) {
	for _, settle := range []ua.Settle{"", ua.SettleAuto, ua.SettleOff} {
		t.Run("settle="+string(settle), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Settle = settle }, func(s *scripted, r *run) {
				register := s.acceptRegister()
				s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
				s.notify("active;expires=3600", reginfo(0, "full", another)) // it never lists us
				time.Sleep(4 * time.Second)
				r.onlySays()
				switch settle {
				case ua.SettleOff:
					time.Sleep(time.Minute)
					r.onlySays()
				case ua.SettleAuto:
					query := s.next("REGISTER")
					r.onlySays("local against watched: registered by our count")
					s.answer(query, "200 OK", "Contact: "+header(register, "Contact")+";expires=3590", "Contact: <"+another.uri+">;expires=3000")
					time.Sleep(time.Minute)
					if got := r.kicks(); len(got) != 0 {
						t.Errorf("kicks: %+v", got)
					}
					s.notify("active;expires=3500", reginfo(1, "full", another, ours(register, "refreshed", 3500)))
					time.Sleep(10 * time.Second)
					r.onlySays("local against watched", "no more: local against watched")
				default:
					time.Sleep(10 * time.Minute)
					r.onlySays("local against watched: registered by our count")
					if n := r.state("alice").Notices; len(n) != 1 || !strings.Contains(n[0], "a query (Q) settles it") {
						t.Errorf("notices %q", n)
					}
					r.Do("alice", ua.Command{Verb: ua.DoQuery})
					s.answer(s.next("REGISTER"), "200 OK", "Contact: <"+another.uri+">;expires=3000")
					r.awaitKick(ua.KickAbsent)
					time.Sleep(10 * time.Second)
					r.onlySays("local against watched", "no more: local against watched")
				}
			})
		})
	}
}

// What a query has found and no document said: the documents are the witness that
// is contradicted, and what helps is to ask for the list anew.
func TestQueryContradictsTheDocuments(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		s.answer(s.next("REGISTER"), "200 OK")
		asked := time.Now()
		r.awaitKick(ua.KickAbsent)
		if b := r.state("alice").Bindings; len(b) != 1 || b[0].Active() || !b[0].StillListed {
			t.Errorf("bindings %+v", b)
		}
		time.Sleep(10 * time.Second)
		d := r.state("alice").Disagreements
		if len(d) != 1 || d[0].Against != ua.WitnessWatched || d[0].Since.Sub(asked) > time.Second ||
			d[0].Detail != "not registered by our count, nor by the registrar's last answer, but its documents still list us" {
			t.Fatalf("disagreements %+v", d)
		}
		if n := r.state("alice").Notices; len(n) != 1 || !strings.HasSuffix(n[0], ": S asks for the list anew") {
			t.Errorf("notices %q", n)
		}
		s.notify("active;expires=3500", reginfo(1, "full"))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if state := r.state("alice"); len(state.Disagreements) != 0 {
			t.Errorf("disagreements %+v", state.Disagreements)
		}
	})
}

// Two kicks at once can leave a list behind that still has one of the contacts,
// where documents have no order. Allowed to, we ask: and it is our own that is
// gone.
func TestRacingKicksAreFoundOut(t *testing.T) {
	for _, gone := range []bool{true, false} {
		t.Run(fmt.Sprint("gone=", gone), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Settle = ua.SettleAuto }, func(s *scripted, r *run) {
				register := s.acceptRegister()
				s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
				s.notify("active;expires=3600", reginfo(0, "full", another, ours(register, "registered", 3600)))
				time.Sleep(time.Minute)
				theirs := another
				theirs.state, theirs.event = "terminated", "unregistered"
				s.notify("active;expires=3500", reginfo(0, "full", theirs, ours(register, "registered", 3540)))
				query := s.next("REGISTER")
				var listed []string
				if !gone {
					listed = append(listed, "Contact: "+header(register, "Contact")+";expires=3539")
				}
				s.answer(query, "200 OK", listed...)
				time.Sleep(time.Second)
				kicks := 0
				if gone {
					kicks = 1
				}
				if got := r.kicks(); len(got) != kicks {
					t.Errorf("kicks %+v\n%s", got, r.story())
				}
			})
		})
	}
}

// Where documents have no order one without us may be from before our refresh, come
// late, and be the last there is: soon after a 2xx it is no kick until a query says
// so. Who is to ask by hand is told that the witnesses differ.
func TestOvertakenDocumentIsNoKick(t *testing.T) {
	for _, c := range []struct {
		settle ua.Settle
		gone   bool
	}{{ua.SettleAuto, true}, {ua.SettleAuto, false}, {ua.SettleAsk, false}} {
		t.Run(fmt.Sprint(c.settle, "/gone=", c.gone), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Settle = c.settle }, func(s *scripted, r *run) {
				s.begin()
				time.Sleep(time.Minute)
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				register := s.acceptRegister()
				s.notify("active;expires=3500", reginfo(0, "full", ours(register, "refreshed", 3600)))
				s.next("SIP/2.0 200")
				s.notify("active;expires=3500", reginfo(0, "full", another))
				s.next("SIP/2.0 200")
				if c.settle == ua.SettleAsk {
					time.Sleep(time.Minute)
					r.onlySays("local against watched: registered by our count")
				} else {
					asked := time.Now()
					query := s.next("REGISTER")
					if late := time.Since(asked); late > 2*time.Second {
						t.Errorf("asked after %v", late)
					}
					var listed []string
					if !c.gone {
						listed = append(listed, "Contact: "+header(register, "Contact")+";expires=3599")
					}
					s.answer(query, "200 OK", listed...)
					time.Sleep(time.Second)
				}
				kicks := 0
				if c.gone {
					kicks = 1
				}
				if got := r.kicks(); len(got) != kicks {
					t.Errorf("kicks %+v\n%s", got, r.story())
				}
			})
		})
	}
}

// The document that lists us once more after our kick is from before it, and what
// ends then is nothing of ours.
func TestKickedContactThatComesBackIsOneKick(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		for _, document := range []string{
			reginfo(0, "full", another, ours(register, "unregistered", 3540)),
			reginfo(0, "full", another, ours(register, "registered", 3540)),
			reginfo(0, "full", another),
		} {
			s.notify("active;expires=3500", document)
			s.next("SIP/2.0 200")
		}
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 1 || got[0].Event != "unregistered" {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// Devices that go one after another do not put off the query that is to say
// whether we are still there.
func TestRemovalsDoNotPutOffTheQuery(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Settle = ua.SettleAuto }, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		for n := range 10 {
			theirs := listing{uri: fmt.Sprintf("sip:alice@203.0.113.9:%d", 5070+n), state: "active", event: "created", attributes: `callid="other" cseq="1"`}
			s.notify("active;expires=3500", reginfo(0, "full", theirs, ours(register, "registered", 3540)))
			theirs.state, theirs.event = "terminated", "unregistered"
			s.notify("active;expires=3500", reginfo(0, "full", theirs, ours(register, "registered", 3540)))
			time.Sleep(500 * time.Millisecond)
		}
		if n := r.sent("REGISTER"); n < 2 {
			t.Errorf("no query in 5 s of removals\n%s", r.story())
		}
	})
}

// What a query has found is told once: the document that says so was under way.
func TestLateDocumentBehindAQuery(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		s.answer(s.next("REGISTER"), "200 OK")
		time.Sleep(time.Second)
		s.notify("active;expires=3500", reginfo(1, "full", ours(register, "probation", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 1 || got[0].Event != "absent" {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		register = s.acceptRegister()
		s.notify("active;expires=3500", reginfo(2, "full", ours(register, "registered", 3600)))
		s.next("SIP/2.0 200")
		s.notify("active;expires=3500", reginfo(3, "full", ours(register, "deactivated", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 2 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A query that ends our binding sooner than was granted tells of a shortening that no
// document told, and the document that does so later is no second one.
func TestQueryFindsUsShortened(t *testing.T) {
	ask := func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickShortened: ua.Ask} }
	inScript(t, wire.UDP, ask, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		s.answer(s.next("REGISTER"), "200 OK", "Contact: "+header(register, "Contact")+";expires=600")
		d := r.awaitKick(ua.KickShortened)
		if d.Source != ua.FromRegister || d.Origin != ua.OriginNetwork {
			t.Errorf("told as %+v", d)
		}
		s.notify("active;expires=3500", reginfo(1, "full", ours(register, "shortened", 600)))
		s.next("SIP/2.0 200")
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		s.answer(s.next("REGISTER"), "200 OK", "Contact: "+header(register, "Contact")+";expires=500")
		time.Sleep(time.Second)
		if got := all[ua.ActionDetail](r); len(got) != 1 || len(r.kicks()) != 1 {
			t.Errorf("actions %+v\n%s", got, r.story())
		}
		if left := time.Until(r.state("alice").Registration.ExpiresAt); left > 10*time.Minute {
			t.Errorf("%v left", left)
		}
	})
}
