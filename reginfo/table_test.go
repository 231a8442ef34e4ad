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
// "?" is no id, or no URI.
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
			if c.ID == "?" {
				c.ID = ""
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

// walk is a table, the documents that it is given and, in the end, the URIs that
// are bound.
type walk struct {
	versions Versions
	steps    []step
	rows     string
}

// walkAll takes the walks; their names begin with the clause that they show.
func walkAll(t *testing.T, walks map[string]walk) {
	for name, w := range walks {
		t.Run(name, func(t *testing.T) {
			table := NewTable(w.versions)
			at, cseq := epoch, uint32(0)
			for i, s := range w.steps {
				if s.doc == "renew" {
					table.Renew()
					cseq = 0
					continue
				}
				at = at.Add(time.Duration(s.after) * time.Second)
				if cseq++; s.cseq != 0 {
					cseq = s.cseq
				}
				o := table.Apply(doc(s.doc), cseq, at)
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
				if r.Contact.State != ContactActive || r.At.IsZero() || r.RegistrationID == "" {
					t.Errorf("row %+v", r)
				}
			}
			if got := strings.Join(uris, " "); got != w.rows {
				t.Errorf("rows %s, want %s", got, w.rows)
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
	gone := table.groups[0].gone
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
}

// TestStaleRegistration: one that ended long ago does not end that which goes on.
func TestStaleRegistration(t *testing.T) {
	table := NewTable(Strict)
	table.Apply(doc("0 full\nsip:a@b new active\n- 1 sip:a@x active registered"), 1, epoch)
	o := table.Apply(doc("1 partial\nsip:a@b old terminated"), 2, epoch)
	if len(o.Changes)+len(o.Registrations) > 0 || len(table.Rows()) != 1 {
		t.Errorf("outcome %+v", o)
	}
	if r := table.Rows()[0]; r.RegistrationState != RegActive || r.RegistrationID != "new" {
		t.Errorf("row %+v", r)
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
	gone := 0
	for _, g := range table.groups {
		gone += len(g.gone)
	}
	if gone > MaxContacts {
		t.Errorf("%d rows remembered", gone)
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
