package registrar

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"regwatch/internal/wire"
)

// defaultSubscribeExpires is the package's own (RFC 3680 4.4).
const defaultSubscribeExpires = 3761

// subscription is one dialog with a watcher.
type subscription struct {
	record *record

	// The dialog (RFC 3261 12.1.1), seen from us.
	callID     string
	local      string // From of our NOTIFYs, with our tag
	remote     string // To of our NOTIFYs
	localTag   string
	remoteCSeq uint32
	localCSeq  uint32
	target     string   // their Contact
	routes     []string // from Record-Route
	contact    string   // ours
	flow       *wire.Flow

	eventID string // id parameter of Event, or ""
	expires time.Time
	end     *appointment
	version uint64 // of the next document

	queue     []notice  // NOTIFYs not yet sent
	notBefore time.Time // the next one leaves
	leaving   bool      // the one before may not be on the wire yet
	inWay     int       // sent and not answered
	over      bool      // no more NOTIFYs but those in the queue
}

// subscribe handles SUBSCRIBE (RFC 6665 4.2.1, RFC 3680 4.6).
func (r *Registrar) subscribe(in *wire.Incoming) {
	event, err := wire.ParseNameAddr(in.Headers.Get("Event")) // a token with parameters reads the same
	if err != nil || event.URI != "reg" {
		in.Respond(refusal(489, "Bad Event", wire.Header{Name: "Allow-Events", Value: "reg"}))
		return
	}
	if tag := in.Headers.Tag("To"); tag != "" {
		r.resubscribe(in, r.subscriptions[dialogKey(in.Headers.Get("Call-ID"), tag)], event.Params.Get("id"))
		return
	}
	who, err := parseAOR(in.URI)
	if err == nil && who.user == "" {
		// Some clients name in the Request-URI only where to send it.
		to, _ := wire.ParseNameAddr(in.Headers.Get("To"))
		who, err = parseAOR(to.URI)
	}
	if err != nil {
		in.Respond(refusal(404, "Not Found"))
		return
	}
	user, ok := r.authenticate(in, who.domain())
	if !ok {
		return
	}
	if !r.serves(who.domain()) || r.options.Users != nil && !r.knows(who.user) {
		in.Respond(refusal(404, "Not Found"))
		return
	}
	if user != "" && user != who.user { // RFC 3680 4.6: everybody may watch himself
		in.Respond(refusal(403, "Not Your Registration"))
		return
	}
	if !acceptsReginfo(in.Headers) {
		in.Respond(refusal(406, "Not Acceptable", wire.Header{Name: "Accept", Value: reginfoType}))
		return
	}
	contacts, _ := in.Headers.ParseNameAddrs("Contact")
	if len(contacts) != 1 {
		in.Respond(refusal(400, "One Contact Is Needed"))
		return
	}
	asked, ok := r.askedSubscription(in)
	if !ok {
		return
	}
	rec := r.recordOf(who)
	if rec == nil || len(r.subscriptions) >= maxSubscriptions {
		in.Respond(full("Too Many Subscriptions"))
		return
	}
	s := newSubscription(in, rec, event.Params.Get("id"))
	s.contact, s.version = r.ownContact(in), r.manners.versionsFrom
	rec.subscriptions = append(rec.subscriptions, s)
	r.subscriptions[s.key()] = s
	r.extend(in, s, contacts, asked)
}

func newSubscription(in *wire.Incoming, rec *record, eventID string) *subscription {
	s := &subscription{
		record: rec, callID: in.Headers.Get("Call-ID"), localTag: strings.ToLower(rand.Text()),
		remote: in.Headers.Get("From"), eventID: eventID,
	}
	s.local = in.Headers.Get("To") + ";tag=" + s.localTag
	for _, line := range in.Headers.Values("Record-Route") {
		s.routes = append(s.routes, wire.SplitList(line)...)
	}
	return s
}

func dialogKey(callID, localTag string) string { return callID + " " + localTag }

func (s *subscription) key() string { return dialogKey(s.callID, s.localTag) }

