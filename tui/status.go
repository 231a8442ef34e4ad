package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
)

// flashFor is how long a short message stays.
const flashFor = 6 * time.Second

// flash is a short message in the status line, with its level and its end.
type flash struct {
	text string
	level
	until time.Time
}

func (a *app) say(l level, text string) {
	a.flash = flash{text, l, a.now().Add(flashFor)}
}

type keyHelp struct{ name, text string }

func help(b key.Binding) keyHelp { return keyHelp{b.Help().Key, b.Help().Desc} }

// statusLine is the rule above the footer. It says what was done last, else
// which views there are; and always what is held back.
func (a *app) statusLine(w int) string {
	held := ""
	if a.paused {
		held = fmt.Sprintf(" paused, %d new", len(a.held.Events))
	}
	if a.missed > 0 {
		held += fmt.Sprintf(" %d missed", a.missed)
	}
	if held != "" {
		held += " --"
	}
	room := w - width(held) - 4
	text := ""
	switch {
	case a.flash.text != "" && a.now().Before(a.flash.until):
		text = a.th.text(a.flash.text)
		if a.flash.level == levelNone {
			text = cutEnd(text, room)
			break
		}
		text = a.th.style(a.flash.level).Render(cutEnd(a.th.mark(a.flash.level)+" "+text, room))
	case a.composing != nil: // which has keys of its own
	case a.o.Hint != "" && !a.hinted && a.view == a.views[0]:
		text = a.th.bold.Render(cutEnd(a.th.text(a.o.Hint), room))
	default:
		text = a.tabs(room)
	}
	line := "-- " + text + " "
	if text == "" {
		line = ""
	}
	return fit(line+strings.Repeat("-", max(w-width(line)-width(held), 0))+a.th.busy.Render(held), w)
}

// tabs names the views; the current one is in brackets. Where there is no room for
// all names those farthest from it are left to their numbers.
func (a *app) tabs(room int) string {
	out, current := make([]string, len(a.views)), slices.Index(a.views, a.view)
	for i, v := range a.views {
		h := help(v.key)
		out[i] = h.name + " " + h.text
		if v.mark != nil {
			out[i] += v.mark()
		}
	}
	fits := func() bool { return width(strings.Join(out, "  "))+len("[]") <= room }
	for far := len(out); far > 0 && !fits(); far-- {
		for _, i := range []int{current - far, current + far} {
			if i >= 0 && i < len(out) && !fits() {
				out[i] = strings.Replace(out[i], " "+help(a.views[i].key).text, "", 1)
			}
		}
	}
	out[current] = a.th.reverse.Render("[" + out[current] + "]")
	return strings.Join(out, "  ")
}

// footer draws the keys, or the question that waits for one.
func (a *app) footer(w int) string {
	switch {
	case a.quitting:
		return fit(a.th.busy.Render(cutEnd(" unregistering... (q again ends at once)", w)), w)
	case a.asking:
		aor := ""
		if s := a.account().shown; s != nil {
			aor = a.th.text(s.AOR)
		}
		const ask, answers = " remove every binding of ", "? y/n"
		return fit(a.th.bad.Render(ask+cutURI(aor, w-len(ask)-len(answers)-1)+answers), w)
	case a.prompt != nil:
		return a.promptLine(w)
	case a.menu || a.choice != nil:
		return fit(" Esc closes", w)
	}
	tail := "  " + a.keyText(a.keys.help) + "  " + a.keyText(a.keys.quit)
	out := ""
	bindings := append(slices.Clone(a.view.keys), a.keys.footer()...)
	if a.composing != nil {
		bindings, tail = a.composing.footer(&a.keys.compose), ""
	} else if a.pager != nil {
		bindings = []key.Binding{a.keys.back, a.keys.down, a.keys.up, a.keys.copy, a.keys.external, a.keys.pageDown, a.keys.pageUp, a.keys.top, a.keys.bottom}
	}
	for i, b := range bindings {
		same := func(o key.Binding) bool { return slices.Equal(o.Keys(), b.Keys()) }
		if !b.Enabled() || slices.ContainsFunc(bindings[:i], same) {
			continue
		}
		part := a.keyText(b)
		if out != "" {
			part = "  " + part
		}
		if width(out)+width(part)+width(tail)+2 > w {
			break
		}
		out += part
	}
	return fit(" "+out+tail, w)
}

func (a *app) keyText(b key.Binding) string {
	h := help(b)
	return a.th.key.Render(h.name) + " " + h.text
}

// menuRows draws the administrator's actions.
func (a *app) menuRows(w, most int) []string {
	items := make([]keyHelp, len(a.o.Admin))
	for i, act := range a.o.Admin {
		items[i] = keyHelp{act.Key, a.th.text(act.Label)}
	}
	return a.itemRows("administrator of the registrar", items, w, most)
}

// itemRows draws keys with what they do below a title, in as many columns as it
// takes to be no taller than most.
func (a *app) itemRows(title string, items []keyHelp, w, most int) []string {
	out := []string{a.th.title(title, w)}
	per := min(len(items), most-1)
	if per < 1 {
		return out
	}
	cols := (len(items) + per - 1) / per
	per = (len(items) + cols - 1) / cols
	for i := range per {
		line := ""
		for c := range cols {
			if j := c*per + i; j < len(items) {
				line += fit(" "+a.th.key.Render(items[j].name)+" "+cutEnd(items[j].text, w/cols-4), w/cols)
			}
		}
		out = append(out, fit(line, w))
	}
	return out
}
