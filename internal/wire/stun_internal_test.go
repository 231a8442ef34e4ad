package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The sample answers of RFC 5769 2.2 and 2.3: an attribute to ignore, padded with
// blanks, the address behind the mask, a signature, a fingerprint.
const (
	sampleIPv4 = `0101003c 2112a442 b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f7220
		00200008 0001a147e112a643
		00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
		80280004 c07d4c96`
	sampleIPv6 = `01010048 2112a442 b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f7220
		00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
		00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
		80280004 c8fb0b4c`
)

func TestSTUNSamples(t *testing.T) {
	for sample, want := range map[string]string{
		sampleIPv4: "192.0.2.1:32853",
		sampleIPv6: "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
	} {
		m, ok := parseSTUN(unhex(t, sample))
		if !ok || m.kind != stunSuccess || m.mapped.String() != want || hex.EncodeToString(m.id[:]) != "b7e7a701bc34d686fa87dfae" || len(m.unknown) > 0 {
			t.Errorf("%v, %+v", ok, m)
		}
		if mapped, err := m.binding(); err != nil || mapped.String() != want {
			t.Errorf("taken as %s, %v", mapped, err)
		}
	}
}

// What we send is what RFC 5389 6 and 15.2 have, and what we read.
func TestSTUNRequestAndAnswer(t *testing.T) {
	request, id := bindingRequest()
	if len(request) != 20 || !bytes.HasPrefix(request, unhex(t, "00010000 2112a442")) || !bytes.Equal(request[8:], id[:]) {
		t.Errorf("request is %x", request)
	}
	if _, other := bindingRequest(); other == id {
		t.Error("two requests have one transaction id")
	}
	asked, ok := parseSTUN(request)
	if !ok || asked.kind != stunRequest || asked.id != id {
		t.Fatalf("%v, %+v", ok, asked)
	}
	for _, from := range []string{"192.0.2.1:32853", "[2001:db8::1]:5060", "[fe80::1%eth0]:5060"} {
		source := netip.MustParseAddrPort(from)
		m, ok := parseSTUN(bindingAnswer(asked, source))
		want := netip.AddrPortFrom(source.Addr().WithZone(""), source.Port())
		if !ok || m.kind != stunSuccess || m.id != id || m.mapped != want {
			t.Errorf("%s: %v, %+v", from, ok, m)
		}
	}
	// The sample's address under the sample's id gives the sample's bytes.
	sample, _ := parseSTUN(unhex(t, sampleIPv6))
	if got := xorAddress(sample.mapped, sample.id); !bytes.Equal(got, unhex(t, "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9")) {
		t.Errorf("address is written as %x", got)
	}
}

// RFC 5389 7.3.1: what must be understood and is not is refused, and named; the
// answer does not grow with the request.
func TestSTUNUnknownAttributes(t *testing.T) {
	_, id := bindingRequest()
	var attributes []byte
	for kind := range uint16(100) {
		attributes = stunAttribute(attributes, 0x7000+kind, []byte{1})
	}
	asked, ok := parseSTUN(stunBytes(stunRequest, id, attributes))
	if !ok {
		t.Fatal("not read")
	}
	answer := bindingAnswer(asked, netip.MustParseAddrPort("192.0.2.1:1"))
	m, ok := parseSTUN(answer)
	if !ok || m.kind != stunFailure || m.code != 420 || m.reason != "Unknown Attribute" || len(answer) > 100 {
		t.Errorf("%v, %+v, %d bytes", ok, m, len(answer))
	}
	if !bytes.Contains(answer, unhex(t, "000a0010 7000 7001")) {
		t.Errorf("the answer names none: %x", answer)
	}
	// What RFC 3489 had is passed over: there are old servers.
	old := stunAttribute(stunAttribute(nil, 0x0003, make([]byte, 4)), 0x0005, make([]byte, 8))
	if m, ok := parseSTUN(stunBytes(stunRequest, id, old)); !ok || len(m.unknown) > 0 {
		t.Errorf("%v, %+v", ok, m)
	}
	// RFC 5389 7.3.3: an answer with such an attribute is a failure.
	odd, _ := parseSTUN(stunBytes(stunSuccess, id, stunAttribute(nil, 0x7000, nil)))
	if _, err := odd.binding(); err == nil {
		t.Error("an answer that cannot be understood was taken")
	}
}

