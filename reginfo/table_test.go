package reginfo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"regwatch/reginfo/finding"
)

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// doc reads a document from a few words: the version ("-" for none) and state,
// and then a line for each registration, "aor id state", and each contact in it,
// "- id uri state event", with call=, cseq=, exp=, inst=, reg= and pub= after it;
// "?" is no URI.
func doc(text string) *Document {
	d := &Document{}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		switch {
		case i == 0:
			if v, err := strconv.ParseUint(words[0], 10, 64); err == nil {
				d.Version = Num(v)
			}
			d.State = DocState(words[1])
			d.Incomplete = len(words) > 2
		case words[0] != "-":
			d.Registrations = append(d.Registrations, Registration{AOR: words[0], ID: words[1], State: RegState(words[2])})
		default:
			c := Contact{ID: words[1], URI: words[2], State: ContactState(words[3]), Event: ContactEvent(words[4])}
			if c.URI == "?" {
				c.URI = ""
			}
			for _, w := range words[5:] {
				name, value, _ := strings.Cut(w, "=")
				n, _ := parseNumber([]byte(value))
				switch name {
				case "call":
					c.CallID = value
				case "cseq":
					c.CSeq = n
				case "exp":
					c.Expires = n
				case "inst":
					c.Instance = value
				case "reg":
					c.RegID = n
				case "pub":
					c.PubGRUU = value
				}
			}
			r := &d.Registrations[len(d.Registrations)-1]
			r.Contacts = append(r.Contacts, c)
		}
	}
	return d
}

// told writes an outcome in a few words.
func told(o Outcome) string {
	var s []string
	if o.Verdict == Discarded {
		s = append(s, "discarded")
	}
	if o.NeedFull {
		s = append(s, "need-full")
	}
	for _, c := range o.Changes {
		r := c.Row()
		text := fmt.Sprintf("%s %s", c.Kind, r.Contact.URI)
		if c.Kind == Removed {
			text += " " + string(r.Contact.Event)
		}
		if c.Kind == Altered {
			text += " " + strings.Join(c.Fields, "+")
		}
		s = append(s, text)
	}
	for _, f := range codes(o.Findings) {
		s = append(s, "!"+string(f))
	}
	return strings.Join(s, ", ")
}

// step is one NOTIFY: its document (or "renew"), how many seconds after the one
// before it came, its CSeq (one more than before, when 0), and what comes of it.
type step struct {
	doc   string
	after int
	cseq  uint32
	want  string
}

