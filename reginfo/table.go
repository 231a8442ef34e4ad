package reginfo

import (
	"fmt"
	"time"

	"regwatch/reginfo/finding"
)

// Versions says what to do with a document whose version does not go on from
// the one before. Both follow RFC 3680 5.2 where a version is higher.
type Versions string

const (
	// Tolerant believes the CSeq of the NOTIFY where the version is no help,
	// which it often is not: a full document in a newer NOTIFY is applied
	// whatever its version; a partial one that does not fit is discarded, and
	// full state asked for. It is the default: "" means the same.
	Tolerant Versions = "tolerant"
	// Strict discards every document whose version is not higher.
	Strict Versions = "strict"
)

// Verdict is what became of a document.
type Verdict string

const (
	Applied   Verdict = "applied"
	Discarded Verdict = "discarded"
)

// Row is what is known of one contact of one address-of-record. Rows are never
// changed once handed out.
type Row struct {
	AOR               string
	RegistrationID    string
	RegistrationState RegState
	// Contact is as the last document that listed it said, save that State is
	// always one of the two words, and that URI, Call-ID and instance are kept
	// where the document names the contact by its id alone. Of a contact that vanished without a word
	// it is what was known before, with Event Absent.
	Contact Contact
	// At is when the document that the row comes from was received.
	At time.Time
	// ExpiresAt is when the binding runs out by that document; zero where it
	// does not say, and once the contact is terminated.
	ExpiresAt time.Time
}

// Outcome is what applying one document did.
type Outcome struct {
	Verdict Verdict
	// Reason says in words why the document was discarded, or applied though
	// its version did not fit; "" where all is well.
	Reason string
	// NeedFull asks for a refresh of the subscription, which brings a full
	// document (RFC 3680 5.2). Who asks should not do so without pause: some
	// registrars will never send a document that fits.
	NeedFull bool
	// Changes are grouped by address-of-record in document order; in each,
	// what vanished comes first, then what the document lists, in its order.
	Changes []Change
	// Registrations are the changes of registration states.
	Registrations []RegistrationChange
	// Findings are those that only the documents before show: versions and
	// ids. The document's own are in Document.Findings.
	Findings []finding.Finding
}

// ChangeKind is what happened to a row.
type ChangeKind string

const (
	// Appeared: a contact is bound that was not before. Before is nil, or the
	// row as it was when it went, where the contact is known from then.
	Appeared ChangeKind = "appeared"
	// Altered: a bound contact stays bound and is not what it was.
	Altered ChangeKind = "altered"
	// Removed: the document says that the contact is terminated; After carries
	// the word. Before is nil when it was never seen bound.
	Removed ChangeKind = "removed"
	// Vanished: the contact was bound and now is not, without a word about it:
	// missing from a full document, or gone with its registration, or its id
	// given to another. After is nil.
	Vanished ChangeKind = "vanished"
)

// Change is a change of one contact: its state, Call-ID, CSeq or the time of
// its expiry differ from the row before. Another event word alone is none:
// registrars relabel contacts that nobody touched, and repeat removals; but for
// "shortened" where no time is told.
type Change struct {
	Before, After *Row
	Kind          ChangeKind
	// Registration is the state of the contact's registration in this
	// document, "" where the document does not list it.
	Registration RegState
	// Fields names what differs: "state", "call-id", "cseq", "expires",
	// "event", "uri", "gruu". It is empty without a row to compare with.
	Fields []string
}

