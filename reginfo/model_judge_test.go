package reginfo

import (
	"fmt"
	"slices"
	"time"
)

// judge knows what a subscriber can know after each document: RFC 3680 5.2 done
// by one who sees which binding each contact is in truth, where the table has to
// find out. Where documents leave open which contact became which, it takes either.
type judge struct {
	versions Versions
	reused   bool // ids are: which of two contacts that went with one id was bound is anybody's guess
	fresh    bool
	version  Number
	cseq     uint32
	known    []*known
}

// known is what was told of one address-of-record.
type known struct {
	aor, id string
	state   RegState
	bound   []fact
	gone    []Contact // what the table reported as gone, or was told so
}

// order says what must become of a document: RFC 3680 5.2, and where that is
// silent "tolerant" or "strict".
func (j *judge) order(p *paper) (verdict Verdict, needFull bool) {
	switch {
	case j.fresh:
		return Applied, !p.full
	case p.version.Present && p.version.Value > j.version.Value:
		return Applied, !p.full && p.version.Value > j.version.Value+1
	case j.versions == Strict:
		return Discarded, false
	case !p.full:
		return Discarded, true
	case p.cseq > j.cseq:
		return Applied, false
	}
	return Discarded, false
}

func (j *judge) renew() {
	j.fresh, j.version, j.cseq = true, Number{}, 0
	for _, k := range j.known {
		k.id = ""
		for i := range k.bound {
			k.bound[i].contact.ID = ""
		}
	}
}

// diff is what a document changes in one address-of-record.
type diff struct {
	removed  []fact // no longer bound
	appeared []fact
	altered  []fact // as they are now
	ended    []fact // told as gone, and not known to have been bound
	before   []fact // all that were bound
	listed   list   // what the document says of it
}

// take applies a document, and says what must be reported for each
// address-of-record.
func (j *judge) take(p *paper, at time.Time) map[string]*diff {
	j.fresh = false
	if p.version.Present {
		j.version = p.version
	}
	diffs := map[string]*diff{}
	var all []*known
	for _, l := range p.lists {
		i := slices.IndexFunc(j.known, func(k *known) bool { return k.aor == l.aor })
		k := &known{aor: l.aor}
		if i >= 0 {
			k = j.known[i]
		} else if !p.full {
			j.known = append(j.known, k)
		}
		all = append(all, k)
		diffs[l.aor] = k.take(l, p.full, at)
	}
	if !p.full {
		return diffs
	}
	for _, k := range j.known {
		if !slices.Contains(all, k) {
			diffs[k.aor] = &diff{removed: k.bound}
			k.bound, k.state = nil, ""
			all = append(all, k) // with what is remembered of it
		}
	}
	j.known = all
	return diffs
}

func (k *known) take(l list, full bool, at time.Time) *diff {
	old := k.bound
	d := &diff{listed: l, before: old}
	taken := make([]bool, len(old))
	stay := slices.Clone(old)
	is := make([]int, len(l.bound))
	for n := range is {
		is[n] = -1
	}
	// What is bound under the URI and Call-ID that we know first, then what is told
	// to be gone, then what has another Call-ID or URI.
	partners(old, l.bound, taken, is, 4, full)
	gone := pickGone(old, l.gone, taken, full)
	for n, f := range l.gone {
		if i := gone[n]; i >= 0 {
			d.removed = append(d.removed, old[i])
			stay[i].serial = -1
		} else {
			d.ended = append(d.ended, f)
		}
	}
	partners(old, l.bound, taken, is, 1, full)
	for n, f := range l.bound {
		f.until = until(f, at)
		i := is[n]
		if i < 0 {
			d.appeared = append(d.appeared, f)
			stay = append(stay, f)
			continue
		}
		if differs(old[i], f) {
			d.altered = append(d.altered, f)
		}
		stay[i] = f
	}
	for i, f := range old {
		reused := f.contact.ID != "" && l.gives(f.contact.ID)
		if !taken[i] && (full || l.state.Empty() || reused) {
			d.removed = append(d.removed, f)
			stay[i].serial = -1
		}
	}
	k.bound = slices.DeleteFunc(stay, func(f fact) bool { return f.serial < 0 })
	if full {
		k.bound = nil
		for _, f := range l.bound {
			f.until = until(f, at)
			k.bound = append(k.bound, f)
		}
	}
	k.state, k.id = l.state, l.id
	return d
}

