package registrar

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// defaultExpires is taken where a REGISTER does not say for how long
// (RFC 3261 10.2.1.1).
const defaultExpires = 3600

// register walks the steps of RFC 3261 10.3.
func (r *Registrar) register(in *wire.Incoming) {
	// Step 1: is the domain in the Request-URI ours?
	target, err := wire.ParseURI(in.URI)
	if err != nil {
		in.Respond(refusal(400, "Bad Request-URI"))
		return
	}
	if !r.serves(target.Host) {
		in.Respond(refusal(404, "Domain Not Served"))
		return
	}
	to, _ := wire.ParseNameAddr(in.Headers.Get("To"))
	who, err := parseAOR(to.URI)
	if err != nil {
		in.Respond(refusal(404, "Bad Address-Of-Record"))
		return
	}
	// Steps 3 and 4: who asks, and may he?
	user, ok := r.authenticate(in, who.domain())
	if !ok {
		return
	}
	if user != "" && user != who.user {
		in.Respond(refusal(403, "Not Your Address-Of-Record"))
		return
	}
	if r.isRejected(who) {
		in.Respond(refusal(403, "Rejected By The Administrator"))
		return
	}
	// Step 5.
	if !r.serves(who.domain()) {
		in.Respond(refusal(404, "Address-Of-Record Not Found"))
		return
	}
	rec := r.recordOf(who)
	if rec == nil {
		in.Respond(full("Too Many Addresses-Of-Record"))
		return
	}
	defer r.tidy(rec)

	// Step 6.
	contacts, bad := in.Headers.ParseNameAddrs("Contact")
	star := slices.ContainsFunc(contacts, func(c wire.NameAddr) bool { return c.URI == "*" })
	var changes []change
	var refused *wire.Answer
	outbound := false
	switch {
	case bad > 0:
		refused = ptr(refusal(400, "Bad Contact"))
	case star:
		changes, refused = r.removeAll(in, rec, contacts)
	default:
		changes, outbound, refused = r.update(in, rec, contacts)
	}
	if refused != nil {
		in.Respond(*refused)
		return
	}
	in.Respond(r.registered(in, rec, changes, outbound)) // step 8
	r.publish(rec, changes)
}

func ptr[T any](v T) *T { return &v }

// outOfOrder fails a request whose CSeq is not above that of the last one under
// its Call-ID. Steps 6 and 7 say that "the request fails"; the status is that of
// step 7's end, which has a request of which any part fails answered by 500.
func outOfOrder() *wire.Answer { return ptr(refusal(500, "CSeq Out Of Order")) }

// removeAll is "Contact: *" (RFC 3261 10.3 step 6).
func (r *Registrar) removeAll(in *wire.Incoming, rec *record, contacts []wire.NameAddr) ([]change, *wire.Answer) {
	expires, ok := in.Headers.Number("Expires")
	if len(contacts) != 1 || !ok || expires != 0 {
		return nil, ptr(refusal(400, "Invalid Request"))
	}
	cseq, _, _ := in.Headers.CSeq()
	for _, b := range rec.bindings {
		if b.callID == in.Headers.Get("Call-ID") && cseq <= b.cseq {
			return nil, outOfOrder()
		}
	}
	var changes []change
	for _, b := range slices.Clone(rec.bindings) {
		changes = append(changes, r.unregister(rec, b, in))
	}
	return changes, nil
}

// unregister removes a binding on its owner's wish.
func (r *Registrar) unregister(rec *record, b *binding, in *wire.Incoming) change {
	if !r.manners.keepsOldCSeq {
		b.callID = in.Headers.Get("Call-ID")
		b.cseq, _, _ = in.Headers.CSeq()
	}
	c := change{binding: b, event: reginfo.Unregistered, contact: r.contactOf(rec, b)}
	r.unbind(rec, b)
	return c
}

