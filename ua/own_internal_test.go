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
	a := &Agent{table: reginfo.NewTable(reginfo.Tolerant), matches: matches{}, origins: map[rowKey]Origin{}, id: identity{callID: "ours"}, reported: map[string]bool{}}
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
		a.origins[rowKey{rows[i].AOR, rows[i].Contact.ID}] = OriginSelf
	}
	a.deferred = []heldChange{{change: reginfo.Change{Before: &rows[3], After: &rows[4]}}}
	a.gone = []Binding{{Row: rows[7]}}
	a.forgetRows()
	for _, id := range []string{"c3", "c4", "c7", "c99"} {
		key := rowKey{"sip:alice@example.com", id}
		if !a.matches[key].own || a.origins[key] != OriginSelf {
			t.Errorf("%s is forgotten", id)
		}
	}
	if len(a.matches) != 4 || len(a.origins) != 4 {
		t.Errorf("%d matches and %d origins are kept", len(a.matches), len(a.origins))
	}
}