var tables = map[string]struct {
	versions Versions
	steps    []step
	rows     string // the URIs bound in the end
}{
	"versions count": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "appeared sip:a@y"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated deactivated", want: "removed sip:a@x deactivated"},
	}, "sip:a@y"},
	"the first sets the number": {Strict, []step{
		{doc: "7 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "8 full\nsip:a@b r terminated", want: "vanished sip:a@x"},
	}, ""},
	"a partial first": {Tolerant, []step{
		{doc: "0 partial\nsip:a@b r active\n- 1 sip:a@x active registered", want: "need-full, appeared sip:a@x, !first-document-not-full"},
	}, "sip:a@x"},
	"higher and partial": {Strict, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "5 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "need-full, appeared sip:a@y, !version-skipped"},
		{doc: "6 partial\nsip:a@b r active", want: ""},
	}, "sip:a@x sip:a@y"},
	"higher and full": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "5 full\nsip:a@b r active\n- 2 sip:a@y active registered", want: "vanished sip:a@x, appeared sip:a@y, !version-skipped"},
	}, "sip:a@y"},
	"strict discards equal and lower": {Strict, []step{
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "3 full\nsip:a@b r terminated", want: "discarded, !version-repeated"},
		{doc: "2 full\nsip:a@b r terminated", want: "discarded, !version-gone-back"},
		{doc: "3 partial\nsip:a@b r terminated", want: "discarded, !version-repeated"},
		{doc: "- full\nsip:a@b r terminated", want: "discarded"},
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: ""},
	}, "sip:a@x"},
	"tolerant: full with a newer CSeq": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 10, want: "appeared sip:a@x"},
		{doc: "0 full\nsip:a@b r terminated", cseq: 10, want: "discarded, !version-repeated"},
		{doc: "0 full\nsip:a@b r terminated", cseq: 9, want: "discarded, !version-repeated"},
		{doc: "0 full\nsip:a@b r terminated", cseq: 11, want: "vanished sip:a@x, !version-repeated"},
		{doc: "9 full\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 12, want: "appeared sip:a@x, !version-skipped"},
		{doc: "8 full\nsip:a@b r terminated", cseq: 13, want: "vanished sip:a@x, !version-gone-back"},
		{doc: "9 partial\nsip:a@b r active\n- 1 sip:a@x active registered", cseq: 14, want: "appeared sip:a@x"},
	}, "sip:a@x"},
	"tolerant: a partial that does not fit": {Tolerant, []step{
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "4 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "discarded, need-full, !version-repeated"},
		{doc: "3 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "discarded, need-full, !version-gone-back"},
		{doc: "- partial\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "discarded, need-full"},
		{doc: "- full\nsip:a@b r active\n- 1 sip:a@x terminated expired", want: "removed sip:a@x expired"},
	}, ""},
	"versions beyond 32 and 64 bits": {Strict, []step{
		{doc: "4294967295 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x, !version-not-from-zero"},
		{doc: "4294967296 partial\nsip:a@b r active\n- 2 sip:a@y active registered", want: "appeared sip:a@y"},
		{doc: "18446744073709551615 partial\nsip:a@b r active", want: "need-full, !version-skipped"},
		{doc: "0 full\nsip:a@b r terminated", want: "discarded, !version-gone-back"},
	}, "sip:a@x sip:a@y"},

	"a new word alone is no change": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active created call=c cseq=1 exp=100", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active refreshed call=c cseq=1 exp=90", after: 10, want: ""},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active shortened call=c cseq=1 exp=76", after: 10, want: ""},
	}, "sip:a@x"},
	"but for shortened without a time": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active shortened", want: "altered sip:a@x event"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active shortened", want: ""},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: ""},
	}, "sip:a@x"},
	"what is a change": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1 exp=100", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=2 exp=100", want: "altered sip:a@x cseq"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=2 exp=100", want: "altered sip:a@x call-id"},
		{doc: "3 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=2 exp=94", want: "altered sip:a@x expires"},
		{doc: "4 full\nsip:a@b r active\n- 1 sip:a@x active registered call=d cseq=2 exp=99", want: ""},
		{doc: "5 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: ""},
		{doc: "6 full\nsip:a@b r active\n- 1 sip:a@x active registered pub=sip:a@b;gr", want: ""},
	}, "sip:a@x"},
	"a removal repeated is one": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated unregistered call=c cseq=1", want: "removed sip:a@x unregistered"},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x terminated expired call=c cseq=1", want: ""},
		{doc: "3 full\nsip:a@b r active", want: ""},
		{doc: "4 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=1", want: "!contact-id-changed"},
		{doc: "5 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=5", want: "removed sip:a@x unregistered"},
		{doc: "6 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=1", want: ""},
		{doc: "7 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=5", want: ""},
		{doc: "8 full\nsip:a@b r active\n- 9 sip:a@x active registered call=c cseq=6", want: "appeared sip:a@x"},
		{doc: "9 full\nsip:a@b r active\n- 9 sip:a@x terminated unregistered call=c cseq=6", want: "removed sip:a@x unregistered"},
	}, ""},
	"a word after it vanished": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r init", want: "vanished sip:a@x"},
		{doc: "2 full\nsip:a@b r init\n- 1 sip:a@x terminated expired call=c cseq=1", want: ""},
	}, ""},
	"first seen terminated": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r terminated\n- 1 sip:a@x terminated rejected", want: "removed sip:a@x rejected"},
	}, ""},

	"an id reused at once": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 0x1 sip:a@x active registered call=c\n- 0x2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "0 full\nsip:a@b r active\n- 0x1 sip:a@z active registered call=e\n- 0x2 sip:a@y active registered call=d",
			want: "vanished sip:a@x, appeared sip:a@z, !contact-id-reused, !version-repeated"},
	}, "sip:a@z sip:a@y"},
	"an id reused in a partial": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 partial\nsip:a@b r active\n- 1 sip:a@z active registered call=e", want: "vanished sip:a@x, appeared sip:a@z, !contact-id-reused"},
	}, "sip:a@y sip:a@z"},
	"ids swapped": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full\nsip:a@b r active\n- 2 sip:a@x active registered call=c\n- 1 sip:a@y active registered call=d", want: "!contact-id-changed, !contact-id-reused"},
	}, "sip:a@x sip:a@y"},
	"an id changed": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:%61@x active registered call=c", want: "appeared sip:%61@x"},
		{doc: "1 full\nsip:a@b r active\n- 2 sip:a@X active registered call=c", want: "!contact-id-changed"},
	}, "sip:a@X"},
	"a URI rewritten": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@nat:40112 active refreshed call=c cseq=2", want: "altered sip:a@nat:40112 cseq+uri"},
	}, "sip:a@nat:40112"},
	"a device that moves": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:AA reg=1 call=c", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y active registered inst=urn:uuid:aa reg=1 call=d", want: "altered sip:a@y call-id+uri"},
		{doc: "2 partial\nsip:a@b r active\n- 1 sip:a@x terminated expired inst=urn:uuid:aa reg=1 call=c", want: "removed sip:a@x expired"},
		{doc: "3 partial\nsip:a@b r active\n- 3 sip:a@y active registered inst=urn:uuid:aa reg=2 call=f", want: "appeared sip:a@y"},
	}, "sip:a@y sip:a@y"},
	"two devices of one private address": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@10.0.0.1 active registered inst=urn:uuid:1\n- 2 sip:a@10.0.0.1 active registered inst=urn:uuid:2",
			want: "appeared sip:a@10.0.0.1, appeared sip:a@10.0.0.1"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@10.0.0.1 active registered inst=urn:uuid:2", want: "vanished sip:a@10.0.0.1, !contact-id-changed, !contact-id-reused"},
	}, "sip:a@10.0.0.1"},
	"two bindings of one URI": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@x active registered call=d", want: "appeared sip:a@x, appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x terminated deactivated call=c\n- 2 sip:a@x active registered call=d", want: "removed sip:a@x deactivated"},
	}, "sip:a@x"},
	"an instance shown now and then": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: ""},
		{doc: "2 full\nsip:a@b r active\n- 1 sip:a@x active registered inst=urn:uuid:1 call=c", want: ""},
	}, "sip:a@x"},
	"only an id": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x"},
		{doc: "1 partial\nsip:a@b r active\n- 1 ? terminated rejected", want: "removed sip:a@x rejected"},
	}, ""},

	"a registration ends without contacts": {Tolerant, []step{
		{doc: "2 full\ntel:+1 t active\n- 9 sip:a@x active registered\nsip:a@b r active\n- 9 sip:a@x active registered", want: "appeared sip:a@x, appeared sip:a@x, !version-not-from-zero"},
		{doc: "3 partial\ntel:+1 t terminated\nsip:a@b r terminated", want: "vanished sip:a@x, vanished sip:a@x"},
	}, ""},
	"a stale registration first": {Tolerant, []step{
		{doc: "0 full\nsip:a@b new active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full\nsip:a@b old terminated\nsip:a@b new active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: ""},
		{doc: "2 partial\nsip:a@b old terminated\nsip:a@b new active\n- 1 sip:a@x active registered call=c", want: ""},
		{doc: "3 partial\nsip:a@b old terminated", want: "!registration-id-changed"},
		{doc: "4 partial\nsip:a@b old terminated\n- 1 sip:a@x terminated expired call=old\nsip:a@b new active\n- 1 sip:a@x active registered call=c", want: ""},
		{doc: "5 full\nsip:a@b old terminated\n- 7 sip:a@x terminated expired call=old\nsip:a@b new active\n- 1 sip:a@x active registered call=c\n- 2 sip:a@y active registered call=d", want: ""},
	}, "sip:a@x sip:a@y"},
	"a contact listed twice": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c\n- 1 sip:a@x active registered call=c", want: "appeared sip:a@x, !contact-repeated"},
		{doc: "1 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c", want: ""},
	}, "sip:a@x"},
	"a full document without the address-of-record": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "1 full\nsip:c@b s init", want: "vanished sip:a@x"},
	}, ""},
	"partial leaves others alone": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered\nsip:c@b s active\n- 3 sip:c@z active registered",
			want: "appeared sip:a@x, appeared sip:a@y, appeared sip:c@z"},
		{doc: "1 partial\nsip:a@b r active\n- 2 sip:a@y terminated probation", want: "removed sip:a@y probation"},
	}, "sip:a@x sip:c@z"},
	"neither full nor partial": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered", want: "appeared sip:a@x"},
		{doc: "0 what\nsip:a@b r active\n- 2 sip:a@y active registered", want: "appeared sip:a@y, !version-repeated"},
	}, "sip:a@x sip:a@y"},
	"cut off": {Tolerant, []step{
		{doc: "0 full\nsip:a@b r active\n- 1 sip:a@x active registered\n- 2 sip:a@y active registered", want: "appeared sip:a@x, appeared sip:a@y"},
		{doc: "1 full cut\nsip:a@b r active\n- 1 sip:a@x terminated deactivated", want: "need-full, removed sip:a@x deactivated"},
	}, "sip:a@y"},

	"a new dialog": {Tolerant, []step{
		{doc: "5 full\nsip:a@b r active\n- 1 sip:a@x active registered call=c cseq=1 exp=100\n- 2 sip:a@y active registered call=d", cseq: 99,
			want: "appeared sip:a@x, appeared sip:a@y, !version-not-from-zero"},
		{doc: "renew"},
		{doc: "0 full\nsip:a@b other active\n- 2 sip:a@x active refreshed call=c cseq=1 exp=40\n- 1 sip:a@z active registered call=e", cseq: 1, after: 60,
			want: "vanished sip:a@y, appeared sip:a@z"},
		{doc: "renew"},
		{doc: "0 partial\nsip:a@b third terminated", cseq: 1, want: "need-full, vanished sip:a@x, vanished sip:a@z, !first-document-not-full"},
	}, ""},
}

