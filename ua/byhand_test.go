package ua_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// sending is a REGISTER by hand whose end is awaited later.
type sending struct {
	t    *testing.T
	done chan struct{}
	x    ua.Exchange
	err  error
}

func (r *run) send(ctx context.Context, b ua.ByHand) *sending {
	s := &sending{t: r.lab.t, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.x, s.err = r.Send(ctx, "alice", b)
	}()
	return s
}

// over waits for the end, which must be an answer.
func (s *sending) over() ua.Exchange {
	s.t.Helper()
	<-s.done
	if s.err != nil {
		s.t.Errorf("send: %v", s.err)
	}
	return s.x
}

func (r *run) sendNow(b ua.ByHand) ua.Exchange {
	r.lab.t.Helper()
	return r.send(context.Background(), b).over()
}

// registering is an account that does not watch, so that only REGISTERs are seen.
func registering(a *ua.Account) {
	a.Watch = ua.WatchOff
	a.InstanceID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
}

var branchAndTag = regexp.MustCompile(`branch=[^;\r]*|tag=[0-9a-f]*`)

// What a tester sets is what the registrar receives, byte for byte, and all else is
// as the agent would write it. A refusal of it changes nothing.
func TestByHandOnTheWire(t *testing.T) {
	const zero = `REGISTER sip:192.0.2.1:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:PORT;keep
Max-Forwards: 70
From: <sip:alice@example.com>;
To: <sip:alice@example.com>
Call-ID: CALLID
CSeq: CSEQ REGISTER
User-Agent: regwatch/test
Contact: <sip:alice@192.0.2.7:PORT>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";reg-id=1
Expires: 3600
Supported: path, outbound, gruu
X-Account: 1
Content-Length: 0

`
	const contact = `Contact: <sip:alice@192.0.2.7:PORT>;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";reg-id=1`
	for name, c := range map[string]struct {
		what ua.ByHand
		edit []string // pairs: a line of zero, and what stands for it
	}{
		"as the agent":    {},
		"no expiry":       {ua.ByHand{Expires: ua.LeftOut}, []string{"Expires: 3600\n", ""}},
		"expiry 0":        {ua.ByHand{Expires: "0"}, []string{"Expires: 3600", "Expires: 0"}},
		"longest expiry":  {ua.ByHand{Expires: "4294967295"}, []string{"Expires: 3600", "Expires: 4294967295"}},
		"no number":       {ua.ByHand{Expires: "abc"}, []string{"Expires: 3600", "Expires: abc"}},
		"query":           {ua.ByHand{Contacts: []string{ua.LeftOut}}, []string{contact + "\n", ""}},
		"star":            {ua.ByHand{Contacts: []string{"*"}, Expires: "0"}, []string{contact, "Contact: *", "Expires: 3600", "Expires: 0"}},
		"two others":      {ua.ByHand{Contacts: []string{"<sip:a@b>;q=0.5", `"C" <sip:c@d>, <sip:e@f>`}}, []string{contact, "Contact: <sip:a@b>;q=0.5\nContact: \"C\" <sip:c@d>, <sip:e@f>"}},
		"other instance":  {ua.ByHand{Instance: `urn:x"y`}, []string{"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", `urn:x\"y`}},
		"no instance":     {ua.ByHand{Instance: ua.LeftOut}, []string{`;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"`, ""}},
		"other reg-id":    {ua.ByHand{RegID: "7"}, []string{"reg-id=1", "reg-id=7"}},
		"no reg-id":       {ua.ByHand{RegID: ua.LeftOut}, []string{";reg-id=1", ""}},
		"q and more":      {ua.ByHand{Q: "0.3", ContactParams: `foo;bar="x"`}, []string{"reg-id=1", `reg-id=1;q=0.3;foo;bar="x"`}},
		"given Call-ID":   {ua.ByHand{CallID: "one@two"}, []string{"CALLID", "one@two"}},
		"given CSeq":      {ua.ByHand{CallID: "three", CSeq: "2147483647"}, []string{"CALLID", "three", "CSEQ", "2147483647"}},
		"CSeq 0":          {ua.ByHand{CSeq: "0"}, []string{"CSEQ", "0"}},
		"other AOR":       {ua.ByHand{To: "<sip:bob@example.com>", RequestURI: "sip:example.org;x=y"}, []string{"To: <sip:alice@example.com>", "To: <sip:bob@example.com>", "REGISTER sip:192.0.2.1:5060", "REGISTER sip:example.org;x=y"}},
		"no To":           {ua.ByHand{To: ua.LeftOut}, []string{"To: <sip:alice@example.com>\n", ""}},
		"no From":         {ua.ByHand{Without: []string{"f"}}, []string{"From: <sip:alice@example.com>;\n", ""}},
		"replaced, added": {ua.ByHand{Headers: []string{"k: none", "X-Two: 2", "Max-Forwards: 0", "supported:  gruu ", "Require: nothing"}}, []string{"Supported: path, outbound, gruu", "k: none\nsupported: gruu", "X-Account: 1", "X-Account: 1\nX-Two: 2\nMax-Forwards: 0\nRequire: nothing", "Max-Forwards: 70\n", ""}},
		"without some":    {ua.ByHand{Without: []string{"supported", "X-Account", "User-Agent"}}, []string{"Supported: path, outbound, gruu\nX-Account: 1\n", "", "User-Agent: regwatch/test\n", ""}},
		"odd credentials": {ua.ByHand{Credentials: ua.CredentialsNone, Headers: []string{"Authorization: Bearer x"}}, []string{"X-Account: 1", "X-Account: 1\nAuthorization: Bearer x"}},
		"ahead":           {ua.ByHand{Credentials: ua.CredentialsAhead}, []string{"X-Account: 1", "X-Account: 1\n" + `Authorization: Digest username="alice", realm="example.com", nonce="", uri="sip:192.0.2.1:5060", response="***"`}},
	} {
		t.Run(name, func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { registering(a); a.Headers = []string{"X-Account: 1"} }, func(s *scripted, r *run) {
				register := s.acceptRegister()
				time.Sleep(time.Second)
				before := r.state("alice").Registration
				want := zero
				for i := 0; i < len(c.edit); i += 2 {
					if !strings.Contains(want, c.edit[i]) {
						t.Fatalf("nothing to edit: %q", c.edit[i])
					}
					want = strings.ReplaceAll(want, c.edit[i], c.edit[i+1])
				}
				_, port, _ := strings.Cut(r.state("alice").Flow.Local, ":")
				want = strings.NewReplacer("PORT", port, "CALLID", header(register, "Call-ID"),
					"CSEQ", fmt.Sprint(before.CSeq+1), "\n", "\r\n").Replace(want)
				plain := func(message string) string {
					message = strings.Replace(message, "rport;", "", 1)
					message = strings.Replace(strings.Replace(message, ";rport\r", ";\r", 1), `response=""`, `response="***"`, 1)
					return branchAndTag.ReplaceAllString(message, "")
				}
				rendered, err := r.Render(r.lab.t.Context(), "alice", c.what)
				if got := plain(rendered); err != nil || strings.ReplaceAll(got, ";;", ";") != want {
					t.Errorf("rendered, %v:\n%s\nwant\n%s", err, got, want)
				}
				sent := r.send(r.lab.t.Context(), c.what)
				request := s.next("REGISTER")
				if got := plain(request); strings.ReplaceAll(got, ";;", ";") != want {
					t.Errorf("received:\n%s\nwant\n%s", got, want)
				}
				s.answer(request, "400 Bad Request")
				x := sent.over()
				if x.Status != 400 || x.Outcome != "400 Bad Request, answered in 10 ms" || x.RoundTrip != 10*time.Millisecond || len(x.Messages) != 2 {
					t.Errorf("exchange %+v", x)
				}
				if got := string(x.Messages[0].Raw); plain(got) != plain(request) || x.Messages[0].Direction != trace.Sent {
					t.Errorf("shown as sent:\n%s", got)
				}
				if got := string(x.Messages[1].Raw); !strings.HasPrefix(got, "SIP/2.0 400 Bad Request\r\n") || x.Messages[1].Time.Sub(x.Messages[0].Time) != 10*time.Millisecond {
					t.Errorf("shown as answer:\n%s", got)
				}
				if after := r.state("alice").Registration; after.State != ua.Registered || after.ExpiresAt != before.ExpiresAt || after.Reason != "" {
					t.Errorf("afterwards %+v", after)
				}
				events := all[ua.RegistrationDetail](r)
				if last := events[len(events)-1]; last.Reason != "by hand: 400 Bad Request, answered in 10 ms" || last.State != ua.Registered || last.Status != 400 {
					t.Errorf("told as %+v", last)
				}
				// The agent's own next one is one higher than the highest under its Call-ID.
				highest := max(before.CSeq, r.state("alice").Registration.CSeq)
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				own := s.acceptRegister()
				if header(own, "Call-ID") != before.CallID || header(own, "CSeq") != fmt.Sprintf("%d REGISTER", highest+1) {
					t.Errorf("our own next:\n%s", own)
				}
			})
		})
	}
}

