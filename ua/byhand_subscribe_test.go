package ua_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

func subscribe(change func(*ua.ByHand)) ua.ByHand {
	b := ua.ByHand{Method: ua.MethodSubscribe}
	if change != nil {
		change(&b)
	}
	return b
}

// What a tester sets in a SUBSCRIBE is what the notifier receives, byte for byte,
// and all else is as the agent would write it within its dialog. A refusal changes
// nothing, and the agent's own next one is in order.
func TestSubscribeByHandOnTheWire(t *testing.T) {
	const zero = `SUBSCRIBE sip:notifier@192.0.2.1:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:PORT;
Max-Forwards: 70
From: <sip:alice@example.com>;
To: <sip:alice@example.com>;
Call-ID: CALLID
CSeq: CSEQ SUBSCRIBE
User-Agent: regwatch/test
Contact: <sip:alice@192.0.2.7:PORT>
Event: reg
Accept: application/reginfo+xml
Allow-Events: reg
Expires: 3761
Supported: gruu, outbound
Content-Length: 0

`
	const outside = "SUBSCRIBE sip:alice@example.com SIP/2.0"
	first := []string{"SUBSCRIBE sip:notifier@192.0.2.1:5060 SIP/2.0", outside, "To: <sip:alice@example.com>;", "To: <sip:alice@example.com>"}
	for name, c := range map[string]struct {
		what ua.ByHand
		edit []string // pairs: a line of zero, and what stands for it
	}{
		"as the agent":  {},
		"no expiry":     {ua.ByHand{Expires: ua.LeftOut}, []string{"Expires: 3761\n", ""}},
		"expiry 0":      {ua.ByHand{Expires: "0"}, []string{"Expires: 3761", "Expires: 0"}},
		"nonsense":      {ua.ByHand{Event: ";;=", Expires: "soon"}, []string{"Event: reg\n", "Event: ;;=\n", "3761", "soon"}},
		"with an id":    {ua.ByHand{Event: "reg;id=1"}, []string{"Event: reg\n", "Event: reg;id=1\n"}},
		"no event":      {ua.ByHand{Event: ua.LeftOut}, []string{"Event: reg\n", ""}},
		"other accept":  {ua.ByHand{Accept: "text/plain"}, []string{"application/reginfo+xml", "text/plain"}},
		"no accept":     {ua.ByHand{Accept: ua.LeftOut, Without: []string{"Allow-Events"}}, []string{"Accept: application/reginfo+xml\nAllow-Events: reg\n", ""}},
		"two contacts":  {ua.ByHand{Contacts: []string{"<sip:a@b>", "<sip:c@d>"}}, []string{"Contact: <sip:alice@192.0.2.7:PORT>", "Contact: <sip:a@b>\nContact: <sip:c@d>"}},
		"no contact":    {ua.ByHand{Contacts: []string{ua.LeftOut}}, []string{"Contact: <sip:alice@192.0.2.7:PORT>\n", ""}},
		"given CSeq":    {ua.ByHand{CSeq: "77"}, []string{"CSEQ", "77"}},
		"lower CSeq":    {ua.ByHand{CSeq: "-1"}, []string{"CSEQ", "0"}},
		"other dialog":  {ua.ByHand{CallID: "one@two"}, append([]string{"CALLID", "one@two", "CSEQ", "1"}, first...)},
		"somebody else": {ua.ByHand{RequestURI: "sip:bob@example.com", To: "<sip:bob@example.com>"}, []string{first[0], "SUBSCRIBE sip:bob@example.com SIP/2.0", first[2], "To: <sip:bob@example.com>"}},
		"added":         {ua.ByHand{Headers: []string{"Require: x", "supported: y"}}, []string{"Supported: gruu, outbound", "supported: y\nRequire: x"}},
	} {
		t.Run(name, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.begin()
				time.Sleep(time.Second)
				before := *r.state("alice")
				want := zero
				for i := 0; i < len(c.edit); i += 2 {
					if !strings.Contains(want, c.edit[i]) {
						t.Fatalf("nothing to edit: %q", c.edit[i])
					}
					want = strings.ReplaceAll(want, c.edit[i], c.edit[i+1])
				}
				_, port, _ := strings.Cut(before.Flow.Local, ":")
				want = strings.NewReplacer("PORT", port, "CALLID", s.callID, "CSEQ", "2", "\n", "\r\n").Replace(want)
				plain := func(message string) string {
					message = strings.Replace(strings.Replace(message, "rport;", "", 1), ";rport\r", ";\r", 1)
					message = strings.Replace(message, ";tag=server", ";", 1)
					return strings.ReplaceAll(branchAndTag.ReplaceAllString(message, ""), ";;", ";")
				}
				c.what.Method = ua.MethodSubscribe
				wanted := strings.ReplaceAll(want, ";;", ";")
				rendered, err := r.Render(r.lab.t.Context(), "alice", c.what)
				if got := plain(rendered); err != nil || got != wanted {
					t.Errorf("rendered, %v:\n%s\nwant\n%s", err, got, want)
				}
				sent := r.send(r.lab.t.Context(), c.what)
				request := s.next("SUBSCRIBE")
				if got := plain(request); got != wanted {
					t.Errorf("received:\n%s\nwant\n%s", got, want)
				}
				s.answer(request, "400 Bad Request")
				if x := sent.over(); x.Status != 400 || x.Outcome != "400 Bad Request, answered in 10 ms" || len(x.Messages) != 2 || x.Effect != "it changes nothing of ours" {
					t.Errorf("exchange %+v", x)
				}
				after := r.state("alice")
				if after.Subscription != before.Subscription || after.Registration != before.Registration {
					t.Errorf("afterwards %+v", after.Subscription)
				}
				r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
				own := s.next("SUBSCRIBE")
				highest := "3"
				if c.what.CSeq == "77" {
					highest = "78"
				} else if c.what.CSeq == "-1" || c.what.CallID != "" {
					highest = "2"
				}
				if header(own, "Call-ID") != s.callID || header(own, "CSeq") != highest+" SUBSCRIBE" {
					t.Errorf("our own next:\n%s", own)
				}
			})
		})
	}
}

