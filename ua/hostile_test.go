package ua_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"net/netip"

	"regwatch/internal/journal"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/ua"
)

// A reader of messages that shares no code with ours, and takes nothing that RFC
// 3261 25.1 would not.
var (
	headerLine = regexp.MustCompile("^([A-Za-z0-9.!%*_+`'~-]+): (.*)$")
	startLine  = regexp.MustCompile(`^([A-Z]+ [A-Za-z]+:[^ ]+ SIP/2\.0|SIP/2\.0 [1-6][0-9][0-9] [^\r\n]*)$`)
)

const quoted = `"(?:[^"\\]|\\.)*"`

var shapes = map[string]*regexp.Regexp{
	"From":                regexp.MustCompile(`^(` + quoted + ` )?<[^<>"\s]+>;tag=[A-Za-z0-9.!%*_+~-]+$`),
	"To":                  regexp.MustCompile(`^<[^<>"\s]+>(;tag=[A-Za-z0-9.!%*_+~-]+)?$`),
	"Contact":             regexp.MustCompile(`^(\*|<[^<>"\s]+>(;[A-Za-z0-9.!%*_+~-]+(=([A-Za-z0-9.!%*_+~:\[\]-]+|` + quoted + `))?)*)$`),
	"Route":               regexp.MustCompile(`^(` + quoted + ` )?<[^<>"\s]+>(;[A-Za-z0-9.!%*_+~-]+(=([A-Za-z0-9.!%*_+~-]+|` + quoted + `))?)*$`),
	"Authorization":       regexp.MustCompile(`^Digest [a-z]+=([A-Za-z0-9-]+|` + quoted + `)(, [a-z]+=([A-Za-z0-9-]+|` + quoted + `))*$`),
	"Proxy-Authorization": regexp.MustCompile(`^Digest [a-z]+=([A-Za-z0-9-]+|` + quoted + `)(, [a-z]+=([A-Za-z0-9-]+|` + quoted + `))*$`),
	"CSeq":                regexp.MustCompile(`^[0-9]+ [A-Z]+$`),
	"Call-ID":             regexp.MustCompile(`^[^\s]+$`),
	"Expires":             regexp.MustCompile(`^[0-9]+$`),
	"Max-Forwards":        regexp.MustCompile(`^[0-9]+$`),
	"Content-Length":      regexp.MustCompile(`^[0-9]+$`),
}

// fault says what is wrong with a message, or "", and which header fields it has.
func fault(message string) (wrong string, names []string) {
	head, body, found := strings.Cut(message, "\r\n\r\n")
	if !found {
		return "no end of the head", nil
	}
	lines := strings.Split(head, "\r\n")
	if !startLine.MatchString(lines[0]) {
		return fmt.Sprintf("start line %q", lines[0]), nil
	}
	length := -1
	for _, line := range lines[1:] {
		m := headerLine.FindStringSubmatch(line)
		if m == nil || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return fmt.Sprintf("line %q", line), names
		}
		// Answers repeat what they were asked, and a challenge gets its realm back.
		strict := !strings.HasPrefix(lines[0], "SIP/2.0 ")
		if shape := shapes[m[1]]; strict && shape != nil && !shape.MatchString(m[2]) {
			return fmt.Sprintf("%q", line), names
		}
		if strict && !strings.HasSuffix(m[1], "Authorization") && (!utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl)) {
			return fmt.Sprintf("text %q", line), names
		}
		if m[1] == "Content-Length" {
			length, _ = strconv.Atoi(m[2])
		}
		names = append(names, m[1])
	}
	for _, name := range []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Contact", "Expires", "Event"} {
		if n := len(slices.DeleteFunc(slices.Clone(names), func(other string) bool { return other != name })); n > 1 {
			return fmt.Sprintf("%d of %s", n, name), names
		}
	}
	if length != len(body) {
		return fmt.Sprintf("body of %d bytes, said to be %d", len(body), length), names
	}
	return "", names
}

