package ua_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/ua"
)

// sent counts the requests of one method that the run sent, retransmissions too.
func (r *run) sent(method string) (n int) {
	for _, m := range r.trace.Messages() {
		if m.Direction == trace.Sent && strings.HasPrefix(string(m.Raw), method+" ") {
			n++
		}
	}
	return n
}

// RFC 7616 3.4: the nonce is kept and counted, so that a refresh costs one round
// trip; when it is stale, one more.
func TestRefreshCostsOneRoundTrip(t *testing.T) {
	inLab(t, registrar.Options{Users: users, NonceLifetime: 24 * time.Hour}, func(l *lab) {
		a := account()
		a.Watch = ua.WatchOff
		r := l.watch(phoneHost, "", a)
		r.awaitRegistration(ua.Registered)
		if n := r.sent("REGISTER"); n != 2 {
			t.Errorf("the first registration took %d requests", n)
		}
		for range 5 {
			r.awaitRegistration(ua.Registered)
		}
		if n := r.sent("REGISTER"); n != 7 {
			t.Errorf("five refreshes took %d requests", n-2)
		}
		r.close()
	})
	inLab(t, registrar.Options{Users: users, NonceLifetime: time.Minute}, func(l *lab) {
		a := account()
		a.Watch = ua.WatchOff
		r := l.watch(phoneHost, "", a)
		for range 6 {
			r.awaitRegistration(ua.Registered)
		}
		if n := r.sent("REGISTER"); n != 12 {
			t.Errorf("with a stale nonce each time, six registrations took %d requests", n)
		}
		r.close()
	})
}

// A refusal ends after one honest try.
func TestWrongPassword(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Password = func() (string, error) { return "wrong", nil }
		r := l.watch(phoneHost, "", a)
		d := r.awaitRegistration(ua.Refused)
		time.Sleep(time.Hour)
		if n := r.sent("REGISTER"); n != 2 || !strings.Contains(d.Reason, "wrong") {
			t.Errorf("%d requests, %+v", n, d)
		}
		r.close()
	})
}

func TestNobodyAnswers(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		l.Registrar.Close()
		r := l.watch(phoneHost, "", account())
		slow := r.await("an early word", func(e ua.Event) bool { return strings.Contains(fmt.Sprint(e.Detail), "sent 4 times") })
		if d := r.awaitRegistration(ua.Retrying); d.Status != 0 || d.RetryIn == 0 {
			t.Errorf("retrying as %+v", d)
		}
		if s := slow.Summary; !strings.Contains(s, "no answer for 7 s") {
			t.Errorf("said %q", s)
		}
		l.start()
		r.watching()
		r.close()
	})
}

// A day of refreshes with every fifth datagram lost: one registration, never
// lapsed, watched throughout.
func TestDayOfLoss(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		n := 0
		l.net.Drop(func(memnet.Packet) bool { n++; return n%5 == 0 })
		r := l.watch(phoneHost, "", account())
		r.watching()
		time.Sleep(24 * time.Hour)
		registrations := all[ua.RegistrationDetail](r)
		refreshed := 0
		for _, d := range registrations[1:] {
			if d.State == ua.Registered {
				refreshed++
			} else if d.Reason == "" {
				t.Errorf("left the registration: %+v", d)
			}
		}
		if refreshed < 24 {
			t.Errorf("%d refreshes in a day", refreshed)
		}
		if got := r.kicks(); len(got) != 0 {
			t.Errorf("false kicks: %+v", got)
		}
		if s := r.state("alice"); s.Registration.State != ua.Registered || s.Subscription.State != ua.Active {
			t.Errorf("in the end %s, %s", s.Registration.State, s.Subscription.State)
		}
		l.net.Drop(nil)
		r.close()
	})
}

// A lapse because our refreshes fail is a retry, not a prompt; and we come back.
func TestLapse(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				a := account()
				a.Transport, a.Expires = transport, 120
				r := l.watch(phoneHost, "", a)
				r.watching()
				phone, server := netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost)
				l.net.Cut(phone, server)
				r.awaitRegistration(ua.Retrying)
				time.Sleep(10 * time.Minute)
				if s := r.state("alice"); s.Registration.State != ua.Retrying && s.Registration.State != ua.Registering || !s.Registration.ExpiresAt.IsZero() {
					t.Errorf("cut off: %+v", s.Registration)
				}
				l.net.Heal(phone, server)
				r.awaitRegistration(ua.Registered)
				r.awaitSubscription(ua.Active)
				time.Sleep(10 * time.Minute)
				if got := r.kicks(); len(got) != 0 {
					t.Errorf("false kicks: %+v\n%s", got, r.story())
				}
				if got := all[ua.ActionDetail](r); len(got) != 0 {
					t.Errorf("prompted: %+v", got)
				}
				r.close()
			})
		})
	}
}

