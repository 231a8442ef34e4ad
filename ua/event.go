package ua

import (
	"bytes"
	"cmp"
	"encoding/json"
	"time"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

// Kind names what an event is about, as in the event stream.
type Kind string

// The kinds of event.
const (
	KindStart             Kind = "start"
	KindMissed            Kind = "missed"
	KindRegistration      Kind = "registration"
	KindSubscription      Kind = "subscription"
	KindDocument          Kind = "document"
	KindRegistrationState Kind = "registration-state"
	KindContact           Kind = "contact"
	KindAction            Kind = "action"
	KindGRUU              Kind = "gruu"
	KindDisagreement      Kind = "disagreement"
	KindFinding           Kind = "finding"
	KindFlow              Kind = "flow"
	KindRequest           Kind = "request"
	KindSIP               Kind = "sip"
)

// Event is one thing that happened to one account. Events are immutable; Detail
// says what happened and is never nil.
type Event struct {
	Run     string // names this run of the program
	Seq     uint64 // rises by one within a run, over all accounts
	Time    time.Time
	Account string // "" for what concerns the whole run
	Summary string // one plain sentence; may hold text from the network: show it made visible
	Detail  Detail
	// Message is the number, in the trace of the run, of the message that told it;
	// 0 where it was read from none, such as by time or by the user's wish, and where
	// there is no trace. It is for the eyes of this run and not in the event stream.
	Message uint64
}

// Kind is the kind of the event's detail.
func (e Event) Kind() Kind { return e.Detail.kind() }

// MarshalJSON writes one flat object: the fields that every event has, then
// those of its kind. Absent values are left out, never null.
func (e Event) MarshalJSON() ([]byte, error) {
	head, err := marshal(struct {
		V       int    `json:"v"`
		Run     string `json:"run"`
		Seq     uint64 `json:"seq"`
		Time    string `json:"time"`
		Account string `json:"account,omitempty"`
		Kind    Kind   `json:"kind"`
		Summary string `json:"summary"`
	}{1, e.Run, e.Seq, e.Time.UTC().Format(time.RFC3339Nano), e.Account, e.Kind(), e.Summary})
	if err != nil {
		return nil, err
	}
	detail, err := marshal(e.Detail)
	if err != nil {
		return nil, err
	}
	if len(detail) == len("{}") {
		return head, nil
	}
	return append(append(head[:len(head)-1], ','), detail[1:]...), nil
}

// marshal is json.Marshal without its HTML escapes: a URI's < and & stay readable.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// Detail is what an event of one kind tells; a type switch over the types of
// this file takes it apart.
type Detail interface{ kind() Kind }

// StartDetail opens the stream of a run.
type StartDetail struct {
	Version  string   `json:"version"`
	PID      int      `json:"pid"`
	Accounts []string `json:"accounts"`
}

// MissedDetail says how many events a slow reader lost. It is made for one
// reader and has no place in the numbering of the others.
type MissedDetail struct {
	Count uint64 `json:"count"`
}

// RegistrationState is where our own registration stands, as we know it.
type RegistrationState string

// The states of our registration.
const (
	Registering   RegistrationState = "registering"   // a REGISTER is on its way, none has succeeded since the last loss
	Registered    RegistrationState = "registered"    // a 2xx listed our contact and its time has not run out
	Unregistering RegistrationState = "unregistering" // our removal is on its way
	Unregistered  RegistrationState = "unregistered"  // no contact of ours is bound, and nothing is under way
	Retrying      RegistrationState = "retrying"      // an attempt failed; the next is set
	Refused       RegistrationState = "refused"       // the registrar said no; only the user can try again
	Failed        RegistrationState = "failed"        // an answer that we can do nothing with; only the user can try again
)

// RegistrationDetail tells a change of our own registration, and each refresh.
type RegistrationDetail struct {
	State     RegistrationState `json:"state"`
	AOR       string            `json:"aor"`
	RegID     uint32            `json:"reg_id,omitempty"`
	Contact   string            `json:"contact,omitempty"`
	Transport string            `json:"transport,omitempty"`
	SeenAs    string            `json:"seen_as,omitempty"` // our address as the next hop saw it (RFC 3581)
	Status    int               `json:"status,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Expires   Seconds           `json:"expires,omitzero"`
	RetryIn   Seconds           `json:"retry_in,omitzero"`
	CallID    string            `json:"call_id,omitempty"`
	CSeq      uint32            `json:"cseq,omitempty"`

	// Heard says of an attempt without a usable answer that something came all the
	// same, such as 100 Trying: the target is there.
	Heard bool `json:"-"`
}

// SubscriptionState is where the subscription to our own registration stands.
type SubscriptionState string

// The states of the subscription (RFC 6665 4.1.2, with names of our own for
// where a registrar has no reg event).
const (
	NotifyWait  SubscriptionState = "notify_wait" // SUBSCRIBE is sent, no NOTIFY yet
	Pending     SubscriptionState = "pending"     // accepted, not yet allowed
	Active      SubscriptionState = "active"      // we are told of every change
	Terminated  SubscriptionState = "terminated"  // over; RetryIn says whether we try again
	Unsupported SubscriptionState = "unsupported" // the registrar has no reg event for us
	Polling     SubscriptionState = "polling"     // and so we ask for the bindings now and then
)

// SubscriptionDetail tells a change of the subscription, and each refresh.
type SubscriptionDetail struct {
	State   SubscriptionState `json:"state"`
	AOR     string            `json:"aor"`
	Status  int               `json:"status,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Expires Seconds           `json:"expires,omitzero"`
	RetryIn Seconds           `json:"retry_in,omitzero"`

	Heard bool `json:"-"` // as of a registration
}

// DocumentDetail tells of a reginfo document and what became of it.
type DocumentDetail struct {
	Version       reginfo.Number   `json:"version,omitzero"`
	State         reginfo.DocState `json:"state,omitempty"`
	CSeq          uint32           `json:"cseq"`
	Registrations int              `json:"registrations"`
	Contacts      int              `json:"contacts"`
	Verdict       reginfo.Verdict  `json:"verdict"`
	Reason        string           `json:"reason,omitempty"`
}

// RegistrationStateDetail tells that a registration element changed its state.
type RegistrationStateDetail struct {
	AOR            string           `json:"aor"`
	RegistrationID string           `json:"registration_id,omitempty"`
	State          reginfo.RegState `json:"state"`
}

// MatchedBy says by what a contact was recognised as ours.
type MatchedBy string

// What tells our own contact, the surest first.
const (
	ByInstance MatchedBy = "instance"
	ByCallID   MatchedBy = "call-id"
	ByURI      MatchedBy = "uri"
	ByGRUU     MatchedBy = "gruu"
)

// Origin says who caused a change of a contact.
type Origin string

// The origins.
const (
	OriginSelf        Origin = "self"         // a request of ours, or our own lapse
	OriginOtherDevice Origin = "other-device" // another contact's own doing
	OriginNetwork     Origin = "network"      // the registrar or its administrator
	OriginElsewhere   Origin = "elsewhere"    // somebody else's request, on our contact
	OriginUnknown     Origin = "unknown"      // nothing proves it
)

// Source says where a contact's state was read.
type Source string

// The sources.
const (
	FromNotify   Source = "notify"
	FromPoll     Source = "poll"
	FromRegister Source = "register"
)

// ContactDetail tells a change of one contact of the AOR. The fields up to
// Source are our judgement, those of Contact the registrar's words.
type ContactDetail struct {
	AOR            string    `json:"aor"`
	RegistrationID string    `json:"registration_id,omitempty"`
	Own            bool      `json:"own"`
	EarlierRun     bool      `json:"earlier_run,omitempty"`
	MatchedBy      MatchedBy `json:"matched_by,omitempty"`
	Origin         Origin    `json:"origin"`
	Evidence       []string  `json:"evidence,omitempty"`
	Source         Source    `json:"source"`
	reginfo.Contact
}

// Decision says what was made of a kick.
type Decision string

// The decisions.
const (
	Asked         Decision = "asked"         // the user is asked; nothing happens by itself
	Reregistering Decision = "reregistering" // a REGISTER follows, In seconds from now
	Waiting       Decision = "waiting"       // the network set a time before which we must not register
	Stopped       Decision = "stopped"       // off until the user registers by hand
	Ignored       Decision = "ignored"       // the user chose to let it be
)

// ActionDetail tells what we do about a kick.
type ActionDetail struct {
	On       Kick     `json:"on"`
	Policy   Policy   `json:"policy"`
	Decision Decision `json:"decision"`
	In       Seconds  `json:"in,omitzero"`
}

// GRUUChange is what became of a GRUU.
type GRUUChange string

// The changes of a GRUU.
const (
	Learned     GRUUChange = "learned"
	Replaced    GRUUChange = "replaced"
	Invalidated GRUUChange = "invalidated"
)

// GRUUType tells the two kinds of GRUU apart (RFC 5627 3.1).
type GRUUType string

// The types of GRUU.
const (
	PublicGRUU    GRUUType = "public"
	TemporaryGRUU GRUUType = "temporary"
)

// GRUUDetail tells a change in our GRUUs.
type GRUUDetail struct {
	Change    GRUUChange     `json:"change"`
	Type      GRUUType       `json:"type"`
	URI       string         `json:"uri"`
	AOR       string         `json:"aor"`
	Instance  string         `json:"instance,omitempty"`
	RegID     uint32         `json:"reg_id,omitempty"`
	CallID    string         `json:"call_id,omitempty"`
	CSeq      uint32         `json:"cseq,omitempty"`
	FirstCSeq reginfo.Number `json:"first_cseq,omitzero"`
	Source    Source         `json:"source,omitempty"`
	Cause     string         `json:"cause,omitempty"`
}

// DisagreementDetail tells that two of the three truths differ: "local" (granted
// to us, by our clock), "response" (of the last 2xx), "watched" (the documents).
type DisagreementDetail struct {
	Between []string `json:"between"`
	About   string   `json:"about"`
	Detail  string   `json:"detail"`
	Cleared bool     `json:"cleared,omitempty"`
}

// FindingDetail tells of something that the registrar gets wrong or that a
// tester should know.
type FindingDetail struct {
	Code     finding.Code     `json:"code"`
	Severity finding.Severity `json:"severity"`
	Clause   string           `json:"clause"`
	Detail   string           `json:"detail,omitempty"`
}

// FlowDetail tells that the way to the registrar came up or went down.
type FlowDetail struct {
	State     string `json:"state"` // "up" or "down"
	RegID     uint32 `json:"reg_id,omitempty"`
	Transport string `json:"transport"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
	Cause     string `json:"cause,omitempty"`
}

// RequestDetail tells of a request that reached us and was none of ours to
// expect, or of a ping of our own GRUU.
type RequestDetail struct {
	Method string `json:"method"`
	From   string `json:"from"`
	Target string `json:"target"` // Request-URI
	// Called is what was called, and CalledFrom where that was read:
	// "p-called-party-id", "history-info", or "to", which is a guess.
	Called      string `json:"called,omitempty"`
	CalledFrom  string `json:"called_from,omitempty"`
	Status      int    `json:"status"` // our answer
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`
}

// SIPDetail is a SIP message as it was sent or received, where Options.Messages
// asks for them. It comes before the events that it leads to.
type SIPDetail struct {
	Direction trace.Direction `json:"direction"`
	Transport string          `json:"transport"`
	Local     string          `json:"local"`
	Remote    string          `json:"remote"`
	StartLine string          `json:"start_line"`
	Raw       string          `json:"raw"` // secrets masked; in JSON, bytes that are no UTF-8 become U+FFFD
}

func (StartDetail) kind() Kind             { return KindStart }
func (MissedDetail) kind() Kind            { return KindMissed }
func (RegistrationDetail) kind() Kind      { return KindRegistration }
func (SubscriptionDetail) kind() Kind      { return KindSubscription }
func (DocumentDetail) kind() Kind          { return KindDocument }
func (RegistrationStateDetail) kind() Kind { return KindRegistrationState }
func (ContactDetail) kind() Kind           { return KindContact }
func (ActionDetail) kind() Kind            { return KindAction }
func (GRUUDetail) kind() Kind              { return KindGRUU }
func (DisagreementDetail) kind() Kind      { return KindDisagreement }
func (FindingDetail) kind() Kind           { return KindFinding }
func (FlowDetail) kind() Kind              { return KindFlow }
func (RequestDetail) kind() Kind           { return KindRequest }
func (SIPDetail) kind() Kind               { return KindSIP }

// Kick returns which kick the event is, and "" when it is none: only what hits
// our own contact and was not our doing counts. Where nobody knows whose doing it
// was we held no registration that it could end.
func (d ContactDetail) Kick() Kick {
	if !d.Own || d.Origin == OriginSelf || d.Origin == OriginUnknown {
		return ""
	}
	return kickOf(d.Event)
}

// Word says what happened to the contact: the registrar's own word, ours for what
// went without one, and where there is neither, the state that the contact is in.
func (d ContactDetail) Word() string {
	return cmp.Or(InWords(d.Event), string(d.State))
}

// Seconds is a duration that JSON shows as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes seconds, with a fraction down to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Round(time.Millisecond).Seconds())
}
