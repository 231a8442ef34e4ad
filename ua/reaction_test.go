package ua_test

import (
	"fmt"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// strike does to our contact what a kick is, by the document that tells of it.
func (s *scripted) strike(kick ua.Kick, register string) {
	gone := ours(register, map[ua.Kick]string{ua.KickExpired: "expired", ua.KickUnregistered: "unregistered"}[kick], 0)
	if gone.event == "" {
		gone.event = string(kick)
	}
	gone.state = "terminated"
	switch kick {
	case ua.KickShortened:
		gone.state = "active"
		gone.attributes += ` expires="60"`
	case ua.KickProbation:
		gone.attributes += ` retry-after="20"`
	case ua.KickAbsent:
		s.notify("active;expires=3000", reginfo(1, "full", another))
		return
	}
	s.notify("active;expires=3000", reginfo(1, "full", gone))
}

// Each kick is met by its own policy: asked, nothing happens before the user says
// so; never, nothing at all; automatic, a REGISTER follows after a jitter of 0 to 2 s
// that was announced, behind the time of a probation, and before the end of what
// was shortened. Rejected is never answered by itself.
func TestPolicies(t *testing.T) {
	for _, kick := range ua.Kicks {
		for _, policy := range []ua.Policy{ua.Ask, ua.Auto, ua.Never} {
			t.Run(string(kick)+"/"+string(policy), func(t *testing.T) {
				change := func(a *ua.Account) {
					a.On = make(map[ua.Kick]ua.Policy)
					for i, k := range ua.Kicks { // all others have another
						a.On[k] = []ua.Policy{ua.Ask, ua.Auto, ua.Never}[i%3]
					}
					a.On[kick] = policy
				}
				inScript(t, wire.UDP, change, func(s *scripted, r *run) {
					register := s.begin()
					time.Sleep(time.Minute)
					s.strike(kick, register)
					told := r.awaitKick(kick)
					d := r.await("an action", func(e ua.Event) bool { return e.Kind() == ua.KindAction }).Detail.(ua.ActionDetail)
					if told.Origin != ua.OriginNetwork || d.On != kick || d.Policy != policy {
						t.Errorf("told %+v, %+v", told, d)
					}
					want, least, most := ua.Reregistering, time.Duration(0), 2*time.Second
					switch {
					case policy == ua.Ask:
						want = ua.Asked
					case policy == ua.Never || kick == ua.KickRejected:
						want = ua.Stopped
					case kick == ua.KickProbation:
						want, least, most = ua.Waiting, 20*time.Second, 22*time.Second
					}
					if d.Decision != want {
						t.Fatalf("decided %s, not %s", d.Decision, want)
					}
					if want != ua.Reregistering && want != ua.Waiting {
						time.Sleep(50 * time.Minute)
						if n := r.sent("REGISTER"); n != 1 {
							t.Errorf("%d REGISTERs\n%s", n, r.story())
						}
						return
					}
					in := time.Duration(d.In)
					if in < least || in > most {
						t.Errorf("announced in %v", in)
					}
					if in < 200*time.Millisecond {
						return // the jitter left no time to look
					}
					prompts := r.state("alice").Prompts
					if len(prompts) != 1 || prompts[0].ActAt.IsZero() {
						t.Fatalf("prompts %+v", prompts)
					}
					s.patience = time.Minute
					s.next("REGISTER")
					if late := time.Since(prompts[0].ActAt); late < 0 || late > 10*time.Millisecond {
						t.Errorf("came %v behind its time", late)
					}
				})
			})
		}
	}
}

// The jitter is drawn anew each time, from 0 to 2 s.
func TestJitter(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Auto} }, func(s *scripted, r *run) {
		register := s.begin()
		least, most := time.Hour, time.Duration(0)
		for n := range 60 {
			time.Sleep(2 * time.Minute) // a war is quicker
			s.notify("active;expires=3000", reginfo(2*n+1, "full", ours(register, "deactivated", 0)))
			in := time.Duration(r.awaitAction(ua.Reregistering).In)
			least, most = min(least, in), max(most, in)
			register = s.acceptRegister()
			s.notify("active;expires=3000", reginfo(2*n+2, "full", ours(register, "registered", 3600)))
			time.Sleep(time.Second)
		}
		if most > 2*time.Second || most-least < time.Second {
			t.Errorf("from %v to %v", least, most)
		}
	})
}

