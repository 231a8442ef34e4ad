package ua_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/ua"
)

// inScript runs an agent against a scripted registrar in virtual time. A way of
// 5 ms keeps an agent that would send without end from stopping the clock.
func inScript(t *testing.T, transport string, change func(*ua.Account), f func(s *scripted, r *run)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(5*time.Millisecond, 0)
		s := newScripted(t, n.Host(registrarHost), transport, netip.MustParseAddrPort(registrarHost+":5060"))
		a := account()
		a.Registrar, a.Transport = "sip:"+s.addr.String(), transport
		if change != nil {
			change(&a)
		}
		r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
		defer r.kill()
		f(s, r)
	})
}

// listing is one contact of a document, as a registrar writes it.
// inner is what stands in it beside the URI.
type listing struct{ uri, state, event, attributes, inner string }

// reginfo writes a document about alice.
func reginfo(version int, state string, contacts ...listing) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" version="%d" state="%s">
 <registration aor="sip:alice@example.com" id="r1" state="active">`, version, state)
	for _, c := range contacts {
		fmt.Fprintf(&out, `<contact id="%s" state="%s" event="%s" %s><uri>%s</uri>%s</contact>`, c.uri, c.state, c.event, c.attributes, c.uri, c.inner)
	}
	return out.String() + "</registration>\n</reginfo>"
}

// ours is the contact that a REGISTER bound, as the registrar lists it.
func ours(register, event string, expires int) listing {
	uri, _, _ := strings.Cut(strings.TrimPrefix(header(register, "Contact"), "<"), ">")
	l := listing{uri: uri, state: "active", event: event}
	switch event {
	case "unregistered", "expired", "deactivated", "probation", "rejected":
		l.state = "terminated"
	}
	cseq, _, _ := strings.Cut(header(register, "CSeq"), " ")
	l.attributes = fmt.Sprintf(`callid="%s" cseq="%s"`, header(register, "Call-ID"), cseq)
	if expires > 0 {
		l.attributes += fmt.Sprintf(` expires="%d"`, expires)
	}
	return l
}

var another = listing{uri: "sip:alice@203.0.113.9:5062", state: "active", event: "registered", attributes: `callid="other" cseq="1"`}

// begin registers and subscribes, and lists our contact in a first document.
func (s *scripted) begin() (register string) {
	s.t.Helper()
	register = s.acceptRegister()
	s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
	s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
	s.next("SIP/2.0 200")
	return register
}

// requests counts what was sent, without retransmissions.
func (r *run) requests(method string) int {
	branches := map[string]bool{}
	for _, m := range r.trace.Messages() {
		if m.Direction == trace.Sent && strings.HasPrefix(string(m.Raw), method+" ") {
			branches[header(string(m.Raw), "Via")] = true
		}
	}
	return len(branches)
}

// eachConn runs f with each connection that is accepted, and closes it then, until the
// listener is closed.
func eachConn(listener net.Listener, f func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			f(conn)
		}()
	}
}

// RFC 5626 4.5: only the first attempt after a good flow was lost is immediate.
// A server that drops each connection at the REGISTER, or that never answers one
// so that we drop it, is not asked again and again.
func TestBackoffOverConnections(t *testing.T) {
	for _, drops := range []bool{true, false} {
		t.Run(fmt.Sprint("drops=", drops), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				n.SetDelay(5*time.Millisecond, 0)
				listener, err := n.Host(registrarHost).Listen(t.Context(), netip.MustParseAddrPort(registrarHost+":5060"))
				if err != nil {
					t.Fatal(err)
				}
				go eachConn(listener, func(conn net.Conn) {
					for buffer := make([]byte, 65536); ; {
						if _, err := conn.Read(buffer); err != nil || drops {
							return
						}
					}
				})
				a := account()
				a.Registrar, a.Transport, a.Watch = "sip:"+registrarHost, "tcp", ua.WatchOff
				r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
				time.Sleep(10 * time.Minute)
				sent := r.requests("REGISTER")
				r.kill()
				listener.Close()
				// 15 s at least, then 30, 60, 120, 240: a few, even with the 32 s that
				// a timeout takes.
				if sent > 8 {
					t.Errorf("%d REGISTERs in ten minutes", sent)
				}
			})
		})
	}
}

// RFC 5626 4.5: a server that binds us and then closes each connection gives no good
// flows: the first is replaced at once, the next ones are backed off from. Once one
// has lasted, its loss is met at once again.
func TestBackoffFromBriefFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(5*time.Millisecond, 0)
		listener, err := n.Host(registrarHost).Listen(t.Context(), netip.MustParseAddrPort(registrarHost+":5060"))
		if err != nil {
			t.Fatal(err)
		}
		var lasts atomic.Int64 // so long a connection is left behind its first request
		lasts.Store(int64(20 * time.Millisecond))
		go eachConn(listener, func(conn net.Conn) {
			for reader, begun := bufio.NewReader(conn), false; ; begun = true {
				var request string
				for line := " "; line != ""; {
					var err error
					if line, err = textproto.NewReader(reader).ReadLine(); err != nil {
						return
					}
					request += line + "\r\n"
				}
				io.WriteString(conn, answerTo(request, "200 OK", "", "Contact: "+header(request, "Contact")+";expires=3600"))
				if !begun {
					time.AfterFunc(time.Duration(lasts.Load()), func() { conn.Close() })
				}
			}
		})
		a := account()
		a.Registrar, a.Transport, a.Watch = "sip:"+registrarHost, wire.TCP, ua.WatchOff
		r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
		time.Sleep(10 * time.Minute)
		if times := r.requests("REGISTER"); times < 5 || times > 7 { // behind 0, 60, 120, 240 and 480 s, or half of that
			t.Errorf("bound %d times in ten minutes\n%s", times, r.story())
		}
		lasts.Store(int64(time.Minute))
		time.Sleep(time.Hour)
		before := r.requests("REGISTER")
		time.Sleep(time.Hour)
		if times := r.requests("REGISTER") - before; times < 55 || times > 60 {
			t.Errorf("bound %d times over flows of a minute, in an hour\n%s", times, r.story())
		}
		listener.Close()
		r.kill()
	})
}

// RFC 3261 22.3: a proxy and the registrar behind it each ask for credentials of
// their own realm. The second challenge does not reject what the first was given.
func TestProxyAndRegistrarChallenge(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.answer(s.next("REGISTER"), "407 Proxy Authentication Required", `Proxy-Authenticate: Digest realm="proxy", nonce="p", qop="auth"`)
		second := s.next("REGISTER")
		if header(second, "Proxy-Authorization") == "" {
			t.Errorf("not answered: %s", second)
		}
		s.answer(second, "401 Unauthorized", `WWW-Authenticate: Digest realm="home", nonce="h", qop="auth"`)
		time.Sleep(time.Second)
		if n := r.requests("REGISTER"); n != 3 {
			t.Errorf("%d REGISTERs\n%s", n, r.story())
		}
	})
}

// The document that tells of our refresh often overtakes its 2xx. It has listed
// us: a later one without us is a removal without a word.
func TestAbsentAfterNotifyOvertook2xx(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		refresh := s.next("REGISTER")
		s.notify("active;expires=3500", reginfo(1, "full", ours(refresh, "refreshed", 3600)))
		s.next("SIP/2.0 200")
		s.answer(refresh, "200 OK", "Contact: "+header(refresh, "Contact")+";expires=3600")
		time.Sleep(time.Minute)
		s.notify("active;expires=3400", reginfo(2, "full"))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 1 || got[0].Event != "absent" {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A registrar that shows neither Call-ID nor CSeq lapses us while our refresh is
// on its way, and then takes the refresh: the 2xx is the later word.
func TestLapseWithoutCSeqDuringRefresh(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		refresh := s.next("REGISTER")
		gone := ours(register, "expired", 0)
		gone.attributes = ""
		s.notify("active;expires=3500", reginfo(1, "full", gone))
		s.next("SIP/2.0 200")
		s.answer(refresh, "200 OK", "Contact: "+header(refresh, "Contact")+";expires=3600")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 0 || r.state("alice").Registration.State != ua.Registered {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// Kamailio's PUBLISHes race: a document from before our refresh comes after the
// one that tells of it, and its version says nothing. Its CSeq is that of an
// older REGISTER of ours: nobody shortened anything.
func TestOldDocumentIsNoShortening(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(50 * time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		refresh := s.acceptRegister()
		s.notify("active;expires=600", reginfo(0, "full", ours(refresh, "refreshed", 3600)))
		s.next("SIP/2.0 200")
		s.notify("active;expires=600", reginfo(0, "full", ours(register, "created", 600), another))
		s.next("SIP/2.0 200")
		time.Sleep(10 * time.Second)
		if got := r.kicks(); len(got) != 0 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// The registrar counts from when it took our REGISTER. Where the 2xx was lost
// and sent again, it comes seconds later; that is no shortening of the binding
// that this very REGISTER made.
func TestLate2xxIsNoShortening(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		refresh := s.next("REGISTER")
		time.Sleep(8 * time.Second)
		s.answer(refresh, "200 OK", "Contact: "+header(refresh, "Contact")+";expires=3600")
		time.Sleep(time.Second)
		s.notify("active;expires=3500", reginfo(1, "full", ours(refresh, "refreshed", 3591)))
		s.next("SIP/2.0 200")
		time.Sleep(10 * time.Second)
		if got := r.kicks(); len(got) != 0 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A removal that is older than our refresh is stale, whatever its word: it is no
// kick that a script would wait for.
func TestStaleDeactivationIsNoKick(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		refresh := s.next("REGISTER")
		s.notify("active;expires=3500", reginfo(1, "full", ours(register, "deactivated", 0)))
		s.next("SIP/2.0 200")
		s.answer(refresh, "200 OK", "Contact: "+header(refresh, "Contact")+";expires=3600")
		s.notify("active;expires=3500", reginfo(2, "full", ours(refresh, "registered", 3600)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 0 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A registrar that says "shortened" and not to what (a finding of its own) took
// nothing off: the binding's end stays what it was.
func TestShortenedWithoutExpires(t *testing.T) {
	ask := func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickShortened: ua.Ask} }
	inScript(t, wire.UDP, ask, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		short := ours(register, "shortened", 0)
		short.attributes = `callid="admin" cseq="1"`
		s.notify("active;expires=3500", reginfo(1, "full", short))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if s := r.state("alice").Registration; s.State != ua.Registered || time.Until(s.ExpiresAt) < 50*time.Minute {
			t.Errorf("%s until %v\n%s", s.State, s.ExpiresAt, r.story())
		}
		for _, d := range all[ua.RegistrationDetail](r) {
			if d.Expires < 0 {
				t.Errorf("told of %+v", d)
			}
		}
	})
}

// "Unregister, and stay off" also stops what a kick before it had set going.
func TestUnregisterStopsTheReaction(t *testing.T) {
	auto := func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickProbation: ua.Auto} }
	inScript(t, wire.UDP, auto, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		kick := ours(register, "probation", 0)
		kick.attributes += ` retry-after="20"`
		s.notify("active;expires=3500", reginfo(1, "full", kick))
		s.next("SIP/2.0 200")
		r.awaitAction(ua.Waiting)
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		s.acceptRegister()
		r.awaitRegistration(ua.Unregistered)
		time.Sleep(time.Minute)
		if got := r.state("alice").Registration.State; got != ua.Unregistered {
			t.Errorf("a minute after the user unregistered: %s\n%s", got, r.story())
		}
	})
}

// The last wish of the user counts, also of those made while a REGISTER is under
// way.
func TestLastWishCounts(t *testing.T) {
	const on, off = ua.DoRegister, ua.DoUnregister
	for _, wishes := range [][]ua.Verb{{off, on}, {off, on, off}} {
		t.Run(fmt.Sprint(wishes), func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.begin()
				time.Sleep(time.Minute)
				r.Do("alice", ua.Command{Verb: on})
				first := s.next("REGISTER")
				for _, w := range wishes {
					r.Do("alice", ua.Command{Verb: w})
				}
				synctest.Wait()
				s.answer(first, "200 OK", "Contact: "+header(first, "Contact")+";expires=3600")
				for range 4 {
					time.Sleep(100 * time.Millisecond)
					select {
					case m := <-s.in:
						if strings.HasPrefix(m, "REGISTER") {
							s.answer(m, "200 OK", "Contact: "+header(m, "Contact")+";expires="+header(m, "Expires"))
						}
					default:
					}
				}
				want := ua.Registered
				if wishes[len(wishes)-1] == off {
					want = ua.Unregistered
				}
				if got := r.state("alice").Registration.State; got != want {
					t.Errorf("in the end %s\n%s", got, r.story())
				}
			})
		})
	}
}

// RFC 3261 10.3: a 2xx lists what is bound. A refresh whose 2xx does not list us
// says that we are not registered.
func TestRefreshThatDoesNotListUs(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+`;temp-gruu="sip:t1@example.com;gr";expires=3600`)
		r.awaitRegistration(ua.Registered)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		s.answer(s.next("REGISTER"), "200 OK")
		r.awaitRegistration(ua.Retrying)
		got := r.state("alice")
		if !got.Registration.ExpiresAt.IsZero() || len(got.GRUUs) != 0 {
			t.Errorf("still bound until %v, GRUUs %v", got.Registration.ExpiresAt, got.GRUUs)
		}
	})
}

// RFC 3261 10.2.4: the expiry is that of our own binding, not of one that our
// device left under another address.
func TestExpiresOfOurOwnContact(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch, a.NoOutbound = ua.WatchOff, true }, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		contact := header(register, "Contact")
		_, rest, _ := strings.Cut(contact, ">")
		s.answer(register, "200 OK", "Contact: <sip:alice@192.0.2.7:4444>"+rest+";expires=60, "+contact+";expires=3600")
		if d := r.awaitRegistration(ua.Registered); time.Duration(d.Expires) < time.Hour-time.Second {
			t.Errorf("registered for %v", time.Duration(d.Expires))
		}
	})
}

// RFC 5628 6: only a full document that says that no contact of ours is left
// voids the temporary GRUUs. What tells of others alone does not.
func TestPartialDocumentKeepsGRUUs(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		s.notify("active;expires=3500", reginfo(1, "full", ours(register, "deactivated", 0)))
		r.awaitKick(ua.KickDeactivated)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		again := s.next("REGISTER")
		s.answer(again, "200 OK", "Contact: "+header(again, "Contact")+`;temp-gruu="sip:t2@example.com;gr";expires=3600`)
		r.awaitRegistration(ua.Registered)
		s.notify("active;expires=3500", reginfo(2, "partial", another))
		time.Sleep(time.Second)
		if got := r.state("alice").GRUUs; len(got) != 1 {
			t.Errorf("GRUUs %v\n%s", got, r.story())
		}
	})
}

// A NOTIFY may end the subscription while a SUBSCRIBE is under way, whatever the
// answer to that is then. RFC 6665 4.1.3: after some reasons we subscribe anew,
// after others only when the user says so; but then we do.
func TestTerminatedWhileSubscribing(t *testing.T) {
	for _, reason := range []string{"deactivated", "rejected"} {
		for _, answer := range []string{"200 OK", "481 Subscription Does Not Exist"} {
			for _, first := range []bool{true, false} {
				t.Run(fmt.Sprint(reason, " ", answer[:3], " first=", first), func(t *testing.T) {
					inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
						var subscribe string
						if first {
							s.acceptRegister()
							subscribe = s.takeSubscribe()
						} else {
							s.begin()
							time.Sleep(time.Minute)
							r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
							subscribe = s.takeSubscribe()
						}
						before := r.requests("SUBSCRIBE")
						s.notify("terminated;reason="+reason, "")
						s.next("SIP/2.0 200")
						s.answer(subscribe, answer, "Expires: 600")
						time.Sleep(20 * time.Minute)
						n := r.requests("SUBSCRIBE") - before
						if reason == "rejected" {
							if n != 0 {
								t.Errorf("%d SUBSCRIBEs after the notifier said never", n)
							}
							r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
							time.Sleep(time.Second)
							n = r.requests("SUBSCRIBE") - before
						}
						if n == 0 {
							t.Errorf("not subscribed again\n%s", r.story())
						}
					})
				})
			}
		}
	}
}

// A last NOTIFY whose document does not fit asks for nothing more: the user has
// unsubscribed.
func TestLastNotifyDoesNotSubscribeAgain(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
		last := s.takeSubscribe()
		s.notify("terminated;reason=timeout", reginfo(7, "partial", another))
		s.next("SIP/2.0 200")
		s.answer(last, "200 OK", "Expires: 0")
		time.Sleep(time.Minute)
		if n := r.requests("SUBSCRIBE"); n != 2 {
			t.Errorf("%d SUBSCRIBEs\n%s", n, r.story())
		}
	})
}

// A notifier that ends the subscription with a document that does not fit is
// subscribed to anew, and that subscription lives: it is refreshed in its time.
func TestTerminatedWithGap(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		s.notify("terminated;reason=deactivated", reginfo(7, "partial", another))
		s.next("SIP/2.0 200")
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 600")
		s.cseq = 0
		s.notify("active;expires=600", reginfo(0, "full", ours(register, "registered", 3500)))
		s.next("SIP/2.0 200")
		before := r.requests("SUBSCRIBE")
		time.Sleep(10 * time.Minute)
		if r.requests("SUBSCRIBE") == before {
			t.Errorf("never refreshed: %+v\n%s", r.state("alice").Subscription, r.story())
		}
	})
}

// A notifier that grants no time at all is not asked without pause.
func TestSubscriptionOfNoTime(t *testing.T) {
	for _, by := range []string{"2xx", "NOTIFY"} {
		t.Run(by, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.acceptRegister()
				for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					select {
					case m := <-s.in:
						if !strings.HasPrefix(m, "SUBSCRIBE") {
							continue
						}
						s.kept = append(s.kept, m)
						subscribe := s.takeSubscribe()
						if by == "2xx" {
							s.answer(subscribe, "200 OK", "Expires: 0")
							continue
						}
						s.answer(subscribe, "200 OK", "Expires: 600")
						s.cseq = 0
						s.notify("active;expires=0", "")
					default:
					}
				}
				if n := r.requests("SUBSCRIBE"); n > 3 {
					t.Errorf("%d SUBSCRIBEs in half a minute", n)
				}
			})
		})
	}
}

// Timer N of a refresh may run out while the unsubscribing is on its way; the
// agent waits for the answer, and does not spin.
func TestTimerNWhileUnsubscribing(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		time.Sleep(30 * time.Second)
		r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
		s.mustNotSpin(r, 10*time.Second)
	})
}

// A kick that comes while we take our leave is nothing to act upon, nor to wait
// for.
func TestKickWhileLeaving(t *testing.T) {
	auto := func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Auto} }
	inScript(t, wire.UDP, auto, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			r.Close(ctx, false)
		}()
		s.next("REGISTER")
		s.notify("active;expires=3500", reginfo(1, "full", ours(register, "deactivated", 0)))
		s.mustNotSpin(r, 5*time.Second)
	})
}

// mustNotSpin fails where snapshots come without end while no time passes; it
// then ends the agents, since the clock of the test would stand still.
func (s *scripted) mustNotSpin(r *run, d time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	spun := make(chan bool, 1)
	go func() {
		n := 0
		for range r.Watch(ctx, 0) {
			if n++; n == 2000 {
				s.t.Error("thousands of snapshots: the agent spins")
				spun <- true
				r.Close(canceled(), true)
				return
			}
		}
	}()
	time.Sleep(d)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Who takes long to type a password is not told that the registrar is silent: it
// has answered.
func TestSlowPasswordIsNoSilence(t *testing.T) {
	inScript(t, wire.UDP, slowPassword, func(s *scripted, r *run) {
		s.answer(s.next("REGISTER"), "401 Unauthorized", `WWW-Authenticate: Digest realm="home", nonce="h", qop="auth"`)
		s.acceptRegister()
		r.awaitRegistration(ua.Registered)
		if strings.Contains(r.story(), "no answer") {
			t.Errorf("\n%s", r.story())
		}
	})
}

func slowPassword(a *ua.Account) {
	a.Watch = ua.WatchOff
	a.Password = func() (string, error) { time.Sleep(15 * time.Second); return "secret", nil }
}

// What waited for a password while the way to the registrar went is over: when
// the password comes it sends nothing of its own.
func TestPasswordAfterConnectionWent(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport = "tcp"
		slowPassword(&a)
		r := l.watch(phoneHost, "", a)
		time.Sleep(time.Second)
		l.Registrar.Close()
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		time.Sleep(time.Second)
		l.start()
		r.awaitRegistration(ua.Registered)
		for _, m := range r.trace.Messages() {
			if raw := string(m.Raw); strings.HasPrefix(raw, "REGISTER") && header(raw, "Contact") == "" {
				t.Errorf("a REGISTER that nobody asked for:\n%s\n%s", raw, r.story())
			}
		}
		r.close()
	})
}

// Contact: * of ours takes the others' contacts off too: that is our doing.
func TestRemoveAllIsOurDoing(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		other := l.watch(otherHost, "", account())
		other.watching()
		r := l.watch(phoneHost, "", account())
		r.watching()
		time.Sleep(time.Second)
		r.Do("alice", ua.Command{Verb: ua.DoRemoveAll})
		r.awaitRegistration(ua.Unregistered)
		time.Sleep(time.Second)
		for _, d := range all[ua.ContactDetail](r) {
			if d.State == "terminated" && d.Origin != ua.OriginSelf {
				t.Errorf("%s: %s by %s", d.URI, d.Event, d.Origin)
			}
		}
		r.close()
		other.close()
	})
}

// on_exit = "leave" leaves the binding.
func TestLeaveIsHeeded(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Leave = true
		r := l.watch(phoneHost, "", a)
		r.watching()
		r.close()
		if n := len(l.Bindings("alice")); n != 1 {
			t.Errorf("%d bindings left", n)
		}
	})
}

// A watcher may come with a number from a run before this one.
func TestWatchFromAnotherRun(t *testing.T) {
	g := ua.NewGroup(ua.Options{Network: memnet.New().Host(phoneHost)})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for range g.Watch(ctx, 1000) {
	}
	g.Close(canceled(), true)
}

// A full document that ends thousands of contacts at once is taken in a moment.
func TestManyContactsVanish(t *testing.T) {
	n := memnet.New()
	s := newScripted(t, n.Host(registrarHost), wire.TCP, netip.MustParseAddrPort(registrarHost+":5060"))
	a := ua.Account{AOR: "sip:alice@example.com", Registrar: "sip:" + s.addr.String(), Transport: wire.TCP}
	r := &run{Group: ua.NewGroup(ua.Options{Network: n.Host(phoneHost)}), lab: &lab{t: t}}
	if err := r.Start(a); err != nil {
		t.Fatal(err)
	}
	defer r.Close(canceled(), true)
	s.begin()
	const most, each = 4000, 400
	for i := 0; i < most; i += each {
		var list []listing
		for k := range each {
			list = append(list, listing{uri: fmt.Sprintf("sip:%d@h", i+k), state: "active", event: "registered"})
		}
		s.notify("active;expires=3600", reginfo(i/each+1, "partial", list...))
		s.next("SIP/2.0 200")
	}
	r.collect(func(e ua.Event) bool {
		d, ok := e.Detail.(ua.DocumentDetail)
		return ok && d.Version.Value == most/each
	})
	start := time.Now()
	s.notify("active;expires=3600", reginfo(most/each+1, "full"))
	r.collect(func(e ua.Event) bool { d, ok := e.Detail.(ua.ContactDetail); return ok && d.Event == "absent" })
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("%d contacts took %v", most, took)
	}
}

// A refused refresh of a full document is not forgotten: what asks for full state
// within the pause is asked for when the pause is over.
func TestFullStateIsAskedForLater(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		s.notify("active;expires=3500", reginfo(5, "partial", another))
		s.next("SIP/2.0 200")
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3500")
		s.notify("active;expires=3500", reginfo(6, "full", ours(register, "registered", 3500), another))
		s.next("SIP/2.0 200")
		time.Sleep(3 * time.Second)
		// The registrar starts counting anew; the partial document tells of our kick.
		s.notify("active;expires=3500", reginfo(1, "partial", ours(register, "deactivated", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Minute)
		if n := r.requests("SUBSCRIBE"); n < 3 {
			t.Errorf("%d SUBSCRIBEs: full state was never asked for\n%s", n, r.story())
		}
	})
}

// Deeds of the user that are undone before they were carried out.
func TestLastWishOfSubscription(t *testing.T) {
	const on, off = ua.DoSubscribe, ua.DoUnsubscribe
	for _, wishes := range [][]ua.Verb{{off, on, off}, {on, off, on}} {
		t.Run(fmt.Sprint(wishes), func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				time.Sleep(time.Minute)
				for _, w := range wishes {
					r.Do("alice", ua.Command{Verb: w})
				}
				for range 40 {
					time.Sleep(100 * time.Millisecond)
					select {
					case m := <-s.in:
						if strings.HasPrefix(m, "SUBSCRIBE") {
							s.kept = append(s.kept, m)
							m = s.takeSubscribe()
							s.answer(m, "200 OK", "Expires: "+header(m, "Expires"))
							if header(m, "Expires") != "0" {
								s.notify("active;expires=3000", reginfo(1, "full", ours(register, "registered", 3000)))
							}
						}
					default:
					}
				}
				want := ua.Active
				if wishes[len(wishes)-1] == off {
					want = ua.Terminated
				}
				if got := r.state("alice").Subscription.State; got != want {
					t.Errorf("in the end %s\n%s", got, r.story())
				}
			})
		})
	}
}

// Kamailio may give a new subscriber the last document as it was. From a run
// before this one, which came from the same port and took its leave, that lists
// our URI as unregistered, under a Call-ID that was never ours. What ended there
// is not the binding that we have just made.
func TestEndOfAnEarlierBindingIsNoKick(t *testing.T) {
	port := func(a *ua.Account) { a.LocalAddress = phoneHost + ":5060" }
	inScript(t, wire.UDP, port, func(s *scripted, r *run) {
		register := s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		old := ours(register, "unregistered", 597)
		old.attributes = `callid="of-yesterday" cseq="17" expires="597"`
		s.notify("active;expires=3600", reginfo(0, "full", old))
		s.next("SIP/2.0 200")
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "created", 3600)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 0 || r.state("alice").Registration.State != ua.Registered {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A refresh whose answer is late is told as such; that is no word of a refresh
// that succeeded.
func TestSlowRefreshIsNotToldAsDone(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
		s.acceptRegister()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		s.next("REGISTER")
		time.Sleep(10 * time.Second)
		e := r.await("an early word", func(e ua.Event) bool { return strings.Contains(fmt.Sprint(e.Detail), "no answer for 7 s") })
		if !strings.Contains(e.Summary, "no answer") || strings.Contains(e.Summary, "answered in") {
			t.Errorf("said %q", e.Summary)
		}
	})
}

// A query that fails is told, though the registration goes on.
func TestFailedQueryIsTold(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
		s.acceptRegister()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		s.answer(s.next("REGISTER"), "500 Server Internal Error")
		time.Sleep(time.Second)
		if !strings.Contains(r.story(), "query: 500") {
			t.Errorf("\n%s", r.story())
		}
	})
}

// RFC 3261 10.2.8: a registrar that asks for more each time is not followed
// without end.
func TestMinExpiresWithoutEnd(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
		for n := 4000; n < 4020; n++ {
			time.Sleep(100 * time.Millisecond)
			select {
			case m := <-s.in:
				s.answer(m, "423 Interval Too Brief", fmt.Sprint("Min-Expires: ", n))
			default:
			}
		}
		if n := r.requests("REGISTER"); n > 6 {
			t.Errorf("%d REGISTERs in one exchange", n)
		}
	})
}

// A Content-Type with a parameter twice is bad style, and still says what the
// body is.
func TestNotifyWithOddContentType(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		send := s.send
		s.send = func(m string) {
			send(strings.Replace(m, "application/reginfo+xml", "application/reginfo+xml;charset=utf-8;charset=UTF-8", 1))
		}
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
		if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 200") {
			t.Errorf("answered %s", got)
		}
	})
}

// What a NOTIFY says of its sender goes into our next requests; none of it ends
// the agent or becomes a header field of its own.
func TestHostileDialog(t *testing.T) {
	for _, contact := range []string{"<sip:>", "<*>", "<:>", "<sip:@>", "<sip:a@[::1>", "<sip:a@b:99999999>", "<sip:a@b;x=%0d%0aEvil: 1>", "<tel:+1>", "<sip:a@b?Evil=1>", `<sip:a@b;x="y>`, "<sip:a@\x1b[31mb>", "<sip:" + strings.Repeat("a", 3000) + "@b>"} {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			register := s.acceptRegister()
			s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
			send := s.send
			s.send = func(m string) {
				m = strings.Replace(m, "<sip:notifier@"+s.addr.String()+">", contact, 1)
				send(strings.Replace(m, "tag=server", `tag=a"<b>,c`, 1))
			}
			s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
			s.next("SIP/2.0 ")
			s.send = send
			r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
			time.Sleep(2 * time.Minute)
			if got := r.state("alice"); got.Registration.State == "" {
				t.Errorf("%s: the agent is gone", contact)
			}
			for _, m := range r.trace.Messages() {
				if strings.Contains(string(m.Raw), "\nEvil") {
					t.Errorf("%s", m.Raw)
				}
			}
		})
	}
}

