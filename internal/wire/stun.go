package wire

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
)

// Of STUN a SIP flow needs one thing, the Binding request without credentials
// and its two answers (RFC 5626 8, RFC 5389). These are their message types.
const (
	stunRequest = 0x0001
	stunSuccess = 0x0101
	stunFailure = 0x0111
)

const (
	stunHeaderSize = 20
	stunCookie     = 0x2112A442 // RFC 5389 6
)

// The attributes that we read or write (RFC 5389 15).
const (
	stunMappedAddress     = 0x0001
	stunMessageIntegrity  = 0x0008
	stunErrorCode         = 0x0009
	stunUnknownAttributes = 0x000A
	stunXORMappedAddress  = 0x0020
	stunFingerprint       = 0x8028
)

// Attributes below this must be understood (RFC 5389 15).
const stunOptional = 0x8000

// stunKnown are the other attributes that had a meaning in RFC 3489 or have one
// in RFC 5389: unexpected here, and to be ignored (RFC 5389 7.3).
var stunKnown = []uint16{0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0007, 0x000B, 0x0014, 0x0015}

// stunUnknownKept bounds the list that goes back: no answer grows with its request.
const stunUnknownKept = 8

// stunID names a transaction.
type stunID [12]byte

// stunMessage is what a STUN message says to us.
type stunMessage struct {
	kind    uint16
	id      stunID
	mapped  netip.AddrPort // invalid where it names none
	code    int            // of a stunFailure; 0 where it has none
	reason  string
	unknown []uint16 // attributes that must be understood, and are not
}

// bindingRequest makes a request. It needs no attribute (RFC 5626 8).
func bindingRequest() (message []byte, id stunID) {
	rand.Read(id[:]) // never fails (crypto/rand)
	return stunBytes(stunRequest, id, nil), id
}

// bindingAnswer makes the answer to a request: from where it came, or where it
// holds what we do not understand a 420 (RFC 5389 7.3.1).
func bindingAnswer(request stunMessage, from netip.AddrPort) []byte {
	if len(request.unknown) == 0 {
		return stunBytes(stunSuccess, request.id, stunAttribute(nil, stunXORMappedAddress, xorAddress(from, request.id)))
	}
	var list []byte
	for _, kind := range request.unknown {
		list = binary.BigEndian.AppendUint16(list, kind)
	}
	attributes := stunAttribute(nil, stunErrorCode, append([]byte{0, 0, 4, 20}, "Unknown Attribute"...))
	return stunBytes(stunFailure, request.id, stunAttribute(attributes, stunUnknownAttributes, list))
}

func stunBytes(kind uint16, id stunID, attributes []byte) []byte {
	out := make([]byte, 0, stunHeaderSize+len(attributes))
	out = binary.BigEndian.AppendUint16(out, kind)
	out = binary.BigEndian.AppendUint16(out, uint16(len(attributes)))
	out = binary.BigEndian.AppendUint32(out, stunCookie)
	out = append(out, id[:]...)
	return append(out, attributes...)
}

// stunAttribute appends an attribute, padded to four bytes (RFC 5389 15).
func stunAttribute(out []byte, kind uint16, value []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, kind)
	out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
	out = append(out, value...)
	return append(out, make([]byte, -len(value)&3)...)
}

