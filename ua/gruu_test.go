package ua_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// give answers a REGISTER with GRUUs for our contact; "" is none.
func (s *scripted) give(request, public, temporary string, more ...string) {
	contact := "Contact: " + header(request, "Contact") + ";expires=" + header(request, "Expires")
	if public != "" {
		contact += `;pub-gruu="` + public + `"`
	}
	if temporary != "" {
		contact += `;temp-gruu="` + temporary + `"`
	}
	s.answer(request, "200 OK", append(more, contact)...)
}

// beginWith registers, is given GRUUs, subscribes, and lists us in a first document.
func (s *scripted) beginWith(public, temporary string) (register string) {
	s.t.Helper()
	register = s.next("REGISTER")
	s.give(register, public, temporary)
	s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
	s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
	s.next("SIP/2.0 200")
	time.Sleep(time.Second)
	return register
}

// refreshWith has the user register again.
func (s *scripted) refreshWith(r *run, public, temporary string) (register string) {
	s.t.Helper()
	r.Do("alice", ua.Command{Verb: ua.DoRegister})
	register = s.next("REGISTER")
	s.give(register, public, temporary)
	time.Sleep(time.Second)
	return register
}

// gruus is what the ledger holds, in short: "+" is usable.
func (r *run) gruus() []string {
	var out []string
	for _, g := range r.state("alice").GRUUs {
		sign := "-"
		if g.Usable {
			sign = "+"
		}
		out = append(out, sign+string(g.Type)[:1]+" "+g.URI)
	}
	return out
}

func (r *run) hasGRUUs(want ...string) {
	r.lab.t.Helper()
	if got := r.gruus(); !slices.Equal(got, want) {
		r.lab.t.Errorf("GRUUs %q, not %q\n%s", got, want, r.story())
	}
}

// gruuOf puts GRUUs into a document's contact.
func gruuOf(l listing, public, temporary, first string) listing {
	inner := ""
	if public != "" {
		inner += `<gr:pub-gruu uri="` + public + `"/>`
	}
	if temporary != "" {
		inner += `<gr:temp-gruu uri="` + temporary + `" first-cseq="` + first + `"/>`
	}
	l.inner += inner
	return l
}

const (
	public1, public2 = "sip:alice@example.com;gr=urn:uuid:1", "sip:alice@example.com;gr=urn:uuid:2"
	temp1, temp2     = "sip:t1@example.com;gr", "sip:t2@example.com;gr"
	temp3            = "sip:t3@example.com;gr"
)

// RFC 5627 4.2: a 2xx lists others too, and other flows of this device; only what
// stands on our own Contact is ours. A Contact has one of the two, neither or both.
func TestGRUUsOfOurOwnContact(t *testing.T) {
	for _, c := range [][2]string{{public1, temp1}, {public1, ""}, {"", temp1}, {"", ""}} {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			register := s.next("REGISTER")
			instance, _, _ := strings.Cut(strings.SplitAfter(header(register, "Contact"), `+sip.instance="`)[1], `"`)
			uri, _, _ := strings.Cut(header(register, "Contact"), ";+sip")
			s.give(register, c[0], c[1],
				`Contact: <sip:alice@203.0.113.9>;+sip.instance="<urn:uuid:other>";pub-gruu="sip:alice@example.com;gr=other";temp-gruu="sip:other@example.com;gr";expires=60`,
				"Contact: "+uri+`;+sip.instance="`+instance+`";reg-id=7;pub-gruu="sip:alice@example.com;gr=flow";temp-gruu="sip:flow@example.com;gr";expires=60`)
			time.Sleep(time.Second)
			var want []string
			if c[0] != "" {
				want = append(want, "+p "+c[0])
			}
			if c[1] != "" {
				want = append(want, "+t "+c[1])
			}
			r.hasGRUUs(want...)
		})
	}
}