// Each connection that comes up goes down again in the stream before the next one
// comes, and the registrar is told of each, whatever was under way when it broke.
func TestEachConnectionGoesDownOnce(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport = "tcp"
		r := l.watch(phoneHost, "", a)
		r.watching()
		phone, server := netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost)
		for i := range 100 {
			verb := []ua.Verb{ua.DoSubscribe, ua.DoQuery, ua.DoRegister}[i%3]
			if i%2 == 0 {
				r.Do("alice", ua.Command{Verb: verb})
			}
			l.net.Reset(phone, server)
			if i%2 == 1 {
				r.Do("alice", ua.Command{Verb: verb})
			}
			time.Sleep(time.Minute)
			if s := r.state("alice"); s.Registration.State != ua.Registered || s.Subscription.State != ua.Active || s.Flow.Local == "" ||
				len(l.Bindings("alice")) != 1 || !strings.Contains(fmt.Sprint(l.Bindings("alice")), s.Flow.Local) {
				t.Errorf("%d %s: at %s, %s, %s, but bound is %v\n%s", i, verb, s.Flow.Local, s.Registration.State, s.Subscription.State, l.Bindings("alice"), r.story())
				break
			}
		}
		up := false
		for _, d := range all[ua.FlowDetail](r) {
			if up == (d.State == "up") {
				t.Errorf("%s twice in a row", d.State)
			}
			up = d.State == "up"
		}
		r.close()
	})
}

