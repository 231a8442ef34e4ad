package ua

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// Settle says what to do where the truths disagree.
type Settle string

// The ways to settle.
const (
	SettleAsk  Settle = "ask"  // tell, and leave the query to the user; "" means the same
	SettleAuto Settle = "auto" // query
	SettleOff  Settle = "off"  // do not compare
)

// The three witnesses of the same bindings, as DisagreementDetail.Between names them.
const (
	WitnessLocal    = "local"    // what was granted to us, by our clock
	WitnessResponse = "response" // the contacts of the last 2xx to a REGISTER or query
	WitnessWatched  = "watched"  // the documents
)

// More contacts than this are not compared with each other, only ours.
const comparedMost = 100

// truths compares the three witnesses. Where two of them differ for longer than
// a NOTIFY may take, one is wrong: that is told once, and told again when it is
// over. Which one is wrong the third says, where it spoke last; else a query.
type truths struct {
	response Answer // replaced, never changed: snapshots show it
	doubts   []doubt
	again    time.Time // when to compare again; zero: when something comes

	unsettled bool      // the last comparison found what a query has to settle
	unordered bool      // this notifier's versions do not tell which document is the newer
	verifyAt  time.Time // when a query is to say whether the last document was; zero: not
}

// A removal that may be the first of several is let pass for this long.
const verifyAfter = time.Second

// doubt is a difference between two witnesses.
type doubt struct {
	Disagreement
	told    bool
	bound   time.Time // the 2xx of ours that a document behind it contradicts; zero: none
	settled time.Time // when a query was last called for
}

func (d doubt) same(other doubt) bool {
	return slices.Equal(d.Between, other.Between) && d.About == other.About
}

// testimony is what the agent brings to a comparison.
type testimony struct {
	lines   []*line
	watched bool // a full document of this dialog was applied
	rows    []reginfo.Row
	lineOf  func(*reginfo.Row) *line // nil: the contact is not ours
}

// answered takes the contacts of a 2xx.
func (t *truths) answered(contacts []wire.NameAddr, own func(wire.NameAddr) bool, now time.Time) {
	t.response = Answer{At: now}
	for _, c := range contacts {
		a := AnsweredContact{URI: c.URI, Own: own(c)}
		if n, ok := wire.LeadingNumber(c.Params.Get("expires")); ok {
			a.ExpiresAt = now.Add(seconds(n))
		}
		t.response.Contacts = append(t.response.Contacts, a)
	}
}

// removed: a document says that the contact is gone, which the last answer could
// not know. Where documents have no order, what it says of the others may be from
// before: two kicks at once leave a list behind that still has one of them.
func (t *truths) removed(uri string, now time.Time) {
	if t.unordered && t.verifyAt.IsZero() {
		t.verifyAt = now.Add(verifyAfter)
	}
	is := func(a AnsweredContact) bool { return reginfo.SameURI(a.URI, uri) }
	if slices.ContainsFunc(t.response.Contacts, is) {
		t.response.Contacts = slices.DeleteFunc(slices.Clone(t.response.Contacts), is)
	}
}

// compare returns the doubts to be told: new ones that lasted, and told ones that
// are over, Cleared.
func (t *truths) compare(y testimony, now time.Time) []DisagreementDetail {
	found := t.differences(y, now)
	var out []DisagreementDetail
	t.again, t.unsettled = time.Time{}, false
	t.doubts = slices.DeleteFunc(t.doubts, func(d doubt) bool {
		if slices.ContainsFunc(found, d.same) {
			return false
		}
		if d.told {
			d.Cleared = true
			out = append(out, d.DisagreementDetail)
		}
		return true
	})
	for _, f := range found {
		i := slices.IndexFunc(t.doubts, f.same)
		if i < 0 {
			f.Since = now
			t.doubts = append(t.doubts, f)
			i = len(t.doubts) - 1
		}
		t.doubts[i].Detail, t.doubts[i].Against, t.doubts[i].bound = f.Detail, f.Against, f.bound
		switch d := &t.doubts[i]; {
		case d.told && d.bound.After(d.settled):
			// What was granted since is contradicted as well: that is no news, but may be
			// another change of the registrar's.
			if again := d.bound.Add(notifyGrace); now.Before(again) {
				t.again = earliest(t.again, again)
			} else {
				d.settled, t.unsettled = now, true
			}
		case d.told:
		case now.Sub(d.Since) < notifyGrace:
			t.again = earliest(t.again, d.Since.Add(notifyGrace))
		default:
			d.told, d.settled, t.unsettled = true, now, true
			out = append(out, d.DisagreementDetail)
		}
	}
	return out
}

// open lists what was told and is not over.
func (t *truths) open() []Disagreement {
	var out []Disagreement
	for _, d := range t.doubts {
		if d.told {
			out = append(out, d.Disagreement)
		}
	}
	return out
}

// told reports whether this doubt was told and is not over.
func (t *truths) told(d doubt) bool {
	i := slices.IndexFunc(t.doubts, d.same)
	return i >= 0 && t.doubts[i].told
}

// answeredSince reports whether an answer came after this doubt arose.
func (t *truths) answeredSince(d doubt) bool {
	i := slices.IndexFunc(t.doubts, d.same)
	return i >= 0 && t.response.At.After(t.doubts[i].Since)
}

