package reginfo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dice are the choices of one step or one sequence: the same seed, the same fall.
type dice uint64

// roll returns a number below n.
func (d *dice) roll(n int) int {
	*d += 0x9e3779b97f4a7c15 // splitmix64
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

func (d *dice) once(in int) bool { return d.roll(in) == 0 }

// manner is how a registrar of the model writes, and what it holds to be one
// binding. The zero value is that of RFC 3680 5: versions count, ids are steady,
// what changed is told in partial documents and in honest words.
type manner struct {
	fullOnly bool

	uncounted versionManner
	first     uint64 // version of the first document of a dialog

	ids       idManner
	sharedIDs bool   // a contact has one id in all identities of an implicit set
	goneID    string // the id of every contact that is gone
	onlyID    bool   // a contact that is gone is named by its id alone

	noCall, noCSeq, noExpires bool
	instances, gruus          bool

	dealtWords bool // created, refreshed, registered as the dice fall; every removal "unregistered"
	silent     bool // a contact that is gone is not listed
	lapses     bool // one that ran out is not listed
	lingers    bool // one that is gone is listed again and again
	bareEnd    bool // a registration that ends is told without its contacts
	hidesEmpty bool // an address-of-record without contacts is not listed
	stale      bool // one that ended long ago is listed beside that which goes on
	initOnly   bool // "init" also for what has just ended
	respells   bool // URIs are written differently from document to document
	shuffles   bool // contacts come in any order

	byCall bool // a binding is URI and Call-ID, not URI alone
	ownURI bool // addresses are rewritten as they are seen from outside
}

type versionManner int

const (
	counting  versionManner = iota
	alwaysNul               // 0 for ever
	wandering               // any number: counted for each address-of-record, or by several servers
	missing                 // none
)

type idManner int

const (
	steady     idManner = iota
	reused              // like memory addresses: what was freed last is used first
	renumbered          // dealt out anew in each document
	noIDs
	byInstance // the instance where there is one
)

// newManner deals out the ways of a registrar: of one like RFC 3680 and the IMS
// cores, that counts, or of one like Kamailio, that does not.
func newManner(d *dice) manner {
	m := manner{
		sharedIDs: d.once(2), noCall: d.once(8), noCSeq: d.once(8), noExpires: d.once(8),
		instances: d.once(2), bareEnd: d.once(4), hidesEmpty: d.once(8), stale: d.once(8),
		initOnly: d.once(4), respells: d.once(4), byCall: d.once(4), ownURI: d.once(4),
	}
	m.gruus = m.instances && d.once(2)
	if d.once(2) {
		m.fullOnly = d.once(4)
		m.first = uint64([...]int{0, 0, 2, 1 << 32}[d.roll(4)])
		m.ids = [...]idManner{steady, steady, reused, noIDs}[d.roll(4)]
		if m.ids == steady && d.once(4) {
			m.goneID = "0x1"
		}
		m.onlyID = m.ids == steady && m.goneID == "" && d.once(4)
	} else {
		m.fullOnly, m.dealtWords = true, d.once(2)
		m.uncounted = [...]versionManner{counting, alwaysNul, alwaysNul, wandering, missing}[d.roll(5)]
		m.ids = [...]idManner{steady, reused, reused, renumbered, noIDs, byInstance}[d.roll(6)]
		m.silent, m.lapses, m.shuffles = d.once(3), d.once(3), d.once(3)
		m.lingers = !m.silent && d.once(2)
	}
	m.byCall = m.byCall && m.ids != noIDs && !m.noCall // or nothing tells the twins apart
	return m
}

func (m manner) String() string {
	var s []string
	say := func(yes bool, text string) {
		if yes {
			s = append(s, text)
		}
	}
	say(m.fullOnly, "only full documents")
	s = append(s, [...]string{fmt.Sprintf("versions count from %d", m.first), "version always 0", "any version", "no version"}[m.uncounted])
	s = append(s, "ids "+[...]string{"steady", "reused", "dealt anew", "left out", "of the instance"}[m.ids])
	say(m.sharedIDs, "one id in the implicit set")
	say(m.goneID != "", "id "+m.goneID+" for what is gone")
	say(m.onlyID, "what is gone named by id alone")
	say(m.noCall, "no Call-ID")
	say(m.noCSeq, "no CSeq")
	say(m.noExpires, "no expires")
	say(m.instances, "instances")
	say(m.gruus, "GRUUs")
	say(m.dealtWords, "words as the dice fall")
	say(m.silent, "removals not listed")
	say(m.lapses, "lapses not listed")
	say(m.lingers, "removals repeated")
	say(m.bareEnd, "ended without contacts")
	say(m.hidesEmpty, "empty ones not listed")
	say(m.stale, "a stale registration beside")
	say(m.initOnly, "init for terminated")
	say(m.respells, "URIs spelled anew")
	say(m.shuffles, "in any order")
	say(m.byCall, "bindings by Call-ID")
	say(m.ownURI, "addresses rewritten")
	return strings.Join(s, ", ")
}

// phone is a device that registers.
type phone struct {
	name     string
	record   int
	port     int
	call     int
	cseq     uint64
	instance string
	reg      Number
	twin     bool // another has the same address: only the Call-ID or instance differs
}

// bound is a binding as the registrar holds it.
type bound struct {
	serial   int // tells bindings apart for good
	phone    *phone
	uri      string
	call     string
	cseq     uint64
	since    uint64 // the CSeq of its first REGISTER under this Call-ID
	until    time.Time
	ids      []string // one an identity of the record
	event    ContactEvent
	reported bool // by the last document
}

// ended is a binding that is gone, as a document tells it.
type ended struct {
	bound
	word ContactEvent
}

// account is what the registrar holds of an implicit set: identities that share
// their bindings, most often only one.
type account struct {
	aors   []string
	bound  []*bound
	ended  []ended // since the last document
	linger []ended // told before
}

// model is a registrar and the phones that use it.
type model struct {
	manner
	now      time.Time
	accounts []*account
	phones   []*phone

	serial int
	ids    int
	free   []string

	dialog  int
	version uint64
	cseq    uint32
	begun   bool // the dialog had a document
}

func newModel(d *dice, m manner) *model {
	r := &model{manner: m, now: epoch, version: m.first, dialog: 1}
	r.accounts = append(r.accounts, &account{aors: []string{"sip:ann@example.org"}})
	switch d.roll(4) {
	case 0:
		r.accounts[0].aors = []string{"tel:+1-555-0100", "sip:ann@example.org"}
	case 1:
		r.accounts = append(r.accounts, &account{aors: []string{"sip:bo@example.org", "tel:+15550101"}})
	}
	r.phones = []*phone{
		{name: "plain"},
		{name: "flow 1", instance: "urn:uuid:A", reg: Num(1)},
		{name: "flow 2", instance: "urn:uuid:a", reg: Num(2)},
		{name: "instance", instance: "urn:uuid:b"},
		{name: "twin of plain", twin: true},
		{name: "same instance", instance: "urn:uuid:b"},
		{name: "clone of flow 1", instance: "urn:uuid:A", reg: Num(1)},
	}
	if !m.byCall {
		r.phones[4] = &phone{name: "other", instance: "urn:uuid:d", reg: Num(1)}
	}
	for i, p := range r.phones {
		p.port, p.call, p.cseq = 5060+i, i, uint64(10*i)
		p.record = d.roll(len(r.accounts))
	}
	r.phones[6].record = r.phones[1].record
	if p := r.phones[4]; p.twin {
		r.phones[0].twin, p.port, p.record = true, r.phones[0].port, r.phones[0].record
	} else if m.instances && d.once(2) {
		// Behind one NAT, or two flows of one phone.
		for _, p := range []*phone{r.phones[1], r.phones[2], r.phones[4]} {
			p.twin, p.port, p.record = true, r.phones[1].port, r.phones[1].record
		}
	}
	return r
}

func (r *model) takeID() string {
	if last := len(r.free) - 1; last >= 0 && r.manner.ids == reused {
		id := r.free[last]
		r.free = r.free[:last]
		return id
	}
	r.ids++
	return "c" + strconv.Itoa(r.ids)
}

func (r *model) giveIDs(a *account, b *bound) {
	b.ids = make([]string, len(a.aors))
	for i := range b.ids {
		if i > 0 && r.sharedIDs {
			b.ids[i] = b.ids[0]
		} else {
			b.ids[i] = r.takeID()
		}
	}
}

// register is a REGISTER of a phone: it makes a binding or refreshes one.
func (r *model) register(p *phone, expires int) {
	p.cseq++
	a := r.accounts[p.record]
	uri, call := "sip:u@192.0.2.1:"+strconv.Itoa(p.port), "call-"+strconv.Itoa(p.call)
	i := slices.IndexFunc(a.bound, func(b *bound) bool {
		switch {
		case p.reg.Present || b.phone.reg.Present: // RFC 5626 6
			return p.reg == b.phone.reg && SameInstance(p.instance, b.phone.instance)
		case p.twin:
			return b.phone == p && b.uri == uri
		}
		return b.uri == uri // RFC 3261 10.3
	})
	var b *bound
	if i >= 0 {
		b = a.bound[i]
		b.event = Refreshed
	} else {
		b = &bound{serial: r.serial, event: Registered}
		r.serial++
		r.giveIDs(a, b)
		a.bound = append(a.bound, b)
	}
	if b.call != call {
		b.since = p.cseq
	}
	b.phone, b.uri, b.call, b.cseq, b.reported = p, uri, call, p.cseq, false
	b.until = r.now.Add(time.Duration(expires) * time.Second)
}

// end takes bindings off; keep says which stay.
func (r *model) end(a *account, word ContactEvent, keep func(*bound) bool) (n int) {
	a.bound = slices.DeleteFunc(a.bound, func(b *bound) bool {
		if keep(b) {
			return false
		}
		n++
		a.ended = append(a.ended, ended{*b, word})
		for i, id := range b.ids {
			if i == 0 || !r.sharedIDs {
				r.free = append(r.free, id)
			}
		}
		return true
	})
	return n
}

// pass lets time go by: what runs out is gone.
func (r *model) pass(d time.Duration) {
	r.now = r.now.Add(d)
	for _, a := range r.accounts {
		r.end(a, Expired, func(b *bound) bool { return b.until.After(r.now) })
	}
}

func (r *model) renew() {
	r.dialog++
	r.version, r.cseq, r.begun = r.first, 0, false
	for _, a := range r.accounts {
		a.ended = nil
		for _, b := range a.bound {
			if r.manner.ids != reused {
				r.giveIDs(a, b)
			}
		}
	}
}

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