// RFC 5627 3.1.1, 4.2: the public one is kept, also while we are not registered,
// when it cannot be used; another takes its place.
func TestPublicGRUU(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.beginWith(public1, "")
		r.hasGRUUs("+p " + public1)
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "deactivated", 0)))
		r.awaitKick(ua.KickDeactivated)
		r.hasGRUUs("-p " + public1)
		r.Do("alice", ua.Command{Verb: ua.DoPing})
		if e := r.await("no ping", func(e ua.Event) bool { return e.Kind() == ua.KindRequest }); e.Summary != "no GRUU to ping" {
			t.Errorf("pinged by what is not usable: %q", e.Summary)
		}
		s.refreshWith(r, public1, "")
		r.hasGRUUs("+p " + public1)
		s.refreshWith(r, public2, "")
		r.hasGRUUs("+p " + public2)
		s.refreshWith(r, "", "")
		r.hasGRUUs("+p " + public2)
		var told []string
		for _, d := range all[ua.GRUUDetail](r) {
			told = append(told, fmt.Sprint(d.Change, " ", d.Type, " ", d.URI, " ", d.Source, " ", d.AOR, " ", d.Instance == r.state("alice").Registration.Instance))
		}
		if want := []string{"learned public " + public1 + " register sip:alice@example.com true", "replaced public " + public2 + " register sip:alice@example.com true"}; !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

// RFC 5627 4.2, RFC 5628 6.1: temporary ones add up, each with Call-ID, CSeq and
// reg-id of the REGISTER that brought it.
func TestTemporaryGRUUsAddUp(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.RegID = 5 }, func(s *scripted, r *run) {
		registers := []string{s.beginWith("", temp1), s.refreshWith(r, "", temp2), s.refreshWith(r, "", temp2), s.refreshWith(r, "", temp3)}
		r.hasGRUUs("+t "+temp1, "+t "+temp2, "+t "+temp3)
		registers = slices.Delete(registers, 2, 3) // brought what was there
		for i, g := range r.state("alice").GRUUs {
			if g.CallID != header(registers[i], "Call-ID") || int(g.CSeq) != cseqOf(s.t, registers[i]) || g.RegID != 5 || g.Source != ua.FromRegister {
				t.Errorf("%+v of\n%s", g, registers[i])
			}
		}
	})
}

// RFC 5628 6: from a document they are learned, with its Call-ID, CSeq, first-cseq
// and reg-id, of an active contact of ours and of no other.
func TestGRUUsOfADocument(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.beginWith("", "")
		s.notify("active;expires=3600", reginfo(1, "full",
			gruuOf(another, "sip:alice@example.com;gr=other", "sip:other@example.com;gr", "1"),
			gruuOf(ours(register, "refreshed", 3600), public1, temp1, fmt.Sprint(cseqOf(s.t, register)-1))))
		time.Sleep(time.Second)
		r.hasGRUUs("+p "+public1, "+t "+temp1)
		if g := r.state("alice").GRUUs[1]; g.Source != ua.FromNotify || g.CallID != header(register, "Call-ID") || int(g.CSeq) != cseqOf(s.t, register) || g.FirstCSeq.String() != fmt.Sprint(cseqOf(s.t, register)-1) {
			t.Errorf("learned as %+v", g)
		}
		s.notify("active;expires=3600", reginfo(2, "full", gruuOf(ours(register, "unregistered", 0), public2, temp2, "1")))
		r.awaitKick(ua.KickUnregistered)
		r.hasGRUUs("-p " + public1)
	})
}

// RFC 5628 6.1: what was brought by a REGISTER under another Call-ID than that of
// our contact is over.
func TestTemporaryGRUUsOfAnotherCallID(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.beginWith(public1, temp1)
		stolen := ours(register, "refreshed", 3600)
		stolen.attributes = `callid="stranger" cseq="99" expires="3600"`
		s.notify("active;expires=3600", reginfo(1, "full", gruuOf(stolen, "", temp2, "99")))
		time.Sleep(time.Second)
		r.hasGRUUs("+p "+public1, "+t "+temp2)
		last := all[ua.GRUUDetail](r)
		if d := last[len(last)-1]; d.Change != ua.Invalidated || d.URI != temp1 || d.Source != ua.FromNotify || d.Cause == "" {
			t.Errorf("told %+v", d)
		}
	})
}