// quotedIn reads the quoted string that stands behind the first of these words.
func quotedIn(message, behind string) string {
	_, rest, _ := strings.Cut(message, behind)
	var out strings.Builder
	for i := 1; strings.HasPrefix(rest, `"`) && i < len(rest) && rest[i] != '"'; i++ {
		if rest[i] == '\\' {
			i++
		}
		out.WriteByte(rest[i])
	}
	return out.String()
}

// sentBy lets an account register, with a challenge, and subscribe, and returns
// what it sent.
func sentBy(t *testing.T, a ua.Account) (sent []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		s := newScripted(t, n.Host(registrarHost), wire.UDP, netip.MustParseAddrPort(registrarHost+":5060"))
		r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
		defer r.kill()
		for challenged := false; len(sent) < 4; {
			select {
			case message := <-s.in:
				sent = append(sent, message)
				switch {
				case strings.HasPrefix(message, "REGISTER") && !challenged:
					s.answer(message, "401 Unauthorized", `WWW-Authenticate: Digest realm="example.com", nonce="n", qop="auth"`)
					challenged = true
				case strings.HasPrefix(message, "REGISTER"):
					s.answer(message, "200 OK", "Contact: "+header(message, "Contact")+";expires=3600")
				case strings.HasPrefix(message, "SUBSCRIBE"):
					s.answer(message, "200 OK", "Expires: 3600")
				}
			case <-time.After(time.Second):
				return
			}
		}
	})
	return sent
}

// nasty are texts that would do harm if they were written as they are.
var nasty = map[string]string{
	"CRLF":          "a\r\nX-Evil: 1",
	"LF":            "a\nX-Evil: 1",
	"CR":            "a\rX-Evil: 1",
	"NUL":           "a\x00b",
	"tab":           "a\tb",
	"DEL":           "a\x7fb",
	"C1":            "a\u0085\u009b2Jb",
	"escape":        "\x1b[2J",
	"quote":         `a"b`,
	"end of quotes": `a", evil="1`,
	"backslash":     `a\`,
	"backslashes":   `\\"\`,
	"bracket":       "a>;evil=1",
	"open bracket":  "<sip:evil@example.net>",
	"comma":         "a, <sip:evil@example.net>",
	"semicolon":     ";expires=0",
	"blank":         "a b",
	"at":            "a@evil.example.net",
	"question":      "a?X-Evil=1",
	"invalid UTF-8": "a\xff\xc3b",
	"70 kB":         strings.Repeat("a", 70_000),
	"70 kB list":    strings.Repeat("a;b,", 17_500),
	"only a blank":  " ",
	"percent":       "a%0d%0aX-Evil:%201",
	"colon":         "X-Evil: 1",
	"number":        "99999999999999999999",
}

