package ua_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/ua"
)

// torture is a message with the fault or oddity of one section of RFC 4475, or
// of RFC 5118 where that says so, in words of our own. URI is our Contact, VIA our
// peer's, FIELDS the other fields that each request has, less those that the text
// has itself. LENGTH is the Content-Length that fits, and stands at the end of the
// head where the text has none.
type torture struct {
	section, what string
	text          string
	udp, tcp      string // status of the answer, "silence" or "closed"
}

const sdp = "\n\nv=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 40000 RTP/AVP 0\n"

var tortures = []torture{
	{"3.1.1.1", "white space, folding and case", "OPTIONS URI SIP/2.0\nvIa  : SIP / 2.0 / TRANSPORT\n  PEER ;\n\tbranch = z9hG4bKown\nMAX-forwards :\n 010\nfrom :\"a \\\\\\\"b\\\"\"\n <sip:bob@example.net>\n ;tag = own-b\nTO :\n sip:alice@example.com ; tag-not=x\nCALL-id: own.1@x\ncseq : 0009\n  OPTIONS\nX-Nobody-Knows;:\n ;;,,;;\nK :gruu , path\nL :\n 0", "200", "200"},
	{"3.1.1.2", "every character that a token may have", "x-Own.Method!%*_+`'~1 URI SIP/2.0\nCSeq: 5 x-Own.Method!%*_+`'~1\nX-~!%*_+`'.: \x7f\u00e9\u4e16\nFIELDS", "405", "405"},
	{"3.1.1.3", "escapes that mean themselves", "OPTIONS ESCAPED SIP/2.0\nFIELDS", "200", "200"},
	{"3.1.1.4", "an escaped NUL in a user", "OPTIONS sip:a%00b@192.0.2.7 SIP/2.0\nFIELDS", "404", "404"},
	{"3.1.1.5", "% that escapes nothing: no OPTIONS", "OPTION%53 URI SIP/2.0\nCSeq: 1 OPTION%53\nFIELDS", "405", "405"},
	{"3.1.1.6", "no blank before <", "OPTIONS URI SIP/2.0\nFrom: bob<sip:bob@example.net>;tag=own-b\nTo: \"a\"<sip:alice@example.com>\nFIELDS", "200", "200"},
	{"3.1.1.7", "long values", "OPTIONS URI SIP/2.0\nFrom: \"" + strings.Repeat("long ", 200) + "\" <sip:" + strings.Repeat("b", 300) + "@example.net>;tag=" + strings.Repeat("t", 200) + "\nX-" + strings.Repeat("n", 300) + ": " + strings.Repeat("v", 2000) + "\nFIELDS", "200", "200"},
	{"3.1.1.8", "octets behind the body", "OPTIONS URI SIP/2.0\nFIELDS\nContent-Length: 0\n\nINVITE sip:nobody@192.0.2.7 SIP/2.0\n", "200", "200"},
	{"3.1.1.9", "semicolons in a user", "OPTIONS sip:a;b=c%40d@192.0.2.7;e SIP/2.0\nFIELDS", "404", "404"},
	{"3.1.1.10", "transports that nobody knows", "OPTIONS URI SIP/2.0\nVIA, SIP/2.0/PIGEON a.example;branch=z9hG4bKp\nVia: SIP/2.0/SCTP b.example;branch=z9hG4bKs,SIP/2.0/TLS c.example;branch=z9hG4bKt\nFIELDS", "200", "200"},
	{"3.1.1.11", "a multipart body", "MESSAGE URI SIP/2.0\nContent-Type: multipart/mixed;boundary=own\nFIELDS\n\n--own\nContent-Type: text/plain\n\nhi\n--own\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n\x01\x02\xff\n--own--", "200", "200"},
	{"3.1.2.1", "separators with nothing between", "OPTIONS URI SIP/2.0\nVia: SIP/2.0/TRANSPORT PEER;;,;,,\nContact: <sip:bob@example.net>;;;\nFIELDS", "silence", "silence"},
	{"3.1.2.2", "a Content-Length larger than the message", "MESSAGE URI SIP/2.0\nFIELDS\nContent-Length: 5000\n\nshort", "silence", "closed"},
	{"3.1.2.3", "a negative Content-Length", "MESSAGE URI SIP/2.0\nFIELDS\nContent-Length: -5\n\nbody", "silence", "closed"},
	{"3.1.2.4", "numbers over 32 bits", "OPTIONS URI SIP/2.0\nCSeq: 99999999999999999999 OPTIONS\nExpires: 1" + strings.Repeat("0", 90) + "\nMax-Forwards: 400\nFIELDS", "400", "400"},
	{"3.1.2.4", "a number over 31 bits, outside of a dialog", "OPTIONS URI SIP/2.0\nCSeq: 2147483648 OPTIONS\nFIELDS", "400", "400"},
	{"3.1.2.4", "the largest number, outside of a dialog", "OPTIONS URI SIP/2.0\nCSeq: 2147483647 OPTIONS\nFIELDS", "200", "200"},
	{"3.1.1.1", "a tab in a CSeq", "OPTIONS URI SIP/2.0\nCSeq: 1\tOPTIONS\nFIELDS", "200", "200"},
	{"3.1.2.4", "no number at all", "OPTIONS URI SIP/2.0\nCSeq: OPTIONS\nFIELDS", "400", "400"},
	{"3.1.2.6", "a quote that is never closed", "OPTIONS URI SIP/2.0\nTo: \"Alice <sip:alice@example.com>\nFIELDS", "400", "400"},
	{"3.1.2.7", "a Request-URI in brackets", "OPTIONS <URI> SIP/2.0\nFIELDS", "silence", "silence"},
	{"3.1.2.8", "a blank in the Request-URI", "OPTIONS URI; lr SIP/2.0\nFIELDS", "silence", "silence"},
	{"3.1.2.9", "two blanks in the request line", "OPTIONS  URI  SIP/2.0\nFIELDS", "silence", "silence"},
	{"3.1.2.10", "a blank behind the request line", "OPTIONS URI SIP/2.0  \nFIELDS", "silence", "silence"},
	{"3.1.2.11", "header fields in the Request-URI", "OPTIONS URI?Route=%3Csip:evil.example%3E SIP/2.0\nFIELDS", "200", "200"},
	{"3.1.2.12", "a Date that is none", "OPTIONS URI SIP/2.0\nDate: Mon, 29 Feb 2027 25:00:00 CET\nFIELDS", "200", "200"},
	{"3.1.2.13", "a URI with a question mark, not in brackets", "OPTIONS URI SIP/2.0\nContact: sip:bob@example.net?Route=%3Csip:evil.example%3E\nFIELDS", "200", "200"},
	{"3.1.2.14", "blanks within a URI", "OPTIONS URI SIP/2.0\nTo: <  sip:alice@example.com  >\nFIELDS", "200", "200"},
	{"3.1.2.15", "a display name of no tokens", "OPTIONS URI SIP/2.0\nFrom: Bob, of (x) @ <sip:bob@example.net>;tag=own-b\nFIELDS", "200", "200"},
	{"3.1.2.16", "another version", "OPTIONS URI SIP/9.1\nFIELDS", "505", "505"},
	{"3.1.2.17", "a CSeq of another method", "OPTIONS URI SIP/2.0\nCSeq: 1 MESSAGE\nFIELDS", "400", "400"},
	{"3.1.2.18", "an unknown method, and a CSeq of another", "UNHEARD URI SIP/2.0\nCSeq: 1 OF\nFIELDS", "400", "400"},
	{"3.2.1", "a branch that is nothing but its cookie", "OPTIONS URI SIP/2.0\nVia: SIP/2.0/TRANSPORT PEER;branch=z9hG4bK\nFIELDS", "200", "200"},
	{"3.3.1", "no Call-ID, From or To", "OPTIONS URI SIP/2.0\nVIA\nCSeq: 1 OPTIONS", "400", "400"},
	{"3.3.2", "a scheme that nobody knows", "OPTIONS ownscheme:alice SIP/2.0\nFIELDS", "416", "416"},
	{"3.3.3", "a scheme for something else", "OPTIONS http://192.0.2.7/ SIP/2.0\nFIELDS", "416", "416"},
	{"3.3.4", "such schemes in header fields", "OPTIONS URI SIP/2.0\nFrom: <urn:x-own:1>;tag=own-b\nTo: <isbn:0>\nContact: <own-scheme:x>\nFIELDS", "200", "200"},
	{"3.3.5", "extensions that nobody knows", "OPTIONS URI SIP/2.0\nRequire: own-1, own-2\nProxy-Require: own-3\nFIELDS", "420", "420"},
	{"3.3.6", "a type of body that nobody knows", "MESSAGE URI SIP/2.0\nContent-Type: application/own-type\nFIELDS\n\n<?>", "200", "200"},
	{"3.3.7", "credentials of no known scheme", "OPTIONS URI SIP/2.0\nAuthorization: OwnScheme a=\"b\", c\nFIELDS", "200", "200"},
	{"3.3.8", "two of what there is one of", "OPTIONS URI SIP/2.0\nFIELDS\nCSeq: 7 OPTIONS\nCall-ID: another\nFrom: <sip:carol@example.net>;tag=c\nTo: <sip:dave@example.net>\nMax-Forwards: 5", "400", "400"},
	{"3.3.9", "two lengths", "MESSAGE URI SIP/2.0\nFIELDS\nContent-Length: 2\nContent-Length: 4\n\nbody", "400", "400"},
	{"3.3.11", "Max-Forwards 0, at the end of the way", "OPTIONS URI SIP/2.0\nMax-Forwards: 0\nFIELDS", "200", "200"},
	{"3.3.12", "a REGISTER with parameters of the Contact, to a phone", "REGISTER URI SIP/2.0\nContact: sip:bob@example.net;x=1\nFIELDS", "405", "405"},
	{"3.3.13", "a REGISTER with parameters of the URI, to a phone", "REGISTER URI SIP/2.0\nContact: <sip:bob@example.net;x=1>\nFIELDS", "405", "405"},
	{"3.3.14", "a REGISTER with escaped header fields in the Contact", "REGISTER URI SIP/2.0\nContact: <sip:bob@example.net?Route=%3Csip:x.example%3E>\nFIELDS", "405", "405"},
	{"3.3.15", "an Accept that nobody can serve", "OPTIONS URI SIP/2.0\nAccept: text/own-type\nFIELDS", "200", "200"},
	{"3.4.1", "an INVITE of RFC 2543", "INVITE URI SIP/2.0\nVia: SIP/2.0/TRANSPORT PEER\nFrom: bob <sip:bob@example.net>;tag=1\nTo: sip:alice@example.com\nCall-ID: own-2543@x\nCSeq: 1 INVITE\nContent-Type: application/sdp" + sdp, "486", "486"},
	{"RFC 5118 4.1", "an IPv6 reference", "OPTIONS sip:USER@[2001:db8::7] SIP/2.0\nFIELDS", "200", "200"},
	{"RFC 5118 4.2", "an IPv6 address without brackets", "OPTIONS sip:2001:db8::7 SIP/2.0\nFIELDS", "silence", "silence"},
	{"RFC 5118 4.3", "what looks like a port, within the brackets", "OPTIONS sip:USER@[2001:db8::7:5070] SIP/2.0\nFIELDS", "200", "200"},
	{"RFC 5118 4.4", "a port behind the brackets", "OPTIONS sip:USER@[2001:db8::7]:5070 SIP/2.0\nFIELDS", "200", "200"},
	{"RFC 5118 4.5", "a received with brackets, and one without", "OPTIONS URI SIP/2.0\nVIA;received=[2001:db8::1]\nVia: SIP/2.0/UDP [2001:db8::2]:5062;received=2001:db8::3;branch=z9hG4bKv6\nFIELDS", "200", "200"},
	{"RFC 5118 4.6", "IPv6 in SDP", "INVITE URI SIP/2.0\nContent-Type: application/sdp\nFIELDS" + strings.ReplaceAll(sdp, "IP4 192.0.2.1", "IP6 2001:db8::1"), "486", "486"},
	{"RFC 5118 4.7", "addresses of both kinds", "OPTIONS URI SIP/2.0\nVIA\nVia: SIP/2.0/UDP [2001:db8::2];branch=z9hG4bKa, SIP/2.0/UDP 198.51.100.2;branch=z9hG4bKb\nRecord-Route: <sip:[2001:db8::2];lr>, <sip:198.51.100.2;lr>\nFIELDS", "200", "200"},
	{"RFC 5118 4.8", "both kinds in SDP", "INVITE URI SIP/2.0\nContent-Type: application/sdp\nFIELDS" + sdp + "m=audio 40002 RTP/AVP 0\nc=IN IP6 2001:db8::1\n", "486", "486"},
	{"RFC 5118 4.9", "IPv4 in IPv6", "OPTIONS sip:USER@[::ffff:192.0.2.7] SIP/2.0\nContact: <sip:bob@[::FFFF:198.51.100.2]>\nFIELDS", "200", "200"},
	{"RFC 5118 4.10", "three colons", "OPTIONS sip:USER@[2001:db8:::192.0.2.7] SIP/2.0\nFIELDS", "200", "200"},
}

