package ua

import (
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// identity is all by which a registrar's list may show that a contact is ours.
type identity struct {
	instance string // urn:uuid:...
	regID    uint32
	callID   string // of our REGISTERs
	contact  string // URI that we register
	boundAs  string // Call-ID that our binding stands under: callID, or that of a REGISTER by hand; "" never bound

	watchOnly bool          // no contact is ours
	shown     bool          // the registrar lists us under our Call-ID or our URI
	others    []boundByHand // contacts, not ours, that REGISTERs by hand of ours were about

	earlierCallID  string // of a run before this one, from the state file
	earlierContact string
}

// match is what own says of a contact.
type match struct {
	own        bool
	earlierRun bool
	shared     bool // not ours, but it has our instance id
	by         MatchedBy
	byHand     *boundByHand // not ours, but a REGISTER by hand of ours was about it; nil: none was
}

// recognise tells whether a contact is ours, by the first that fits: instance,
// Call-ID, URI, public GRUU. Registrars rewrite contacts, and some show no
// instance, so each is needed.
func (id identity) recognise(c reginfo.Contact, hasGRUU func(string) bool) match {
	instance := c.Instance != "" && strings.EqualFold(c.Instance, id.instance)
	callID := c.CallID != "" && (c.CallID == id.callID || c.CallID == id.boundAs)
	uri := id.contact != "" && reginfo.SameURI(c.URI, id.contact)
	if !callID && !uri && (instance || c.Instance == "") && id.earlier(c) {
		return match{earlierRun: true, by: ByInstance}
	}
	for _, b := range id.others {
		if id.isBoundByHand(c, b) {
			return match{byHand: &b}
		}
	}
	switch {
	case id.watchOnly:
		return match{}
	case instance && (!c.RegID.Present || c.RegID.Value == uint64(id.regID)):
		if id.shown && !callID && !uri && c.CallID != "" {
			return match{shared: true, by: ByInstance}
		}
		return match{own: true, by: ByInstance}
	case c.Instance != "" && !instance:
		return match{} // another device, whatever else it shares with us
	case callID && c.Active():
		// On a terminated contact it proves nothing: a registrar may put that of the
		// request which removed it there. One that was ours before is remembered.
		return match{own: true, by: ByCallID}
	case uri:
		return match{own: true, by: ByURI}
	case hasGRUU(c.PubGRUU), hasGRUU(c.URI):
		// Some registrars show it in place of the URI.
		return match{own: true, by: ByGRUU}
	}
	return match{}
}

// earlier tells whether the contact is what a run before this one left behind.
func (id identity) earlier(c reginfo.Contact) bool {
	return id.earlierCallID != "" && c.CallID == id.earlierCallID ||
		id.earlierContact != "" && id.earlierContact != id.contact && reginfo.SameURI(c.URI, id.earlierContact)
}

// shows reports whether a row is surely ours, by more than the instance, which
// another device may have too.
func (id identity) shows(row reginfo.Row) bool {
	c := row.Contact
	return c.CallID != "" && (c.CallID == id.callID || c.CallID == id.boundAs) || id.contact != "" && reginfo.SameURI(c.URI, id.contact)
}

// registers reports whether a Contact of a REGISTER, or of the answer to one, is
// for the binding that we register: by instance and reg-id where they are there,
// else by URI. The device may have left a binding under another address, and a
// tester may bind our address for another instance.
func (id identity) registers(c reginfo.Contact) bool {
	if c.Instance != "" {
		return reginfo.SameInstance(c.Instance, id.instance) && (!c.RegID.Present || c.RegID.Value == uint64(id.regID))
	}
	return reginfo.SameURI(c.URI, id.contact)
}

// boundByHand is another contact than ours that a REGISTER by hand was about.
type boundByHand struct {
	contact reginfo.Contact // URI, instance, reg-id, Call-ID and CSeq of that REGISTER
	at      time.Time       // when that was sent
	until   time.Time       // when the binding ends, unless somebody refreshes it
	taken   bool            // it removed the contact
}

// isBoundByHand tells such a contact by instance and reg-id, by its URI unless
// that is ours, or, where a registrar rewrites URIs, by Call-ID and CSeq. Another
// instance than ours needs no reg-id: not every registrar shows it.
func (id identity) isBoundByHand(c reginfo.Contact, b boundByHand) bool {
	instance := reginfo.SameInstance(c.Instance, b.contact.Instance)
	switch {
	case instance && (c.RegID == b.contact.RegID || !c.RegID.Present && !reginfo.SameInstance(c.Instance, id.instance)):
		return true
	case c.Instance != "" && b.contact.Instance != "" && !instance:
		return false
	case reginfo.SameURI(c.URI, b.contact.URI):
		return id.watchOnly || !reginfo.SameURI(c.URI, id.contact)
	}
	return c.Active() && !id.registers(c) && c.CallID != "" && c.CallID == b.contact.CallID && c.CSeq.Present && c.CSeq == b.contact.CSeq
}

// ContactOf reads a Contact of a REGISTER, or of the answer to one, as what a
// document would say of it.
func ContactOf(address wire.NameAddr) reginfo.Contact {
	c := reginfo.Contact{
		URI: address.URI, DisplayName: address.Display, State: reginfo.ContactActive, Q: address.Params.Get("q"),
		Expires: number(address.Params.Get("expires")), RegID: number(address.Params.Get("reg-id")),
		Instance: reginfo.InstanceURN(address.Params.Get("+sip.instance")),
		PubGRUU:  address.Params.Get("pub-gruu"), TempGRUU: address.Params.Get("temp-gruu"),
	}
	for _, p := range address.Params {
		switch strings.ToLower(p.Name) {
		case "q", "expires", "pub-gruu", "temp-gruu":
		default:
			c.Params = append(c.Params, reginfo.Param{Name: p.Name, Value: p.Value})
		}
	}
	return c
}

func number(digits string) reginfo.Number {
	n, ok := wire.LeadingNumber(digits)
	if !ok {
		return reginfo.Number{}
	}
	return reginfo.Num(uint64(n))
}

// matches remembers by row which contacts are ours: a match once made stays
// while the row's Call-ID or URI stays, though a later document shows less.
type matches map[rowKey]stuck

type rowKey struct{ aor, id string }

// boundKey finds a contact again in another dialog, where ids are others.
type boundKey struct{ aor, uri string }

type stuck struct {
	match
	callID, uri string
}

func (m matches) of(row *reginfo.Row, id identity, hasGRUU func(string) bool) match {
	key, c := rowKey{row.AOR, row.Contact.ID}, row.Contact
	before, ok := m[key]
	stays := ok && before.of(c)
	found := id.recognise(c, hasGRUU)
	switch {
	case stays && (found == match{} || found.shared && before.own):
		return before.match
	case found == match{}:
		delete(m, key)
	default:
		m[key] = stuck{found, c.CallID, c.URI}
	}
	return found
}

// of reports whether a contact of the same id is still the one that was matched.
func (s stuck) of(c reginfo.Contact) bool {
	return c.CallID != "" && c.CallID == s.callID || c.URI == s.uri
}

// ofChange is the match of the contact that a change is about. Where it does not
// show by itself whose it is, the row before does: that may have had another id,
// as in a dialog before.
func (m matches) ofChange(change reginfo.Change, id identity, hasGRUU func(string) bool) match {
	found := m.of(change.Row(), id, hasGRUU)
	if found != (match{}) && !found.shared || change.Before == nil || change.After == nil {
		return found
	}
	before, after := change.Before.Contact, change.After.Contact
	if !(stuck{callID: before.CallID, uri: before.URI}).of(after) {
		return found
	}
	if was := id.recognise(before, hasGRUU); was.own {
		found = was
		m[rowKey{change.After.AOR, after.ID}] = stuck{was, after.CallID, after.URI}
	}
	return found
}