// Whatever stands in a setting, either the account is refused, and the error names
// the setting and is no longer than a line, or just those header fields are sent
// that any account sends.
func TestHostileSettings(t *testing.T) {
	plain := ua.Account{
		AOR: "sip:alice@example.com", OutboundProxy: []string{"sip:" + registrarHost + ":5060"},
		Password: func() (string, error) { return "secret", nil },
	}
	baseline := sentBy(t, plain)
	if len(baseline) < 3 {
		t.Fatalf("sent %q", baseline)
	}
	names := map[string][]string{}
	for _, message := range baseline {
		wrong, list := fault(message)
		if wrong != "" {
			t.Fatalf("%s in %s", wrong, message)
		}
		method, _, _ := strings.Cut(message, " ")
		names[method] = append(names[method], list...)
	}
	settings := map[string]func(*ua.Account, string){
		"name":                  func(a *ua.Account, v string) { a.Name = v },
		"aor":                   func(a *ua.Account, v string) { a.AOR = v },
		"aor (user)":            func(a *ua.Account, v string) { a.AOR = "sip:" + v + "@example.com" },
		"aor (host)":            func(a *ua.Account, v string) { a.AOR = "sip:alice@" + v },
		"aor (parameter)":       func(a *ua.Account, v string) { a.AOR = "sip:alice@example.com;x=" + v },
		"display_name":          func(a *ua.Account, v string) { a.DisplayName = v },
		"username":              func(a *ua.Account, v string) { a.Username = v },
		"watch_uri":             func(a *ua.Account, v string) { a.WatchURI = "sip:bob@example.com;x=" + v },
		"registrar":             func(a *ua.Account, v string) { a.Registrar = "sip:example.com;x=" + v },
		"registrar (host)":      func(a *ua.Account, v string) { a.Registrar = "sip:" + v },
		"outbound_proxy":        func(a *ua.Account, v string) { a.OutboundProxy = []string{plain.OutboundProxy[0] + ";x=" + v} },
		"outbound_proxy (user)": func(a *ua.Account, v string) { a.OutboundProxy = []string{"sip:" + v + "@" + registrarHost} },
		"transport":             func(a *ua.Account, v string) { a.Transport = v },
		"local_address":         func(a *ua.Account, v string) { a.LocalAddress = v },
		"instance_id":           func(a *ua.Account, v string) { a.InstanceID = "urn:uuid:" + v },
		"q":                     func(a *ua.Account, v string) { a.Q = v },
		"contact_params":        func(a *ua.Account, v string) { a.ContactExtra = v },
		"contact_params (name)": func(a *ua.Account, v string) { a.ContactExtra = "x;" + v + "=1" },
		"contact_params (text)": func(a *ua.Account, v string) { a.ContactExtra = `x="` + v + `"` },
		"headers":               func(a *ua.Account, v string) { a.Headers = []string{"X-Test: " + v} },
		"headers (name)":        func(a *ua.Account, v string) { a.Headers = []string{"X-Test" + v + ": 1"} },
		"headers (line)":        func(a *ua.Account, v string) { a.Headers = []string{v} },
		"password":              func(a *ua.Account, v string) { a.Password = func() (string, error) { return v, nil } },
		"ha1":                   func(a *ua.Account, v string) { a.Password, a.HA1 = nil, v },
	}
	for _, setting := range slices.Sorted(maps.Keys(settings)) {
		for _, what := range slices.Sorted(maps.Keys(nasty)) {
			t.Run(setting+"/"+what, func(t *testing.T) {
				a := plain
				settings[setting](&a, nasty[what])
				err := a.Check()
				var field *ua.FieldError
				key, _, _ := strings.Cut(setting, " ")
				switch {
				case err == nil:
				case !errors.As(err, &field) || field.Key != key || len(err.Error()) > 1000:
					t.Fatalf("refused with %.2000q", err)
				default:
					return
				}
				sent := sentBy(t, a)
				if elsewhere := setting == "outbound_proxy" && what == "at"; len(sent) == 0 && !elsewhere {
					t.Error("accepted, and nothing was sent")
				}
				for _, message := range sent {
					wrong, list := fault(message)
					method, _, _ := strings.Cut(message, " ")
					meant := names[method]
					for _, line := range a.Headers {
						name, _, _ := strings.Cut(line, ":")
						meant = append(slices.Clone(meant), strings.TrimSpace(name))
					}
					for _, name := range list {
						if !slices.Contains(meant, name) {
							wrong += " a header field that was not meant: " + name
						}
					}
					if said := quotedIn(message, "From: "); said != a.DisplayName {
						wrong += fmt.Sprintf(" the display name is %q", said)
					}
					if said := quotedIn(message, "username="); a.Username != "" && header(message, "Authorization") != "" && said != a.Username {
						wrong += fmt.Sprintf(" the user name is %q", said)
					}
					if wrong != "" {
						t.Errorf("%s\nin %.3000q", wrong, message)
					}
				}
			})
		}
	}
}

