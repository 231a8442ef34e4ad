package wire

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/icholy/digest"
)

// Algorithms lists the digest algorithms that we can use with a password, as a
// user names them to allow some only (RFC 7616 3.3, RFC 8760 2.7). Beside them
// there is AKAv1-MD5 (RFC 3310 3.1).
var Algorithms = []string{"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"}

var (
	// ErrNoChallenge: a 401 or 407 without a challenge that we can answer.
	ErrNoChallenge = errors.New("no digest challenge that we can answer")
	// ErrNotProven: the rspauth of a 2xx is not what one who knows our secret
	// would have sent (RFC 7616 3.5).
	ErrNotProven = errors.New("the server did not prove that it knows our secret")
)

const (
	// No path to a registrar has more sessions than this; a new realm with every
	// answer is an attack.
	sessionsKept = 16
	realmsTaken  = 8  // of one header field name in one answer
	sentKept     = 32 // requests that wait for their answer
	owedKept     = 16
)

// Credentials answers digest challenges (RFC 7616, 8760) for one user. It keeps
// each nonce and counts its uses, so that a later request carries its answer at
// once and costs one round trip. It belongs to one goroutine.
//
// Every request is signed anew for each send. Its answer goes to Learn when it
// is a 401 or 407 and to Accepted when it is a 2xx; both find by Call-ID and
// CSeq what the request carried.
type Credentials struct {
	Username string
	Password string   // used as it is: its UTF-8 is what is hashed (RFC 7616 4)
	HA1      string   // instead of Password: hex of H(user:realm:password), with the algorithm of its length
	AKA      *AKA     // answers the challenges that ask for it; nil: none do
	Allowed  []string // of Algorithms; empty: all

	sessions []*authSession
	sent     []signedRequest
	clock    int           // counts requests signed
	cnonce   func() string // nil: a random one
}

// authSession is an authentication session (RFC 7616 3.6): what a challenge began,
// until the next challenge of its protection space.
type authSession struct {
	authSpace
	challenge challenge // with the nonce in use, be it a nextnonce
	prime     string    // the nonce of the challenge itself
	cnonce    string    // of the whole session, for -sess
	count     int       // requests that carried the nonce in use
	aka       akaAnswer // in place of the password, where the algorithm is AKA's
	proven    int       // clock of the last 2xx to an answer of it; 0: none yet
	owed      []string  // Call-IDs of those who were challenged and have not yet answered
}

// authSpace is a protection space. That of a registrar is its realm. What a proxy
// asked for must not be given in another dialog (RFC 3261 22.3): it need not be
// on the way there.
type authSpace struct {
	proxy  bool // it came with Proxy-Authenticate
	realm  string
	callID string // of a proxy's only
}

// signedRequest is what a request carried.
type signedRequest struct {
	callID, cseq string
	answers      []authAnswer
}

// authAnswer is one Authorization or Proxy-Authorization, and what is needed to
// check its rspauth.
type authAnswer struct {
	session *authSession
	try     bool // made from the challenge just before, for the request that was challenged
	result  *digest.Credentials
	input   digest.Challenge
	options digest.Options
}

// authFields are the header field names of the two kinds of challenge.
var authFields = []struct {
	proxy                   bool
	challenge, answer, info string
}{
	{false, "WWW-Authenticate", "Authorization", "Authentication-Info"},
	{true, "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info"},
}

// Known reports whether there is a secret to answer with.
func (c *Credentials) Known() bool { return c.password() || c.AKA != nil }

func (c *Credentials) password() bool { return c.Password != "" || c.HA1 != "" }

// Signs reports whether there is a challenge that Sign would answer ahead, be it
// in the requests of one Call-ID only.
func (c *Credentials) Signs() bool {
	return c.Known() && slices.ContainsFunc(c.sessions, func(s *authSession) bool { return c.fault(&s.challenge) == "" })
}

// Forget drops every nonce, so that the next request goes out without an answer.
func (c *Credentials) Forget() { c.sessions, c.sent = nil, nil }

// Copy returns credentials that sign as c would, and leave c as it is: what they
// sign is counted by nobody.
func (c *Credentials) Copy() *Credentials {
	out := *c
	out.sent, out.sessions = nil, nil
	for _, s := range c.sessions {
		session := *s
		session.owed = slices.Clone(s.owed)
		out.sessions = append(out.sessions, &session)
	}
	return &out
}

