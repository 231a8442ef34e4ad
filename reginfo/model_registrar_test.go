package reginfo

import (
	"slices"
	"strconv"
	"time"
)

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
