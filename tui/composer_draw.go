package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"regwatch/reginfo"
	"regwatch/ua"
)

// labelWidth is the column of the names in the form.
const labelWidth = 12

func (a *app) drawComposer(c *composer, w, rows int) []string {
	switch c.page {
	case composerRequest:
		return c.request.draw(w, rows, a.th)
	case composerAnswer:
		return a.drawAnswer(c, w, rows)
	}
	if w < twoPanes || c.live == nil {
		return a.drawForm(c, w, rows)
	}
	left := (w - 1) / 2
	return beside(a.drawForm(c, left, rows), c.live.draw(w-left-1, rows, a.th), left)
}

// beside puts two blocks of as many rows beside each other, the first left columns
// wide.
func beside(one, two []string, left int) []string {
	out := make([]string, 0, len(two))
	for i := range two {
		out = append(out, fit(one[i], left)+" "+two[i])
	}
	return out
}

// drawForm draws a row a field, what is wrong with one below it, and on the last
// line what may be written into the one that is edited.
func (a *app) drawForm(c *composer, w, rows int) []string {
	title := fmt.Sprintf("by hand: %s", cmp.Or(c.draft.what.Method, ua.MethodRegister))
	if c.at < len(c.past) {
		title += fmt.Sprintf(", %d of the last %d", c.at+1, len(c.past))
	}
	if c.waits {
		title += ", being written..."
	}
	out := []string{a.th.title(title, w)}
	all := c.rows()
	if c.broken != "" {
		out = append(out, " "+a.th.bad.Render(cutEnd("! "+a.th.text(c.broken), w-2)))
	}
	var lines []string
	seen := 0 // the line that has to be in sight
	for i, r := range all {
		lines = append(lines, a.formLine(c, r, i == c.row, i > 0 && all[i-1].key == r.key, w))
		if i == c.row {
			seen = len(lines)
		}
		if c.fault != nil && i == c.wrong {
			for _, part := range broken(a.th.text(c.fault.Error()), w-labelWidth-6, true) {
				lines = append(lines, strings.Repeat(" ", labelWidth+3)+a.th.bad.Render("! "+part))
			}
			if i == c.row {
				seen = len(lines)
			}
		}
	}
	height := rows - len(out)
	hint := height >= 4
	height -= boolInt(hint)
	c.scroll.top = max(min(c.scroll.top, seen-1, len(lines)-height), seen-height, 0)
	out = append(out, lines[c.scroll.top:min(c.scroll.top+height, len(lines))]...)
	if hint {
		out = append(pad(out, w, rows-1), "   "+cutEnd(all[c.row].hint, w-4))
	}
	return pad(out, w, rows)
}

// formLine draws one field. What the agent writes of itself stands in brackets.
func (a *app) formLine(c *composer, r formRow, selected, again bool, w int) string {
	label := r.label
	if again {
		label = ""
	}
	gutter, room := wideGutter.off, w-labelWidth-4
	if selected {
		gutter = a.th.bold.Render(wideGutter.on)
	}
	value := ""
	switch {
	case r.choices != nil && selected:
		value = "< " + cutEnd(r.choices[r.chosen], room-4) + " >"
	case r.choices != nil:
		value = cutEnd(r.choices[r.chosen], room)
	case selected:
		value = a.th.edited([]rune(r.get()), c.pos, room)
		if r.get() == "" {
			value += " " + cutEnd(a.ofOurs(c, r), room-2)
		}
	case r.get() != "":
		value = cutMiddle(a.th.text(r.get()), room)
	default:
		value = cutEnd(a.ofOurs(c, r), room)
	}
	return gutter + fit(label, labelWidth) + value
}

// ofOurs is what the agent writes where a field is empty.
func (a *app) ofOurs(c *composer, r formRow) string {
	if r.list != nil && len(*r.list) > 0 {
		return "[more]"
	}
	value := c.ours[r.label]
	switch {
	case value != "":
		return "[" + cutMiddle(a.th.text(value), 200) + "]"
	case r.key == "headers" || r.key == "without":
		return "[none]"
	}
	return ""
}

