package registrar

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// ErrNoMatch: no binding, or no user, is the one that was named.
var ErrNoMatch = errors.New("nothing matches")

// outcome is what an administrator's action came to.
type outcome struct {
	contacts []string // URIs that it touched
	told     int      // subscribers
}

// The actions below name a user by its user name or its address-of-record, and
// a contact by its URI, a part of that, or its instance; "" means all contacts
// of the user. They return an error that wraps ErrNoMatch where there is none.

// Deactivate removes contacts that shall register again at once.
func (r *Registrar) Deactivate(user, contact string) error {
	_, err := r.kick(user, contact, change{event: reginfo.Deactivated})
	return err
}

// Probation removes contacts that shall register again after some time.
func (r *Registrar) Probation(user, contact string, retryAfter time.Duration) error {
	_, err := r.kick(user, contact, change{event: reginfo.Probation, retryAfter: retryAfter})
	return err
}

// Expire lets contacts lapse now.
func (r *Registrar) Expire(user, contact string) error {
	_, err := r.kick(user, contact, change{event: reginfo.Expired})
	return err
}

// Reject removes all contacts of a user, who may not register again until Allow.
func (r *Registrar) Reject(user string) error {
	_, err := r.reject(user)
	return err
}

// Allow takes Reject back.
func (r *Registrar) Allow(user string) error {
	err := ErrClosed
	r.ask(func() {
		err = nil
		if !r.rejected[rejectionKey(user)] {
			err = fmt.Errorf("%w: %s is not rejected", ErrNoMatch, user)
		}
		delete(r.rejected, rejectionKey(user))
	})
	return err
}

// Shorten brings the end of bindings nearer.
func (r *Registrar) Shorten(user, contact string, left time.Duration) error {
	_, err := r.shortenAll(user, contact, left)
	return err
}

// Create binds a contact without a REGISTER. The user is an address-of-record, or
// a user name whose domain is known: from what is bound, or as the first served.
func (r *Registrar) Create(user, uri string, expires time.Duration) error {
	_, err := r.create(user, uri, expires)
	return err
}

// Remove takes contacts away without telling anybody; only the next full
// document, and the next REGISTER, show that they are gone.
func (r *Registrar) Remove(user, contact string) error {
	_, err := r.remove(user, contact)
	return err
}

// each calls f with every record and those of its bindings that are meant.
func (r *Registrar) each(user, contact string, f func(*record, []*binding)) error {
	if user == "" {
		return fmt.Errorf("%w: no user is named", ErrNoMatch)
	}
	found := false
	if !r.ask(func() {
		for _, rec := range r.recordsOf(user) {
			if chosen := rec.choose(contact); len(chosen) > 0 {
				found = true
				f(rec, chosen)
			}
		}
	}) {
		return ErrClosed
	}
	switch {
	case found:
		return nil
	case contact == "":
		return fmt.Errorf("%w: %s has no contact", ErrNoMatch, user)
	}
	return fmt.Errorf("%w: %s has no contact %q", ErrNoMatch, user, contact)
}

