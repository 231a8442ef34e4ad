package reginfo

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// fact is one contact of a document, and the binding that it is in truth.
type fact struct {
	serial  int
	contact Contact
	until   time.Time // receipt and expires; zero where it does not say
}

// list is what a document says of one address-of-record.
type list struct {
	aor, id     string
	state       RegState
	bound, gone []fact
}

// paper is a document and what it truly says.
type paper struct {
	doc     *Document
	body    []byte
	full    bool
	version Number
	cseq    uint32
	dialog  int
	lists   []list
}

// write makes the next document.
func (r *model) write(full bool, d *dice) *paper {
	full = full || r.fullOnly
	r.cseq++
	p := &paper{full: full, cseq: r.cseq, dialog: r.dialog}
	switch r.uncounted {
	case counting:
		p.version = Num(r.version)
		r.version++
	case alwaysNul:
		p.version = Num(0)
	case wandering:
		p.version = Num(uint64(d.roll(4)))
	}
	r.begun = true
	for n, a := range r.accounts {
		touched := len(a.ended) > 0 || slices.ContainsFunc(a.bound, func(b *bound) bool { return !b.reported })
		if !full && !touched && !d.once(4) {
			continue
		}
		if r.hidesEmpty && full && len(a.bound) == 0 {
			a.ended = nil
			continue
		}
		for i, aor := range a.aors {
			p.lists = append(p.lists, r.list(a, i, "d"+strconv.Itoa(r.dialog)+"-r"+strconv.Itoa(n)+strconv.Itoa(i), aor, full, d))
		}
		if r.lingers {
			a.linger = append(a.linger, a.ended...)
			a.linger = a.linger[max(0, len(a.linger)-2):]
		}
		a.ended = nil
		for _, b := range a.bound {
			b.reported = true
		}
	}
	if r.manner.ids == renumbered {
		id := 0
		for i := range p.lists {
			for _, facts := range [...][]fact{p.lists[i].bound, p.lists[i].gone} {
				for k := range facts {
					id++
					facts[k].contact.ID = "n" + strconv.Itoa(id)
				}
			}
		}
	}
	p.doc = r.document(p, d)
	return p
}

// list writes down one identity of an account.
func (r *model) list(a *account, i int, id, aor string, full bool, d *dice) list {
	l := list{aor: aor, id: id, state: RegActive}
	for _, b := range a.bound {
		if full || !b.reported {
			l.bound = append(l.bound, fact{serial: b.serial, contact: r.active(b, i, aor, d)})
		}
	}
	if len(a.bound) == 0 {
		l.state = RegInit
		if len(a.ended) > 0 && !r.initOnly {
			l.state = RegTerminated // once; init from then on (RFC 3680 4.7.1)
		}
		if r.bareEnd {
			return l
		}
	}
	for _, e := range slices.Concat(a.linger, a.ended) {
		if !r.silent && (!r.lapses || e.word != Expired) {
			l.gone = append(l.gone, fact{serial: e.serial, contact: r.terminated(e, i, aor, d)})
		}
	}
	if r.shuffles && len(l.bound) > 1 {
		k := d.roll(len(l.bound))
		l.bound[0], l.bound[k] = l.bound[k], l.bound[0]
	}
	return l
}

// active writes a contact that is bound.
func (r *model) active(b *bound, i int, aor string, d *dice) Contact {
	c := r.contact(b, i, d)
	c.State, c.Event = ContactActive, b.event
	if i > 0 && c.Event == Registered {
		c.Event = Created // RFC 3680 4.7.1: not by a REGISTER for it
	}
	if r.dealtWords {
		c.Event = [...]ContactEvent{Created, Refreshed, Registered}[d.roll(3)]
	}
	if !r.noExpires {
		c.Expires = Num(uint64(b.until.Sub(r.now) / time.Second))
	}
	if r.gruus && c.Instance != "" {
		c.PubGRUU = aor + ";gr=" + strings.ToLower(c.Instance)
		c.TempGRUU = "sip:t" + strconv.FormatUint(b.cseq, 10) + "@example.org;gr"
		c.FirstCSeq = Num(b.since)
	}
	return c
}

// terminated writes a contact that is gone.
func (r *model) terminated(e ended, i int, aor string, d *dice) Contact {
	c := r.contact(&e.bound, i, d)
	c.State, c.Event = ContactTerminated, e.word
	if c.Event == Probation {
		c.RetryAfter = Num(60)
	}
	if r.goneID != "" {
		c.ID = r.goneID
	}
	if r.dealtWords {
		c.Event, c.Expires = Unregistered, Num(597) // Kamailio keeps it
	}
	if r.onlyID {
		return Contact{ID: c.ID, State: c.State, Event: c.Event}
	}
	return c
}

func (r *model) contact(b *bound, i int, d *dice) Contact {
	c := Contact{URI: b.uri}
	if r.respells {
		c.URI = [...]string{b.uri, b.uri + ";ob", strings.Replace(b.uri, "u@", "%75@", 1)}[d.roll(3)]
	}
	if !r.noCall {
		c.CallID = b.call
		if !r.noCSeq {
			c.CSeq = Num(b.cseq)
		}
	}
	if r.instances && b.phone.instance != "" {
		c.Instance, c.RegID = b.phone.instance, b.phone.reg
	}
	switch {
	case r.manner.ids == noIDs:
	case r.manner.ids == byInstance && b.phone.instance != "":
		c.ID = "%22" + b.phone.instance + "%22" + b.phone.reg.String()
	default:
		c.ID = b.ids[i]
	}
	return c
}

// document is the paper as it is sent.
func (r *model) document(p *paper, d *dice) *Document {
	doc := &Document{Version: p.version, State: Partial}
	if p.full {
		doc.State = Full
	}
	for _, l := range p.lists {
		stale := Registration{AOR: l.aor, ID: "old", State: RegTerminated}
		if r.stale && d.once(2) {
			doc.Registrations = append(doc.Registrations, stale)
		}
		reg := Registration{AOR: l.aor, ID: l.id, State: l.state, Contacts: make([]Contact, 0, len(l.bound)+len(l.gone))}
		add := func(facts []fact) {
			for _, f := range facts {
				reg.Contacts = append(reg.Contacts, f.contact)
			}
		}
		if r.shuffles && d.once(2) {
			add(l.bound)
			add(l.gone)
		} else {
			add(l.gone)
			add(l.bound)
		}
		doc.Registrations = append(doc.Registrations, reg)
		if r.stale && l.state == RegActive && d.once(2) {
			doc.Registrations = append(doc.Registrations, stale)
		}
	}
	return doc
}
