package ua

import (
	"slices"

	"regwatch/reginfo"
)

// ledger holds our GRUUs (RFC 5627 4.2, RFC 5628 6): for each address-of-record
// one public, kept as long as the account lives, and a set of temporary ones, each
// bound to the REGISTER that brought it. A document tells of those that the other
// identities of an implicit registration set have (RFC 5628 8.2).
type ledger struct {
	instance  string
	public    []GRUU
	temporary []GRUU // in the order in which we learned them
}

const (
	// No registration set has more identities than this.
	publicKept = 64
	// More than this no registrar hands out before the first one lapses.
	temporaryKept = 256
	// Longer ones, in bytes, are of no use in a header field.
	gruuLimit = 1024
)

func (l *ledger) detail(change GRUUChange, g GRUU, source Source, cause string) GRUUDetail {
	return GRUUDetail{
		Change: change, Type: g.Type, URI: g.URI, AOR: g.AOR, Instance: l.instance, RegID: g.RegID,
		CallID: g.CallID, CSeq: g.CSeq, FirstCSeq: g.FirstCSeq, Source: source, Cause: cause,
	}
}

// learnPublic takes the public GRUU of an address-of-record, in place of the one
// before: that no longer works (RFC 5628 6).
func (l *ledger) learnPublic(aor, uri string, source Source) []GRUUDetail {
	if uri == "" || len(uri) > gruuLimit || slices.ContainsFunc(l.public, func(have GRUU) bool { return have.URI == uri }) {
		return nil
	}
	g := GRUU{Type: PublicGRUU, AOR: aor, URI: uri, Source: source}
	l.public = slices.Clone(l.public)
	i := slices.IndexFunc(l.public, func(have GRUU) bool { return reginfo.SameURI(have.AOR, aor) })
	switch {
	case i >= 0:
		l.public[i] = g
		return []GRUUDetail{l.detail(Replaced, g, source, "")}
	case len(l.public) >= publicKept:
		return nil
	}
	l.public = append(l.public, g)
	return []GRUUDetail{l.detail(Learned, g, source, "")}
}

func (l *ledger) learnTemporary(g GRUU, source Source) []GRUUDetail {
	if g.URI == "" || len(g.URI) > gruuLimit || slices.ContainsFunc(l.temporary, func(have GRUU) bool { return have.URI == g.URI }) {
		return nil
	}
	g.Type, g.Source, g.Usable = TemporaryGRUU, source, true
	l.temporary = append(slices.Clone(l.temporary), g)
	if len(l.temporary) > temporaryKept {
		l.temporary = l.temporary[1:]
	}
	return []GRUUDetail{l.detail(Learned, g, source, "")}
}

// void drops the temporary GRUUs that keep says false for.
func (l *ledger) void(cause string, source Source, keep func(GRUU) bool) []GRUUDetail {
	var out []GRUUDetail
	l.temporary = slices.DeleteFunc(slices.Clone(l.temporary), func(g GRUU) bool {
		if keep(g) {
			return false
		}
		out = append(out, l.detail(Invalidated, g, source, cause))
		return true
	})
	return out
}

// voidAll: our registration lapsed, or a new Call-ID began (RFC 5627 3.1.2).
func (l *ledger) voidAll(cause string) []GRUUDetail {
	return l.void(cause, "", func(GRUU) bool { return false })
}

// notified takes what a document says of our active contacts (RFC 5628 6). It
// is to be called only where a contact of ours was recognised, now or before:
// else silence about us proves nothing.
//
// unlisted are the Call-IDs of bindings over other flows that the document does not
// list, and that we know to be there: it may be from before them.
func (l *ledger) notified(own []reginfo.Row, unlisted []string, source Source) []GRUUDetail {
	var out []GRUUDetail
	for _, row := range own {
		c := row.Contact
		out = append(out, l.learnPublic(row.AOR, c.PubGRUU, source)...)
		out = append(out, l.learnTemporary(GRUU{
			AOR: row.AOR, URI: c.TempGRUU, CallID: c.CallID, CSeq: uint32(c.CSeq.Value), FirstCSeq: c.FirstCSeq, RegID: uint32(c.RegID.Value),
		}, source)...)
	}
	return append(out, l.void("the registrar no longer counts it", source, func(g GRUU) bool {
		if slices.Contains(unlisted, g.CallID) {
			return true
		}
		told := len(own) == 0 // of the GRUU's address-of-record
		for _, row := range own {
			c := row.Contact
			if c.TempGRUU == g.URI {
				return true // never the one that this document brings
			}
			if !reginfo.SameURI(row.AOR, g.AOR) {
				continue
			}
			told = true
			if c.CallID == "" || c.CallID == g.CallID && uint64(g.CSeq) >= c.FirstCSeq.Value {
				return true // it still counts, or the registrar does not show Call-IDs
			}
		}
		return !told
	})...)
}

// list is what a snapshot shows. A public GRUU cannot be used while we are not
// registered (RFC 5627 3.1.1).
func (l *ledger) list(registered bool) []GRUU {
	out := slices.Clone(l.public)
	for i := range out {
		out[i].Usable = registered
	}
	return append(out, l.temporary...)
}

// usable are those that can be used now for an address-of-record: the public one
// first, the newest temporary one last.
func (l *ledger) usable(aor string, registered bool) []GRUU {
	return slices.DeleteFunc(l.list(registered), func(g GRUU) bool { return !g.Usable || !reginfo.SameURI(g.AOR, aor) })
}

// has reports whether the URI is one of ours.
func (l *ledger) has(uri string) bool {
	is := func(g GRUU) bool { return g.URI == uri }
	return uri != "" && (slices.ContainsFunc(l.public, is) || slices.ContainsFunc(l.temporary, is))
}