// RFC 5627 4.2, 5628 6: GRUUs from the 2xx and from NOTIFYs agree; each REGISTER
// brings a temporary one more; they end with the registration.
func TestGRUUs(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		r.watching()
		for range 2 {
			r.Do("alice", ua.Command{Verb: ua.DoRegister})
			r.awaitRegistration(ua.Registered)
		}
		time.Sleep(time.Second)
		kinds := func() (public, temporary int) {
			for _, g := range r.state("alice").GRUUs {
				if g.Type == ua.PublicGRUU {
					public++
				} else {
					temporary++
				}
			}
			return
		}
		if p, n := kinds(); p != 1 || n != 3 {
			t.Errorf("%d public, %d temporary:\n%s", p, n, r.story())
		}
		for _, d := range all[ua.GRUUDetail](r) {
			if d.Change != ua.Learned || d.Source != ua.FromRegister && d.Source != ua.FromNotify {
				t.Errorf("unexpected %+v", d)
			}
		}
		if err := l.Deactivate("alice", ""); err != nil {
			t.Fatal(err)
		}
		r.awaitKick(ua.KickDeactivated)
		if p, n := kinds(); p != 1 || n != 0 || r.state("alice").GRUUs[0].Usable {
			t.Errorf("after the kick: %d public, %d temporary", p, n)
		}
		r.close()
	})
}

// Killed without a goodbye and started again, a run knows its old binding.
func TestEarlierRun(t *testing.T) {
	for _, profile := range []registrar.Profile{"rfc", "kamailio", "clearwater"} {
		t.Run(string(profile), func(t *testing.T) {
			dir := t.TempDir()
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				a := account()
				a.NoOutbound = true // so that the new binding does not replace the old
				first := l.watch(phoneHost, dir, a)
				first.watching()
				instance := first.state("alice").Registration.Instance
				first.kill()
				if n := len(l.Bindings("alice")); n != 1 {
					t.Fatalf("%d bindings after the crash", n)
				}
				second := l.watch(phoneHost, dir, a)
				second.watching()
				if got := second.state("alice").Registration.Instance; got != instance {
					t.Errorf("instance %s became %s", instance, got)
				}
				isEarlier := func(b ua.Binding) bool { return b.EarlierRun && !b.Own }
				if b := second.state("alice").Bindings; len(b) != 2 || !slices.ContainsFunc(b, isEarlier) {
					t.Errorf("bindings %+v", b)
				}
				time.Sleep(2 * time.Hour) // the old one lapses
				if got := second.kicks(); len(got) != 0 {
					t.Errorf("false kicks: %+v\n%s", got, second.story())
				}
				second.close()
				files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
				if len(files) != 1 {
					t.Fatalf("state files: %v", files)
				}
				if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%v, %v", info.Mode(), err)
				}
			})
		})
	}
}

// Two processes with one account do not evict each other: the second registers
// as another device, and says who has the account.
func TestTwoRunsOfOneAccount(t *testing.T) {
	dir := t.TempDir()
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		first := l.watch(phoneHost, dir, account())
		first.watching()
		second := l.watch(phoneHost, dir, account())
		second.watching()
		if n := second.state("alice").Notices; len(n) != 1 || !strings.Contains(n[0], fmt.Sprint("pid ", os.Getpid())) {
			t.Errorf("notices %q", n)
		}
		time.Sleep(3 * time.Hour)
		if n := len(l.Bindings("alice")); n != 2 {
			t.Errorf("%d bindings", n)
		}
		second.close()
		first.close()
		if got := append(first.kicks(), second.kicks()...); len(got) != 0 {
			t.Errorf("kicks: %+v", got)
		}
	})
}

// Accounts of one group share a socket, and each gets what is its own.
func TestAccountsShareASocket(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		bob := account()
		bob.AOR, bob.Password = "sip:bob@example.com", func() (string, error) { return "hidden", nil }
		r := l.watch(phoneHost, "", account(), bob)
		for range 2 {
			r.awaitSubscription(ua.Active)
		}
		time.Sleep(time.Second)
		if a, b := r.state("alice").Flow.Local, r.state("bob").Flow.Local; a != b {
			t.Errorf("sockets %s and %s", a, b)
		}
		if err := l.Deactivate("bob", ""); err != nil {
			t.Fatal(err)
		}
		e := r.await("bob's kick", func(e ua.Event) bool {
			d, ok := e.Detail.(ua.ContactDetail)
			return ok && d.Kick() != ""
		})
		if e.Account != "bob" || r.state("alice").Registration.State != ua.Registered {
			t.Errorf("%s was kicked", e.Account)
		}
		r.close()
	})
}

// Events are numbered without a gap, over all accounts.
func TestSequence(t *testing.T) {
	inLab(t, registrar.Options{}, func(l *lab) {
		bob := account()
		bob.AOR = "sip:bob@example.com"
		r := l.watch(phoneHost, "", account(), bob)
		r.awaitSubscription(ua.Active)
		r.close()
		for i, e := range r.events {
			if e.Seq != uint64(i+1) {
				t.Fatalf("event %d has number %d", i, e.Seq)
			}
		}
		if r.events[0].Kind() != ua.KindStart {
			t.Errorf("first is %s", r.events[0].Kind())
		}
	})
}

