package ua_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// What reaches us besides NOTIFYs is answered as RFC 3261 8.2 says, and what a
// person should know of it is told.
func TestReached(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		inScript(t, transport, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
			register := s.acceptRegister()
			contact, _, _ := strings.Cut(strings.TrimPrefix(header(register, "Contact"), "<"), ">")
			n := 0
			ask := func(method, uri, version, headers string) string {
				t.Helper()
				n++
				s.send(strings.ReplaceAll(fmt.Sprintf("%s %s %s\nVia: SIP/2.0/%s %s;branch=z9hG4bKr%d\n%sContent-Length: 0\n\n",
					method, uri, version, strings.ToUpper(transport), s.addr, n, headers), "\n", "\r\n"))
				return s.next("SIP/2.0 ")
			}
			calls := 0
			whole := func(method string, more ...string) string {
				calls++
				return fmt.Sprintf("From: <sip:bob@example.com>;tag=b\nTo: <sip:alice@example.com>\nCall-ID: r%d\nCSeq: 1 %s\n%s", calls, method, strings.Join(more, ""))
			}
			// 8.2.2.2: a fork brings the same request on a second path.
			twice := "From: <sip:bob@example.com>;tag=b\nTo: <sip:alice@example.com>\nCall-ID: fork\nCSeq: 1 OPTIONS\n"
			if got := ask("OPTIONS", contact, "SIP/2.0", twice); !strings.HasPrefix(got, "SIP/2.0 200") {
				t.Errorf("the first was answered %q", got)
			}
			if got := ask("OPTIONS", contact, "SIP/2.0", twice); !strings.HasPrefix(got, "SIP/2.0 482") {
				t.Errorf("its double was answered %q", got)
			}
			for _, c := range []struct {
				what, method, uri, version, headers string
				status                              int
				wants                               string // in the answer
			}{
				{"OPTIONS: what we support (11.2)", "OPTIONS", contact, "SIP/2.0", whole("OPTIONS"), 200, "Allow: "},
				{"MESSAGE (RFC 3680 3.3)", "MESSAGE", contact, "SIP/2.0", whole("MESSAGE"), 200, ""},
				{"another method (8.2.1)", "PUBLISH", contact, "SIP/2.0", whole("PUBLISH"), 405, "Allow: "},
				{"a scheme that is not ours (8.2.2.1)", "OPTIONS", "foo:alice", "SIP/2.0", whole("OPTIONS"), 416, ""},
				{"an extension that is not ours (8.2.2.3)", "OPTIONS", contact, "SIP/2.0", whole("OPTIONS", "Require: gruu, foo\n"), 420, "Unsupported: foo"},
				{"a version that is not ours (21.5.6)", "OPTIONS", contact, "SIP/7.0", whole("OPTIONS"), 505, ""},
				{"no From (8.1.1)", "OPTIONS", contact, "SIP/2.0", "To: <sip:a@b>\nCall-ID: x\nCSeq: 1 OPTIONS\n", 400, ""},
				{"CSeq of another method (8.1.1.5)", "OPTIONS", contact, "SIP/2.0", whole("INVITE"), 400, ""},
				// 483 is for who would forward it.
				{"no hop left, at its end (16.3)", "OPTIONS", contact, "SIP/2.0", whole("OPTIONS", "Max-Forwards: 0\n"), 200, "Allow: "},
				{"a user who is not here", "OPTIONS", "sip:carol@" + phoneHost, "SIP/2.0", whole("OPTIONS"), 404, ""},
				// The last: without an ACK its answer comes again and again.
				{"INVITE", "INVITE", contact, "SIP/2.0", whole("INVITE", "P-Called-Party-ID: <sip:alice@example.com;gr=x>\n"), 486, ""},
			} {
				if got := ask(c.method, c.uri, c.version, c.headers); !strings.HasPrefix(got, fmt.Sprint("SIP/2.0 ", c.status)) || !strings.Contains(got, c.wants) {
					t.Errorf("%s %s: answered %q", transport, c.what, got)
				}
			}
			time.Sleep(time.Second)
			var invite ua.RequestDetail
			for _, d := range all[ua.RequestDetail](r) {
				if d.Method == "INVITE" {
					invite = d
				}
			}
			if invite.Called != "sip:alice@example.com;gr=x" || invite.CalledFrom != "p-called-party-id" || invite.Status != 486 || invite.From != "sip:bob@example.com" {
				t.Errorf("told of the call as %+v", invite)
			}
		})
	}
}

