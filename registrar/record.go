package registrar

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// aor is an address-of-record in canonical form (RFC 3261 10.3 step 5): without
// parameters, escapes and the difference between sip and sips (RFC 5630 3.1.1).
type aor struct {
	user string // unescaped
	host string // lower case, with the port where there is one
}

func parseAOR(uri string) (aor, error) {
	u, err := wire.ParseURI(uri)
	if err != nil {
		return aor{}, err
	}
	user, _, _ := strings.Cut(u.User, ":") // a password is none of the name
	user, _, _ = strings.Cut(user, ";")
	if plain, err := url.PathUnescape(user); err == nil {
		user = plain
	}
	return aor{user, strings.ToLower(u.HostPort())}, nil
}

func (a aor) key() string { return a.user + "@" + a.host }

// String writes it as a URI again.
func (a aor) String() string { return "sip:" + escapeUser(a.user) + "@" + a.host }

// domain is the host without the port.
func (a aor) domain() string {
	u, err := wire.ParseURI("sip:" + a.host)
	if err != nil {
		return a.host
	}
	return strings.ToLower(u.Host)
}

// escapeUser escapes what has no place in the user part (RFC 3261 25.1).
func escapeUser(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && !strings.ContainsRune("\"#%:<>@[]\\^`{|}", rune(c)) {
			out.WriteByte(c)
		} else {
			out.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return out.String()
}

// record is what is kept of one address-of-record. It goes when nothing is
// bound to it and nobody watches it.
type record struct {
	aor           aor
	id            string // of its registration element
	telID         string // of that of its telephone number; "" where it has none
	bindings      []*binding
	subscriptions []*subscription
	temporary     map[string]*temporary // temporary GRUUs by instance, in lower case
	published     []byte                // kamailio: what was last told
	told          bool                  // kamailio: anything was
}

// recordOf finds the record, or makes it; nil where there are too many.
func (r *Registrar) recordOf(a aor) *record {
	rec := r.records[a.key()]
	if rec == nil && len(r.records) < maxRecords {
		rec = &record{aor: a, temporary: make(map[string]*temporary)}
		if rec.id = "a" + digestOf(a.key()); r.manners.addressIDs {
			rec.id = r.ids.take()
		}
		if r.manners.implicitSet {
			rec.telID = r.ids.take()
		}
		r.records[a.key()] = rec
	}
	return rec
}

// tidy drops a record that holds nothing any more. What the kamailio profile
// last told stays, because its next subscriber gets to see it.
func (r *Registrar) tidy(rec *record) {
	if len(rec.bindings) == 0 && len(rec.subscriptions) == 0 && !rec.told {
		delete(r.records, rec.aor.key())
	}
}

// binding is one contact of a record.
type binding struct {
	id         string
	contact    wire.NameAddr // without q, expires and GRUUs
	q          string
	instance   string // URN, without quotes and brackets
	regID      uint32
	flow       bool // bound by instance and reg-id, not by its URI (RFC 5626 6)
	callID     string
	cseq       uint32
	path       []string
	userAgent  string
	source     netip.AddrPort // of the last REGISTER; invalid when created by hand
	way        *wire.Flow     // that it came over; nil when created by hand
	registered time.Time      // first
	refreshed  time.Time      // last
	expires    time.Time
	event      reginfo.ContactEvent // that brought it into its state
	lapse      *appointment
}

// remaining is the time left in whole seconds, rounded up so that what is bound
// never reads 0.
func (b *binding) remaining(now time.Time) uint64 {
	left := b.expires.Sub(now)
	return uint64(max(left+time.Second-1, 0) / time.Second)
}

// contactID makes the id of a contact: the same for the same URI, across
// registrations (RFC 3680 5.1), and different for two flows that share one.
func contactID(key string, b *binding) string {
	if b.flow {
		return "c" + digestOf(key, b.contact.URI, strings.ToLower(b.instance), strconv.FormatUint(uint64(b.regID), 10))
	}
	return "c" + digestOf(key, b.contact.URI)
}

func digestOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// find returns the binding that a Contact of a REGISTER is about, or nil: by
// flow, else by URI (RFC 5626 6, RFC 3261 10.3 step 7).
func (rec *record) find(c *binding) *binding {
	byURI := (*binding)(nil)
	for _, b := range rec.bindings {
		switch {
		case c.flow:
			if b.flow && b.regID == c.regID && strings.EqualFold(b.instance, c.instance) {
				return b
			}
		case !reginfo.SameURI(b.contact.URI, c.contact.URI):
		case !b.flow:
			return b
		case byURI == nil:
			byURI = b
		}
	}
	return byURI
}

// bind puts a binding into the record and has it lapse in time.
func (r *Registrar) bind(rec *record, b *binding) {
	if b.id == "" {
		if b.id = contactID(rec.aor.key(), b); r.manners.addressIDs {
			b.id = r.ids.take()
		}
	}
	rec.bindings = append(rec.bindings, b)
	r.schedule(rec, b)
}

// schedule has a binding lapse when it expires; called again, only the new time counts.
func (r *Registrar) schedule(rec *record, b *binding) {
	r.agenda.cancel(b.lapse)
	b.lapse = r.agenda.at(b.expires, func() { r.drop(rec, []*binding{b}, change{event: reginfo.Expired}) })
}

// unbind takes a binding out of the record.
func (r *Registrar) unbind(rec *record, b *binding) {
	r.agenda.cancel(b.lapse)
	rec.bindings = slices.DeleteFunc(rec.bindings, func(other *binding) bool { return other == b })
	rec.forgetTemporary(b.instance)
	if r.manners.addressIDs {
		r.ids.release(b.id)
	}
}

// drop unbinds and tells the subscribers why; it returns how many were told.
func (r *Registrar) drop(rec *record, gone []*binding, why change) (told int) {
	var changes []change
	for _, b := range gone {
		// GRUUs go with the last binding of an instance, so they are read before.
		c := why
		c.binding, c.contact = b, r.contactOf(rec, b)
		changes = append(changes, c)
	}
	for _, b := range gone {
		r.unbind(rec, b)
	}
	told = r.publish(rec, changes)
	r.tidy(rec)
	return told
}

// Binding is a copy of what the registrar holds of one contact.
type Binding struct {
	AOR         string
	ID          string // of its contact element in documents
	URI         string
	DisplayName string
	Q           string
	Instance    string // URN, without quotes and brackets
	RegID       uint32 // 0: none
	CallID      string
	CSeq        uint32
	Params      wire.Params // all of Contact but q and expires
	Path        []string
	PubGRUU     string
	TempGRUU    string         // the newest
	Source      netip.AddrPort // that the last REGISTER came from
	Registered  time.Time
	Expires     time.Time
	Event       reginfo.ContactEvent // that brought it into its state
}

// Bindings returns what is bound to a user, or to an address-of-record; "" for
// everything. They are ordered by address-of-record and then by age.
func (r *Registrar) Bindings(user string) []Binding {
	var out []Binding
	r.ask(func() {
		for _, rec := range r.recordsOf(user) {
			for _, b := range rec.bindings {
				pub, temp, _ := r.gruusOf(rec, b)
				out = append(out, Binding{
					AOR: rec.aor.String(), ID: b.id, URI: b.contact.URI, DisplayName: b.contact.Display, Q: b.q,
					Instance: b.instance, RegID: b.regID, CallID: b.callID, CSeq: b.cseq,
					Params: slices.Clone(b.contact.Params), Path: slices.Clone(b.path), PubGRUU: pub, TempGRUU: temp,
					Source: b.source, Registered: b.registered, Expires: b.expires, Event: b.event,
				})
			}
		}
	})
	return out
}

// recordsOf finds records by the name that an administrator wrote: a user,
// user@host, or the URI; "" finds all. The order is that of their keys.
func (r *Registrar) recordsOf(user string) []*record {
	var out []*record
	whole, err := parseAOR(user)
	named := strings.Contains(user, "@")
	for _, rec := range r.records {
		if user == "" || rec.aor.user == user || named && strings.EqualFold(user, rec.aor.key()) || err == nil && rec.aor == whole {
			out = append(out, rec)
		}
	}
	slices.SortFunc(out, func(a, b *record) int { return strings.Compare(a.aor.key(), b.aor.key()) })
	return out
}