// Bad values never reach the wire: the error names the field.
func TestByHandRefusesBadValues(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	var many []string
	for range 65 {
		many = append(many, "X-Many: 1")
	}
	var large []string
	for range 9 {
		large = append(large, "X-Large: "+long[:8000])
	}
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		for want, b := range map[string]ua.ByHand{
			"request_uri has a control character": {RequestURI: "sip:a\r\nVia: x"},
			"request_uri request URI":             {RequestURI: "sip:a b"},
			"to has a control character":          {To: "<sip:a>\r\nX: 1"},
			"to is not UTF-8":                     {To: "\x85"},
			"expires has a control character":     {Expires: "1\n"},
			"contacts has a control character":    {Contacts: []string{"<sip:a\x7f>"}},
			`contacts has ""`:                     {Contacts: []string{""}},
			`contacts has "-"`:                    {Contacts: []string{"-", "<sip:a@b>"}},
			"instance has a control character":    {Instance: "urn:\x00"},
			"instance is for our own Contact":     {Instance: "urn:x", Contacts: []string{"*"}},
			"reg_id has a control":                {RegID: "1\r"},
			"q has a control":                     {Q: "\t"},
			"q is for our own":                    {Q: "1", Contacts: []string{"<sip:a@b>"}},
			"contact_params has a control":        {ContactParams: "a=\"\x1b[2J\""},
			"call_id has a control":               {CallID: "a\u0085b"},
			"call_id cannot be left out":          {CallID: ua.LeftOut},
			`cseq "2147483648" is no number`:      {CSeq: "2147483648"},
			`cseq "-" is no number`:               {CSeq: "-"},
			"cseq goes back 2147483647":           {CSeq: "-2147483647"},
			"cseq 2147483647 leaves too few":      {CSeq: "2147483647"},
			`credentials "perhaps"`:               {Credentials: "perhaps"},
			"credentials cannot be stale":         {Credentials: ua.CredentialsStale},
			"headers is 70000 bytes long":         {Headers: []string{long}},
			"headers has 65 lines":                {Headers: many},
			"headers make a request of 72":        {Headers: large},
			`headers "none" is no header`:         {Headers: []string{"none"}},
			`headers "X Y: 1" is no header`:       {Headers: []string{"X Y: 1"}},
			`headers has a control character`:     {Headers: []string{"X: 1\r\nContact: *"}},
			"headers cannot set Via":              {Headers: []string{"Via: SIP/2.0/UDP x"}},
			"headers cannot set v":                {Headers: []string{"v: SIP/2.0/UDP x"}},
			"headers cannot set content-length":   {Headers: []string{"content-length: 5"}},
			"headers cannot set L":                {Headers: []string{"L: 5"}},
			"headers cannot set m":                {Headers: []string{"m: <sip:a@b>"}},
			"headers cannot set Expires":          {Headers: []string{"Expires: 5"}},
			"headers cannot set CSeq":             {Headers: []string{"CSeq: 5 REGISTER"}},
			"headers cannot set Authorization":    {Headers: []string{"Authorization: Bearer x"}},
			"without cannot leave out Max-":       {Without: []string{"Max-Forwards"}},
			"without cannot leave out i":          {Without: []string{"i"}},
			"without cannot leave out Via":        {Without: []string{"Via"}},
			"without cannot leave out Auth":       {Without: []string{"Authorization"}},
			`without "a b" is no`:                 {Without: []string{"a b"}},
		} {
			x, err := r.Send(r.lab.t.Context(), "alice", b)
			var fault *ua.FieldError
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) || len(x.Messages) != 0 {
				t.Errorf("%s: %v", want, err)
			}
			if len(fmt.Sprint(err)) > 250 || strings.ContainsFunc(fmt.Sprint(err), func(r rune) bool { return r < ' ' }) {
				t.Errorf("%s: said as %q", want, err)
			}
			if _, again := r.Render(r.lab.t.Context(), "alice", b); again == nil {
				t.Errorf("%s: rendered", want)
			}
		}
		if _, err := r.Send(r.lab.t.Context(), "nobody", ua.ByHand{}); err == nil {
			t.Error("sent for nobody")
		}
		time.Sleep(time.Minute)
		if n := r.requests("REGISTER"); n != 1 {
			t.Errorf("%d REGISTERs", n)
		}
		// After a refusal the next one has its turn.
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		s.acceptRegister()
		sent.over()
	})
}

// What a REGISTER by hand does to our own binding is known as our own doing: what
// was granted, that it is gone, which GRUUs still serve; and nothing of it is a
// kick, whether the registrar calls things by their names or not.
func TestByHandAndOurBinding(t *testing.T) {
	for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio} {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile, NonceLifetime: time.Hour}, func(l *lab) {
				l.net.SetDelay(10*time.Millisecond, 5*time.Millisecond)
				r := l.watch(phoneHost, "", account())
				r.watching()
				registration := func() ua.Registration { return r.state("alice").Registration }
				expect := func(what string, state ua.RegistrationState, granted time.Duration, bound int) {
					t.Helper()
					time.Sleep(2 * time.Second) // the NOTIFY too
					got := registration()
					if got.State != state || got.Granted != granted || got.ExpiresAt.IsZero() != (granted == 0) || len(l.Bindings("alice")) != bound {
						t.Errorf("%s: %+v, bound %+v\n%s", what, got, l.Bindings("alice"), r.story())
					}
					if got := r.kicks(); len(got) != 0 || len(all[ua.ActionDetail](r)) != 0 {
						t.Fatalf("%s: kicks %+v\n%s", what, got, r.story())
					}
				}

				x := r.sendNow(ua.ByHand{Expires: "60"})
				if len(x.Contacts) != 1 || x.Contacts[0].Expires.Value != 60 || x.Status != 200 {
					t.Errorf("bound %+v", x.Contacts)
				}
				expect("a minute", ua.Registered, time.Minute, 1)
				if b := r.state("alice").Bindings[0]; !b.Own || b.Origin != ua.OriginSelf || b.Contact.Expires.Value != 60 {
					t.Errorf("listed as %+v", b)
				}
				time.Sleep(time.Minute) // it was refreshed, by half-time
				expect("refreshed", ua.Registered, time.Hour, 1)

				cseq := registration().CSeq
				if x := r.sendNow(ua.ByHand{CSeq: "-1"}); x.Status != 500 {
					t.Errorf("lower CSeq: %+v", x)
				}
				expect("lower CSeq", ua.Registered, time.Hour, 1)
				if got := registration().CSeq; got != cseq {
					t.Errorf("the highest CSeq %d became %d", cseq, got)
				}
				if x := r.sendNow(ua.ByHand{Expires: "5"}); !strings.HasPrefix(x.Outcome, "423 Interval Too Brief, answered in ") {
					t.Errorf("brief: %+v", x)
				}
				expect("too brief", ua.Registered, time.Hour, 1)

				r.sendNow(ua.ByHand{CallID: "another", CSeq: "7", Expires: "1800"})
				expect("another Call-ID", ua.Registered, 30*time.Minute, 1)
				if b := l.Bindings("alice")[0]; b.CallID != "another" || b.CSeq != 7 {
					t.Errorf("bound as %+v", b)
				}
				temporary := func() (list []ua.GRUU) {
					return slices.DeleteFunc(slices.Clone(r.state("alice").GRUUs), func(g ua.GRUU) bool { return g.Type == ua.PublicGRUU })
				}
				if list := temporary(); profile == registrar.RFC && (len(list) != 1 || list[0].CallID != "another" || list[0].CSeq != 7) {
					t.Errorf("RFC 5627 4.2: temporary GRUUs %+v", list)
				}
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				expect("our own again", ua.Registered, time.Hour, 1)
				if list := temporary(); profile == registrar.RFC && (len(list) != 1 || list[0].CallID != registration().CallID) {
					t.Errorf("RFC 5627 4.2: temporary GRUUs %+v", list)
				}

				for name, b := range map[string]ua.ByHand{
					"expiry 0":        {Expires: "0"},
					"Contact: *":      {Contacts: []string{"*"}, Expires: "0"},
					"no instance":     {Instance: ua.LeftOut, RegID: ua.LeftOut, Expires: "0"},
					"another Call-ID": {CallID: ua.FreshCallID, Expires: "0"},
				} {
					before := len(all[ua.ContactDetail](r))
					r.sendNow(b)
					expect(name, ua.Unregistered, 0, 0)
					if len(temporary()) != 0 {
						t.Errorf("%s: temporary GRUUs %+v", name, temporary())
					}
					if told := all[ua.ContactDetail](r)[before:]; len(told) != 1 || !told[0].Own || told[0].Origin != ua.OriginSelf {
						t.Errorf("%s: told as %+v\n%s", name, told, r.story())
					}
					n := r.requests("REGISTER")
					time.Sleep(3 * time.Hour)
					if r.requests("REGISTER") != n {
						t.Errorf("%s: it does not stay off", name)
					}
					r.sendNow(ua.ByHand{})
					expect("bound by hand again", ua.Registered, time.Hour, 1)
				}
				time.Sleep(3 * time.Hour)
				expect("held", ua.Registered, time.Hour, 1)
				r.close()
				if b := l.Bindings("alice"); len(b) != 0 {
					t.Errorf("left behind: %+v", b)
				}
			})
		})
	}
}

