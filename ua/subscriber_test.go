package ua_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// renewing has the agent refresh its subscription, and gives the SUBSCRIBE.
func (s *scripted) renewing(r *run) string {
	s.t.Helper()
	r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
	return s.takeSubscribe()
}

// anotherDialog reports whether b begins a dialog that has nothing of a's (RFC
// 6665 4.1.2.2).
func anotherDialog(a, b string) bool {
	return header(a, "Call-ID") != header(b, "Call-ID") && header(a, "From") != header(b, "From") && !strings.Contains(header(b, "To"), "tag=")
}

// pending returns the SUBSCRIBEs that came within d, without those sent again.
func (s *scripted) pending(d time.Duration) (list []string) {
	time.Sleep(d)
	synctest.Wait()
	for {
		select {
		case m := <-s.in:
			s.kept = append(s.kept, m)
			continue
		default:
		}
		break
	}
	for _, m := range s.kept {
		if strings.HasPrefix(m, "SUBSCRIBE") && !slices.ContainsFunc(list, func(l string) bool { return header(l, "Via") == header(m, "Via") }) {
			list = append(list, m)
		}
	}
	s.kept = nil
	return list
}

// RFC 6665 4.1.2.2, 4.1.2.4: Timer N runs from each SUBSCRIBE, the one that makes
// the dialog and each that refreshes it, until a NOTIFY or an answer that is no 2xx.
func TestTimerN(t *testing.T) {
	const timerN = 32 * time.Second
	for _, c := range []struct {
		name  string
		first bool // it is about the SUBSCRIBE that makes the dialog
		play  func(s *scripted, subscribe string)
		ends  bool
	}{
		{"2xx and no NOTIFY", true, func(s *scripted, m string) { s.answer(m, "200 OK", "Expires: 3600") }, true},
		{"202 and no NOTIFY", true, func(s *scripted, m string) { s.answer(m, "202 Accepted", "Expires: 3600") }, true},
		{"no answer and no NOTIFY", true, func(*scripted, string) {}, true},
		{"a NOTIFY and no answer", true, func(s *scripted, m string) { s.notify("active;expires=3600", "") }, false},
		{"a NOTIFY at the last moment", true, func(s *scripted, m string) {
			s.answer(m, "200 OK", "Expires: 3600")
			time.Sleep(timerN - time.Second)
			s.notify("active;expires=3600", "")
		}, false},
		{"2xx and no NOTIFY", false, func(s *scripted, m string) { s.answer(m, "200 OK", "Expires: 3600") }, true},
		{"no answer and no NOTIFY", false, func(*scripted, string) {}, true},
		{"a NOTIFY and no answer", false, func(s *scripted, m string) { s.notify("active;expires=3600", "") }, false},
		{"a NOTIFY before the 2xx", false, func(s *scripted, m string) {
			s.notify("active;expires=3600", "")
			s.answer(m, "200 OK", "Expires: 3600")
		}, false},
		{"an answer that is no 2xx", false, func(s *scripted, m string) { s.answer(m, "500 Server Internal Error") }, false},
		{"204: no NOTIFY will come (RFC 5839 6.3)", false, func(s *scripted, m string) { s.answer(m, "204 No Notification", "Expires: 3600") }, false},
		{"challenged late: it runs from the SUBSCRIBE that answers", false, func(s *scripted, m string) {
			s.pending(timerN - 2*time.Second) // without those that were sent again
			s.answer(m, unauthorized, challenge)
			s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
			time.Sleep(timerN - 5*time.Second)
			s.notify("active;expires=3600", "")
		}, false},
		{"challenged, 2xx, and no NOTIFY", false, func(s *scripted, m string) {
			s.answer(m, unauthorized, challenge)
			s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		}, true},
	} {
		t.Run(fmt.Sprintf("%s, first=%v", c.name, c.first), func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				var subscribe string
				if c.first {
					s.acceptRegister()
					subscribe = s.takeSubscribe()
				} else {
					s.begin()
					r.awaitSubscription(ua.Active)
					time.Sleep(time.Minute)
					subscribe = s.renewing(r)
				}
				sent := time.Now()
				c.play(s, subscribe)
				time.Sleep(time.Until(sent.Add(timerN - 100*time.Millisecond)))
				over := func() bool {
					state := r.state("alice").Subscription.State
					return state == ua.Terminated || state == ua.Polling
				}
				if over() {
					t.Errorf("over before Timer N\n%s", r.story())
				}
				time.Sleep(time.Second)
				if over() != c.ends {
					t.Errorf("over is %v\n%s", over(), r.story())
				}
				s.pending(0)
				// What comes later makes no dialog any more, or is still of ours.
				s.notify("active;expires=3600", reginfo(1, "full", another))
				want := "SIP/2.0 200"
				if c.ends {
					want = "SIP/2.0 481"
				}
				if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, want) {
					t.Errorf("then answered %s", got[:12])
				}
				if !c.ends {
					return
				}
				// It is subscribed to anew, at the latest when the backing off is over.
				time.Sleep(time.Minute)
				list := s.pending(0)
				if len(list) == 0 || !anotherDialog(subscribe, list[0]) {
					t.Errorf("not subscribed anew: %v\n%s", list, r.story())
				}
			})
		})
	}
}

