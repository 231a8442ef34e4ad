package tui

import (
	"fmt"
	"strings"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// decodedLines says what became of a document, what changed with it, what is
// wrong with it, and what it holds.
func (a *app) decodedLines(kept []ua.Document, i int, document *reginfo.Document) []string {
	d := &kept[i]
	f := fields{th: a.th}
	f.add("version", strings.TrimSuffix(orNone(d.Version.String())+", "+string(d.State), ", "))
	f.add("received", d.At.In(a.zone()).Format("Jan 02 15:04:05.000"))
	f.add("NOTIFY CSeq", fmt.Sprint(d.CSeq))
	verdict := string(d.Verdict)
	if d.Reason != "" {
		verdict += ": " + d.Reason
	}
	f.add("verdict", verdict)
	out := f.lines
	before := before(kept, i)
	if changes := before.changes(document); len(document.Registrations) > 0 {
		out = append(out, "", before.title(kept[i].Verdict))
		if len(changes) == 0 {
			out = append(out, "  nothing")
		}
		for _, c := range changes {
			out = append(out, "  "+c.line(a.th))
		}
	}
	if len(document.Findings) > 0 {
		out = append(out, "", "findings")
		lines := strings.SplitAfter(string(d.Raw), "\n")
		for _, found := range document.Findings {
			out = append(out, "  ! "+visibleTo(found.String(), wholeLimit, a.th.ascii))
			if sent := lineOf(lines, found); sent != "" {
				out = append(out, "    sent: "+a.th.text(sent))
			}
		}
	}
	for _, r := range document.Registrations {
		out = append(out, "", "registration "+a.th.text(orNone(r.AOR)))
		out = append(out, "  "+fit("id", attributeWidth)+a.th.text(r.ID), "  "+fit("state", attributeWidth)+a.th.text(string(r.State)))
		for j := range r.Contacts {
			out = append(out, "  contact "+a.th.text(orNone(r.Contacts[j].ID)))
			for _, at := range attributes(&r.Contacts[j]) {
				out = append(out, "    "+fit(a.th.text(at.name), attributeWidth)+visibleTo(at.value, wholeLimit, a.th.ascii))
			}
		}
	}
	return out
}

// lineOf is the line that a finding names, without the blanks around it.
func lineOf(lines []string, f finding.Finding) string {
	if f.Line < 1 || f.Line > len(lines) {
		return ""
	}
	return strings.TrimSpace(lines[f.Line-1])
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