// Another contact that a tester binds is nobody's device: we say that we did it,
// until somebody else does something to it, and it never kicks us.
func TestByHandOtherContact(t *testing.T) {
	const other = "sip:bot@203.0.113.20:5080"
	last := func(r *run, uri string) ua.ContactDetail {
		t.Helper()
		time.Sleep(time.Second)
		list := all[ua.ContactDetail](r)
		for _, d := range slices.Backward(list) {
			if d.URI == uri {
				return d
			}
		}
		r.lab.t.Fatalf("nothing was told of %s\n%s", uri, r.story())
		panic("unreachable")
	}
	for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio, registrar.Clearwater} {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				r := l.watch(phoneHost, "", account())
				r.watching()
				bind := func() {
					t.Helper()
					x := r.sendNow(ua.ByHand{Contacts: []string{"<" + other + ">"}, Expires: "60"})
					if d := last(r, other); d.Own || d.Origin != ua.OriginSelf || !strings.Contains(fmt.Sprint(d.Evidence), "REGISTER by hand of ours") || len(x.Contacts) != 2 {
						t.Errorf("told as %+v, answered %+v\n%s", d, x.Contacts, r.story())
					}
				}
				bind()
				r.sendNow(ua.ByHand{Contacts: []string{"<" + other + ">"}, Expires: "0"})
				if d := last(r, other); d.State != "terminated" || d.Origin != ua.OriginSelf {
					t.Errorf("removed by hand, told as %+v", d)
				}
				bind()
				if err := l.Deactivate("alice", other); err != nil {
					t.Fatal(err)
				}
				if d := last(r, other); d.State != "terminated" || d.Origin != ua.OriginNetwork || d.Kick() != "" {
					t.Errorf("kicked, told as %+v", d)
				}
				bind()
				time.Sleep(2 * time.Minute)
				if d := last(r, other); d.State != "terminated" || profile == registrar.RFC && (d.Origin != ua.OriginSelf || d.Event != "expired") {
					t.Errorf("ran out, told as %+v", d)
				}
				bind()
				time.Sleep(40 * time.Second)
				// Somebody else takes it over.
				taker := l.watch(otherHost, "", account())
				taker.watching()
				if x := taker.sendNow(ua.ByHand{Contacts: []string{"<" + other + ">"}, Expires: "300"}); x.Status != 200 {
					t.Fatal(x.Outcome)
				}
				if d := last(r, other); d.Origin != ua.OriginOtherDevice && profile != registrar.Clearwater { // which shows neither Call-ID nor time
					t.Errorf("taken over, told as %+v", d)
				}
				taker.close()
				if s := r.state("alice"); s.Registration.State != ua.Registered || len(s.Prompts) != 0 || len(r.kicks()) != 0 {
					t.Errorf("in the end %+v\n%s", s.Registration, r.story())
				}
				r.close()
				if b := l.Bindings("alice"); len(b) != 1 || b[0].URI != other {
					t.Errorf("left behind: %+v", b)
				}
			})
		})
	}
}

// Our own address under another instance or reg-id is not ours, where the registrar
// tells bindings by those. Where it tells them by their URIs, ours has changed, and
// we know it: its sooner end is no shortening, and it is refreshed in time.
func TestByHandOtherInstance(t *testing.T) {
	for _, profile := range registrar.Profiles {
		for name, b := range map[string]ua.ByHand{
			"instance": {Instance: "urn:uuid:00000000-0000-4000-8000-000000000001"},
			"reg-id":   {RegID: "2"},
		} {
			t.Run(string(profile)+"/"+name, func(t *testing.T) {
				inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
					r := l.watch(phoneHost, "", account())
					r.watching()
					for _, expires := range []string{"90", "0", "90"} {
						b.Expires = expires
						r.sendNow(b)
						time.Sleep(time.Second)
						if profile == registrar.RFC {
							left := time.Until(r.state("alice").Registration.ExpiresAt)
							if s := r.state("alice").Registration.State; s != ua.Registered || left < 59*time.Minute {
								t.Errorf("%s s: %s, %s left\n%s", expires, s, left, r.story())
							}
							own := 0
							for _, listed := range r.state("alice").Bindings {
								if listed.Own && listed.Active() {
									own++
								}
							}
							if own != 1 {
								t.Errorf("%s s: %d of our own listed: %+v", expires, own, r.state("alice").Bindings)
							}
						}
						if expires == "0" && r.state("alice").Registration.State == ua.Unregistered {
							r.Do("alice", ua.Command{Verb: ua.DoRegister})
							time.Sleep(time.Second)
						}
					}
					for _, d := range all[ua.ContactDetail](r) {
						if d.Origin == ua.OriginOtherDevice {
							t.Errorf("our own doing is told as another device's: %+v\n%s", d, r.story())
						}
					}
					time.Sleep(3 * time.Hour)
					if got := r.kicks(); len(got) != 0 || r.state("alice").Registration.State != ua.Registered || len(all[ua.ActionDetail](r)) != 0 {
						t.Errorf("kicks %+v\n%s", got, r.story())
					}
					r.close()
				})
			})
		}
	}
}