// What was shortened is refreshed before its new end, however near that is.
func TestShortenedIsRefreshedInTime(t *testing.T) {
	for _, left := range []int{1, 2, 30} {
		for range 10 {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				time.Sleep(time.Minute)
				s.notify("active;expires=3000", reginfo(1, "full", ours(register, "shortened", left)))
				end := time.Now().Add(time.Duration(left) * time.Second)
				if in := time.Duration(r.awaitAction(ua.Reregistering).In); in > time.Duration(left)*time.Second/2 {
					t.Errorf("%d s left: announced in %v", left, in)
				}
				s.next("REGISTER")
				if !time.Now().Before(end) {
					t.Errorf("%d s left: refreshed %v late", left, time.Since(end))
				}
			})
		}
	}
}

// Three kicks within a minute, each behind a REGISTER of our own accord, stop that.
// Three that are further apart do not, nor do those behind the user's own REGISTERs,
// which also begin the count anew.
func TestWar(t *testing.T) {
	for _, c := range []struct {
		pause  time.Duration
		byHand bool
		stops  int // at this kick; 0: never
	}{{5 * time.Second, false, 4}, {40 * time.Second, false, 0}, {5 * time.Second, true, 0}} {
		t.Run(fmt.Sprint(c.pause, c.byHand), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickUnregistered: ua.Auto} }, func(s *scripted, r *run) {
				register := s.begin()
				for n := 1; n <= 8; n++ {
					time.Sleep(c.pause)
					s.notify("active;expires=3000", reginfo(2*n, "full", ours(register, "unregistered", 0)))
					r.awaitKick(ua.KickUnregistered)
					d := r.await("an action", func(e ua.Event) bool { return e.Kind() == ua.KindAction }).Detail.(ua.ActionDetail)
					if stopped := d.Decision == ua.Asked; stopped != (n == c.stops) {
						t.Fatalf("kick %d: %s", n, d.Decision)
					} else if stopped {
						time.Sleep(30 * time.Minute)
						if got := r.requests("REGISTER"); got != n {
							t.Errorf("%d REGISTERs behind %d kicks", got, n)
						}
						return
					}
					if c.byHand {
						r.Do("alice", ua.Command{Verb: ua.DoRegister})
					}
					register = s.acceptRegister()
					s.notify("active;expires=3000", reginfo(2*n+1, "full", ours(register, "registered", 3600)))
					r.awaitRegistration(ua.Registered)
				}
			})
		})
	}
}

// A removal is our own lapse from 2 s before the end that we count on, and a kick
// before that.
func TestLapseOrKick(t *testing.T) {
	for before, kick := range map[time.Duration]bool{time.Second: false, 3 * time.Second: true} {
		inScript(t, wire.UDP, func(a *ua.Account) { a.Expires = 120 }, func(s *scripted, r *run) {
			register := s.begin()
			s.patience = 2 * time.Minute
			s.next("REGISTER") // the refresh, and it is refused: no other is under way then
			s.answer(s.next("REGISTER"), "403 Forbidden")
			time.Sleep(time.Until(r.state("alice").Registration.ExpiresAt.Add(-before)))
			s.notify("active;expires=3000", reginfo(1, "full", ours(register, "expired", 0)))
			s.next("SIP/2.0 200")
			time.Sleep(10 * time.Millisecond)
			if got := len(r.kicks()) == 1; got != kick {
				t.Errorf("%v before the end: kick %v\n%s", before, got, r.story())
			}
		})
	}
}
