package registrar

import (
	"slices"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// change is something that happened to one binding, as subscribers are told.
type change struct {
	binding    *binding
	event      reginfo.ContactEvent
	retryAfter time.Duration   // probation
	contact    reginfo.Contact // as it was at that moment
}

// terminates reports whether the binding is gone.
func (c change) terminates() bool { return c.event.LeadsTo() == reginfo.ContactTerminated }

// loss reports whether the binding went by its owner's wish or by the clock.
func (c change) loss() bool { return c.event == reginfo.Unregistered || c.event == reginfo.Expired }

// contactOf is what a document says of a binding (RFC 3680 5.1, RFC 5628 5).
func (r *Registrar) contactOf(rec *record, b *binding) reginfo.Contact {
	now := time.Now()
	c := reginfo.Contact{
		ID: b.id, URI: b.contact.URI, State: reginfo.ContactActive, Event: b.event,
		Expires:            reginfo.Num(b.remaining(now)),
		DurationRegistered: reginfo.Num(uint64(max(now.Sub(b.registered), 0) / time.Second)),
		Q:                  b.q, CallID: b.callID, DisplayName: b.contact.Display,
	}
	if b.callID != "" {
		c.CSeq = reginfo.Num(uint64(b.cseq))
	}
	for _, p := range b.contact.Params {
		value := p.Value
		if p.Quoted {
			value = wire.Quote(value)
		}
		c.Params = append(c.Params, reginfo.Param{Name: p.Name, Value: value})
	}
	pub, temp, first := r.gruusOf(rec, b)
	c.PubGRUU, c.TempGRUU = pub, temp
	if temp != "" {
		c.FirstCSeq = reginfo.Num(uint64(first))
	}
	return c
}

// told is the contact of a change with the words for it.
func (c change) told() reginfo.Contact {
	out := c.contact
	out.Event = c.event
	if c.terminates() {
		// Neither a time left nor a GRUU is left of it (RFC 5627 5.3).
		out.State, out.Expires = reginfo.ContactTerminated, reginfo.Number{}
		out.PubGRUU, out.TempGRUU, out.FirstCSeq = "", "", reginfo.Number{}
	}
	if c.event == reginfo.Probation {
		out.RetryAfter = reginfo.Num(uint64(c.retryAfter / time.Second))
	}
	return out
}

// publish tells every subscriber of the record, and returns how many there are.
func (r *Registrar) publish(rec *record, changes []change) (told int) {
	if len(changes) == 0 {
		return 0
	}
	r.manners.documents.changed(r, rec, changes)
	// A subscription may end on the way and leave the list: a copy is walked.
	for _, s := range append([]*subscription(nil), rec.subscriptions...) {
		over := r.manners.lossEndsSubscriptions && slices.ContainsFunc(changes, change.loss)
		if over {
			s.expires = time.Time{}
		}
		for _, body := range r.manners.documents.bodies(r, s, changes) {
			r.enqueue(s, body)
		}
		if over {
			r.forget(s)
		}
		told++
	}
	return told
}

// standardDocuments are as RFC 3680 has them: versions from 0, first the full
// state and then what changed, in every word that the standard has for it.
type standardDocuments struct{}

func (standardDocuments) full(r *Registrar, s *subscription) []byte {
	rec := s.record
	registration := reginfo.Registration{AOR: rec.aor.String(), ID: rec.id, State: reginfo.RegInit}
	for _, b := range rec.bindings {
		registration.State = reginfo.RegActive
		registration.Contacts = append(registration.Contacts, r.contactOf(rec, b))
	}
	return s.encode(reginfo.Full, registration)
}

func (standardDocuments) changed(*Registrar, *record, []change) {}

func (standardDocuments) bodies(_ *Registrar, s *subscription, changes []change) [][]byte {
	rec := s.record
	registration := reginfo.Registration{AOR: rec.aor.String(), ID: rec.id, State: reginfo.RegActive}
	if len(rec.bindings) == 0 {
		registration.State = reginfo.RegTerminated // once; init from then on (RFC 3680 4.7.1)
	}
	for _, c := range changes {
		registration.Contacts = append(registration.Contacts, c.told())
	}
	return [][]byte{s.encode(reginfo.Partial, registration)}
}

// encode writes the next document of the subscription.
func (s *subscription) encode(state reginfo.DocState, registrations ...reginfo.Registration) []byte {
	document := reginfo.Document{Version: reginfo.Num(s.version), State: state, Registrations: registrations}
	s.version++
	return reginfo.Encode(&document)
}
