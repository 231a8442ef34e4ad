package ua_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// The RFCs' timers, of which the bounds below are made.
const (
	timerF   = 64 * 500 * time.Millisecond // RFC 3261 17.1.2.2: the longest exchange; Timer N of RFC 6665 4.1.2.4 too
	baseTime = 30 * time.Second            // RFC 5626 4.5
	maxTime  = 1800 * time.Second          // RFC 5626 4.5
)

// upperBound is W of RFC 5626 4.5.
func upperBound(failures int) time.Duration {
	wait := baseTime
	for range failures {
		wait = min(maxTime, 2*wait)
	}
	return wait
}

// retryBound is the longest that we may stay away after an outage of that length:
// the wait that runs when it ends (RFC 5626 4.5), which is the longer the more
// attempts failed meanwhile. One that began before the end may have been sent for
// the last time before it too, and fails 64*T1 after its beginning.
func retryBound(outage time.Duration) time.Duration {
	failures := 1
	for spent := upperBound(1) / 2; spent < outage+timerF; spent += upperBound(failures) / 2 {
		failures++
	}
	return timerF + upperBound(failures)
}

// refreshBound is the longest until something that was granted is refreshed:
// 64*T1 before its end, so that the exchange is over by then (RFC 5627 4.2).
func refreshBound(granted uint32) time.Duration {
	return time.Duration(granted)*time.Second - timerF
}

// outage is what happens to a network or a registrar, and its end.
type outage struct {
	name       string
	transports []string
	expires    uint32 // of registration and subscription, in seconds
	begin      func(*lab)
	lasts      time.Duration
	end        func(*lab)
	// The bounds on what it takes, once it is over, to be registered, and to be told
	// of what happens; 0 for the second: within 64*T1 of the first, since a
	// registration that succeeds is a reason to subscribe.
	registration, subscription time.Duration
}

const otherServer = "192.0.2.2"

var (
	phone  = netip.MustParseAddr(phoneHost)
	server = netip.MustParseAddr(registrarHost)
)

func cut(l *lab)  { l.net.Cut(phone, server) }
func heal(l *lab) { l.net.Heal(phone, server) }
func stop(l *lab) { l.Registrar.Close() }

func outages() []outage {
	both, udp, tcp := []string{wire.UDP, wire.TCP}, []string{wire.UDP}, []string{wire.TCP}
	return []outage{{
		// A refresh or a keep-alive falls into it, and finds that nobody answers (RFC
		// 5626 4.4.1); what is tried then may fail as well.
		name: "a minute of partition", transports: both, expires: 90,
		begin: cut, lasts: time.Minute, end: heal,
		registration: retryBound(time.Minute), subscription: retryBound(time.Minute) + timerF,
	}, {
		// Nobody answers the NOTIFY, and so the notifier ends the subscription (RFC
		// 6665 4.2.2). The next refresh, be it of the registration, finds that out.
		name: "a minute of partition and a lost NOTIFY", transports: both, expires: 600,
		begin: func(l *lab) { cut(l); l.Create("sip:alice@example.com", "sip:alice@198.51.100.2", time.Hour) },
		lasts: time.Minute, end: heal,
		registration: retryBound(time.Minute), subscription: refreshBound(600),
	}, {
		name: "an hour of partition", transports: both, expires: 600,
		begin: cut, lasts: time.Hour, end: heal,
		registration: retryBound(time.Hour),
	}, {
		// Nothing tells us before the next refresh, or the answer to it.
		name: "registrar restarted", transports: udp, expires: 600,
		begin: stop, lasts: time.Second, end: (*lab).start,
		registration: refreshBound(600),
	}, {
		// The connection tells us.
		name: "registrar restarted", transports: tcp, expires: 600,
		begin: stop, lasts: time.Second, end: (*lab).start,
		registration: retryBound(time.Second),
	}, {
		name: "registrar without power for a minute", transports: both, expires: 600,
		begin: func(l *lab) { cut(l); stop(l) }, lasts: time.Minute, end: func(l *lab) { l.start(); heal(l) },
		registration: refreshBound(600),
	}, {
		name: "registrar gone for ten minutes", transports: both, expires: 600,
		begin: stop, lasts: 10 * time.Minute, end: (*lab).start,
		registration: retryBound(10 * time.Minute),
	}}
}

