package ua

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"regwatch/internal/wire"
)

// ByHand is one REGISTER or SUBSCRIBE as a tester wants it. It is a plain value,
// and its zero value is the REGISTER that the agent itself would send now to bind
// its contact; with the Method SUBSCRIBE alone, the SUBSCRIBE by which it would
// refresh its subscription, or begin one.
//
// Each text is that of a form: "" is what the agent would write, LeftOut leaves
// out what may be left out, anything else is written as it is, sense or nonsense,
// for it is registrars that are to be tested. Only what would break the message
// is refused; see Check.
type ByHand struct {
	Method Method // "" is MethodRegister

	RequestURI string // goes the way of the account's requests, whatever it names
	To         string // value of To, as "<sip:bob@example.com>"; may be LeftOut
	Expires    string // value of Expires: "0", "4294967295", "abc"; may be LeftOut
	// Contacts are values of Contact, each on a line of its own: "*", or
	// "<sip:alice@192.0.2.7>;expires=0". None is our own Contact; LeftOut alone
	// leaves it out, which makes a query of a REGISTER (RFC 3261 10.2.3).
	Contacts []string

	// Of a SUBSCRIBE only.
	Event  string // "presence", "reg;id=1"; may be LeftOut
	Accept string // may be LeftOut

	// What our own Contact in a REGISTER says otherwise, so only without Contacts.
	Instance      string // URN without quotes and brackets; may be LeftOut
	RegID         string // may be LeftOut
	Q             string // may be LeftOut
	ContactParams string // added at its end, without a leading ';'

	// CallID is FreshCallID for one that was never used. A SUBSCRIBE under the one
	// of the agent's own subscription goes within that dialog, as it does under one
	// that a SUBSCRIBE by hand has made; another begins one.
	CallID string
	// CSeq is a number up to 2147483647 (RFC 3261 8.1.1.5), or how far to go back
	// from the highest that was sent under the Call-ID: "-1" is one less than it,
	// "-0" the same again.
	CSeq string

	Credentials Credentials

	// Headers are "Name: value" lines. They stand in place of what the agent would
	// write by that name (Supported, User-Agent, Route), or are added (Require).
	Headers []string
	Without []string // names of header fields that are left out

	Secrets bool // shows digest answers as they were sent; else they are masked
}

// Method is what a tester may send by hand.
type Method string

// The methods.
const (
	MethodRegister  Method = "REGISTER"
	MethodSubscribe Method = "SUBSCRIBE"
)

// subscribes reports whether it is a SUBSCRIBE.
func (b ByHand) subscribes() bool { return b.Method == MethodSubscribe }

const (
	// LeftOut leaves a field of ByHand out of the request.
	LeftOut = "-"
	// FreshCallID is for ByHand.CallID.
	FreshCallID = "new"
)

// Credentials says what a request by hand does about digest.
type Credentials string

// The ways to answer a challenge, or not to.
const (
	CredentialsUsual Credentials = ""      // as the agent does: ahead where a nonce is kept, and a challenge is answered
	CredentialsNone  Credentials = "none"  // never; a challenge is the final answer
	CredentialsWrong Credentials = "wrong" // a challenge is answered with a password made up for it; counts as a wrong try at the registrar
	CredentialsStale Credentials = "stale" // ahead with the right password and a nonce that no server gave; then as usual
	CredentialsAhead Credentials = "ahead" // ahead in any case: where no nonce is kept, with an empty one (3GPP TS 24.229 5.1.1.2.1); then as usual
)

// Bounds of a request by hand. It has to fit in a datagram.
const (
	byHandLength = 8 << 10 // bytes, of one text
	byHandLines  = 64      // of one list
	byHandTotal  = 60_000  // bytes, of a request

	highestCSeq = 1<<31 - 1 // RFC 3261 8.1.1.5
	// Above this a CSeq would leave the agent too few for its own requests under
	// the same Call-ID.
	highestOwnCSeq = highestCSeq - 1<<16
)

