package tui

import (
	"fmt"
	"slices"
	"strings"

	"regwatch/reginfo"
	"regwatch/ua"
)

// documentView is where the user is among the documents that came: at the last,
// or walked back to one of those kept.
type documentView struct {
	back   bool
	at     ua.Document // walked back to
	text   bool        // where there is room for one pane, it is the text
	pretty bool        // the text is indented, not as sent
	rows   list        // that the arrows scroll, in all panes

	of                      ua.Document // that the panes are made of
	decoded, sent, indented *pager
}

// sameDocument tells whether two snapshots mean one document.
func sameDocument(a, b ua.Document) bool {
	return a.At.Equal(b.At) && a.CSeq == b.CSeq && len(a.Raw) == len(b.Raw)
}

// index is the place of the document that is looked at: the last, also where the
// one walked back to is no longer kept; -1 where there is none.
func (v *documentView) index(kept []ua.Document) int {
	if v.back {
		if i := slices.IndexFunc(kept, func(d ua.Document) bool { return sameDocument(d, v.at) }); i >= 0 {
			return i
		}
		v.back = false
	}
	return len(kept) - 1
}

// walk goes to an older document or a newer one; at the last it follows again.
func (v *documentView) walk(kept []ua.Document, by int) {
	i := min(max(v.index(kept)+by, 0), len(kept)-1)
	if v.back = i >= 0 && i < len(kept)-1; v.back {
		v.at = kept[i]
	}
}

// turn shows the next side of the document.
func (v *documentView) turn(wide bool) {
	switch {
	case wide:
		v.pretty = !v.pretty
	case !v.text:
		v.text, v.pretty = true, false
	case !v.pretty:
		v.pretty = true
	default:
		v.text, v.pretty = false, false
	}
	v.rows.first()
}

// documents are those kept of the account.
func (a *app) documents() []ua.Document {
	if s := a.account().shown; s != nil {
		return s.Documents
	}
	return nil
}

// documentPanes are the one or two panes to draw of the document that is looked
// at, made where that is another than before; none where none came.
func (a *app) documentPanes() []*pager {
	kept, v := a.documents(), &a.account().document
	if len(kept) == 0 {
		return nil
	}
	i := v.index(kept)
	d := kept[i]
	if v.decoded == nil || !sameDocument(d, v.of) {
		document, err := reginfo.Decode(d.Raw)
		if err != nil {
			document = &reginfo.Document{} // the reason is told with the verdict
		}
		v.of = d
		v.rows.first()
		v.decoded = newPager("", a.decodedLines(kept, i, document))
		v.sent = &pager{lines: sentLines(d.Raw, document.Findings, a.th.ascii), raw: true}
		v.indented = &pager{lines: indentedLines(d.Raw, a.th.ascii), raw: true}
	}
	text, side := v.sent, "as sent"
	if v.pretty {
		text, side = v.indented, "indented"
	}
	v.decoded.title = fmt.Sprintf("document %d of %d", i+1, len(kept))
	if d.Verdict == reginfo.Discarded {
		v.decoded.title += ", discarded"
	}
	switch text.title = side; {
	case a.w >= twoPanes:
		return []*pager{v.decoded, text}
	case v.text:
		text.title = v.decoded.title + ", " + side
		return []*pager{text}
	}
	return []*pager{v.decoded}
}

// documentView draws the document beside its text, or one of the two.
func (a *app) documentView(w, rows int) []string {
	panes, v := a.documentPanes(), &a.account().document
	if len(panes) == 0 {
		return pad([]string{a.th.title("document", w), "   " + cutEnd(a.noDocument(), w-4)}, w, rows)
	}
	out := make([]string, 0, rows)
	first, count := v.rows.selected, 0
	v.rows.selected = 0
	for i, p := range panes {
		pane := w
		if len(panes) == 2 {
			pane = (w-1)/2 + i*((w-1)%2)
		}
		p.at.selected = first
		for j, line := range p.draw(pane, rows, a.th) {
			if p == v.decoded {
				line = a.th.coloured(line)
			}
			if i == 0 {
				out = append(out, line)
			} else {
				out[j] += " " + line
			}
		}
		// The longer pane says how far there is to scroll.
		count = max(count, p.at.count)
		v.rows.selected, v.rows.height = max(v.rows.selected, p.at.selected), p.at.height
	}
	v.rows.count = count
	return out
}

// coloured gives a row of changes the colour of its mark.
func (th *theme) coloured(line string) string {
	switch mark, _, _ := strings.Cut(strings.TrimLeft(line, " "), " "); mark {
	case "+":
		return th.good.Render(line)
	case "-", "!":
		return th.bad.Render(line)
	case "~":
		return th.busy.Render(line)
	}
	return line
}

// documentKey walks among the documents; false where the key does not.
func (a *app) documentKey(k string) bool {
	v := &a.account().document
	switch {
	case has(a.keys.older, k):
		v.walk(a.documents(), -1)
	case has(a.keys.newer, k):
		v.walk(a.documents(), 1)
	default:
		return false
	}
	return true
}

// turnDocument is what the view does for details: it has them all.
func (a *app) turnDocument() *pager {
	a.account().document.turn(a.w >= twoPanes)
	return nil
}

// wholeDocument is the page of the document that is looked at, as sent.
func (a *app) wholeDocument() *pager {
	kept := a.documents()
	if len(kept) == 0 {
		return nil
	}
	return a.documentPager(&kept[a.account().document.index(kept)])
}

// noDocument says why there is no document.
func (a *app) noDocument() string {
	s := a.account().shown
	switch {
	case s == nil || s.Subscription.State == "":
		return "none yet: there is no subscription (S subscribes)"
	case s.Subscription.State == ua.Polling:
		return "none: the registrar has no reg event, its answers to queries are read instead"
	case s.Subscription.State == ua.Unsupported:
		return "none: the registrar has no reg event"
	}
	return "none yet"
}
