package registrar

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"regwatch/reginfo"
)

// scscfDocuments are as the S-CSCF of Kamailio writes them: every document is
// full, tells each public identity of the user in a registration of its own, and
// knows two words. What an administrator removed is merely not listed any more.
type scscfDocuments struct{}

func (scscfDocuments) full(r *Registrar, s *subscription) []byte { return r.scscfDocument(s, nil) }

func (scscfDocuments) changed(*Registrar, *record, []change) {}

func (scscfDocuments) bodies(r *Registrar, s *subscription, changes []change) [][]byte {
	var gone []reginfo.Contact
	for _, c := range changes {
		if !c.loss() {
			continue
		}
		contact := scscfContact(c.told())
		contact.Expires = reginfo.Num(0)
		if c.event == reginfo.Unregistered {
			contact.ID = "0x1" // it is a flag in the server, printed as an address
		}
		gone = append(gone, contact)
	}
	return [][]byte{r.scscfDocument(s, gone)}
}

// scscfDocument lists what has just gone before what is bound.
func (r *Registrar) scscfDocument(s *subscription, gone []reginfo.Contact) []byte {
	rec := s.record
	state, contacts := reginfo.RegTerminated, gone
	for _, b := range rec.bindings {
		state = reginfo.RegActive
		contacts = append(contacts, scscfContact(r.contactOf(rec, b)))
	}
	return s.encode(reginfo.Full,
		reginfo.Registration{AOR: rec.aor.number(), ID: rec.telID, State: state, Contacts: contacts},
		reginfo.Registration{AOR: rec.aor.String(), ID: rec.id, State: state, Contacts: contacts})
}

// scscfContact keeps of a contact what that server tells: neither Call-ID nor
// CSeq, and few parameters.
func scscfContact(c reginfo.Contact) reginfo.Contact {
	out := reginfo.Contact{ID: c.ID, URI: c.URI, State: c.State, Event: reginfo.Registered, Expires: c.Expires}
	if !c.Active() {
		out.Event = reginfo.Expired
	}
	for _, p := range c.Params {
		switch strings.ToLower(p.Name) {
		case "+sip.instance", "video", "+g.3gpp.smsip", "+g.3gpp.icsi-ref":
			out.Params = append(out.Params, p)
		}
	}
	return out
}

// number is the telephone number of a user, always the same: an identity that is
// registered with his address-of-record (3GPP TS 23.228 5.2.1a.0). It is made up,
// but for a user who is called by a global number.
func (a aor) number() string {
	if digits, global := strings.CutPrefix(a.user, "+"); global && digits != "" && strings.Trim(digits, "0123456789") == "" {
		return "tel:" + a.user
	}
	sum := sha256.Sum256([]byte(a.key()))
	return fmt.Sprintf("tel:+1555%07d", binary.BigEndian.Uint32(sum[:])%10_000_000)
}