// Credentials as usual, none, wrong, stale and ahead.
func TestByHandCredentials(t *testing.T) {
	inLab(t, registrar.Options{Users: users, NonceLifetime: 24 * time.Hour}, func(l *lab) {
		a := account()
		a.Watch = ua.WatchOff
		r := l.watch(phoneHost, "", a)
		r.awaitRegistration(ua.Registered)
		for _, c := range []struct {
			how      ua.Credentials
			requests int
			outcome  string
			first    string // of the first request's Authorization
		}{
			{ua.CredentialsUsual, 1, "200 OK, answered in", "nc=00000002"},
			{ua.CredentialsNone, 1, "401 Unauthorized: not answered, as asked, answered in", ""},
			{ua.CredentialsWrong, 2, "401 Unauthorized: answered with a wrong password, as asked, answered in", ""},
			{ua.CredentialsStale, 2, "200 OK, answered in", "nc=00000001"},
			{ua.CredentialsAhead, 1, "200 OK, answered in", "nc=00000002"},
			{ua.CredentialsUsual, 1, "200 OK, answered in", "nc=00000003"},
		} {
			rendered, err := r.Render(r.lab.t.Context(), "alice", ua.ByHand{Credentials: c.how})
			if err != nil || !strings.Contains(header(rendered, "Authorization"), c.first) {
				t.Errorf("%q rendered, %v:\n%s", c.how, err, rendered)
			}
			x := r.sendNow(ua.ByHand{Credentials: c.how})
			if len(x.Messages) != 2*c.requests || !strings.HasPrefix(x.Outcome, c.outcome) {
				t.Errorf("%q: %d messages, %s", c.how, len(x.Messages), x.Outcome)
				continue
			}
			authorization := header(string(x.Messages[0].Raw), "Authorization")
			if (authorization == "") != (c.first == "") || !strings.Contains(authorization, c.first) {
				t.Errorf("%q: first request %s", c.how, x.Messages[0].Raw)
			}
			if c.how == ua.CredentialsStale && !strings.Contains(string(x.Messages[1].Raw), "stale=true") {
				t.Errorf("the answer to a stale nonce: %s", x.Messages[1].Raw)
			}
			if cseq := fmt.Sprintf("%d REGISTER", r.state("alice").Registration.CSeq); header(string(x.Messages[len(x.Messages)-2].Raw), "CSeq") != cseq {
				t.Errorf("%q: the last request is not %s:\n%s", c.how, cseq, x.Messages[len(x.Messages)-2].Raw)
			}
			for _, m := range x.Messages {
				if strings.Contains(header(string(m.Raw), "Authorization"), "response=") && !strings.Contains(string(m.Raw), `response="***"`) {
					t.Errorf("%q shows a secret: %s", c.how, m.Raw)
				}
			}
			if s := r.state("alice").Registration.State; s != ua.Registered {
				t.Errorf("%q: %s", c.how, s)
			}
		}
		x := r.sendNow(ua.ByHand{Secrets: true})
		if raw := string(x.Messages[0].Raw); !strings.Contains(raw, `response="`) || strings.Contains(raw, "***") {
			t.Errorf("asked for, and not shown: %s", raw)
		}
		r.close()
	})
}

// One REGISTER at a time (RFC 3261 10.2): one by hand waits for that under way, and
// the agent's own, be it due by the clock or a person's wish, waits for one by hand.
func TestByHandTakesItsTurn(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { registering(a); a.Expires = 100 }, func(s *scripted, r *run) {
		s.acceptRegister()
		time.Sleep(time.Second)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		own := s.next("REGISTER")
		first := r.send(r.lab.t.Context(), ua.ByHand{Headers: []string{"X-Hand: 1"}, Contacts: []string{ua.LeftOut}})
		synctest.Wait()
		second := r.send(r.lab.t.Context(), ua.ByHand{Headers: []string{"X-Hand: 2"}, Contacts: []string{ua.LeftOut}})
		time.Sleep(100 * time.Millisecond)
		if n := r.requests("REGISTER"); n != 2 {
			t.Fatalf("%d REGISTERs while one is under way", n)
		}
		s.answer(own, "200 OK", "Contact: "+header(own, "Contact")+";expires=100")
		one := s.next("REGISTER")
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		time.Sleep(100 * time.Millisecond)
		if n := r.requests("REGISTER"); n != 3 || header(one, "X-Hand") != "1" {
			t.Fatalf("%d REGISTERs, the first by hand is\n%s", n, one)
		}
		s.answer(one, "200 OK", "Contact: "+header(own, "Contact")+";expires=99")
		first.over()
		query := s.next("REGISTER")
		if header(query, "X-Hand") != "" || header(query, "Contact") != "" {
			t.Errorf("what waits goes before the next by hand: %s", query)
		}
		s.answer(query, "200 OK", "Contact: "+header(own, "Contact")+";expires=99")
		two := s.next("REGISTER")
		if header(two, "X-Hand") != "2" {
			t.Errorf("the second by hand is\n%s", two)
		}
		s.answer(two, "200 OK", "Contact: "+header(own, "Contact")+";expires=99")
		second.over()
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		if refresh := s.acceptRegister(); cseqOf(t, refresh) != cseqOf(t, two)+1 || header(refresh, "Expires") != "100" {
			t.Errorf("our own behind CSeq %d:\n%s", cseqOf(t, two), refresh)
		}
	})
}

// forget drops what was read and not asked for: requests sent again.
func (s *scripted) forget() {
	for s.kept = nil; len(s.in) > 0; {
		<-s.in
	}
}

// A refresh that becomes due while one by hand is under way goes behind it, also
// where our binding has run out meanwhile: a lapse is a retry.
func TestRefreshDueBehindByHand(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { registering(a); a.Expires = 60 }, func(s *scripted, r *run) {
		s.acceptRegister()
		time.Sleep(29 * time.Second) // a second before half-time
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}})
		byHand := s.next("REGISTER")
		time.Sleep(31500 * time.Millisecond)
		if st := r.state("alice").Registration; r.requests("REGISTER") != 2 || st.State != ua.Retrying {
			t.Errorf("%d REGISTERs, %+v", r.requests("REGISTER"), st)
		}
		s.forget()
		s.answer(byHand, "403 Forbidden")
		sent.over()
		s.acceptRegister()
		time.Sleep(time.Second)
		if st := r.state("alice").Registration; st.State != ua.Registered {
			t.Errorf("%+v\n%s", st, r.story())
		}
	})
}

// Nobody answers: the caller hears it after 32 s with all that was sent, and our
// binding is as it was.
func TestByHandUnanswered(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		time.Sleep(time.Second)
		before := r.state("alice").Registration
		x, err := r.Send(r.lab.t.Context(), "alice", ua.ByHand{Expires: "0"})
		if !errors.Is(err, wire.ErrTimeout) || len(x.Messages) != 11 || x.Outcome != "no answer within 32 s" || x.Status != 0 {
			t.Errorf("%v, %d messages, %+v", err, len(x.Messages), x.Outcome)
		}
		if after := r.state("alice").Registration; after.State != ua.Registered || after.ExpiresAt != before.ExpiresAt || !r.state("alice").Flow.Up {
			t.Errorf("afterwards %+v", after)
		}
		if got := all[ua.RegistrationDetail](r); len(got) != 3 || got[2].Reason != "by hand: no answer within 32 s" || r.state("alice").Registration.Slow != "" {
			t.Errorf("told as %+v", got)
		}
	})
}