// A SUBSCRIBE by hand to what the agent watches is as its own, for every answer.
func TestSubscribeByHandAndOurs(t *testing.T) {
	for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio, registrar.Clearwater} {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				r := l.watch(phoneHost, "", account())
				r.watching()
				expect := func(what string, state ua.SubscriptionState) {
					t.Helper()
					time.Sleep(40 * time.Second) // Timer N is over
					if got := r.state("alice").Subscription; got.State != state {
						t.Errorf("%s: %+v\n%s", what, got, r.story())
					}
				}
				told := func() (documents int) {
					return len(all[ua.DocumentDetail](r))
				}
				n := told()
				x := r.sendNow(subscribe(func(b *ua.ByHand) { b.Expires = "600" }))
				granted := r.state("alice").Subscription.Granted
				if x.Status != 200 || granted != 10*time.Minute || x.Effect != "our subscription is refreshed for 600 s" {
					t.Errorf("refreshed: %+v, granted %s", x, granted)
				}
				expect("refreshed", ua.Active)
				if told() != n+1 {
					t.Errorf("%d documents behind the refresh", told()-n)
				}
				for _, c := range []struct {
					status int
					what   ua.ByHand
				}{
					{500, ua.ByHand{CSeq: "-1"}},
					{489, ua.ByHand{Event: "presence"}},
					{489, ua.ByHand{Event: ua.LeftOut}},
					{401, ua.ByHand{Credentials: ua.CredentialsWrong}},
					{401, ua.ByHand{Credentials: ua.CredentialsNone, Expires: "0"}},
				} {
					c.what.Method = ua.MethodSubscribe
					x := r.sendNow(c.what)
					if c.status == 500 && profile == registrar.Kamailio {
						expect("lower CSeq", ua.Active) // it takes any
						continue
					}
					if x.Status != c.status || x.Effect != "it changes nothing of ours" {
						t.Errorf("%+v: %s, %s", c.what, x.Outcome, x.Effect)
					}
					expect(x.Outcome, ua.Active)
				}
				time.Sleep(3 * time.Hour)
				expect("refreshed by ourselves", ua.Active)

				x = r.sendNow(subscribe(func(b *ua.ByHand) { b.Expires = "0" }))
				if x.Effect != "our subscription is ended, and we stay without" {
					t.Errorf("ended: %+v", x)
				}
				expect("ended", ua.Terminated)
				n = r.requests("SUBSCRIBE")
				time.Sleep(3 * time.Hour)
				if expect("stays without", ua.Terminated); r.requests("SUBSCRIBE") != n {
					t.Errorf("it does not stay without\n%s", r.story())
				}
				x = r.sendNow(subscribe(nil))
				if x.Status != 200 || !strings.HasPrefix(x.Effect, "we are subscribed for ") {
					t.Errorf("begun: %+v", x)
				}
				expect("begun", ua.Active)
				time.Sleep(3 * time.Hour)
				expect("refreshed by ourselves again", ua.Active)
				if err := l.Deactivate("alice", ""); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if got := r.kicks(); len(got) != 1 {
					t.Errorf("kicks %+v\n%s", got, r.story())
				}
				r.close()
			})
		})
	}
}

