package tui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"regwatch/ua"
)

// whoWidth is the column of a timeline that says which device.
const whoWidth = 12

// timelineRow draws an event; before is the time of the event before it.
func (a *app) timelineRow(e ua.Event, before time.Time, w int) string {
	if w < 56 {
		// No room to say which device: most texts tell.
		text := a.clock.moment(e.Time, a.zone()) + " "
		mark := ""
		if isKick(e) {
			mark = "! "
		}
		return text + cutEnd(mark+a.th.text(a.told(e)), w-width(text))
	}
	mark := " "
	if isKick(e) {
		mark = a.th.bad.Render("!")
	}
	who, own := whose(e)
	who = fit(cutMiddle(a.th.text(who), whoWidth), whoWidth)
	if own {
		who = a.th.own.Render(who)
	}
	text := cutEnd(a.th.text(a.told(e)), w-stampWidth-whoWidth-3)
	if isKick(e) {
		text = a.th.bad.Render(text)
	}
	return fit(a.clock.stamp(e.Time, before, a.now(), a.zone()), stampWidth) + " " + who + mark + " " + text
}

// isKick reports whether the event is the network taking us off or shortening us.
func isKick(e ua.Event) bool {
	d, ok := e.Detail.(ua.ContactDetail)
	return ok && d.Kick() != ""
}

// whose names the device or the part that an event is about; own is true for
// our own contact. The name may come from the network.
func whose(e ua.Event) (name string, own bool) {
	switch d := e.Detail.(type) {
	case ua.ContactDetail:
		switch {
		case d.Own:
			return thisDevice, true
		case d.EarlierRun:
			return "earlier run", false
		}
		return hostOf(d.URI), false
	case ua.RegistrationDetail, ua.GRUUDetail:
		return thisDevice, true
	case ua.SubscriptionDetail:
		return "watching", false
	case ua.ActionDetail:
		return "regwatch", false
	case ua.FlowDetail:
		return "flow", false
	case ua.DocumentDetail, ua.RegistrationStateDetail:
		return "registrar", false
	case ua.FindingDetail:
		return string(d.Severity), false
	case ua.RequestDetail:
		return "request", false
	}
	return "", false
}

// told says what happened. Contacts are told in words of the screen's own, so
// that who did it always stands at the same place; everything else is told by
// its event.
func (a *app) told(e ua.Event) string {
	switch d := e.Detail.(type) {
	case ua.ContactDetail:
		text := d.Word() + byWhom(d.Origin)
		var more []string
		if d.Active() && d.Expires.Present && d.Origin != ua.OriginOtherDevice {
			more = append(more, "expires "+d.Expires.String())
		}
		if d.RetryAfter.Present {
			more = append(more, "retry after "+d.RetryAfter.String())
		}
		if d.Source == ua.FromPoll {
			more = append(more, "seen by a query")
		}
		if d.Kick() != "" {
			more = append(more, d.Evidence...)
		}
		if len(more) > 0 {
			text += ": " + strings.Join(more, ", ")
		}
		return text
	case ua.MissedDetail:
		return fmt.Sprintf("%d events were missed here", d.Count)
	}
	if e.Summary != "" {
		return e.Summary
	}
	return string(e.Kind())
}

// timelineRows draws the newest of events downwards, as many as there is room.
func (a *app) timelineRows(events []ua.Event, w, rows int) []string {
	l := list{count: len(events)}
	return l.draw(w, rows, noGutter, a.th, func(i, w int) string {
		return a.timelineRow(events[len(events)-1-i], timeBefore(events, i), w)
	})
}

// timeBefore is the time of the event before the i-th newest.
func timeBefore(events []ua.Event, i int) time.Time {
	if j := len(events) - 2 - i; j >= 0 {
		return events[j].Time
	}
	return time.Time{}
}

// timelineView is the list over the full height, with every event.
func (a *app) timelineView(w, rows int) []string {
	acc := a.account()
	events := acc.events
	out := []string{a.th.title(fmt.Sprintf("timeline: %d events, newest first, %s", len(events), a.clock), w)}
	return append(out, acc.timeline.draw(w, rows-1, narrowGutter, a.th, func(i, w int) string {
		return a.timelineRow(events[len(events)-1-i], timeBefore(events, i), w)
	})...)
}

// selectedEvent is the event under the mark of the timeline; nil: there is none.
func (a *account) selectedEvent() *ua.Event {
	if len(a.events) == 0 {
		return nil
	}
	return &a.events[len(a.events)-1-a.timeline.selected]
}

// eventPage is the page of the selected event.
func (a *app) eventPage() *pager {
	e := a.account().selectedEvent()
	if e == nil {
		return nil
	}
	return newPager("event", a.eventDetails(*e))
}

// eventNotify shows the NOTIFY behind the selected event.
func (a *app) eventNotify() *pager {
	e := a.account().selectedEvent()
	if e == nil {
		return nil
	}
	return a.notifyPager(e.Time)
}

// eventDetails is everything that an event holds, for the pager.
func (a *app) eventDetails(e ua.Event) []string {
	f := fields{th: a.th}
	f.add("what", a.told(e))
	f.add("when", e.Time.In(a.zone()).Format("2006-01-02 15:04:05.000000 -07:00"))
	f.add("in a sentence", e.Summary)
	if d, ok := e.Detail.(ua.ContactDetail); ok {
		for _, reason := range d.Evidence {
			f.add("evidence", reason)
		}
		if m, ok := ua.MeaningOf(d.Event); ok {
			f.add("means", fmt.Sprintf("%s (%s)", m.Means, m.Clause))
			f.add("asks", m.Asks)
		}
	}
	f.lines = append(f.lines, "", "as in the journal:")
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(e); err != nil {
		return append(f.lines, a.th.text(err.Error()))
	}
	for line := range strings.Lines(out.String()) {
		f.lines = append(f.lines, a.th.text(strings.TrimRight(line, "\n")))
	}
	return f.lines
}