func until(f fact, at time.Time) time.Time {
	if !f.contact.Expires.Present {
		return time.Time{}
	}
	return at.Add(time.Duration(f.contact.Expires.Value) * time.Second)
}

// gives reports whether an id is that of a listed contact. One that is gone does
// not count where it is back.
func (l *list) gives(id string) bool {
	return slices.ContainsFunc(l.bound, func(f fact) bool { return f.contact.ID == id }) ||
		slices.ContainsFunc(l.gone, func(f fact) bool { return f.contact.ID == id && !l.alive(&f.contact) })
}

// alive reports whether something is bound at the URI of a contact.
func (l *list) alive(c *Contact) bool {
	return slices.ContainsFunc(l.bound, func(f fact) bool { return SameURI(f.contact.URI, c.URI) && !apart(&f.contact, c) })
}

// partners finds the known binding that each listed one is, -1 where there is
// none, beginning with those most alike.
func partners(old, now []fact, taken []bool, is []int, least int, full bool) {
	for score := 5; score >= least; score-- {
		for n := range now {
			for i := range old {
				if is[n] < 0 && !taken[i] && alike(&old[i], &now[n], full) >= score {
					is[n], taken[i] = i, true
				}
			}
		}
	}
}

// alike weighs whether a document that lists a binding shows it to be a known one:
// under the same URI and Call-ID (4, and 5 if it is that in truth), rewritten,
// started anew, moved. A full document leaves open which became which.
func alike(o, f *fact, full bool) int {
	a, b := &o.contact, &f.contact
	call, otherCall := agree(a.CallID, b.CallID)
	id, otherID := agree(a.ID, b.ID)
	switch uri := SameURI(a.URI, b.URI); {
	case apart(a, b):
		return 0
	case uri && !otherCall && o.serial == f.serial:
		return 5
	case uri && !otherCall:
		return 4
	case full:
		return 0
	case joined(a, b) && id && call:
		return 3
	case uri && SameInstance(a.Instance, b.Instance):
		return 2
	case joined(a, b) || uri && !otherID:
		return 1
	}
	return 0
}

// apart reports whether two contacts are of different devices or flows.
func apart(a, b *Contact) bool {
	return a.Instance != "" && b.Instance != "" && (!SameInstance(a.Instance, b.Instance) || a.RegID != b.RegID)
}

// joined reports whether a document shows two contacts with different URIs to be
// one binding.
func joined(a, b *Contact) bool {
	call, id := a.CallID != "" && a.CallID == b.CallID, a.ID != "" && a.ID == b.ID
	if SameInstance(a.Instance, b.Instance) {
		return a.RegID == b.RegID && (a.RegID.Present || id)
	}
	return call && id && (a.Instance == "" || b.Instance == "")
}

// pickGone finds the known binding that each one that is told to be gone was, -1
// where there is none: the same in truth, if the document shows it, else another
// at its URI.
func pickGone(old, gone []fact, taken []bool, full bool) []int {
	is := make([]int, len(gone))
	for n := range gone {
		is[n] = -1
	}
	for _, same := range [...]bool{true, false} {
		for n := range gone {
			for i := range old {
				if is[n] < 0 && !taken[i] && (!same || old[i].serial == gone[n].serial) && ends(&gone[n].contact, &old[i].contact, same, full) {
					is[n], taken[i] = i, true
				}
			}
		}
	}
	return is
}

// ends reports whether a document that tells c to be gone shows it to be o; same
// says that it is in truth.
func ends(c, o *Contact, same, full bool) bool {
	call, otherCall := agree(o.CallID, c.CallID)
	id, otherID := agree(o.ID, c.ID)
	switch {
	case c.URI == "":
		return id
	case !SameURI(o.URI, c.URI):
		return same && (id || call && o.RegID.Present) && joined(o, c)
	case apart(o, c):
		return false
	}
	return !otherCall || !otherID || same && (full || SameInstance(o.Instance, c.Instance))
}