// pests are texts from the network that would steer a terminal, reorder what is
// read, or make one line two.
var pests = map[string]string{
	"escape":   "\x1b[2J\x1b]0;owned\x07",
	"C1":       "\u009b2J\u0085",
	"bidi":     "\u202emoc.elpmaxe\u2066",
	"LF":       "a\nX-Evil: 1",
	"NUL":      "a\x00b",
	"no UTF-8": "\xff\xfe\xc3",
	"quotes":   `a"b\"c\`,
	"brackets": "<sip:evil@example.net>;x=\"",
	"long":     strings.Repeat("long ", 8_000),
	"longer":   strings.Repeat("a", 20_000),
}

// fed gives a scripted server each pest in turn and looks at what the agent made of
// it: what it sent is well-formed, what it tells is safe to print and of a size that
// can be kept, and it still registers when the server comes to its senses.
func fed(t *testing.T, transport string, feed func(s *scripted, r *run, pest string)) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(pests)) {
		t.Run(name, func(t *testing.T) {
			inScript(t, transport, nil, func(s *scripted, r *run) {
				feed(s, r, pests[name])
				bound := "Server: test" // what a query is told
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				for range 60 {
					time.Sleep(time.Second)
					for len(s.in) > 0 {
						if message := <-s.in; strings.HasPrefix(message, "REGISTER") {
							if contact := header(message, "Contact"); contact != "" {
								bound = "Contact: " + contact + ";expires=3600"
							}
							s.answer(message, "200 OK", bound)
						}
					}
				}
				if state := r.state("alice").Registration.State; state != ua.Registered {
					t.Errorf("in the end %s\n%.5000s", state, r.story())
				}
				r.isHarmless()
			})
		})
	}
}

// isHarmless looks at everything that was sent and told.
func (r *run) isHarmless() {
	t := r.lab.t
	t.Helper()
	for _, m := range r.trace.Messages() {
		if m.Direction != trace.Sent {
			continue
		}
		if wrong, _ := fault(string(m.Raw)); wrong != "" {
			t.Errorf("sent %s\nin %.2000q", wrong, m.Raw)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		line, err := journal.Line(e)
		if err != nil || !json.Valid(line) || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("written as %.2000q, %v", line, err)
		}
		for _, c := range string(line[:len(line)-1]) {
			if !unicode.IsPrint(c) {
				t.Errorf("%U in %.2000q", c, line)
				break
			}
		}
		if len(e.Summary) > 2000 || len(line) > 20_000 {
			t.Errorf("%s event of %d bytes, summary %d", e.Kind(), len(line), len(e.Summary))
		}
	}
}

// Each place of an answer to REGISTER and SUBSCRIBE where a server can write what
// it likes.
func TestHostileAnswers(t *testing.T) {
	places := map[string]func(s *scripted, request, contact, pest string){
		"reason": func(s *scripted, request, _, pest string) { s.answer(request, "403 "+pest) },
		"reason of a 503": func(s *scripted, request, _, pest string) {
			s.answer(request, "503 "+pest, "Retry-After: 5 ("+pest+")")
		},
		"fields for people": func(s *scripted, request, contact, pest string) {
			s.answer(request, "200 OK", contact, "Server: "+pest, "Warning: 399 "+pest+" \""+pest+"\"", "Date: "+pest, "Expires: "+pest, "Min-Expires: "+pest)
		},
		"contact": func(s *scripted, request, contact, pest string) {
			s.answer(request, "200 OK", "Contact: \""+pest+"\" <sip:"+pest+"@example.net>;q="+pest, contact)
		},
		"GRUU": func(s *scripted, request, contact, pest string) {
			s.answer(request, "200 OK", contact+`;pub-gruu="sip:`+pest+`;gr=1";temp-gruu="sip:t`+pest+`@example.com;gr"`)
		},
		"Service-Route": func(s *scripted, request, contact, pest string) {
			s.answer(request, "200 OK", contact, "Service-Route: <sip:"+pest+";lr>", "Service-Route: "+pest, "Service-Route: <sip:192.0.2.1;lr>;x="+pest, "P-Associated-URI: "+pest)
		},
		"Authentication-Info": func(s *scripted, request, contact, pest string) {
			s.answer(request, "200 OK", contact, "Authentication-Info: nextnonce=\""+pest+"\", rspauth="+pest)
		},
		"realm": func(s *scripted, request, _, pest string) {
			s.answer(request, "401 Unauthorized", "WWW-Authenticate: Digest realm=\""+pest+"\", nonce=\"n\"")
		},
		"realm, quoted": func(s *scripted, request, _, pest string) {
			s.answer(request, "401 Unauthorized", "WWW-Authenticate: Digest realm=\""+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(pest)+"\", nonce=\"n\"")
		},
		"realm, folded": func(s *scripted, request, _, pest string) {
			s.answer(request, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"a\r\n "+pest+"\",\r\n\tnonce=\"n\"")
		},
		"nonce": func(s *scripted, request, _, pest string) {
			s.answer(request, "407 Proxy Authentication Required", "Proxy-Authenticate: Digest realm=\"r\", nonce=\""+pest+"\", opaque=\""+pest+"\", algorithm="+pest+", qop=\""+pest+",auth\"")
		},
		"challenge": func(s *scripted, request, _, pest string) {
			s.answer(request, "401 Unauthorized", "WWW-Authenticate: "+pest)
		},
		"Via": func(s *scripted, request, contact, pest string) {
			s.answer(strings.Replace(request, ";rport", ";rport="+pest+";received="+pest, 1), "200 OK", contact)
		},
		"numbers": func(s *scripted, request, contact, _ string) {
			s.answer(request, "423 Interval Too Brief", "Min-Expires: 99999999999999999999", "Retry-After: -1", "Expires: 4294967296")
		},
		"status": func(s *scripted, request, _, pest string) { s.answer(request, "999 "+pest) },
	}
	for place, answer := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			fed(t, wire.UDP, func(s *scripted, r *run, pest string) {
				register := s.next("REGISTER")
				answer(s, register, "Contact: "+header(register, "Contact")+";expires=3600", pest)
				time.Sleep(time.Second)
				r.Do("alice", ua.Command{Verb: ua.DoPing})
				// Whatever follows gets the same, a SUBSCRIBE above all.
				for range 20 {
					time.Sleep(time.Second)
					for len(s.in) > 0 {
						if message := <-s.in; strings.HasPrefix(message, "REGISTER") || strings.HasPrefix(message, "SUBSCRIBE") {
							answer(s, message, "Contact: "+header(message, "Contact")+";expires=3600", pest)
						}
					}
				}
			})
		})
	}
}

// Each place of a NOTIFY: it is answered, and the requests that follow in its
// dialog are well-formed.
func TestHostileNotify(t *testing.T) {
	plain := func(s *scripted) string {
		return strings.ReplaceAll(fmt.Sprintf(`NOTIFY %s SIP/2.0
Via: SIP/2.0/UDP %s;branch=z9hG4bKn%d
Max-Forwards: 70
From: <sip:alice@example.com>;tag=server
To: <sip:alice@example.com>;tag=%s
Call-ID: %s
CSeq: 1 NOTIFY
Contact: <sip:notifier@%s>
Event: reg
Subscription-State: active;expires=3600
Content-Length: 0

`, s.contact, s.addr, s.cseq, s.toTag, s.callID, s.addr), "\n", "\r\n")
	}
	places := map[string][2]string{
		"Contact":            {"Contact: <sip:notifier@" + registrarHost + ":5060>", "Contact: <sip:PEST@" + registrarHost + ":5060>"},
		"Contact, parameter": {"Contact: <sip:notifier@" + registrarHost + ":5060>", "Contact: <sip:notifier@" + registrarHost + ":5060;x=PEST>;y=PEST"},
		"tag":                {"tag=server", "tag=PEST"},
		"tag, quoted":        {"tag=server", `tag="PEST"`},
		"name":               {"From: <sip:alice", "From: \"PEST\" <sip:PEST"},
		"Record-Route":       {"Event: reg", "Record-Route: <sip:PEST;lr>, PEST\r\nRecord-Route: <sip:" + registrarHost + ";lr>;x=PEST\r\nEvent: reg"},
		"reason":             {"active;expires=3600", "terminated;reason=\"PEST\";retry-after=PEST"},
		"state":              {"active;expires=3600", "PEST;expires=PEST"},
		"event":              {"Event: reg", "Event: PEST;id=PEST"},
		"CSeq":               {"1 NOTIFY", "1 PEST"},
		"Call-ID":            {"Call-ID: ", "Call-ID: PEST"},
		"branch":             {"branch=z9hG4bKn", "branch=z9hG4bKPEST"},
		"type":               {"Content-Length: 0", "Content-Type: PEST\r\nContent-Length: 4\r\n\r\nPEST"},
		"other field":        {"Event: reg", "Event: reg\r\nX-PEST: PEST\r\nSubject: PEST"},
		"Request-URI":        {" SIP/2.0\r\n", "PEST SIP/2.0\r\n"},
	}
	for place, replacement := range places {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			fed(t, wire.UDP, func(s *scripted, r *run, pest string) {
				s.acceptRegister()
				s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
				s.send(strings.Replace(plain(s), replacement[0], strings.ReplaceAll(replacement[1], "PEST", pest), 1))
				time.Sleep(time.Second)
				r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
				time.Sleep(time.Second)
			})
		})
	}
}

// A document is no header field, but what it says is shown as well.
func TestHostileDocument(t *testing.T) {
	fed(t, wire.UDP, func(s *scripted, r *run, pest string) {
		register := s.begin()
		pest = strings.NewReplacer(`"`, "&quot;", "<", "&lt;").Replace(pest)
		s.notify("active;expires=3600", reginfo(1, "full", ours(register, "refreshed", 3600),
			listing{uri: "sip:" + pest, state: pest, event: pest, attributes: `callid="` + pest + `" q="` + pest + `" expires="` + pest + `"`},
			listing{uri: "sip:bob@example.net", state: "active", event: "registered", attributes: `callid="c" display-name="` + pest + `"`}))
		time.Sleep(time.Second)
	})
}