// write makes the message as it goes out.
func (m torture) write(s *scripted) string {
	method, _, _ := strings.Cut(m.text, " ")
	head, body, hasBody := strings.Cut(m.text, "\n\n")
	var fields []string
	for _, f := range []string{"VIA", "Max-Forwards: 70", "From: <sip:bob@example.net>;tag=own-b", "To: <sip:alice@example.com>", "Call-ID: own@x", "CSeq: 1 " + method} {
		name, _, _ := strings.Cut(f, ":")
		before, _, _ := strings.Cut(head, "FIELDS")
		if !strings.Contains(before, "\n"+name) && (name != "VIA" || !strings.Contains(before, "\nVia:")) {
			fields = append(fields, f)
		}
	}
	if !strings.Contains(strings.ToLower(head), "\ncontent-length") && !strings.Contains(head, "\nL :") {
		if hasBody {
			body = strings.ReplaceAll(body, "\n", "\r\n")
		}
		head += fmt.Sprintf("\nContent-Length: %d", len(body))
	}
	user, _, _ := strings.Cut(strings.TrimPrefix(s.contact, "sip:"), "@")
	head = strings.NewReplacer("ESCAPED", strings.Replace(s.contact, "alice", "%61l%69ce", 1), "USER", user).Replace(head)
	head = strings.ReplaceAll(head, "FIELDS", strings.Join(fields, "\n"))
	head = strings.ReplaceAll(head, "VIA", "Via: SIP/2.0/TRANSPORT PEER;branch=z9hG4bKown")
	head = strings.NewReplacer("URI", s.contact, "TRANSPORT", strings.ToUpper(s.transport), "PEER", s.addr.String(), "\n", "\r\n").Replace(head)
	return head + "\r\n\r\n" + body
}