// Refusals and silence, moment by moment.
func TestSubscribeByHandRefused(t *testing.T) {
	t.Run("what begins is undone", func(t *testing.T) {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			s.begin()
			r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
			s.answer(s.next("SUBSCRIBE"), "200 OK")
			time.Sleep(time.Second)
			before := r.state("alice").Subscription
			sent := r.send(r.lab.t.Context(), subscribe(nil))
			s.answer(s.next("SUBSCRIBE"), "403 Forbidden")
			sent.over()
			time.Sleep(time.Hour)
			if got := r.state("alice").Subscription; got != before || r.requests("SUBSCRIBE") != 3 {
				t.Errorf("afterwards %+v, before %+v\n%s", got, before, r.story())
			}
		})
	})
	t.Run("no such subscription is found out", func(t *testing.T) {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			s.begin()
			sent := r.send(r.lab.t.Context(), subscribe(func(b *ua.ByHand) { b.Expires = "600" }))
			s.answer(s.next("SUBSCRIBE"), "481 Subscription Does Not Exist")
			sent.over()
			own := s.next("SUBSCRIBE")
			if header(own, "Call-ID") != s.callID || header(own, "Expires") != "3761" {
				t.Errorf("behind the 481:\n%s", own)
			}
			s.answer(own, "481 Subscription Does Not Exist")
			if anew := s.next("SUBSCRIBE"); header(anew, "Call-ID") == s.callID {
				t.Errorf("behind that:\n%s", anew)
			}
		})
	})
	t.Run("silence", func(t *testing.T) {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			s.begin()
			time.Sleep(time.Second)
			before := r.state("alice").Subscription
			x, err := r.Send(r.lab.t.Context(), "alice", subscribe(func(b *ua.ByHand) { b.Expires = "0" }))
			if !errors.Is(err, wire.ErrTimeout) || !strings.HasPrefix(err.Error(), "SUBSCRIBE by hand: ") || x.Outcome != "no answer within 32 s" {
				t.Errorf("%v, %+v", err, x)
			}
			if got := r.state("alice").Subscription; got != before {
				t.Errorf("afterwards %+v", got)
			}
			// Where the last NOTIFY has come, that was the answer.
			sent := r.send(r.lab.t.Context(), subscribe(func(b *ua.ByHand) { b.Expires = "0" }))
			s.kept = nil
			s.next("SUBSCRIBE")
			s.notify("terminated;reason=timeout", "")
			<-sent.done
			n := r.requests("SUBSCRIBE")
			time.Sleep(time.Hour)
			if got := r.state("alice").Subscription; got.State != ua.Terminated || r.requests("SUBSCRIBE") != n {
				t.Errorf("afterwards %+v\n%s", got, r.story())
			}
		})
	})
	t.Run("the account ends meanwhile", func(t *testing.T) {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			register := s.begin()
			sent := r.send(r.lab.t.Context(), subscribe(func(b *ua.ByHand) { b.Expires = "0" }))
			byHand := s.next("SUBSCRIBE")
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				r.close()
			}()
			s.answer(s.next("REGISTER"), "200 OK")
			synctest.Wait()
			s.answer(byHand, "403 Forbidden")
			sent.over()
			last := s.next("SUBSCRIBE")
			if header(last, "Expires") != "0" || header(last, "CSeq") != "3 SUBSCRIBE" {
				t.Errorf("left %s with\n%s", register, last)
			}
			s.answer(last, "200 OK")
			<-closed
		})
	})
	t.Run("ended below it", func(t *testing.T) {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			s.begin()
			sent := r.send(r.lab.t.Context(), subscribe(nil))
			byHand := s.next("SUBSCRIBE")
			s.notify("terminated;reason=deactivated", "")
			anew := s.takeSubscribe()
			s.answer(anew, "200 OK", "Expires: 3600")
			s.notifyAs(1, "server", "active;expires=3600", document(0, "full", "registered", 1))
			s.next("SIP/2.0 200")
			s.answer(byHand, "481 Gone")
			sent.over()
			time.Sleep(time.Hour / 3)
			if got := r.state("alice").Subscription; got.State != ua.Active || got.Granted != time.Hour {
				t.Errorf("afterwards %+v\n%s", got, r.story())
			}
		})
	})
	t.Run("one at a time", func(t *testing.T) {
		inScript(t, wire.TCP, nil, func(s *scripted, r *run) {
			s.begin()
			sent := r.send(r.lab.t.Context(), subscribe(func(b *ua.ByHand) { b.Expires = "600" }))
			byHand := s.next("SUBSCRIBE")
			r.Do("alice", ua.Command{Verb: ua.DoUnsubscribe})
			register := r.send(r.lab.t.Context(), ua.ByHand{})
			r.Do("alice", ua.Command{Verb: ua.DoRegister}) // its own goes beside a SUBSCRIBE
			s.acceptRegister()
			time.Sleep(time.Second)
			if len(s.kept) != 0 || len(s.in) != 0 {
				t.Errorf("beside it: %q", s.kept)
			}
			s.answer(byHand, "200 OK", "Expires: 600")
			sent.over()
			if last := s.next("SUBSCRIBE"); header(last, "Expires") != "0" || header(last, "CSeq") != "3 SUBSCRIBE" {
				t.Errorf("behind it:\n%s", last)
			}
			s.acceptRegister()
			register.over()
		})
	})
}

