package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"regwatch/internal/milenage"
)

// akaAlgorithm is the digest algorithm whose password is made anew for each
// challenge, from a key that subscriber and network share (RFC 3310 3.1).
const akaAlgorithm = "AKAv1-MD5"

func isAKA(algorithm string) bool { return strings.EqualFold(algorithm, akaAlgorithm) }

// AKASettings are a subscriber's key and what goes with it, as hexadecimal digits.
// The zero value means that there is none.
type AKASettings struct {
	K       string // 32 digits
	OP, OPc string // 32 digits; one of the two: OPc is OP mixed with K
	AMF     string // 4 digits that a challenge has to carry; "": any
	SQN     string // 12 digits: the highest sequence number that counts as used; "": 0
}

// AKASettingError says what is wrong with one of AKASettings; Key is its name in
// small letters.
type AKASettingError struct{ Key, Fault string }

func (e *AKASettingError) Error() string { return e.Key + " " + e.Fault }

// Set reports whether any is given.
func (s AKASettings) Set() bool { return s != AKASettings{} }

// AKA answers challenges as a USIM does (3GPP TS 33.102 6.3). It belongs to one
// goroutine.
type AKA struct {
	// SQN is the highest sequence number that was accepted, below 2^48. Who keeps it
	// from run to run is spared a resynchronisation.
	SQN uint64

	card *milenage.Card
	amf  []byte // that a challenge has to carry; nil: any
}

// NewAKA reads the settings; the error is an *AKASettingError.
func NewAKA(s AKASettings) (*AKA, error) {
	var fault error
	read := func(key, value string, digits int) []byte {
		raw, err := hex.DecodeString(value)
		if (err != nil || len(value) != digits) && fault == nil {
			fault = &AKASettingError{key, fmt.Sprintf("must be %d hexadecimal digits", digits)}
		}
		return append(raw, make([]byte, 16)...)
	}
	k := milenage.Block(read("k", s.K, 32)[:16])
	var opc milenage.Block
	switch {
	case s.OP != "" && s.OPc != "":
		return nil, &AKASettingError{"op", "is given beside opc; one of them says it all"}
	case s.OP != "":
		opc = milenage.OPc(k, milenage.Block(read("op", s.OP, 32)[:16]))
	default:
		opc = milenage.Block(read("opc", s.OPc, 32)[:16])
	}
	a := &AKA{card: milenage.New(k, opc)}
	if s.AMF != "" {
		a.amf = read("amf", s.AMF, 4)[:2]
	}
	if s.SQN != "" {
		a.SQN = number48(read("sqn", s.SQN, 12)[:6])
	}
	if fault != nil {
		return nil, fault
	}
	return a, nil
}

// akaChallenge is what the nonce of a challenge holds (RFC 3310 3.2).
type akaChallenge struct {
	rand milenage.Block
	sqn  [6]byte // hidden by AK
	amf  [2]byte
	mac  [8]byte
}

func parseAKA(nonce string) (c akaChallenge, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(nonce)
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(nonce)
	}
	if err != nil || len(raw) < 32 {
		return c, false
	}
	copy(c.rand[:], raw)
	copy(c.sqn[:], raw[16:])
	copy(c.amf[:], raw[22:])
	copy(c.mac[:], raw[24:])
	return c, true
}

// open takes AK off the sequence number.
func (a *AKA) open(c akaChallenge) (sqn [6]byte, res [8]byte) {
	res, ak := a.card.F2(c.rand)
	for i := range sqn {
		sqn[i] = c.sqn[i] ^ ak[i]
	}
	return sqn, res
}

// fault says why the challenge is not to be answered at all, or "": it is none, or
// it does not come from one who knows the key (TS 33.102 6.3.3).
func (a *AKA) fault(nonce string) string {
	c, ok := parseAKA(nonce)
	if !ok {
		return "no RAND and AUTN in its nonce"
	}
	sqn, _ := a.open(c)
	mac, _ := a.card.F1(c.rand, sqn, c.amf)
	switch {
	case mac != c.mac:
		return "its AUTN is of one who does not know our K and OP"
	case a.amf != nil && !bytes.Equal(a.amf, c.amf[:]):
		return fmt.Sprintf("its AMF is %x", c.amf)
	}
	return ""
}

// akaAnswer is what stands in the place of a password.
type akaAnswer struct {
	res  string // as it is, not in digits (RFC 3310 3.3)
	auts string // base64; "": the sequence number was accepted
}

// answer takes a challenge without fault. A sequence number that is not above the
// last gets an AUTS, by which the network finds ours (RFC 3310 3.4, TS 33.102
// 6.3.3, 6.3.5).
func (a *AKA) answer(nonce string) akaAnswer {
	c, _ := parseAKA(nonce)
	sqn, res := a.open(c)
	if n := number48(sqn[:]); n > a.SQN {
		a.SQN = n
		return akaAnswer{res: string(res[:])}
	}
	var ours [8]byte
	binary.BigEndian.PutUint64(ours[:], a.SQN)
	own := [6]byte(ours[2:])
	_, mac := a.card.F1(c.rand, own, [2]byte{}) // AMF* is zero
	ak := a.card.F5Star(c.rand)
	for i := range own {
		own[i] ^= ak[i]
	}
	return akaAnswer{auts: base64.StdEncoding.EncodeToString(append(own[:], mac[:]...))}
}

func number48(b []byte) uint64 {
	return binary.BigEndian.Uint64(append([]byte{0, 0}, b...))
}
