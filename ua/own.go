package ua

import (
	"strings"

	"regwatch/reginfo"
)

// identity is all by which a registrar's list may show that a contact is ours.
type identity struct {
	instance string // urn:uuid:...
	regID    uint32
	callID   string // of our REGISTERs
	contact  string // URI that we register

	earlierCallID  string // of a run before this one, from the state file
	earlierContact string
}

// match is what own says of a contact.
type match struct {
	own        bool
	earlierRun bool
	by         MatchedBy
}

// recognise tells whether a contact is ours, by the first that fits: instance,
// Call-ID, URI, public GRUU. Registrars rewrite contacts, and some show no
// instance, so each is needed.
func (id identity) recognise(c reginfo.Contact, hasGRUU func(string) bool) match {
	instance := c.Instance != "" && strings.EqualFold(c.Instance, id.instance)
	callID := id.callID != "" && c.CallID == id.callID
	uri := id.contact != "" && reginfo.SameURI(c.URI, id.contact)
	if !callID && !uri && (instance || c.Instance == "") && id.earlier(c) {
		return match{earlierRun: true, by: ByInstance}
	}
	switch {
	case instance && (!c.RegID.Present || c.RegID.Value == uint64(id.regID)):
		return match{own: true, by: ByInstance}
	case c.Instance != "" && !instance:
		return match{} // another device, whatever else it shares with us
	case callID && c.Active():
		// On a terminated contact it proves nothing: a registrar may put that of the
		// request which removed it there. One that was ours before is remembered.
		return match{own: true, by: ByCallID}
	case uri:
		return match{own: true, by: ByURI}
	case hasGRUU(c.PubGRUU):
		return match{own: true, by: ByGRUU}
	}
	return match{}
}

// earlier tells whether the contact is what a run before this one left behind.
func (id identity) earlier(c reginfo.Contact) bool {
	return id.earlierCallID != "" && c.CallID == id.earlierCallID ||
		id.earlierContact != "" && id.earlierContact != id.contact && reginfo.SameURI(c.URI, id.earlierContact)
}

// matches remembers by row which contacts are ours: a match once made stays
// while the row's Call-ID or URI stays, though a later document shows less.
type matches map[rowKey]stuck

type rowKey struct{ aor, id string }

type stuck struct {
	match
	callID, uri string
}

func (m matches) of(row *reginfo.Row, id identity, hasGRUU func(string) bool) match {
	key, c := rowKey{row.AOR, row.Contact.ID}, row.Contact
	if found := id.recognise(c, hasGRUU); found.own || found.earlierRun {
		m[key] = stuck{found, c.CallID, c.URI}
		return found
	}
	if before, ok := m[key]; ok && (c.CallID != "" && c.CallID == before.callID || c.URI == before.uri) {
		return before.match
	}
	delete(m, key)
	return match{}
}