// Check returns the first thing for which the request would not be sent, as a
// *FieldError, or nil: control characters, what is no UTF-8, texts of more than
// 8 KiB and lists of more than 64, and header fields that a tester may not touch.
//
// Those are Via and Content-Length, without which the answer finds no way back
// and the message has no end; Max-Forwards may be set and not left out; what has
// a field of its own here is set there; and Authorization may be written by hand
// only with CredentialsNone. All else may be set and left out.
//
// What hangs on the state of the agent is refused when the request is made: a
// CSeq that leaves none for its own requests, CredentialsStale without a nonce,
// more than 60,000 bytes in all.
func (b ByHand) Check() error {
	for _, f := range []struct {
		key    string
		values []string
	}{
		{"method", []string{string(b.Method)}},
		{"request_uri", []string{b.RequestURI}}, {"to", []string{b.To}}, {"expires", []string{b.Expires}}, {"contacts", b.Contacts},
		{"event", []string{b.Event}}, {"accept", []string{b.Accept}},
		{"instance", []string{b.Instance}}, {"reg_id", []string{b.RegID}}, {"q", []string{b.Q}}, {"contact_params", []string{b.ContactParams}},
		{"call_id", []string{b.CallID}}, {"cseq", []string{b.CSeq}}, {"headers", b.Headers}, {"without", b.Without},
	} {
		if len(f.values) > byHandLines {
			return &FieldError{f.key, fmt.Sprintf("has %d lines, more than %d", len(f.values), byHandLines), ""}
		}
		for _, value := range f.values {
			if fault := unfit(value, byHandLength); fault != "" {
				return &FieldError{f.key, fault, ""}
			}
		}
	}
	switch b.Method {
	case "", MethodRegister, MethodSubscribe:
	default:
		return &FieldError{"method", fmt.Sprintf("%.40q is not sent by hand", string(b.Method)), "REGISTER or SUBSCRIBE"}
	}
	if b.RequestURI != "" {
		if err := wire.CheckRequestURI(b.RequestURI); err != nil {
			return &FieldError{"request_uri", err.Error(), "sip:example.com"}
		}
	}
	if err := b.checkContact(); err != nil {
		return err
	}
	if b.CallID == LeftOut || b.CallID != "" && strings.TrimSpace(b.CallID) == "" {
		return &FieldError{"call_id", "cannot be left out", FreshCallID}
	}
	if _, err := b.cseq(highestCSeq - 1); err != nil {
		return err
	}
	switch b.Credentials {
	case CredentialsUsual, CredentialsNone, CredentialsWrong, CredentialsStale, CredentialsAhead:
	default:
		return &FieldError{"credentials", fmt.Sprintf("%.40q is not known", string(b.Credentials)), "none, wrong, stale or ahead"}
	}
	return b.checkHeaders()
}

func (b ByHand) checkContact() error {
	for _, value := range b.Contacts {
		if strings.TrimSpace(value) == "" || value == LeftOut && len(b.Contacts) > 1 {
			return &FieldError{"contacts", fmt.Sprintf("has %q beside others", value), "<sip:alice@192.0.2.7>, *, or - alone for none"}
		}
	}
	for _, f := range []struct{ key, value string }{
		{"instance", b.Instance}, {"reg_id", b.RegID}, {"q", b.Q}, {"contact_params", b.ContactParams},
	} {
		if b.subscribes() && f.value != "" {
			return &FieldError{f.key, "is for the Contact of a REGISTER: write it into contacts", ""}
		}
		if len(b.Contacts) > 0 && f.value != "" {
			return &FieldError{f.key, "is for our own Contact: write it into contacts, or leave those empty", ""}
		}
	}
	for _, f := range []struct{ key, value string }{{"event", b.Event}, {"accept", b.Accept}} {
		if !b.subscribes() && f.value != "" {
			return &FieldError{f.key, "is for a SUBSCRIBE: write it into headers", ""}
		}
	}
	return nil
}

func (b ByHand) checkHeaders() error {
	for _, line := range b.Headers {
		name, _, found := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !found || !wire.IsToken(name) {
			return &FieldError{"headers", fmt.Sprintf("%.40q is no header field", line), "X-Test: 1"}
		}
		if fault := b.reserved(name); fault != "" {
			return &FieldError{"headers", "cannot set " + name + ": " + fault, ""}
		}
	}
	for _, name := range b.Without {
		fault := ""
		switch {
		case !wire.IsToken(name):
			return &FieldError{"without", fmt.Sprintf("%.40q is no header field name", name), "Supported"}
		case strings.EqualFold(name, "Max-Forwards"):
			fault = "every request has one, but it may be set"
		case !isAuthorization(name):
			fault = b.reserved(name)
		default:
			fault = "credentials say that"
		}
		if fault != "" {
			return &FieldError{"without", "cannot leave out " + name + ": " + fault, ""}
		}
	}
	return nil
}

