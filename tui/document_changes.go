package tui

import (
	"strings"

	"regwatch/internal/plural"
	"regwatch/reginfo"
	"regwatch/ua"
)

// attributeWidth is the column of the names of attributes; the longest is
// duration-registered.
const attributeWidth = 20

type attribute struct{ name, value string }

// attributes are those of a contact that a document has, by the names that it
// has for them.
func attributes(c *reginfo.Contact) []attribute {
	var out []attribute
	add := func(name, value string) {
		if value != "" {
			out = append(out, attribute{name, value})
		}
	}
	add("id", c.ID)
	add("uri", c.URI)
	add("display-name", c.DisplayName)
	add("state", string(c.State))
	add("event", string(c.Event))
	add("expires", c.Expires.String())
	add("retry-after", c.RetryAfter.String())
	add("duration-registered", c.DurationRegistered.String())
	add("q", c.Q)
	add("callid", c.CallID)
	add("cseq", c.CSeq.String())
	for _, p := range c.Params { // +sip.instance and reg-id among them
		add(p.Name, orNone(p.Value))
	}
	add("pub-gruu", c.PubGRUU)
	add("temp-gruu", c.TempGRUU)
	add("first-cseq", c.FirstCSeq.String())
	return out
}

// telling is what documents have told so far, the one after to be compared with.
type telling struct {
	any     bool
	whole   bool // a full document is among them
	version reginfo.Number
	regs    []*toldRegistration
	byAOR   map[string]*toldRegistration
}

type toldRegistration struct {
	reginfo.Registration
	byID, byURI map[string]int // index of the contact
}

// before is what the documents before the i-th told: those applied, from the last
// full one on.
func before(kept []ua.Document, i int) *telling {
	from := i
	for j := i - 1; j >= 0; j-- {
		if kept[j].Verdict != reginfo.Applied {
			continue
		}
		from = j
		if kept[j].State == reginfo.Full {
			break
		}
	}
	t := &telling{byAOR: map[string]*toldRegistration{}}
	for _, d := range kept[from:i] {
		if d.Verdict != reginfo.Applied {
			continue
		}
		if document, err := reginfo.Decode(d.Raw); err == nil {
			t.take(document)
		}
	}
	return t
}

func (t *telling) take(d *reginfo.Document) {
	t.any, t.version = true, d.Version
	if d.State != reginfo.Partial {
		t.whole, t.regs = true, nil
		clear(t.byAOR)
	}
	for _, r := range d.Registrations {
		old := t.byAOR[r.AOR]
		if old == nil {
			old = &toldRegistration{byID: map[string]int{}, byURI: map[string]int{}}
			old.AOR = r.AOR
			t.byAOR[r.AOR] = old
			t.regs = append(t.regs, old)
		}
		old.ID, old.State = r.ID, r.State
		for _, c := range r.Contacts {
			i, known := old.find(&c)
			if !known {
				i = len(old.Contacts)
				old.Contacts = append(old.Contacts, c)
			}
			old.Contacts[i] = c
			old.byURI[reginfo.URIKey(c.URI)] = i
			if c.ID != "" {
				old.byID[c.ID] = i
			}
		}
	}
}

// find looks for a contact by its id, which is what the document says it is, else
// by its URI.
func (r *toldRegistration) find(c *reginfo.Contact) (int, bool) {
	if i, ok := r.byID[c.ID]; ok && c.ID != "" {
		return i, true
	}
	i, ok := r.byURI[reginfo.URIKey(c.URI)]
	return i, ok && c.URI != ""
}

// change is a row of the comparison: what came (+), went (-) or is another (~).
type difference struct {
	mark     byte
	depth    int
	name     string
	old, new string
}