// One that waits for a connection lets one of the agent's own go first that began
// meanwhile, and then goes within its dialog.
func TestSubscribeByHandConnects(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		l.net.SetDelay(20*time.Millisecond, 0)
		a := account()
		a.Transport, a.Watch = "tcp", ua.WatchOff
		r := l.watch(phoneHost, "", a)
		r.awaitRegistration(ua.Registered)
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		r.awaitRegistration(ua.Unregistered)
		l.Registrar.Close()
		time.Sleep(time.Second)
		l.start()
		if r.state("alice").Flow.Up {
			t.Fatal("still connected")
		}
		sent := r.send(r.lab.t.Context(), subscribe(func(b *ua.ByHand) { b.Expires = "600" }))
		synctest.Wait()
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		x := sent.over()
		first := header(string(x.Messages[0].Raw), "To")
		if got := r.state("alice").Subscription; got.State != ua.Active || got.Granted != 10*time.Minute || !strings.Contains(first, ";tag=") {
			t.Errorf("%+v, to %s: %+v\n%s", x.Outcome, first, got, r.story())
		}
		r.close()
	})
}

// Another event, id, resource or Call-ID makes a subscription that is the tester's:
// its NOTIFYs are answered and shown, not believed; it ends as he says, or with the
// account.
func TestSubscribeByHandOfItsOwn(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		l.net.SetDelay(5*time.Millisecond, 0)
		r := l.watch(phoneHost, "", account())
		r.watching()
		before := r.state("alice").Subscription
		documents := len(all[ua.DocumentDetail](r))
		shown := func() []ua.RequestDetail {
			time.Sleep(time.Second)
			return all[ua.RequestDetail](r)
		}
		x := r.sendNow(subscribe(func(b *ua.ByHand) { b.CallID, b.Event, b.Expires = "mine", "reg;id=7", "600" }))
		if x.Status != 200 || !strings.HasPrefix(x.Effect, "it is no subscription of the agent's") {
			t.Errorf("%+v", x)
		}
		list := shown()
		if len(list) != 1 || list[0].Method != "NOTIFY" || list[0].Status != 200 || !strings.Contains(list[0].Body, "<reginfo") {
			t.Fatalf("shown %+v\n%s", list, r.story())
		}
		if got := r.state("alice").Subscription; got != before || len(all[ua.DocumentDetail](r)) != documents {
			t.Errorf("ours is %+v", got)
		}
		// A kick is told to both, and is one.
		if err := l.Deactivate("alice", ""); err != nil {
			t.Fatal(err)
		}
		r.awaitKick(ua.KickDeactivated)
		if list = shown(); len(list) != 2 || len(r.kicks()) != 1 {
			t.Errorf("%d NOTIFYs, kicks %+v\n%s", len(list), r.kicks(), r.story())
		}
		// Under its Call-ID it is refreshed and ended in its dialog.
		x = r.sendNow(subscribe(func(b *ua.ByHand) { b.CallID, b.Event, b.CSeq = "mine", "reg;id=7", "-0" }))
		if x.Status != 500 {
			t.Errorf("the same CSeq in it: %+v", x)
		}
		x = r.sendNow(subscribe(func(b *ua.ByHand) { b.CallID, b.Event, b.Expires = "mine", "reg;id=7", "0" }))
		if to := header(string(x.Messages[0].Raw), "To"); x.Status != 200 || !strings.Contains(to, ";tag=") {
			t.Errorf("ended: %+v, To %s", x, to)
		}
		if list = shown(); len(list) != 3 {
			t.Errorf("%d NOTIFYs", len(list))
		}
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		if len(shown()) != 3 {
			t.Errorf("told still\n%s", r.story())
		}
		// A fetch, while our own is there, is a second dialog under a fresh Call-ID.
		r.sendNow(subscribe(func(b *ua.ByHand) { b.CallID, b.Expires = ua.FreshCallID, "0" }))
		if list = shown(); len(list) != 4 {
			t.Errorf("%d NOTIFYs\n%s", len(list), r.story())
		}
		if got := r.state("alice").Subscription; got.State != ua.Active {
			t.Errorf("ours is %+v", got)
		}
		// What is left at the end is removed by the notifier: its NOTIFY gets a 481.
		x = r.sendNow(subscribe(func(b *ua.ByHand) { b.CallID = ua.FreshCallID }))
		time.Sleep(time.Second)
		r.close()
		var answers []string
		for _, m := range r.trace.Messages() {
			if raw := string(m.Raw); strings.HasSuffix(header(raw, "CSeq"), " NOTIFY") && strings.HasPrefix(raw, "SIP/2.0 ") && header(raw, "Call-ID") == header(string(x.Messages[0].Raw), "Call-ID") {
				answers = append(answers, raw[len("SIP/2.0 "):len("SIP/2.0 200")])
			}
		}
		if got := strings.Join(answers, " "); got != "200 481" {
			t.Errorf("its NOTIFYs were answered %s", got)
		}
	})
}