// Each outage begins at several moments between two refreshes.
const phases = 4

func sleepTo(phase int, expires uint32) {
	time.Sleep(10*time.Minute + time.Duration(phase)*time.Duration(expires)*time.Second/phases)
}

// After an outage registration and subscription come back by themselves, within
// what the RFCs' timers give, and nobody is told of a kick. It begins at several
// moments between two refreshes.
func TestRecovery(t *testing.T) {
	for _, o := range outages() {
		for _, transport := range o.transports {
			t.Run(o.name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				var registered, watched, behind time.Duration
				for phase := range phases {
					inLab(t, registrar.Options{Users: users}, func(l *lab) {
						a := account()
						a.Transport, a.Expires, a.SubscribeExpires = transport, o.expires, o.expires
						r := l.watch(phoneHost, "", a)
						defer r.kill()
						r.watching()
						sleepTo(phase, o.expires)
						o.begin(l)
						time.Sleep(o.lasts)
						o.end(l)
						one, other := r.back(l.Registrar, 10*time.Hour)
						registered, watched, behind = max(registered, one), max(watched, other), max(behind, other-one)
						r.staysWell(l.Registrar)
						r.close()
					})
				}
				within(t, "registered", registered, o.registration)
				if o.subscription > 0 {
					within(t, "watching", watched, o.subscription)
				} else {
					within(t, "watching after that", behind, timerF)
				}
			})
		}
	}
}

func within(t *testing.T, what string, took, bound time.Duration) {
	t.Helper()
	t.Logf("%s within %v; the bound is %v", what, took.Round(time.Second), bound)
	if took > bound {
		t.Errorf("%s above the bound", what)
	}
}