// reserved says why a tester may not write a header field of that name, or "".
func (b ByHand) reserved(name string) string {
	switch long := strings.ToLower(longName(name)); long {
	case "via":
		return "the answer finds its way back by it"
	case "content-length":
		return "the message ends by it"
	case "to", "expires", "call-id", "cseq":
		return "it has a field of its own, " + strings.ReplaceAll(long, "-", "_")
	case "contact":
		return "it has a field of its own, contacts"
	case "event", "accept":
		if b.subscribes() {
			return "it has a field of its own, " + long
		}
	}
	if isAuthorization(name) && b.Credentials != CredentialsNone {
		return `the agent does, unless credentials are "none"`
	}
	return ""
}

func isAuthorization(name string) bool {
	return strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Proxy-Authorization")
}

// longName takes a compact header field name (RFC 3261 7.3.3, 20; RFC 6665 8.2)
// to the name that the agent writes.
func longName(name string) string {
	if len(name) == 1 {
		for _, pair := range []string{"vVia", "lContent-Length", "iCall-ID", "mContact", "tTo", "fFrom", "kSupported", "oEvent"} {
			if strings.EqualFold(name, pair[:1]) {
				return pair[1:]
			}
		}
	}
	return name
}

// orOurs is a text of the form, where "" stands for ours.
func orOurs(text, ours string) string {
	switch text {
	case "":
		return ours
	case LeftOut:
		return ""
	}
	return text
}

// cseq is the number of the first request, where highest is the last that was
// sent under its Call-ID.
func (b ByHand) cseq(highest uint32) (uint32, error) {
	const example = "17, or -1 for one less than the last"
	digits, back := strings.CutPrefix(b.CSeq, "-")
	n, err := strconv.ParseUint(digits, 10, 31)
	switch {
	case b.CSeq == "" && highest < highestCSeq:
		return highest + 1, nil
	case b.CSeq == "":
		return 0, &FieldError{"cseq", fmt.Sprintf("%d is taken under this Call-ID, and none is higher", highest), example}
	case err != nil:
		return 0, &FieldError{"cseq", fmt.Sprintf("%.40q is no number up to %d", b.CSeq, highestCSeq), example}
	case !back:
		return uint32(n), nil
	case uint32(n) > highest:
		return 0, &FieldError{"cseq", fmt.Sprintf("goes back %d from %d", n, highest), example}
	}
	return highest - uint32(n), nil
}

// requestByHand writes our own request as b has it. It is yet to be signed.
func (a *Agent) requestByHand(b ByHand, d *dialog, cseq uint32) *wire.Request {
	var r *wire.Request
	if b.subscribes() {
		r, _ = a.subscribeRequest(d, subOpen, cseq) // which goes the account's way
	} else {
		r = a.registerRequest(regBind, d.callID, cseq)
	}
	if b.RequestURI != "" {
		r.URI = b.RequestURI
	}
	without := slices.Clone(b.Without)
	var lines wire.Headers
	write := func(name, value string) {
		switch value {
		case "":
		case LeftOut:
			without = append(without, name)
		default:
			lines = append(lines, wire.Header{Name: name, Value: value})
		}
	}
	write("To", b.To)
	write("Expires", b.Expires)
	write("Event", b.Event)
	write("Accept", b.Accept)
	if len(b.Contacts) == 0 && !b.subscribes() {
		write("Contact", a.registerContact(b))
	}
	for _, value := range b.Contacts {
		write("Contact", value)
	}
	for _, line := range b.Headers {
		name, value, _ := strings.Cut(line, ":")
		lines = append(lines, wire.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	r.Headers = rewritten(r.Headers, lines, without)
	return r
}

// rewritten puts lines in place of the fields of their names, those of new names
// at the end, and leaves others out.
func rewritten(headers, lines wire.Headers, without []string) wire.Headers {
	same := func(a, b string) bool { return strings.EqualFold(longName(a), longName(b)) }
	var out wire.Headers
	for _, h := range headers {
		named := func(line wire.Header) bool { return same(line.Name, h.Name) }
		switch {
		case slices.ContainsFunc(without, func(name string) bool { return same(name, h.Name) }):
		case !slices.ContainsFunc(lines, named):
			out = append(out, h)
		case !slices.ContainsFunc(out, named): // once, where the first one stood
			for _, line := range lines {
				if named(line) {
					out = append(out, line)
				}
			}
		}
	}
	for _, line := range lines {
		if !slices.ContainsFunc(headers, func(h wire.Header) bool { return same(line.Name, h.Name) }) {
			out = append(out, line)
		}
	}
	return out
}
