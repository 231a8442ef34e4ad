package registrar

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"regwatch/internal/wire"
)

// signedRegister sends a REGISTER with a body, signed by c.
func (p *phone) signedRegister(c *wire.Credentials) *wire.Response {
	p.t.Helper()
	p.cseq++
	r := &wire.Request{Method: "REGISTER", URI: "sip:" + domain, Body: []byte("body"), Headers: wire.Headers{
		{Name: "From", Value: "<" + alice + ">;tag=1"}, {Name: "To", Value: "<" + alice + ">"},
		{Name: "Call-ID", Value: p.callID}, {Name: "CSeq", Value: fmt.Sprint(p.cseq, " REGISTER")},
		{Name: "Contact", Value: p.contact()}, {Name: "Content-Type", Value: "text/plain"},
	}}
	if err := c.Sign(r); err != nil {
		p.t.Fatal(err)
	}
	response, err := p.flow.Do(context.Background(), r)
	if err != nil {
		p.t.Fatal(err)
	}
	return response
}

// TestOwnCredentials lets our own user agent's digest in, with every algorithm,
// with and without the body in it.
func TestOwnCredentials(t *testing.T) {
	for _, algorithm := range wire.Algorithms {
		for _, qop := range []string{"auth", "auth-int"} {
			t.Run(algorithm+" "+qop, func(t *testing.T) {
				inLab(t, Options{Users: map[string]string{"alice": "secret"}, Algorithms: []string{algorithm}}, func(l *lab) {
					p := l.phone("192.0.2.7")
					for password, want := range map[string]int{"secret": 200, "wrong": 401} {
						c := &wire.Credentials{Username: "alice", Password: password}
						challenge := p.signedRegister(c)
						for i := range challenge.Headers { // the client would take auth of the two
							challenge.Headers[i].Value = strings.Replace(challenge.Headers[i].Value, `"auth,auth-int"`, `"`+qop+`"`, 1)
						}
						if again, err := c.Learn(challenge); err != nil || !again {
							t.Fatalf("%t, %v: %v", again, err, challenge.Headers)
						}
						for range 3 {
							response := p.signedRegister(c)
							if response.Status != want {
								t.Fatalf("password %q: %d %v", password, response.Status, response.Headers)
							}
							if want == 200 {
								continue
							}
							if again, err := c.Learn(response); err != nil || again {
								t.Errorf("a wrong password is worth another try: %v", err)
							}
							break
						}
					}
				})
			})
		}
	}
}

// TestChangedBody: with auth-int the answer is of one body only.
func TestChangedBody(t *testing.T) {
	r := &Registrar{options: Options{Users: map[string]string{"alice": "secret"}, Algorithms: []string{"MD5"}}}
	c := &wire.Credentials{Username: "alice", Password: "secret"}
	if _, err := c.Learn(&wire.Response{Status: 401, Headers: wire.Headers{
		{Name: "WWW-Authenticate", Value: `Digest realm="example.com", nonce="n", qop="auth-int", algorithm=MD5`},
	}}); err != nil {
		t.Fatal(err)
	}
	in := &wire.Incoming{Request: wire.Request{Method: "REGISTER", URI: "sip:example.com", Body: []byte("body")}}
	if err := c.Sign(&in.Request); err != nil {
		t.Fatal(err)
	}
	given, _ := parseCredentials(in.Headers.Get("Authorization"))
	if got := r.judge(in, given); got != stale { // right, and no nonce that was given out
		t.Errorf("unchanged: %d", got)
	}
	in.Body = []byte("bodies")
	if got := r.judge(in, given); got != wrong {
		t.Errorf("changed: %d", got)
	}
}