func TestTable(t *testing.T) {
	for name, tt := range tables {
		t.Run(name, func(t *testing.T) {
			table := NewTable(tt.versions)
			at, cseq := epoch, uint32(0)
			for i, s := range tt.steps {
				if s.doc == "renew" {
					table.Renew()
					continue
				}
				at = at.Add(time.Duration(s.after) * time.Second)
				if cseq++; s.cseq != 0 {
					cseq = s.cseq
				}
				d := doc(s.doc)
				o := table.Apply(d, cseq, at)
				if got := told(o); got != s.want {
					t.Errorf("document %d: %s\nwant: %s", i, got, s.want)
				}
				if o.Verdict == Discarded && (o.Reason == "" || len(o.Changes) > 0) {
					t.Errorf("document %d: discarded: %+v", i, o)
				}
			}
			var uris []string
			for _, r := range table.Rows() {
				uris = append(uris, r.Contact.URI)
				if r.Contact.State != ContactActive || r.At.IsZero() {
					t.Errorf("row %+v", r)
				}
			}
			if got := strings.Join(uris, " "); got != tt.rows {
				t.Errorf("rows %s, want %s", got, tt.rows)
			}
		})
	}
}

func TestTableRows(t *testing.T) {
	table := NewTable(Tolerant)
	table.Apply(doc("0 full\nsip:a@b r active\n- 1 sip:a@x active registered exp=60\n- 2 sip:a@y active registered"), 1, epoch)
	first := table.Rows()
	if got, want := first[0].ExpiresAt, epoch.Add(time.Minute); !got.Equal(want) {
		t.Errorf("expires at %v, want %v", got, want)
	}
	if !first[1].ExpiresAt.IsZero() || first[0].AOR != "sip:a@b" || first[0].RegistrationID != "r" || first[0].RegistrationState != RegActive {
		t.Errorf("rows %+v", first)
	}
	kept := slices.Clone(first)
	o := table.Apply(doc("1 full\nsip:a@b r terminated\n- 1 sip:a@x terminated unregistered exp=597"), 2, epoch.Add(time.Second))
	if first[0].Contact.State != kept[0].Contact.State || first[1].Contact.URI != kept[1].Contact.URI {
		t.Error("rows that were handed out changed")
	}
	if len(table.Rows()) != 0 {
		t.Errorf("rows %+v", table.Rows())
	}
	if len(o.Changes) != 2 || o.Changes[0].Registration != RegTerminated || o.Changes[0].After != nil {
		t.Fatalf("changes %+v", o.Changes)
	}
	if after := o.Changes[1].After; !after.ExpiresAt.IsZero() || after.RegistrationState != RegTerminated {
		t.Errorf("a terminated row %+v", after)
	}
	if !slices.Contains(o.Changes[1].Fields, "state") {
		t.Errorf("fields %v", o.Changes[1].Fields)
	}
	gone := table.Gone()
	if len(gone) != 2 || gone[0].Contact.Event != Absent || gone[0].Contact.State != ContactTerminated || gone[1].Contact.Event != Unregistered {
		t.Errorf("gone %+v", gone)
	}
	// What came back brings along how it went.
	o = table.Apply(doc("2 full\nsip:a@b r active\n- 1 sip:a@x active registered"), 3, epoch)
	if c := o.Changes[0]; c.Kind != Appeared || c.Before == nil || c.Before.Contact.Event != Unregistered {
		t.Errorf("change %+v", c)
	}
}