// A NOTIFY of a subscription that a tester made is told apart by Call-ID, tags,
// event and id; others get a 481 or 489 as ever, and a refused one is none.
func TestSubscribeByHandNotifies(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		own, ownTag := s.callID, s.toTag
		as := func(callID, tag, event string) string {
			t.Helper()
			s.cseq++
			s.branch++
			s.send(strings.ReplaceAll(fmt.Sprintf("NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP %s;branch=z9hG4bKx%d\nFrom: <sip:alice@example.com>;tag=theirs\nTo: <sip:alice@example.com>;tag=%s\nCall-ID: %s\nCSeq: %d NOTIFY\nContact: <sip:n@%s>\nEvent: %s\nSubscription-State: active\x1b;expires=60\nContent-Length: 0\n\n",
				s.contact, s.addr, s.branch, tag, callID, s.cseq, s.addr, event), "\n", "\r\n"))
			status, _, _ := strings.Cut(strings.TrimPrefix(s.next("SIP/2.0 "), "SIP/2.0 "), " ")
			return status
		}
		send := func(b ua.ByHand, status string) (tag string) {
			t.Helper()
			sent := r.send(r.lab.t.Context(), b)
			request := s.next("SUBSCRIBE")
			_, tag, _ = strings.Cut(header(request, "From"), ";tag=")
			s.answer(request, status, "Expires: 60")
			sent.over()
			return tag
		}
		tag := send(subscribe(func(b *ua.ByHand) { b.CallID, b.Event = "p1", "Presence;id=4" }), "200 OK")
		refused := send(subscribe(func(b *ua.ByHand) { b.CallID, b.Event = "p2", "presence" }), "489 Bad Event")
		for _, c := range []struct{ callID, tag, event, want string }{
			{"p1", tag, "presence;id=4", "200"}, {"p1", tag, "presence", "481"}, {"p1", tag, "reg", "481"}, {"p1", "other", "presence;id=4", "481"},
			{"p2", refused, "presence", "481"}, {own, ownTag, "presence", "481"},
		} {
			if got := as(c.callID, c.tag, c.event); got != c.want {
				t.Errorf("NOTIFY %s %s %s was answered %s", c.callID, c.tag, c.event, got)
			}
		}
		synctest.Wait()
		if list := all[ua.RequestDetail](r); len(list) != 1 {
			t.Errorf("told %+v", list)
		}
		if got := r.state("alice").Subscription.State; got != ua.Active {
			t.Errorf("ours is %s", got)
		}
	})
}