// A connection that breaks is made anew at once, and the kick that comes after
// it is seen: the subscription follows to the new Contact. What the old Contact
// leaves in the list is no kick when it ends.
func TestConnectionReset(t *testing.T) {
	for _, profile := range []registrar.Profile{"rfc", "kamailio", "clearwater"} {
		for _, outbound := range []bool{true, false} {
			t.Run(fmt.Sprint(profile, "/outbound=", outbound), func(t *testing.T) {
				inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
					a := account()
					a.Transport, a.NoOutbound, a.Expires = "tcp", !outbound, 600
					r := l.watch(phoneHost, "", a)
					r.watching()
					before := r.state("alice").Flow.Local
					l.net.Reset(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
					r.awaitRegistration(ua.Registered)
					time.Sleep(5 * time.Second)
					if s := r.state("alice"); s.Flow.Local == before || s.Subscription.State != ua.Active {
						t.Fatalf("%+v %+v\n%s", s.Flow, s.Subscription, r.story())
					}
					time.Sleep(20 * time.Minute) // the old binding lapses
					if got := r.kicks(); len(got) != 0 {
						t.Fatalf("false kicks: %+v\n%s", got, r.story())
					}
					if err := l.Deactivate("alice", ""); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
					if got := r.kicks(); len(got) != 1 {
						t.Errorf("kicks: %+v\n%s", got, r.story())
					}
					r.close()
				})
			})
		}
	}
}

// A registrar that was restarted has forgotten us. Over TCP the connection tells,
// and over UDP the keep-alives do: we register anew before anybody asks. Without
// them the next refresh of the subscription finds no dialog: then the registration
// is refreshed with it, and the list that lacks us is told, but is no kick.
func TestRegistrarRestarts(t *testing.T) {
	for _, c := range []struct {
		transport string
		keep      ua.KeepAlive
		doubted   bool
	}{{"udp", ua.KeepOff, true}, {"udp", ua.KeepAuto, false}, {"tcp", ua.KeepOff, false}} {
		t.Run(c.transport+string(c.keep), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				a := account()
				a.Transport, a.KeepAlive, a.Expires, a.SubscribeExpires = c.transport, c.keep, 300, 200
				r := l.watch(phoneHost, "", a)
				r.watching()
				l.Registrar.Close()
				time.Sleep(80 * time.Second) // a keep-alive begins within 29 s, and fails 39.5 s later
				l.start()
				time.Sleep(15 * time.Minute)
				if s := r.state("alice"); s.Registration.State != ua.Registered || s.Subscription.State != ua.Active {
					t.Errorf("in the end %s, %s\n%s", s.Registration.State, s.Subscription.State, r.story())
				}
				if got := r.kicks(); len(got) != 0 {
					t.Errorf("false kicks: %+v\n%s", got, r.story())
				}
				if b := l.Bindings("alice"); len(b) != 1 {
					t.Errorf("bindings %v", b)
				}
				if told := all[ua.DisagreementDetail](r); (len(told) == 1) != c.doubted {
					t.Errorf("disagreements %+v\n%s", told, r.story())
				}
				r.close()
			})
		})
	}
}

// A query that does not list us settles it: removed without a word.
func TestQueryFindsUsGone(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		r.watching()
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 0 {
			t.Fatalf("a query that lists us: %+v", got)
		}
		if err := l.Remove("alice", ""); err != nil {
			t.Fatal(err)
		}
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		if d := r.awaitKick(ua.KickAbsent); d.Source != ua.FromRegister || d.Origin != ua.OriginNetwork {
			t.Errorf("told as %+v", d)
		}
		r.awaitAction(ua.Asked)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		r.awaitRegistration(ua.Registered)
		r.close()
		if got := r.kicks(); len(got) != 1 {
			t.Errorf("kicks %+v", got)
		}
	})
}

// A registrar that was restarted over UDP has forgotten the subscription. It told
// of our REGISTERs before and does not now: that is asked after at once, not at
// the next refresh of the subscription.
func TestSilentNotifierIsAskedAfter(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		r.watching()
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		r.awaitRegistration(ua.Registered)
		time.Sleep(time.Minute)
		l.Registrar.Close()
		l.start()
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		r.awaitRegistration(ua.Registered)
		time.Sleep(time.Minute)
		if err := l.Deactivate("alice", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 1 || got[0].Event != "deactivated" {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
		r.close()
	})
}

// RFC 3263 4.3: where the first address of a name does not answer the next one is
// tried at once, and the first is left alone for a while.
func TestNextTarget(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				dead := netip.MustParseAddr("192.0.2.99")
				l.net.Name("example.com", dead, netip.MustParseAddr(registrarHost))
				l.net.Cut(netip.MustParseAddr(phoneHost), dead)
				a := account()
				a.Transport = transport
				start := time.Now()
				r := l.watch(phoneHost, "", a)
				r.watching()
				if took := time.Since(start); took > 34*time.Second {
					t.Errorf("%v until the second address was tried", took)
				}
				if remote := r.state("alice").Flow.Remote; !strings.HasPrefix(remote, registrarHost+":") {
					t.Errorf("registered at %s", remote)
				}
				r.close()
			})
		})
	}
}