// Each message gets the answer that its RFC names, or none; what is whole is
// understood; and none disturbs the registration, but that over a connection what
// has no end ends it.
func TestTorture(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		for _, m := range tortures {
			want := m.udp
			if transport == wire.TCP {
				want = m.tcp
			}
			t.Run(transport+"/"+m.section, func(t *testing.T) {
				inScript(t, transport, nil, func(s *scripted, r *run) {
					s.begin()
					before := r.state("alice")
					s.send(m.write(s))
					time.Sleep(time.Second)
					got := "silence"
					for len(s.in) > 0 {
						if message := <-s.in; strings.HasPrefix(message, "SIP/2.0 ") {
							got = message[8:11]
						}
					}
					if transport == wire.TCP && got == "silence" {
						select {
						case <-s.closed:
							got = "closed"
						case <-time.After(time.Minute):
						}
					}
					if got != want {
						t.Errorf("%s: %s, not %s", m.what, got, want)
					}
					r.isHarmless()
					after := r.state("alice")
					if got != "closed" && (after.Registration.State != ua.Registered || after.Subscription.State != ua.Active ||
						!after.Registration.ExpiresAt.Equal(before.Registration.ExpiresAt) || len(r.kicks()) > 0) {
						t.Errorf("%s: it is %s\n%s", m.what, after.Registration.State, r.story())
					}
				})
			})
		}
	}
}