// back lets time pass until the registrar holds our contact and we know it, and
// until we hear of what it does: it makes a contact each other second.
func (r *run) back(at *registrar.Registrar, limit time.Duration) (registered, watched time.Duration) {
	r.lab.t.Helper()
	const probe = "sip:probe@198.51.100.9"
	begun := time.Now()
	registered, watched = -1, -1
	defer func() { at.Remove("alice", probe) }()
	for made := false; registered < 0 || watched < 0; made = !made {
		if time.Since(begun) > limit {
			r.lab.t.Fatalf("not back after %v: registered %v, watching %v\n%s", limit, registered, watched, r.story())
		}
		s := r.state("alice")
		ours := func(b registrar.Binding) bool { return b.URI == s.Registration.Contact }
		if registered < 0 && s.Registration.State == ua.Registered && slices.ContainsFunc(at.Bindings("alice"), ours) {
			registered = time.Since(begun)
		}
		for _, b := range s.Bindings {
			if watched < 0 && s.Subscription.State == ua.Active && b.Contact.URI == probe && b.At.After(begun) {
				watched = b.At.Sub(begun)
			}
		}
		if made {
			at.Remove("alice", probe)
		} else if err := at.Create("sip:alice@example.com", probe, time.Minute); err != nil {
			r.lab.t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	return registered, watched
}

// staysWell: half an hour later all is as it was, nothing was taken for a kick, and
// a kick is seen.
func (r *run) staysWell(at *registrar.Registrar) {
	t := r.lab.t
	t.Helper()
	time.Sleep(30 * time.Minute)
	if s := r.state("alice"); s.Registration.State != ua.Registered || s.Subscription.State != ua.Active {
		t.Errorf("in the end %s, %s\n%s", s.Registration.State, s.Subscription.State, r.story())
	}
	if got := r.kicks(); len(got) != 0 {
		t.Errorf("false kicks: %+v\n%s", got, r.story())
	}
	// Not while a refresh is under way: it would bind us again.
	for s := r.state("alice").Registration; time.Until(s.ExpiresAt) < s.Granted*3/4; s = r.state("alice").Registration {
		time.Sleep(time.Second)
	}
	if err := at.Deactivate("alice", ""); err != nil {
		t.Error(err)
		return
	}
	r.awaitKick(ua.KickDeactivated)
}

// RFC 5626 4.5: after the n-th failure the next attempt comes after 50 to 100 % of
// min(1800 s, 30 s * 2^n). A good flow that is lost is replaced at once.
func TestRetryWaits(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		for _, good := range []bool{false, true} {
			t.Run(fmt.Sprint(transport, "/good=", good), func(t *testing.T) {
				inLab(t, registrar.Options{Users: users}, func(l *lab) {
					if !good {
						l.Registrar.Close()
					}
					a := account()
					a.Transport, a.Watch, a.Expires, a.KeepAlive = transport, ua.WatchOff, 120, ua.KeepOff
					r := l.watch(phoneHost, "", a)
					defer r.kill()
					if good {
						r.awaitRegistration(ua.Registered)
						l.Registrar.Close()
					}
					time.Sleep(12 * time.Hour)
					var waits []time.Duration
					for _, d := range all[ua.RegistrationDetail](r) {
						// Neither a lapse nor a slow answer begins a wait.
						if d.State == ua.Retrying && !strings.Contains(d.Reason, "ran out") && !strings.Contains(d.Reason, "for 7 s") {
							waits = append(waits, time.Duration(d.RetryIn))
						}
					}
					if good {
						if waits[0] != 0 {
							t.Errorf("%v passed before the first attempt", waits[0])
						}
						waits = waits[1:]
					}
					for i, wait := range waits {
						if most := upperBound(i + 1); wait < most/2 || wait > most {
							t.Errorf("wait %d is %v, not %v to %v", i+1, wait, most/2, most)
						}
					}
					if len(waits) < 20 {
						t.Errorf("%d failures in 12 hours", len(waits))
					}
				})
			})
		}
	}
}

// In a bad network each exchange ends well within 64*T1, and nothing is lost for it
// in hours: neither the registration nor the subscription.
func TestBadNetworks(t *testing.T) {
	for _, network := range []struct {
		name          string
		loss          float64
		delay, jitter time.Duration
	}{
		{"20 % loss", 0.2, 0, 0},
		{"300 ms", 0, 300 * time.Millisecond, 0},
		{"300 to 600 ms, reordering", 0, 300 * time.Millisecond, 300 * time.Millisecond},
		{"20 % loss, 300 ms", 0.2, 300 * time.Millisecond, 0},
		{"20 % loss, 300 to 600 ms, reordering", 0.2, 300 * time.Millisecond, 300 * time.Millisecond},
	} {
		for _, transport := range []string{wire.UDP, wire.TCP} {
			t.Run(network.name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				inLab(t, registrar.Options{Users: users}, func(l *lab) {
					l.net.Lose(network.loss)
					l.net.SetDelay(network.delay, network.jitter)
					a := account()
					a.Transport, a.Expires, a.SubscribeExpires = transport, 600, 600
					begun := time.Now()
					r := l.watch(phoneHost, "", a)
					defer r.kill()
					r.awaitRegistration(ua.Registered)
					// A REGISTER and its challenge; over TCP the connection before it.
					within(t, "registered", time.Since(begun), 3*timerF)
					r.awaitSubscription(ua.Active)
					// A SUBSCRIBE and its challenge, and Timer N (RFC 6665 4.1.2.4).
					within(t, "watching", time.Since(begun), 6*timerF)
					gone := 0
					for range 3 * time.Hour / (30 * time.Second) {
						time.Sleep(30 * time.Second)
						if len(l.Bindings("alice")) != 1 {
							gone++
						}
					}
					if gone > 0 {
						t.Errorf("%d times in three hours the registrar had no binding, or two\n%s", gone, r.story())
					}
					// Over TCP five losses in a row hold up all that follows for 31 s, so that a
					// NOTIFY may fail, and with it the subscription.
					told := timerF
					if network.loss > 0 && transport == wire.TCP {
						told = refreshBound(600)
					}
					for _, d := range all[ua.SubscriptionDetail](r) {
						if d.State == ua.Terminated && told == timerF {
							t.Errorf("subscription lost: %+v\n%s", d, r.story())
						}
					}
					_, watched := r.back(l.Registrar, time.Hour)
					within(t, "told of a change", watched, told)
					r.staysWell(l.Registrar)
				})
			})
		}
	}
}