// RFC 6665 4.1.2.2: which answers to a refresh end the subscription at once, to be
// subscribed to anew; with all others it lives until it runs out.
func TestRefusedRefresh(t *testing.T) {
	ends := []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604}
	lives := []int{
		300, 302, 400, 401, 402, 403, 406, 407, 408, 409, 411, 413, 414, 415, 420, 421, 423, 429, 430, 439, 486, 487, 488, 491, 493, 494,
		500, 502, 503, 504, 505, 513, 580, 600, 603, 606,
	}
	for _, status := range slices.Concat(ends, lives) {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				time.Sleep(time.Minute)
				refresh := s.renewing(r)
				began := time.Now()
				s.answer(refresh, fmt.Sprint(status, " Because"))
				list := s.pending(time.Second)
				if slices.Contains(ends, status) {
					if len(list) != 1 || !anotherDialog(refresh, list[0]) {
						t.Errorf("not subscribed anew: %v\n%s", list, r.story())
					}
					s.notify("active;expires=3000", "")
					if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 481") {
						t.Errorf("the dialog that is over still answers %s", got[:12])
					}
					return
				}
				if len(list) != 0 {
					t.Errorf("sent at once: %v", list)
				}
				// A kick is seen still, and asks.
				s.notify("active", reginfo(1, "full", ours(register, "deactivated", 0), another))
				s.next("SIP/2.0 200")
				r.awaitKick(ua.KickDeactivated)
				// Half-way to the end it is refreshed again, in the dialog.
				time.Sleep(time.Until(began.Add(28 * time.Minute)))
				for list = nil; len(list) == 0 && time.Since(began) < 31*time.Minute; {
					list = s.pending(time.Second)
				}
				if len(list) != 1 || header(list[0], "Call-ID") != s.callID || header(list[0], "To") != header(refresh, "To") {
					t.Errorf("half-way: %v\n%s", list, r.story())
				}
				// Refused until the end, it is over then, and not before.
				for end := began.Add(58*time.Minute + 59*time.Second); time.Now().Before(end); {
					for _, m := range list {
						s.answer(m, fmt.Sprint(status, " Because"))
					}
					list = s.pending(min(time.Second, max(time.Until(end), time.Millisecond)))
				}
				if got := r.state("alice").Subscription.State; got != ua.Active {
					t.Errorf("before it ran out it is %s\n%s", got, r.story())
				}
				for _, m := range list {
					s.answer(m, fmt.Sprint(status, " Because"))
				}
				list = s.pending(3 * time.Second)
				if !slices.ContainsFunc(list, func(m string) bool { return anotherDialog(refresh, m) }) {
					t.Errorf("not subscribed anew when it had run out: %v\n%s", list, r.story())
				}
			})
		})
	}
}

