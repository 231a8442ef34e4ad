// Package scenario plays what a registrar does to a phone, as a file says it:
// answers, NOTIFYs with any body, lost and delayed messages, and an
// administrator's actions on the lab registrar. The file, TOML written by hand,
// is described in docs/scenarios.md.
//
// It plays for any phone, over any wire.Network, and in virtual time. Besides the
// registrar's side a file may say what the phone's user does and what the phone
// is to tell; that is handed to whoever plays it (Phone). It may import registrar,
// wire, trace and tables; no user agent may enter.
package scenario

import (
	"time"

	"regwatch/internal/tables"
	"regwatch/registrar"
)

// Scenario is one file.
type Scenario struct {
	File    string
	Name    string // one sentence
	Of      string // what real registrar, or what clause, it stands for
	Profile registrar.Profile
	// Account are the tables of the settings that the phone is to have, as they
	// stand in the file.
	Account []tables.Block
	Steps   []*Step

	define map[string]string // placeholders of the file's own
}

// Verb is what a step does.
type Verb string

// The verbs. Those of the registrar's side are played here; User, Expect and
// Never are the phone's.
const (
	Answer  Verb = "answer"  // how the next request of a method is answered
	Await   Verb = "await"   // a request of a method that no Await took before
	Silence Verb = "silence" // no request of a method, for a time
	Notify  Verb = "notify"  // a NOTIFY with that Subscription-State
	Send    Verb = "send"    // a message, byte for byte
	Command Verb = "command" // an administrator's, see registrar.Help
	Wait    Verb = "wait"    // time passes
	Lose    Verb = "lose"    // the next datagrams of a kind
	Delay   Verb = "delay"   // the next message of a kind that we send
	Repeat  Verb = "repeat"  // the next message of a kind that we send, once more
	User    Verb = "user"    // the phone's user does something
	Expect  Verb = "expect"  // the phone tells an event, from the last one on
	Never   Verb = "never"   // the phone tells no such event from here on
)

// Step is one step of a scenario. Which fields count is the verb's; texts may
// hold placeholders.
type Step struct {
	Line int // in the file
	Verb Verb
	Text string // what stands behind the verb; of Wait, Expect and Never nothing

	Count  int // Answer, Lose, Repeat: how many
	Status int // Answer; 0: as the registrar would
	Reason string
	Silent bool   // Answer: never
	Raw    string // Answer: byte for byte

	Headers []string // Answer, Notify: "Name: value"; of Notify also in place of its own

	Body        string // Notify; "" none
	ContentType string
	Latin1      bool   // the body is sent in ISO 8859-1
	Event       string // in place of "reg"
	CSeq        uint32 // 0: the next
	Dialog      string // "": the newest; "earlier": the one before; "fork": one that nobody asked for
	Answered    int    // by the phone, with this; -1: it does not matter

	With    map[string]string // Await: header fields that hold these texts
	Without []string          // Await: header fields that are not there

	After  time.Duration // Expect: no sooner
	Within time.Duration // Await, Expect: no later
	For    time.Duration // Silence, Wait; Delay: by how much

	Fields map[string]any // Expect, Never: of the event
}
