package ua

import (
	"time"

	"regwatch/reginfo"
)

// Snapshot is the whole state of one account at one moment. It is immutable;
// what did not change since the one before is shared with it.
type Snapshot struct {
	Account string
	AOR     string
	At      time.Time

	Registration Registration // over Flow
	Subscription Subscription // over Flow
	Flow         Flow
	Flows        []FlowState // where there are several, in the order of the account's proxies: Flow and Registration are one of them

	Bindings []Binding // as the registrar told them, in document order; removed ones stay for half a minute
	GRUUs    []GRUU
	Prompts  []Prompt // kicks that are open, oldest first
	Document Document // the last one applied
	Notices  []string // lasting warnings in words, such as a state file that another process holds

	// Documents are the last ones received, those discarded too, the oldest first;
	// so many as are kept.
	Documents     []Document
	Answer        Answer
	Listed        bool           // Bindings are the whole list of a subscription that is up
	Disagreements []Disagreement // of the three truths, those that last
	Ping          Ping
}

// Registration is our own registration as we know it: granted to us, by our
// clock.
type Registration struct {
	State     RegistrationState // "" before the first attempt
	Since     time.Time
	Contact   string // our Contact URI
	Instance  string // urn:uuid:...
	RegID     uint32
	CallID    string
	CSeq      uint32
	SeenAs    string // our address as the next hop saw it; "" unknown
	NAT       bool   // SeenAs differs from the address we send from
	Status    int    // of the last final answer; 0 none
	Reason    string // why the state is what it is, in words
	Granted   time.Duration
	ExpiresAt time.Time     // zero when not registered
	RefreshAt time.Time     // when it is refreshed; zero: not
	RetryAt   time.Time     // zero when no attempt is set
	Pending   bool          // a REGISTER that binds or refreshes is under way
	Slow      string        // said while an answer is late: "sent 4 times, no answer for 7 s"
	RoundTrip time.Duration // of the last answered REGISTER
}

// Subscription is the subscription to our own registration.
type Subscription struct {
	State     SubscriptionState // "" before the first attempt
	Since     time.Time
	Status    int
	Reason    string
	Granted   time.Duration
	ExpiresAt time.Time
	RefreshAt time.Time
	RetryAt   time.Time
	Slow      string
}

// Flow is the way to the next hop.
type Flow struct {
	Up        bool
	Transport string
	Local     string // address:port
	Remote    string
	Cause     string    // why it is down
	KeepAlive string    // what keeps it alive: "CRLF", "CRLF ping" (that is answered), "STUN"; "": nothing
	Answered  time.Time // when a keep-alive was answered last; zero: none was
}

// FlowState is one of several flows and our registration over it (RFC 5626).
type FlowState struct {
	Flow
	Registration Registration
}

// Holds reports whether the flow is up and we are registered over it.
func (f FlowState) Holds() bool { return f.Up && f.Registration.State == Registered }

// Binding is one contact of the AOR as the registrar last told it, and what we
// think of it.
type Binding struct {
	reginfo.Row
	Own        bool
	EarlierRun bool
	MatchedBy  MatchedBy
	Origin     Origin // of its last change
	// StillListed: a query found it gone, and no document has said so since.
	StillListed bool
}

// Active reports whether the contact is bound.
func (b Binding) Active() bool { return b.Contact.State != reginfo.ContactTerminated }

// GRUU is one GRUU of ours (RFC 5627). It is opaque: shown whole where copied.
type GRUU struct {
	Type      GRUUType
	AOR       string // that it belongs to: ours, or another identity of our registration set
	URI       string
	CallID    string // temporary: of the REGISTER that brought it
	CSeq      uint32
	FirstCSeq reginfo.Number
	RegID     uint32
	Source    Source
	Usable    bool // a public one is kept but unusable while we are not registered
}

// Prompt is a kick that is open: it waits for the user, or for its time.
type Prompt struct {
	ID        uint64 // rises by one for each kick of the account
	At        time.Time
	On        Kick
	Contact   reginfo.Contact // as the registrar told it
	AOR       string
	MatchedBy MatchedBy
	Origin    Origin
	Evidence  []string
	Policy    Policy
	Decision  Decision
	ActAt     time.Time // when we register by ourselves; zero: never
	Message   uint64    // that told it, as in Event
}

// Document is a reginfo document as it was received.
type Document struct {
	At      time.Time
	CSeq    uint32 // of its NOTIFY
	Version reginfo.Number
	State   reginfo.DocState // "": it does not say, or could not be read
	Verdict reginfo.Verdict
	Reason  string // why it was discarded, or applied though its version did not fit
	Raw     []byte // the body, not to be changed
}

// Answer is what the last 2xx to a REGISTER listed, be it to bind or to query.
type Answer struct {
	At       time.Time // zero: none yet
	Contacts []AnsweredContact
}

// AnsweredContact is a contact of an Answer. Those that a document said since to
// be gone are left out.
type AnsweredContact struct {
	URI       string
	Own       bool
	ExpiresAt time.Time // zero: it did not say
}

// Disagreement is what two of the three truths say differently, and since when.
type Disagreement struct {
	DisagreementDetail
	Since time.Time
	// Against is the witness that the two others contradict, and so is out of date
	// or wrong; "" while that is not known.
	Against string
}

// Remedy says what the user can do about it.
func (d Disagreement) Remedy() string {
	if d.Against == WitnessWatched {
		return "S asks for the list anew"
	}
	return "a query (Q) settles it"
}

// Ping is the last OPTIONS to a GRUU of our own.
type Ping struct {
	URI     string // "": there was none
	SentAt  time.Time
	Back    time.Duration // until it reached this device; 0: it did not
	Status  int           // of the answer; 0: none
	Outcome string        // in words; "" while it is under way
}