// Each place of a request that is not of a dialog.
func TestHostileRequests(t *testing.T) {
	fed(t, wire.UDP, func(s *scripted, r *run, pest string) {
		s.begin()
		for i, method := range []string{"OPTIONS", "MESSAGE", "INVITE", "PUBLISH", "NOTIFY"} {
			lines := []string{
				method + " " + s.contact + " SIP/2.0", fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKr%d", s.addr, i), "Max-Forwards: 70",
				"From: \"x\" <sip:bob@example.net>;tag=t", "To: <sip:alice@example.com>", fmt.Sprintf("Call-ID: request%d", i), "CSeq: 1 " + method,
				"Subject: x", "P-Called-Party-ID: <sip:alice@example.com>", "History-Info: <sip:alice@example.com>;index=1", "Record-Route: <sip:192.0.2.1;lr>",
				"Require: x", "Content-Type: text/plain", "Content-Length: 0",
			}
			for n := range lines {
				changed := slices.Clone(lines)
				changed[1] += fmt.Sprint("n", n)
				changed[5] += fmt.Sprint("n", n)
				if method != "OPTIONS" {
					changed[11] = "X-Other: x"
				}
				changed[n] += pest
				s.send(strings.Join(changed, "\r\n") + "\r\n\r\n")
				time.Sleep(10 * time.Millisecond)
			}
			changed := slices.Clone(lines)
			changed[11], changed[13] = "X-Other: x", fmt.Sprint("Content-Length: ", len(pest))
			s.send(strings.Join(changed, "\r\n") + "\r\n\r\n" + pest)
		}
		time.Sleep(time.Second)
	})
}

