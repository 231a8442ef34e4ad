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
	plusCall   = 4
	plusID     = 2
	plusActive = 1
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
	call := c.CallID != "" && r.CallID == c.CallID
	id := c.ID != "" && r.ID == c.ID

	score := kinNone
	switch {
	case uri && instance:
		score = kinBoth
	case uri:
		score = kinURI
	case instance && (call || id):
		score = kinInstance
	case instance && c.Active() && (flow || full):
		// Not for a contact that is terminated: then it is what the device
		// left behind when it moved to the address in the row. Nor for a
		// partial document without reg-id: both addresses may be bound.
		score = kinInstance
	case id && call:
		score = kinCall
	case id && c.URI == "" && c.CallID == "" && c.Instance == "":
		score = kinID
	case r.URI == "" && c.URI == "" && r.CallID == c.CallID && r.Instance == c.Instance && (id || r.ID == "" || c.ID == ""):
		score = kinID // neither says who it is, and they do so alike
	default:
		return kinNone
	}
	if call {
		score += plusCall
	}
	if id {
		score += plusID
	}
	return score
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

// match gives each item its row, -1 where there is none; the best pairs first.
func (m *matcher) match(items []item) {
	// Nearly all contacts are found by the letter of their URI and Call-ID.
	left := items[:0:0]
	var at []int
	for i := range items {
		it := &items[i]
		it.row = -1
		best := pair{score: kinURI + plusCall - 1}
		m.weigh(it.contact, m.byURI[it.contact.URI], func(score, row int) {
			if score > best.score {
				best = pair{score, i, row}
			}
		})
		if best.score >= kinURI+plusCall {
			it.row, m.taken[best.row] = best.row, true
			continue
		}
		left, at = append(left, *it), append(at, i)
	}
	if len(left) == 0 || len(m.rows) == 0 {
		return
	}

	m.indexRest()
	var pairs []pair
	for k := range left {
		c := left[k].contact
		add := func(score, row int) { pairs = append(pairs, pair{score, at[k], row}) }
		m.weigh(c, m.byURI[c.URI], add)
		if c.URI != "" {
			m.weigh(c, m.byKey[uriKey(c.URI)], add)
		}
		if c.Instance != "" {
			m.weigh(c, m.byInstance[instanceKey(c.Instance)], add)
		}
		if c.ID != "" {
			m.weigh(c, m.byID[c.ID], add)
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return b.score - a.score })
	for _, p := range pairs {
		if items[p.item].row < 0 && !m.taken[p.row] {
			items[p.item].row, m.taken[p.row] = p.row, true
		}
	}
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
		if i < m.active {
			score += plusActive
		}
		add(score, i)
	}
}

func (m *matcher) indexRest() {
	m.byKey = map[string][]int{}
	m.byInstance = map[string][]int{}
	for i, r := range m.rows {
		if m.taken[i] {
			continue
		}
		if r.Contact.URI != "" {
			key := uriKey(r.Contact.URI)
			m.byKey[key] = append(m.byKey[key], i)
		}
		if r.Contact.Instance != "" {
			key := instanceKey(r.Contact.Instance)
			m.byInstance[key] = append(m.byInstance[key], i)
		}
	}
}

// twins finds contacts that are listed twice under one address-of-record, in
// one registration element or in several. Of two that say the same, the one of
// less worth is struck off; a terminated one beside an active one is noted in
// supersededBy, to be judged when rows are known.
func twins(items []item, found func(*Contact)) []item {
	if len(items) < 2 {
		return items
	}
	byKey := make(map[string][]int, len(items))
	struck := false
	for i := range items {
		it := &items[i]
		it.supersededBy = -1
		if it.contact.URI == "" {
			continue
		}
		key := uriKey(it.contact.URI)
		earlier := byKey[key]
		for _, j := range earlier[max(0, len(earlier)-maxCandidates):] {
			other := &items[j]
			if other.struck || kin(other.contact, it.contact, false) < kinURI {
				continue
			}
			a, b := other.contact, it.contact
			sameCall := a.CallID == b.CallID || a.CallID == "" || b.CallID == ""
			switch {
			case a.Active() && !b.Active():
				it.supersededBy = j
			case !a.Active() && b.Active():
				other.supersededBy = i
			case sameCall:
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
	// Indices move when the struck ones go.
	moved := make([]int, len(items))
	kept := items[:0:0]
	for i := range items {
		moved[i] = len(kept)
		if !items[i].struck {
			kept = append(kept, items[i])
		} else {
			moved[i] = -1
		}
	}
	for i := range kept {
		if by := kept[i].supersededBy; by >= 0 {
			kept[i].supersededBy = moved[by]
		}
	}
	return kept
}