// Row returns the row that the change is about: After, or else Before.
func (c Change) Row() *Row {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// RegistrationChange is a change of the state of an address-of-record. Before
// is "" when it is new, After when a full document no longer lists it.
type RegistrationChange struct {
	AOR, ID       string
	Before, After RegState
}

// Table is the state that the documents of one subscription build (RFC 3680
// 5.2). It belongs to one goroutine; what it hands out (rows, changes) may be
// read by any.
//
// Contacts are told apart by what they are, not by their ids: by instance and
// reg-id, by URI and Call-ID. An id only counts where one of these agrees, since
// registrars hand the id of one contact to the next. Contacts that went are
// remembered for a while, so that a removal told twice is one change; they are
// not among Rows.
type Table struct {
	versions Versions

	fresh   bool // the next document is the first of its dialog
	version Number
	cseq    uint32

	epoch  int      // rises with each document applied
	groups []*group // in the order of the last full document
	byKey  map[string]*group
	rows   []Row // what Rows returns, until the next change
}

// group holds the rows of one address-of-record.
type group struct {
	key     string
	aor, id string   // as last listed
	state   RegState // of the registration
	listed  bool     // by the last full document, or by a partial one since

	active []*Row
	gone   []*Row // remembered, the oldest first

	epoch   int      // of the last document that listed it
	listing *listing // in the document of that epoch
	kept    bool     // it is among Table.groups
}

// NewTable returns an empty table that waits for the first document.
func NewTable(versions Versions) *Table {
	return &Table{versions: versions, fresh: true, byKey: map[string]*group{}}
}

// Renew says that a new dialog begins: its first document sets the version, and
// ids mean nothing anymore. The rows stay, to be compared with by what they are:
// what changed between two subscriptions is a change too.
func (t *Table) Renew() {
	t.fresh, t.version, t.cseq = true, Number{}, 0
	for _, g := range t.groups {
		g.id = ""
		for _, rows := range [...][]*Row{g.active, g.gone} {
			for i, r := range rows {
				forgot := *r
				forgot.RegistrationID, forgot.Contact.ID = "", ""
				rows[i] = &forgot
			}
		}
	}
	t.rows = nil
}

// Rows returns the contacts that are bound, in document order. The slice is
// shared and stays as it is: do not write to it.
func (t *Table) Rows() []Row {
	if t.rows == nil {
		n := 0
		for _, g := range t.groups {
			n += len(g.active)
		}
		t.rows = make([]Row, 0, n)
		for _, g := range t.groups {
			for _, r := range g.active {
				t.rows = append(t.rows, *r)
			}
		}
	}
	return t.rows
}

// Apply takes in the next document. cseq is the CSeq of the NOTIFY that brought
// it, at the time of receipt. The document is not kept.
func (t *Table) Apply(doc *Document, cseq uint32, at time.Time) Outcome {
	var out Outcome
	t.order(doc, cseq, &out)
	t.cseq = max(t.cseq, cseq)
	if out.Verdict == Discarded {
		return out
	}
	t.fresh = false
	if doc.Version.Present {
		t.version = doc.Version
	}
	m := merge{table: t, doc: doc, at: at, out: &out}
	m.run()
	t.rows = nil
	return out
}

// order decides by version and CSeq whether a document is applied. What does
// not say whether it is full is taken for full here, and for partial where that
// would make contacts vanish.
func (t *Table) order(doc *Document, cseq uint32, out *Outcome) {
	found := func(code finding.Code, format string, args ...any) {
		out.Findings = append(out.Findings, finding.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	v := doc.Version
	full := doc.State != Partial
	out.Verdict = Applied
	if t.fresh {
		if v.Present && v.Value != 0 {
			found(finding.VersionNotFromZero, "the first document has version %d", v.Value)
		}
		if !full {
			found(finding.FirstNotFull, "the first document is partial")
			out.Reason, out.NeedFull = "the first document is not full", true
		}
		return
	}

	switch {
	case v.Present && !t.version.Present:
		// Those before had none: this one sets the number.
		return
	case !v.Present:
		out.Reason = "the document has no version"
	case v.Value > t.version.Value:
		if missing := v.Value - t.version.Value - 1; missing > 0 {
			found(finding.VersionSkipped, "version %d follows %d", v.Value, t.version.Value)
			out.Reason = fmt.Sprintf("version %d follows %d, %d left out", v.Value, t.version.Value, missing)
			out.NeedFull = !full
		}
		return
	case v.Value == t.version.Value:
		found(finding.VersionRepeated, "version %d again", v.Value)
		out.Reason = fmt.Sprintf("version %d is that of the document before", v.Value)
	default:
		found(finding.VersionGoneBack, "version %d after %d", v.Value, t.version.Value)
		out.Reason = fmt.Sprintf("version %d is lower than %d", v.Value, t.version.Value)
	}

	// The version is no help.
	switch {
	case t.versions == Strict:
		out.Verdict = Discarded
	case !full:
		out.Verdict, out.NeedFull = Discarded, true
		out.Reason += ", and the document is partial"
	case cseq <= t.cseq:
		out.Verdict = Discarded
		out.Reason += fmt.Sprintf(", and its NOTIFY (CSeq %d) is not newer than CSeq %d", cseq, t.cseq)
	default:
		out.Reason += ", but it is full and its NOTIFY is newer"
	}
}