func TestTableRegistrations(t *testing.T) {
	table := NewTable(Tolerant)
	var got []string
	for i, text := range []string{
		"0 full\nsip:a@b r init",
		"1 partial\nsip:a@b r active\n- 1 sip:a@x active registered",
		"2 partial\nsip:a@b r active\n- 1 sip:a@x active refreshed",
		"3 full\nsip:a@b r terminated\nsip:c@b s unheard",
		"4 full\nsip:c@b s init",
	} {
		o := table.Apply(doc(text), uint32(i+1), epoch)
		for _, c := range o.Registrations {
			got = append(got, fmt.Sprintf("%d %s %s>%s", i, c.AOR, c.Before, c.After))
		}
	}
	want := []string{"0 sip:a@b >init", "1 sip:a@b init>active", "3 sip:a@b active>terminated", "3 sip:c@b >init", "4 sip:a@b terminated>"}
	if !slices.Equal(got, want) {
		t.Errorf("registrations %q\nwant %q", got, want)
	}
	if regs := table.Registrations(); len(regs) != 1 || regs[0].AOR != "sip:c@b" || regs[0].ID != "s" {
		t.Errorf("registrations %+v", regs)
	}
}

// TestStaleRegistration: one that ended long ago does not end that which goes on.
func TestStaleRegistration(t *testing.T) {
	table := NewTable(Strict)
	table.Apply(doc("0 full\nsip:a@b new active\n- 1 sip:a@x active registered"), 1, epoch)
	o := table.Apply(doc("1 partial\nsip:a@b old terminated"), 2, epoch)
	if len(o.Changes)+len(o.Registrations) > 0 || len(table.Rows()) != 1 {
		t.Errorf("outcome %+v", o)
	}
	if reg := table.Registrations()[0]; reg.State != RegActive || reg.ID != "new" {
		t.Errorf("registration %+v", reg)
	}
}

