package registrar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
)

func TestRegisterRefreshQueryRemove(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		ok := p.register(200, `Contact: "Alice A" `+p.contact()+`;q=0.5;audio;x="a;b"`, "Expires: 600")
		c := contactsOf(t, ok)
		if len(c) != 1 || c[0].Display != "Alice A" || c[0].Params.Get("expires") != "600" || c[0].Params.Get("q") != "0.5" ||
			!c[0].Params.Has("audio") || c[0].Params.Get("x") != "a;b" {
			t.Fatalf("got %q", ok.Headers.Values("Contact"))
		}
		if _, err := time.Parse(time.RFC1123, ok.Headers.Get("Date")); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Second)
		if c = contactsOf(t, p.register(200)); len(c) != 1 || c[0].Params.Get("expires") != "500" {
			t.Fatalf("query: got %v", c)
		}
		// The parameter goes before the header field, and both before the default.
		if c = contactsOf(t, p.register(200, "Contact: "+p.contact()+";expires=60", "Expires: 600")); c[0].Params.Get("expires") != "60" {
			t.Errorf("refresh: got %v", c)
		}
		if c = contactsOf(t, p.register(200, "Contact: "+p.contact())); c[0].Params.Get("expires") != "3600" {
			t.Errorf("default: got %v", c)
		}
		if c = contactsOf(t, p.register(200, "Contact: "+p.contact(), "Expires: 99999999999")); c[0].Params.Get("expires") != "7200" {
			t.Errorf("too long: got %v", c)
		}
		p.register(200, "Contact: <sip:alice@192.0.2.8>, <sip:alice@192.0.2.9>;expires=20")
		if got := l.Bindings("alice"); len(got) != 3 || got[0].URI != "sip:alice@192.0.2.7:5060" {
			t.Errorf("bindings: got %v", got)
		}
		if c = contactsOf(t, p.register(200, "Contact: <sip:alice@192.0.2.8>;expires=0")); len(c) != 2 {
			t.Errorf("removal of one: got %v", c)
		}
		time.Sleep(20 * time.Second)
		if c = contactsOf(t, p.register(200)); len(c) != 1 {
			t.Errorf("after a lapse: got %v", c)
		}
		for _, wrong := range [][]string{
			{"Contact: *"}, {"Contact: *", "Expires: 60"}, {"Contact: *, <sip:a@192.0.2.9>", "Expires: 0"},
		} {
			p.register(400, wrong...)
		}
		if c = contactsOf(t, p.register(200, "Contact: *", "Expires: 0")); len(c) != 0 || len(l.Bindings("")) != 0 {
			t.Errorf("removal of all: got %v", c)
		}
	})
}

func TestRegisterRefusals(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		if got := p.register(423, "Contact: "+p.contact(), "Expires: 5").Headers.Get("Min-Expires"); got != "10" {
			t.Errorf("Min-Expires is %q", got)
		}
		if got := p.register(420, "Require: path, magic").Headers.Get("Unsupported"); got != "magic" {
			t.Errorf("Unsupported is %q", got)
		}
		p.register(404, "To: <sip:alice@elsewhere.example>")
		p.register(400, "Contact: <>")
		p.register(400, "CSeq: 7 SUBSCRIBE")
		if got := p.send("REGISTER", "sip:elsewhere.example").Status; got != 404 {
			t.Errorf("another domain: got %d", got)
		}
		for method, want := range map[string]int{"OPTIONS": 200, "MESSAGE": 405, "SING": 501} {
			if got := p.send(method, "sip:"+domain).Status; got != want {
				t.Errorf("%s: got %d, want %d", method, got, want)
			}
		}
		// RFC 5627 5.1: these would make a loop.
		for _, contact := range []string{"<" + alice + ">", "<" + alice + ";gr=x>", "<tel:+123>"} {
			p.register(403, "Contact: "+contact+`;+sip.instance="<`+instance+`>"`)
		}
	})
}

func TestCSeqOrder(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.register(200, "Contact: "+p.contact(), "CSeq: 10 REGISTER")
		p.register(500, "Contact: "+p.contact(), "CSeq: 10 REGISTER")
		p.register(500, "Contact: *", "Expires: 0", "CSeq: 9 REGISTER")
		// A request of which one part fails does nothing at all.
		p.register(500, "Contact: <sip:new@192.0.2.9>, "+p.contact(), "CSeq: 9 REGISTER")
		if got := l.Bindings("alice"); len(got) != 1 || got[0].CSeq != 10 {
			t.Errorf("got %v", got)
		}
		p.register(200, "Contact: "+p.contact(), "CSeq: 1 REGISTER", "Call-ID: another")
		p.register(200, "Contact: *", "Expires: 0", "CSeq: 1 REGISTER", "Call-ID: third")
	})
}

