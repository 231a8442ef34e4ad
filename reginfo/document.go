// Package reginfo reads and writes the documents in which a registrar tells
// about registrations (RFC 3680 with the GRUU elements of RFC 5628), and keeps
// the table that the documents of one subscription build, with what changed
// from one to the next.
//
// Registrars send malformed XML, reuse ids, never count their versions and
// choose their words at random. So the scanner is our own and forgiving, and a
// change is judged by what differs, not by what a document calls it. What is
// wrong is kept as findings. Whose contact it is and who changed it are not
// known here: that is for the agent above.
//
// Nothing but the standard library and package finding may enter: no SIP
// stack, no clock, no network, no goroutine.
package reginfo

import (
	"bytes"
	"encoding/json"

	"regwatch/reginfo/finding"
)

// Document is a reginfo document as it was sent; nothing in it is guessed.
// A word that the document left out is empty.
type Document struct {
	// Version is its place among the documents of a subscription.
	Version Number `json:"version,omitzero"`
	// State says whether what is not listed is gone or merely unchanged.
	State DocState `json:"state,omitempty"`
	// Incomplete is set when the end was missing or a limit was hit: what is
	// not listed may only have been cut off, whatever State says.
	Incomplete bool `json:"incomplete,omitempty"`
	// Registrations are in document order.
	Registrations []Registration `json:"registrations"`
	// Findings is what is wrong with this document taken alone. What only its
	// predecessors show (versions, ids) Table.Apply finds.
	Findings []finding.Finding `json:"findings"`
}

// Registration is what the document says of one address-of-record.
type Registration struct {
	// AOR is the address-of-record, a bare URI.
	AOR string `json:"aor,omitempty"`
	// ID stands for the address-of-record within one subscription only.
	ID    string   `json:"id,omitempty"`
	State RegState `json:"state,omitempty"`
	// Contacts are in document order.
	Contacts []Contact `json:"contacts"`
}

// Contact is what the document says of one binding. The JSON names are those
// of the event stream.
type Contact struct {
	// ID stands for the contact within one subscription only, and even there
	// registrars reuse it: Table says when it means the same contact.
	ID    string       `json:"id,omitempty"`
	URI   string       `json:"uri,omitempty"`
	State ContactState `json:"state,omitempty"`
	Event ContactEvent `json:"event,omitempty"`
	// Expires is how many seconds are left; meaningless once terminated.
	Expires Number `json:"expires,omitzero"`
	// RetryAfter is how many seconds probation lasts.
	RetryAfter Number `json:"retry_after,omitzero"`
	// DurationRegistered is for how many seconds the contact has been bound.
	DurationRegistered Number `json:"duration_registered,omitzero"`
	Q                  string `json:"q,omitempty"`
	// CallID and CSeq are those of the last REGISTER for the contact; that
	// stays so when somebody else removes it.
	CallID string `json:"call_id,omitempty"`
	CSeq   Number `json:"cseq,omitzero"`
	// Instance is the URN of +sip.instance, without quotes and brackets.
	Instance string `json:"instance,omitempty"`
	// RegID is the flow of RFC 5626.
	RegID       Number `json:"reg_id,omitzero"`
	DisplayName string `json:"display_name,omitempty"`
	// Params are all unknown-param elements in document order, +sip.instance
	// and reg-id among them. It is a list because names may repeat.
	Params []Param `json:"params,omitempty"`
	// PubGRUU and TempGRUU are those of RFC 5628, whole.
	PubGRUU  string `json:"pub_gruu,omitempty"`
	TempGRUU string `json:"temp_gruu,omitempty"`
	// FirstCSeq is the CSeq of the REGISTER that brought the oldest temporary
	// GRUU that still works.
	FirstCSeq Number `json:"first_cseq,omitzero"`
}

// Param is a parameter of Contact that RFC 3261 does not know, as sent less
// the white space around it: the value may carry quotes.
type Param struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// Active reports whether the contact is bound. Where the state is missing or
// unknown, the event decides; where that too says nothing, being listed does.
func (c *Contact) Active() bool {
	if c.State.Known() {
		return c.State == ContactActive
	}
	return c.Event.LeadsTo() != ContactTerminated
}

// MarshalJSON writes empty lists as lists, so that a script can walk them
// without asking first.
func (d Document) MarshalJSON() ([]byte, error) {
	type plain Document
	p := plain(d)
	if p.Registrations == nil {
		p.Registrations = []Registration{}
	}
	if p.Findings == nil {
		p.Findings = []finding.Finding{}
	}
	return marshal(p)
}

// MarshalJSON writes a registration without contacts with an empty list.
func (r Registration) MarshalJSON() ([]byte, error) {
	type plain Registration
	p := plain(r)
	if p.Contacts == nil {
		p.Contacts = []Contact{}
	}
	return marshal(p)
}

// marshal leaves "<", ">" and "&" of URIs readable; an encoder around it that
// wants them escaped does so itself.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}