// update is step 7: everything is checked first and done afterwards, because a
// request counts wholly or not at all.
func (r *Registrar) update(in *wire.Incoming, rec *record, contacts []wire.NameAddr) (changes []change, outbound bool, refused *wire.Answer) {
	type step struct {
		asked  uint32
		wanted *binding
		held   *binding // nil: a new one
	}
	var steps []step
	added, lasting, flows := 0, 0, 0
	for _, c := range contacts {
		s := step{asked: askedExpiry(in, c)}
		if r.brief(s.asked) {
			return nil, false, ptr(r.tooBrief())
		}
		var refused *wire.Answer
		if s.wanted, refused = r.wanted(in, rec, c); refused != nil {
			return nil, false, refused
		}
		s.held = rec.find(s.wanted)
		if s.held != nil && s.held.callID == s.wanted.callID && s.wanted.cseq <= s.held.cseq {
			return nil, false, outOfOrder()
		}
		if s.asked > 0 {
			lasting++
			if s.held == nil {
				added++
			}
		}
		if s.wanted.flow {
			flows++
		}
		steps = append(steps, s)
	}
	if flows > 0 && lasting > 1 { // RFC 5626 6
		return nil, false, ptr(refusal(400, "One Flow At A Time"))
	}
	if len(rec.bindings)+added > maxBindings {
		return nil, false, ptr(full("Too Many Contacts"))
	}
	now := time.Now()
	for _, s := range steps {
		held := rec.find(s.wanted) // again: an earlier one of this request may have changed it
		switch {
		case s.asked > 0:
			s.wanted.expires = now.Add(r.granted(s.asked))
			changes = append(changes, r.save(rec, held, s.wanted, now)...)
		case held != nil:
			changes = append(changes, r.unregister(rec, held, in))
		}
	}
	return changes, flows > 0, nil
}

// askedExpiry is for how many seconds a contact asks to be bound. What cannot be
// read counts as not given (RFC 3261 10.3 step 7; 20.10 has it as 3600).
func askedExpiry(in *wire.Incoming, c wire.NameAddr) uint32 {
	if n, ok := wire.LeadingNumber(c.Params.Get("expires")); ok {
		return n
	}
	if n, ok := in.Headers.Number("Expires"); ok {
		return n
	}
	return defaultExpires
}

// wanted turns one Contact into the binding that it asks for.
func (r *Registrar) wanted(in *wire.Incoming, rec *record, c wire.NameAddr) (*binding, *wire.Answer) {
	b := &binding{callID: in.Headers.Get("Call-ID"), source: in.Source, way: in.Flow, userAgent: in.Headers.Get("User-Agent"), q: c.Params.Get("q")}
	b.cseq, _, _ = in.Headers.CSeq()
	for _, line := range in.Headers.Values("Path") { // RFC 3327 5.3
		b.path = append(b.path, wire.SplitList(line)...)
	}
	b.contact = wire.NameAddr{Display: c.Display, URI: c.URI}
	for _, p := range c.Params {
		switch strings.ToLower(p.Name) {
		// A client cannot suggest a GRUU (RFC 5627 5.1).
		case "expires", "q", "pub-gruu", "temp-gruu":
		default:
			b.contact.Params = append(b.contact.Params, p)
		}
	}
	b.instance = strings.Trim(c.Params.Get("+sip.instance"), "<>")
	if b.instance != "" && r.manners.gruu {
		if _, err := wire.ParseURI(c.URI); err != nil || reginfo.SameURI(c.URI, rec.aor.String()) || rec.isOwnGRUU(c.URI) {
			return nil, ptr(refusal(403, "Contact Would Loop"))
		}
	}
	regID, ok := wire.LeadingNumber(c.Params.Get("reg-id"))
	// A reg-id without an instance is ignored (RFC 5626 6).
	if !ok || regID == 0 || b.instance == "" || !r.manners.outbound {
		return b, nil
	}
	b.regID = regID
	if !firstHopDoesOutbound(in) {
		if in.Headers.HasToken("Supported", "outbound") {
			return nil, ptr(refusal(439, "First Hop Lacks Outbound Support"))
		}
		b.regID = 0
		return b, nil
	}
	b.flow = true
	return b, nil
}

// firstHopDoesOutbound reports whether we are the first hop, or the first hop
// put an "ob" into its Path (RFC 5626 6).
func firstHopDoesOutbound(in *wire.Incoming) bool {
	hops := 0
	for _, line := range in.Headers.Values("Via") {
		hops += len(wire.SplitList(line))
	}
	if hops <= 1 {
		return true
	}
	// The hop next to the client is the last in Path: each proxy writes itself on
	// top (RFC 3327 5.2). RFC 5626 6 calls it the first.
	path, _ := in.Headers.ParseNameAddrs("Path")
	if len(path) == 0 {
		return false
	}
	uri, err := wire.ParseURI(path[len(path)-1].URI)
	return err == nil && uri.Params.Has("ob")
}