// RFC 6665 4.1.2, 4.1.2.1: an answer to the first SUBSCRIBE that is no 2xx ends it.
// What says that there is no reg event for us has the bindings polled, or is final
// where only the reg event is wanted; so is what our credentials get. All else is
// tried again in a dialog of its own, as seldom as after any failure.
func TestRefusedSubscribe(t *testing.T) {
	none, final := []int{403, 404, 405, 489, 501}, []int{401, 407}
	later := []int{
		300, 302, 380, 400, 402, 406, 408, 410, 413, 415, 416, 420, 423, 429, 430, 439, 480, 481, 482, 483, 484, 485, 486, 488, 494,
		500, 502, 503, 504, 505, 513, 600, 603, 604, 606,
	}
	for _, mode := range []ua.WatchMode{ua.WatchAuto, ua.WatchReg} {
		for _, status := range slices.Concat(none, final, later) {
			t.Run(fmt.Sprint(mode, " ", status), func(t *testing.T) {
				inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = mode }, func(s *scripted, r *run) {
					s.acceptRegister()
					subscribe := s.takeSubscribe()
					s.answer(subscribe, fmt.Sprint(status, " Because"))
					time.Sleep(time.Second)
					want := ua.Terminated
					switch {
					case !slices.Contains(none, status):
					case mode == ua.WatchAuto:
						want = ua.Polling
					default:
						want = ua.Unsupported
					}
					got := r.state("alice").Subscription
					if got.State != want || got.Status != status || !strings.Contains(got.Reason, fmt.Sprint(status, " Because")) {
						t.Errorf("%+v, want %s\n%s", got, want, r.story())
					}
					// No dialog was made.
					s.notify("active;expires=600", reginfo(0, "full", another))
					s.next("SIP/2.0 481")
					if list := s.pending(10 * time.Second); len(list) != 0 {
						t.Errorf("sent soon: %v", list)
					}
					list := s.pending(30 * time.Second)
					if wants := slices.Contains(later, status); wants != (len(list) > 0) || wants && !anotherDialog(subscribe, list[0]) {
						t.Errorf("then %v\n%s", list, r.story())
					}
				})
			})
		}
	}
}

// RFC 3261 20.33: a notifier that refuses a refresh for a while is left alone for
// that long.
func TestRefreshRefusedForAWhile(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		s.answer(s.renewing(r), "503 Service Unavailable", "Retry-After: 3000")
		if list := s.pending(49 * time.Minute); len(list) != 0 {
			t.Errorf("sent too soon: %v", list)
		}
		if list := s.pending(80 * time.Second); len(list) != 1 {
			t.Errorf("then %v\n%s", list, r.story())
		}
	})
}

// RFC 6665 4.1.3: the expiry that a NOTIFY names rules, also over that of the 2xx
// which it overtook; without one the 2xx's holds.
func TestExpiresOfNotifyRules(t *testing.T) {
	for _, c := range []struct {
		state, field string
		early        bool
		within       time.Duration // it is refreshed, and no sooner than half of that
	}{
		{"active;expires=100", "Expires: 3600", true, 100 * time.Second},
		{"active;expires=100", "Expires: 3600", false, 100 * time.Second},
		{"pending;expires=100", "Expires: 3600", true, 100 * time.Second},
		{"active", "Expires: 200", true, 200 * time.Second},
		{"active", "Expires: 200", false, 200 * time.Second},
		{"active;reason=rejected;retry-after=5", "Expires: 200", false, 200 * time.Second}, // they mean nothing there
		{"active;expires=100", "X-None: 1", true, 100 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s, %s, early=%v", c.state, c.field, c.early), func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.acceptRegister()
				subscribe := s.takeSubscribe()
				if c.early {
					s.notify(c.state, "")
					s.next("SIP/2.0 200")
				}
				s.answer(subscribe, "200 OK", c.field)
				if !c.early {
					time.Sleep(time.Second)
					s.notify(c.state, "")
					s.next("SIP/2.0 200")
				}
				if list := s.pending(c.within / 2); len(list) != 0 {
					t.Errorf("too soon: %v\n%s", list, r.story())
				}
				if list := s.pending(c.within / 2); len(list) == 0 || header(list[0], "Call-ID") != s.callID {
					t.Errorf("not refreshed: %v\n%s", list, r.story())
				}
			})
		})
	}
}

