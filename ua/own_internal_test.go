package ua

import (
	"fmt"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// What is noted of a contact goes with it, whatever ids a registrar deals out; not
// while a removal of it waits, or is shown.
func TestNotesOfContactsAreBounded(t *testing.T) {
	a := &Agent{table: reginfo.NewTable(reginfo.Tolerant), matches: matches{}, origins: map[boundKey]Origin{}, reported: map[string]bool{}}
	a.line = &line{id: identity{callID: "ours"}}
	a.lines, a.front = []*line{a.line}, a.line
	var rows []reginfo.Row
	for n := range 100 {
		in := &wire.Incoming{At: time.Now()}
		in.Body = fmt.Appendf(nil, `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="%d" state="full">
			<registration aor="sip:alice@example.com" id="r" state="active"><contact id="c%d" state="active" event="registered" callid="ours" cseq="%d">
			<uri>sip:alice@192.0.2.7</uri></contact></registration></reginfo>`, n, n, n)
		a.takeDocument(wire.Notify{Incoming: in, CSeq: uint32(n + 1)})
		rows = append(rows, a.table.Rows()...)
	}
	if len(a.matches) != 1 || len(a.origins) != 1 {
		t.Errorf("of one contact that had many ids %d matches and %d origins are kept", len(a.matches), len(a.origins))
	}

	for i := range rows {
		a.matches.of(&rows[i], a.id, a.ledger.has)
		rows[i].Contact.URI = fmt.Sprintf("sip:alice@198.51.100.%d", i)
		a.origins[boundKey{rows[i].AOR, rows[i].Contact.URI}] = OriginSelf
	}
	a.deferred = []heldChange{{change: reginfo.Change{Before: &rows[3], After: &rows[4]}}}
	a.gone = []Binding{{Row: rows[7]}}
	a.forgetRows()
	for _, n := range []int{3, 4, 7, 99} {
		if !a.matches[rowKey{"sip:alice@example.com", fmt.Sprint("c", n)}].own {
			t.Errorf("c%d is forgotten", n)
		}
	}
	for _, n := range []int{3, 4, 7} {
		if a.origins[boundKey{"sip:alice@example.com", fmt.Sprint("sip:alice@198.51.100.", n)}] != OriginSelf {
			t.Errorf("who bound contact %d is forgotten", n)
		}
	}
	if len(a.matches) != 4 || len(a.origins) != 4 {
		t.Errorf("%d matches and %d origins are kept", len(a.matches), len(a.origins))
	}
}

// Our contact, by the first that fits: instance with reg-id, Call-ID, URI, public
// GRUU. What does not fit is another device's, or what a run before this one left.
func TestOwnContact(t *testing.T) {
	const gruu = "sip:alice@example.com;gr=1"
	id := identity{
		instance: "urn:uuid:aa-1", regID: 2, callID: "ours", contact: "sip:alice@192.0.2.7:5060", boundAs: "by-hand",
		earlierCallID: "before", earlierContact: "sip:alice@192.0.2.7:4000",
	}
	shown, watching := id, id
	shown.shown, watching.watchOnly = true, true
	own := func(by MatchedBy) match { return match{own: true, by: by} }
	earlier := match{earlierRun: true, by: ByInstance}
	const elsewhere = "sip:alice@198.51.100.1:1024"
	for _, c := range []struct {
		what    string
		id      identity
		contact reginfo.Contact
		want    match
	}{
		{"instance", id, reginfo.Contact{URI: elsewhere, Instance: "URN:UUID:AA-1"}, own(ByInstance)},
		{"instance and reg-id", id, reginfo.Contact{URI: elsewhere, Instance: "urn:uuid:aa-1", RegID: reginfo.Num(2)}, own(ByInstance)},
		{"another reg-id", id, reginfo.Contact{URI: elsewhere, Instance: "urn:uuid:aa-1", RegID: reginfo.Num(3)}, match{}},
		{"instance before Call-ID", id, reginfo.Contact{URI: id.contact, CallID: "ours", Instance: "urn:uuid:aa-1"}, own(ByInstance)},
		{"another instance, whatever else", id, reginfo.Contact{URI: id.contact, CallID: "ours", Instance: "urn:uuid:bb", PubGRUU: gruu}, match{}},
		{"Call-ID", id, reginfo.Contact{URI: elsewhere, CallID: "ours"}, own(ByCallID)},
		{"Call-ID of a REGISTER by hand", id, reginfo.Contact{URI: elsewhere, CallID: "by-hand"}, own(ByCallID)},
		{"Call-ID of what is gone", id, reginfo.Contact{URI: elsewhere, CallID: "ours", State: reginfo.ContactTerminated}, match{}},
		{"URI", id, reginfo.Contact{URI: "SIP:alice@192.0.2.7:5060;ob", CallID: "b2bua"}, own(ByURI)},
		{"URI of what is gone", id, reginfo.Contact{URI: id.contact, CallID: "x", State: reginfo.ContactTerminated}, own(ByURI)},
		{"public GRUU", id, reginfo.Contact{URI: elsewhere, CallID: "x", PubGRUU: gruu}, own(ByGRUU)},
		{"public GRUU as URI", id, reginfo.Contact{URI: gruu, CallID: "x"}, own(ByGRUU)},
		{"nothing", id, reginfo.Contact{URI: elsewhere, CallID: "x"}, match{}},
		{"nothing told", id, reginfo.Contact{URI: elsewhere}, match{}},

		{"earlier run, by Call-ID", id, reginfo.Contact{URI: elsewhere, CallID: "before", Instance: "urn:uuid:aa-1"}, earlier},
		{"earlier run, by URI", id, reginfo.Contact{URI: id.earlierContact, CallID: "x", Instance: "urn:uuid:aa-1"}, earlier},
		{"earlier run, no instance told", id, reginfo.Contact{URI: id.earlierContact, CallID: "before"}, earlier},
		{"earlier run's address, another instance", id, reginfo.Contact{URI: id.earlierContact, Instance: "urn:uuid:bb"}, match{}},
		{"earlier run's binding, taken over", id, reginfo.Contact{URI: id.earlierContact, CallID: "ours", Instance: "urn:uuid:aa-1"}, own(ByInstance)},

		{"our instance, where we are shown as we are", shown, reginfo.Contact{URI: elsewhere, CallID: "x", Instance: "urn:uuid:aa-1"}, match{shared: true, by: ByInstance}},
		{"the same, with our Call-ID", shown, reginfo.Contact{URI: elsewhere, CallID: "ours", Instance: "urn:uuid:aa-1"}, own(ByInstance)},
		{"the same, with our URI", shown, reginfo.Contact{URI: id.contact, CallID: "x", Instance: "urn:uuid:aa-1"}, own(ByInstance)},
		{"the same, without a Call-ID", shown, reginfo.Contact{URI: elsewhere, Instance: "urn:uuid:aa-1"}, own(ByInstance)},
		{"the same, where all is rewritten", id, reginfo.Contact{URI: elsewhere, CallID: "x", Instance: "urn:uuid:aa-1"}, own(ByInstance)},
		{"of one that only watches", watching, reginfo.Contact{URI: id.contact, CallID: "ours", Instance: "urn:uuid:aa-1"}, match{}},
	} {
		if c.contact.State == "" {
			c.contact.State = reginfo.ContactActive
		}
		if got := c.id.recognise(c.contact, func(uri string) bool { return uri == gruu }); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
	if row := (reginfo.Row{Contact: reginfo.Contact{URI: elsewhere, Instance: "urn:uuid:aa-1", CallID: "x"}}); id.shows(row) {
		t.Error("an instance alone shows us as we are")
	}
	for _, c := range []reginfo.Contact{{URI: elsewhere, CallID: "ours"}, {URI: elsewhere, CallID: "by-hand"}, {URI: id.contact}} {
		if !id.shows(reginfo.Row{Contact: c}) {
			t.Errorf("%+v does not show us", c)
		}
	}
}

// A match once made stays while the row's Call-ID or URI stays, and no longer: the
// registrar may show less, or a REGISTER of its own, or the id for another.
func TestMatchStays(t *testing.T) {
	id := identity{instance: "urn:uuid:aa", callID: "ours", contact: "sip:alice@192.0.2.7", shown: true}
	none := func(string) bool { return false }
	const rewritten, other = "sip:alice@198.51.100.1:1024", "sip:alice@203.0.113.9"
	row := func(id, uri, callID, instance string, state reginfo.ContactState) *reginfo.Row {
		return &reginfo.Row{AOR: "sip:alice@example.com", Contact: reginfo.Contact{ID: id, URI: uri, CallID: callID, Instance: instance, State: state}}
	}
	first := row("1", rewritten, "ours", "", reginfo.ContactActive)
	for _, c := range []struct {
		what string
		next *reginfo.Row
		want match
	}{
		{"gone, under its Call-ID", row("1", other, "ours", "", reginfo.ContactTerminated), match{own: true, by: ByCallID}},
		{"another Call-ID, at its URI", row("1", rewritten, "network", "", reginfo.ContactActive), match{own: true, by: ByCallID}},
		{"the same, with our instance", row("1", rewritten, "network", "urn:uuid:aa", reginfo.ContactActive), match{own: true, by: ByCallID}},
		{"another with our instance", row("1", other, "stranger", "urn:uuid:aa", reginfo.ContactActive), match{shared: true, by: ByInstance}},
		{"the id of another", row("1", other, "stranger", "", reginfo.ContactActive), match{}},
		{"another with neither", row("1", other, "", "", reginfo.ContactActive), match{}},
	} {
		m := matches{}
		m.of(first, id, none)
		if got := m.of(c.next, id, none); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
		// Under another id, as in another dialog, the row before tells.
		m = matches{}
		moved := *c.next
		moved.Contact.ID = "2"
		if got := m.ofChange(reginfo.Change{Before: first, After: &moved}, id, none); got != c.want {
			t.Errorf("%s, under another id: %+v, want %+v", c.what, got, c.want)
		}
		if got := m.of(&moved, id, none); got != c.want {
			t.Errorf("%s, under another id, once more: %+v, want %+v", c.what, got, c.want)
		}
	}
}