// A registrar that shows no Call-ID says nothing of other REGISTERs.
func TestTemporaryGRUUsWithoutCallID(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.beginWith("", temp1)
		bare := ours(register, "refreshed", 3600)
		bare.attributes = `expires="3600"`
		s.notify("active;expires=3600", reginfo(1, "full", gruuOf(bare, "", temp2, "4000000000")))
		time.Sleep(time.Second)
		r.hasGRUUs("+t "+temp1, "+t "+temp2)
	})
}

// RFC 5628 6.1: those below first-cseq are over, under the same Call-ID; that of
// first-cseq itself is not.
func TestFirstCSeq(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.beginWith("", temp1)
		second := s.refreshWith(r, "", temp2)
		third := s.refreshWith(r, "", temp3)
		s.notify("active;expires=3600", reginfo(1, "full", gruuOf(ours(third, "refreshed", 3600), "", temp3, fmt.Sprint(cseqOf(s.t, second)))))
		time.Sleep(time.Second)
		r.hasGRUUs("+t "+temp2, "+t "+temp3)
	})
}

// RFC 5628 7: the example there has a first-cseq above its own cseq. The GRUU that
// a document brings is never that which it voids.
func TestFirstCSeqAboveCSeq(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.beginWith("", temp1)
		for version := range 2 {
			s.notify("active;expires=3600", reginfo(version+1, "full", gruuOf(ours(register, "refreshed", 3600), "", temp2, fmt.Sprint(cseqOf(s.t, register)+1000))))
			time.Sleep(time.Second)
			r.hasGRUUs("+t " + temp2)
		}
		if !slices.Contains(r.findings(), "first-cseq-above-cseq") {
			t.Errorf("findings %v", r.findings())
		}
	})
}

// All temporary ones go only where a full document says that no contact of ours is
// left, and comes from a registrar that showed us before: not by a partial one, and
// not where we were never recognised.
func TestGRUUsAndDocumentsWithoutUs(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		s.give(register, public1, temp1)
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", another)) // it may be from before us
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		r.hasGRUUs("+p "+public1, "+t "+temp1)
		s.notify("active;expires=3600", reginfo(1, "partial", ours(register, "registered", 3600)))
		s.next("SIP/2.0 200")
		s.notify("active;expires=3600", reginfo(2, "partial", another))
		time.Sleep(time.Second)
		r.hasGRUUs("+p "+public1, "+t "+temp1)
		s.notify("active;expires=3600", reginfo(3, "full", another))
		r.awaitKick(ua.KickAbsent)
		r.hasGRUUs("-p " + public1)
	})
}

// The same where it is no kick: the registrar was restarted, and has lost us.
func TestGRUUsAfterARestart(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.SubscribeExpires = 120 }, func(s *scripted, r *run) {
		s.patience = 3 * time.Minute
		register := s.next("REGISTER")
		s.give(register, public1, temp1)
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 120")
		s.notify("active;expires=120", reginfo(0, "full", ours(register, "registered", 3600)))
		s.next("SIP/2.0 200")
		s.answer(s.next("SUBSCRIBE"), "481 Subscription Does Not Exist")
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 120")
		s.cseq = 0
		s.notify("active;expires=120", reginfo(0, "full"))
		again := s.next("REGISTER")
		r.hasGRUUs("+p "+public1, "+t "+temp1) // the document may be older than that REGISTER
		s.give(again, "", "")
		s.notify("active;expires=120", reginfo(1, "full", ours(again, "registered", 3600)))
		time.Sleep(time.Second)
		r.hasGRUUs("+p "+public1, "+t "+temp1)
		if got := r.kicks(); len(got) != 0 {
			t.Errorf("kicks %+v", got)
		}
	})
}