var nonceCount = regexp.MustCompile(`nc=([0-9a-f]{8})`)

// Challenges inside the dialog: on a refresh and on the unsubscribing, by the
// registrar and by a proxy. Kept nonces are used ahead, each time with a higher
// count (RFC 7616 3.4), and each SUBSCRIBE has the next CSeq.
func TestChallengesInDialog(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		version, cseq := 0, 1
		next := func(wants ...string) string {
			t.Helper()
			m := s.takeSubscribe()
			cseq++
			for _, want := range append(wants, fmt.Sprintf("CSeq: %d SUBSCRIBE", cseq), ";tag=server") {
				if without, not := strings.CutPrefix(want, "!"); not == strings.Contains(m, cmpWant(want, without, not)) {
					t.Errorf("%s in\n%s", want, m)
				}
			}
			return m
		}
		renew := func() { time.Sleep(time.Minute); r.Do("alice", ua.Command{Verb: ua.DoSubscribe}) }
		accept := func(m string) {
			s.answer(m, "200 OK", "Expires: 3600")
			version++
			s.notify("active;expires=3600", reginfo(version, "full", ours(register, "registered", 0)))
			s.next("SIP/2.0 200")
		}
		renew()
		s.answer(next("!Authorization"), unauthorized, challenge)
		accept(next(`Authorization: Digest`, `nonce="n1"`, "nc=00000001"))
		renew()
		accept(next(`nonce="n1"`, "nc=00000002"))
		renew()
		s.answer(next(`nonce="n1"`, "nc=00000003"), unauthorized, staleNonce)
		accept(next(`nonce="n2"`, "nc=00000001"))
		renew()
		s.answer(next(`nonce="n2"`, "nc=00000002"), proxyAsks, proxyChallenge)
		accept(next(`Proxy-Authorization: Digest`, `nonce="p1"`, `nonce="n2"`))
		r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
		s.answer(next("Expires: 0", `nonce="p1"`), unauthorized, strings.Replace(staleNonce, "n2", "n3", 1))
		s.answer(next("Expires: 0", `nonce="n3"`, "nc=00000001"), "200 OK", "Expires: 0")
		r.awaitSubscription(ua.Terminated)
		for _, d := range all[ua.SubscriptionDetail](r) {
			if d.State == ua.Terminated && d.Reason != "unsubscribed" {
				t.Errorf("%+v", d)
			}
		}
	})
}

func cmpWant(want, without string, not bool) string {
	if not {
		return without
	}
	return want
}

// The same nonce is counted over all that is sent with it, REGISTER and SUBSCRIBE
// (RFC 7616 3.4): no count comes twice.
func TestNonceCountOverBothDialogs(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.answer(s.next("REGISTER"), unauthorized, challenge)
		register := s.acceptRegister()
		counts := map[string]bool{}
		count := func(m string) {
			t.Helper()
			found := nonceCount.FindStringSubmatch(m)
			if found == nil || counts[found[1]] {
				t.Errorf("no count, or the second time: %v", found)
				return
			}
			counts[found[1]] = true
		}
		count(register)
		for i := range 4 {
			subscribe := s.takeSubscribe()
			count(subscribe)
			s.answer(subscribe, "200 OK", "Expires: 3600")
			s.notify("active;expires=3600", reginfo(i, "full", ours(register, "registered", 0)))
			s.next("SIP/2.0 200")
			time.Sleep(time.Minute)
			r.Do("alice", ua.Command{Verb: ua.DoRegister})
			count(s.acceptRegister())
			time.Sleep(time.Second)
			r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		}
	})
}

