package tui

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/ua"
)

// whoWidth is the column of a timeline that says which device.
const whoWidth = 12

// timelineRow draws an event with what is told of it; before is the time of the
// event before it.
func (a *app) timelineRow(e ua.Event, told string, before time.Time, w int) string {
	if w < 56 {
		// No room to say which device: most texts tell.
		text := a.clock.moment(e.Time, a.zone()) + " "
		mark := ""
		if isKick(e) {
			mark = "! "
		}
		return text + cutEnd(mark+a.th.text(told), w-width(text))
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
	text := cutEnd(a.th.text(told), w-stampWidth-whoWidth-3)
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
	case ua.StartDetail, ua.ActionDetail:
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
func told(e ua.Event) string {
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
	case ua.FindingDetail:
		return strings.TrimPrefix(e.Summary, string(d.Severity)+" ") // which stands before it already
	case ua.MissedDetail:
		return plural.Count(d.Count, "event") + " missed here"
	}
	if e.Summary != "" {
		return e.Summary
	}
	return string(e.Kind())
}

// timelineRows draws the newest of the changes downwards, as many as there is
// room.
func (a *app) timelineRows(changes []change, w, rows int) []string {
	l := list{count: len(changes)}
	return l.draw(w, rows, noGutter, a.th, func(i, w int) string {
		j := len(changes) - 1 - i
		before := time.Time{}
		if j > 0 {
			before = changes[j-1].Time
		}
		return a.timelineRow(changes[j].Event, a.toldWhole(&changes[j]), before, w)
	})
}

// timeline is the view of what happened: the events that pass its filter, of one
// account or of all.
type timeline struct {
	shown []ua.Event // those that pass, oldest first
	at    list       // of shown, the newest first
	seen  uint64     // Seq of the newest when the first row was last selected

	kind     eventKind
	whose    string // "", ownEvents or othersEvents
	accounts bool   // of all
	query    string // that they contain, in lower case
}

// eventKind is what the filter of the timeline lets pass.
type eventKind string

const (
	everyEvent     eventKind = ""
	ofRegistration eventKind = "registration"
	ofContacts     eventKind = "contacts"
	ofKicks        eventKind = "kicks"
	ofGRUUs        eventKind = "GRUUs"
	ofDocuments    eventKind = "documents"
	ofFindings     eventKind = "findings"
	ofRequests     eventKind = "requests"
)

const (
	ownEvents    = "own"
	othersEvents = "not own"
)

// eventKinds says which kinds of event pass.
var eventKinds = map[eventKind][]ua.Kind{
	ofRegistration: {ua.KindRegistration, ua.KindSubscription, ua.KindFlow, ua.KindAction},
	ofContacts:     {ua.KindContact, ua.KindRegistrationState},
	ofGRUUs:        {ua.KindGRUU},
	ofDocuments:    {ua.KindDocument},
	ofFindings:     {ua.KindFinding, ua.KindDisagreement},
	ofRequests:     {ua.KindRequest},
}

// passes reports whether an event is one of those looked for; account is the one
// on the screen.
func (t *timeline) passes(e *ua.Event, account string) bool {
	if !t.accounts && e.Account != "" && e.Account != account {
		return false
	}
	if t.whose != "" {
		if _, own := whose(*e); own != (t.whose == ownEvents) {
			return false
		}
	}
	switch t.kind {
	case everyEvent:
	case ofKicks:
		if e.Kind() != ua.KindAction && !isKick(*e) {
			return false
		}
	default:
		if !slices.Contains(eventKinds[t.kind], e.Kind()) {
			return false
		}
	}
	if t.query == "" {
		return true
	}
	who, _ := whose(*e)
	return containsFold([]byte(who+" "+told(*e)+" "+e.Summary), t.query)
}

// add takes a new event.
func (t *timeline) add(e ua.Event, account string) {
	if !t.passes(&e, account) {
		return
	}
	t.shown = kept(append(t.shown, e), keptEvents)
	t.at.grow(1)
	t.at.set(len(t.shown))
	if t.at.selected == 0 {
		t.seen = e.Seq
	}
}

// selected is the event under the mark; nil: there is none.
func (t *timeline) selected() *ua.Event {
	if len(t.shown) == 0 {
		return nil
	}
	return &t.shown[len(t.shown)-1-min(t.at.selected, len(t.shown)-1)]
}

// fresh is how many came since the newest was last looked at.
func (t *timeline) fresh() int {
	i, _ := slices.BinarySearchFunc(t.shown, t.seen+1, func(e ua.Event, seq uint64) int { return cmp.Compare(e.Seq, seq) })
	return len(t.shown) - i
}

// retell fills the timeline anew after its filter or the account changed. What was
// selected stays so where it passes; else the one before it is.
func (a *app) retell() {
	t := &a.timeline
	was := t.selected()
	t.shown = nil
	for _, acc := range a.accounts {
		for i := range acc.events {
			// What concerns all is told to each.
			if e := &acc.events[i]; t.passes(e, a.account().name) && (e.Account != "" || acc == a.account()) {
				t.shown = append(t.shown, *e)
			}
		}
	}
	bySeq := func(a, b ua.Event) int { return cmp.Compare(a.Seq, b.Seq) }
	slices.SortStableFunc(t.shown, bySeq)
	t.at.set(len(t.shown))
	if n := len(t.shown); n > 0 {
		t.seen = t.shown[n-1].Seq
	}
	if was == nil {
		return
	}
	i, found := slices.BinarySearchFunc(t.shown, *was, bySeq)
	if !found {
		i--
	}
	t.at.selected = len(t.shown) - 1 - i
	t.at.clamp()
}

// timelineView is the list over the full height.
func (a *app) timelineView(w, rows int) []string {
	t := &a.timeline
	title := "timeline: " + plural.Count(len(t.shown), "event")
	if t.at.selected > 0 && t.fresh() > 0 {
		title += fmt.Sprintf(", %d new above", t.fresh())
	}
	if t.accounts && len(a.accounts) > 1 {
		title += ", of all accounts"
	}
	if t.whose != "" {
		title += ", " + t.whose
	}
	title += filterText(string(t.kind), t.query) + ", newest first, " + a.clock.String()
	out := []string{a.th.title(title, w)}
	if len(t.shown) == 0 && len(a.account().events) > 0 {
		return pad(append(out, "   "+cutEnd("none passes the filter: Esc shows all", w-3)), w, rows)
	}
	return append(out, t.at.draw(w, rows-1, narrowGutter, a.th, func(i, w int) string {
		j := len(t.shown) - 1 - i
		before := time.Time{}
		if j > 0 {
			before = t.shown[j-1].Time
		}
		text := told(t.shown[j])
		if t.accounts && len(a.accounts) > 1 && t.shown[j].Account != "" {
			text = t.shown[j].Account + ": " + text
		}
		return a.timelineRow(t.shown[j], text, before, w)
	})...)
}

// eventPage is the page of the selected event.
func (a *app) eventPage() *pager {
	e := a.timeline.selected()
	if e == nil {
		return nil
	}
	return newPager("event", a.eventDetails(*e))
}

// eventDetails is everything that an event holds, for the pager.
func (a *app) eventDetails(e ua.Event) []string {
	f := fields{th: a.th}
	f.add("what", told(e))
	f.add("when", e.Time.In(a.zone()).Format("2006-01-02 15:04:05.000000 -07:00"))
	f.add("in a sentence", e.Summary)
	if e.Message > 0 {
		f.add("told by", fmt.Sprintf("message %d (r shows it)", e.Message))
	}
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
