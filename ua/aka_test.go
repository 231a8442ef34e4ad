package ua_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/milenage"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/ua"
)

// The subscriber of set 1 of 3GPP TS 35.208.
const (
	akaKey = "465b5ce8b199b49faa5f0a2ee238a6bc"
	akaOP  = "cdc202d5123e20f62b6d676ac72cb318"
	akaOPc = "cd63cb71954a9f4e48a5994e37a02baf"
)

func block(text string) (out milenage.Block) {
	raw, _ := hex.DecodeString(text)
	copy(out[:], raw)
	return out
}

// center is an authentication center with one subscriber.
type center struct {
	card *milenage.Card
	rand milenage.Block // of the last challenge
}

func newCenter(k string) *center { return &center{card: milenage.New(block(k), block(akaOPc))} }

func sqn(n uint64) (out [6]byte) {
	for i := range out {
		out[i] = byte(n >> (8 * (5 - i)))
	}
	return out
}

// challenge writes what a core asks with (RFC 3310 3.2).
func (c *center) challenge(n uint64, amf [2]byte) string {
	c.rand[0]++
	_, ak := c.card.F2(c.rand)
	hidden := sqn(n)
	mac, _ := c.card.F1(c.rand, hidden, amf)
	for i := range hidden {
		hidden[i] ^= ak[i]
	}
	nonce := append(c.rand[:], hidden[:]...)
	nonce = append(append(nonce, amf[:]...), mac[:]...)
	return fmt.Sprintf(`WWW-Authenticate: Digest realm="core", nonce="%s", algorithm=AKAv1-MD5, qop="auth"`, base64.StdEncoding.EncodeToString(nonce))
}

// password is what the answer to the last challenge has to be made with.
func (c *center) password() string {
	res, _ := c.card.F2(c.rand)
	return string(res[:])
}

// param is a parameter of an Authorization.
func param(value, name string) string {
	_, rest, _ := strings.Cut(value, name+"=")
	if quoted, found := strings.CutPrefix(rest, `"`); found {
		rest, _, _ = strings.Cut(quoted, `"`)
		return rest
	}
	rest, _, _ = strings.Cut(rest, ",")
	return rest
}

// proves reports whether a REGISTER is signed with the password (RFC 7616 3.4.1).
func proves(register, password string) bool {
	h := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	auth := header(register, "Authorization")
	get := func(name string) string { return param(auth, name) }
	want := h(strings.Join([]string{h("alice:core:" + password), get(" nonce"), get("nc"), get("cnonce"), "auth", h("REGISTER:" + get("uri"))}, ":"))
	return get("response") == want && param(auth, "algorithm") == "AKAv1-MD5"
}

func aka(a *ua.Account) { a.AKA = ua.AKA{K: akaKey, OP: akaOP} }

// RFC 3310 3: the password of each answer is RES; a number that was used gets an
// AUTS with the one that we hold, and an answer without password, which is no
// refusal; and what was used is remembered from run to run.
func TestAKA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, dir := memnet.New(), t.TempDir()
		n.SetDelay(5*time.Millisecond, 0)
		s := newScripted(t, n.Host(registrarHost), wire.UDP, netip.MustParseAddrPort(registrarHost+":5060"))
		c := newCenter(akaKey)
		start := func() *run {
			a := account()
			a.Registrar, a.Watch, a.Password = "sip:"+s.addr.String(), ua.WatchOff, nil
			a.LocalAddress = phoneHost + ":5060" // where the script answers to
			aka(&a)
			return (&lab{t: t, net: n}).watch(phoneHost, dir, a)
		}
		inStep := func(r *run, from, number uint64) {
			t.Helper()
			if from > 0 {
				request := s.next("REGISTER")
				s.answer(request, "401 Unauthorized", c.challenge(from, [2]byte{0x80}))
				astray := s.next("REGISTER")
				auts, err := base64.StdEncoding.DecodeString(param(header(astray, "Authorization"), "auts"))
				if err != nil || len(auts) != 14 || !proves(astray, "") {
					t.Fatalf("out of step:\n%s", astray)
				}
				ak := c.card.F5Star(c.rand)
				held := uint64(0)
				for i := range ak {
					held = held<<8 | uint64(auts[i]^ak[i])
				}
				_, mac := c.card.F1(c.rand, sqn(held), [2]byte{})
				if held != number-32 || string(mac[:]) != string(auts[6:]) {
					t.Errorf("AUTS with %d and %x", held, auts[6:])
				}
				s.answer(astray, "401 Unauthorized", c.challenge(number, [2]byte{0x80}))
			} else {
				first := s.next("REGISTER")
				if auth := header(first, "Authorization"); param(auth, "username") != "alice" || !strings.Contains(auth, `nonce=""`) {
					t.Errorf("the first is\n%s", first)
				}
				s.answer(first, "401 Unauthorized", c.challenge(number, [2]byte{0x80}))
			}
			answered := s.next("REGISTER")
			if !proves(answered, c.password()) || strings.Contains(answered, "auts") {
				t.Errorf("in step:\n%s", answered)
			}
			s.answer(answered, "200 OK", "Contact: "+header(answered, "Contact")+";expires=600")
			r.awaitRegistration(ua.Registered)
		}
		r := start()
		inStep(r, 0, 1000)
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		inStep(r, 1000, 1032)
		r.kill()

		r = start()
		defer r.kill()
		inStep(r, 7, 1064)
	})
}

// TS 33.102 6.3.3: who does not know our key, or sends another AMF than he is known
// by, gets no answer; the words say which.
func TestAKAOfStrangers(t *testing.T) {
	stranger := newCenter("00000000000000000000000000000000")
	for name, c := range map[string]struct{ challenge, words string }{
		"key":      {stranger.challenge(5, [2]byte{0x80}), "its AUTN is of one who does not know our K and OP"},
		"amf":      {newCenter(akaKey).challenge(5, [2]byte{0x90}), "its AMF is 9000"},
		"nonce":    {`WWW-Authenticate: Digest realm="core", nonce="n1", algorithm=AKAv1-MD5`, "no RAND and AUTN in its nonce"},
		"password": {`WWW-Authenticate: Digest realm="core", nonce="n1", algorithm=MD5`, "no password"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(a *ua.Account) { aka(a); a.AKA.AMF, a.Password = "8000", nil }
			inScript(t, wire.UDP, change, func(s *scripted, r *run) {
				s.answer(s.next("REGISTER"), "401 Unauthorized", c.challenge)
				r.awaitRegistration(ua.Refused)
				if reason := r.state("alice").Registration.Reason; !strings.Contains(reason, c.words) {
					t.Errorf("%q", reason)
				}
				if r.sent("REGISTER") != 1 {
					t.Errorf("answered\n%s", r.story())
				}
			})
		})
	}
}

// Settings that make no key are told by their names.
func TestAKASettings(t *testing.T) {
	for key, settings := range map[string]ua.AKA{
		"aka_k": {OP: akaOP}, "aka_op": {K: akaKey, OP: akaOP, OPc: akaOPc}, "aka_opc": {K: akaKey},
		"aka_amf": {K: akaKey, OP: akaOP, AMF: "80"}, "aka_sqn": {K: akaKey, OPc: akaOPc, SQN: "xyz"},
	} {
		a := account()
		a.AKA = settings
		var wrong *ua.FieldError
		if err := a.Check(); !errors.As(err, &wrong) || wrong.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
}
