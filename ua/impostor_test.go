package ua_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// stranger is a socket that is not the registrar's; what it sends gets to the phone.
func (r *run) stranger(at string) (send func(string), answers chan string) {
	r.lab.t.Helper()
	from := netip.MustParseAddrPort(at)
	socket, err := r.lab.net.Host(from.Addr().String()).ListenPacket(r.lab.t.Context(), from)
	if err != nil {
		r.lab.t.Fatal(err)
	}
	r.lab.t.Cleanup(func() { socket.Close() })
	answers = make(chan string, 100)
	go func() {
		for buffer := make([]byte, 65535); ; {
			n, _, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			select {
			case answers <- string(buffer[:n]):
			default: // enough of them
			}
		}
	}()
	flow := r.state("alice").Flow
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(flow.Local))
	return func(message string) { socket.WriteTo([]byte(message), to) }, answers
}

// A NOTIFY that is not our notifier's is refused, however near it comes: it changes
// nothing and tells no kick, and the next true one counts.
func TestImpostorNotifies(t *testing.T) {
	const removed = "active;expires=3600"
	for _, c := range []struct {
		what   string
		edit   func(message string, s *scripted) string
		status string
	}{
		{"a dialog of its own making", func(m string, s *scripted) string {
			return strings.NewReplacer(s.callID, "guessed", s.toTag, "guessed").Replace(m)
		}, "481"},
		{"our Call-ID, another tag of ours", func(m string, s *scripted) string { return strings.Replace(m, s.toTag, "guessed", 1) }, "481"},
		{"our Call-ID and tag, another of the notifier's", func(m string, _ *scripted) string { return strings.Replace(m, "tag=server", "tag=guessed", 1) }, "481"},
		{"no tag of ours", func(m string, s *scripted) string { return strings.Replace(m, ";tag="+s.toTag, "", 1) }, "400"},
		{"the true NOTIFY again, from elsewhere", func(m string, _ *scripted) string { return strings.Replace(m, "CSeq: 9 ", "CSeq: 1 ", 1) }, "200"},
		{"a lower CSeq", func(m string, _ *scripted) string { return strings.Replace(m, "CSeq: 9 ", "CSeq: 0 ", 1) }, "500"},
		{"another event", func(m string, _ *scripted) string { return strings.Replace(m, "Event: reg", "Event: presence", 1) }, "489"},
		{"another id", func(m string, _ *scripted) string { return strings.Replace(m, "Event: reg", "Event: reg;id=1", 1) }, "481"},
	} {
		t.Run(c.what, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				time.Sleep(time.Second)
				before := r.state("alice")
				send, answers := r.stranger("203.0.113.66:5060")
				body := reginfo(1, "full", ours(register, "rejected", 0))
				notify := strings.ReplaceAll(fmt.Sprintf("NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.66:5060;branch=z9hG4bKevil\nFrom: <sip:alice@example.com>;tag=server\n"+
					"To: <sip:alice@example.com>;tag=%s\nCall-ID: %s\nCSeq: 9 NOTIFY\nContact: <sip:evil@203.0.113.66>\nEvent: reg\nSubscription-State: %s\n"+
					"Content-Type: application/reginfo+xml\nContent-Length: %d\n\n", s.contact, s.toTag, s.callID, removed, len(body)), "\n", "\r\n") + body
				send(c.edit(notify, s))
				time.Sleep(time.Second)
				if got := <-answers; !strings.HasPrefix(got, "SIP/2.0 "+c.status) {
					t.Errorf("answered %q", got)
				}
				after := r.state("alice")
				if after.Registration.State != ua.Registered || after.Subscription.State != ua.Active || len(r.kicks()) > 0 || len(after.Bindings) != len(before.Bindings) {
					t.Errorf("%s\n%s", after.Registration.State, r.story())
				}
				s.notify("active;expires=3600", reginfo(1, "full", ours(register, "refreshed", 3600), another))
				s.next("SIP/2.0 200")
				time.Sleep(time.Second)
				if after := r.state("alice"); len(after.Bindings) != 2 {
					t.Errorf("the true one is not taken: %d contacts\n%s", len(after.Bindings), r.story())
				}
				// Nothing that follows goes to the stranger.
				r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
				s.next("SUBSCRIBE")
				if len(answers) > 0 {
					t.Errorf("sent to the stranger: %q", <-answers)
				}
			})
		})
	}
}