// answeredWith reports whether the last answer lists a contact.
func (t *truths) answeredWith(uri string) bool {
	return slices.ContainsFunc(t.response.Contacts, func(a AnsweredContact) bool { return reginfo.SameURI(a.URI, uri) })
}

func between(a, b, about, detail string, args ...any) doubt {
	return doubt{Disagreement: Disagreement{DisagreementDetail: DisagreementDetail{Between: []string{a, b}, About: about, Detail: fmt.Sprintf(detail, args...)}}}
}

func (t *truths) differences(y testimony, now time.Time) []doubt {
	var out []doubt
	if y.watched {
		for _, l := range y.lines {
			out = append(out, t.differencesOf(l, y, now)...)
		}
	}
	if t.response.At.IsZero() || !y.watched || len(y.rows) > comparedMost || len(t.response.Contacts) > comparedMost {
		return out
	}
	for _, row := range y.rows {
		if !t.answeredWith(row.Contact.URI) && y.lineOf(&row) == nil && !over(row, now) && row.At.Before(t.response.At) {
			out = append(out, between(WitnessResponse, WitnessWatched, row.Contact.URI, "the registrar's documents list it, its last answer does not"))
		}
	}
	for _, a := range t.response.Contacts {
		listed := slices.ContainsFunc(y.rows, func(r reginfo.Row) bool { return reginfo.SameURI(a.URI, r.Contact.URI) })
		if !listed && !a.Own && (a.ExpiresAt.IsZero() || now.Before(a.ExpiresAt)) {
			out = append(out, between(WitnessResponse, WitnessWatched, a.URI, "the registrar's last answer lists it, its documents do not"))
		}
	}
	return out
}

// differencesOf are those between what was granted over one flow and what is listed.
func (t *truths) differencesOf(l *line, y testimony, now time.Time) []doubt {
	i := slices.IndexFunc(y.rows, func(r reginfo.Row) bool { return y.lineOf(&r) == l })
	switch {
	case l.registered() && i < 0:
		d := between(WitnessLocal, WitnessWatched, l.id.contact, "registered by our count, but the registrar's documents do not list us")
		if t.answeredSince(d) && t.answeredWith(l.id.contact) {
			d.Against, d.Detail = WitnessWatched, "registered by our count and by the registrar's last answer, but its documents do not list us"
		}
		return []doubt{d}
	case i < 0:
		return nil
	case !l.registered() && !over(y.rows[i], now):
		d := between(WitnessLocal, WitnessWatched, y.rows[i].Contact.URI, "not registered by our count, but the registrar's documents still list us")
		switch listed := t.answeredWith(y.rows[i].Contact.URI); {
		case !y.rows[i].At.Before(t.response.At): // nobody has asked since
		case !listed:
			d.Against, d.Detail = WitnessWatched, "not registered by our count, nor by the registrar's last answer, but its documents still list us"
		case t.answeredSince(d):
			d.Against, d.Detail = WitnessLocal, "not registered by our count, but the registrar's documents and its last answer list us"
		}
		return []doubt{d}
	case !l.registered():
		return nil
	}
	// A new subscriber may be told what was once published, with the times of
	// then: only a document that came with our 2xx is a witness of the time.
	row := y.rows[i]
	d := between(WitnessLocal, WitnessWatched, l.id.contact+" expires",
		"granted for %s more, but the registrar's documents say %s", left(l.reg.expiresAt, now), left(row.ExpiresAt, now))
	fresh := row.At.Sub(l.justBound).Abs() < notifyGrace
	// Between the 2xx of a refresh and its NOTIFY nobody has taken back what was
	// said before.
	if fresh && differ(row.ExpiresAt, l.reg.expiresAt) {
		d.bound = l.justBound
		return []doubt{d}
	}
	if !fresh && t.told(d) {
		return []doubt{d}
	}
	return nil
}

// over: its time has run out, and the document that says so may take a while.
func over(r reginfo.Row, now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

func differ(a, b time.Time) bool {
	return !a.IsZero() && !b.IsZero() && a.Sub(b).Abs() > expirySlack
}

func left(at, now time.Time) string { return at.Sub(now).Round(time.Second).String() }

// listedInFull: the table is the registrar's whole list, and we are told of changes.
func (a *Agent) listedInFull() bool { return a.fullSeen && a.sub.confirmed() }

// compareTruths tells what the witnesses make of each other now, and settles it
// where it is allowed to.
func (a *Agent) compareTruths(now time.Time) {
	if a.account.Settle == SettleOff || a.leaving != nil || a.some(func(l *line) bool { return l.reg.inFlight != "" }) {
		return
	}
	for _, d := range a.truths.compare(testimony{
		lines: a.lines, watched: a.listedInFull(), rows: a.table.Rows(),
		lineOf: func(r *reginfo.Row) *line {
			if !a.matchOf(r).own {
				return nil
			}
			return a.lineOf(r)
		},
	}, now) {
		summary := d.Detail + ": " + strings.TrimSuffix(d.About, " expires")
		if d.Cleared {
			summary = "no more: " + summary
		}
		a.tell(now, summary, d)
	}
	if a.truths.unsettled && a.account.Settle == SettleAuto {
		a.query(true, now)
	}
}