// RFC 3261 22.3: a proxy may want credentials for our ping too. They are given
// once.
func TestPingThroughAProxyThatAsks(t *testing.T) {
	for _, right := range []bool{true, false} {
		inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
			register := s.next("REGISTER")
			s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+`;temp-gruu="sip:t1@example.com;gr";expires=3600`)
			contact, _, _ := strings.Cut(strings.TrimPrefix(header(register, "Contact"), "<"), ">")
			r.awaitRegistration(ua.Registered)
			r.Do("alice", ua.Command{Verb: ua.DoPing})
			first := s.next("OPTIONS")
			if got := header(first, "Supported"); got != "gruu, outbound" { // RFC 5626 4.3
				t.Errorf("Supported: %s", got)
			}
			s.answer(first, proxyAsks, proxyChallenge)
			second := s.next("OPTIONS")
			if header(second, "CSeq") != "2 OPTIONS" || header(second, "Call-ID") != header(first, "Call-ID") || !strings.Contains(header(second, "Proxy-Authorization"), `realm="edge"`) {
				t.Errorf("after\n%s\ncomes\n%s", first, second)
			}
			want := "came back to this device in 10 ms, answered 200"
			if right {
				back := strings.Replace(second, "OPTIONS sip:t1@example.com;gr ", "OPTIONS "+contact+" ", 1)
				s.send(strings.Replace(back, "Via: ", "Via: SIP/2.0/UDP "+s.addr.String()+";branch=z9hG4bKproxy\r\nVia: ", 1))
				s.next("SIP/2.0 200")
				s.answer(second, "200 OK")
			} else {
				want = "did not come back to this device: answered 407"
				s.answer(second, proxyAsks, proxyChallenge)
			}
			e := r.await("the result", func(e ua.Event) bool { return e.Kind() == ua.KindRequest })
			if !strings.Contains(e.Summary, want) {
				t.Errorf("said %q, want %q", e.Summary, want)
			}
			time.Sleep(time.Minute)
			if n := r.requests("OPTIONS"); n != 2 {
				t.Errorf("%d pings", n)
			}
		})
	}
}

// An OPTIONS to our own GRUU that the proxy brings back is recognised, and
// timed; one that it cannot deliver is told as that.
func TestPing(t *testing.T) {
	inScript(t, wire.UDP, func(a *ua.Account) { a.Watch = ua.WatchOff }, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+`;temp-gruu="sip:t1@example.com;gr";expires=3600`)
		contact, _, _ := strings.Cut(strings.TrimPrefix(header(register, "Contact"), "<"), ">")
		r.awaitRegistration(ua.Registered)
		for _, comes := range []bool{true, false} {
			r.Do("alice", ua.Command{Verb: ua.DoPing})
			ping := s.next("OPTIONS sip:t1@example.com;gr ")
			status := "480 Temporarily Unavailable"
			if comes {
				status = "200 OK"
				back := strings.Replace(ping, "OPTIONS sip:t1@example.com;gr ", "OPTIONS "+contact+" ", 1)
				s.send(strings.Replace(back, "Via: ", "Via: SIP/2.0/UDP "+s.addr.String()+";branch=z9hG4bKproxy\r\nVia: ", 1))
				s.next("SIP/2.0 200")
			}
			s.answer(ping, status)
			e := r.await("the result", func(e ua.Event) bool { return e.Kind() == ua.KindRequest })
			if strings.Contains(e.Summary, "came back to this device in") != comes {
				t.Errorf("said %q", e.Summary)
			}
			p := r.state("alice").Ping
			if p.URI != "sip:t1@example.com;gr" || p.Back > 0 != comes || fmt.Sprint(p.Status) != status[:3] || !strings.Contains(e.Summary, p.Outcome) || p.SentAt.IsZero() {
				t.Errorf("the snapshot has %+v", p)
			}
		}
	})
}
