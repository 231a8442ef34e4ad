package ua_test

import (
	"slices"
	"testing"
	"time"

	"regwatch/registrar"
	"regwatch/ua"
)

// The main job, once for each word: the administrator does it, the event says
// what it was and who did it, the policy decides, the user answers, and we are
// registered again.
func TestKickedAndBack(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		for kick, do := range map[ua.Kick]func(*lab) error{
			ua.KickDeactivated: func(l *lab) error { return l.Deactivate("alice", "") },
			ua.KickProbation:   func(l *lab) error { return l.Probation("alice", "", 20*time.Second) },
			ua.KickShortened:   func(l *lab) error { return l.Shorten("alice", "", 60*time.Second) },
			ua.KickExpired:     func(l *lab) error { return l.Expire("alice", "") },
		} {
			t.Run(transport+"/"+string(kick), func(t *testing.T) {
				inLab(t, registrar.Options{Users: users}, func(l *lab) {
					a := account()
					a.Transport = transport
					a.On = map[ua.Kick]ua.Policy{ua.KickShortened: ua.Ask}
					r := l.watch(phoneHost, "", a)
					r.watching()
					if err := do(l); err != nil {
						t.Fatal(err)
					}
					d := r.awaitKick(kick)
					if d.Origin != ua.OriginNetwork || len(d.Evidence) == 0 || d.MatchedBy != ua.ByInstance {
						t.Errorf("told as %+v", d)
					}
					r.awaitAction(ua.Asked)
					s := r.state("alice")
					if len(s.Prompts) != 1 || s.Prompts[0].On != kick {
						t.Fatalf("prompts %+v", s.Prompts)
					}
					if kick.TakesOff() != (s.Registration.State == ua.Unregistered) {
						t.Errorf("state is %s", s.Registration.State)
					}
					time.Sleep(20 * time.Second)
					if got := r.state("alice").Prompts; len(got) != 1 {
						t.Fatalf("the prompt did not wait: %+v", got)
					}
					r.Do("alice", ua.Command{Verb: ua.DoRegister})
					r.awaitRegistration(ua.Registered)
					if s := r.state("alice"); len(s.Prompts) != 0 || s.Registration.State != ua.Registered {
						t.Errorf("afterwards: %+v", s.Registration)
					}
					if got := r.kicks(); len(got) != 1 {
						t.Errorf("%d kicks told:\n%s", len(got), r.story())
					}
					r.close()
					if b := l.Bindings("alice"); len(b) != 0 {
						t.Errorf("left behind: %v", b)
					}
				})
			})
		}
	}
}

// A binding that goes without a word is found in the next full document.
func TestRemovedSilently(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		r.watching()
		if err := l.Remove("alice", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 0 {
			t.Fatalf("told of what nobody said: %+v", got)
		}
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		if d := r.awaitKick(ua.KickAbsent); d.Origin != ua.OriginNetwork {
			t.Errorf("told as %+v", d)
		}
		r.close()
	})
}

// Rejected is never answered by a REGISTER of our own accord, and REGISTERs are
// refused until the administrator lets the user in again.
func TestRejected(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.On = map[ua.Kick]ua.Policy{ua.KickRejected: ua.Auto}
		r := l.watch(phoneHost, "", a)
		r.watching()
		if err := l.Reject("alice"); err != nil {
			t.Fatal(err)
		}
		r.awaitKick(ua.KickRejected)
		r.awaitAction(ua.Stopped)
		time.Sleep(time.Hour)
		if s := r.state("alice").Registration.State; s != ua.Unregistered {
			t.Errorf("after an hour: %s", s)
		}
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		if d := r.awaitRegistration(ua.Refused); d.Status != 403 {
			t.Errorf("refused as %+v", d)
		}
		if err := l.Allow("alice"); err != nil {
			t.Fatal(err)
		}
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		r.awaitRegistration(ua.Registered)
		r.close()
	})
}