// RFC 6665 4.1.2.3, 4.4.1: the last NOTIFY belongs to the dialog until it comes, be
// it before the 2xx, soon after it, or late; and nothing waits for one that never
// comes. With a document or without, it asks for nothing.
func TestLastNotify(t *testing.T) {
	for _, c := range []struct {
		name   string
		play   func(s *scripted, m string) // the unsubscribing came
		reason string                      // of the end, as told
		status string                      // to the terminated NOTIFY a second after play
		state  string
	}{
		{"after the 2xx", func(s *scripted, m string) { s.answer(m, "200 OK", "Expires: 0") }, "unsubscribed", "200", "terminated;reason=timeout"},
		{"without a reason", func(s *scripted, m string) { s.answer(m, "202 Accepted") }, "unsubscribed", "200", "terminated"},
		{"late", func(s *scripted, m string) { s.answer(m, "200 OK", "Expires: 0"); time.Sleep(30 * time.Second) }, "unsubscribed", "200", "terminated;reason=timeout"},
		{"too late", func(s *scripted, m string) { s.answer(m, "200 OK", "Expires: 0"); time.Sleep(32 * time.Second) }, "unsubscribed", "481", "terminated;reason=timeout"},
		{"it does not say that it is the last", func(s *scripted, m string) { s.answer(m, "200 OK", "Expires: 0") }, "unsubscribed", "481", "active;expires=10"},
		{"twice, the first before the 2xx", func(s *scripted, m string) {
			s.notify("terminated;reason=timeout", "")
			s.next("SIP/2.0 200")
			s.answer(m, "200 OK", "Expires: 0")
		}, "unsubscribed", "200", "terminated;reason=timeout"},
		{"unknown there", func(s *scripted, m string) { s.answer(m, "481 Subscription Does Not Exist") }, "unsubscribed", "200", "terminated;reason=timeout"},
		{"never answered", func(s *scripted, m string) { time.Sleep(32 * time.Second) }, "unsubscribed, not confirmed: no answer within 32 s", "481", "terminated;reason=timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.begin()
				r.awaitSubscription(ua.Active)
				time.Sleep(time.Minute)
				r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
				m := s.takeSubscribe()
				c.play(s, m)
				time.Sleep(time.Second)
				if d := r.awaitSubscription(ua.Terminated); d.Reason != c.reason {
					t.Errorf("told %q", d.Reason)
				}
				s.pending(0)
				for range 2 { // the second by another way, with the CSeq of the first
					s.notify(c.state, reginfo(1, "full", another))
					s.cseq--
					if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 "+c.status) {
						t.Errorf("answered %s", got[:12])
					}
				}
				if list := s.pending(time.Hour); len(list) != 0 {
					t.Errorf("and then %v\n%s", list, r.story())
				}
				if got := r.state("alice").Subscription.State; got != ua.Terminated {
					t.Errorf("in the end %s\n%s", got, r.story())
				}
			})
		})
	}
}

// The last NOTIFY of the dialog that was left does not end the one that follows.
func TestLastNotifyBehindANewDialog(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		r.awaitSubscription(ua.Active)
		r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 0")
		r.awaitSubscription(ua.Terminated)
		callID, tag := s.callID, s.toTag
		s.answer(s.renewing(r), "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 0)))
		s.next("SIP/2.0 200")
		r.awaitSubscription(ua.Active)
		s.callID, s.toTag = callID, tag
		s.notify("terminated;reason=timeout", "")
		s.next("SIP/2.0 200")
		if list := s.pending(time.Minute); len(list) != 0 || r.state("alice").Subscription.State != ua.Active {
			t.Errorf("%v\n%s", list, r.story())
		}
	})
}