// RFC 3263 4.3: where one of two machines of a name dies, registration and
// subscription go to the other, and back when that dies too. They share nothing.
func TestTargetDies(t *testing.T) {
	for _, records := range []string{"two addresses", "SRV"} {
		for _, death := range []struct {
			name      string
			transport string
			bound     time.Duration
		}{
			// The next refresh goes to the dead machine and ends after 64*T1.
			{"silent", wire.UDP, refreshBound(600) + timerF},
			{"silent", wire.TCP, refreshBound(600) + timerF},
			// The connection tells, and the next one is refused.
			{"reset", wire.TCP, time.Second},
		} {
			t.Run(fmt.Sprint(records, "/", death.transport, "/", death.name), func(t *testing.T) {
				t.Parallel()
				var registered, watched time.Duration
				for phase := range phases {
					inLab(t, registrar.Options{Users: users}, func(l *lab) {
						other := &lab{t: t, net: l.net, options: l.options, host: otherServer}
						other.start()
						defer func() { other.Registrar.Close() }()
						if records == "SRV" {
							l.net.Name("example.com")
							dns := l.net.Nameserver("192.0.2.53",
								"_sip._udp.example.com. 60 IN SRV 10 0 5060 one.example.com.", "_sip._udp.example.com. 60 IN SRV 20 0 5060 two.example.com.",
								"_sip._tcp.example.com. 60 IN SRV 10 0 5060 one.example.com.", "_sip._tcp.example.com. 60 IN SRV 20 0 5060 two.example.com.",
								"one.example.com. 60 IN A "+registrarHost, "two.example.com. 60 IN A "+otherServer)
							defer dns.Close()
							l.net.SetNameservers(time.Second, 2, dns)
						} else {
							l.net.Name("example.com", server, other.addr())
						}
						a := account()
						a.Transport, a.Expires, a.SubscribeExpires = death.transport, 600, 600
						r := l.watch(phoneHost, "", a)
						defer r.kill()
						r.watching()
						for _, change := range []struct{ dies, lives *lab }{{l, other}, {other, l}} {
							sleepTo(phase, a.Expires)
							if death.name == "silent" {
								l.net.Cut(phone, change.dies.addr())
							} else {
								change.dies.Registrar.Close()
							}
							one, two := r.back(change.lives.Registrar, 10*time.Hour)
							registered, watched = max(registered, one), max(watched, two)
							if death.name == "silent" {
								l.net.Heal(phone, change.dies.addr())
							} else {
								change.dies.start()
							}
						}
						r.staysWell(l.Registrar)
						r.close()
					})
				}
				within(t, "registered", registered, death.bound)
				within(t, "watching", watched, death.bound+timerF)
			})
		}
	}
}

// Where a SUBSCRIBE finds the machine dead while a REGISTER is on its way to it, the
// list of the other machine, which lacks us, is no kick. Over TCP that REGISTER ends
// with its connection, and goes to the other machine at once.
func TestSubscribeFindsTargetDead(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				other := &lab{t: t, net: l.net, options: l.options, host: otherServer}
				other.start()
				defer func() { other.Registrar.Close() }()
				l.net.Name("example.com", server, other.addr())
				a := account()
				a.Transport = transport
				r := l.watch(phoneHost, "", a)
				defer r.kill()
				r.watching()
				cut(l)
				r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
				time.Sleep(timerF - time.Second)
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				registered, _ := r.back(other.Registrar, time.Hour)
				within(t, "registered", registered, map[string]time.Duration{wire.UDP: timerF, wire.TCP: 2 * time.Second}[transport])
				r.staysWell(other.Registrar)
				r.close()
			})
		})
	}
}

