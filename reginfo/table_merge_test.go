package reginfo

import (
	"slices"
	"strings"
	"testing"
)

// TestFullAndPartial: RFC 3680 5.2, second half.
func TestFullAndPartial(t *testing.T) { walkAll(t, mergeWalks) }

var mergeWalks = map[string]walk{
	"RFC 3680 5.2: full flushes all tables": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered\nsip:c@b s active\n- 3 sip:c@z active registered",
			want: "appeared sip:a@x, appeared sip:a@y, appeared sip:c@z"},
		{doc: "1 full\nsip:c@b s active\n- 4 sip:c@w active registered\n- 3 sip:c@z active registered\nsip:a@b r active\n- 2 sip:a@y active registered",
			want: "appeared sip:c@w, vanished sip:a@x"},
		{doc: "2 full", want: "vanished sip:c@w, vanished sip:c@z, vanished sip:a@y"},
	}, ""},
	"RFC 3680 5.2: partial creates tables and rows, and updates them": {Strict, []step{
		{doc: "0 full", want: ""},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@x active registered exp=100", want: "appeared sip:a@x"},
		{doc: "2 partial\nsip:a@b r active\n- 2 sip:a@y active registered\nsip:c@b s active\n- 3 sip:c@z active created", want: "appeared sip:a@y, appeared sip:c@z"},
		{doc: "3 partial\nsip:a@b r active\n- 1 sip:a@x active shortened exp=10", want: "altered sip:a@x expires"},
		{doc: "4 partial\nsip:c@b s terminated\n- 3 sip:c@z terminated rejected", want: "removed sip:c@z rejected"},
		{doc: "5 partial", want: ""},
	}, "sip:a@x sip:a@y"},
	"RFC 3680 5.2: partial leaves others alone": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered\nsip:c@b s active\n- 3 sip:c@z active registered",
			want: "appeared sip:a@x, appeared sip:a@y, appeared sip:c@z"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y terminated probation", want: "removed sip:a@y probation"},
	}, "sip:a@x sip:c@z"},
	"a registration ends without contacts": {Tolerant, []step{
		{doc: "2 full\ntel:+1 t active\n- 9 sip:a@x active registered\nsip:a@b r active\n- 9 sip:a@x active registered", want: "appeared sip:a@x, appeared sip:a@x, !version-not-from-zero"},
		{doc: "3 partial\ntel:+1 t terminated\nsip:a@b r terminated", want: "vanished sip:a@x, vanished sip:a@x"},
	}, ""},
	"a full document without the address-of-record": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:c@b s init", want: "vanished sip:a@x"},
	}, ""},
	"a stale registration first": {Tolerant, []step{
		{doc: "0 full\nsip:a@b new active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full\nsip:a@b old terminated\nsip:a@b new active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: ""},
		{doc: "2 partial\nsip:a@b old terminated\nsip:a@b new active\n- 1 sip:a@x active registered call=c", want: ""},
		{doc: "3 partial\nsip:a@b old terminated", want: "!registration-id-changed"},
		{doc: "4 partial\nsip:a@b old terminated\n- 1 sip:a@x terminated expired call=old\nsip:a@b new active\n- 1 sip:a@x active registered call=c", want: ""},
		{doc: "5 full\nsip:a@b old terminated\n- 7 sip:a@x terminated expired call=old\nsip:a@b new active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: ""},
	}, "sip:a@x sip:a@y"},
	"a stale registration last": {Tolerant, []step{
		{doc: "0 full\nsip:a@b new active\n- 1 sip:a@x active registered call=c\nsip:a@b old terminated", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b new active\n- 1 sip:a@x active registered call=c\nsip:a@b old terminated\n- 1 sip:a@x terminated expired call=old", want: ""},
		{doc: "2 partial\nsip:a@b new active\nsip:a@b old terminated", want: ""},
	}, "sip:a@x"},
	"a contact listed twice": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x, !contact-repeated"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: ""},
	}, "sip:a@x"},
	"neither full nor partial": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "0 what\nsip:a@b r active\n- 2 sip:a@y active registered", want: "appeared sip:a@y, !version-repeated"},
	}, "sip:a@x sip:a@y"},
	"cut off": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full cut\nsip:a@b r active\n- 1 sip:a@x terminated deactivated", want: "need-full, removed sip:a@x deactivated"},
	}, "sip:a@y"},
}

// TestImplicitSet: one REGISTER binds a contact to every identity of a set, sip
// and tel (RFC 5628 8.2); each has a table of its own, though ids are the same in
// all.
func TestImplicitSet(t *testing.T) {
	table := NewTable(Tolerant)
	for i, s := range []struct{ doc, want, rows string }{
		{"2 full\ntel:+1-555-0100 t active\n- 9 sip:a@x active registered call=c cseq=1\nsip:a@b s active\n- 9 sip:a@x active created call=c cseq=1",
			"appeared tel:+1-555-0100, appeared sip:a@b", "tel:+1-555-0100 sip:a@b"},
		// An identity is compared as RFC 3261 10.3 has it, a number as RFC 3966 4.
		{"3 full\nsip:%61@B;x=y s active\n- 9 sip:a@x active refreshed call=c cseq=2\ntel:+15550100 t active\n- 9 sip:a@x active refreshed call=c cseq=2",
			"altered sip:%61@B;x=y, altered tel:+15550100", "sip:%61@B;x=y tel:+15550100"},
		// The same number at a host is another identity.
		{"4 partial\nsip:+15550100@b u active\n- 9 sip:a@x active created call=c cseq=2", "appeared sip:+15550100@b", "sip:%61@B;x=y tel:+15550100 sip:+15550100@b"},
		// One identity is taken away, the others stay.
		{"5 partial\ntel:+15550100 t terminated\n- 9 sip:a@x terminated deactivated call=c cseq=2", "removed tel:+15550100", "sip:%61@B;x=y sip:+15550100@b"},
		{"6 full\nsip:a@b s active\n- 9 sip:a@x active refreshed call=c cseq=2\nsip:+15550100@b u terminated", "vanished sip:+15550100@b", "sip:a@b"},
		{"7 full\ntel:+15550100 t init\nsip:a@b s terminated\nsip:+15550100@b u init", "vanished sip:a@b", ""},
	} {
		o := table.Apply(doc(s.doc), uint32(i), epoch)
		var got, rows []string
		for _, c := range o.Changes {
			got = append(got, string(c.Kind)+" "+c.Row().AOR)
		}
		for _, r := range table.Rows() {
			rows = append(rows, r.AOR)
		}
		if text := strings.Join(got, ", "); text != s.want {
			t.Errorf("document %d: %s\nwant: %s", i, text, s.want)
		}
		if want := strings.Fields(s.rows); !slices.Equal(rows, want) {
			t.Errorf("document %d: rows in %q, want %q", i, rows, want)
		}
	}
}
