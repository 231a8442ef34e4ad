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
	// KamailioSCSCF does as Kamailio's IMS core, 5.6 and 6.2: see scscf.go.
	KamailioSCSCF Profile = "kamailio-scscf"
	// Clearwater does as Clearwater's Sprout: see clearwater.go.
	Clearwater Profile = "clearwater"
)

// Profiles lists all of them.
var Profiles = []Profile{RFC, Kamailio, KamailioSCSCF, Clearwater}

// manners are the behaviours that a profile is made of. The zero value is the
// poorest registrar there is; each field adds something.
type manners struct {
	outbound bool // RFC 5626: reg-id and instance name a binding
	gruu     bool // RFC 5627 and 5628
	// temporaryGRUU gives temporary ones beside the public one.
	temporaryGRUU bool
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
	// implicitSet gives a user a telephone number that is registered with him.
	implicitSet bool
	// answersLess says less time left in the answer to a REGISTER than is left.
	answersLess bool
	// answersRemoved lists in that answer what it has just removed.
	answersRemoved bool
	// answersAOR has the address-of-record as the Contact of the answer to a
	// SUBSCRIBE.
	answersAOR bool
	// lossEndsSubscriptions ends every subscription when any contact is
	// unregistered or expires.
	lossEndsSubscriptions bool
	// givesReason says why a subscription ends.
	givesReason bool
	// versionsFrom is the version of a subscription's first document.
	versionsFrom uint64
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
		return manners{outbound: true, gruu: true, temporaryGRUU: true, givesReason: true, documents: standardDocuments{}}, nil
	case Kamailio:
		return manners{
			contactNotify: true, addressIDs: true, shortenedIsRefreshed: true, keepsOldCSeq: true, givesReason: true,
			documents: kamailioDocuments{},
		}, nil
	case KamailioSCSCF:
		return manners{
			contactNotify: true, addressIDs: true, implicitSet: true, answersLess: true, answersRemoved: true, answersAOR: true,
			lossEndsSubscriptions: true, versionsFrom: 2, documents: scscfDocuments{},
		}, nil
	case Clearwater:
		return manners{outbound: true, gruu: true, givesReason: true, documents: clearwaterDocuments{}}, nil
	}
	return manners{}, fmt.Errorf("profile %q is not known: write one of %v", p, Profiles)
}
