// Package milenage computes what a USIM computes in authentication and key
// agreement: the functions f1 to f5* of 3GPP TS 35.206, on AES-128.
//
// It imports the standard library only and knows nothing of SIP: who sends what
// to whom, and which sequence numbers are believed, is others' business.
package milenage

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// Block is 128 bits: a key, a constant of the operator, or a RAND.
type Block = [16]byte

// Card is a subscriber's key with what the operator mixes into it. It is safe for
// use from several goroutines.
type Card struct {
	cipher cipher.Block
	opc    Block
}

// New returns the card for the key K and OPc.
func New(k, opc Block) *Card {
	c, err := aes.NewCipher(k[:])
	if err != nil {
		panic(fmt.Sprintf("AES with a key of 16 bytes: %v", err)) // cannot be
	}
	return &Card{c, opc}
}

// OPc derives from OP what is kept on the cards of an operator
// (TS 35.206 4.1): that and OP are alternatives.
func OPc(k, op Block) Block {
	return New(k, Block{}).encrypt(op).xor(op)
}

type block Block

func (c *Card) encrypt(in Block) block {
	var out block
	c.cipher.Encrypt(out[:], in[:])
	return out
}

func (b block) xor(with Block) Block {
	for i := range b {
		b[i] ^= with[i]
	}
	return Block(b)
}

// rotated is a block moved to the left by whole bytes, round the end.
func rotated(b Block, bytes int) Block {
	var out Block
	for i := range b {
		out[i] = b[(i+bytes)%len(b)]
	}
	return out
}

// out computes one of the OUT blocks of TS 35.206 4.1: TEMP mixed with OPc, moved by
// r bits, a constant added that is c in its last byte.
func (c *Card) out(rand Block, r int, constant byte) Block {
	temp := c.encrypt(block(rand).xor(c.opc))
	in := rotated(temp.xor(c.opc), r/8)
	in[15] ^= constant
	return c.encrypt(in).xor(c.opc)
}

// F1 gives the network's proof of itself, MAC-A (f1), and that of a card in a
// resynchronisation, MAC-S (f1*).
func (c *Card) F1(rand Block, sqn [6]byte, amf [2]byte) (macA, macS [8]byte) {
	var in Block
	copy(in[0:], sqn[:])
	copy(in[6:], amf[:])
	copy(in[8:], in[:8])
	temp := c.encrypt(block(rand).xor(c.opc))
	mixed := block(rotated(block(in).xor(c.opc), 8)).xor(Block(temp))
	out := c.encrypt(mixed).xor(c.opc)
	copy(macA[:], out[:8])
	copy(macS[:], out[8:])
	return macA, macS
}

// F2 gives the card's answer, RES (f2), and the key AK that hides the sequence number (f5).
func (c *Card) F2(rand Block) (res [8]byte, ak [6]byte) {
	out := c.out(rand, 0, 1)
	copy(res[:], out[8:])
	copy(ak[:], out[:6])
	return res, ak
}

// F5Star gives the key AK that hides the sequence number in a resynchronisation (f5*).
func (c *Card) F5Star(rand Block) (ak [6]byte) {
	out := c.out(rand, 96, 8)
	copy(ak[:], out[:6])
	return ak
}
