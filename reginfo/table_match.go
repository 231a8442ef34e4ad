package reginfo

import "slices"

// How a contact of a document finds its row. Ids are the weakest evidence:
// Kamailio's are memory addresses, free for another contact as soon as the first
// is gone, and a contact that comes back gets a new one.

// How strong the evidence is that a contact and a row are one binding.
const (
	kinNone     = 0
	kinID       = 5  // the id, of a contact of which nothing else is told
	kinCall     = 10 // id and Call-ID: the registrar rewrote the URI
	kinInstance = 20 // instance and reg-id: the device has another address
	kinURI      = 40
	kinBoth     = 60 // instance and URI

	// Added to one of the above.
	plusCall  = 4
	plusAlive = 1 // for a contact that is bound
	perRank   = 100
)

// kin weighs whether c is the binding that r was. full says that c stands in a
// full document.
func kin(r, c *Contact, full bool) int {
	instance := SameInstance(r.Instance, c.Instance)
	if !instance && r.Instance != "" && c.Instance != "" {
		return kinNone
	}
	flow := r.RegID.Present && c.RegID.Present
	if instance && flow && r.RegID.Value != c.RegID.Value {
		return kinNone
	}
	uri := c.URI != "" && SameURI(r.URI, c.URI)
	call, otherCall := agree(r.CallID, c.CallID)
	id, otherID := agree(r.ID, c.ID)
	unnamed := c.URI == "" && c.CallID == "" && c.Instance == ""
	told := r.State == ContactTerminated && !c.Active() // a removal that we heard of

	score := kinNone
	switch {
	case uri && instance && !(told && otherCall):
		score = kinBoth
	case uri && otherCall && (told || otherID && !full):
		// Two bindings of one URI, as registrars have it that tell them apart by
		// Call-ID, or two removals one after the other. In a partial document
		// another id is another row (RFC 3680 5.2).
	case uri:
		score = kinURI
	case told && r.URI != "" && c.URI != "":
	case instance && (id || flow && (call || c.Active()) || full && c.Active()):
		// A contact that is terminated may be what the device left behind when it
		// moved to the address in the row. And without reg-id both addresses may
		// be bound, unless a full document shows that one is not.
		score = kinInstance
	case id && call:
		score = kinCall
	case id && unnamed:
		score = kinID
	case r.URI == "" && c.URI == "" && r.CallID == c.CallID && r.Instance == c.Instance && !otherID:
		score = kinID // neither says who it is, and they do so alike
	}
	if score == kinNone {
		return kinNone
	}
	if call {
		score += plusCall
	}
	return score
}

// agree compares what two documents tell; where one does not, neither is true.
func agree(a, b string) (same, differ bool) {
	if a == "" || b == "" {
		return false, false
	}
	return a == b, a != b
}

// maxCandidates bounds how many rows that share a URI or an instance are looked
// at for one contact, or documents made for it would cost quadratic time.
const maxCandidates = 64

// matcher finds rows for the contacts of one address-of-record.
type matcher struct {
	full   bool
	rows   []*Row // known: the bound ones first, then those gone, newest first
	active int    // how many of rows are bound
	taken  []bool

	byURI, byKey, byInstance, byID map[string][]int
}

func newMatcher(g *group, full bool) *matcher {
	m := &matcher{full: full, active: len(g.active)}
	m.rows = slices.Concat(g.active, g.gone)
	slices.Reverse(m.rows[m.active:])
	m.taken = make([]bool, len(m.rows))
	m.byURI = make(map[string][]int, len(m.rows))
	m.byID = make(map[string][]int, len(m.rows))
	for i, r := range m.rows {
		c := &r.Contact
		m.byURI[c.URI] = append(m.byURI[c.URI], i)
		if c.ID != "" {
			m.byID[c.ID] = append(m.byID[c.ID], i)
		}
	}
	return m
}

// pair is a row that may be an item's.
type pair struct{ score, item, row int }

// match gives each item its row, -1 where there is none, and strikes off removals
// that are no news: those older than what is known of the contact, and those
// listed beside the contact that came back, unless both were bound before.
//
// Where a full document has nothing else to say of a bound contact than such a
// removal, that is given to it: whether the removal is stale or the document is
// (Kamailio's come in the wrong order when they race), who reads the change can
// tell by Call-ID and CSeq.
func (m *matcher) match(items []item) []item {
	// Nearly all contacts are found by the letter of their URI and Call-ID.
	var left []int
	for i := range items {
		it := &items[i]
		it.row = -1
		if it.contact.Active() {
			it.row = m.letter(it.contact)
		}
		if it.row >= 0 {
			m.taken[it.row] = true
		} else {
			left = append(left, i)
		}
	}
	if len(left) == 0 {
		return items
	}
	m.matchRest(items, left)
	return slices.DeleteFunc(items, func(it item) bool { return it.struck || it.superseded && it.row < 0 })
}