// A kick while a REGISTER by hand is under way is one, and a removal that the
// REGISTER overtook is none, as with our own.
func TestKickDuringByHand(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}})
		byHand := s.next("REGISTER")
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "deactivated", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(200 * time.Millisecond)
		if got := r.kicks(); len(got) != 1 || len(r.state("alice").Prompts) != 1 || r.state("alice").Registration.State != ua.Unregistered {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
		s.answer(byHand, "200 OK", "Contact: <sip:bot@203.0.113.20>;expires=3600")
		sent.over()
		time.Sleep(time.Second)
		if s := r.state("alice"); len(s.Prompts) != 1 || s.Registration.State != ua.Unregistered {
			t.Errorf("afterwards %+v\n%s", s.Registration, r.story())
		}
		// One that binds us again answers the prompt, and came behind the removal.
		sent = r.send(r.lab.t.Context(), ua.ByHand{CallID: "another"})
		byHand = s.next("REGISTER")
		s.notify("active;expires=3600", reginfo(2, "full", ours(byHand, "registered", 3600)))
		s.next("SIP/2.0 200")
		s.answer(byHand, "200 OK", "Contact: "+header(byHand, "Contact")+";expires=3600")
		sent.over()
		s.notify("active;expires=3600", reginfo(3, "full", ours(register, "deactivated", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if st := r.state("alice"); len(r.kicks()) != 1 || len(st.Prompts) != 0 || st.Registration.State != ua.Registered {
			t.Errorf("bound again: %+v\n%s", st.Registration, r.story())
		}
		// A kick of what was bound by hand is one of ours.
		s.notify("active;expires=3600", reginfo(4, "full", ours(byHand, "registered", 3600)))
		s.next("SIP/2.0 200")
		s.notify("active;expires=3600", reginfo(5, "full", ours(byHand, "rejected", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 2 || got[1].Event != "rejected" || got[1].Origin != ua.OriginNetwork {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A removal by hand that the registrar refuses is none: what it removes later is
// a kick.
func TestRefusedRemovalByHand(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		for _, b := range []ua.ByHand{{Expires: "0", CSeq: "-1"}, {Contacts: []string{"*"}}} {
			sent := r.send(r.lab.t.Context(), b)
			s.answer(s.next("REGISTER"), "400 Invalid Request")
			sent.over()
		}
		// Nor is one that nobody answers.
		if _, err := r.Send(r.lab.t.Context(), "alice", ua.ByHand{Expires: "0"}); !errors.Is(err, wire.ErrTimeout) {
			t.Error(err)
		}
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "unregistered", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 1 || len(r.state("alice").Prompts) != 1 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// RFC 3261 10.3: a 2xx lists what is bound; one that does not list us says that we
// are not registered, and who was wants to be so again. Who was not stays off.
func TestByHandThatDoesNotListUs(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		s.answer(s.next("REGISTER"), "200 OK")
		sent.over()
		if st := r.state("alice").Registration; st.State != ua.Retrying || time.Until(st.RetryAt) > time.Minute {
			t.Errorf("%+v", st)
		}
		time.Sleep(time.Minute)
		s.acceptRegister()
		time.Sleep(time.Second)
		if st := r.state("alice").Registration.State; st != ua.Registered {
			t.Errorf("%s\n%s", st, r.story())
		}
		s.forget()
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		s.answer(s.next("REGISTER"), "200 OK")
		time.Sleep(time.Second)
		sent = r.send(r.lab.t.Context(), ua.ByHand{})
		s.answer(s.next("REGISTER"), "200 OK")
		sent.over()
		time.Sleep(time.Hour)
		if st := r.state("alice").Registration.State; st != ua.Unregistered || r.requests("REGISTER") != 5 {
			t.Errorf("%s\n%s", st, r.story())
		}
	})
}

// Where the registration was refused, one by hand that succeeds registers us.
func TestByHandWhereRefused(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.answer(s.next("REGISTER"), "403 Forbidden")
		time.Sleep(time.Minute)
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		s.answer(s.next("REGISTER"), "403 Forbidden")
		if x := sent.over(); x.Status != 403 || r.state("alice").Registration.State != ua.Refused {
			t.Errorf("%+v, %+v", x, r.state("alice").Registration)
		}
		sent = r.send(r.lab.t.Context(), ua.ByHand{})
		s.acceptRegister()
		sent.over()
		if st := r.state("alice").Registration; st.State != ua.Registered || st.Granted != time.Hour {
			t.Errorf("%+v", st)
		}
	})
}

// An account that only watches has no contact of its own, so neither has one that a
// tester binds for it: it is not refreshed, and it is left at the end.
func TestByHandForOneThatWatches(t *testing.T) {
	for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio} {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				a := account()
				a.WatchOnly = true
				r := l.watch(phoneHost, "", a)
				r.awaitSubscription(ua.Active)
				if x := r.sendNow(ua.ByHand{}); x.Status != 200 {
					t.Fatal(x.Outcome)
				}
				time.Sleep(time.Second)
				s := r.state("alice")
				if len(s.Bindings) != 1 || s.Bindings[0].Own || s.Bindings[0].Origin != ua.OriginSelf || s.Registration.State != "" {
					t.Errorf("%+v, %+v\n%s", s.Registration, s.Bindings, r.story())
				}
				if err := l.Deactivate("alice", ""); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if len(r.kicks()) != 0 || len(all[ua.ActionDetail](r)) != 0 {
					t.Errorf("kicked\n%s", r.story())
				}
				r.sendNow(ua.ByHand{Expires: "7200"})
				time.Sleep(time.Hour)
				r.close()
				if n := len(l.Bindings("alice")); n != 1 {
					t.Errorf("%d bindings in the end", n)
				}
			})
		})
	}
}

// Who closes hears of nothing more by hand, and what one under way binds is removed
// like all else.
func TestCloseDuringByHand(t *testing.T) {
	var typed chan struct{}
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		s.answer(s.next("REGISTER"), "200 OK")
		time.Sleep(time.Second)
		bind := r.send(r.lab.t.Context(), ua.ByHand{})
		request := s.next("REGISTER")
		waits := r.send(r.lab.t.Context(), ua.ByHand{})
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.close()
		}()
		<-waits.done
		if waits.err == nil || len(waits.x.Messages) != 0 {
			t.Errorf("waiting: %v, %+v", waits.err, waits.x)
		}
		s.answer(request, "200 OK", "Contact: "+header(request, "Contact")+";expires=3600")
		if x := bind.over(); x.Status != 200 {
			t.Errorf("under way: %+v", x)
		}
		removal := s.next("REGISTER")
		if header(removal, "Expires") != "0" {
			t.Errorf("left as\n%s", removal)
		}
		s.answer(removal, "200 OK")
		<-closed
		if _, err := r.Send(r.lab.t.Context(), "alice", ua.ByHand{}); err == nil {
			t.Error("sent after the end")
		}
		if _, err := r.Render(r.lab.t.Context(), "alice", ua.ByHand{}); err == nil {
			t.Error("rendered after the end")
		}
	})
	// A challenge is not answered any more.
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		request := s.next("REGISTER")
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.close()
		}()
		synctest.Wait()
		s.answer(request, "401 Unauthorized", `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"`)
		if x := sent.over(); x.Status != 401 || len(x.Messages) != 2 {
			t.Errorf("%+v", x)
		}
		removal := s.next("REGISTER")
		if header(removal, "Expires") != "0" {
			t.Errorf("behind it:\n%s", removal)
		}
		s.answer(removal, "200 OK")
		<-closed
	})
	// Nor is a password waited for.
	inScript(t, wire.UDP, func(a *ua.Account) {
		registering(a)
		a.Password = func() (string, error) { <-typed; return "", nil }
	}, func(s *scripted, r *run) {
		typed = make(chan struct{})
		s.acceptRegister()
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		s.answer(s.next("REGISTER"), "401 Unauthorized", `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"`)
		time.Sleep(time.Minute)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.close()
		}()
		<-sent.done
		if sent.err == nil || len(sent.x.Messages) != 2 {
			t.Errorf("%v, %+v", sent.err, sent.x)
		}
		s.answer(s.next("REGISTER"), "200 OK")
		<-closed
		close(typed)
	})
	// A goodbye that is cut short ends the one under way.
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		s.next("REGISTER")
		r.kill()
		<-sent.done
		if sent.err == nil || len(sent.x.Messages) == 0 {
			t.Errorf("cut short: %v, %+v", sent.err, sent.x)
		}
	})
}

// Whoever gives up gets what there is. What waited is not sent, and what was sent
// counts when its answer comes.
func TestByHandGivenUp(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		ctx, cancel := context.WithCancel(r.lab.t.Context())
		underWay := r.send(ctx, ua.ByHand{Expires: "600"})
		request := s.next("REGISTER")
		waits := r.send(ctx, ua.ByHand{})
		last := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{ua.LeftOut}})
		synctest.Wait()
		cancel()
		for _, each := range []*sending{underWay, waits} {
			<-each.done
			if !errors.Is(each.err, context.Canceled) {
				t.Errorf("given up: %v", each.err)
			}
		}
		if len(underWay.x.Messages) != 1 || len(waits.x.Messages) != 0 {
			t.Errorf("messages: %+v, %+v", underWay.x.Messages, waits.x.Messages)
		}
		s.answer(request, "200 OK", "Contact: "+header(request, "Contact")+";expires=600")
		query := s.next("REGISTER")
		if header(query, "Contact") != "" {
			t.Errorf("sent though given up:\n%s", query)
		}
		if st := r.state("alice").Registration; st.Granted != 10*time.Minute {
			t.Errorf("its answer does not count: %+v", st)
		}
		s.answer(query, "200 OK", "Contact: "+header(request, "Contact")+";expires=600")
		last.over()
		// One that nobody waits for from the start is not sent either.
		n := r.requests("REGISTER")
		if _, err := r.Send(ctx, "alice", ua.ByHand{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if r.requests("REGISTER") != n {
			t.Error("sent for nobody")
		}
		// A challenge to one that was given up is not answered.
		ctx, cancel = context.WithCancel(r.lab.t.Context())
		underWay = r.send(ctx, ua.ByHand{})
		request = s.next("REGISTER")
		cancel()
		<-underWay.done
		s.answer(request, "401 Unauthorized", `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"`)
		n = r.requests("REGISTER")
		time.Sleep(time.Second)
		list := all[ua.RegistrationDetail](r)
		if r.requests("REGISTER") != n || list[len(list)-1].Reason != "by hand: 401 Unauthorized, answered in 10 ms" {
			t.Errorf("went on\n%s", r.story())
		}
	})
}

