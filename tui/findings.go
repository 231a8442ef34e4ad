package tui

import (
	"fmt"

	"regwatch/reginfo/finding"
)

// findingsView lists what the registrar gets wrong: a row a code, the worst
// first.
func (a *app) findingsView(w, rows int) []string {
	acc := a.account()
	if len(acc.found) == 0 {
		return pad([]string{a.th.title("findings", w), "   none"}, w, rows)
	}
	out := []string{a.th.title(fmt.Sprintf("findings: %d", len(acc.found)), w)}
	return append(out, acc.findings.draw(w, rows-1, wideGutter, a.th, func(i, w int) string {
		f := acc.found[i]
		severity := fit(a.th.text(string(f.Severity)), 8)
		switch f.Severity {
		case finding.Error:
			severity = a.th.bad.Render(severity)
		case finding.Warning:
			severity = a.th.busy.Render(severity)
		}
		times := fmt.Sprintf("%d times", f.count)
		if f.count == 1 {
			times = "once"
		}
		head := severity + fit(a.th.text(string(f.Code)), 26) + " " + fit(times, 11)
		text := f.Clause
		if f.Detail != "" {
			text += ": " + f.Detail
		}
		return head + cutEnd(a.th.text(text), w-width(head))
	})...)
}

// findingsMark counts the codes beside the view's name.
func (a *app) findingsMark() string {
	if n := len(a.account().found); n > 0 {
		return fmt.Sprintf(" (%d)", n)
	}
	return ""
}

// findingPage is the page of the selected finding.
func (a *app) findingPage() *pager {
	acc := a.account()
	if len(acc.found) == 0 {
		return nil
	}
	return newPager("finding", a.findingDetails(acc.found[acc.findings.selected]))
}

func (a *app) findingDetails(f *found) []string {
	out := fields{th: a.th}
	out.add("code", string(f.Code))
	out.add("severity", string(f.Severity))
	if e, ok := finding.Lookup(f.Code); ok {
		out.add("means", e.Sentence)
	}
	out.add("clause", f.Clause)
	out.add("last detail", f.FindingDetail.Detail)
	out.add("met", fmt.Sprintf("%d times, first at %s, last at %s", f.count,
		a.clock.moment(f.first, a.zone()), a.clock.moment(f.last, a.zone())))
	return out.lines
}