// With "auto" we come back by ourselves: within the jitter, or when probation is
// over; and something that kicks us each time is a war, which we do not fight.
func TestAutomatic(t *testing.T) {
	auto := account()
	auto.On = map[ua.Kick]ua.Policy{}
	for _, k := range ua.Kicks {
		auto.On[k] = ua.Auto
	}
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", auto)
		r.watching()
		if err := l.Probation("alice", "", 20*time.Second); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if d := r.awaitAction(ua.Waiting); time.Duration(d.In) < 20*time.Second {
			t.Errorf("waiting %v", d.In)
		}
		r.awaitRegistration(ua.Registered)
		if took := time.Since(start); took < 20*time.Second || took > 23*time.Second {
			t.Errorf("back after %v", took)
		}
		for n := 1; ; n++ {
			time.Sleep(3 * time.Second)
			if err := l.Deactivate("alice", ""); err != nil {
				t.Fatal(err)
			}
			r.awaitKick(ua.KickDeactivated)
			d := r.await("an action", func(e ua.Event) bool { return e.Kind() == ua.KindAction }).Detail.(ua.ActionDetail)
			if d.Decision == ua.Asked {
				if n != 3 {
					t.Errorf("gave up at kick %d", n)
				}
				break
			}
			r.awaitRegistration(ua.Registered)
		}
		r.close()
	})
}

// The registrar that calls every kick "unregistered", and its documents version
// 0, hides nothing.
func TestKamailioProfile(t *testing.T) {
	inLab(t, registrar.Options{Users: users, Profile: "kamailio"}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		r.watching()
		for round := range 5 {
			if err := l.Deactivate("alice", ""); err != nil {
				t.Fatal(err)
			}
			d := r.awaitKick(ua.KickUnregistered)
			if d.Origin != ua.OriginNetwork && d.Origin != ua.OriginElsewhere {
				t.Errorf("round %d: told as %+v", round, d)
			}
			r.Do("alice", ua.Command{Verb: ua.DoRegister})
			r.awaitRegistration(ua.Registered)
			time.Sleep(5 * time.Second)
		}
		if err := l.Shorten("alice", "", 90*time.Second); err != nil {
			t.Fatal(err)
		}
		r.awaitKick(ua.KickShortened)
		r.awaitRegistration(ua.Registered)
		r.close()
		if got := r.kicks(); len(got) != 6 {
			t.Errorf("%d kicks told:\n%s", len(got), r.story())
		}
	})
}

// What we do ourselves is no kick: refresh, unregister, another device's coming
// and going, our own goodbye.
func TestNoFalseKick(t *testing.T) {
	for _, profile := range registrar.Profiles {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				l.net.SetDelay(10*time.Millisecond, 5*time.Millisecond)
				r := l.watch(phoneHost, "", account())
				r.watching()
				other := l.watch(otherHost, "", account())
				other.watching()
				for range 3 {
					r.Do("alice", ua.Command{Verb: ua.DoRegister})
					r.awaitRegistration(ua.Registered)
					time.Sleep(time.Second)
					r.Do("alice", ua.Command{Verb: ua.DoUnregister})
					r.awaitRegistration(ua.Unregistered)
					time.Sleep(time.Second)
					r.Do("alice", ua.Command{Verb: ua.DoRegister})
					r.awaitRegistration(ua.Registered)
					r.Do("alice", ua.Command{Verb: ua.DoQuery})
				}
				time.Sleep(3 * time.Hour)
				other.close()
				time.Sleep(time.Minute)
				r.close()
				for name, each := range map[string]*run{"first": r, "second": other} {
					if got := each.kicks(); len(got) != 0 {
						t.Errorf("%s was told of %d kicks:\n%s", name, len(got), each.story())
					}
				}
				if !slices.ContainsFunc(all[ua.ContactDetail](r), func(d ua.ContactDetail) bool {
					return !d.Own && d.Origin == ua.OriginOtherDevice && d.State == "terminated"
				}) && profile == "rfc" {
					t.Errorf("the second device's end was not told:\n%s", r.story())
				}
			})
		})
	}
}

// A shortening is one kick, also right behind our 2xx: at a registrar that tells it
// under each identity of an implicit set and shows no Call-ID, and at one that tells
// no times.
func TestShortenedOnce(t *testing.T) {
	for _, profile := range registrar.Profiles {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				a := account()
				a.On = map[ua.Kick]ua.Policy{ua.KickShortened: ua.Ask}
				r := l.watch(phoneHost, "", a)
				r.watching()
				if err := l.Shorten("alice", "", 10*time.Minute); err != nil {
					t.Fatal(err)
				}
				r.awaitKick(ua.KickShortened)
				time.Sleep(2 * time.Second)
				if got := all[ua.ActionDetail](r); len(got) != 1 {
					t.Errorf("actions %+v\n%s", got, r.story())
				}
				r.close()
			})
		})
	}
}
