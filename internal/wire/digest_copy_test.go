package wire

import (
	"fmt"
	"testing"
)

// A copy signs as the credentials would, and they count on as if it had not.
func TestCopyCountsNothing(t *testing.T) {
	k := newDigestTalk(t)
	k.learn(k.request("a", ""), 401, `WWW-Authenticate: Digest realm="example.com", nonce="n1", qop="auth", algorithm=SHA-256`)
	s := &digestServer{t, make(map[string]uint64)}
	for n := range 3 {
		r := k.request("a", "")
		if n == 1 {
			copied := k.creds.Copy()
			aside := &Request{Method: "REGISTER", URI: r.URI, Headers: Headers{{"Call-ID", "a"}, {"CSeq", "9 REGISTER"}}}
			if err := copied.Sign(aside); err != nil {
				t.Fatal(err)
			}
			if _, fault := (&digestServer{t, map[string]uint64{"n1": 2}}).check(aside.Headers.Get("Authorization"), aside); fault != "" {
				t.Errorf("the copy: %s is wrong", fault)
			}
		}
		if _, fault := s.check(r.Headers.Get("Authorization"), r); fault != "" {
			t.Errorf("answer %d: %s is wrong", n, fault)
		}
	}
}

// RFC 7616 3.3: an answer is stale when all is right but the nonce. One that was
// spoilt is, with every algorithm, and the server's new nonce is taken as usual.
func TestSpoiltNonceIsStale(t *testing.T) {
	for _, algorithm := range Algorithms {
		for _, nonce := range []string{"n1", "0a", "dcd98b7102dd2f0e8b11d0f600bfb0c0", "zA==", "...", "_-"} {
			k := newDigestTalk(t)
			k.learn(k.request("a", ""), 401, fmt.Sprintf(`WWW-Authenticate: Digest realm="example.com", nonce="%s", qop="auth", algorithm=%s`, nonce, algorithm))
			k.request("a", "")
			kept := k.creds
			k.creds = kept.Copy()
			k.creds.Spoil()
			r := k.request("a", "")
			given, fault := (&digestServer{t, make(map[string]uint64)}).check(r.Headers.Get("Authorization"), r)
			if fault != "" || given["nonce"] == nonce {
				t.Errorf("%s, nonce %q became %q: %s is wrong", algorithm, nonce, given["nonce"], fault)
			}
			k.creds = kept
			if !k.learn(r, 401, `WWW-Authenticate: Digest realm="example.com", nonce="new", stale=true, qop="auth", algorithm=`+algorithm) {
				t.Errorf("%s: a stale nonce counts as a refusal", algorithm)
			}
		}
	}
}