// Where nobody tells and we ask, an answer that does not list us after a silence is
// no kick either.
func TestPollingOverRestart(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		for phase := range phases {
			t.Run(fmt.Sprint(transport, phase), func(t *testing.T) {
				inLab(t, registrar.Options{Users: users}, func(l *lab) {
					a := account()
					a.Transport, a.Watch, a.KeepAlive = transport, ua.WatchPoll, ua.KeepOff
					r := l.watch(phoneHost, "", a)
					defer r.kill()
					r.awaitRegistration(ua.Registered)
					time.Sleep(10*time.Minute + time.Duration(phase)*ua.DefaultPollInterval/phases)
					l.Registrar.Close()
					time.Sleep(2 * time.Minute)
					l.start()
					begun := time.Now()
					for len(l.Bindings("alice")) == 0 && time.Since(begun) < time.Hour {
						time.Sleep(time.Second)
					}
					within(t, "registered", time.Since(begun), retryBound(2*time.Minute))
					time.Sleep(time.Minute)
					if s := r.state("alice"); s.Registration.State != ua.Registered || len(r.kicks()) > 0 {
						t.Errorf("in the end %s, kicks %+v\n%s", s.Registration.State, r.kicks(), r.story())
					}
					r.close()
				})
			})
		}
	}
}

// Whatever comes one after the other, in the end we are registered and watching,
// and were told of no kick.
func TestManyOutages(t *testing.T) {
	for seed := range 16 {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(seed), 7))
			upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
			profile := []registrar.Profile{"rfc", "kamailio"}[random.IntN(2)]
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				other := &lab{t: t, net: l.net, options: l.options, host: otherServer}
				other.start()
				defer func() { other.Registrar.Close() }()
				l.net.Name("example.com", server, other.addr())
				machines := []*lab{l, other}
				stopped := map[*lab]bool{}
				a := account()
				a.Transport = []string{wire.UDP, wire.TCP}[random.IntN(2)]
				a.Expires, a.SubscribeExpires = 30+uint32(random.IntN(3000)), 30+uint32(random.IntN(3000))
				r := l.watch(phoneHost, "", a)
				defer r.kill()
				r.watching()
				for range 12 {
					time.Sleep(upTo(20 * time.Minute))
					m := machines[random.IntN(2)]
					switch random.IntN(7) {
					case 0:
						l.net.Cut(phone, m.addr())
					case 1:
						l.net.Heal(phone, m.addr())
					case 2:
						m.Registrar.Close()
						stopped[m] = true
					case 3:
						m.Registrar.Close()
						m.start()
						stopped[m] = false
					case 4:
						l.net.Lose(random.Float64() / 2)
					case 5:
						l.net.SetDelay(upTo(time.Second), upTo(time.Second))
					case 6:
						l.net.Reset(phone, m.addr())
					}
				}
				l.net.Lose(0)
				l.net.SetDelay(0, 0)
				for _, m := range machines {
					l.net.Heal(phone, m.addr())
					if stopped[m] {
						m.start()
					}
				}
				time.Sleep(max(timerF+maxTime, refreshBound(max(a.Expires, a.SubscribeExpires))) + 2*timerF)
				s := r.state("alice")
				if s.Registration.State != ua.Registered || s.Subscription.State != ua.Active || len(r.kicks()) > 0 {
					t.Errorf("%s, %s; kicks %+v\n%s", s.Registration.State, s.Subscription.State, r.kicks(), r.story())
				}
				for _, m := range machines {
					if len(m.Bindings("alice")) > 0 {
						m.Deactivate("alice", "")
					}
				}
				time.Sleep(timerF)
				if len(r.kicks()) == 0 {
					t.Errorf("a kick was not seen\n%s", r.story())
				}
				r.close()
			})
		})
	}
}