// differs reports whether a bound contact is not what it was: by Call-ID, CSeq or
// time of expiry, where both documents tell them, or by the word that it was
// shortened, where no time is told.
func differs(was, is fact) bool {
	a, b := &was.contact, &is.contact
	return a.CallID != "" && b.CallID != "" && a.CallID != b.CallID ||
		a.CSeq.Present && b.CSeq.Present && a.CSeq != b.CSeq ||
		!was.until.IsZero() && !is.until.IsZero() && is.until.Sub(was.until).Abs() > 5*time.Second ||
		b.Event == Shortened && a.Event != Shortened && is.until.IsZero()
}

// reported holds the changes that a table reports against what must be.
func (j *judge) reported(changes []Change, diffs map[string]*diff) error {
	for _, ch := range changes {
		row := ch.Row()
		if row == nil {
			return fmt.Errorf("a change without a row: %+v", ch)
		}
		d := diffs[row.AOR]
		if d == nil {
			return fmt.Errorf("%s of %s in %s, of which the document says nothing", ch.Kind, row.Contact.URI, row.AOR)
		}
		if ch.Registration != d.listed.state {
			return fmt.Errorf("%s of %s in %s, registration %q, want %q", ch.Kind, row.Contact.URI, row.AOR, ch.Registration, d.listed.state)
		}
		if err := j.report(ch, d); err != nil {
			return fmt.Errorf("%s of %s in %s: %w", ch.Kind, row.Contact.URI, row.AOR, err)
		}
	}
	for aor, d := range diffs {
		// One that a device took to another URI may be told as one change, or as
		// none where nothing that counts differs.
		for _, was := range slices.Clone(d.removed) {
			for i, is := range d.appeared {
				if moved(&was.contact, &is.contact) && !differs(was, is) {
					drop(&d.removed, was.contact)
					d.appeared = slices.Delete(d.appeared, i, i+1)
					break
				}
			}
		}
		switch {
		case len(d.removed) > 0:
			return fmt.Errorf("%s in %s is gone, and nothing is reported", d.removed[0].contact.URI, aor)
		case len(d.appeared) > 0:
			return fmt.Errorf("%s in %s is new, and nothing is reported", d.appeared[0].contact.URI, aor)
		case len(d.altered) > 0:
			return fmt.Errorf("%s in %s is altered, and nothing is reported", d.altered[0].contact.URI, aor)
		}
		for _, f := range d.ended {
			c := f.contact
			old := slices.ContainsFunc(d.before, func(b fact) bool { return b.contact.CallID == c.CallID && b.contact.CSeq.Value > c.CSeq.Value })
			if c.CallID != "" && c.CSeq.Present && !old && !d.listed.alive(&c) && !j.toldGone(aor, c) {
				return fmt.Errorf("%s in %s came and went (%s, CSeq %s), and nothing is reported", c.URI, aor, c.CallID, c.CSeq)
			}
		}
	}
	return nil
}

func (j *judge) report(ch Change, d *diff) error {
	aor := ch.Row().AOR
	switch ch.Kind {
	case Appeared:
		if ch.Before != nil && ch.Before.Contact.State == ContactActive || !drop(&d.appeared, ch.After.Contact) {
			return fmt.Errorf("it was there before, or is not listed")
		}
	case Altered:
		if len(ch.Fields) == 0 {
			return fmt.Errorf("it does not say what differs")
		}
		if drop(&d.altered, ch.After.Contact) {
			return nil
		}
		if !moved(&ch.Before.Contact, &ch.After.Contact) || !drop(&d.removed, ch.Before.Contact) || !drop(&d.appeared, ch.After.Contact) {
			return fmt.Errorf("nothing changed: %v", ch.Fields)
		}
	case Vanished:
		if ch.After != nil {
			return fmt.Errorf("it vanished, and there is %+v", ch.After)
		}
		if !drop(&d.removed, ch.Before.Contact) {
			return fmt.Errorf("it is still there, or was gone before")
		}
		j.tellGone(aor, ch.Before.Contact)
	case Removed:
		c := ch.After.Contact
		if ch.Before != nil && ch.Before.Contact.State == ContactActive {
			if !drop(&d.removed, ch.Before.Contact) {
				return fmt.Errorf("it is still there")
			}
			j.tellGone(aor, c)
			return nil
		}
		if c.URI != "" && c.CallID != "" && c.CSeq.Present && j.toldGone(aor, c) {
			return fmt.Errorf("told before (%s, CSeq %s)", c.CallID, c.CSeq)
		}
		if !drop(&d.ended, c) && !j.reused {
			return fmt.Errorf("it was bound, or is not listed")
		}
		j.tellGone(aor, c)
	default:
		return fmt.Errorf("no such kind")
	}
	return nil
}