// And where a document that says so is believed, though nobody was kicked: the
// REGISTER that is to come only waits.
func TestGRUUsOfALostBinding(t *testing.T) {
	for _, state := range []string{"full", "partial"} {
		inScript(t, wire.UDP, func(a *ua.Account) { a.SubscribeExpires = 120 }, func(s *scripted, r *run) {
			s.patience = 3 * time.Minute
			register := s.next("REGISTER")
			s.give(register, public1, temp1)
			s.answer(s.takeSubscribe(), "200 OK", "Expires: 120")
			s.notify("active;expires=120", reginfo(0, "full", ours(register, "registered", 3600)))
			s.next("SIP/2.0 200")
			r.Do("alice", ua.Command{Verb: ua.DoRegister})
			s.answer(s.next("REGISTER"), "500 Server Internal Error", "Retry-After: 1000")
			s.answer(s.next("SUBSCRIBE"), "481 Subscription Does Not Exist")
			s.answer(s.takeSubscribe(), "200 OK", "Expires: 120")
			s.cseq = 0
			s.notify("active;expires=120", strings.Replace(reginfo(0, state), `state="active">`, `state="terminated">`, 1))
			time.Sleep(time.Second)
			if state == "full" {
				r.hasGRUUs("+p " + public1)
			} else {
				r.hasGRUUs("+p "+public1, "+t "+temp1)
			}
			if got := r.kicks(); len(got) != 0 {
				t.Errorf("kicks %+v", got)
			}
		})
	}
}

// RFC 5627 3.1.2: when our registration lapses, and when we end it.
func TestGRUUsEndWithTheRegistration(t *testing.T) {
	for _, lapse := range []bool{true, false} {
		inScript(t, wire.UDP, func(a *ua.Account) { a.Expires = 120 }, func(s *scripted, r *run) {
			s.beginWith(public1, temp1)
			cause := "ran out"
			if lapse {
				time.Sleep(2 * time.Minute) // the refresh gets no answer
			} else {
				cause = "we unregistered"
				r.Do("alice", ua.Command{Verb: ua.DoUnregister})
				s.answer(s.next("REGISTER"), "200 OK")
				time.Sleep(time.Second)
			}
			r.hasGRUUs("-p " + public1)
			told := all[ua.GRUUDetail](r)
			if d := told[len(told)-1]; d.Change != ua.Invalidated || d.URI != temp1 || !strings.Contains(d.Cause, cause) {
				t.Errorf("told %+v", d)
			}
		})
	}
}

// RFC 5627 4.2: an answer that is no 2xx, or none at all, has no impact on them.
func TestGRUUsOutliveFailedREGISTER(t *testing.T) {
	for _, status := range []string{"", "403 Forbidden", "404 Not Found", "423 Interval Too Brief", "500 Server Internal Error", "603 Decline"} {
		t.Run(status, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.beginWith(public1, temp1)
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				refresh := s.next("REGISTER")
				if status != "" {
					s.answer(refresh, status, `Contact: `+header(refresh, "Contact")+`;pub-gruu="`+public2+`";temp-gruu="`+temp2+`"`)
				}
				time.Sleep(40 * time.Second)
				if s := r.state("alice").Registration.State; s == ua.Registered {
					t.Errorf("still %s", s)
				}
				r.hasGRUUs("+p "+public1, "+t "+temp1)
			})
		})
	}
}

// A query, too, shows GRUUs of ours and of others. It is a REGISTER: what it says
// differs from no other.
func TestGRUUsOfAPoll(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchPoll }, func(s *scripted, r *run) {
		s.patience = time.Minute
		register := s.next("REGISTER")
		s.give(register, public1, temp1)
		for n := range 2 {
			query := s.next("REGISTER")
			s.answer(query, "200 OK", `Contact: <sip:alice@203.0.113.9>;pub-gruu="sip:alice@example.com;gr=other";expires=3000`,
				"Contact: "+header(register, "Contact")+`;pub-gruu="`+public2+`";temp-gruu="`+temp2+`";expires=`+fmt.Sprint(3570-30*n))
		}
		time.Sleep(time.Second)
		r.hasGRUUs("+p "+public2, "+t "+temp1)
		if g := r.state("alice").GRUUs[0]; g.Source != ua.FromRegister {
			t.Errorf("learned from %s", g.Source)
		}
		if slices.Contains(r.findings(), "gruu-differs") {
			t.Error("two REGISTERs are taken for two ways")
		}
	})
}