func TestSTUNAnswers(t *testing.T) {
	_, id := bindingRequest()
	plain := []byte{0, 1, 0x13, 0xc4, 192, 0, 2, 7} // 192.0.2.7:5060
	one, two := netip.MustParseAddrPort("192.0.2.8:1"), netip.MustParseAddrPort("192.0.2.9:2")
	long := append([]byte{0, 0, 5, 0}, strings.Repeat("é", 300)...)
	for _, c := range []struct {
		name       string
		kind       uint16
		attributes []byte
		mapped     string
		err        string
	}{
		{"MAPPED-ADDRESS alone", stunSuccess, stunAttribute(nil, stunMappedAddress, plain), "192.0.2.7:5060", ""},
		{"both", stunSuccess, stunAttribute(stunAttribute(nil, stunMappedAddress, plain), stunXORMappedAddress, xorAddress(one, id)), "192.0.2.8:1", ""},
		{"the first of two", stunSuccess, stunAttribute(stunAttribute(nil, stunXORMappedAddress, xorAddress(one, id)), stunXORMappedAddress, xorAddress(two, id)), "192.0.2.8:1", ""},
		{"behind the signature", stunSuccess, stunAttribute(stunAttribute(nil, stunMessageIntegrity, make([]byte, 20)), stunXORMappedAddress, xorAddress(one, id)), "invalid AddrPort", ""},
		{"none", stunSuccess, nil, "invalid AddrPort", ""},
		{"another family", stunSuccess, stunAttribute(nil, stunXORMappedAddress, []byte{0, 3, 0, 0, 1, 2, 3, 4}), "invalid AddrPort", ""},
		{"length of the other family", stunSuccess, stunAttribute(nil, stunXORMappedAddress, append([]byte{0, 1}, make([]byte, 18)...)), "invalid AddrPort", ""},
		{"empty address", stunSuccess, stunAttribute(nil, stunXORMappedAddress, nil), "invalid AddrPort", ""},
		{"500", stunFailure, stunAttribute(nil, stunErrorCode, append([]byte{0, 0, 5, 0}, "Server Error"...)), "", "STUN was refused with 500 Server Error"},
		{"long reason", stunFailure, stunAttribute(nil, stunErrorCode, long), "", "STUN was refused with 500 " + strings.Repeat("é", 128)},
		{"code 299", stunFailure, stunAttribute(nil, stunErrorCode, []byte{0, 0, 2, 99}), "", "STUN was refused"},
		{"short code", stunFailure, stunAttribute(nil, stunErrorCode, []byte{0, 0, 5}), "", "STUN was refused"},
		{"no code", stunFailure, nil, "", "STUN was refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, ok := parseSTUN(stunBytes(c.kind, id, c.attributes))
			if !ok {
				t.Fatal("not read")
			}
			mapped, err := m.binding()
			switch {
			case c.err != "" && (err == nil || err.Error() != c.err):
				t.Errorf("error %v", err)
			case c.err == "" && (err != nil || mapped.String() != c.mapped):
				t.Errorf("%s, %v", mapped, err)
			}
		})
	}
}

// RFC 5389 7.3: what is malformed is passed over, whatever its bytes.
func TestSTUNMalformed(t *testing.T) {
	good := unhex(t, sampleIPv4)
	change := func(at int, b byte) []byte {
		out := bytes.Clone(good)
		out[at] ^= b
		return out
	}
	signed := func(message []byte) []byte { // a right fingerprint, where it must not be
		binary.BigEndian.PutUint16(message[2:], uint16(len(message)+8-stunHeaderSize))
		return stunAttribute(message, stunFingerprint, binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(message)^0x5354554e))
	}
	early := signed(unhex(t, "01010000 2112a442 b7e7a701bc34d686fa87dfae"))
	early = stunAttribute(early, 0x8022, []byte("last"))
	binary.BigEndian.PutUint16(early[2:], uint16(len(early)-stunHeaderSize))
	for name, datagram := range map[string][]byte{
		"nothing":               nil,
		"a byte":                good[:1],
		"half a header":         good[:19],
		"cut":                   good[:len(good)-4],
		"longer than it says":   append(bytes.Clone(good), 0, 0, 0, 0),
		"a SIP message's bits":  change(0, 0x40),
		"another cookie":        change(4, 1),
		"wrong fingerprint":     change(len(good)-1, 1),
		"changed address":       change(45, 1),
		"fingerprint not last":  early,
		"attribute beyond end":  change(22, 0xff),
		"length of the message": change(3, 4),
	} {
		if m, ok := parseSTUN(datagram); ok {
			t.Errorf("%s was read as %+v", name, m)
		}
	}
	if _, ok := parseSTUN(signed(unhex(t, "01010000 2112a442 b7e7a701bc34d686fa87dfae"))); !ok {
		t.Error("a right fingerprint alone was not read")
	}
	// No cut and no change of one byte panics.
	for i := range good {
		parseSTUN(good[:i])
		for _, b := range []byte{1, 0x7f, 0xff} {
			parseSTUN(change(i, b))
		}
	}
}
