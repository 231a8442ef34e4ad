package reginfo

// DocState says how much a document tells (RFC 3680 5.1).
type DocState string

const (
	// Full: the document lists everything; what it does not list is gone.
	Full DocState = "full"
	// Partial: the document lists only what changed.
	Partial DocState = "partial"
)

// Known reports whether the word is one of the standard's.
func (s DocState) Known() bool { return s == Full || s == Partial }

// RegState is the state of the registration of one address-of-record
// (RFC 3680 4.7.1, figure 1).
type RegState string

const (
	// RegInit: no contact is bound to the address-of-record.
	RegInit RegState = "init"
	// RegActive: at least one contact is bound to it.
	RegActive RegState = "active"
	// RegTerminated: the last contact has just gone.
	RegTerminated RegState = "terminated"
)

// Known reports whether the word is one of the standard's.
func (s RegState) Known() bool {
	return s == RegInit || s == RegActive || s == RegTerminated
}

// Empty reports whether the state says that no contact is bound. Init does as
// much as terminated: a registrar may report the one for the other.
func (s RegState) Empty() bool { return s == RegInit || s == RegTerminated }

// ContactState is the state of one binding (RFC 3680 4.7.1, figure 2).
type ContactState string

const (
	// ContactActive: the contact is bound to the address-of-record.
	ContactActive ContactState = "active"
	// ContactTerminated: it no longer is.
	ContactTerminated ContactState = "terminated"
)

// Known reports whether the word is one of the standard's.
func (s ContactState) Known() bool {
	return s == ContactActive || s == ContactTerminated
}

// ContactEvent is what brought a contact into its state (RFC 3680 4.7.1).
// Registrars choose among these words with little care; see Table.
type ContactEvent string

const (
	// Registered: a REGISTER bound the contact. Leads to active.
	Registered ContactEvent = "registered"
	// Created: the contact was bound without a REGISTER for it, by an
	// administrator or with another public identity. Leads to active.
	Created ContactEvent = "created"
	// Refreshed: a REGISTER extended the binding. Stays active.
	Refreshed ContactEvent = "refreshed"
	// Shortened: the network brought the end of the binding nearer, as a rule
	// to have the device register, and prove itself, anew. Stays active.
	Shortened ContactEvent = "shortened"
	// Expired: nobody refreshed the binding in time. Leads to terminated.
	Expired ContactEvent = "expired"
	// Deactivated: the network removed the binding and wishes the device to
	// register again at once. Leads to terminated.
	Deactivated ContactEvent = "deactivated"
	// Probation: the network removed the binding; the device may register
	// again after retry-after seconds. Leads to terminated.
	Probation ContactEvent = "probation"
	// Unregistered: the device removed the binding itself. Leads to
	// terminated.
	Unregistered ContactEvent = "unregistered"
	// Rejected: the network removed the binding, and to register again will
	// not help. Leads to terminated.
	Rejected ContactEvent = "rejected"

	// Absent is no word of the standard but ours: the contact vanished from a
	// full document, or with its registration, without any word. No document
	// carries it; rows that a Table remembers may.
	Absent ContactEvent = "absent"
)

// Known reports whether the word is one of the standard's nine.
func (e ContactEvent) Known() bool { return e.LeadsTo() != "" && e != Absent }

// LeadsTo returns the state that the event brings a contact into, or "" for a
// word that is neither the standard's nor ours.
func (e ContactEvent) LeadsTo() ContactState {
	switch e {
	case Registered, Created, Refreshed, Shortened:
		return ContactActive
	case Expired, Deactivated, Probation, Unregistered, Rejected, Absent:
		return ContactTerminated
	}
	return ""
}
