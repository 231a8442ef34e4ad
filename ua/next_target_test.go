package ua_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/ua"
)

// inServers runs an agent of sip:alice@example.com, a name with the addresses
// 192.0.2.1, 192.0.2.2 and so on, each a scripted registrar.
func inServers(t *testing.T, transport string, count int, f func(servers []*scripted, r *run)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(5*time.Millisecond, 0)
		var servers []*scripted
		var addrs []netip.Addr
		for i := range count {
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5060)
			s := newScripted(t, n.Host(at.Addr().String()), transport, at)
			s.patience = time.Hour
			servers = append(servers, s)
			addrs = append(addrs, at.Addr())
		}
		n.Name("example.com", addrs...)
		a := account()
		a.Transport, a.Watch = transport, ua.WatchOff
		r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
		defer r.kill()
		f(servers, r)
	})
}

const overloaded = "503 Service Unavailable"

// RFC 3263 4.3, RFC 3261 21.5.4: a target that answers 503 is left for the next at
// once, and gets no request before its Retry-After has passed. Over TCP its
// connection stays up (RFC 5626 4.2.2).
func TestOverloadedTarget(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			inServers(t, transport, 2, func(s []*scripted, r *run) {
				answers(overloaded, "Retry-After: 600").send(t, s[0])
				accepted().send(t, s[1])
				if took := time.Since(r.registers()[0].Time); took > time.Second {
					t.Errorf("it took %v to the second address", took)
				}
				if remote := r.state("alice").Flow.Remote; remote != "192.0.2.2:5060" {
					t.Errorf("registered at %s", remote)
				}
				time.Sleep(time.Minute)
				// A refresh stays where the binding is (RFC 3261 10.2.4). The second says
				// 503 too, and no time: it is the one that is tried again until then.
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				answers(overloaded).send(t, s[1])
				time.Sleep(20 * time.Millisecond)
				if got := r.state("alice").Registration; got.State != ua.Retrying || time.Until(got.RetryAt) < 29*time.Second || time.Until(got.RetryAt) > time.Minute {
					t.Errorf("%s, next try %v\n%s", got.State, got.RetryAt, r.story())
				}
				for range 3 {
					answers(overloaded).send(t, s[1])
				}
				if since := time.Since(r.registers()[0].Time); since > 8*time.Minute {
					t.Fatalf("four refusals took %v\n%s", since, r.story())
				}
				// That one falls silent; the first is asked when its time has come.
				accepted().send(t, s[0])
				if since := time.Since(r.registers()[0].Time); since < 10*time.Minute {
					t.Errorf("asked again after %v\n%s", since, r.story())
				}
			})
		})
	}
}

// All say 503: the last one's Retry-After is what is waited for, since the others
// named no sooner time.
func TestAllTargetsOverloaded(t *testing.T) {
	inServers(t, wire.UDP, 3, func(s []*scripted, r *run) {
		for i := range s {
			answers(overloaded, fmt.Sprint("Retry-After: ", 300-i*100)).send(t, s[i])
		}
		time.Sleep(20 * time.Millisecond)
		if got := r.state("alice").Registration; time.Until(got.RetryAt).Round(time.Second) != 100*time.Second || !strings.Contains(got.Reason, "it asks to wait 100 s") {
			t.Errorf("%+v\n%s", got, r.story())
		}
		time.Sleep(100 * time.Second)
		accepted().send(t, s[2])
		time.Sleep(time.Second)
		if got := r.state("alice").Registration.State; got != ua.Registered || len(r.registers()) != 4 {
			t.Errorf("%s after %d REGISTERs\n%s", got, len(r.registers()), r.story())
		}
	})
}