// parseSTUN reads a datagram; ok is false where it is no STUN message, or one
// that is malformed or has a wrong fingerprint: it is to be passed over then
// (RFC 5389 7.3). Of an attribute that comes again only the first counts.
func parseSTUN(datagram []byte) (m stunMessage, ok bool) {
	if len(datagram) < stunHeaderSize || datagram[0]&0xC0 != 0 ||
		int(binary.BigEndian.Uint16(datagram[2:])) != len(datagram)-stunHeaderSize ||
		binary.BigEndian.Uint32(datagram[4:]) != stunCookie {
		return stunMessage{}, false
	}
	m.kind = binary.BigEndian.Uint16(datagram)
	m.id = stunID(datagram[8:stunHeaderSize])
	var plain netip.AddrPort // MAPPED-ADDRESS: of old servers, and rewritten by some NATs
	signed := false
	for at := stunHeaderSize; at < len(datagram); {
		rest := datagram[at:]
		if len(rest) < 4 {
			return stunMessage{}, false
		}
		kind, length := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		padded := 4 + (length+3)&^3
		if padded > len(rest) {
			return stunMessage{}, false
		}
		value := rest[4 : 4+length]
		switch {
		case kind == stunFingerprint:
			// 15.5: the last attribute, over all before it.
			if length != 4 || padded != len(rest) || binary.BigEndian.Uint32(value) != crc32.ChecksumIEEE(datagram[:at])^0x5354554E {
				return stunMessage{}, false
			}
		case signed: // 15.4: to be ignored behind the signature
		case kind == stunMessageIntegrity:
			signed = true
		case kind == stunXORMappedAddress && !m.mapped.IsValid():
			m.mapped = readAddress(value, stunMask(m.id))
		case kind == stunMappedAddress && !plain.IsValid():
			plain = readAddress(value, [16]byte{})
		case kind == stunErrorCode && m.code == 0:
			m.code, m.reason = readErrorCode(value)
		case kind < stunOptional && !isKnownToSTUN(kind) && len(m.unknown) < stunUnknownKept:
			m.unknown = append(m.unknown, kind)
		}
		at += padded
	}
	if !m.mapped.IsValid() {
		m.mapped = plain
	}
	return m, true
}

func isKnownToSTUN(kind uint16) bool {
	switch kind {
	case stunMappedAddress, stunMessageIntegrity, stunErrorCode, stunUnknownAttributes, stunXORMappedAddress:
		return true
	}
	return slices.Contains(stunKnown, kind)
}

// readErrorCode reads an ERROR-CODE (RFC 5389 15.6); code is 0 where it is none.
func readErrorCode(value []byte) (code int, reason string) {
	const longest = 128 // characters of the reason
	if len(value) < 4 {
		return 0, ""
	}
	class, number := int(value[2]&7), int(value[3])
	if class < 3 || class > 6 || number > 99 {
		return 0, ""
	}
	text := []rune(strings.ToValidUTF8(string(value[4:min(len(value), 4+4*longest)]), "\uFFFD"))
	return 100*class + number, string(text[:min(len(text), longest)])
}

// stunMask is what an address is hidden by, from NATs that rewrite what looks
// like one (RFC 5389 15.2).
func stunMask(id stunID) (mask [16]byte) {
	binary.BigEndian.PutUint32(mask[:], stunCookie)
	copy(mask[4:], id[:])
	return mask
}

// readAddress reads MAPPED-ADDRESS and XOR-MAPPED-ADDRESS (RFC 5389 15.1, 15.2);
// the first has no mask. It is invalid where the family is unknown.
func readAddress(value []byte, mask [16]byte) netip.AddrPort {
	if len(value) != 8 && len(value) != 20 || (len(value) == 8) != (value[1] == 1) || (len(value) == 20) != (value[1] == 2) {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ binary.BigEndian.Uint16(mask[:])
	raw := slices.Clone(value[4:])
	for i := range raw {
		raw[i] ^= mask[i]
	}
	address, _ := netip.AddrFromSlice(raw)
	return unmap(netip.AddrPortFrom(address, port))
}

// xorAddress writes an XOR-MAPPED-ADDRESS.
func xorAddress(a netip.AddrPort, id stunID) []byte {
	mask := stunMask(id)
	family := byte(1)
	if a.Addr().Is6() {
		family = 2
	}
	out := []byte{0, family}
	out = binary.BigEndian.AppendUint16(out, a.Port()^binary.BigEndian.Uint16(mask[:]))
	for i, b := range a.Addr().AsSlice() {
		out = append(out, b^mask[i])
	}
	return out
}

// STUNError is an answer that refuses a Binding request (RFC 5389 7.3.4). The
// reason is the server's own text.
type STUNError struct {
	Code   int // 300 to 699; 0 where the answer names none
	Reason string
}

func (e *STUNError) Error() string {
	if e.Code == 0 {
		return "STUN was refused"
	}
	return strings.TrimSpace(fmt.Sprintf("STUN was refused with %d %s", e.Code, e.Reason))
}
