package wire

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"testing"
)

// plainDigest is the tests' own H(a:b:...): nothing of what is tested is in it.
func plainDigest(algorithm string, parts ...string) string {
	h := map[string]func() hash.Hash{"MD5": md5.New, "SHA-256": sha256.New, "SHA-512-256": sha512.New512_256}[algorithm]()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// digestServer checks answers as RFC 7616 3.4 says, for alice with the password secret.
type digestServer struct {
	t      *testing.T
	counts map[string]uint64 // highest nc by nonce
}

// check reads an Authorization and says what is wrong with it.
func (s *digestServer) check(value string, r *Request) (given map[string]string, fault string) {
	s.t.Helper()
	given = answerParams(s.t, value)
	algorithm, sess := strings.CutSuffix(strings.ToUpper(given["algorithm"]), "-SESS")
	if algorithm == "" {
		algorithm = "MD5"
	}
	user := given["username"]
	if given["userhash"] == "true" {
		if user != plainDigest(algorithm, "alice", given["realm"]) {
			return given, "user hash"
		}
		user = "alice"
	}
	ha1 := plainDigest(algorithm, user, given["realm"], "secret")
	if sess {
		ha1 = plainDigest(algorithm, ha1, given["nonce"], given["cnonce"])
	}
	ha2 := plainDigest(algorithm, r.Method, given["uri"])
	if given["qop"] == "auth-int" {
		ha2 = plainDigest(algorithm, r.Method, given["uri"], plainDigest(algorithm, string(r.Body)))
	}
	want := plainDigest(algorithm, ha1, given["nonce"], given["nc"], given["cnonce"], given["qop"], ha2)
	if given["qop"] == "" {
		if given["nc"]+given["cnonce"] != "" {
			return given, "nc or cnonce without qop"
		}
		want = plainDigest(algorithm, ha1, given["nonce"], ha2)
	} else {
		count, err := strconv.ParseUint(given["nc"], 16, 32)
		if err != nil || len(given["nc"]) != 8 || count != s.counts[given["nonce"]]+1 {
			return given, fmt.Sprintf("nc %s after %d", given["nc"], s.counts[given["nonce"]])
		}
		s.counts[given["nonce"]] = count
	}
	if given["response"] != want {
		return given, "response"
	}
	if given["uri"] != r.URI {
		return given, "uri"
	}
	return given, ""
}

// answerParams reads our own answers; they are of one writing.
func answerParams(t *testing.T, value string) map[string]string {
	t.Helper()
	rest, ok := strings.CutPrefix(value, "Digest ")
	if !ok {
		t.Fatalf("answer %q", value)
	}
	out := make(map[string]string)
	for _, element := range SplitList(rest) {
		name, value, _ := strings.Cut(element, "=")
		if _, twice := out[name]; twice {
			t.Errorf("%s twice in %s", name, rest)
		}
		// RFC 7616 3.4: what must be quoted, and what must not.
		bare := name == "algorithm" || name == "qop" || name == "nc" || name == "userhash"
		if bare == strings.HasPrefix(value, `"`) {
			t.Errorf("quoting of %s", element)
		}
		out[name] = unquote(value)
	}
	return out
}

// digestTalk is one user agent: it numbers its requests.
type digestTalk struct {
	t     *testing.T
	creds *Credentials
	cseq  int
}

func newDigestTalk(t *testing.T) *digestTalk {
	return &digestTalk{t: t, creds: &Credentials{Username: "alice", Password: "secret"}}
}

func (k *digestTalk) request(callID string, body string) *Request {
	k.t.Helper()
	k.cseq++
	r := &Request{Method: "REGISTER", URI: "sip:example.com", Body: []byte(body), Headers: Headers{
		{"Call-ID", callID}, {"CSeq", fmt.Sprint(k.cseq, " REGISTER")},
	}}
	if err := k.creds.Sign(r); err != nil {
		k.t.Fatal(err)
	}
	return r
}

// answerTo makes the response to a request; lines are "Name: value".
func answerTo(r *Request, status int, lines ...string) *Response {
	out := &Response{Status: status, Headers: Headers{{"Call-ID", r.Headers.Get("Call-ID")}, {"CSeq", r.Headers.Get("CSeq")}}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		out.Headers = append(out.Headers, Header{name, value})
	}
	return out
}

func (k *digestTalk) learn(r *Request, status int, lines ...string) (again bool) {
	k.t.Helper()
	again, err := k.creds.Learn(answerTo(r, status, lines...))
	if err != nil {
		k.t.Fatal(err)
	}
	return again
}

// TestVectors computes the examples of the RFCs with their cnonce.
func TestVectors(t *testing.T) {
	const (
		nonce7616  = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
		opaque7616 = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
		cnonce7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	)
	tests := []struct {
		name, challenge, user, password, cnonce, uri string
		want                                         map[string]string
	}{
		{"RFC 7616 3.9.1 MD5", `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="` + nonce7616 + `", opaque="` + opaque7616 + `"`,
			"Mufasa", "Circle of Life", cnonce7616, "/dir/index.html",
			map[string]string{"username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "algorithm": "MD5", "nonce": nonce7616,
				"nc": "00000001", "cnonce": cnonce7616, "qop": "auth", "response": "8ca523f5e9506fed4657c9700eebdbec", "opaque": opaque7616}},
		{"RFC 7616 3.9.1 SHA-256", `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="` + nonce7616 + `", opaque="` + opaque7616 + `"`,
			"Mufasa", "Circle of Life", cnonce7616, "/dir/index.html",
			map[string]string{"username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "algorithm": "SHA-256", "nonce": nonce7616,
				"nc": "00000001", "cnonce": cnonce7616, "qop": "auth", "opaque": opaque7616,
				"response": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"}},
		// The values printed in the RFC are of SHA-512 cut to 256 bits, which SHA-512/256
		// is not: TestErratum4897 shows it. These are the ones of the erratum.
		{"RFC 7616 3.9.2", `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", ` +
			`opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true`,
			"J\u00e4s\u00f8n Doe", "Secret, or not?", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "/doe.json",
			map[string]string{"username": "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", "realm": "api@example.org", "uri": "/doe.json",
				"algorithm": "SHA-512-256", "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "nc": "00000001",
				"cnonce": "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "qop": "auth", "userhash": "true",
				"response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
				"opaque":   "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"}},
		{"RFC 2617 3.5", `Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			"Mufasa", "Circle Of Life", "0a4f113b", "/dir/index.html",
			map[string]string{"username": "Mufasa", "realm": "testrealm@host.com", "uri": "/dir/index.html", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
				"nc": "00000001", "cnonce": "0a4f113b", "qop": "auth", "response": "6629fae49393a05397450978507c4ef1", "opaque": "5ccc069c403ebaf9f0171e9517f40e41"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Credentials{Username: test.user, Password: test.password, cnonce: func() string { return test.cnonce }}
			if _, err := c.Learn(&Response{Status: 401, Headers: Headers{{"WWW-Authenticate", test.challenge}}}); err != nil {
				t.Fatal(err)
			}
			// Their URIs are of HTTP, so not through Sign.
			a, err := c.answer(c.sessions[0], "GET", test.uri, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := answerParams(t, a.write(&c.sessions[0].challenge))
			for name, want := range test.want {
				if got[name] != want {
					t.Errorf("%s: got %q, want %q", name, got[name], want)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("sent as well: %q", got)
			}
		})
	}
}

// TestErratum4897 shows that RFC 7616 3.9.2 prints the first half of SHA-512.
func TestErratum4897(t *testing.T) {
	h := func(parts ...string) string {
		sum := sha512.Sum512([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:32])
	}
	const user, realm = "J\u00e4s\u00f8n Doe", "api@example.org"
	if got := h(user, realm); got != "488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec" {
		t.Error(got)
	}
	got := h(h(user, realm, "Secret, or not?"), "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "00000001",
		"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "auth", h("GET", "/doe.json"))
	if got != "ae66e67d6b427bd3f120414a82e4acff38e8ecd9101d6c861229025f607a79dd" {
		t.Error(got)
	}
}

// TestEveryVariant answers each algorithm with each quality of protection, three
// times, to a registrar and to a proxy, by password and by ready-made hash
// (RFC 7616 3.3, 3.4; RFC 8760 2.1, 2.6).
func TestEveryVariant(t *testing.T) {
	for _, algorithm := range append([]string{""}, Algorithms...) {
		for _, qop := range []string{"", "auth", "auth-int", "auth,auth-int", "auth-int , AUTH", "auth-conf,auth-int"} {
			for _, extra := range []string{"", `, userhash=true, charset=UTF-8, domain="sip:x sip:y", opaque="o\"\\p"`} {
				for _, field := range authFields {
					_, base, sess := hashOf(algorithm)
					if sess && qop == "" {
						continue
					}
					t.Run(fmt.Sprint(algorithm, " ", qop, " ", extra != "", " ", field.answer), func(t *testing.T) {
						for _, ha1 := range []string{"", plainDigest(base, "alice", "example.com", "secret")} {
							k := newDigestTalk(t)
							if ha1 != "" {
								k.creds.Password, k.creds.HA1 = "", strings.ToUpper(ha1)
							}
							challenge := `Digest realm="example.com", nonce="n1"` + extra
							if algorithm != "" {
								challenge += ", algorithm=" + algorithm
							}
							if qop != "" {
								challenge += `, qop="` + qop + `"`
							}
							k.learn(k.request("a", ""), 401, field.challenge+": "+challenge)
							s := &digestServer{t, make(map[string]uint64)}
							cnonces := make(map[string]bool)
							for n := range 3 {
								r := k.request("a", strings.Repeat("body", n))
								given, fault := s.check(r.Headers.Get(field.answer), r)
								if fault != "" {
									t.Fatalf("answer %d: %s is wrong in %s", n, fault, r.Headers.Get(field.answer))
								}
								want := map[string]string{"algorithm": algorithm, "realm": "example.com", "nonce": "n1"}
								switch {
								case strings.Contains(strings.ToLower(qop+","), "auth,"):
									want["qop"] = "auth"
								case qop != "":
									want["qop"] = "auth-int"
								}
								if extra != "" {
									want["opaque"], want["userhash"] = `o"\p`, "true"
								}
								for _, name := range []string{"algorithm", "realm", "nonce", "qop", "opaque", "userhash", "domain", "charset"} {
									if given[name] != want[name] {
										t.Errorf("%s: %q, want %q", name, given[name], want[name])
									}
								}
								cnonces[given["cnonce"]] = true
							}
							// RFC 7616 3.4.2: the key of a session is made from one cnonce.
							if want := map[bool]int{true: 1, false: 3}[sess || qop == ""]; len(cnonces) != want {
								t.Errorf("%d cnonces, want %d", len(cnonces), want)
							}
						}
					})
				}
			}
		}
	}
}