// The answers among them, to a query of ours over UDP: one that counts ends it, one
// that is to be discarded lets it be sent again, and neither disturbs anything.
func TestTortureAnswers(t *testing.T) {
	for _, c := range []struct {
		section, what string
		edit          func(answer string) string
		counts        bool
	}{
		{"3.1.1.12", "a reason phrase of all kinds", func(a string) string { return strings.Replace(a, "OK", "= \"50%\" \u00fcber <\u4e16\u754c>;,", 1) }, true},
		{"3.1.1.13", "an empty reason phrase", func(a string) string { return strings.Replace(a, "OK", "", 1) }, true},
		{"3.1.2.5", "numbers that are too large", func(a string) string {
			return strings.Replace(strings.Replace(a, "200 OK", "503 Own", 1), "CSeq: ", "Retry-After: 99999999999999999999\r\nCSeq: 9999999999999", 1)
		}, false},
		{"3.1.2.19", "a status of many digits", func(a string) string { return strings.Replace(a, "200 OK", "4294967496 OK", 1) }, false},
		{"3.3.10", "a Via of everybody", func(a string) string {
			return strings.Replace(a, "Via: SIP/2.0/UDP "+phoneHost, "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKall\r\nVia: SIP/2.0/UDP "+phoneHost, 1)
		}, false},
	} {
		t.Run(c.section, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.begin()
				contact := "Contact: " + header(register, "Contact") + ";expires=3600"
				r.Do("alice", ua.Command{Verb: ua.DoQuery})
				query := s.next("REGISTER")
				s.send(c.edit(answerTo(query, "200 OK", "", contact)))
				time.Sleep(2 * time.Second)
				if again := len(s.in) > 0; again == c.counts {
					t.Errorf("%s: sent again: %v", c.what, again)
				}
				s.answer(query, "200 OK", contact)
				time.Sleep(time.Second)
				if state := r.state("alice"); state.Registration.State != ua.Registered || state.Subscription.State != ua.Active {
					t.Errorf("%s: %s\n%s", c.what, state.Registration.State, r.story())
				}
				r.isHarmless()
			})
		})
	}
}