// RFC 5628 8.2: the standard's own example. Each identity of a registration set has
// GRUUs of its own, for dialogs under that identity; none replaces another's, nor
// voids it, however often the document comes. What we ping is that of the account.
func TestGRUUsOfARegistrationSet(t *testing.T) {
	raw, err := os.ReadFile("../reginfo/testdata/rfc5628-8.2.xml")
	if err != nil {
		t.Fatal(err)
	}
	change := func(a *ua.Account) {
		a.AOR, a.InstanceID = "sip:user_aor_1@example.net", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
		a.Name = "alice"
	}
	inScript(t, wire.UDP, change, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		s.give(register, "sip:user_aor_1@example.net;gr=hha9s8d-999a", "")
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		for range 3 {
			s.notify("active;expires=3600", string(raw))
			s.next("SIP/2.0 200")
		}
		time.Sleep(time.Second)
		r.hasGRUUs("+p sip:user_aor_1@example.net;gr=hha9s8d-999a", "+p sip:user_aor_2@example.net;gr=hha9s8d-999b",
			"+p sip:+358504821437@example.net;user=phone;gr=hha9s8d-999c", "+t sip:8ffkas08af7fasklzi9@example.net;gr",
			"+t sip:07hcovy36vp6vngvbia@example.net;gr", "+t sip:h99egjbv17fe8ibvlka@example.net;gr")
		if n := len(all[ua.GRUUDetail](r)); n != 6 {
			t.Errorf("told %d times\n%s", n, r.story())
		}
		for i, aor := range []string{"sip:user_aor_1@example.net", "sip:user_aor_2@example.net", "sip:+358504821437@example.net;user=phone"} {
			for _, g := range []ua.GRUU{r.state("alice").GRUUs[i], r.state("alice").GRUUs[3+i]} {
				if g.AOR != aor {
					t.Errorf("%s stands for %s", g.URI, g.AOR)
				}
			}
		}
		r.Do("alice", ua.Command{Verb: ua.DoPing})
		s.next("OPTIONS sip:8ffkas08af7fasklzi9@example.net;gr ")
	})
}

// What counts for the GRUUs of one identity is what is told of that.
func TestFirstCSeqOfEachIdentity(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.beginWith("", temp1)
		register := s.refreshWith(r, "", temp2)
		contact := ours(register, "refreshed", 3600)
		set := reginfo(1, "full", gruuOf(contact, "", temp2, fmt.Sprint(cseqOf(t, register))))
		_, other, _ := strings.Cut(reginfo(1, "full", contact), "<registration ")
		other, _, _ = strings.Cut(other, "</reginfo>")
		other = strings.NewReplacer("sip:alice@example.com", "tel:+15551234", `id="r1"`, `id="r2"`).Replace(other)
		s.notify("active;expires=3600", strings.Replace(set, "</reginfo>", "<registration "+other+"</reginfo>", 1))
		time.Sleep(time.Second)
		r.hasGRUUs("+t " + temp2)
	})
}

// RFC 5627 4.2: a GRUU is opaque. What it is made of comes back to the letter, in
// what we hold, tell and send.
func TestGRUUIsOpaque(t *testing.T) {
	const odd = "sip:TGRUU.7hs==%6a7Vnzga5w7fajsc7-aj%64@Example.COM:5061;gr=%41b;x=~;transport=TCP;LR"
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		s.give(register, "", odd)
		r.awaitRegistration(ua.Registered)
		r.hasGRUUs("+t " + odd)
		r.Do("alice", ua.Command{Verb: ua.DoPing})
		if ping := s.next("OPTIONS " + odd + " SIP/2.0"); header(ping, "To") != "<"+odd+">" {
			t.Errorf("To: %s", header(ping, "To"))
		}
	})
}