// choose returns the bindings that a selector means. A whole URI or instance
// goes before a part, so that ":5060" does not also mean ":50601" in full.
func (rec *record) choose(selector string) []*binding {
	var exact, part []*binding
	for _, b := range rec.bindings {
		instance := selector != "" && reginfo.SameInstance(b.instance, strings.Trim(selector, "<>"))
		switch {
		case selector == "", instance, reginfo.SameURI(b.contact.URI, selector):
			exact = append(exact, b)
		case strings.Contains(b.contact.URI, selector), b.instance != "" && strings.Contains(strings.ToLower(b.instance), strings.ToLower(selector)):
			part = append(part, b)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return part
}

func (r *Registrar) kick(user, contact string, why change) (outcome, error) {
	var done outcome
	err := r.each(user, contact, func(rec *record, chosen []*binding) {
		done.note(chosen)
		done.told += r.drop(rec, chosen, why)
	})
	return done, err
}

func (o *outcome) note(bindings []*binding) {
	for _, b := range bindings {
		o.contacts = append(o.contacts, b.contact.URI)
	}
}

func (r *Registrar) reject(user string) (outcome, error) {
	var done outcome
	if user == "" {
		return done, fmt.Errorf("%w: no user is named", ErrNoMatch)
	}
	err := ErrClosed
	r.ask(func() {
		err = nil
		records := r.recordsOf(user)
		a, _ := parseAOR(user)
		if len(records) == 0 && r.options.Users != nil && !r.knows(user) && !r.knows(a.user) {
			err = fmt.Errorf("%w: there is no user %s", ErrNoMatch, user)
			return
		}
		r.rejected[rejectionKey(user)] = true
		for _, rec := range records {
			chosen := rec.choose("")
			done.note(chosen)
			done.told += r.drop(rec, chosen, change{event: reginfo.Rejected})
		}
	})
	return done, err
}

// rejectionKey is a user name as it is, and a URI in its canonical form.
func rejectionKey(user string) string {
	if a, err := parseAOR(user); err == nil {
		return a.key()
	}
	return user
}

func (r *Registrar) isRejected(who aor) bool { return r.rejected[who.user] || r.rejected[who.key()] }

func (r *Registrar) shortenAll(user, contact string, left time.Duration) (outcome, error) {
	var done outcome
	var late error
	err := r.each(user, contact, func(rec *record, chosen []*binding) {
		var changes []change
		for _, b := range chosen {
			if !time.Now().Add(left).Before(b.expires) {
				late = fmt.Errorf("%w: %s ends within %s anyway", ErrNoMatch, b.contact.URI, left)
				continue
			}
			changes = append(changes, r.shorten(rec, b, left))
			done.note([]*binding{b})
		}
		done.told += r.publish(rec, changes)
	})
	if err == nil && len(done.contacts) == 0 {
		err = late
	}
	return done, err
}

// shorten gives b a new end. What subscribers hear is the profile's.
func (r *Registrar) shorten(rec *record, b *binding, left time.Duration) change {
	b.expires = time.Now().Add(left)
	b.event = reginfo.Shortened
	if r.manners.shortenedIsRefreshed {
		b.event, b.callID, b.cseq = reginfo.Refreshed, kamailioCallID, 1
	}
	r.schedule(rec, b)
	return change{binding: b, event: b.event, contact: r.contactOf(rec, b)}
}

func (r *Registrar) create(user, uri string, expires time.Duration) (outcome, error) {
	var done outcome
	if _, err := wire.ParseURI(uri); err != nil {
		return done, fmt.Errorf("create contact: %q %w", uri, err)
	}
	if expires <= 0 {
		expires = defaultExpires * time.Second
	}
	err := ErrClosed
	r.ask(func() {
		var rec *record
		if rec, err = r.recordFor(user); err != nil {
			return
		}
		now := time.Now()
		b := &binding{
			contact: wire.NameAddr{URI: uri}, registered: now, refreshed: now,
			expires: now.Add(min(expires, r.options.MaxExpires)), event: reginfo.Created,
		}
		if r.manners.shortenedIsRefreshed {
			b.callID, b.cseq = kamailioCallID, 1
		}
		switch {
		case rec.find(b) != nil:
			err = fmt.Errorf("create contact: %s has %s already", user, uri)
		case len(rec.bindings) >= maxBindings:
			err = fmt.Errorf("create contact: %s has %d contacts already", user, maxBindings)
		default:
			r.bind(rec, b)
			done.note([]*binding{b})
			done.told = r.publish(rec, []change{{binding: b, event: b.event, contact: r.contactOf(rec, b)}})
		}
		r.tidy(rec)
	})
	return done, err
}

// recordFor finds or makes the one record that a name means.
func (r *Registrar) recordFor(user string) (*record, error) {
	records := r.recordsOf(user)
	switch {
	case user == "":
		return nil, fmt.Errorf("%w: no user is named", ErrNoMatch)
	case len(records) == 1:
		return records[0], nil
	case len(records) > 1:
		return nil, fmt.Errorf("%w: %s is in several domains: name a whole address-of-record", ErrNoMatch, user)
	}
	a, err := parseAOR(user)
	if err != nil {
		if len(r.options.Domains) == 0 {
			return nil, fmt.Errorf("%w: %s has no domain yet: name a whole address-of-record", ErrNoMatch, user)
		}
		a = aor{user, strings.ToLower(r.options.Domains[0])}
	}
	if rec := r.recordOf(a); rec != nil {
		return rec, nil
	}
	return nil, errors.New("there are too many addresses-of-record")
}

func (r *Registrar) remove(user, contact string) (outcome, error) {
	var done outcome
	err := r.each(user, contact, func(rec *record, chosen []*binding) {
		done.note(chosen)
		var changes []change
		for _, b := range chosen {
			r.unbind(rec, b)
			changes = append(changes, change{binding: b, event: reginfo.Expired})
		}
		// What a new subscriber gets lacks them as well, and nobody hears of it now.
		r.manners.documents.changed(r, rec, changes)
		r.tidy(rec)
	})
	return done, err
}