// Who asks for what is under way is told so, and gets it; nothing is sent twice.
func TestSubscribeWhileUnderWay(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		told := func(reason string) {
			t.Helper()
			r.await(reason, func(e ua.Event) bool {
				d, ok := e.Detail.(ua.SubscriptionDetail)
				return ok && strings.Contains(d.Reason, reason) && strings.Contains(e.Summary, reason)
			})
		}
		register := s.acceptRegister()
		subscribe := s.takeSubscribe()
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		told("a SUBSCRIBE is under way: the registrar has not answered yet")
		s.answer(subscribe, "200 OK", "Expires: 3600")
		time.Sleep(time.Second)
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		told("a SUBSCRIBE is under way: accepted, and the NOTIFY is on its way")
		s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 0)))
		s.next("SIP/2.0 200")
		r.awaitSubscription(ua.Active)
		refresh := s.renewing(r)
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		told("a SUBSCRIBE is under way: the registrar has not answered yet")
		s.answer(refresh, "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "registered", 0)))
		if list := s.pending(time.Minute); len(list) != 0 {
			t.Errorf("%v\n%s", list, r.story())
		}
	})
}

// So also where it is the password that is waited for.
func TestSubscribeWhilePasswordIsAsked(t *testing.T) {
	typed := func(a *ua.Account) {
		a.Password = func() (string, error) { time.Sleep(50 * time.Second); return "secret", nil }
	}
	inScript(t, wire.UDP, typed, func(s *scripted, r *run) {
		register := s.begin()
		r.awaitSubscription(ua.Active)
		s.answer(s.renewing(r), unauthorized, challenge)
		time.Sleep(time.Second)
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		r.await("how far it is", func(e ua.Event) bool {
			return strings.Contains(e.Summary, "a SUBSCRIBE is under way: the password is asked for")
		})
		// Who types it takes longer than Timer N, which does not run.
		s.pending(48 * time.Second)
		refresh := s.takeSubscribe()
		s.answer(refresh, "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "registered", 0)))
		s.next("SIP/2.0 200")
		if got := r.state("alice").Subscription; got.State != ua.Active || header(refresh, "Authorization") == "" {
			t.Errorf("%+v\n%s", got, r.story())
		}
	})
}

// What he asks for while there is no subscription yet, and the registrar says no
// or nothing, is tried with the shortest wait that there is.
func TestSubscribeByHandIsNotBackedOffFrom(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchReg }, func(s *scripted, r *run) {
		s.acceptRegister()
		for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); {
			for _, m := range s.pending(10 * time.Second) {
				s.answer(m, "500 Server Internal Error")
			}
		}
		began := time.Now()
		s.answer(s.renewing(r), "500 Server Internal Error")
		if d := r.awaitSubscription(ua.Terminated); time.Duration(d.RetryIn) > time.Minute && time.Since(began) < time.Minute {
			s.pending(0)
		}
		time.Sleep(time.Second)
		if at := r.state("alice").Subscription.RetryAt; time.Until(at) > time.Minute {
			t.Errorf("next in %s\n%s", time.Until(at), r.story())
		}
	})
}

// A registrar that has us come back at once, again and again, is not followed
// round in circles (RFC 6665 4.1.3, RFC 3261 20.33).
func TestNoRetryInACircle(t *testing.T) {
	for name, play := range map[string]func(*scripted, string){
		"answer":  func(s *scripted, m string) { s.answer(m, "500 Server Internal Error", "Retry-After: 0") },
		"refresh": func(s *scripted, m string) { s.answer(m, "481 No", "Retry-After: 0") },
		"probation": func(s *scripted, m string) {
			s.answer(m, "200 OK", "Expires: 600")
			s.notify("terminated;reason=probation;retry-after=0", "")
		},
		"none": func(s *scripted, m string) {
			s.answer(m, "200 OK", "Expires: 600")
			s.notify("terminated;retry-after=0", "")
		},
		"deactivated": func(s *scripted, m string) {
			s.notify("terminated;reason=deactivated", "")
			s.answer(m, "200 OK", "Expires: 600")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.acceptRegister()
				for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
					for _, m := range s.pending(100 * time.Millisecond) {
						s.kept = append(s.kept, m)
						play(s, s.takeSubscribe())
					}
				}
				// At once, and then every 30 s.
				if n := r.requests("SUBSCRIBE"); n < 3 || n > 22 {
					t.Errorf("%d SUBSCRIBEs in ten minutes\n%s", n, r.story())
				}
			})
		})
	}
}