// A flood of requests, more than an inbox holds, neither delays the end of the
// group nor outlives it.
func TestCloseUnderFlood(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		n := memnet.New()
		s := newScripted(t, n.Host(registrarHost), transport, netip.MustParseAddrPort(registrarHost+":5060"))
		a := ua.Account{AOR: "sip:alice@example.com", Registrar: "sip:" + s.addr.String(), Transport: transport}
		g := ua.NewGroup(ua.Options{Network: n.Host(phoneHost)})
		if err := g.Start(a); err != nil {
			t.Fatal(err)
		}
		s.begin()
		stop := make(chan struct{})
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-s.in:
				default:
				}
				s.send(fmt.Sprintf("OPTIONS sip:alice@%s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bKf%d\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
					phoneHost, strings.ToUpper(transport), s.addr, i, i))
			}
		}()
		time.Sleep(300 * time.Millisecond)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		g.Close(ctx, false)
		cancel()
		close(stop)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: closed after %v", transport, took)
		}
	}
}

// Who leaves while a password is being typed is not kept.
func TestLeaveWhilePasswordIsAsked(t *testing.T) {
	inScript(t, wire.UDP, slowPassword, func(s *scripted, r *run) {
		s.answer(s.next("REGISTER"), "401 Unauthorized", `WWW-Authenticate: Digest realm="home", nonce="h", qop="auth"`)
		time.Sleep(time.Second)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		r.Close(ctx, false)
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(15 * time.Second) // until the password's goroutine has ended
	})
}

