package ua

import (
	"slices"

	"regwatch/reginfo"
)

// ledger holds our GRUUs (RFC 5627 4.2, RFC 5628 6): one public, kept as long
// as the account lives, and a set of temporary ones, each bound to the REGISTER
// that brought it.
type ledger struct {
	aor, instance string
	public        string
	publicFrom    Source // that it was learned from
	temporary     []GRUU // in the order in which we learned them
}

const (
	// More than this no registrar hands out before the first one lapses.
	temporaryKept = 256
	// Longer ones, in bytes, are of no use in a header field.
	gruuLimit = 1024
)

func (l *ledger) detail(change GRUUChange, kind GRUUType, g GRUU, source Source, cause string) GRUUDetail {
	return GRUUDetail{
		Change: change, Type: kind, URI: g.URI, AOR: l.aor, Instance: l.instance, RegID: g.RegID,
		CallID: g.CallID, CSeq: g.CSeq, FirstCSeq: g.FirstCSeq, Source: source, Cause: cause,
	}
}

func (l *ledger) learnPublic(uri string, source Source) []GRUUDetail {
	if uri == "" || uri == l.public || len(uri) > gruuLimit {
		return nil
	}
	change := Learned
	if l.public != "" {
		change = Replaced
	}
	l.public, l.publicFrom = uri, source
	return []GRUUDetail{l.detail(change, PublicGRUU, GRUU{URI: uri}, source, "")}
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
	return []GRUUDetail{l.detail(Learned, TemporaryGRUU, g, source, "")}
}

// void drops the temporary GRUUs that keep says false for.
func (l *ledger) void(cause string, source Source, keep func(GRUU) bool) []GRUUDetail {
	var out []GRUUDetail
	l.temporary = slices.DeleteFunc(slices.Clone(l.temporary), func(g GRUU) bool {
		if keep(g) {
			return false
		}
		out = append(out, l.detail(Invalidated, TemporaryGRUU, g, source, cause))
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
func (l *ledger) notified(own []reginfo.Contact) []GRUUDetail {
	var out []GRUUDetail
	for _, c := range own {
		out = append(out, l.learnPublic(c.PubGRUU, FromNotify)...)
		out = append(out, l.learnTemporary(GRUU{
			URI: c.TempGRUU, CallID: c.CallID, CSeq: uint32(c.CSeq.Value), FirstCSeq: c.FirstCSeq, RegID: uint32(c.RegID.Value),
		}, FromNotify)...)
	}
	return append(out, l.void("the registrar no longer counts it", FromNotify, func(g GRUU) bool {
		for _, c := range own {
			if c.TempGRUU == g.URI {
				return true // never the one that this document brings
			}
			if c.CallID == "" {
				return true // the registrar does not show Call-IDs
			}
			if c.CallID == g.CallID {
				return !c.FirstCSeq.Present || uint64(g.CSeq) >= c.FirstCSeq.Value
			}
		}
		return false
	})...)
}

// list is what a snapshot shows. A public GRUU cannot be used while we are not
// registered (RFC 5627 3.1.1).
func (l *ledger) list(registered bool) []GRUU {
	var out []GRUU
	if l.public != "" {
		out = append(out, GRUU{Type: PublicGRUU, URI: l.public, Usable: registered})
	}
	return append(out, l.temporary...)
}

// has reports whether the URI is one of ours.
func (l *ledger) has(uri string) bool {
	return uri != "" && (uri == l.public || slices.ContainsFunc(l.temporary, func(g GRUU) bool { return g.URI == uri }))
}
