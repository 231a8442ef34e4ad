package registrar

import (
	"strings"
	"testing"
	"testing/synctest"
)

// TestOddities sends what no device should; each is answered, and the registrar
// lives on.
func TestOddities(t *testing.T) {
	inLab(t, Options{Users: map[string]string{"alice": "secret"}}, func(l *lab) {
		p := l.phone("192.0.2.7")
		for _, odd := range []string{
			"Authorization: Digest", "Authorization: Basic YWJj", `Authorization: Digest username="alice`,
			`Authorization: Digest realm="example.com"`,
			`Authorization: Digest username="alice", realm="example.com", uri="sip:example.com", algorithm=SHA-3`,
			`Authorization: Digest username="alice", realm="example.com", uri="sip:example.com", qop=auth, nc=zz`,
			`Authorization: Digest username="alice", realm="example.com", uri="sip:example.com", qop=auth-int`,
			"Authorization: Digest ,,,=,=", "To: <sip:%zz@>", "To: <sip:@example.com>", "To: <tel:+1>",
		} {
			if got := p.send("REGISTER", "sip:"+domain, odd, "Contact: "+p.contact()).Status; got < 400 || got >= 500 {
				t.Errorf("%s: %d", odd, got)
			}
		}
	})
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		for _, odd := range []string{
			"Contact: <sip:", "Contact: ;;;", "Contact: ,", `Contact: "\`, "Contact: <sip:a@b>;expires=-1;q=;=;reg-id=0",
			"Contact: <sip:a@b>;+sip.instance;reg-id=x", `Contact: <sip:a@b>;+sip.instance="<>";reg-id=99999999999`,
			"Contact: <" + strings.Repeat("x", 20000) + ">", "Contact: *;expires=0", "Expires: soon", "Path: ,,<", "Event: ;;",
		} {
			for _, method := range []string{"REGISTER", "SUBSCRIBE"} {
				p.send(method, alice, odd, "Event: reg")
			}
		}
		p.heard()
		p.register(200, "Contact: "+p.contact(), "Call-ID: sane")
	})
}

// TestAlgorithms computes what a client would, for each algorithm.
func TestAlgorithms(t *testing.T) {
	for _, algorithm := range []string{"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "sha-512-256-sess"} {
		inLab(t, Options{Users: map[string]string{"alice": "secret"}, Algorithms: []string{algorithm}}, func(l *lab) {
			p := l.phone("192.0.2.7")
			c, _ := parseCredentials(p.register(401).Headers.Get("WWW-Authenticate"))
			h, _ := hashOf(algorithm)
			ha1 := hexHash(h, "alice", c["realm"], "secret")
			if strings.HasSuffix(algorithm, "-sess") {
				ha1 = hexHash(h, ha1, c["nonce"], "cn")
			}
			ha2 := hexHash(h, "REGISTER", "sip:example.com")
			head := `Authorization: Digest username="alice", realm="example.com", uri="sip:example.com", algorithm=` + algorithm + `, nonce="` + c["nonce"] + `"`
			p.register(200, head+`, qop=auth, nc=00000002, cnonce="cn", response="`+hexHash(h, ha1, c["nonce"], "00000002", "cn", "auth", ha2)+`"`)
			// Without qop the nonce serves once.
			old := head + `, cnonce="cn", response="` + hexHash(h, ha1, c["nonce"], ha2) + `"`
			p.register(200, old)
			p.register(401, old)
		})
	}
}

// TestRFC7616Example is the one of RFC 7616 3.9.1.
func TestRFC7616Example(t *testing.T) {
	for algorithm, want := range map[string]string{
		"MD5":     "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		h, _ := hashOf(algorithm)
		ha1 := hexHash(h, "Mufasa", "http-auth@example.org", "Circle of Life")
		got := hexHash(h, ha1, "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "00000001",
			"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth", hexHash(h, "GET", "/dir/index.html"))
		if got != want {
			t.Errorf("%s: got %s, want %s", algorithm, got, want)
		}
	}
}

// TestBehindAProxy: reg-id counts only where the first hop does outbound.
func TestBehindAProxy(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		contact := "Contact: " + p.contact() + `;+sip.instance="<` + instance + `>";reg-id=1`
		via := "Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKother"
		p.register(439, via, contact, "Supported: outbound", "Path: <sip:edge.example.com;lr>")
		p.register(200, via, contact)
		if got := l.Bindings("alice"); len(got) != 1 || got[0].RegID != 0 {
			t.Errorf("without outbound: %v", got)
		}
		if got := p.register(200, via, contact, "Supported: outbound", "Path: <sip:edge.example.com;lr;ob>"); got.Headers.Get("Require") != "outbound" {
			t.Errorf("with outbound: %v", got.Headers)
		}
	})
}

// TestOwnGRUUAsContact would make a loop (RFC 5627 5.1).
func TestOwnGRUUAsContact(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		param := `;+sip.instance="<` + instance + `>"`
		p.register(200, "Contact: "+p.contact()+param)
		b := l.Bindings("alice")[0]
		p.register(403, "Contact: <"+b.TempGRUU+">"+param)
		p.register(403, "Contact: <"+b.PubGRUU+">"+param)
	})
}

// TestFullMailbox: what cannot be taken in is refused, not left waiting.
func TestFullMailbox(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		hold := make(chan struct{})
		l.post(func() { <-hold })
		synctest.Wait()
		for len(l.mailbox) < mailboxSize {
			l.mailbox <- func() {}
		}
		response := p.register(503, "Contact: "+p.contact())
		if _, ok := response.SeenAs(); !ok {
			t.Error("the answer does not say where the request came from")
		}
		close(hold)
		synctest.Wait()
		p.register(200, "Contact: "+p.contact())
	})
}