// Spoil makes every nonce that is kept one that no server gave: its answers are
// right but for that, which a server calls stale (RFC 7616 3.3).
func (c *Credentials) Spoil() {
	for _, s := range c.sessions {
		s.challenge.Nonce = otherNonce(s.challenge.Nonce)
		s.prime, s.count = s.challenge.Nonce, 0
	}
}

// otherNonce changes the last letter or digit, so that it still looks like one of
// that server's, in hex or in base64.
func otherNonce(nonce string) string {
	out := []byte(nonce)
	for i := len(out) - 1; i >= 0; i-- {
		switch b := out[i]; {
		case b == '0', b == 'a', b == 'A':
			out[i]++
			return string(out)
		case b > '0' && b <= '9', b > 'a' && b <= 'z', b > 'A' && b <= 'Z':
			out[i]--
			return string(out)
		}
	}
	return nonce + "0"
}

// Sign puts the answer to every challenge that is kept on the request, in place
// of those that it had. All else of the request must be final.
func (c *Credentials) Sign(r *Request) error {
	r.Headers = slices.DeleteFunc(r.Headers, func(h Header) bool {
		return strings.EqualFold(h.Name, "Authorization") || strings.EqualFold(h.Name, "Proxy-Authorization")
	})
	callID := r.Headers.Get("Call-ID")
	if !c.Signs() {
		return nil
	}
	uri, err := wireURI(r.URI)
	if err != nil {
		return err
	}
	c.clock++
	note := signedRequest{callID: callID, cseq: cseqOf(r.Headers)}
	for _, s := range c.sessions {
		if !c.serves(s, callID) {
			continue
		}
		a, err := c.answer(s, r.Method, uri.String(), r.Body)
		if err != nil {
			return fmt.Errorf("answer digest challenge of %q: %w", shortened(s.realm), err)
		}
		if i := slices.Index(s.owed, callID); i >= 0 {
			a.try = s.aka.auts == "" // who is out of step is not refused (RFC 3310 3.4)
			s.owed = slices.Delete(s.owed, i, i+1)
		}
		field := authFields[0]
		if s.proxy {
			field = authFields[1]
		}
		r.Headers = append(r.Headers, Header{field.answer, a.write(&s.challenge)})
		note.answers = append(note.answers, a)
	}
	c.take(r.Headers) // signed before, and not sent
	c.sent = append(c.sent, note)
	if len(c.sent) > sentKept {
		c.sent = slices.Delete(c.sent, 0, len(c.sent)-sentKept)
	}
	return nil
}

// serves reports whether the session has something to say to a request. Its
// algorithm may have been ruled out since it began.
func (c *Credentials) serves(s *authSession, callID string) bool {
	return (!s.proxy || s.callID == callID) && c.fault(&s.challenge) == ""
}

// answer makes the answer to the session's challenge and counts it.
func (c *Credentials) answer(s *authSession, method, uri string, body []byte) (authAnswer, error) {
	newHash, base, sess := hashOf(s.challenge.Algorithm)
	qop, _ := s.challenge.chooseQOP()
	cnonce := s.cnonce
	if !sess {
		cnonce = c.newCnonce()
	}
	s.count++
	a := authAnswer{
		session: s,
		input:   digest.Challenge{Realm: s.realm, Nonce: s.challenge.Nonce, Algorithm: base, Userhash: s.challenge.Userhash},
		options: digest.Options{
			URI: uri, Count: s.count, Cnonce: cnonce,
			Username: c.Username, Password: c.Password, A1: strings.ToLower(c.HA1),
		},
	}
	if isAKA(s.challenge.Algorithm) {
		a.options.Password, a.options.A1 = s.aka.res, ""
	}
	if qop != "" {
		a.input.QOP = []string{qop}
	}
	if sess {
		// RFC 7616 3.4.2: made once, from the nonce of the challenge and the cnonce of
		// the first answer. Most servers make it anew from what each request carries,
		// which is the same as long as both stay: so the cnonce does.
		secret := a.options.A1
		if secret == "" {
			secret = hexOf(newHash, c.Username, s.realm, c.Password)
		}
		a.options.A1 = hexOf(newHash, secret, s.prime, cnonce)
	}
	options := a.options
	options.Method, options.GetBody = method, bodyOf(body)
	var err error
	a.result, err = digest.Digest(&a.input, options)
	return a, err
}