// A NOTIFY that is sent again is answered as before and read once: under its
// branch (RFC 3261 17.2.2), whatever came between, and by another way with the
// same CSeq. A gap in the numbers is fine, a lower one is not (12.2.2).
func TestRepeatedNotifies(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		time.Sleep(time.Minute)
		var sent []string
		send := s.send
		s.send = func(m string) { sent = append(sent, m); send(m) }
		expect := func(status string, cseq int) {
			t.Helper()
			got := s.next("SIP/2.0 ")
			if !strings.HasPrefix(got, "SIP/2.0 "+status) || header(got, "CSeq") != fmt.Sprint(cseq, " NOTIFY") {
				t.Errorf("answered %s to %s, want %s to %d", got[:11], header(got, "CSeq"), status, cseq)
			}
		}
		// 2, 7 and 2147483647 lost their answers, and come interleaved.
		for i, cseq := range []int{2, 7, 1<<31 - 1} {
			s.notifyAs(cseq, "server", "active;expires=3500", reginfo(i+1, "full", another))
			expect("200", cseq)
		}
		s.send = send
		for _, i := range []int{0, 2, 1, 0, 1, 2, 0} {
			s.send(sent[i])
			expect("200", []int{2, 7, 1<<31 - 1}[i])
		}
		s.notifyAs(1<<31-1, "server", "active;expires=3500", reginfo(9, "full"))
		expect("200", 1<<31-1) // another branch
		s.notifyAs(7, "server", "active;expires=3500", reginfo(9, "full"))
		expect("500", 7)
		var read []string
		for _, d := range all[ua.DocumentDetail](r) {
			read = append(read, fmt.Sprint(d.Version.Value))
		}
		if got := strings.Join(read, " "); got != "0 1 2 3" {
			t.Errorf("read the versions %s\n%s", got, r.story())
		}
	})
}