// save binds a contact, or refreshes what is held for it. A flow that comes back
// with another URI is another contact to subscribers, since ids must differ where
// URIs do (RFC 3680 5.1): the old one is reported as gone, by its owner's doing.
func (r *Registrar) save(rec *record, held, b *binding, now time.Time) []change {
	r.assignTemporary(rec, b)
	b.refreshed, b.registered, b.event = now, now, reginfo.Registered
	var changes []change
	if held != nil {
		if moved := b.flow && !reginfo.SameURI(held.contact.URI, b.contact.URI); moved {
			changes = append(changes, change{binding: held, event: reginfo.Unregistered, contact: r.contactOf(rec, held)})
		} else {
			b.id, b.registered, b.event = held.id, held.registered, reginfo.Refreshed
		}
	}
	r.replace(rec, held, b)
	return append(changes, change{binding: b, event: b.event, contact: r.contactOf(rec, b)})
}

// replace puts b where held was, or at the end.
func (r *Registrar) replace(rec *record, held, b *binding) {
	r.bind(rec, b)
	if held == nil {
		return
	}
	at := slices.Index(rec.bindings, held)
	rec.bindings = rec.bindings[:len(rec.bindings)-1]
	rec.bindings[at] = b
	r.agenda.cancel(held.lapse)
	rec.forgetTemporary(held.instance)
	if held.id != b.id && r.manners.addressIDs {
		r.ids.release(held.id)
	}
}

// registered is the 200 with everything that is bound.
func (r *Registrar) registered(in *wire.Incoming, rec *record, changes []change, outbound bool) wire.Answer {
	now := time.Now()
	withGRUU := in.Headers.HasToken("Supported", "gruu") || in.Headers.HasToken("Require", "gruu")
	var headers wire.Headers
	for _, b := range rec.bindings {
		headers = append(headers, wire.Header{Name: "Contact", Value: r.contactValue(rec, b, b.remaining(now), withGRUU)})
	}
	for _, c := range changes {
		if r.manners.answersRemoved && c.terminates() {
			headers = append(headers, wire.Header{Name: "Contact", Value: r.contactValue(rec, c.binding, 0, withGRUU)})
		}
	}
	if r.manners.implicitSet && len(rec.bindings) > 0 { // RFC 7315 4.1
		headers = append(headers, wire.Header{Name: "P-Associated-URI", Value: "<" + rec.aor.String() + ">, <" + rec.aor.number() + ">"})
	}
	for _, line := range in.Headers.Values("Path") {
		headers = append(headers, wire.Header{Name: "Path", Value: line}) // RFC 3327 5.3
	}
	if outbound && in.Headers.HasToken("Supported", "outbound") {
		headers = append(headers, wire.Header{Name: "Require", Value: "outbound"})
		if r.options.FlowTimer > 0 {
			headers = append(headers, wire.Header{Name: "Flow-Timer", Value: seconds(r.options.FlowTimer)})
		}
	}
	headers = append(headers, wire.Header{Name: "Date", Value: now.UTC().Format(http.TimeFormat)})
	// RFC 5627 5.2 has "gruu" left out of Supported here.
	supported := slices.DeleteFunc(r.extensions(), func(tag string) bool { return tag == "gruu" })
	headers = append(headers, wire.Header{Name: "Supported", Value: strings.Join(supported, ", ")})
	return success(200, headers)
}

// contactValue writes a binding as it stands in a 200.
func (r *Registrar) contactValue(rec *record, b *binding, left uint64, withGRUU bool) string {
	var out strings.Builder
	if b.contact.Display != "" {
		out.WriteString(wire.Quote(b.contact.Display) + " ")
	}
	out.WriteString("<" + b.contact.URI + ">")
	for _, p := range b.contact.Params {
		out.WriteString(";" + p.Name)
		switch {
		case p.Quoted:
			out.WriteString("=" + wire.Quote(p.Value))
		case !p.Bare:
			out.WriteString("=" + p.Value)
		}
	}
	if b.q != "" {
		out.WriteString(";q=" + b.q)
	}
	if r.manners.answersLess {
		left -= left / 10
	}
	out.WriteString(";expires=" + strconv.FormatUint(left, 10))
	if pub, temp, _ := r.gruusOf(rec, b); withGRUU && pub != "" {
		out.WriteString(";pub-gruu=" + wire.Quote(pub))
		if temp != "" {
			out.WriteString(";temp-gruu=" + wire.Quote(temp))
		}
	}
	return out.String()
}