// RFC 5626 4.2.2: a 503 is no reason to drop a connection. The next attempt goes
// over the one that is there, and the flow is never told to be down.
func TestConnectionOutlives503(t *testing.T) {
	inScript(t, wire.TCP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		before := r.state("alice").Flow
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		answers(overloaded, "Retry-After: 20").send(t, s)
		time.Sleep(10 * time.Second)
		if got := r.state("alice"); got.Registration.State != ua.Retrying || got.Flow != before || got.Subscription.State != ua.Active {
			t.Errorf("%+v\n%s", got, r.story())
		}
		accepted().send(t, s)
		time.Sleep(time.Second)
		if got := r.state("alice"); got.Registration.State != ua.Registered || got.Flow != before || len(all[ua.FlowDetail](r)) != 1 {
			t.Errorf("%+v\n%s", got, r.story())
		}
	})
}

// RFC 3263 4.3: who answers 100 and no more is there. It is no failure of the
// target, and the connection stays.
func TestOnlyProvisionalIsNoFailureOfTheTarget(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		inServers(t, transport, 2, func(s []*scripted, r *run) {
			answers("100 Trying").send(t, s[0])
			time.Sleep(33 * time.Second)
			for len(s[0].in) > 0 {
				<-s[0].in // sent again and again
			}
			accepted().send(t, s[0])
			time.Sleep(time.Second)
			if got := r.state("alice"); got.Registration.State != ua.Registered || len(all[ua.FlowDetail](r)) != 1 {
				t.Errorf("%s: %+v\n%s", transport, got, r.story())
			}
		})
	}
}

// A connection that swallowed a request is closed also where there is another
// target: who comes back later must not find it.
func TestSilentConnectionIsClosed(t *testing.T) {
	inServers(t, wire.TCP, 2, func(s []*scripted, r *run) {
		s[0].next("REGISTER")
		accepted().send(t, s[1])
		time.Sleep(time.Second)
		if got := r.state("alice"); got.Registration.State != ua.Registered || got.Flow.Remote != "192.0.2.2:5060" {
			t.Fatalf("%+v\n%s", got, r.story())
		}
		select {
		case <-s[0].closed:
		default:
			t.Error("the first connection is still open")
		}
	})
}

// RFC 5626 4.2.1: before a retry the names are looked up again, also over UDP,
// where nothing breaks when the registrar has moved.
func TestNamesAreRevisited(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		gone := netip.MustParseAddr("192.0.2.99")
		l.net.Name("example.com", gone)
		a := account()
		a.Transport = wire.UDP
		r := l.watch(phoneHost, "", a)
		for range 3 {
			r.awaitRegistration(ua.Retrying)
		}
		l.net.Name("example.com", netip.MustParseAddr(registrarHost))
		r.watching()
		if remote := r.state("alice").Flow.Remote; remote != registrarHost+":5060" {
			t.Errorf("registered at %s", remote)
		}
		// What is found again as it was is nothing to tell.
		told := ""
		for _, d := range all[ua.FlowDetail](r) {
			told += d.State + " "
		}
		if told != "up down up " {
			t.Errorf("told %s\n%s", told, r.story())
		}
		r.close()
	})
}

// Who is too large for UDP goes over TCP to the same address; a 503 there is one of
// that address, and no reason to ask it again at once.
func TestOverloadedAfterLeavingUDP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(5*time.Millisecond, 0)
		at := netip.MustParseAddrPort(registrarHost + ":5060")
		newScripted(t, n.Host(registrarHost), wire.UDP, at)
		s := newScripted(t, n.Host(registrarHost), wire.TCP, at)
		s.patience = time.Hour
		a := account()
		a.Registrar, a.Transport, a.Watch = "sip:"+registrarHost, wire.UDP, ua.WatchOff
		large(&a)
		r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
		defer r.kill()
		for _, least := range []time.Duration{0, 30 * time.Second, time.Minute} {
			start := time.Now()
			answers(overloaded).send(t, s)
			if took := time.Since(start); took < least {
				t.Errorf("asked again after %v", took)
			}
		}
		accepted().send(t, s)
		time.Sleep(time.Second)
		if got := r.state("alice"); got.Registration.State != ua.Registered || got.Flow.Transport != wire.TCP {
			t.Errorf("%+v\n%s", got, r.story())
		}
	})
}