func (c difference) line(th *theme) string {
	text := func(s string) string { return visibleTo(s, wholeLimit, th.ascii) }
	line := strings.Repeat("  ", c.depth) + string(c.mark) + " "
	value := text(c.new)
	switch {
	case c.old != "" && c.new != "":
		value = text(c.old) + " -> " + value
	case c.old != "":
		value = text(c.old)
	}
	if c.depth == 0 || value == "" {
		return line + strings.TrimSpace(text(c.name)+" "+value)
	}
	return line + fit(text(c.name), attributeWidth) + value
}

// title says what the document is compared with.
func (t *telling) title(became reginfo.Verdict) string {
	with := "version " + t.version.String()
	if !t.version.Present {
		with = "the one before"
	}
	switch {
	case !t.any:
		return "the first one kept: all of it is new"
	case became == reginfo.Discarded:
		return "would change since " + with
	case !t.whole:
		return "changed since " + with + ", as far as that is kept"
	}
	return "changed since " + with
}

// changes compares a document with what was told before, attribute by attribute.
// A contact that a full document does not list is gone; a partial one lists only
// what changed.
func (t *telling) changes(d *reginfo.Document) []difference {
	if !t.any {
		return nil
	}
	var out []difference
	compare := func(depth int, name, old, new string) {
		switch {
		case old == new:
		case old == "":
			out = append(out, difference{'+', depth, name, "", new})
		case new == "":
			out = append(out, difference{'-', depth, name, old, ""})
		default:
			out = append(out, difference{'~', depth, name, old, new})
		}
	}
	// head puts a row above those added since n, if there are any.
	head := func(n int, mark byte, depth int, name, value string) {
		if mark == '~' && len(out) == n {
			return
		}
		out = append(out, difference{})
		copy(out[n+1:], out[n:])
		out[n] = difference{mark, depth, name, "", value}
	}
	compare(0, "version", t.version.String(), d.Version.String())
	full := d.State != reginfo.Partial && !d.Incomplete
	listed := map[string]bool{}
	for _, r := range d.Registrations {
		listed[r.AOR] = true
		old := t.byAOR[r.AOR]
		start, mark := len(out), byte('~')
		if old == nil {
			old, mark = &toldRegistration{}, '+'
		}
		compare(1, "id", old.ID, r.ID)
		compare(1, "state", string(old.State), string(r.State))
		head(start, mark, 0, "registration", r.AOR)
		seen := map[int]bool{}
		for i := range r.Contacts {
			c := &r.Contacts[i]
			start, mark := len(out), byte('~')
			was := []attribute{{"id", c.ID}, {"uri", c.URI}} // of a new one these are said at its head
			if j, ok := old.find(c); ok {
				seen[j] = true
				was = attributes(&old.Contacts[j])
			} else {
				mark = '+'
			}
			compareAttributes(was, attributes(c), func(name, old, new string) { compare(1, name, old, new) })
			head(start, mark, 0, "contact "+c.ID, c.URI)
		}
		if !full {
			continue
		}
		for j := range old.Contacts {
			if c := &old.Contacts[j]; !seen[j] && c.Active() {
				out = append(out, difference{'-', 0, "contact " + c.ID, c.URI, ""})
			}
		}
	}
	for _, r := range t.regs {
		if full && !listed[r.AOR] {
			out = append(out, difference{'-', 0, "registration", r.AOR + " with " + plural.Count(len(r.Contacts), "contact"), ""})
		}
	}
	return out
}

// compareAttributes tells the pairs of values of each name, in the order of the
// new list, then what only the old one has. A name that repeats is compared place
// by place.
func compareAttributes(old, new []attribute, tell func(name, old, new string)) {
	places := map[string][]int{}
	for i, a := range old {
		places[a.name] = append(places[a.name], i)
	}
	kept := make([]bool, len(old))
	for _, a := range new {
		was := ""
		if at := places[a.name]; len(at) > 0 {
			was, kept[at[0]], places[a.name] = old[at[0]].value, true, at[1:]
		}
		tell(a.name, was, a.value)
	}
	for i, a := range old {
		if !kept[i] {
			tell(a.name, a.value, "")
		}
	}
}