// fieldsOf reads from a request what the form shows of it.
func fieldsOf(text string) map[string]string {
	fields := map[string]string{}
	for i, line := range strings.Split(text, "\r\n") {
		name, value, found := strings.Cut(line, ":")
		if i == 0 {
			if parts := strings.Fields(line); len(parts) == 3 {
				fields["Request-URI"] = parts[1]
			}
		} else if found && fields[name] == "" {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

// drawAnswer draws what came of the request: the outcome above, request and answer
// beside each other, on a narrow terminal the answer below; on a small one that of
// the two which the arrows scroll.
func (a *app) drawAnswer(c *composer, w, rows int) []string {
	out := a.outcomeLines(c, w, max(rows/3, 2))
	rest := rows - len(out)
	c.request.title = strings.TrimPrefix(c.request.title, "> ")
	c.answer.title = strings.TrimPrefix(c.answer.title, "> ")
	if !c.waits {
		c.pane().title = "> " + c.pane().title
	}
	switch {
	case c.waits:
		out = append(out, c.request.draw(w, rest, a.th)...)
	case w >= twoPanes:
		left := (w - 1) / 2
		out = append(out, beside(c.request.draw(left, rest, a.th), c.answer.draw(w-left-1, rest, a.th), left)...)
	case rest >= 10:
		lower := min(max(len(c.answer.lines)+1, rest/2), rest-4)
		out = append(append(out, c.request.draw(w, rest-lower, a.th)...), c.answer.draw(w, lower, a.th)...)
	default:
		out = append(out, c.pane().draw(w, rest, a.th)...)
	}
	return out
}

// outcomeLines say what came of the request, in at most most rows.
func (a *app) outcomeLines(c *composer, w, most int) []string {
	out := []string{a.th.title("by hand", w)}
	line := func(text string) {
		for i, part := range broken(text, w-4, true) {
			if len(out) < most {
				out = append(out, boolText(i > 0, "   ", " ")+part)
			}
		}
	}
	if c.waits {
		return append(out, " "+a.th.busy.Render(cutEnd(fmt.Sprintf("%s %s sent, no answer for %s", a.th.mark(levelBusy), cmp.Or(c.sends.Method, ua.MethodRegister), countdown(a.now().Sub(c.sentAt))), w-2)))
	}
	word, lvl := c.outcome()
	out = append(out, " "+a.th.style(lvl).Render(cutEnd(a.th.mark(lvl)+" "+a.th.text(word), w-2)))
	if c.result.Effect != "" {
		line(a.th.text(c.result.Effect))
	}
	if c.result.Status/100 == 2 && c.sends.Method != ua.MethodSubscribe {
		line(a.boundLine(c.result.Contacts, w-4))
	}
	events := a.named(c.account).events
	for _, e := range slices.Backward(events) {
		if e.Time.Before(c.sentAt) {
			break
		}
		if d, ok := e.Detail.(ua.FindingDetail); ok {
			line(fmt.Sprintf("finding: %s (%s) %s", a.th.text(string(d.Code)), a.th.text(d.Clause), a.th.text(d.Detail)))
		}
	}
	return out
}

// boundLine lists what a 2xx says is bound.
func (a *app) boundLine(contacts []reginfo.Contact, w int) string {
	text := boolText(len(contacts) > 0, "bound: ", "nothing is bound")
	for i, c := range contacts {
		part := cutURI(shortURI(a.th.text(c.URI)), 32)
		if c.Expires.Present {
			part += " " + c.Expires.String() + " s"
		}
		if i > 0 && width(text)+width(part)+len(", and 1000 more") > w {
			return fmt.Sprintf("%s and %d more", text, len(contacts)-i)
		}
		text += boolText(i == 0, "", ", ") + part
	}
	return text
}

func boolText(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