// TestChoice takes of each realm the topmost challenge that is understood and
// allowed, and passes over the others (RFC 8760 2.4).
func TestChoice(t *testing.T) {
	sha256HA1, md5HA1 := strings.Repeat("0", 64), strings.Repeat("0", 32)
	one := func(realm, algorithm string) string {
		return fmt.Sprintf(`Digest realm=%q, nonce="n", qop="auth", algorithm=%s`, realm, algorithm)
	}
	tests := []struct {
		name    string
		headers []string
		allowed []string
		ha1     string
		want    string // realm/algorithm of each answer
	}{
		{"topmost", []string{one("a", "SHA-512-256"), one("a", "SHA-256"), one("a", "MD5")}, nil, "", "a/SHA-512-256"},
		{"the server's order, not ours", []string{one("a", "MD5"), one("a", "SHA-256")}, nil, "", "a/MD5"},
		{"unknown passed over", []string{one("a", "SHA-3"), one("a", "AKAv1-MD5"), one("a", "SHA-256")}, nil, "", "a/SHA-256"},
		{"all in one header", []string{one("a", "SHA3-256") + ", " + one("a", "SHA-256-sess") + ", " + one("a", "MD5")}, nil, "", "a/SHA-256-sess"},
		{"other schemes between", []string{`Basic realm="a", ` + one("a", "SHA-256") + `, Negotiate TlRM==, NTLM`, `Bearer x`}, nil, "", "a/SHA-256"},
		{"restricted", []string{one("a", "SHA-256"), one("a", "MD5")}, []string{"md5"}, "", "a/MD5"},
		{"-sess is another name", []string{one("a", "SHA-256-sess"), one("a", "MD5")}, []string{"SHA-256", "MD5"}, "", "a/MD5"},
		{"each realm its own", []string{one("a", "SHA-256"), one("b", "SHA-3"), one("b", "MD5"), one("a", "MD5")}, nil, "", "a/SHA-256 b/MD5"},
		{"realms differ by case", []string{one("a", "MD5"), one("A", "MD5")}, nil, "", "a/MD5 A/MD5"},
		{"ha1 of MD5", []string{one("a", "SHA-256"), one("a", "MD5-sess")}, nil, md5HA1, "a/MD5-sess"},
		{"ha1 of 64 digits is of SHA-256", []string{one("a", "MD5"), one("a", "SHA-512-256"), one("a", "SHA-256"), one("a", "SHA-256-sess")}, nil, sha256HA1, "a/SHA-256"},
		{"unless that is not offered", []string{one("a", "MD5"), one("a", "SHA-512-256")}, nil, sha256HA1, "a/SHA-512-256"},
		{"or not allowed", []string{one("a", "SHA-256"), one("a", "SHA-512-256")}, []string{"SHA-512-256"}, sha256HA1, "a/SHA-512-256"},
		{"an unusable one on top", []string{`Digest realm="a", algorithm=SHA-256, qop="auth"`, `Digest realm="a", nonce="n", algorithm=SHA-256-sess`, one("a", "MD5")}, nil, "", "a/MD5"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := newDigestTalk(t)
			k.creds.Allowed, k.creds.HA1 = test.allowed, test.ha1
			var lines []string
			for _, value := range test.headers {
				lines = append(lines, "WWW-Authenticate: "+value)
			}
			k.learn(k.request("a", ""), 401, lines...)
			var got []string
			for _, value := range k.request("a", "").Headers.Values("Authorization") {
				given := answerParams(t, value)
				got = append(got, given["realm"]+"/"+given["algorithm"])
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("answered %q, want %q", got, test.want)
			}
		})
	}
}