// A refusal, a challenge or a redirection by somebody else changes nothing, and is
// told once.
func TestImpostorAnswers(t *testing.T) {
	for _, status := range []string{"403 Forbidden", "401 Unauthorized", "302 Moved", "200 OK", "423 Interval Too Brief", "100 Trying"} {
		t.Run(status, func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
				register := s.acceptRegister()
				r.awaitRegistration(ua.Registered)
				send, _ := r.stranger("203.0.113.66:5060")
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				refresh := s.next("REGISTER")
				for range 3 {
					send(answerTo(refresh, status, "", "Contact: <sip:evil@203.0.113.66>", "Min-Expires: 86400",
						`WWW-Authenticate: Digest realm="evil", nonce="n", algorithm=MD5`))
				}
				time.Sleep(time.Second)
				s.answer(refresh, "200 OK", "Contact: "+header(register, "Contact")+";expires=1800")
				time.Sleep(time.Minute)
				state := r.state("alice")
				if state.Registration.State != ua.Registered || r.requests("REGISTER") != 2 {
					t.Errorf("%s after %d requests\n%s", state.Registration.State, r.requests("REGISTER"), r.story())
				}
				told := 0
				for _, d := range all[ua.FindingDetail](r) {
					if d.Code == finding.AnswerFromElsewhere {
						told++
					}
				}
				if told != 1 {
					t.Errorf("told %d times\n%s", told, r.story())
				}
			})
		})
	}
}

// A crowd of strangers takes nothing from the account: its registrar is heard, and
// the user told once.
func TestCrowdDoesNotDeafen(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		time.Sleep(time.Second)
		send, _ := r.stranger("203.0.113.66:5060")
		for i := range 3000 {
			send(fmt.Sprintf("OPTIONS %s SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.66;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", s.contact, i, i))
			if i%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "rejected", 0)))
		s.next("SIP/2.0 200")
		r.awaitKick(ua.KickRejected)
		told := 0
		for _, d := range all[ua.FindingDetail](r) {
			if d.Code == finding.CrowdOfStrangers {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

// Whatever a registrar says of times, nobody is asked in a circle, and none waits
// without end.
func TestRegistrarThatLies(t *testing.T) {
	for name, lie := range map[string]func(s *scripted, request, contact string){
		"expires in a second":   func(s *scripted, q, c string) { s.answer(q, "200 OK", c+";expires=1") },
		"expires at once":       func(s *scripted, q, c string) { s.answer(q, "200 OK", c+";expires=0") },
		"bound for ever":        func(s *scripted, q, c string) { s.answer(q, "200 OK", c+";expires=4294967295") },
		"bound, and not listed": func(s *scripted, q, _ string) { s.answer(q, "200 OK") },
		"another is bound":      func(s *scripted, q, _ string) { s.answer(q, "200 OK", "Contact: <sip:evil@203.0.113.66>;expires=60") },
		"always more":           func(s *scripted, q, _ string) { s.answer(q, "423 Interval Too Brief", "Min-Expires: 4294967295") },
		"always stale": func(s *scripted, q, _ string) {
			s.answer(q, "401 Unauthorized", fmt.Sprintf(`WWW-Authenticate: Digest realm="r", nonce="%d", stale=true`, len(s.in)))
		},
		"come back at once": func(s *scripted, q, _ string) { s.answer(q, "503 Service Unavailable", "Retry-After: 0") },
		"round and round":   func(s *scripted, q, _ string) { s.answer(q, "302 Moved", "Contact: <sip:"+s.addr.String()+">") },
	} {
		t.Run(name, func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Watch, a.FollowRedirects = ua.WatchOff, true }, func(s *scripted, r *run) {
				for range 600 { // ten minutes
					time.Sleep(time.Second)
					for len(s.in) > 0 {
						if q := <-s.in; strings.HasPrefix(q, "REGISTER") {
							lie(s, q, "Contact: "+header(q, "Contact"))
						}
					}
				}
				// Who binds us for a second gets a refresh a second: that is what it asks for.
				asked := r.requests("REGISTER")
				if most := map[bool]int{true: 620, false: 20}[name == "expires in a second"]; asked > most {
					t.Errorf("%d REGISTERs in ten minutes\n%.3000s", asked, r.story())
				}
				r.isHarmless()
			})
		})
	}
}