// peer answers requests on connections and sockets as f says: n counts the
// connections, from 1.
func peer(t *testing.T, n *memnet.Net, f func(connection int, request string, send func(string))) {
	t.Helper()
	at := netip.MustParseAddrPort(registrarHost + ":5060")
	listener, err := n.Host(registrarHost).Listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for connection := 1; ; connection++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				reader := bufio.NewReader(conn)
				for request := ""; ; {
					line, err := reader.ReadString('\n')
					if err != nil {
						return
					}
					if request += line; line == "\r\n" { // none has a body
						f(connection, request, func(answer string) { conn.Write([]byte(answer)) })
						request = ""
					}
				}
			}()
		}
	}()
}

// answerTo is a plain answer with these header fields and body.
func answerTo(request, status, body string, headers ...string) string {
	lines := []string{"SIP/2.0 " + status}
	for _, name := range []string{"Via", "From", "Call-ID", "CSeq"} {
		lines = append(lines, name+": "+header(request, name))
	}
	to := header(request, "To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=server"
	}
	lines = append(append(lines, "To: "+to), headers...)
	return strings.Join(append(lines, fmt.Sprint("Content-Length: ", len(body))), "\r\n") + "\r\n\r\n" + body
}

// A message that is larger than any may be ends its TCP connection, which is told,
// and the next one serves.
func TestHugeOverTCP(t *testing.T) {
	pad := strings.Repeat("x", 70_000)
	for name, huge := range map[string]func(request, contact string) string{
		"header of 70 kB": func(request, contact string) string { return answerTo(request, "200 OK", "", contact, "X-Pad: "+pad) },
		"1 MB": func(request, contact string) string {
			return answerTo(request, "200 OK", strings.Repeat("x", 1<<20), contact)
		},
		"no end": func(string, string) string { return "SIP/2.0 200 OK\r\nX-Pad: " + strings.Repeat("x", 1<<20) },
		"no length": func(request, _ string) string {
			return strings.Replace(answerTo(request, "200 OK", ""), "Content-Length", "X", 1)
		},
		"more than it says": func(request, contact string) string {
			return strings.Replace(answerTo(request, "200 OK", "", contact), "Content-Length: 0", "Content-Length: 4294967295", 1)
		},
		"70 kB in a NOTIFY": func(request, contact string) string {
			return answerTo(request, "200 OK", "", contact) + "NOTIFY sip:alice@192.0.2.7 SIP/2.0\r\nX-Pad: " + pad + "\r\nContent-Length: 0\r\n\r\n"
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				n.SetDelay(5*time.Millisecond, 0)
				peer(t, n, func(connection int, request string, send func(string)) {
					contact := "Contact: " + header(request, "Contact") + ";expires=3600"
					if connection == 1 {
						send(huge(request, contact))
					} else {
						send(answerTo(request, "200 OK", "", contact))
					}
				})
				a := account()
				a.Registrar, a.Transport, a.Watch = "sip:"+registrarHost, wire.TCP, ua.WatchOff
				r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
				defer r.kill()
				down := r.await("the end of the connection", func(e ua.Event) bool {
					d, ok := e.Detail.(ua.FlowDetail)
					return ok && d.State == "down"
				})
				if !strings.Contains(down.Summary, "more than 65535 bytes") {
					t.Errorf("told as %q", down.Summary)
				}
				r.awaitRegistration(ua.Registered)
				r.isHarmless()
			})
		})
	}
}

