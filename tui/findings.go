package tui

import (
	"fmt"
	"slices"
	"strings"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// findingsView lists what the registrar gets wrong: a row a code, the worst
// first, with what the selected one means below.
func (a *app) findingsView(w, rows int) []string {
	acc := a.account()
	if len(acc.found) == 0 {
		return pad([]string{a.th.title("findings", w), "   none"}, w, rows)
	}
	out, height := []string{a.th.title(fmt.Sprintf("findings: %d", len(acc.found)), w)}, rows-1
	below := 0
	if rows >= 10 {
		below = 5
	}
	out = append(out, acc.findings.draw(w, height-below, wideGutter, a.th, func(i, w int) string { return a.findingRow(acc.found[i], w) })...)
	if below == 0 {
		return out
	}
	f := acc.found[acc.findings.selected]
	var more []string
	for _, text := range []string{sentenceOf(f), f.Detail} {
		more = append(more, broken(a.th.text(text), w-4, true)...)
	}
	out = append(out, a.th.title("of the selected one", w))
	for i, line := range more[:min(len(more), below-1)] {
		if i == below-2 && len(more) > below-1 {
			line = cutEnd(line, w-4-len(dots)) + dots
		}
		out = append(out, "   "+line)
	}
	return pad(out, w, rows)
}

// The columns of the list of findings: the longest code has 41 characters.
const (
	severityWidth = 8
	codeWidth     = 42
	timesWidth    = 9
	clauseWidth   = 18
)

func (a *app) findingRow(f *found, w int) string {
	row := fit(a.th.text(string(f.Severity)), severityWidth)
	switch f.Severity {
	case finding.Error:
		row = a.th.bad.Render(row)
	case finding.Warning:
		row = a.th.busy.Render(row)
	}
	room := w - severityWidth
	if room < codeWidth+timesWidth {
		return row + cutMiddle(a.th.text(string(f.Code)), room)
	}
	row += fit(a.th.text(string(f.Code)), codeWidth) + fit(met(f.count), timesWidth)
	room -= codeWidth + timesWidth
	row += fit(cutEnd(a.th.text(f.Clause), min(room, clauseWidth)), min(room, clauseWidth))
	return row + cutEnd(a.th.text(f.Detail), room-clauseWidth)
}

// met says how often.
func met(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func sentenceOf(f *found) string { return finding.Finding{Code: f.Code}.Sentence() }

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
	out.add("means", sentenceOf(f))
	out.add("clause", f.Clause)
	out.add("last detail", f.Detail)
	when := "at " + a.clock.moment(f.last, a.zone())
	if f.count > 1 {
		when = fmt.Sprintf("first at %s, last %s", a.clock.moment(f.first, a.zone()), when)
	}
	out.add("met", met(f.count)+", "+when)
	if where, sent := a.sentWith(f); sent != "" {
		out.add("found in", where)
		out.add("sent", sent)
	}
	return out.lines
}

// sentWith finds what was sent that the finding is about: the line of the document
// that came at its time, or where none is named the tag that the document begins
// with. Both are "" where no document came then, or it is no longer kept.
func (a *app) sentWith(f *found) (where, sent string) {
	kept := a.documents()
	i := slices.IndexFunc(kept, func(d ua.Document) bool { return d.At.Equal(f.last) })
	if i < 0 {
		return "", ""
	}
	where = fmt.Sprintf("document %d of %d (view 4)", i+1, len(kept))
	lines := strings.SplitAfter(string(kept[i].Raw), "\n")
	if document, err := reginfo.Decode(kept[i].Raw); err == nil {
		for _, found := range document.Findings {
			if line := lineOf(lines, found); found.Code == f.Code && line != "" {
				return fmt.Sprintf("%s, line %d", where, found.Line), line
			}
		}
	}
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "<?") {
			return where, line
		}
	}
	return where, ""
}
