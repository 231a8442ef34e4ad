package tui

import (
	"fmt"
	"slices"
	"strings"
)

// View implements tea.Model: exactly as many lines as the terminal has rows. The
// blanks at their ends are left out, so that a mouse selects text alone.
func (a *app) View() string {
	if a.w <= 0 || a.h <= 0 {
		return ""
	}
	rows := a.frame()
	for i, row := range rows {
		rows[i] = strings.TrimRight(row, " ")
	}
	return strings.Join(rows, "\n")
}

// frame lays the screen out from both ends: header above, then what is below
// (footer, status, panel or menu), and the body takes what is left.
func (a *app) frame() []string {
	if a.w < leastWidth || a.h < leastHeight {
		text := fmt.Sprintf("regwatch needs a terminal of %dx%d or more; this one is %dx%d", leastWidth, leastHeight, a.w, a.h)
		var rows []string
		for len(text) > 0 {
			n := min(a.w, len(text))
			rows, text = append(rows, text[:n]), text[n:]
		}
		return pad(rows, a.w, a.h)
	}
	top := pad(a.header(a.w), a.w, headerRows)
	if a.h >= 20 {
		top = append(top, a.notices(a.w, 2)...)
	}
	bottom := []string{a.footer(a.w)}
	body := a.h - len(top) - len(bottom)
	// The panel may take what the bindings leave; on a small terminal also the
	// place of the status line.
	least := 3
	if a.view.least != nil && a.pager == nil && a.composing == nil {
		least = a.view.least(body)
	}
	var over []string
	switch {
	case a.menu:
		over = a.menuRows(a.w, body-least)
	case a.choice != nil:
		over = a.choiceRows(a.w, body-1)
	case len(a.panel.open) > 0 && a.composing != nil:
		over = a.panelBlock(a.w, 1) // never over what is written
	case len(a.panel.open) > 0:
		over = a.panelBlock(a.w, body-least-boolInt(a.h >= roomy))
	}
	bottom = append(slices.Clone(over), bottom...)
	if a.h >= roomy || len(over) <= 1 && body-len(over) > least && (a.composing == nil || a.flash.text != "") {
		bottom = slices.Insert(bottom, len(over), a.statusLine(a.w))
	}
	body = a.h - len(top) - len(bottom)
	out := append(top, pad(a.body(a.w, body, least), a.w, body)...)
	return pad(append(out, bottom...), a.w, a.h)
}

// bindingRows is the height of the bindings with their frame. It leaves room for
// a panel, so that nothing above moves when one opens.
func (a *app) bindingRows(body int) int {
	n := 0
	if s := a.account().shown; s != nil {
		n = len(s.Bindings)
		if a.w >= twoPanes {
			n = max(n, 2*len(s.GRUUs)-2)
		}
	}
	if a.h < roomy {
		return 1 + max(min(n, 2), 1)
	}
	most := max(min(body/3, body-3-panelRows-2), 3)
	return 3 + max(min(n, most), 2)
}

// body draws the view, or the pager over it.
func (a *app) body(w, rows, least int) []string {
	if rows <= 0 {
		return nil
	}
	if a.composing != nil {
		return a.drawComposer(a.composing, w, rows)
	}
	if a.pager != nil {
		return a.pager.draw(w, rows, a.th)
	}
	return a.view.draw(w, rows, least)
}

// overview draws bindings over timeline; on a wide terminal GRUUs stand beside
// the bindings.
func (a *app) overview(w, rows, bindings int) []string {
	bindings = min(bindings, rows)
	var out []string
	if w >= twoPanes {
		left := max(80, w*62/100)
		one := pad(a.bindingsBlock(left, bindings), left, bindings)
		two := a.gruusPane(w-left-1, bindings)
		for i := range one {
			out = append(out, one[i]+" "+two[i])
		}
	} else {
		out = pad(a.bindingsBlock(w, bindings), w, bindings)
	}
	if len(out) < rows {
		out = append(out, a.th.title("timeline", w))
	}
	return append(out, a.timelineRows(a.account().changes, w, rows-len(out))...)
}
