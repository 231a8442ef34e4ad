package ua_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/testcert"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// The nameservers go silent while we run: what is known goes on, since nobody asks
// for a name of a way that works. Where that way fails as well, it is said, and
// tried again until they answer.
func TestFaultNameserversGone(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				l.net.Name("example.com")
				dns := l.net.Nameserver("192.0.2.53", "example.com. 60 IN A "+registrarHost)
				defer dns.Close()
				l.net.SetNameservers(time.Second, 2, dns)
				a := account()
				a.Transport, a.Expires, a.SubscribeExpires = transport, 600, 600
				r := l.watch(phoneHost, "", a)
				defer r.kill()
				r.watching()

				nameserver := netip.MustParseAddr("192.0.2.53")
				l.net.Cut(phone, nameserver)
				time.Sleep(6 * time.Hour)
				if r.wasLost() {
					t.Errorf("lost though the way to the registrar is as it was\n%s", r.story())
				}

				cut(l)
				l.net.Reset(phone, server)
				time.Sleep(time.Hour)
				heal(l) // but nobody says where the registrar is
				told := false
				for _, d := range all[ua.RegistrationDetail](r) {
					told = told || d.State == ua.Retrying && strings.Contains(d.Reason, "example.com")
				}
				if !told {
					t.Errorf("nobody said that example.com is not found\n%s", r.story())
				}
				l.net.Heal(phone, nameserver)
				registered, watched := r.back(l.Registrar, time.Hour)
				within(t, "registered", registered, retryBound(time.Hour))
				within(t, "watching", watched, retryBound(time.Hour)+timerF)
				r.staysWell(l.Registrar)
				r.close()
			})
		})
	}
}

// The registrar's certificate runs out while we are connected: the connection goes
// on, since TLS looks at it only when one is made. The next one is refused by us, for
// a reason that is told and as seldom as after any failure, and made once the
// certificate is renewed.
func TestFaultCertificateExpired(t *testing.T) {
	var current atomic.Pointer[tls.Certificate]
	var issue func(valid time.Duration)
	o := registrar.Options{Users: users}
	change := func(c *tls.Config, authority *testcert.Authority) {
		issue = func(valid time.Duration) {
			cert := authority.Issue(func(c *x509.Certificate) {
				c.DNSNames, c.NotAfter = []string{"example.com"}, time.Now().Add(valid)
			})
			current.Store(&cert)
		}
		issue(24 * time.Hour)
		c.Certificates = nil
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil }
	}
	inTLSLab(t, o, []string{"example.com"}, change, func(l *lab, trust ua.TLS) {
		a := account()
		a.Transport, a.TLS = wire.TLS, trust
		r := l.watch(phoneHost, "", a)
		defer r.kill()
		r.watching()
		time.Sleep(25 * time.Hour)
		if r.wasLost() {
			t.Errorf("lost though the connection is as it was\n%s", r.story())
		}

		l.net.Reset(phone, server)
		r.await("that the certificate expired", func(e ua.Event) bool {
			d, ok := e.Detail.(ua.RegistrationDetail)
			return ok && d.State == ua.Retrying && strings.Contains(d.Reason, "expired") && d.RetryIn > 0
		})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		issue(24 * time.Hour)
		registered, watched := r.back(l.Registrar, time.Hour)
		within(t, "registered", registered, retryBound(2*time.Hour))
		within(t, "watching", watched, retryBound(2*time.Hour)+timerF)
		r.staysWell(l.Registrar)
		r.close()
	})
}

// wasLost reports whether registration or subscription was ever gone since both
// came, or is now.
func (r *run) wasLost() bool {
	up := false
	for _, d := range all[ua.RegistrationDetail](r) {
		up = up || d.State == ua.Registered
		if up && d.State != ua.Registered {
			return true
		}
	}
	for _, d := range all[ua.SubscriptionDetail](r) {
		if d.State == ua.Terminated {
			return true
		}
	}
	s := r.state("alice")
	return s.Registration.State != ua.Registered || s.Subscription.State != ua.Active
}

// Days with every fifth datagram lost and a kick each hour: each is told once, and
// what it takes does not grow, but for the events themselves, of which a run keeps
// the last 20,000.
func TestFaultDayOfLoss(t *testing.T) {
	const days = 3
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.On = map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Auto}
		// Not lab.watch, which remembers everything.
		g := ua.NewGroup(ua.Options{Network: l.net.Host(phoneHost), Trace: trace.NewRing(100)})
		if err := g.Start(a); err != nil {
			t.Fatal(err)
		}
		var kicks, events atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for update := range g.Watch(context.Background(), 0) {
				events.Add(int64(len(update.Events)))
				for _, e := range update.Events {
					if d, ok := e.Detail.(ua.ContactDetail); ok && d.Kick() != "" {
						kicks.Add(1)
					}
				}
			}
		}()
		l.net.Lose(0.2)
		var objects, kept, goroutines []int
		for hour := range days * 24 {
			time.Sleep(time.Hour)
			for len(l.Bindings("alice")) == 0 { // it may be between two attempts
				time.Sleep(time.Second)
			}
			time.Sleep(time.Minute) // and so may the document that lists it
			if err := l.Deactivate("alice", ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
			if told := kicks.Load(); told != int64(hour+1) {
				t.Fatalf("hour %d: %d kicks were told", hour+1, told)
			}
			if (hour+1)%24 == 0 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				objects, kept, goroutines = append(objects, int(m.Mallocs-m.Frees)), append(kept, int(events.Load())), append(goroutines, runtime.NumGoroutine())
			}
		}
		t.Logf("at the end of each day: heap objects %d, events %d, goroutines %d", objects, kept, goroutines)
		const perEvent = 5 // its texts and what it tells
		if grown, told := objects[days-1]-objects[0], kept[days-1]-kept[0]; grown > perEvent*told {
			t.Errorf("%d heap objects more for %d events", grown, told)
		}
		if first, last := goroutines[0], goroutines[days-1]; last > first+2 { // an exchange may be under way
			t.Errorf("goroutines grew from %d to %d", first, last)
		}
		l.net.Lose(0)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := g.Close(ctx, false); err != nil {
			t.Error(err)
		}
		<-ended
	})
}