// A registrar may close the connection right behind its 2xx. The agent may learn
// of the end before it reads the answer; neither order is the end of the program.
func TestConnectionEndsBehind2xx(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			listener, err := n.Host(registrarHost).Listen(t.Context(), netip.MustParseAddrPort(registrarHost+":5060"))
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			// Only the first connection is served; the refresh on it is answered and
			// the connection closed in one breath.
			go serveOnce(listener)
			a := account()
			a.Registrar, a.Transport = "sip:"+registrarHost, wire.TCP
			var fault error
			g := ua.NewGroup(ua.Options{Network: n.Host(phoneHost), OnPanic: func(err error) { fault = err }})
			if err := g.Start(a); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			g.Do("alice", ua.Command{Verb: ua.DoRegister})
			synctest.Wait()
			g.Close(canceled(), true)
			if fault != nil {
				t.Fatal(fault)
			}
		})
	}
}

func serveOnce(listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	buffer := make([]byte, 65536)
	for registers := 0; ; {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		for request := range strings.SplitAfterSeq(string(buffer[:n]), "\r\n\r\n") {
			if !strings.HasPrefix(request, "REGISTER") && !strings.HasPrefix(request, "SUBSCRIBE") {
				continue
			}
			out := "SIP/2.0 200 OK\r\nContact: " + header(request, "Contact") + ";expires=3600\r\nExpires: 3600\r\n"
			for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
				out += name + ": " + header(request, name) + "\r\n"
			}
			conn.Write([]byte(out + "Content-Length: 0\r\n\r\n"))
			if strings.HasPrefix(request, "REGISTER") {
				if registers++; registers == 2 {
					return
				}
				continue
			}
			_, tag, _ := strings.Cut(header(request, "From"), ";tag=")
			conn.Write([]byte("NOTIFY sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKn\r\nFrom: <sip:a@b>;tag=n\r\nTo: <sip:a@b>;tag=" + tag +
				"\r\nCall-ID: " + header(request, "Call-ID") + "\r\nCSeq: 1 NOTIFY\r\nEvent: reg\r\nSubscription-State: active\r\nContent-Length: 0\r\n\r\n"))
		}
	}
}