// RFC 5627 6.1, RFC 7315 4.2, RFC 7044: what was called is read where the proxy has
// put it; To is a guess, and said to be one. RFC 5627 4.6: to people it is shown
// without gr, and told whole.
func TestCalled(t *testing.T) {
	const us = "sip:alice@example.com;gr=urn:uuid:1"
	for _, c := range []struct{ headers, called, from, shown string }{
		{"P-Called-Party-ID: <" + us + ">;phone-context=x\nHistory-Info: <sip:h@example.com>;index=1, <sip:c@192.0.2.7>;index=1.1\n", us, "p-called-party-id", "sip:alice@example.com"},
		{"History-Info: <sip:first@example.com>;index=1, <sip:t1@example.com;GR;user=phone?Reason=x>;index=1.1, <sip:alice@192.0.2.7>;index=1.1.1\n", "sip:t1@example.com;GR;user=phone", "history-info", "sip:t1@example.com;user=phone"},
		{"History-Info: <sip:only@example.com>;index=1\n", "sip:only@example.com", "history-info", "sip:only@example.com"},
		{"", "sip:grunt@example.com;grr=1", "to", "sip:grunt@example.com;grr=1"},
	} {
		inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
			register := s.acceptRegister()
			contact, _, _ := strings.Cut(strings.TrimPrefix(header(register, "Contact"), "<"), ">")
			s.send(strings.ReplaceAll("INVITE "+contact+" SIP/2.0\nVia: SIP/2.0/UDP "+s.addr.String()+";branch=z9hG4bKc\n"+
				"From: <sip:bob@example.com;gr=b>;tag=b\nTo: <sip:grunt@example.com;grr=1>\nCall-ID: c\nCSeq: 1 INVITE\n"+c.headers+"Content-Length: 0\n\n", "\n", "\r\n"))
			e := r.await("the call", func(e ua.Event) bool { return e.Kind() == ua.KindRequest })
			d := e.Detail.(ua.RequestDetail)
			if d.Called != c.called || d.CalledFrom != c.from || d.From != "sip:bob@example.com;gr=b" || d.Target != contact {
				t.Errorf("told %+v", d)
			}
			if want := "INVITE from sip:bob@example.com to " + c.shown + ", answered 486"; e.Summary != want {
				t.Errorf("said %q, want %q", e.Summary, want)
			}
		})
	}
}

// A ping is recognised by its Call-ID, which nobody else knows: another OPTIONS to
// the same GRUU is told as one that reached us, and is no answer.
func TestPingIsKnownByItsToken(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		s.give(register, "", temp1)
		contact, _, _ := strings.Cut(strings.TrimPrefix(header(register, "Contact"), "<"), ">")
		r.awaitRegistration(ua.Registered)
		r.Do("alice", ua.Command{Verb: ua.DoPing})
		ping := s.next("OPTIONS " + temp1 + " ")
		back := strings.Replace(ping, "OPTIONS "+temp1+" ", "OPTIONS "+contact+" ", 1)
		back = strings.Replace(back, header(ping, "Call-ID"), "guessed", 1)
		s.send(strings.Replace(back, "Via: ", "Via: SIP/2.0/UDP "+s.addr.String()+";branch=z9hG4bKproxy\r\nVia: ", 1))
		s.next("SIP/2.0 200")
		s.answer(ping, "200 OK")
		var told []string
		for range 2 {
			told = append(told, r.await("what came", func(e ua.Event) bool { return e.Kind() == ua.KindRequest }).Summary)
		}
		if told[0] != "OPTIONS from sip:alice@example.com, answered 200" || !strings.Contains(told[1], "did not come back to this device") {
			t.Errorf("told %q", told)
		}
	})
}
