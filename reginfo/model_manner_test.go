package reginfo

import (
	"fmt"
	"strings"
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