// And the binding follows to a new connection: the one that its Contact names is
// no more, in whatever order the agent learned of it.
func TestBindingFollowsConnectionThatEndedBehind2xx(t *testing.T) {
	for i := range 300 {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New()
			listener, err := n.Host(registrarHost).Listen(t.Context(), netip.MustParseAddrPort(registrarHost+":5060"))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				serveOnce(listener)
				serveOnce(listener)
			}()
			a := account()
			a.Registrar, a.Transport = "sip:"+registrarHost, wire.TCP
			r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
			time.Sleep(time.Second)
			r.Do("alice", ua.Command{Verb: ua.DoRegister})
			time.Sleep(time.Minute)
			if got := r.requests("REGISTER"); got < 3 {
				t.Errorf("round %d: %d REGISTERs\n%s", i, got, r.story())
			}
			r.kill()
			listener.Close()
		})
		if t.Failed() {
			return
		}
	}
}

// A SUBSCRIBE that broke with its connection is sent again with the next one, not
// half a minute later: a kick in between would go unseen.
func TestSubscriptionFollowsWhenASubscribeBreaks(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport = "tcp"
		r := l.watch(phoneHost, "", a)
		r.watching()
		for range 20 {
			r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
			l.net.Reset(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
			time.Sleep(5 * time.Second)
			if s := r.state("alice"); s.Registration.State != ua.Registered || s.Subscription.State != ua.Active {
				t.Errorf("%s, %s\n%s", s.Registration.State, s.Subscription.State, r.story())
				break
			}
			time.Sleep(time.Minute)
		}
		r.close()
	})
}

