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

// The three witnesses of the same bindings.
const (
	witnessLocal    = "local"    // what was granted to us, by our clock
	witnessResponse = "response" // the contacts of the last 2xx to a REGISTER or query
	witnessWatched  = "watched"  // the documents
)

// More contacts than this are not compared with each other, only ours.
const comparedMost = 100

// truths compares the three witnesses. Where two of them differ for longer than
// a NOTIFY may take, one is wrong: that is told once, and told again when it is
// over. Which one is wrong only a query says.
type truths struct {
	response []answeredContact
	at       time.Time // of response; zero: none yet
	doubts   []doubt
	again    time.Time // when to compare again; zero: when something comes

	unordered bool      // this notifier's versions do not tell which document is the newer
	verifyAt  time.Time // when a query is to say whether the last document was; zero: not
}

// A removal that may be the first of several is let pass for this long.
const verifyAfter = time.Second

// answeredContact is a contact of a 2xx.
type answeredContact struct {
	uri       string
	own       bool
	expiresAt time.Time // zero: it did not say
}

// doubt is a difference between two witnesses.
type doubt struct {
	DisagreementDetail
	since time.Time
	told  bool
}

func (d doubt) same(other doubt) bool {
	return slices.Equal(d.Between, other.Between) && d.About == other.About
}

// testimony is what the agent brings to a comparison.
type testimony struct {
	registered bool
	contact    string // our Contact URI
	expiresAt  time.Time
	justBound  time.Time
	watched    bool // a full document of this dialog was applied
	rows       []reginfo.Row
	own        func(*reginfo.Row) bool
}

// answered takes the contacts of a 2xx.
func (t *truths) answered(contacts []wire.NameAddr, own func(wire.NameAddr) bool, now time.Time) {
	t.at, t.response = now, nil
	for _, c := range contacts {
		a := answeredContact{uri: c.URI, own: own(c)}
		if n, ok := wire.LeadingNumber(c.Params.Get("expires")); ok {
			a.expiresAt = now.Add(seconds(n))
		}
		t.response = append(t.response, a)
	}
}

// removed: a document says that the contact is gone, which the last answer could
// not know. Where documents have no order, what it says of the others may be from
// before: two kicks at once leave a list behind that still has one of them.
func (t *truths) removed(uri string, now time.Time) {
	if t.unordered && t.verifyAt.IsZero() {
		t.verifyAt = now.Add(verifyAfter)
	}
	t.response = slices.DeleteFunc(t.response, func(a answeredContact) bool { return reginfo.SameURI(a.uri, uri) })
}

// compare returns the doubts to be told: new ones that lasted, and told ones that
// are over, Cleared.
func (t *truths) compare(y testimony, now time.Time) []DisagreementDetail {
	found := t.differences(y, now)
	var out []DisagreementDetail
	t.again = time.Time{}
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
			f.since = now
			t.doubts = append(t.doubts, f)
			i = len(t.doubts) - 1
		}
		switch d := &t.doubts[i]; {
		case d.told:
		case now.Sub(d.since) < notifyGrace:
			t.again = earliest(t.again, d.since.Add(notifyGrace))
		default:
			d.told = true
			out = append(out, d.DisagreementDetail)
		}
	}
	return out
}

// open lists what was told and is not over.
func (t *truths) open() []DisagreementDetail {
	var out []DisagreementDetail
	for _, d := range t.doubts {
		if d.told {
			out = append(out, d.DisagreementDetail)
		}
	}
	return out
}

// told reports whether this doubt was told and is not over.
func (t *truths) told(d doubt) bool {
	i := slices.IndexFunc(t.doubts, d.same)
	return i >= 0 && t.doubts[i].told
}

func between(a, b, about, detail string, args ...any) doubt {
	return doubt{DisagreementDetail: DisagreementDetail{Between: []string{a, b}, About: about, Detail: fmt.Sprintf(detail, args...)}}
}

func (t *truths) differences(y testimony, now time.Time) []doubt {
	var out []doubt
	i := slices.IndexFunc(y.rows, func(r reginfo.Row) bool { return y.own(&r) })
	switch {
	case !y.watched:
	case y.registered && i < 0:
		out = append(out, between(witnessLocal, witnessWatched, y.contact, "registered by our count, but the registrar's list does not have us"))
	case !y.registered && i >= 0 && !over(y.rows[i], now):
		out = append(out, between(witnessLocal, witnessWatched, y.rows[i].Contact.URI, "not registered by our count, but the registrar's list still has us"))
	case y.registered && i >= 0:
		// A new subscriber may be told what was once published, with the times of
		// then: only a document that came with our 2xx is a witness of the time.
		row := y.rows[i]
		d := between(witnessLocal, witnessWatched, y.contact+" expires",
			"granted for %s more, but the registrar's list says %s", left(y.expiresAt, now), left(row.ExpiresAt, now))
		fresh := row.At.Sub(y.justBound).Abs() < notifyGrace
		// Between the 2xx of a refresh and its NOTIFY nobody has taken back what was
		// said before.
		if fresh && differ(row.ExpiresAt, y.expiresAt) || !fresh && t.told(d) {
			out = append(out, d)
		}
	}
	if t.at.IsZero() || !y.watched || len(y.rows) > comparedMost || len(t.response) > comparedMost {
		return out
	}
	for _, row := range y.rows {
		listed := slices.ContainsFunc(t.response, func(a answeredContact) bool { return reginfo.SameURI(a.uri, row.Contact.URI) })
		if !listed && !y.own(&row) && !over(row, now) && row.At.Before(t.at) {
			out = append(out, between(witnessResponse, witnessWatched, row.Contact.URI, "the registrar's list has it, its last answer has not"))
		}
	}
	for _, a := range t.response {
		listed := slices.ContainsFunc(y.rows, func(r reginfo.Row) bool { return reginfo.SameURI(a.uri, r.Contact.URI) })
		if !listed && !a.own && (a.expiresAt.IsZero() || now.Before(a.expiresAt)) {
			out = append(out, between(witnessResponse, witnessWatched, a.uri, "the registrar's last answer has it, its list has not"))
		}
	}
	return out
}

// over: its time has run out, and the document that says so may take a while.
func over(r reginfo.Row, now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

func differ(a, b time.Time) bool {
	return !a.IsZero() && !b.IsZero() && a.Sub(b).Abs() > expirySlack
}

func left(at, now time.Time) string { return at.Sub(now).Round(time.Second).String() }

// compareTruths tells what the witnesses make of each other now, and settles it
// where it is allowed to.
func (a *Agent) compareTruths(now time.Time) {
	if a.account.Settle == SettleOff || a.leaving != nil || a.reg.inFlight != "" {
		return
	}
	settle := false
	for _, d := range a.truths.compare(testimony{
		registered: a.reg.registered(), contact: a.id.contact, expiresAt: a.reg.expiresAt, justBound: a.justBound,
		watched: a.fullSeen && a.sub.confirmed(), rows: a.table.Rows(),
		own: func(r *reginfo.Row) bool { return a.matches.of(r, a.id, a.ledger.has).own },
	}, now) {
		summary := d.Detail + ": " + strings.TrimSuffix(d.About, " expires")
		if d.Cleared {
			summary = "no more: " + summary
		} else {
			settle = true
		}
		a.tell(now, summary, d)
	}
	if settle && a.account.Settle == SettleAuto {
		a.query(true, now)
	}
}