// resubscribe handles a SUBSCRIBE within a dialog: a refresh or the end.
func (r *Registrar) resubscribe(in *wire.Incoming, s *subscription, eventID string) {
	from, _ := wire.ParseNameAddr(in.Headers.Get("From"))
	if s == nil || eventID != s.eventID || from.Params.Get("tag") != (wire.Headers{{Name: "To", Value: s.remote}}).Tag("To") {
		in.Respond(refusal(481, "Subscription Does Not Exist"))
		return
	}
	user, ok := r.authenticate(in, s.record.aor.domain())
	if !ok {
		return
	}
	if user != "" && user != s.record.aor.user {
		in.Respond(refusal(403, "Not Your Registration"))
		return
	}
	if cseq, _, _ := in.Headers.CSeq(); cseq <= s.remoteCSeq { // RFC 3261 12.2.2
		in.Respond(refusal(500, "CSeq Out Of Order"))
		return
	}
	asked, ok := r.askedSubscription(in)
	if !ok {
		return
	}
	contacts, _ := in.Headers.ParseNameAddrs("Contact")
	r.extend(in, s, contacts, asked)
}

// askedSubscription is for how many seconds a SUBSCRIBE asks; it answers and
// returns false where that is refused.
func (r *Registrar) askedSubscription(in *wire.Incoming) (asked uint32, ok bool) {
	asked, given := in.Headers.Number("Expires")
	if !given {
		asked = defaultSubscribeExpires
	}
	if r.brief(asked) {
		in.Respond(r.tooBrief())
		return 0, false
	}
	return asked, true
}

// extend grants the interval, answers, and sends the full state that follows
// each 2xx (RFC 6665 4.2.1.2). 0 ends the subscription.
func (r *Registrar) extend(in *wire.Incoming, s *subscription, contacts []wire.NameAddr, asked uint32) {
	s.remoteCSeq, _, _ = in.Headers.CSeq()
	s.flow = in.Flow
	if len(contacts) == 1 { // a target refresh (RFC 3261 12.2.2)
		s.target = contacts[0].URI
	}
	granted := r.granted(asked)
	s.expires = time.Now().Add(granted)
	contact := s.contact
	if r.manners.answersAOR {
		contact = s.record.aor.String()
	}
	headers := wire.Headers{{Name: "Expires", Value: seconds(granted)}, {Name: "Contact", Value: "<" + contact + ">"}}
	for _, route := range in.Headers.Values("Record-Route") {
		headers = append(headers, wire.Header{Name: "Record-Route", Value: route})
	}
	answer := success(200, headers)
	answer.ToTag = s.localTag
	in.Respond(answer)

	// The answer leaves on another goroutine; it gets a moment's start.
	s.notBefore = time.Now().Add(time.Millisecond)
	r.agenda.cancel(s.end)
	if asked == 0 {
		r.finish(s)
		return
	}
	s.end = r.agenda.at(s.expires, func() { r.finish(s) })
	r.enqueue(s, r.manners.documents.full(r, s))
}

// finish ends a subscription that has expired, or whose subscriber asked for no
// more time; the reason is the same (RFC 6665 4.2.1.4).
func (r *Registrar) finish(s *subscription) {
	s.expires = time.Time{}
	r.enqueue(s, r.manners.documents.full(r, s))
	r.forget(s)
}

// forget removes a subscription. What is queued is still sent.
func (r *Registrar) forget(s *subscription) {
	if s.over {
		return
	}
	s.over = true
	r.agenda.cancel(s.end)
	delete(r.subscriptions, s.key())
	rec := s.record
	rec.subscriptions = slices.DeleteFunc(rec.subscriptions, func(other *subscription) bool { return other == s })
	r.tidy(rec)
}

// acceptsReginfo reports whether the subscriber takes our documents; nothing
// said means yes (RFC 3680 4.5).
func acceptsReginfo(h wire.Headers) bool {
	if !h.Has("Accept") {
		return true
	}
	return slices.ContainsFunc(h.Tokens("Accept"), func(token string) bool {
		kind, _, _ := strings.Cut(token, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case reginfoType, "application/*", "*/*":
			return true
		}
		return false
	})
}