// Bodies as they come: none, none but a type, a large one, in parts, in parts
// without our type, and one of another type (RFC 6665 4.1.3, RFC 3261 8.2.3). The
// subscription goes on, and so does what is told of it.
func TestBodiesOfNotify(t *testing.T) {
	var many []listing
	for i := range 300 {
		many = append(many, listing{uri: fmt.Sprintf("sip:alice@203.0.113.9:%d", 10000+i), state: "active", event: "registered", attributes: `callid="o" cseq="1"`})
	}
	part := func(kind, body string) string {
		return "--b1\r\nContent-Type: " + kind + "\r\n\r\n" + body + "\r\n"
	}
	document := func(version int) string { return reginfo(version, "full", another) }
	for _, c := range []struct {
		name, kind, body string
		status           string
		contacts         int // of the document that is read; -1: none is
	}{
		{"none", "", "", "200", -1},
		{"none, and a type", "application/reginfo+xml", "", "200", -1},
		{"none, and another type", "text/plain", "", "200", -1},
		{"no type", "", document(1), "200", 1},
		{"large", "application/reginfo+xml", reginfo(1, "full", many...), "200", 300},
		{"parts", "multipart/mixed;boundary=b1", part("text/plain", "x") + part("application/reginfo+xml", document(1)) + "--b1--\r\n", "200", 1},
		{"parts, quoted and in capitals", `Multipart/Mixed; boundary="b1"`, part("Application/Reginfo+XML; charset=UTF-8", document(1)) + "--b1--", "200", 1},
		{"parts, the end missing", "multipart/mixed;boundary=b1", part("application/reginfo+xml", document(1)), "200", 1},
		{"parts, none ours", "multipart/mixed;boundary=b1", part("text/plain", "x") + "--b1--", "200", -1},
		{"parts, no boundary", "multipart/mixed", part("application/reginfo+xml", document(1)), "200", -1},
		{"another type", "application/pidf+xml", "<presence/>", "415", -1},
		{"garbage", "application/reginfo+xml", "\x00\xff<<<", "200", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, transport := range []string{wire.UDP, wire.TCP} {
				inScript(t, transport, nil, func(s *scripted, r *run) {
					s.begin()
					time.Sleep(time.Minute)
					before := len(all[ua.DocumentDetail](r))
					send := s.send
					s.send = func(m string) {
						field := ""
						if c.kind != "" {
							field = "Content-Type: " + c.kind + "\r\n"
						}
						send(strings.Replace(m, "Content-Type: application/reginfo+xml\r\n", field, 1))
					}
					s.notify("active;expires=3500", c.body)
					if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 "+c.status) || c.status == "415" && header(got, "Accept") != "application/reginfo+xml" {
						t.Errorf("answered %s", got)
					}
					s.send = send
					contacts := -1
					for _, d := range all[ua.DocumentDetail](r)[before:] {
						if d.Verdict == "applied" {
							contacts = d.Contacts
						}
					}
					if contacts != c.contacts {
						t.Errorf("%s: a document of %d contacts, want %d\n%s", transport, contacts, c.contacts, r.story())
					}
					// It goes on.
					s.notify("active;expires=3500", reginfo(2, "full", another, another))
					s.next("SIP/2.0 200")
					if got := all[ua.DocumentDetail](r); got[len(got)-1].Version.Value != 2 || r.state("alice").Subscription.State != ua.Active {
						t.Errorf("%s: %+v\n%s", transport, got[len(got)-1], r.story())
					}
				})
			}
		})
	}
}

// RFC 3261 8.1.1.5, 12.2.1.1, 12.2.2: the numbers of a dialog may grow to the largest
// of 32 bits, and a larger one is none. Both get an answer, over either transport.
func TestLargestCSeqOfNotify(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			inScript(t, transport, nil, func(s *scripted, r *run) {
				register := s.begin()
				for i, c := range []struct {
					cseq   int
					status string
				}{{1<<31 - 1, "200"}, {1 << 31, "200"}, {1<<32 - 1, "200"}, {1 << 32, "400"}, {1 << 40, "400"}, {1<<32 - 2, "500"}} {
					s.notifyAs(c.cseq, "server", "active;expires=3600", reginfo(i+1, "partial", ours(register, "refreshed", 3600)))
					answer := s.next("SIP/2.0 ")
					if want := fmt.Sprint(c.cseq, " NOTIFY"); !strings.HasPrefix(answer, "SIP/2.0 "+c.status) || header(answer, "CSeq") != want {
						t.Errorf("number %d: %s", c.cseq, answer)
					}
				}
				time.Sleep(time.Second)
				if got := r.state("alice"); got.Subscription.State != ua.Active || got.Document.Version.Value != 3 {
					t.Errorf("%s, version %d\n%s", got.Subscription.State, got.Document.Version.Value, r.story())
				}
			})
		})
	}
}

// Who bound a contact is known over the end of a subscription, and in the next one,
// where the ids of contacts mean something else.
func TestOriginOutlivesSubscription(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		defer r.close()
		r.watching()
		for _, c := range []ua.Command{{Verb: ua.DoUnsubscribe}, {Verb: ua.DoSubscribe}} {
			r.Do("alice", c)
			time.Sleep(time.Second)
			if b := r.state("alice").Bindings; len(b) != 1 || b[0].Origin != ua.OriginSelf {
				t.Errorf("after %s: %+v", c.Verb, b)
			}
		}
	})
}