// As much as a datagram carries is read: 5000 contacts with ours at the end, and
// header fields of 60 kB.
func TestHugeOverUDP(t *testing.T) {
	var others strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&others, "<sip:%d@a>,", i)
	}
	for name, more := range map[string]string{
		"5000 contacts":   "Contact: " + strings.TrimSuffix(others.String(), ","),
		"header of 60 kB": "X-Pad: " + strings.Repeat("x", 60_000),
		"30000 headers":   strings.TrimSuffix(strings.Repeat("a:\r\n", 15_000), "\r\n"),
		"30000 routes":    "Service-Route: " + strings.Repeat("<a:b>,", 10_000) + "<a:b>",
		"parameters":      "Service-Route: <sip:a@b>" + strings.Repeat(";a", 30_000),
		"challenges":      "WWW-Authenticate: " + strings.Repeat("Digest realm=a,", 4_000),
	} {
		t.Run(name, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				register := s.next("REGISTER")
				begun := time.Now()
				s.answer(register, "200 OK", more, "Contact: "+header(register, "Contact")+";expires=3600")
				r.awaitRegistration(ua.Registered)
				if took := time.Since(begun); took > time.Second {
					t.Errorf("read after %v", took)
				}
				r.Do("alice", ua.Command{Verb: ua.DoQuery})
				s.answer(s.next("REGISTER"), "200 OK", more)
				time.Sleep(time.Second)
				r.isHarmless()
			})
		})
	}
}