// write writes the header field value. RFC 7616 3.4 says what is quoted and what
// is not, and that algorithm and opaque go back as they came. Without qop there
// is no cnonce and no nc (RFC 3261 22.4, item 8). The response is the last: some
// servers want it so.
func (a *authAnswer) write(c *challenge) string {
	var out strings.Builder
	add := func(name, value string, quoted bool) {
		if out.Len() > 0 {
			out.WriteString(", ")
		}
		out.WriteString(name + "=")
		if quoted {
			value = quoteBytes(value)
		}
		out.WriteString(value)
	}
	r := a.result
	add("username", r.Username, true)
	add("realm", c.Realm, true)
	add("nonce", r.Nonce, true)
	add("uri", r.URI, true)
	if c.Algorithm != "" {
		add("algorithm", c.Algorithm, false)
	}
	if r.QOP != "" {
		add("cnonce", r.Cnonce, true)
		add("qop", r.QOP, false)
		add("nc", fmt.Sprintf("%08x", r.Nc), false)
	}
	if c.OpaqueGiven {
		add("opaque", c.Opaque, true)
	}
	if c.Userhash {
		add("userhash", "true", false)
	}
	if auts := a.session.aka.auts; auts != "" {
		add("auts", auts, true)
	}
	add("response", r.Response, true)
	return "Digest " + out.String()
}

// Learn takes the challenges of a 401 or 407, of a proxy and of the registrar,
// one a realm, in place of those kept for the same realm. again reports that the
// request may be signed and sent once more: none of these challenges rejects an
// answer that was made from the challenge just before for this very request, or
// it does so for a stale nonce only (RFC 7616 3.3). Answers sent ahead with a
// kept nonce, and those for other realms, do not count. How often at most is the
// caller's business. The error is ErrNoChallenge, wrapped, where there is none
// that we can answer; it names what was offered.
func (c *Credentials) Learn(r *Response) (again bool, err error) {
	carried, callID := c.take(r.Headers), r.Headers.Get("Call-ID")
	var offered []challenge
	again, learned := true, false
	// A forking proxy puts both kinds in one answer, of either status (RFC 8760 2.5).
	for _, field := range authFields {
		list := parseChallenges(r.Headers.Values(field.challenge))
		offered = append(offered, list...)
		for _, chosen := range c.choose(list) {
			where := authSpace{proxy: field.proxy, realm: chosen.Realm}
			if field.proxy {
				where.callID = callID
			}
			tried := slices.ContainsFunc(carried, func(a authAnswer) bool { return a.try && a.session.authSpace == where })
			again = again && (!tried || chosen.Stale)
			learned = true
			c.begin(where, chosen, callID)
		}
	}
	if !learned {
		return false, c.refusal(r.Status, offered)
	}
	return again, nil
}

// begin starts the session of a challenge.
func (c *Credentials) begin(where authSpace, what challenge, callID string) {
	s := &authSession{authSpace: where, challenge: what, prime: what.Nonce, cnonce: c.newCnonce()}
	aka := isAKA(what.Algorithm)
	if i := slices.IndexFunc(c.sessions, func(old *authSession) bool { return old.authSpace == where }); i >= 0 {
		old := c.sessions[i]
		if old.challenge.Nonce == what.Nonce {
			s.count = old.count // nc counts what carried the nonce, however often it is given (RFC 7616 3.4)
			if aka && isAKA(old.challenge.Algorithm) {
				s.aka, aka = old.aka, false // its sequence number is used now
			}
		}
		s.owed, s.proven = old.owed, old.proven
		c.sessions = slices.Delete(c.sessions, i, i+1)
	}
	if aka {
		s.aka = c.AKA.answer(what.Nonce)
	}
	if !slices.Contains(s.owed, callID) {
		s.owed = append(s.owed, callID)
	}
	s.owed = s.owed[max(0, len(s.owed)-owedKept):]
	if len(c.sessions) >= sessionsKept {
		// Those that worked outlive those that come and go.
		least := slices.MinFunc(c.sessions, func(a, b *authSession) int { return a.proven - b.proven })
		c.sessions = slices.DeleteFunc(c.sessions, func(s *authSession) bool { return s == least })
	}
	c.sessions = append(c.sessions, s)
}