func TestTableIsBounded(t *testing.T) {
	table := NewTable(Tolerant)
	full := false
	for v := range uint64(15) {
		d := &Document{Version: Num(v), State: Partial}
		r := Registration{AOR: "sip:a@b", ID: "r", State: RegActive}
		for i := range 1000 {
			r.Contacts = append(r.Contacts, Contact{URI: fmt.Sprintf("sip:%d-%d@x", v, i), State: ContactActive, Event: Registered})
		}
		d.Registrations = []Registration{r}
		o := table.Apply(d, uint32(v), epoch)
		full = full || slices.Contains(codes(o.Findings), finding.TableFull)
	}
	if n := len(table.Rows()); n != MaxContacts || !full {
		t.Errorf("%d rows, said so: %v", n, full)
	}
	for v := range uint64(30) {
		d := &Document{Version: Num(100 + v), State: Full}
		for i := range 1000 {
			d.Registrations = append(d.Registrations, Registration{AOR: fmt.Sprintf("sip:%d-%d@x", v, i), State: RegActive,
				Contacts: []Contact{{URI: "sip:x@y", State: ContactActive, Event: Registered}}})
		}
		table.Apply(d, uint32(100+v), epoch)
	}
	if n := len(table.Gone()); n > MaxContacts {
		t.Errorf("%d rows remembered", n)
	}
	if n := len(table.byKey); n > MaxContacts+1000 || len(table.groups) != n {
		t.Errorf("%d addresses-of-record, %d in order", n, len(table.groups))
	}
}

// TestTableWild walks through documents as real registrars send them.
func TestTableWild(t *testing.T) {
	table := NewTable(Tolerant)
	apply := func(cseq uint32, file string) string {
		return told(table.Apply(decode(t, load(t, file)), cseq, epoch))
	}
	got := []string{apply(1, "kamailio-kick.xml"), apply(2, "kamailio-kick.xml"), apply(3, "kamailio-lapse.xml")}
	want := []string{
		"removed sip:dora@192.0.2.31:5060;x=1&y=2 unregistered, appeared sip:dora@198.51.100.9:5062",
		"!version-repeated",
		"vanished sip:dora@198.51.100.9:5062, !version-repeated",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	table = NewTable(Strict)
	got = []string{apply(1, "scscf-implicit.xml"), apply(2, "scscf-removal.xml")}
	const uri = "sip:emil@192.0.2.77:5070;alias=192.0.2.77~5070~1"
	want = []string{
		"appeared " + uri + ", appeared " + uri + ", !version-not-from-zero",
		"vanished " + uri + ", vanished " + uri,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// TestSameDocumentAgain: no document, applied again, changes anything.
func TestSameDocumentAgain(t *testing.T) {
	for _, tt := range wild {
		d := decode(t, load(t, tt.file))
		table := NewTable(Tolerant)
		table.Apply(d, 1, epoch)
		rows := len(table.Rows())
		d.Version.Value = 0
		if o := table.Apply(d, 2, epoch); len(o.Changes) > 0 || len(table.Rows()) != rows {
			t.Errorf("%s: %s", tt.file, told(o))
		}
	}
}