// Bad values of a SUBSCRIBE never reach the wire: the error names the field.
func TestSubscribeByHandRefusesBadValues(t *testing.T) {
	for want, b := range map[string]ua.ByHand{
		`method "INVITE" is not sent by hand`:     {Method: "INVITE"},
		"method has a control character":          {Method: "REGISTER\r\n"},
		"event has a control character":           {Method: ua.MethodSubscribe, Event: "reg\r\nX: 1"},
		"accept has a control character":          {Method: ua.MethodSubscribe, Accept: "\x00"},
		"event is for a SUBSCRIBE":                {Event: "reg"},
		"accept is for a SUBSCRIBE":               {Accept: "text/plain"},
		"instance is for the Contact of a REGIST": {Method: ua.MethodSubscribe, Instance: "urn:x"},
		"q is for the Contact of a REGISTER":      {Method: ua.MethodSubscribe, Q: "1"},
		"headers cannot set Event":                {Method: ua.MethodSubscribe, Headers: []string{"Event: reg"}},
		"headers cannot set o":                    {Method: ua.MethodSubscribe, Headers: []string{"o: reg"}},
		"headers cannot set Accept":               {Method: ua.MethodSubscribe, Headers: []string{"Accept: reg"}},
		"without cannot leave out Event":          {Method: ua.MethodSubscribe, Without: []string{"Event"}},
	} {
		var fault *ua.FieldError
		if err := b.Check(); !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := (ua.ByHand{Method: ua.MethodRegister, Headers: []string{"Event: reg"}}).Check(); err != nil {
		t.Error(err)
	}
}