// matchRest gives the best pairs their rows first.
func (m *matcher) matchRest(items []item, left []int) {
	m.indexRest()
	var pairs []pair
	for _, i := range left {
		it := &items[i]
		c := it.contact
		add := func(score, row int) {
			it.struck = it.struck || older(c, &m.rows[row].Contact)
			pairs = append(pairs, pair{score, i, row})
		}
		m.weigh(c, m.byKey[URIKey(c.URI)], add)
		if c.Instance != "" {
			m.weigh(c, m.byInstance[instanceKey(c.Instance)], add)
		}
		if c.ID != "" {
			m.weigh(c, m.byID[c.ID], add)
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return b.score - a.score })
	for _, p := range pairs {
		if it := &items[p.item]; it.row < 0 && !it.struck && !m.taken[p.row] {
			it.row, m.taken[p.row] = p.row, true
		}
	}
	if !m.full {
		return
	}
	for _, p := range pairs {
		it := &items[p.item]
		free := !it.contact.Active() && (it.row < 0 || it.row >= m.active)
		if free && p.row < m.active && !m.taken[p.row] && p.score%perRank >= kinURI {
			it.row, it.struck, m.taken[p.row] = p.row, false, true
		}
	}
}

// older reports whether a removal is about a REGISTER before the one that made
// the row.
func older(c, row *Contact) bool {
	return !c.Active() && c.CallID != "" && c.CallID == row.CallID &&
		c.CSeq.Present && row.CSeq.Present && c.CSeq.Value < row.CSeq.Value
}

// letter finds the bound row that has the very URI and Call-ID of a contact.
func (m *matcher) letter(c *Contact) int {
	best := pair{row: -1}
	m.weigh(c, m.byURI[c.URI], func(score, row int) {
		if row < m.active && score > best.score && c.CallID != "" && m.rows[row].Contact.CallID == c.CallID {
			best = pair{score: score, row: row}
		}
	})
	return best.row
}

// weigh passes on those of the rows that may be the contact's.
func (m *matcher) weigh(c *Contact, rows []int, add func(score, row int)) {
	looked := 0
	for _, i := range rows {
		if m.taken[i] {
			continue
		}
		if looked++; looked > maxCandidates {
			return
		}
		score := kin(&m.rows[i].Contact, c, m.full)
		if score == kinNone {
			continue
		}
		score += perRank * rank(&m.rows[i].Contact, c, score)
		if c.Active() {
			score += plusAlive
		}
		add(score, i)
	}
}

// rank orders claims on rows; the score decides among those of one rank. What a
// document shows of a binding by its URI comes first, then by its id, then what a
// device may have done to it.
func rank(r, c *Contact, score int) int {
	call, otherCall := agree(r.CallID, c.CallID)
	id, _ := agree(r.ID, c.ID)
	byURI := score >= kinURI && !otherCall
	if r.State != ContactActive {
		if byURI && !c.Active() && r.CSeq == c.CSeq {
			return 4 // a removal told again
		}
		return 0
	}
	switch {
	case byURI && c.Active():
		return 5 // before its removal: some repeat that when the contact is back
	case byURI:
		return 4
	case score >= kinBoth || score >= kinURI && id:
		return 2 // the device started anew
	case score >= kinURI:
		return 0
	case id && (score < kinCall || !c.Active()):
		return 4 // named by its id
	case id && call:
		return 3 // the registrar rewrote the URI
	case score >= kinInstance:
		return 1 // the device moved
	}
	return 0
}

func (m *matcher) indexRest() {
	m.byKey = map[string][]int{}
	m.byInstance = map[string][]int{}
	for i, r := range m.rows {
		if m.taken[i] {
			continue
		}
		key := URIKey(r.Contact.URI)
		m.byKey[key] = append(m.byKey[key], i)
		if r.Contact.Instance != "" {
			key := instanceKey(r.Contact.Instance)
			m.byInstance[key] = append(m.byInstance[key], i)
		}
	}
}

// twins finds contacts that are listed twice under one address-of-record, in
// one registration element or in several. Of two that say the same, the one of
// less worth is struck off; a terminated one beside an active one is noted, to
// be judged when rows are known.
func twins(items []item, full bool, found func(*Contact)) []item {
	if len(items) < 2 {
		return items
	}
	byKey := make(map[string][]int, len(items))
	struck := false
	for i := range items {
		it := &items[i]
		if it.contact.URI == "" {
			continue
		}
		key := URIKey(it.contact.URI)
		earlier := byKey[key]
		for _, j := range earlier[max(0, len(earlier)-maxCandidates):] {
			other := &items[j]
			if other.struck || kin(other.contact, it.contact, full) < kinURI {
				continue
			}
			a, b := other.contact, it.contact
			_, otherCall := agree(a.CallID, b.CallID)
			switch {
			case a.Active() && !b.Active():
				it.superseded = true
			case !a.Active() && b.Active():
				other.superseded = true
			case !otherCall:
				found(b)
				struck = true
				if a.CSeq.Present && b.CSeq.Present && a.CSeq.Value > b.CSeq.Value {
					it.struck = true
				} else {
					other.struck = true
				}
			}
			if it.struck {
				break
			}
		}
		byKey[key] = append(earlier, i)
	}
	if !struck {
		return items
	}
	return slices.DeleteFunc(items, func(it item) bool { return it.struck })
}