// TestOddWriting: what leaves no doubt is understood.
func TestOddWriting(t *testing.T) {
	for _, value := range []string{
		`Digest realm="r", nonce="n", qop="auth", algorithm="MD5", stale="TRUE"`,
		`digest REALM="r",NONCE="n",QOP=auth,auth-int,ALGORITHM=md5,STALE=True`,
		`Digest qop=auth,auth-int, realm="r", nonce="n", stale=true`,
		`Digest qop = auth-int , auth , realm = "r" , nonce = "n" , stale = true`,
		"Digest\trealm=\"r\",\tnonce=\"n\",\r\n\tqop=\"auth\t, auth-int\",\r\n stale=true",
		`Digest realm="r" nonce="n" qop="auth" stale=true`,
		`Digest , ,realm="r",, nonce=n,qop=auth,stale=true,`,
		`Digest realm="r", nonce="n", nonce="later", qop="auth", stale=true, realm="later", stale=false`,
		`Digest realm="r", nonce="n", qop="auth", stale=true, x="Digest realm=\"no\", nonce", y=<, "z", =, flag`,
		`Digest flag, realm="r", flag, nonce="n", qop="auth", stale=true`,
		`Basic realm="x", Digest realm="r", nonce="n", qop="auth", stale=true`,
		`Negotiate, Digest realm="r", nonce="n", qop="auth", stale=true, NTLM TlRMTVNTUAAC=`,
		`Digest, realm="r", nonce="n", qop="auth", stale=true`,
		`Digest realm="r", nonce="\n", qop="auth", stale=true`,
	} {
		list := parseChallenges([]string{value})
		found := false
		for _, c := range list {
			if !c.isDigest() {
				continue
			}
			qop, _ := c.chooseQOP()
			if found || c.Realm != "r" || c.Nonce != "n" || qop != "auth" || !c.Stale || !strings.EqualFold(c.algorithmName(), "MD5") {
				t.Errorf("%s\nread as %+v", value, list)
			}
			found = true
		}
		if !found {
			t.Errorf("%s\nread as %+v", value, list)
		}
	}
}