// A password that is asked for is waited for; who gives up meanwhile gives the turn
// on. Without one the challenge is the answer.
func TestByHandNeedsPassword(t *testing.T) {
	typed := make(chan string)
	slow := func(a *ua.Account) {
		registering(a)
		a.Password = func() (string, error) { return <-typed, nil }
	}
	const challenge = `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"`
	inScript(t, wire.UDP, slow, func(s *scripted, r *run) {
		typed = make(chan string)
		s.acceptRegister()
		ctx, cancel := context.WithCancel(r.lab.t.Context())
		first := r.send(ctx, ua.ByHand{})
		s.answer(s.next("REGISTER"), "401 Unauthorized", challenge)
		time.Sleep(time.Minute)
		cancel()
		<-first.done
		second := r.send(r.lab.t.Context(), ua.ByHand{Expires: "60"})
		s.answer(s.next("REGISTER"), "401 Unauthorized", challenge)
		time.Sleep(time.Minute)
		typed <- "secret"
		request := s.next("REGISTER")
		if header(request, "Authorization") == "" || header(request, "Expires") != "60" {
			t.Errorf("behind the password: %s", request)
		}
		s.answer(request, "200 OK", "Contact: "+header(request, "Contact")+";expires=60")
		if x := second.over(); len(x.Messages) != 4 {
			t.Errorf("%+v", x.Messages)
		}
		if n := r.requests("REGISTER"); n != 4 {
			t.Errorf("%d REGISTERs\n%s", n, r.story())
		}
	})
	inScript(t, wire.UDP, func(a *ua.Account) { registering(a); a.Password = nil }, func(s *scripted, r *run) {
		s.acceptRegister()
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		s.answer(s.next("REGISTER"), "401 Unauthorized", challenge)
		if x := sent.over(); x.Outcome != "401 Unauthorized: a password is needed and none is set, answered in 10 ms" {
			t.Errorf("%+v", x)
		}
		if st := r.state("alice").Registration.State; st != ua.Registered {
			t.Error(st)
		}
	})
}

// Where there is no connection one is made first; where none can be made, that is
// the error; where it breaks below one by hand, we register again behind it.
func TestByHandConnects(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport, a.Watch = "tcp", ua.WatchOff
		r := l.watch(phoneHost, "", a)
		r.awaitRegistration(ua.Registered)
		phone, server := netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost)
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		r.awaitRegistration(ua.Unregistered)

		l.Registrar.Close()
		time.Sleep(time.Second)
		if r.state("alice").Flow.Up {
			t.Fatal("still connected")
		}
		if x, err := r.Send(r.lab.t.Context(), "alice", ua.ByHand{}); err == nil || len(x.Messages) != 0 {
			t.Errorf("without a registrar: %v, %+v", err, x)
		}
		if _, err := r.Render(r.lab.t.Context(), "alice", ua.ByHand{}); err == nil {
			t.Error("rendered without a connection")
		}
		if st := r.state("alice").Registration.State; st != ua.Unregistered {
			t.Errorf("it became %s", st)
		}
		l.start()
		text, err := r.Render(r.lab.t.Context(), "alice", ua.ByHand{})
		if err != nil || !strings.Contains(text, "Contact: <sip:alice@"+r.state("alice").Flow.Local+";transport=tcp>") || r.requests("REGISTER") != 3 {
			t.Errorf("%v, %d REGISTERs:\n%s", err, r.requests("REGISTER"), text)
		}
		if x := r.sendNow(ua.ByHand{}); x.Status != 200 || r.state("alice").Registration.State != ua.Registered {
			t.Errorf("%+v\n%s", x, r.story())
		}

		// It breaks below one that is under way.
		l.net.Cut(phone, server)
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}})
		time.Sleep(time.Second)
		l.Registrar.Close()
		l.net.Heal(phone, server)
		<-sent.done
		if !errors.Is(sent.err, wire.ErrTransport) && !errors.Is(sent.err, wire.ErrTimeout) {
			t.Errorf("below it: %v", sent.err)
		}
		l.start()
		for range 600 {
			time.Sleep(time.Second)
			if len(l.Bindings("alice")) == 1 {
				break
			}
		}
		if b := l.Bindings("alice"); len(b) != 1 || r.state("alice").Registration.State != ua.Registered {
			t.Errorf("bound %+v\n%s", b, r.story())
		}
		r.close()
	})
}

// oneAtATime fails the test where a REGISTER was sent while another was under way.
func (r *run) oneAtATime() {
	r.lab.t.Helper()
	open := map[string]bool{}
	for _, m := range r.trace.Messages() {
		if !strings.HasSuffix(m.Header("CSeq", ""), " REGISTER") {
			continue
		}
		branch := regexp.MustCompile(`branch=[^;]*`).FindString(m.Header("Via", "v"))
		if m.Direction == trace.Received {
			delete(open, branch)
		} else if open[branch] = true; len(open) > 1 {
			r.lab.t.Fatalf("two under way at %s", m.Time)
		}
	}
}

// Many at once, some given up, while an administrator kicks: each gets its answer,
// no two are under way together, and we end registered.
func TestByHandFromManySides(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		l.net.SetDelay(20*time.Millisecond, 10*time.Millisecond)
		r := l.watch(phoneHost, "", account())
		r.watching()
		var list []*sending
		for i := range 30 {
			ctx, cancel := context.WithTimeout(r.lab.t.Context(), time.Duration(i%5+1)*time.Second)
			defer cancel()
			list = append(list, r.send(ctx, ua.ByHand{Expires: fmt.Sprint(60 + i), CallID: []string{"", "a", ua.FreshCallID}[i%3]}))
		}
		time.Sleep(200 * time.Millisecond)
		if err := l.Deactivate("alice", ""); err != nil && !errors.Is(err, registrar.ErrNoMatch) {
			t.Fatal(err)
		}
		for _, each := range list {
			if <-each.done; each.err != nil && !errors.Is(each.err, context.DeadlineExceeded) {
				t.Error(each.err)
			}
		}
		r.oneAtATime()
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		time.Sleep(5 * time.Second)
		if st := r.state("alice").Registration; st.State != ua.Registered || len(l.Bindings("alice")) != 1 {
			t.Errorf("%+v\n%s", st, r.story())
		}
		r.close()
	})
}

// A removal that is told while a REGISTER by hand is to bind us waits for its
// answer: behind one that bound us it is old, behind a refusal it is a kick.
func TestRemovalWaitsForByHand(t *testing.T) {
	for answer, kicks := range map[string]int{"200 OK": 0, "403 Forbidden": 1} {
		inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
			register := s.begin()
			sent := r.send(r.lab.t.Context(), ua.ByHand{CallID: "another"})
			byHand := s.next("REGISTER")
			s.notify("active;expires=3600", reginfo(1, "full", ours(register, "deactivated", 0)))
			s.next("SIP/2.0 200")
			time.Sleep(100 * time.Millisecond)
			if got := r.kicks(); len(got) != 0 {
				t.Errorf("before the answer: %+v", got)
			}
			s.answer(byHand, answer, "Contact: "+header(byHand, "Contact")+";expires=3600")
			sent.over()
			time.Sleep(time.Second)
			if got := r.kicks(); len(got) != kicks || len(r.state("alice").Prompts) != kicks {
				t.Errorf("%s: kicks %+v\n%s", answer, got, r.story())
			}
		})
	}
}