// A border controller may answer our refreshes itself: the registrar then never
// hears of their CSeq, and its kick carries an old one. Long after the last 2xx
// that is no document which was overtaken.
func TestKickBehindBorderController(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Minute)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		s.acceptRegister()
		time.Sleep(10 * time.Minute)
		s.notify("active;expires=2900", reginfo(1, "full", ours(register, "deactivated", 0)))
		r.awaitKick(ua.KickDeactivated)
	})
}

// RFC 6665 4.1.3: behind "rejected" only a person subscribes again, by a SUBSCRIBE or
// a REGISTER. Behind "noresource" and "invariant" another registration is something
// else to watch, and a mere refresh is not.
func TestRejectedIsNotSubscribedToAgain(t *testing.T) {
	kicks := func(a *ua.Account) {
		a.Expires, a.On = 600, map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Auto}
	}
	for _, c := range []struct {
		reason string
		anew   int // SUBSCRIBEs, once we are registered anew by ourselves
	}{{"rejected", 0}, {"noresource", 1}, {"invariant", 1}} {
		for _, byHand := range []ua.Verb{ua.DoRegister, ua.DoSubscribe} {
			t.Run(fmt.Sprint(c.reason, " ", byHand), func(t *testing.T) {
				inScript(t, wire.UDP, kicks, func(s *scripted, r *run) {
					register := s.begin()
					s.notify("terminated;reason="+c.reason, reginfo(1, "full", ours(register, "deactivated", 0)))
					s.next("SIP/2.0 200")
					s.acceptRegister() // by itself
					time.Sleep(time.Second)
					if got := r.requests("SUBSCRIBE") - 1; got != c.anew {
						t.Fatalf("registered anew: %d SUBSCRIBEs\n%s", got, r.story())
					}
					if c.anew > 0 {
						s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
						s.cseq = 0
						s.notify("terminated;reason="+c.reason, "")
						s.next("SIP/2.0 200")
					}
					before := r.requests("SUBSCRIBE")
					for range 3 { // refreshes
						s.patience = time.Hour
						s.acceptRegister()
					}
					time.Sleep(time.Second)
					if got := r.requests("SUBSCRIBE") - before; got != 0 {
						t.Errorf("refreshed: %d SUBSCRIBEs\n%s", got, r.story())
					}
					r.Do("alice", ua.Command{Verb: byHand})
					if byHand == ua.DoRegister {
						s.acceptRegister()
					}
					s.takeSubscribe()
				})
			})
		}
	}
}