// TestUnanswerable: the error says what was offered and what could be done.
func TestUnanswerable(t *testing.T) {
	for _, test := range []struct{ header, want string }{
		{`X: y`, "the 401 has none"},
		{`WWW-Authenticate: Basic realm="r"`, "Basic (not Digest)"},
		{`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-3`, `SHA-3 for "r" (unknown algorithm); we could do MD5, MD5-sess, SHA-256`},
		{`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=-sess`, "unknown algorithm"},
		{`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-512`, "unknown algorithm"},
		{`WWW-Authenticate: Digest realm="r"`, "no nonce"},
		{`WWW-Authenticate: Digest realm="r", nonce=""`, "no nonce"},
		{`WWW-Authenticate: Digest`, "no nonce"},
		{`WWW-Authenticate: Digest realm="r", nonce="n", qop="auth-conf"`, `unknown qop "auth-conf"`},
		{`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5-sess`, "-sess without qop"},
		{`WWW-Authenticate: Digest realm="r", nonce="n`, "a quotation mark is missing"},
		{`WWW-Authenticate: Digest realm="r, nonce="n"`, "no nonce"},
		{`WWW-Authenticate: Digest realm="r", nonce="n\`, "a quotation mark is missing"},
		{`WWW-Authenticate: Digest realm="r", nonce="` + strings.Repeat("n", 60_000) + `"`, "60001 bytes"},
		{`WWW-Authenticate: Digest realm="` + strings.Repeat("\x7f", 60) + `", nonce="n"`, "a control character"},
		{`WWW-Authenticate: ` + strings.Repeat(`Digest realm="r", nonce="n", algorithm=x, `, 1000), "60 more"},
		{`WWW-Authenticate: ` + strings.Repeat("\xff x", 20_000), "60 more"},
	} {
		k := newDigestTalk(t)
		again, err := k.creds.Learn(answerTo(k.request("a", ""), 401, test.header))
		if again || !errors.Is(err, ErrNoChallenge) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60s: got %t, %v; want %q", test.header, again, err, test.want)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%.60s: an error of %d bytes", test.header, len(err.Error()))
		}
		if k.creds.Signs() {
			t.Errorf("%.60s: is answered", test.header)
		}
	}
	c := &Credentials{Username: "a", HA1: strings.Repeat("0", 32), Allowed: []string{"SHA-256", "MD5-sess"}}
	_, err := c.Learn(&Response{Status: 407, Headers: Headers{
		{"Proxy-Authenticate", `Digest realm="r", nonce="n", algorithm=SHA-256`}, {"Proxy-Authenticate", `Digest realm="r", nonce="n"`},
	}})
	want := `no digest challenge that we can answer: offered SHA-256 for "r" (ha1 of 32 digits is for another), MD5 for "r" (not allowed here); we could do MD5-sess`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestCounts: nc counts by nonce, and a kept nonce serves its realm only.
func TestCounts(t *testing.T) {
	k := newDigestTalk(t)
	nc := func(r *Request) string {
		given := answerParams(t, r.Headers.Get("Authorization"))
		return given["nonce"] + "/" + given["nc"]
	}
	expect := func(want string) *Request {
		t.Helper()
		r := k.request("a", "")
		if got := nc(r); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
		return r
	}
	challenge := func(nonce string) string {
		return `WWW-Authenticate: Digest realm="r", qop="auth", nonce="` + nonce + `"`
	}
	if got := k.request("a", "").Headers.Has("Authorization"); got || k.creds.Signs() {
		t.Error("signed before any challenge")
	}
	k.learn(k.request("a", ""), 401, challenge("n1"))
	expect("n1/00000001")
	r := expect("n1/00000002")
	k.learn(r, 401, challenge("n2")+", stale=true")
	r = expect("n2/00000001")
	k.learn(r, 401, challenge("n2")+", stale=true") // the same once more is no new one
	r = expect("n2/00000002")
	if err := k.creds.Accepted(answerTo(r, 200, `Authentication-Info: nextnonce="n3"`)); err != nil {
		t.Error(err)
	}
	r = expect("n3/00000001")
	// Neither what is not a 2xx nor what we did not ask counts.
	for _, response := range []*Response{
		answerTo(r, 404, `Authentication-Info: nextnonce="bad"`),
		answerTo(&Request{Headers: Headers{{"Call-ID", "a"}, {"CSeq", "99 REGISTER"}}}, 200, `Authentication-Info: nextnonce="bad"`),
		answerTo(r, 200, `Proxy-Authentication-Info: nextnonce="bad"`, `Authentication-Info: nextnonce="`+strings.Repeat("n", 5000)+`"`),
		answerTo(r, 200, `Authentication-Info: nextnonce="bad"`), // answered already
	} {
		if err := k.creds.Accepted(response); err != nil {
			t.Error(err)
		}
	}
	r = expect("n3/00000002")
	k.learn(r, 401, challenge("n4"))
	k.creds.Accepted(answerTo(r, 200, `Authentication-Info: nextnonce="of a session that is over"`))
	expect("n4/00000001")
	// Signed twice, as when the flow is lost before it goes out: one answer, a new
	// count, and the 2xx is to the second.
	r = expect("n4/00000002")
	if err := k.creds.Sign(r); err != nil || len(r.Headers.Values("Authorization")) != 1 || nc(r) != "n4/00000003" {
		t.Error(err, r.Headers)
	}
	if err := k.creds.Accepted(answerTo(r, 200, `Authentication-Info: nextnonce="n5", nc=00000003`)); err != nil {
		t.Error(err)
	}
	expect("n5/00000001")
	k.creds.Forget()
	if k.creds.Signs() {
		t.Error("not forgotten")
	}
}

// TestSessionKeyOutlivesNonce: a nextnonce begins no new session (RFC 7616 3.6).
func TestSessionKeyOutlivesNonce(t *testing.T) {
	k := newDigestTalk(t)
	k.learn(k.request("a", ""), 401, `WWW-Authenticate: Digest realm="r", qop="auth", nonce="n1", algorithm=MD5-sess`)
	r := k.request("a", "")
	cnonce := answerParams(t, r.Headers.Get("Authorization"))["cnonce"]
	k.creds.Accepted(answerTo(r, 200, `Authentication-Info: nextnonce="n2"`))
	given := answerParams(t, k.request("a", "").Headers.Get("Authorization"))
	key := plainDigest("MD5", plainDigest("MD5", "alice", "r", "secret"), "n1", cnonce)
	want := plainDigest("MD5", key, "n2", "00000001", given["cnonce"], "auth", plainDigest("MD5", "REGISTER", "sip:example.com"))
	if given["nonce"] != "n2" || given["response"] != want {
		t.Errorf("got %q, want response %s", given, want)
	}
	k.learn(k.request("a", ""), 401, `WWW-Authenticate: Digest realm="r", qop="auth", nonce="n3", algorithm=MD5-sess`)
	if got := answerParams(t, k.request("a", "").Headers.Get("Authorization"))["cnonce"]; got == cnonce {
		t.Error("a new session has the cnonce of the old one")
	}
}

// TestRefused says when another try is worth it: a challenge is a refusal only of
// what was made from the challenge just before, for this request, and not when
// that is stale. What was sent ahead with a kept nonce is no try (RFC 7616 3.3,
// RFC 3261 22.2).
func TestRefused(t *testing.T) {
	const (
		home  = `WWW-Authenticate: Digest realm="home", qop="auth", nonce="%d"`
		proxy = `Proxy-Authenticate: Digest realm="home", qop="auth", nonce="%d"` // the same name is another realm
	)
	nonce := 0
	fresh := func(line string) string { nonce++; return fmt.Sprintf(line, nonce) }
	type step struct {
		callID string
		lines  []string // of the answer; none: it is accepted
		again  bool
	}
	for name, steps := range map[string][]step{
		"wrong password":        {{"a", []string{home}, true}, {"a", []string{home}, false}},
		"stale":                 {{"a", []string{home}, true}, {"a", []string{home + ", stale=true"}, true}, {"a", []string{home}, false}},
		"proxy, then registrar": {{"a", []string{proxy}, true}, {"a", []string{home}, true}, {"a", nil, false}},
		"both at once":          {{"a", []string{home, proxy}, true}, {"a", nil, false}},
		"one of both":           {{"a", []string{home, proxy}, true}, {"a", []string{proxy}, false}},
		"one stale, one wrong":  {{"a", []string{home, proxy}, true}, {"a", []string{home + ", stale=true", proxy}, false}},
		"sent ahead": {{"a", []string{home}, true}, {"a", nil, false}, {"a", nil, false},
			{"a", []string{home}, true}, {"a", []string{home}, false}},
		"sent ahead to the registrar, new to the proxy": {{"a", []string{home}, true}, {"a", nil, false}, {"a", []string{proxy}, true},
			{"a", []string{home}, true}, {"a", []string{home}, false}},
		"another request's challenge": {{"a", []string{home}, true}, {"b", []string{home}, true}, {"b", []string{home}, false}, {"a", []string{home}, false}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newDigestTalk(t)
			for i, step := range steps {
				r := k.request(step.callID, "")
				if step.lines == nil {
					k.creds.Accepted(answerTo(r, 200))
					continue
				}
				var lines []string
				for _, line := range step.lines {
					lines = append(lines, fresh(line))
				}
				if got := k.learn(r, 401, lines...); got != step.again {
					t.Errorf("step %d: again %t", i, got)
				}
			}
		})
	}
}

// TestRegistrarAndProxy: each gets its own answer, and another dialog none of the
// proxy's (RFC 3261 22.3).
func TestRegistrarAndProxy(t *testing.T) {
	k := newDigestTalk(t)
	s := &digestServer{t, make(map[string]uint64)}
	k.learn(k.request("a", ""), 407, `Proxy-Authenticate: Digest realm="edge", nonce="p", qop="auth"`, `WWW-Authenticate: Digest realm="home", nonce="w", qop="auth"`)
	for range 2 {
		r := k.request("a", "")
		for name, realm := range map[string]string{"Authorization": "home", "Proxy-Authorization": "edge"} {
			values := r.Headers.Values(name)
			if len(values) != 1 {
				t.Fatalf("%s: %q", name, values)
			}
			if given, fault := s.check(values[0], r); fault != "" || given["realm"] != realm {
				t.Errorf("%s: %s, %s", name, fault, values[0])
			}
		}
	}
	other := k.request("b", "").Headers
	if !other.Has("Authorization") || other.Has("Proxy-Authorization") {
		t.Errorf("in another dialog: %v", other)
	}
}

// TestProof checks the server's side (RFC 7616 3.5).
func TestProof(t *testing.T) {
	for _, qop := range []string{"", "auth", "auth-int"} {
		for _, field := range authFields {
			t.Run(qop+" "+field.info, func(t *testing.T) {
				k := newDigestTalk(t)
				challenge := `: Digest realm="r", nonce="n", algorithm=SHA-256`
				if qop != "" {
					challenge += `, qop="` + qop + `"`
				}
				k.learn(k.request("a", ""), 401, field.challenge+challenge, field.challenge+`: Digest realm="other", nonce="m", qop="auth"`)
				// answer makes the 2xx to a new request; change is applied to its info.
				answer := func(change func(string) string) *Response {
					r := k.request("a", "asked")
					given := answerParams(t, r.Headers.Get(field.answer))
					ha1, ha2 := plainDigest("SHA-256", "alice", "r", "secret"), plainDigest("SHA-256", "", given["uri"])
					if qop == "auth-int" {
						ha2 = plainDigest("SHA-256", "", given["uri"], plainDigest("SHA-256", "told"))
					}
					proof := plainDigest("SHA-256", ha1, "n", ha2)
					info := `nextnonce="n"`
					if qop != "" {
						proof = plainDigest("SHA-256", ha1, "n", given["nc"], given["cnonce"], qop, ha2)
						info += `, cnonce="` + given["cnonce"] + `", nc=` + given["nc"] + `, qop=` + qop
					}
					response := answerTo(r, 200, field.info+": "+change(info+`, rspauth="`+proof+`"`))
					response.Body = []byte("told")
					return response
				}
				same := func(s string) string { return s }
				// Without qop nothing says which of the two answers it is about.
				if qop == "" {
					k.creds.sessions = k.creds.sessions[:1]
				}
				if err := k.creds.Accepted(answer(same)); err != nil {
					t.Errorf("right, but: %v", err)
				}
				for name, change := range map[string]func(string) string{
					"rspauth": func(s string) string { return strings.Replace(s, `rspauth="`, `rspauth="0`, 1) },
					"nc":      func(s string) string { return strings.Replace(s, "nc=0", "nc=1", 1) },
					"cnonce":  func(s string) string { return strings.Replace(s, `cnonce="`, `cnonce="x`, 1) },
				} {
					if qop == "" && name != "rspauth" {
						continue
					}
					if err := k.creds.Accepted(answer(change)); !errors.Is(err, ErrNotProven) {
						t.Errorf("wrong %s: %v", name, err)
					}
				}
				if qop == "auth-int" {
					response := answer(same)
					response.Body = []byte("told otherwise")
					if err := k.creds.Accepted(response); !errors.Is(err, ErrNotProven) {
						t.Errorf("changed body: %v", err)
					}
				}
				if err := k.creds.Accepted(answer(func(s string) string { s, _, _ = strings.Cut(s, ", rspauth"); return s })); err != nil {
					t.Errorf("without a proof: %v", err)
				}
			})
		}
	}
}

// TestBounds: whatever a server says, what is kept and sent stays small.
func TestBounds(t *testing.T) {
	k := newDigestTalk(t)
	for n := range 40 {
		var lines []string
		for _, field := range authFields {
			var all strings.Builder
			for i := range 1000 {
				fmt.Fprintf(&all, `Digest realm="%d.%d", nonce="%s", qop="auth", `, n, i, strings.Repeat("n", 30))
			}
			lines = append(lines, field.challenge+": "+all.String())
		}
		k.learn(k.request(fmt.Sprint(n), ""), 401, lines...)
	}
	size := 0
	for _, h := range k.request("39", "").Headers {
		size += len(h.Value)
	}
	if len(k.creds.sessions) > sessionsKept || len(k.creds.sent) > sentKept || size > 10_000 {
		t.Errorf("%d sessions, %d requests, %d bytes", len(k.creds.sessions), len(k.creds.sent), size)
	}
	for n := range 100 {
		k.learn(k.request(fmt.Sprint(n), ""), 401, `WWW-Authenticate: Digest realm="r", nonce="`+fmt.Sprint(n)+`", qop="auth"`)
	}
	for _, s := range k.creds.sessions {
		if len(s.owed) > owedKept {
			t.Errorf("%d owed", len(s.owed))
		}
	}
	// The one that works outlives those that come and go.
	k.creds.Forget()
	k.learn(k.request("r", ""), 401, `WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"`)
	k.creds.Accepted(answerTo(k.request("r", ""), 200))
	for n := range 100 {
		r := k.request("r", "")
		if !strings.Contains(fmt.Sprint(r.Headers), `realm="r"`) {
			t.Fatal("forgotten after", n)
		}
		k.learn(r, 401, fmt.Sprintf(`WWW-Authenticate: Digest realm="gone %d", nonce="n", qop="auth"`, n))
	}
}

func FuzzParseChallenges(f *testing.F) {
	for _, seed := range []string{
		"", "Digest", `Digest realm="r", nonce="n"`, `Digest qop=auth,auth-int, nonce=n, realm=r`, `Digest realm="r, nonce="n"`,
		`Basic realm="x", Digest realm="r\"", nonce="\\n", opaque="", qop="auth-int", algorithm="SHA-256-sess", stale="TRUE", userhash=true, charset=UTF-8`,
		`Negotiate TlRM==, NTLM, Digest realm="r", nonce="n", algorithm=MD5`, "Digest nonce=\"\x00\xff\",,=,\"", `Digest nonce="n\`, `Digest nonce = = = "n"`,
		strings.Repeat("Digest nonce=n,", 100), strings.Repeat(`"`, 100), "Digest\r\n\trealm=\"r\",\r\n nonce=\"n\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		list := parseChallenges([]string{value, value})
		if len(list) > challengesRead {
			t.Fatalf("%d challenges", len(list))
		}
		c := &Credentials{Username: "alice", Password: "secret"}
		if _, err := c.Learn(&Response{Status: 401, Headers: Headers{{"WWW-Authenticate", value}, {"Proxy-Authenticate", value}}}); err != nil {
			if !errors.Is(err, ErrNoChallenge) || len(err.Error()) > 2000 {
				t.Fatal(err)
			}
			return
		}
		r := &Request{Method: "REGISTER", URI: "sip:example.com"}
		if err := c.Sign(r); err != nil {
			t.Fatal(err)
		}
		if len(r.Headers) != len(c.sessions) || len(r.Headers) == 0 {
			t.Fatalf("%d answers to %d challenges", len(r.Headers), len(c.sessions))
		}
		// What we send reads back as what was asked, to the byte.
		for i, h := range r.Headers {
			if strings.ContainsFunc(h.Value, isLineBreaking) {
				t.Fatalf("%q", h.Value)
			}
			back := parseChallenges([]string{h.Value})
			asked := c.sessions[i].challenge
			if len(back) != 1 || back[0].Realm != asked.Realm || back[0].Nonce != asked.Nonce || back[0].Opaque != asked.Opaque || back[0].Algorithm != asked.Algorithm {
				t.Fatalf("%q\nis answered by %q", value, h.Value)
			}
		}
		c.Accepted(&Response{Status: 200, Headers: Headers{{"Authentication-Info", value}, {"Proxy-Authentication-Info", value}}})
	})
}
