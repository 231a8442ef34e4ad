package ua_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"regwatch/registrar"
	"regwatch/ua"
)

// onTransports runs f over each transport of the lab, in virtual time.
func onTransports(t *testing.T, o registrar.Options, f func(l *lab, a ua.Account)) {
	t.Helper()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			inLab(t, o, func(l *lab) {
				a := account()
				a.Transport = transport
				f(l, a)
			})
		})
	}
}

// inPlace asks that the agent is registered and subscribed from an address, that
// nothing was taken for a kick, and that one is seen.
func (l *lab) inPlace(r *run, local string) {
	l.t.Helper()
	time.Sleep(5 * time.Second)
	s := r.state("alice")
	if s.Registration.State != ua.Registered || s.Subscription.State != ua.Active || !strings.HasPrefix(s.Flow.Local, local+":") {
		l.t.Fatalf("%s from %s, subscription %s\n%s", s.Registration.State, s.Flow.Local, s.Subscription.State, r.story())
	}
	before := len(r.kicks())
	if before != 0 {
		l.t.Fatalf("kicks before anybody kicked: %+v\n%s", r.kicks(), r.story())
	}
	if err := l.Deactivate("alice", ""); err != nil {
		l.t.Fatal(err)
	}
	time.Sleep(time.Second)
	if got := r.kicks(); len(got) == 0 {
		l.t.Fatalf("the kick was not seen\n%s", r.story())
	}
}

// RFC 5626 4.5: the loss of a good flow is met at once. A device whose address
// changes registers from the new one, and is told of what comes after.
func TestAddressChanges(t *testing.T) {
	onTransports(t, registrar.Options{Users: users}, func(l *lab, a ua.Account) {
		r := l.watch(phoneHost, "", a)
		r.watching()
		r.host.Unplug()
		r.host.Plug("198.51.100.44")
		l.inPlace(r, "198.51.100.44")
		r.close()
	})
}

// An address that changes while a REGISTER is under way.
func TestAddressChangesWhileRegistering(t *testing.T) {
	onTransports(t, registrar.Options{Users: users}, func(l *lab, a ua.Account) {
		l.net.Cut(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
		r := l.watch(phoneHost, "", a)
		time.Sleep(3 * time.Second)
		r.host.Unplug()
		r.host.Plug("198.51.100.44")
		l.inPlace(r, "198.51.100.44")
		r.close()
	})
}

// The network goes and comes back: registered again within seconds, however long
// the back-off had grown.
func TestNetworkGoneAndBack(t *testing.T) {
	onTransports(t, registrar.Options{Users: users}, func(l *lab, a ua.Account) {
		r := l.watch(phoneHost, "", a)
		r.watching()
		r.host.Unplug()
		time.Sleep(5 * time.Second)
		if s := r.state("alice"); s.Flow.Up || !strings.Contains(s.Flow.Cause, "no route") || s.Registration.State != ua.Retrying {
			t := s.Registration
			l.t.Errorf("without a network: %+v, %s %s", s.Flow, t.State, t.Reason)
		}
		time.Sleep(3 * time.Hour)
		r.host.Plug(phoneHost)
		l.inPlace(r, phoneHost)
		r.close()
	})
}

// A device that only watches follows too.
func TestWatcherFollowsTheNetwork(t *testing.T) {
	onTransports(t, registrar.Options{Users: users}, func(l *lab, a ua.Account) {
		other := l.watch(otherHost, "", account())
		other.watching()
		a.WatchOnly = true
		r := l.watch(phoneHost, "", a)
		r.awaitSubscription(ua.Active)
		r.host.Unplug()
		time.Sleep(time.Minute)
		r.host.Plug("198.51.100.44")
		time.Sleep(5 * time.Second)
		before := len(all[ua.ContactDetail](r))
		if err := l.Deactivate("alice", ""); err != nil {
			l.t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := all[ua.ContactDetail](r)[before:]; len(got) != 1 || got[0].Event != "deactivated" {
			l.t.Errorf("told %+v\n%s", got, r.story())
		}
		r.close()
		other.close()
	})
}

// A machine that slept, and one whose clock was set forth or back: it registers
// anew at once, takes nothing for a kick, and keeps its times.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{10 * time.Second, 10 * time.Minute, 30 * time.Hour, -2 * time.Hour} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			onTransports(t, registrar.Options{Users: users}, func(l *lab, a ua.Account) {
				var ahead atomic.Int64
				l.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
				r := l.watch(phoneHost, "", a)
				r.watching()
				before := len(all[ua.RegistrationDetail](r))
				ahead.Store(int64(jump))
				time.Sleep(5 * time.Second)
				var registered bool
				for _, d := range all[ua.RegistrationDetail](r)[before:] {
					registered = registered || d.State == ua.Registered && d.Status == 200
				}
				if !registered {
					l.t.Errorf("not registered anew\n%s", r.story())
				}
				sent := r.sent("REGISTER")
				time.Sleep(50 * time.Minute) // within the granted hour
				if n := r.sent("REGISTER") - sent; n != 0 {
					l.t.Errorf("%d REGISTERs before the refresh was due\n%s", n, r.story())
				}
				time.Sleep(30 * time.Minute) // beyond it: refreshed in time
				l.inPlace(r, phoneHost)
				r.close()
			})
		})
	}
}
