package registrar

import "fmt"

// Profile names whose ways the registrar takes on.
type Profile string

// The profiles.
const (
	// RFC does what the standards ask for.
	RFC Profile = "rfc"
	// Kamailio does as Kamailio 5.6 with presence and pua_reginfo: see kamailio.go.
	Kamailio Profile = "kamailio"
)

// Profiles lists all of them.
var Profiles = []Profile{RFC, Kamailio}

// manners are the behaviours that a profile is made of. The zero value is the
// poorest registrar there is; each field adds something.
type manners struct {
	outbound bool // RFC 5626: reg-id and instance name a binding
	gruu     bool // RFC 5627 and 5628
	// contactNotify sends NOTIFYs to the address in the subscriber's Contact, not
	// along the flow that the SUBSCRIBE came over.
	contactNotify bool
	// addressIDs gives ids like memory addresses, used again at once.
	addressIDs bool
	// shortenedIsRefreshed makes an administrator's shortening look like a
	// REGISTER of somebody else.
	shortenedIsRefreshed bool
	// keepsOldCSeq shows on an unregistered contact the Call-ID and CSeq of the
	// REGISTER before, not of the one that removed it.
	keepsOldCSeq bool
	// documents writes what subscribers are told.
	documents documents
}

// documents is how a profile tells of registrations. Bodies may be nil: then the
// NOTIFY goes out without one.
type documents interface {
	// full is the answer to a SUBSCRIBE.
	full(r *Registrar, s *subscription) []byte
	// changed is told before any subscriber of the record is.
	changed(r *Registrar, rec *record, changes []change)
	// bodies are the documents for one subscriber, one NOTIFY each.
	bodies(r *Registrar, s *subscription, changes []change) [][]byte
}

func (p Profile) manners() (manners, error) {
	switch p {
	case "", RFC:
		return manners{outbound: true, gruu: true, documents: standardDocuments{}}, nil
	case Kamailio:
		return manners{contactNotify: true, addressIDs: true, shortenedIsRefreshed: true, keepsOldCSeq: true, documents: kamailioDocuments{}}, nil
	}
	return manners{}, fmt.Errorf("profile %q is not known: write one of %v", p, Profiles)
}