func TestGRUU(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		contact := "Contact: " + p.contact() + `;+sip.instance="<` + instance + `>";pub-gruu="sip:forged@example.com;gr"`
		first := contactsOf(t, p.register(200, contact, "Supported: gruu, path"))[0].Params
		pub, temp := first.Get("pub-gruu"), first.Get("temp-gruu")
		if pub != "sip:alice@example.com;gr="+instance {
			t.Errorf("public GRUU is %q", pub)
		}
		if !strings.HasPrefix(temp, "sip:tgruu.") || !strings.HasSuffix(temp, "@example.com;gr") {
			t.Errorf("temporary GRUU is %q", temp)
		}
		second := contactsOf(t, p.register(200, contact, "Supported: gruu"))[0].Params
		if second.Get("pub-gruu") != pub || second.Get("temp-gruu") == temp || second.Get("temp-gruu") == "" {
			t.Errorf("second: %v", second)
		}
		if plain := contactsOf(t, p.register(200, contact))[0].Params; plain.Has("pub-gruu") || plain.Has("temp-gruu") || plain.Get("+sip.instance") != "<"+instance+">" {
			t.Errorf("without Supported: %v", plain)
		}

		p.subscribe(200)
		c := p.one().Registrations[0].Contacts[0]
		if c.PubGRUU != pub || c.TempGRUU == "" || c.FirstCSeq.Value != 1 || c.CSeq.Value != 3 || c.Instance != instance {
			t.Errorf("document: %+v", c)
		}
		// Another Call-ID ends those that were there (RFC 5627 5.1).
		p.register(200, contact, "Call-ID: another", "CSeq: 77 REGISTER")
		if c = p.one().Registrations[0].Contacts[0]; c.FirstCSeq.Value != 77 {
			t.Errorf("document after another Call-ID: %+v", c)
		}
		if err := l.Deactivate("alice", instance); err != nil {
			t.Error(err)
		}
		if c = p.one().Registrations[0].Contacts[0]; c.PubGRUU != "" || c.TempGRUU != "" {
			t.Errorf("terminated contact: %+v", c)
		}
	})
}

func TestOutbound(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		flow := func(uri, regID string) string {
			return "Contact: <" + uri + `>;+sip.instance="<` + instance + `>";reg-id=` + regID
		}
		if got := p.register(200, flow("sip:a@192.0.2.7", "1"), "Supported: outbound, path").Headers.Get("Require"); got != "outbound" {
			t.Errorf("Require is %q", got)
		}
		if got := p.register(200, flow("sip:a@192.0.2.7:5070", "1")).Headers; got.Has("Require") || len(got.Values("Contact")) != 1 {
			t.Errorf("moved flow: got %v", got)
		}
		p.register(200, flow("sip:a@192.0.2.7:5070", "2"), "Call-ID: second-flow")
		if got := l.Bindings("alice"); len(got) != 2 || got[0].RegID != 1 || got[1].RegID != 2 || got[0].ID == got[1].ID || got[0].TempGRUU != got[1].TempGRUU {
			t.Errorf("two flows: got %v", got)
		}
		p.register(400, flow("sip:a@192.0.2.7:5070", "3")+", <sip:b@192.0.2.7>")
		// Without reg-id the URI decides; without an instance reg-id counts for nothing.
		p.register(200, `Contact: <sip:a@192.0.2.9>;+sip.instance="<`+instance+`>"`)
		p.register(200, "Contact: <sip:a@192.0.2.10>;reg-id=1")
		if got := len(l.Bindings("alice")); got != 4 {
			t.Errorf("%d bindings, want 4", got)
		}
		p.register(200, flow("sip:other@192.0.2.99", "1")+";expires=0")
		if got := l.Bindings("alice"); len(got) != 3 || got[0].RegID != 2 {
			t.Errorf("removed flow: got %v", got)
		}
		if got := p.register(200, "Path: <sip:edge.example.com;lr;ob>").Headers.Get("Path"); got != "<sip:edge.example.com;lr;ob>" {
			t.Errorf("Path is %q", got)
		}
	})
}

func TestTooManyContacts(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phoneOver(wire.TCP, "192.0.2.7")
		for n := range maxBindings {
			p.register(200, fmt.Sprintf("Contact: <sip:alice@192.0.2.7:%d>", 1000+n))
		}
		refused := p.register(503, "Contact: <sip:alice@192.0.2.7:9>")
		if refused.Headers.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}

func TestDigest(t *testing.T) {
	inLab(t, Options{Users: map[string]string{"alice": "secret", "bob": "other"}}, func(l *lab) {
		p := l.phone("192.0.2.7")
		contact := "Contact: " + p.contact()
		challenge := p.register(401, contact)
		if got := challenge.Headers.Values("WWW-Authenticate"); len(got) != 2 || !strings.Contains(got[0], "SHA-256") || !strings.Contains(got[1], "MD5") {
			t.Fatalf("challenges: %q", got)
		}
		uri := "sip:" + domain
		good := func(c *wire.Response, n int) string { return authorize(c, "REGISTER", uri, "alice", "secret", n) }
		p.register(200, contact, good(challenge, 1))
		p.register(200, contact, good(challenge, 3))
		p.register(200, contact, good(challenge, 2)) // overtaken, not repeated
		isStale := func(r *wire.Response) bool {
			return strings.Contains(r.Headers.Get("WWW-Authenticate"), "stale=true")
		}
		if !isStale(p.register(401, contact, good(challenge, 3))) {
			t.Error("a repeated count is not called stale")
		}
		if isStale(p.register(401, contact, authorize(challenge, "REGISTER", uri, "alice", "wrong", 4))) {
			t.Error("a wrong password is called stale")
		}
		p.register(403, contact, authorize(challenge, "REGISTER", uri, "mallory", "secret", 5))
		p.register(403, contact, authorize(challenge, "REGISTER", uri, "bob", "other", 6))
		p.register(400, contact, authorize(challenge, "REGISTER", "sip:elsewhere.example", "alice", "secret", 7))
		time.Sleep(DefaultNonceLifetime + time.Second)
		again := p.register(401, contact, good(challenge, 8))
		if !isStale(again) {
			t.Error("an old nonce is not called stale")
		}
		p.register(200, contact, good(again, 1))

		_, challenge = p.subscribe(401)
		p.subscribe(403, authorize(challenge, "SUBSCRIBE", alice, "bob", "other", 1))
		p.subscribe(200, authorize(challenge, "SUBSCRIBE", alice, "alice", "secret", 2))
		if got := words(t, p.one()); got != "full active refreshed" {
			t.Error(got)
		}
	})
}
