package tui

import (
	"fmt"

	"regwatch/ua"
)

// raw opens bytes as they were on the wire: those behind the selected row, else
// the last document.
func (a *app) raw() {
	if a.view.raw != nil {
		if page := a.view.raw(); page != nil {
			a.pager = page
			return
		}
	}
	if s := a.account().shown; s != nil && len(s.Document.Raw) > 0 {
		a.pager = a.documentPager(&s.Document)
		return
	}
	a.say(levelNone, "no document yet")
}

func (a *app) documentPager(d *ua.Document) *pager {
	title := "document"
	if d.Version.Present {
		title += " version " + d.Version.String()
	}
	return newRawPager(a.th, fmt.Sprintf("%s, received %s", title, a.clock.moment(d.At, a.zone())), d.Raw)
}

// showNotify opens the message that told of a kick, and where it is kept no more
// the last document.
func (a *app) showNotify(p *openPrompt) {
	if e := a.messageOf(p.Message); e != nil {
		a.pager = a.messagePager(e.Message)
		return
	}
	if s := a.named(p.account).live; s != nil && len(s.Document.Raw) > 0 {
		a.pager = a.documentPager(&s.Document)
		return
	}
	a.say(levelNone, "no NOTIFY told of it")
}

// helpLines is the help, made from the bindings.
func (a *app) helpLines() []string {
	var out []string
	for _, g := range a.keys.groups() {
		if len(g.keys) == 0 {
			continue
		}
		out = append(out, g.title)
		for _, b := range g.keys {
			if b.Enabled() {
				out = append(out, "  "+fit(help(b).name, 8)+" "+help(b).text)
			}
		}
		out = append(out, "")
	}
	return append(out, "marks",
		"  >        the selected row",
		"  !        a kick: the network took this device off or shortened it",
		"  "+a.th.mark(levelGood)+" "+a.th.mark(levelBusy)+" "+a.th.mark(levelBad)+" "+a.th.mark(levelNone)+"  good, under way, failed, off")
}