// What was bound by hand under another Call-ID is ours by that Call-ID too, where
// the registrar shows no more, and its end is a kick though no document listed it.
func TestByHandUnderAnotherCallID(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		sent := r.send(r.lab.t.Context(), ua.ByHand{CallID: "another"})
		byHand := s.next("REGISTER")
		s.answer(byHand, "200 OK", "Contact: "+header(byHand, "Contact")+";expires=3600")
		sent.over()
		s.notify("active;expires=3600", reginfo(0, "full", ours(byHand, "rejected", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(100 * time.Millisecond)
		if got := r.kicks(); len(got) != 1 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		sent := r.send(r.lab.t.Context(), ua.ByHand{CallID: "another"})
		byHand := s.next("REGISTER")
		s.answer(byHand, "200 OK", "Contact: "+header(byHand, "Contact")+";expires=3600")
		sent.over()
		hidden := ours(byHand, "registered", 3600)
		hidden.uri = "sip:alice@198.51.100.1:40000;alias=1"
		s.notify("active;expires=3600", reginfo(1, "full", hidden))
		s.next("SIP/2.0 200")
		time.Sleep(100 * time.Millisecond)
		list := r.state("alice").Bindings
		i := slices.IndexFunc(list, func(b ua.Binding) bool { return b.Contact.URI == hidden.uri })
		if i < 0 || !list[i].Own || list[i].MatchedBy != ua.ByCallID || list[i].Origin != ua.OriginSelf {
			t.Errorf("%+v\n%s", list, r.story())
		}
	})
	// A run that ends without a goodbye leaves that Call-ID to the next.
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		dir := t.TempDir()
		r := l.watch(phoneHost, dir, account())
		r.watching()
		r.sendNow(ua.ByHand{CallID: "another"})
		r.kill()
		files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
		if text, err := os.ReadFile(files[0]); err != nil || !strings.Contains(string(text), `"call_id": "another"`) {
			t.Errorf("%v, kept %s", err, text)
		}
	})
}

// Of two bindings under our URI the one that shows our instance is ours, whichever
// the registrar lists first.
func TestOwnContactBesideOneByHand(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		request := s.next("REGISTER")
		contact := header(request, "Contact")
		s.answer(request, "200 OK", "Contact: "+strings.Replace(contact, "f81d4fae", "00000000", 1)+";expires=60",
			"Contact: "+strings.Replace(contact, "reg-id=1", "reg-id=2", 1)+";expires=70", "Contact: "+contact+";expires=3600")
		time.Sleep(time.Second)
		if st := r.state("alice").Registration; st.Granted != time.Hour {
			t.Errorf("%+v", st)
		}
	})
}

// A REGISTER by hand for another address-of-record, or at another registrar, is
// nothing to our binding, whatever its answer lists.
func TestByHandElsewhere(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		for _, b := range []ua.ByHand{
			{To: "<sip:bob@example.com>", Expires: "60"}, {To: "<sip:bob@example.com>", Expires: "0"}, {To: ua.LeftOut, Expires: "0"},
			{RequestURI: "sip:elsewhere.example.com", Expires: "60"}, {To: "<sip:bob@example.com>", Contacts: []string{ua.LeftOut}},
		} {
			sent := r.send(r.lab.t.Context(), b)
			request := s.next("REGISTER")
			s.answer(request, "200 OK", "Contact: "+header(request, "Contact")+";expires="+header(request, "Expires"))
			if x := sent.over(); x.Status != 200 {
				t.Errorf("%+v", x)
			}
			if st := r.state("alice").Registration; st.State != ua.Registered || st.Granted != time.Hour {
				t.Errorf("%+v: %+v", b, st)
			}
		}
	})
}

// Whoever removes us by hand wants us off: what a kick would have had us do does
// not happen.
func TestRemovalByHandStopsTheReaction(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.On = map[ua.Kick]ua.Policy{ua.KickProbation: ua.Auto}
		r := l.watch(phoneHost, "", a)
		r.watching()
		if err := l.Probation("alice", "", 20*time.Second); err != nil {
			t.Fatal(err)
		}
		r.awaitAction(ua.Waiting)
		r.sendNow(ua.ByHand{Contacts: []string{"*"}, Expires: "0"})
		n := r.requests("REGISTER")
		time.Sleep(time.Hour)
		if st := r.state("alice"); r.requests("REGISTER") != n || len(st.Prompts) != 0 || st.Registration.State != ua.Unregistered {
			t.Errorf("%+v\n%s", st.Registration, r.story())
		}
		r.close()
	})
}

// A query by hand that does not list us settles that we were removed.
func TestQueryByHandFindsUsGone(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.begin()
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut})
		s.answer(s.next("REGISTER"), "200 OK", "Contact: <sip:alice@203.0.113.9>;expires=60")
		sent.over()
		if got := r.kicks(); len(got) != 1 || got[0].Event != "absent" || r.state("alice").Registration.State != ua.Unregistered {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// RFC 3608 6.1: each 2xx for our address-of-record brings its Service-Route.
func TestServiceRouteByHand(t *testing.T) {
	inScript(t, wire.UDP, registering, func(s *scripted, r *run) {
		s.acceptRegister()
		sent := r.send(r.lab.t.Context(), ua.ByHand{})
		request := s.next("REGISTER")
		s.answer(request, "200 OK", "Contact: "+header(request, "Contact")+";expires=3600", "Service-Route: <sip:home.example.com;lr>")
		sent.over()
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
		if subscribe := s.next("SUBSCRIBE"); header(subscribe, "Route") != "<sip:home.example.com;lr>" {
			t.Errorf("%s", subscribe)
		}
	})
}

// The CSeq of our own REGISTER, used again by hand for another contact, does not
// make ours that other one.
func TestSameCSeqForAnotherContact(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}, CSeq: "-0"})
		byHand := s.next("REGISTER")
		if header(byHand, "CSeq") != header(register, "CSeq") {
			t.Errorf("%s", byHand)
		}
		s.answer(byHand, "200 OK", "Contact: <sip:bot@203.0.113.20>;expires=3600")
		sent.over()
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "registered", 3600), ours(byHand, "registered", 3600)))
		s.next("SIP/2.0 200")
		time.Sleep(100 * time.Millisecond)
		for _, b := range r.state("alice").Bindings {
			if b.Own != (b.Contact.URI == ours(register, "registered", 0).uri) {
				t.Errorf("listed as %+v", b)
			}
		}
		s.notify("active;expires=3600", reginfo(2, "partial", ours(register, "rejected", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(100 * time.Millisecond)
		if got := r.kicks(); len(got) != 1 || got[0].Event != "rejected" {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// A removal of our own that is told late, behind a REGISTER by hand for another
// contact, is still our own.
func TestOwnRemovalToldBehindByHand(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		s.answer(s.next("REGISTER"), "200 OK")
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}})
		s.answer(s.next("REGISTER"), "200 OK", "Contact: <sip:bot@203.0.113.20>;expires=3600")
		sent.over()
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "unregistered", 0)))
		s.next("SIP/2.0 200")
		time.Sleep(100 * time.Millisecond)
		list := all[ua.ContactDetail](r)
		if last := list[len(list)-1]; !last.Own || last.Origin != ua.OriginSelf {
			t.Errorf("told as %+v", last)
		}
	})
}

// A binding that was shortened and is not to be refreshed runs out below a REGISTER
// by hand: it has run out, and nothing waits.
func TestHeldBindingRunsOutBelowByHand(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.On = map[ua.Kick]ua.Policy{ua.KickShortened: ua.Ask} }, func(s *scripted, r *run) {
		register := s.begin()
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "shortened", 10)))
		s.next("SIP/2.0 200")
		time.Sleep(9 * time.Second)
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}})
		byHand := s.next("REGISTER")
		time.Sleep(5 * time.Second)
		if st := r.state("alice").Registration; st.State != ua.Unregistered {
			t.Errorf("%+v", st)
		}
		s.answer(byHand, "403 Forbidden")
		sent.over()
		n := r.requests("REGISTER")
		time.Sleep(time.Hour)
		if st := r.state("alice").Registration; st.State != ua.Unregistered || r.requests("REGISTER") != n {
			t.Errorf("%+v\n%s", st, r.story())
		}
	})
}