// moved reports whether a table may take two contacts for one binding though the
// URI or the Call-ID is another.
func moved(a, b *Contact) bool {
	if SameURI(a.URI, b.URI) && !apart(a, b) {
		return true
	}
	if SameInstance(a.Instance, b.Instance) {
		return a.RegID == b.RegID
	}
	return joined(a, b)
}

// drop takes a contact out of a list, or, of several at one URI, another.
func drop(facts *[]fact, c Contact) bool {
	i := slices.IndexFunc(*facts, func(f fact) bool { return sameName(&f.contact, &c) })
	if i < 0 {
		return false
	}
	*facts = slices.Delete(slices.Clone(*facts), i, i+1)
	return true
}

func (j *judge) tellGone(aor string, c Contact) {
	for _, k := range j.known {
		if k.aor == aor {
			k.gone = append(k.gone, c)
		}
	}
}

// toldGone reports whether a removal was reported before, this one or a later.
func (j *judge) toldGone(aor string, c Contact) bool {
	for _, k := range j.known {
		if k.aor != aor {
			continue
		}
		for _, g := range k.gone {
			if SameURI(g.URI, c.URI) && g.CallID == c.CallID && g.CSeq.Value >= c.CSeq.Value {
				return true
			}
		}
	}
	return false
}

// rows holds the table's rows against what is known; after a full document they
// are in its order.
func (j *judge) rows(rows []Row, inOrder bool) error {
	taken := make([]bool, len(rows))
	next := 0
	for _, k := range j.known {
		for _, f := range k.bound {
			i := next
			if !inOrder {
				i = 0
				for i < len(rows) && (taken[i] || rows[i].AOR != k.aor || !sameName(&rows[i].Contact, &f.contact)) {
					i++
				}
			}
			if i >= len(rows) {
				return fmt.Errorf("%s in %s is not in the table", f.contact.URI, k.aor)
			}
			r := &rows[i]
			if r.AOR != k.aor || r.RegistrationState != k.state || r.RegistrationID != k.id {
				return fmt.Errorf("row %d is in %s %q %s, want %s %q %s", i, r.AOR, r.RegistrationID, r.RegistrationState, k.aor, k.id, k.state)
			}
			if err := sameContact(&r.Contact, &f.contact); err != nil {
				return fmt.Errorf("row %d in %s: %w", i, k.aor, err)
			}
			if !r.ExpiresAt.Equal(f.until) {
				return fmt.Errorf("row %d, %s in %s, expires at %v, want %v", i, f.contact.URI, k.aor, r.ExpiresAt, f.until)
			}
			taken[i] = true
			next++
		}
	}
	if i := slices.Index(taken, false); i >= 0 {
		return fmt.Errorf("%s in %s is in the table, and is gone", rows[i].Contact.URI, rows[i].AOR)
	}
	return nil
}

// sameName reports whether two contacts are named alike to the letter.
func sameName(a, b *Contact) bool {
	return a.URI == b.URI && a.CallID == b.CallID && a.Instance == b.Instance && a.RegID == b.RegID
}

func sameContact(a, b *Contact) error {
	say := func(what string, a, b any) error { return fmt.Errorf("%s is %v, want %v", what, a, b) }
	switch {
	case a.URI != b.URI:
		return say("URI", a.URI, b.URI)
	case a.ID != b.ID:
		return say("id", a.ID, b.ID)
	case a.State != b.State:
		return say("state", a.State, b.State)
	case a.Event != b.Event:
		return say("event", a.Event, b.Event)
	case a.CallID != b.CallID:
		return say("Call-ID", a.CallID, b.CallID)
	case a.CSeq != b.CSeq:
		return say("CSeq", a.CSeq, b.CSeq)
	case a.Instance != b.Instance || a.RegID != b.RegID:
		return say("instance", a.Instance+" "+a.RegID.String(), b.Instance+" "+b.RegID.String())
	case a.PubGRUU != b.PubGRUU || a.TempGRUU != b.TempGRUU || a.FirstCSeq != b.FirstCSeq:
		return say("GRUU", a.PubGRUU+" "+a.TempGRUU, b.PubGRUU+" "+b.TempGRUU)
	}
	return nil
}
