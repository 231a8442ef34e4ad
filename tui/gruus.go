package tui

import (
	"fmt"

	"regwatch/ua"
)

// gruuFacts says what a GRUU is worth now.
func gruuFacts(g *ua.GRUU) string {
	state := "usable"
	if !g.Usable {
		state = "not usable now"
	}
	if g.Type == ua.TemporaryGRUU && g.CSeq > 0 {
		state += fmt.Sprintf(", cseq %d", g.CSeq)
	}
	return state
}

// gruusPane is the narrow list beside the bindings: two rows a GRUU.
func (a *app) gruusPane(w, rows int) []string {
	s := a.account().shown
	if s == nil {
		return pad([]string{a.th.title("GRUUs", w)}, w, rows)
	}
	out := []string{a.th.title(fmt.Sprintf("GRUUs: %d", len(s.GRUUs)), w)}
	if len(s.GRUUs) == 0 {
		return pad(append(out, " none given to us"), w, rows)
	}
	fits := (rows - 1) / 2
	for i := range s.GRUUs {
		if i == fits-1 && len(s.GRUUs) > fits {
			out = append(out, fmt.Sprintf(" and %d more, see 5", len(s.GRUUs)-i))
			break
		}
		g := &s.GRUUs[i]
		out = append(out, " "+a.th.bold.Render(a.th.text(string(g.Type)))+" "+gruuFacts(g), "   "+cutMiddle(a.th.text(g.URI), w-3))
	}
	return pad(out, w, rows)
}

func (a *app) gruusView(w, rows int) []string {
	acc := a.account()
	s := acc.shown
	if s == nil || len(s.GRUUs) == 0 {
		return pad([]string{a.th.title("GRUUs", w), "   none given to us"}, w, rows)
	}
	out := []string{a.th.title(fmt.Sprintf("GRUUs: %d", len(s.GRUUs)), w)}
	return append(out, acc.gruus.draw(w, rows-1, wideGutter, a.th, func(i, w int) string {
		g := &s.GRUUs[i]
		head := fit(a.th.text(string(g.Type)), 11)
		facts := gruuFacts(g)
		room := w - width(head) - width(facts) - 2
		if room < 20 {
			return head + cutMiddle(a.th.text(g.URI), w-width(head))
		}
		return head + fit(cutMiddle(a.th.text(g.URI), room), room) + "  " + facts
	})...)
}

// gruuPage is the page of the selected GRUU.
func (a *app) gruuPage() *pager {
	acc := a.account()
	if acc.shown == nil || len(acc.shown.GRUUs) == 0 {
		return nil
	}
	return newPager("GRUU", a.gruuDetails(&acc.shown.GRUUs[acc.gruus.selected]))
}

func (a *app) gruuDetails(g *ua.GRUU) []string {
	f := fields{th: a.th}
	f.add("type", string(g.Type))
	f.add("URI", g.URI)
	f.add("stands for", g.AOR)
	f.add("worth", gruuFacts(g))
	f.add("learned from", string(g.Source))
	f.add("Call-ID", g.CallID)
	if g.CSeq > 0 {
		f.add("CSeq", fmt.Sprint(g.CSeq))
	}
	f.add("first-cseq", g.FirstCSeq.String())
	if g.RegID > 0 {
		f.add("reg-id", fmt.Sprint(g.RegID))
	}
	f.lines = append(f.lines, "")
	switch g.Type {
	case ua.PublicGRUU:
		f.lines = append(f.lines, "It stays the same as long as the instance does, and works while we are registered (RFC 5627 3.1.1).")
	case ua.TemporaryGRUU:
		f.lines = append(f.lines, "It hides the address-of-record. Each REGISTER may bring another; all work until the registration lapses or its Call-ID changes (RFC 5627 3.1.2).")
	}
	return f.lines
}