// Accepted takes what a 2xx tells in Authentication-Info and
// Proxy-Authentication-Info (RFC 7616 3.5): the nonce to use next, and the proof
// that the server knows our secret. ErrNotProven, wrapped, says that a proof was
// given and is wrong; the 2xx holds nevertheless, and so does the next nonce.
func (c *Credentials) Accepted(r *Response) error {
	if r.Status < 200 || r.Status > 299 {
		return nil
	}
	var faults []error
	carried := c.take(r.Headers)
	for _, a := range carried {
		a.session.proven = c.clock
	}
	for _, field := range authFields {
		ours := slices.DeleteFunc(slices.Clone(carried), func(a authAnswer) bool { return a.session.proxy != field.proxy })
		values := r.Headers.Values(field.info)
		for _, value := range values[:min(len(values), realmsTaken)] {
			info := parseInfo(value)
			a := info.about(ours)
			if a == nil {
				if len(ours) > 0 && info.rspauth != "" && info.cnonce != "" {
					faults = append(faults, fmt.Errorf("%w: its cnonce and nc are not those of the request", ErrNotProven))
				}
				continue
			}
			if err := a.verify(info, r.Body); err != nil {
				faults = append(faults, err)
			}
			c.next(a.session, info.nextnonce)
		}
	}
	return errors.Join(faults...)
}

// next takes a nextnonce, if the session still is the one in use. The key of a
// -sess algorithm stays: only a challenge begins a new one (RFC 7616 3.6).
func (c *Credentials) next(s *authSession, nonce string) {
	if nonce == "" || nonce == s.challenge.Nonce || !slices.Contains(c.sessions, s) {
		return
	}
	renewed := s.challenge
	renewed.Nonce = nonce
	if c.fault(&renewed) != "" {
		return
	}
	// An answer made with it is sent ahead, not made from a challenge.
	s.challenge, s.count, s.owed = renewed, 0, nil
	if isAKA(renewed.Algorithm) {
		s.aka = c.AKA.answer(nonce)
	}
}

// verify checks the server's proof, if there is one: the same hash as for the
// response, but for a method that is empty, and over the body of the answer
// (RFC 7616 3.5).
func (a *authAnswer) verify(info authInfo, body []byte) error {
	if info.rspauth == "" {
		return nil
	}
	input, options := a.input, a.options
	options.GetBody = bodyOf(body)
	// The server should apply the qop that we did, and says so when it did not.
	if len(input.QOP) > 0 && (info.qop == "auth" || info.qop == "auth-int") {
		input.QOP = []string{info.qop}
	}
	want, err := digest.Digest(&input, options)
	if err != nil {
		return err
	}
	if !strings.EqualFold(want.Response, info.rspauth) {
		return fmt.Errorf("%w: its rspauth for realm %q is wrong", ErrNotProven, shortened(a.session.realm))
	}
	return nil
}

// take removes and returns what a request carried, by its own header fields or
// by those of its answer, which repeats Call-ID and CSeq (RFC 3261 8.2.6.2).
func (c *Credentials) take(h Headers) []authAnswer {
	callID, cseq := h.Get("Call-ID"), cseqOf(h)
	i := slices.IndexFunc(c.sent, func(s signedRequest) bool { return s.callID == callID && s.cseq == cseq })
	if i < 0 {
		return nil
	}
	carried := c.sent[i].answers
	c.sent = slices.Delete(c.sent, i, i+1)
	return carried
}

func (c *Credentials) newCnonce() string {
	if c.cnonce != nil {
		return c.cnonce()
	}
	return rand.Text()
}

// cseqOf is the CSeq in one writing.
func cseqOf(h Headers) string {
	number, method, _ := h.CSeq()
	return strconv.FormatUint(uint64(number), 10) + " " + method
}

// hashOf finds the hash of an algorithm, however it is written, and its name
// without -sess; "" is MD5 (RFC 7616 3.3). The hash is nil where it is unknown.
func hashOf(algorithm string) (newHash func() hash.Hash, base string, sess bool) {
	if isAKA(algorithm) {
		return md5.New, "MD5", false
	}
	base, sess = strings.CutSuffix(strings.ToUpper(algorithm), "-SESS")
	switch base {
	case "", "MD5":
		if sess && base == "" {
			return nil, base, sess
		}
		return md5.New, "MD5", sess
	case "SHA-256":
		return sha256.New, base, sess
	case "SHA-512-256":
		return sha512.New512_256, base, sess
	}
	return nil, base, sess
}

func hexOf(newHash func() hash.Hash, parts ...string) string {
	h := newHash()
	io.WriteString(h, strings.Join(parts, ":"))
	return hex.EncodeToString(h.Sum(nil))
}

func bodyOf(body []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// quoteBytes writes a quoted string without touching a byte of what it means:
// what a server gave must reach it as it was, be it no UTF-8.
func quoteBytes(s string) string { return `"` + quoting.Replace(s) + `"` }

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
