package wire

import (
	"errors"
	"strings"
)

// Notify is a NOTIFY taken apart once (RFC 6665 8.2). Its Incoming is still to
// be answered.
type Notify struct {
	*Incoming
	CallID  string
	FromTag string // the notifier's
	ToTag   string // ours
	CSeq    uint32
	Event   string // package, in lower case
	EventID string
	State   SubscriptionState

	ContentType string // type/subtype in lower case; "" without a body
	Target      string // Contact URI: where requests in the dialog go; "" without one that can be
	RouteSet    []string
}

// SubscriptionState is the value of the header field of that name.
type SubscriptionState struct {
	Present    bool
	State      string // "active", "pending", "terminated", or another word, in lower case
	Reason     string // in lower case
	Expires    uint32
	HasExpires bool
	RetryAfter uint32
	HasRetry   bool
}

// ErrMalformed: a header field that the request cannot be understood without.
var ErrMalformed = errors.New("malformed")

// ParseNotify takes a NOTIFY apart. The error wraps ErrMalformed where Call-ID,
// CSeq, From, To or Event are missing or unreadable; a missing
// Subscription-State is left to the caller to judge.
func ParseNotify(in *Incoming) (Notify, error) {
	n := Notify{
		Incoming: in,
		CallID:   in.Headers.Get("Call-ID"),
		FromTag:  in.Headers.Tag("From"),
		ToTag:    in.Headers.Tag("To"),
		State:    parseSubscriptionState(in.Headers),
	}
	var ok bool
	var method string
	if n.CSeq, method, ok = in.Headers.CSeq(); !ok || !strings.EqualFold(method, in.Method) {
		return n, errors.Join(ErrMalformed, errors.New("CSeq"))
	}
	if n.CallID == "" || !IsToken(n.FromTag) || len(n.FromTag) > maxTag || n.ToTag == "" {
		return n, errors.Join(ErrMalformed, errors.New("Call-ID or tags"))
	}
	event, params, _ := strings.Cut(in.Headers.Get("Event"), ";")
	n.Event = strings.ToLower(strings.TrimSpace(event))
	n.EventID = parseParams(params).Get("id")
	if len(in.Body) > 0 {
		kind, _, _ := strings.Cut(in.Headers.Get("Content-Type"), ";")
		n.ContentType = strings.ToLower(strings.TrimSpace(kind))
	}
	if contacts, _ := in.Headers.ParseNameAddrs("Contact"); len(contacts) > 0 && IsURI(contacts[0].URI) {
		n.Target = contacts[0].URI
	}
	n.RouteSet = in.Headers.Routes("Record-Route")
	return n, nil
}

func parseSubscriptionState(h Headers) SubscriptionState {
	value := h.Get("Subscription-State")
	if !h.Has("Subscription-State") {
		return SubscriptionState{}
	}
	state, rest, _ := strings.Cut(value, ";")
	params := parseParams(rest)
	s := SubscriptionState{
		Present: true,
		State:   strings.ToLower(strings.TrimSpace(state)),
		Reason:  cutTo(strings.ToLower(params.Get("reason")), maxReason),
	}
	s.Expires, s.HasExpires = LeadingNumber(params.Get("expires"))
	s.RetryAfter, s.HasRetry = LeadingNumber(params.Get("retry-after"))
	return s
}
