// Package wire is SIP on the wire: sockets and flows, transactions, locating
// the next hop, digest, and the lists that Contact and its like are.
//
// It is the one room that knows sipgo; nobody above sees a sipgo type. It knows
// nothing of registrations, subscriptions or accounts: it carries requests and
// answers as small values, and hands what arrives to whoever claimed it, in the
// order in which it came off the wire.
package wire

import (
	"errors"
	"log/slog"

	"github.com/emiago/sipgo/sip"
)

// Transport names, in lower case as URIs write them.
const (
	UDP = "udp"
	TCP = "tcp"
	TLS = "tls" // over TCP; in no URI: it is deprecated there (RFC 3261 26.2.2, RFC 5630 5.1.1)
	WS  = "ws"  // WebSocket (RFC 7118)
	WSS = "wss" // WebSocket over TLS; a URI says sips: and ws (RFC 7118 5.2)
)

// What can go wrong with a request that was sent; errors of Flow.Do wrap one.
var (
	// ErrTimeout: no final answer within 64*T1 (RFC 3261 17.1.2.2, Timer F).
	ErrTimeout = errors.New("no answer")
	// ErrUnfinished, beside ErrTimeout: provisional answers came, so somebody is
	// there (RFC 3263 4.3), and no final one within 64*T1.
	ErrUnfinished = errors.New("only provisional answers")
	// ErrMismatch: what came under the request's branch is no answer to it
	// (RFC 3261 8.1.3.3, 8.2.6.2).
	ErrMismatch = errors.New("the answer does not fit the request")
	// ErrTransport: it could not be sent, or the connection went away.
	ErrTransport = errors.New("transport failed")
	// ErrClosed: we closed the stack or the flow ourselves.
	ErrClosed = errors.New("closed")
)

// maxMessage bounds a message in either direction: the largest UDP datagram,
// and far more than any reginfo document of a sane AOR.
const maxMessage = 65535

// sipgo keeps these as globals; they are set before the first stack opens.
func init() {
	// It logs what it cannot parse, and would tear the screen.
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	sip.TransportBufferReadSize = maxMessage
	// It refuses to send more than 1300 bytes over UDP and offers nothing else.
	// When to leave UDP (RFC 3261 18.1.1) is decided above it.
	sip.UDPMTUSize = maxMessage + 200
}
