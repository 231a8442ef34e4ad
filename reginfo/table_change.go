package reginfo

import (
	"slices"
	"time"

	"regwatch/reginfo/finding"
)

// jitter is how far two documents may differ about the time of one expiry: they
// count in whole seconds and travel.
const jitter = 5 * time.Second

// compare says what changed from before to after; Kind is empty for nothing.
func (m *merge) compare(before *Row, wasActive bool, after *Row) Change {
	ch := Change{Before: before, After: after}
	active := after.Contact.State == ContactActive
	if before == nil {
		ch.Kind = Removed
		if active {
			ch.Kind = Appeared
		}
		return ch
	}
	was, is := &before.Contact, &after.Contact
	differs := func(field string, yes bool) bool {
		if yes {
			ch.Fields = append(ch.Fields, field)
		}
		return yes
	}
	// What one of the two documents does not tell is no difference.
	state := differs("state", wasActive != active)
	call := differs("call-id", was.CallID != "" && is.CallID != "" && was.CallID != is.CallID)
	cseq := differs("cseq", was.CSeq.Present && is.CSeq.Present && was.CSeq != is.CSeq)
	expiry := differs("expires", !before.ExpiresAt.IsZero() && !after.ExpiresAt.IsZero() &&
		after.ExpiresAt.Sub(before.ExpiresAt).Abs() > jitter)
	// Other words are dealt out anew to contacts that nobody touched; this one says
	// what happened, and without a time nothing else does.
	shortened := differs("event", is.Event == Shortened && was.Event != Shortened && !is.Expires.Present)
	differs("uri", was.URI != "" && is.URI != "" && !SameURI(was.URI, is.URI))
	differs("gruu", was.PubGRUU != is.PubGRUU || was.TempGRUU != is.TempGRUU || was.FirstCSeq != is.FirstCSeq)

	switch {
	case active && !wasActive:
		ch.Kind = Appeared
	case active && (call || cseq || expiry || shortened):
		ch.Kind = Altered
	case !active && state:
		ch.Kind = Removed
	case !active && cseq && is.CSeq.Value > was.CSeq.Value:
		// It was bound and removed once more between two documents.
		ch.Kind = Removed
	}
	return ch
}

// checkIDs reports ids that moved, and returns which bound rows lost theirs to
// another contact.
func (m *merge) checkIDs(items []item, match *matcher) map[int]bool {
	var lost map[int]bool
	for i := range items {
		it := &items[i]
		id := it.contact.ID
		if id == "" {
			continue
		}
		same := false // it is the row's id too: no news of those it had before
		if it.row >= 0 {
			old := &match.rows[it.row].Contact
			same = old.ID == id
			if old.ID != "" && !same && SameURI(old.URI, it.contact.URI) {
				m.found(finding.ContactIDChanged, "%s had id %q, now %q", clip(it.contact.URI), clip(old.ID), clip(id))
			}
		}
		told := false
		others := match.byID[id]
		for _, k := range others[:min(len(others), maxCandidates)] {
			loses := k < match.active && !match.taken[k]
			if k == it.row || same && !loses {
				continue
			}
			if was := &match.rows[k].Contact; !told && kin(was, it.contact, m.full) < kinURI {
				told = true
				m.found(finding.ContactIDReused, "id %q was %s, now %s", clip(id), clip(was.URI), clip(it.contact.URI))
			}
			if loses {
				if lost == nil {
					lost = map[int]bool{}
				}
				lost[k] = true
			}
		}
	}
	return lost
}

// forgetRepeated keeps of a binding that went several times the last, by CSeq.
func (g *group) forgetRepeated() {
	type name struct{ uri, call, instance string }
	places := make(map[name]int, len(g.gone))
	var kept []*Row // the newest first
	for _, r := range slices.Backward(g.gone) {
		n := name{URIKey(r.Contact.URI), r.Contact.CallID, instanceKey(r.Contact.Instance)}
		i, again := places[n]
		if again = again && SameURI(kept[i].Contact.URI, r.Contact.URI); !again {
			places[n] = len(kept)
			kept = append(kept, r)
		} else if r.Contact.CSeq.Value > kept[i].Contact.CSeq.Value {
			kept[i] = r
		}
	}
	slices.Reverse(kept)
	g.gone = kept
}

// forget bounds what is remembered of contacts that went: the oldest of each
// address-of-record go first, then whole addresses-of-record.
func (t *Table) forget() {
	const perGroup = 1000
	total := 0
	for _, g := range t.groups {
		if extra := len(g.gone) - perGroup; extra > 0 {
			g.gone = slices.Delete(g.gone, 0, extra)
		}
		total += len(g.gone)
	}
	kept := t.groups[:0]
	for _, g := range t.groups {
		if total > MaxContacts {
			total -= len(g.gone)
			g.gone = nil
		}
		if !g.listed && len(g.gone) == 0 && len(g.active) == 0 {
			delete(t.byKey, g.key)
			g.kept = false
			continue
		}
		kept = append(kept, g)
	}
	clear(t.groups[len(kept):])
	t.groups = kept
}
