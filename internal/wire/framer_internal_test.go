package wire

import (
	"fmt"
	"strings"
	"testing"
)

// RFC 3261 7.5, RFC 5626 3.5.1: CRLFs between messages are keep-alives, those in
// a message are the message's, wherever the stream is cut into pieces.
func TestFramer(t *testing.T) {
	message := func(body string) string {
		return fmt.Sprintf("OPTIONS sip:a SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	bare, lines, blank := message(""), message("\r\n\r\nb\r\n\r\n"), message("\r\n")
	stream := "\r\n\r\n" + bare + "\r\n" + lines + blank + "\r\n\r\n\r\n" + bare + bare + "\r\n"
	want := []string{bare, lines, blank, bare, bare}
	for size := 1; size <= len(stream); size++ {
		var f framer
		var got []string
		crlfs := 0
		for at := 0; at < len(stream); at += size {
			piece := []byte(stream[at:min(at+size, len(stream))])
			if !f.take(piece, func(m []byte) { got = append(got, string(m)) }, func() { crlfs++ }) {
				t.Fatal("it ends")
			}
		}
		if strings.Join(got, "|") != strings.Join(want, "|") || crlfs != 7 || len(f.held) > 0 {
			t.Fatalf("in pieces of %d: %d CRLFs, %q", size, crlfs, got)
		}
	}
}

// A stream that is no SIP is held in no more than one message's room, and ends.
func TestFramerIsBounded(t *testing.T) {
	for name, head := range map[string]string{
		"a head without an end": "OPTIONS sip:a SIP/2.0\r\n",
		"a body without an end": "OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n",
		"a length that is none": "OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
	} {
		var f framer
		none := func([]byte) { t.Errorf("%s is a message", name) }
		goes := f.take([]byte(head), none, func() {})
		for n := 0; goes && n < 100; n++ {
			goes = f.take([]byte(strings.Repeat("X: y\r\n", 500)), none, func() {})
			if len(f.held) > maxMessage {
				t.Fatalf("%s: %d bytes are held", name, len(f.held))
			}
		}
		if goes {
			t.Errorf("%s has no end", name)
		}
	}
}
