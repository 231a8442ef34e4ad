package ua_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// cseqOf is the number of a message's CSeq.
func cseqOf(t *testing.T, message string) int {
	t.Helper()
	digits, _, _ := strings.Cut(header(message, "CSeq"), " ")
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("CSeq %q", header(message, "CSeq"))
	}
	return n
}

// RFC 3261 10.2, 10.2.4, 8.1.1.5; RFC 5626 4.2.1: all REGISTERs of a run have one
// Call-ID, From tag, Contact and instance, and each a CSeq one higher; every one
// offers path, outbound and gruu, and has an empty rport. 423, a challenge, a
// query and the removal make no difference.
func TestREGISTERsOfOneRun(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		var all []string
		next := func(status string, headers ...string) {
			t.Helper()
			register := s.next("REGISTER")
			all = append(all, register)
			if status == "200 OK" {
				headers = append(headers, "Contact: "+header(all[0], "Contact")+";expires=30")
			}
			s.answer(register, status, headers...)
		}
		next("401 Unauthorized", `WWW-Authenticate: Digest realm="home", nonce="n", qop="auth"`)
		next("423 Interval Too Brief", "Min-Expires: 7200")
		next("200 OK")
		next("200 OK") // the refresh, half-way
		r.Do("alice", ua.Command{Verb: ua.DoQuery})
		next("200 OK")
		next("200 OK")
		r.Do("alice", ua.Command{Verb: ua.DoUnregister})
		next("200 OK")
		for i, register := range all {
			if i > 0 && cseqOf(t, register) != cseqOf(t, all[i-1])+1 {
				t.Errorf("CSeq %d came after %d", cseqOf(t, register), cseqOf(t, all[i-1]))
			}
			for _, name := range []string{"Call-ID", "From", "To", "Contact", "Supported"} {
				if got := header(register, name); got != header(all[0], name) && got != "" {
					t.Errorf("%s of REGISTER %d is %q, was %q", name, i, got, header(all[0], name))
				}
			}
			if via := header(register, "Via"); !strings.Contains(via+";", ";rport;") {
				t.Errorf("Via without rport: %s", via)
			}
			if got := header(register, "Supported"); got != "path, outbound, gruu" {
				t.Errorf("Supported: %s", got)
			}
		}
		if c := header(all[0], "Contact"); !strings.Contains(c, `;+sip.instance="<urn:uuid:`) || !strings.Contains(c, ";reg-id=1") {
			t.Errorf("Contact: %s", c)
		}
		if header(all[4], "Contact") != "" || header(all[4], "Expires") != "" {
			t.Errorf("the query is no query:\n%s", all[4])
		}
	})
}

// RFC 3261 10.2: one REGISTER at a time, queries and removals among them. What
// comes meanwhile waits for the final answer.
func TestOneREGISTERAtATime(t *testing.T) {
	inScript(t, wire.TCP, nil, func(s *scripted, r *run) {
		first := s.next("REGISTER")
		for _, verb := range []ua.Verb{ua.DoQuery, ua.DoRegister, ua.DoQuery, ua.DoUnregister} {
			r.Do("alice", ua.Command{Verb: verb})
		}
		time.Sleep(10 * time.Second)
		if n := r.sent("REGISTER"); n != 1 {
			t.Fatalf("%d REGISTERs while the first was unanswered", n)
		}
		s.answer(first, "200 OK", "Contact: "+header(first, "Contact")+";expires=3600")
		query := s.next("REGISTER")
		time.Sleep(time.Second)
		if n := r.sent("REGISTER"); n != 2 || header(query, "Contact") != "" {
			t.Fatalf("%d REGISTERs, the second\n%s", n, query)
		}
		s.answer(query, "200 OK", "Contact: "+header(first, "Contact")+";expires=3600")
		removal := s.next("REGISTER")
		if header(removal, "Expires") != "0" {
			t.Errorf("the last wish was to unregister:\n%s", removal)
		}
	})
}

// RFC 5627 4.2: a refresh is so early that its transaction can time out before the
// end: 32 s ahead where more than 64 s are granted, half-way where fewer are. What
// is random makes it earlier only.
func TestRefreshIsEarlyEnough(t *testing.T) {
	for _, granted := range []int{10, 60, 64, 65, 120, 600, 3600, 86400} {
		t.Run(fmt.Sprint(granted), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
				register := s.next("REGISTER")
				s.answer(register, "200 OK", fmt.Sprintf("Contact: %s;expires=%d", header(register, "Contact"), granted))
				r.awaitRegistration(ua.Registered)
				start := time.Now()
				for r.sent("REGISTER") == 1 {
					time.Sleep(time.Second)
				}
				after := time.Since(start).Round(time.Second)
				total := time.Duration(granted) * time.Second
				earliest, latest := total/2, total/2
				if granted > 64 {
					latest = total - 32*time.Second
				}
				if after < earliest-time.Second || after > latest+time.Second {
					t.Errorf("refreshed after %v of %v", after, total)
				}
			})
		})
	}
}

// RFC 5627 4.4, 5.1: no GRUU is ever put into the Contact of a REGISTER.
func TestNoGRUUInREGISTER(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		r := l.watch(phoneHost, "", account())
		r.watching()
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		r.awaitRegistration(ua.Registered)
		if len(r.state("alice").GRUUs) < 2 {
			t.Fatal("the registrar gave no GRUUs")
		}
		for _, m := range r.trace.Messages() {
			if raw := string(m.Raw); strings.HasPrefix(raw, "REGISTER ") && strings.Contains(header(raw, "Contact"), ";gr") {
				t.Errorf("Contact: %s", header(raw, "Contact"))
			}
		}
		r.close()
	})
}

// RFC 3608 5, 6.1: the Service-Route is that of the last 2xx, gone where that has
// none; it stands behind the outbound proxy's Route, on requests outside of
// dialogs, and never on a REGISTER.
func TestServiceRoute(t *testing.T) {
	proxy := "sip:" + registrarHost + ":5060"
	change := func(a *ua.Account) { a.OutboundProxy = []string{proxy} }
	inScript(t, wire.UDP, change, func(s *scripted, r *run) {
		routes := func(message string) []string {
			var out []string
			for line := range strings.SplitSeq(message, "\r\n") {
				if value, found := strings.CutPrefix(line, "Route: "); found {
					out = append(out, value)
				}
			}
			return out
		}
		accept := func(headers ...string) {
			t.Helper()
			register := s.next("REGISTER")
			if got := routes(register); len(got) != 1 || got[0] != "<"+proxy+";lr>" {
				t.Errorf("Route of a REGISTER: %q", got)
			}
			s.answer(register, "200 OK", append(headers, "Contact: "+header(register, "Contact")+";expires=3600")...)
		}
		subscribe := func(want ...string) {
			t.Helper()
			request := s.takeSubscribe()
			got := routes(request)
			if want = append([]string{"<" + proxy + ";lr>"}, want...); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("Route of the SUBSCRIBE: %q, not %q", got, want)
			}
			s.answer(request, "489 Bad Event") // asked again after the next REGISTER
		}
		accept("Service-Route: <sip:a.example.com;lr>, <sip:b.example.com;lr>", "Service-Route: <sip:c.example.com;lr>")
		subscribe("<sip:a.example.com;lr>", "<sip:b.example.com;lr>", "<sip:c.example.com;lr>")
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		accept("Service-Route: <sip:d.example.com;lr>")
		subscribe("<sip:d.example.com;lr>")
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		accept()
		subscribe()
	})
}
