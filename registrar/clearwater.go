package registrar

import (
	"net/url"
	"strings"

	"regwatch/reginfo"
)

// clearwaterDocuments are as Clearwater's Sprout writes them: every version is 0,
// every document full; whoever goes, however he goes, is "expired", and is listed
// with the public GRUU that he has no more.
type clearwaterDocuments struct{}

func (clearwaterDocuments) full(r *Registrar, s *subscription) []byte {
	return r.clearwaterDocument(s, nil)
}

func (clearwaterDocuments) changed(*Registrar, *record, []change) {}

func (clearwaterDocuments) bodies(r *Registrar, s *subscription, changes []change) [][]byte {
	return [][]byte{r.clearwaterDocument(s, changes)}
}

// clearwaterDocument has the word of what happened on the contacts that changed,
// and "registered" on the others.
func (r *Registrar) clearwaterDocument(s *subscription, changes []change) []byte {
	rec := s.record
	registration := reginfo.Registration{AOR: rec.aor.String(), ID: s.localTag, State: reginfo.RegTerminated}
	words := make(map[*binding]reginfo.ContactEvent)
	for _, c := range changes {
		words[c.binding] = c.event
	}
	for _, b := range rec.bindings {
		c := clearwaterContact(r.contactOf(rec, b))
		if c.Event = words[b]; c.Event == "" {
			c.Event = reginfo.Registered
		}
		registration.State = reginfo.RegActive
		registration.Contacts = append(registration.Contacts, c)
	}
	for _, c := range changes {
		if c.terminates() {
			gone := clearwaterContact(c.contact)
			gone.State, gone.Event = reginfo.ContactTerminated, reginfo.Expired
			registration.Contacts = append(registration.Contacts, gone)
		}
	}
	body := s.encode(reginfo.Full, registration)
	s.version = 0
	return []byte(clearwaterPrefix.Replace(string(body)))
}

// The prefix of RFC 5628's elements is its own; no text can hold what is replaced.
var clearwaterPrefix = strings.NewReplacer(" xmlns:gr=\"", " xmlns:gruuinfo=\"", "<gr:", "<gruuinfo:")

// clearwaterContact keeps of a contact what that server tells: neither times nor
// Call-ID and CSeq. The id is made from the instance, or else from the URI.
func clearwaterContact(c reginfo.Contact) reginfo.Contact {
	out := reginfo.Contact{ID: c.URI, URI: c.URI, State: c.State, PubGRUU: c.PubGRUU}
	for _, p := range c.Params {
		if strings.EqualFold(p.Name, "+sip.instance") {
			out.ID = strings.ToLower(url.QueryEscape(p.Value))
			p.Value = strings.ReplaceAll(p.Value, ":", "%3A")
		}
		out.Params = append(out.Params, p)
	}
	return out
}
