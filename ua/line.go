package ua

import (
	"net/netip"
	"time"

	"regwatch/internal/wire"
)

// line is one way by which the account is reached: a flow by way of one outbound
// proxy, or to the registrar, and the binding that is registered over it under a
// reg-id and a Call-ID of its own (RFC 5626 4.2.1).
type line struct {
	flow       *wire.Flow // nil: none yet, or lost
	box        *wire.Box
	connecting bool
	stale      bool          // the network changed while it was being connected
	unsent     []effect      // requests that wait for the flow
	lastFlow   Flow          // as snapshots show it, also while it is down
	suspect    *wire.Flow    // the last that carried no answer
	narrow     *wire.Flow    // the last UDP flow that has no TCP beside it, see widen
	target     wire.Target   // that the flow goes to
	targets    []wire.Target // that there are (RFC 3263 4.2)
	hopped     string        // the URI that they were found by
	relocate   bool          // an attempt failed: look again before the next
	keep       keepAlive
	hint       string // what an ICMP message says of the request under way
	seenAs     netip.AddrPort
	roundTrip  time.Duration

	id          identity
	reg         registration
	regCSeq     uint32
	sent        []sentRegister
	answered    sentRegister // our last REGISTER that bound us and got a 2xx
	spent       sentRegister // the last whose binding has ended
	removed     bool         // our removal is under way or was answered last
	justBound   time.Time
	lapsedAt    time.Time
	displacedAt time.Time // when a REGISTER by hand last bound our address for another than us; zero: never
	outbound    bool      // the registrar uses RFC 5626 for this binding
	service     []string  // Service-Route of the last 2xx (RFC 3608)

	deferred []heldChange // removals of ours that wait for the REGISTER under way
	listed   bool         // a document since our last 2xx listed us
	missed   bool         // since our last 2xx a query found us gone, or shortened; a document that says so is late
	short    bool         // since our last 2xx it was told that we were shortened
	doubted  bool         // the document at hand is the first after the notifier was silent
	// reassuring: the REGISTER under way is there because the notifier was silent, and
	// nobody asked for it: a kick that it overtakes is told all the same.
	reassuring bool
	reaction   reaction
}
