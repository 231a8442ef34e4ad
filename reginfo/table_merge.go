package reginfo

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"regwatch/reginfo/finding"
)

// merge applies one document to a table.
type merge struct {
	table *Table
	doc   *Document
	at    time.Time
	out   *Outcome
	full  bool // what is not listed is gone
	rows  int  // contacts bound so far

	complained bool // of a table that is full
}

// item is a contact as listed, and the row that it is.
type item struct {
	contact *Contact
	reg     *Registration
	row     int // index into the matcher's rows, or -1

	superseded bool // terminated, and an active contact of its URI is listed too
	struck     bool
}

// listing is what a document says of one address-of-record, in one registration
// element or, against the rules, in several.
type listing struct {
	group *group
	regs  []*Registration
	empty map[string]bool // ids of those that have no contacts by their state
	alive bool            // one of them is not empty
}

func (m *merge) found(code finding.Code, format string, args ...any) {
	const most = maxFindings
	if len(m.out.Findings) < most {
		m.out.Findings = append(m.out.Findings, finding.Finding{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
}

func (m *merge) run() {
	t := m.table
	// What was cut off, or does not say how much it tells, must not make
	// contacts vanish.
	m.full = m.doc.State == Full && !m.doc.Incomplete
	if m.doc.Incomplete {
		m.out.NeedFull = true
		if m.out.Reason == "" {
			m.out.Reason = "the document could not be read to its end"
		}
	}
	if !m.full {
		for _, g := range t.groups {
			m.rows += len(g.active)
		}
	}

	t.epoch++
	listings := m.gather()
	old := t.groups
	if m.full {
		t.groups = make([]*group, 0, len(listings))
	}
	for _, l := range listings {
		if m.full || !l.group.kept {
			t.groups = append(t.groups, l.group)
			l.group.kept = true
		}
		m.apply(l)
	}
	if m.full {
		for _, g := range old {
			if g.epoch != t.epoch {
				m.unlisted(g)
			}
		}
	}
	for _, l := range listings {
		l.group.listing = nil
	}
	t.forget()
}

// gather sorts the registration elements by address-of-record; one that does not
// say whose it is goes by its id.
func (m *merge) gather() []*listing {
	t := m.table
	var listings []*listing
	for i := range m.doc.Registrations {
		r := &m.doc.Registrations[i]
		key := aorKey(r.AOR)
		if r.AOR == "" {
			key = "#" + r.ID
		}
		g := t.byKey[key]
		if g == nil {
			if len(t.byKey) >= MaxContacts {
				m.tooMany()
				continue
			}
			g = &group{key: key}
			t.byKey[key] = g
		}
		if g.epoch != t.epoch {
			g.epoch, g.listing = t.epoch, &listing{group: g}
			listings = append(listings, g.listing)
		}
		l := g.listing
		l.regs = append(l.regs, r)
		if !r.State.Empty() {
			l.alive = true
			continue
		}
		if l.empty == nil {
			l.empty = map[string]bool{}
		}
		l.empty[r.ID] = true
	}
	return listings
}

func (m *merge) tooMany() {
	if !m.complained {
		m.complained = true
		m.found(finding.TableFull, "at most %d are kept", MaxContacts)
	}
}

// unlisted handles an address-of-record that a full document does not list.
func (m *merge) unlisted(g *group) {
	if g.listed {
		m.out.Registrations = append(m.out.Registrations, RegistrationChange{AOR: g.aor, ID: g.id, Before: g.state})
	}
	for _, r := range g.active {
		m.vanish(g, r, "")
	}
	if len(g.active) > 0 {
		g.forgetRepeated()
	}
	g.active, g.listed = nil, false
	if len(g.gone) > 0 {
		m.table.groups = append(m.table.groups, g)
	} else {
		delete(m.table.byKey, g.key)
	}
}

// vanish reports a row that went without a word, and remembers it.
func (m *merge) vanish(g *group, r *Row, reg RegState) {
	m.out.Changes = append(m.out.Changes, Change{Before: r, Kind: Vanished, Registration: reg})
	gone := *r
	gone.Contact.State, gone.Contact.Event = ContactTerminated, Absent
	gone.At, gone.ExpiresAt = m.at, time.Time{}
	g.gone = append(g.gone, &gone)
	if !m.full {
		m.rows--
	}
}

// apply brings one address-of-record up to what the document says of it.
func (m *merge) apply(l *listing) {
	g := l.group
	m.registration(l)
	var items []item
	for _, r := range l.regs {
		for i := range r.Contacts {
			items = append(items, item{contact: &r.Contacts[i], reg: r})
		}
	}
	items = twins(items, m.full, func(c *Contact) {
		m.found(finding.ContactRepeated, "%s in %s", clip(c.URI), clip(g.aor))
	})
	match := newMatcher(g, m.full)
	items = match.match(items)
	gone := len(g.gone)
	stay, place := m.depart(l, match, m.checkIDs(items, match))
	m.arrive(g, items, match, stay, place, gone)
}

// depart lets go of the bound rows that the document ends without a word. It
// returns those that stay, in their order, with nil for each that the document
// lists, and where in it the n-th bound row has its place.
func (m *merge) depart(l *listing, match *matcher, lost map[int]bool) (stay []*Row, place []int) {
	g := l.group
	place = make([]int, match.active)
	for i, r := range g.active {
		place[i] = len(stay)
		switch {
		case match.taken[i] && m.full: // a full document brings its own order
		case match.taken[i]:
			stay = append(stay, nil)
		case m.full || lost[i] || l.wipes(r):
			m.vanish(g, r, g.state)
		default:
			if r.RegistrationID == "" || r.RegistrationID == g.id && r.RegistrationState != g.state {
				moved := *r
				moved.RegistrationID, moved.RegistrationState = g.id, g.state
				r = &moved
			}
			stay = append(stay, r)
		}
	}
	return stay, place
}

// arrive takes in the listed contacts. Of the remembered rows the first gone
// ones were known to match.
func (m *merge) arrive(g *group, items []item, match *matcher, stay []*Row, place []int, gone int) {
	for k := range items {
		it := &items[k]
		row := m.row(it)
		var before *Row
		wasActive := it.row >= 0 && it.row < match.active
		if it.row >= 0 {
			before = match.rows[it.row]
		}
		if before == nil && m.doc.Incomplete && row.Contact.URI == "" {
			continue // cut off before it said who it is
		}
		if before != nil && row.Contact.URI == "" {
			was := &before.Contact
			row.Contact.URI = was.URI
			row.Contact.CallID = cmp.Or(row.Contact.CallID, was.CallID)
			row.Contact.Instance = cmp.Or(row.Contact.Instance, was.Instance)
		}
		change := m.compare(before, wasActive, row)
		change.Registration = it.reg.State
		switch {
		case row.Contact.State == ContactTerminated:
			if wasActive && !m.full {
				m.rows--
			}
			if before != nil && !wasActive {
				g.gone[gone-1-(it.row-match.active)] = row // match has them in reverse
			} else {
				g.gone = append(g.gone, row)
			}
		case wasActive && !m.full:
			stay[place[it.row]] = row
		case m.rows >= MaxContacts:
			m.tooMany()
			continue
		default:
			m.rows++
			stay = append(stay, row)
		}
		if change.Kind != "" {
			m.out.Changes = append(m.out.Changes, change)
		}
	}
	g.active = slices.DeleteFunc(stay, func(r *Row) bool { return r == nil })
	if len(g.gone) > gone {
		g.forgetRepeated()
	}
}

// registration takes over the state of the address-of-record. Of several
// elements about one, that which is active counts: others are left from before.
func (m *merge) registration(l *listing) {
	g := l.group
	now := l.regs[len(l.regs)-1]
	for _, r := range l.regs {
		if effective(r) == RegActive {
			now = r
			break
		}
	}
	before, state := g.state, effective(now)
	if !g.listed {
		before = ""
	}
	if g.id != "" && now.ID != "" && g.id != now.ID {
		m.found(finding.RegistrationIDChanged, "%s had id %q, now %q", clip(now.AOR), clip(g.id), clip(now.ID))
		if !m.full && state.Empty() && before == RegActive {
			return // left from an earlier registration; that which we know goes on
		}
	}
	if before != state {
		m.out.Registrations = append(m.out.Registrations, RegistrationChange{AOR: now.AOR, ID: now.ID, Before: before, After: state})
	}
	g.aor, g.id, g.state, g.listed = now.AOR, now.ID, state, true
}

// effective returns the state of a registration, from its contacts where it says
// none that we know.
func effective(r *Registration) RegState {
	if r.State.Known() {
		return r.State
	}
	for i := range r.Contacts {
		if r.Contacts[i].Active() {
			return RegActive
		}
	}
	return RegInit
}

// wipes reports whether a registration element without contacts ends a row that
// no element lists. One left from an earlier registration of the same
// address-of-record, which has another id, must not.
func (l *listing) wipes(r *Row) bool {
	if len(l.empty) == 0 {
		return false
	}
	if r.RegistrationID == "" {
		return !l.alive
	}
	return l.empty[r.RegistrationID] || l.empty[""] && !l.alive
}

// row makes the row of a listed contact.
func (m *merge) row(it *item) *Row {
	c := it.contact
	row := &Row{
		AOR: it.reg.AOR, RegistrationID: it.reg.ID, RegistrationState: effective(it.reg),
		Contact: *c, At: m.at,
	}
	row.Contact.Params = slices.Clone(c.Params)
	if !c.Active() {
		// An expires beside it is left from before (Kamailio keeps it).
		row.Contact.State = ContactTerminated
		return row
	}
	row.Contact.State = ContactActive
	if c.Expires.Present {
		// No further than time can be told.
		const most = 1 << 32
		row.ExpiresAt = m.at.Add(time.Duration(min(c.Expires.Value, most)) * time.Second)
	}
	return row
}