// What is given up while a connection is made is not sent when it is there, and is
// in nobody's way.
func TestByHandGivenUpWhileConnecting(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport, a.Watch = "tcp", ua.WatchOff
		phone, server := netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost)
		l.net.Cut(phone, server)
		a.WatchOnly = true
		r := l.watch(phoneHost, "", a)
		ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
		defer cancel()
		x, err := r.Send(ctx, "alice", ua.ByHand{})
		if !errors.Is(err, context.DeadlineExceeded) || len(x.Messages) != 0 {
			t.Fatalf("%v, %+v", err, x)
		}
		query := r.send(l.t.Context(), ua.ByHand{Contacts: []string{ua.LeftOut}})
		synctest.Wait()
		l.net.Heal(phone, server)
		if x := query.over(); x.Status != 200 || len(x.Contacts) != 0 {
			t.Errorf("%+v", x)
		}
		r.close()
	})
}

// A password that comes for a REGISTER of ours which was given up meanwhile sends
// nothing beside the one by hand that has its turn.
func TestPasswordComesDuringByHand(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		typed := make(chan string)
		a := account()
		a.Transport, a.Watch = "tcp", ua.WatchOff
		a.Password = func() (string, error) { return <-typed, nil }
		r := l.watch(phoneHost, "", a)
		time.Sleep(time.Second) // our own REGISTER was challenged
		l.Registrar.Close()
		time.Sleep(time.Second)
		r.Do("alice", ua.Command{Verb: ua.DoSubscribe}) // there is no way: our own is given up too
		r.awaitRegistration(ua.Retrying)
		l.net.SetDelay(10*time.Millisecond, 0)
		l.start()
		sent := r.send(l.t.Context(), ua.ByHand{CallID: "another", Expires: "600"})
		time.Sleep(100 * time.Millisecond)
		typed <- "secret"
		if x := sent.over(); x.Status != 200 || len(x.Messages) != 4 {
			t.Errorf("%s\n%s", x.Outcome, r.story())
		}
		r.oneAtATime()
		r.close()
	})
}

// RFC 3261 18.1.1: one by hand that is too large for UDP leaves it like our own, and
// the account with it.
func TestByHandTooLargeForUDP(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport = "udp"
		r := l.watch(phoneHost, "", a)
		r.watching()
		x := r.sendNow(ua.ByHand{Headers: []string{"X-Large: " + strings.Repeat("x", 1300)}, Contacts: []string{ua.LeftOut}})
		if x.Status != 200 || len(x.Messages) != 2 || x.Messages[0].Transport != wire.TCP {
			t.Errorf("%+v", x)
		}
		time.Sleep(time.Second)
		if s := r.state("alice"); s.Registration.State != ua.Registered || s.Flow.Transport != wire.TCP || len(l.Bindings("alice")) != 1 || len(r.kicks()) != 0 {
			t.Errorf("%+v, %+v\n%s", s.Registration, s.Flow, r.story())
		}
		r.close()
	})
}

// Where our address changes below one by hand, its answer would be waited for in
// vain: it fails at once, and our own REGISTER goes from the new address.
func TestAddressChangesDuringByHand(t *testing.T) {
	onTransports(t, registrar.Options{Users: users}, func(l *lab, a ua.Account) {
		r := l.watch(phoneHost, "", a)
		r.watching()
		l.net.Cut(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
		sent := r.send(l.t.Context(), ua.ByHand{Contacts: []string{"<sip:bot@203.0.113.20>"}})
		time.Sleep(time.Second)
		start := time.Now()
		r.host.Unplug()
		r.host.Plug("198.51.100.44")
		<-sent.done
		if took := time.Since(start); !errors.Is(sent.err, wire.ErrTransport) || took > 5*time.Second {
			l.t.Errorf("%v after %v", sent.err, took)
		}
		l.inPlace(r, "198.51.100.44")
		r.close()
	})
}

// Where nobody tells, the 2xx to one by hand is an answer like that to a query: the
// list is new at once, and what it shows is our own doing.
func TestByHandWhilePolling(t *testing.T) {
	const other = "sip:bot@203.0.113.20:5080"
	for _, profile := range registrar.Profiles {
		t.Run(string(profile), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
				a := account()
				a.Watch, a.PollInterval = ua.WatchPoll, time.Hour
				r := l.watch(phoneHost, "", a)
				r.awaitRegistration(ua.Registered)
				time.Sleep(time.Second)
				for _, c := range []struct {
					what      ua.ByHand
					state     ua.RegistrationState
					own, bots int // active in the list
				}{
					{ua.ByHand{Expires: "1800"}, ua.Registered, 1, 0},
					{ua.ByHand{Contacts: []string{"<" + other + ">"}}, ua.Registered, 1, 1},
					{ua.ByHand{Expires: "0"}, ua.Unregistered, 0, 1},
					{ua.ByHand{CallID: ua.FreshCallID}, ua.Registered, 1, 1},
					{ua.ByHand{Contacts: []string{"<" + other + ">"}, Expires: "0"}, ua.Registered, 1, 0},
					{ua.ByHand{Contacts: []string{"*"}, Expires: "0"}, ua.Unregistered, 0, 0},
				} {
					r.sendNow(c.what)
					time.Sleep(100 * time.Millisecond)
					s, own, bots := r.state("alice"), 0, 0
					for _, b := range s.Bindings {
						switch {
						case !b.Active():
						case b.Own:
							own++
						case b.Contact.URI == other:
							bots++
						}
						if b.Origin != ua.OriginSelf {
							t.Errorf("%+v: %s by %s\n%s", c.what, b.Contact.URI, b.Origin, r.story())
						}
					}
					if s.Registration.State != c.state || own != c.own || bots != c.bots || len(s.Disagreements) != 0 {
						t.Errorf("%+v: %s, %d of our own, %d of another; %+v\n%s", c.what, s.Registration.State, own, bots, s.Disagreements, r.story())
					}
				}
				time.Sleep(3 * time.Hour)
				if len(r.kicks()) != 0 || len(all[ua.ActionDetail](r)) != 0 || len(all[ua.DisagreementDetail](r)) != 0 {
					t.Errorf("kicks %+v\n%s", r.kicks(), r.story())
				}
				r.close()
			})
		})
	}
}

// A registrar that shows no Call-ID is believed that it was our REGISTER by hand for
// as long as that may take, and that a binding ran out when its time has.
func TestByHandOtherContactWithoutCallID(t *testing.T) {
	const other = "sip:bot@203.0.113.20:5080"
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.begin()
		sent := r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<" + other + ">"}})
		s.answer(s.next("REGISTER"), "200 OK", "Contact: <"+other+">;expires=600", "Contact: "+header(register, "Contact")+";expires=3600")
		sent.over()
		version := 0
		tells := func(state, event string, expires int, want ua.Origin) {
			t.Helper()
			version++
			s.notify("active;expires=3600", reginfo(version, "full", ours(register, "registered", 3600),
				listing{uri: other, state: state, event: event, attributes: fmt.Sprintf(`expires="%d"`, expires)}))
			s.next("SIP/2.0 200")
			time.Sleep(100 * time.Millisecond)
			list := all[ua.ContactDetail](r)
			if d := list[len(list)-1]; d.URI != other || d.Origin != want || d.Kick() != "" {
				t.Errorf("%s %s: told as %+v", state, event, d)
			}
		}
		tells("active", "registered", 600, ua.OriginSelf)
		time.Sleep(time.Minute)
		tells("active", "refreshed", 600, ua.OriginOtherDevice)
		tells("terminated", "expired", 0, ua.OriginNetwork)
		sent = r.send(r.lab.t.Context(), ua.ByHand{Contacts: []string{"<" + other + ">"}})
		s.answer(s.next("REGISTER"), "200 OK", "Contact: <"+other+">;expires=30", "Contact: "+header(register, "Contact")+";expires=3600")
		sent.over()
		tells("active", "registered", 30, ua.OriginSelf)
		time.Sleep(30 * time.Second)
		tells("terminated", "expired", 0, ua.OriginSelf)
	})
}
