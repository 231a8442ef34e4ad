package tui

import (
	"slices"
	"time"

	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// What the screen remembers is bounded; the journal keeps everything.
const (
	keptEvents = 5000    // of one account, and in the timeline
	keptInAll  = 250_000 // of all accounts
	keptAtAll  = 50      // of each, however many there are
)

// keptOf is how many events of each account are remembered.
func keptOf(accounts int) int {
	return max(min(keptEvents, keptInAll/max(accounts, 1)), keptAtAll)
}

// account is what the screen knows of one account: the newest snapshot and the
// one on the screen (they differ while paused), its past, and where the user
// is in its lists.
type account struct {
	name  string
	live  *ua.Snapshot // nil before the first
	shown *ua.Snapshot

	events  []ua.Event // oldest first
	changes []change   // those that the overview shows, what belongs together in one
	found   []*found
	kicks   map[ua.Kick]int // nil: none
	keep    int             // events and changes that are remembered
	past    []pastGRUU      // that work no more, the newest first
	public  string          // our public GRUU, as last told

	// Of shown, so that no frame walks over all bindings.
	title string // of the list of bindings
	runs  bool   // something in it changes by time alone

	bindings, gruus, findings list
	document                  documentView
	truths                    truthsView
}

func newAccount(name string) *account {
	return &account{name: name, keep: keptEvents}
}

// found is a code of findings with how often it was met.
type found struct {
	ua.FindingDetail // the last one
	count            int
	first, last      time.Time
}

// show takes a snapshot onto the screen.
func (a *account) show(s *ua.Snapshot) {
	// The same contact stays selected though its row moves.
	if old := a.shown; old != nil && a.bindings.selected < len(old.Bindings) {
		was := &old.Bindings[a.bindings.selected]
		i := slices.IndexFunc(s.Bindings, func(b ua.Binding) bool { return b.AOR == was.AOR && sameContact(&b, was) })
		if i >= 0 {
			a.bindings.selected = i
		}
	}
	a.shown = s
	a.bindings.set(len(s.Bindings))
	a.title, a.runs = bindingsTitle(s), runs(s)
	a.countGRUUs()
}

// runs reports whether anything that a snapshot shows changes by time alone.
func runs(s *ua.Snapshot) bool {
	r, sub := &s.Registration, &s.Subscription
	for _, t := range []time.Time{r.ExpiresAt, r.RetryAt, sub.ExpiresAt, sub.RetryAt} {
		if !t.IsZero() {
			return true
		}
	}
	return s.Ping.URI != "" && s.Ping.Outcome == "" || slices.ContainsFunc(s.Bindings, func(b ua.Binding) bool { return !b.ExpiresAt.IsZero() })
}

// sameContact tells rows of two snapshots to be about one contact. Ours is
// ours, whatever it is called now.
func sameContact(a, b *ua.Binding) bool {
	if a.Own || b.Own {
		return a.Own && b.Own
	}
	return a.Contact.ID == b.Contact.ID && a.Contact.URI == b.Contact.URI
}

// add appends an event to the past.
func (a *account) add(e ua.Event) {
	a.events = kept(append(a.events, e), a.keep)
	if isChange(e) && !fold(a.changes, e) {
		a.changes = kept(append(a.changes, change{Event: e}), a.keep)
	}
	switch d := e.Detail.(type) {
	case ua.FindingDetail:
		a.addFinding(d, e.Time)
	case ua.GRUUDetail:
		a.addGRUU(d, e.Time)
	case ua.ContactDetail:
		if kick := d.Kick(); kick != "" {
			if a.kicks == nil {
				a.kicks = make(map[ua.Kick]int)
			}
			a.kicks[kick]++
		}
	}
}

func (a *account) addFinding(d ua.FindingDetail, at time.Time) {
	i := slices.IndexFunc(a.found, func(f *found) bool { return f.Code == d.Code })
	if i < 0 {
		a.found = append(a.found, &found{first: at})
		i = len(a.found) - 1
	}
	a.found[i].FindingDetail = d
	a.found[i].count++
	a.found[i].last = at
	slices.SortStableFunc(a.found, func(a, b *found) int { return rank(a.Severity) - rank(b.Severity) })
	a.findings.set(len(a.found))
}

// rank puts the worst first.
func rank(s finding.Severity) int {
	switch s {
	case finding.Error:
		return 0
	case finding.Warning:
		return 1
	}
	return 2
}

// kept drops the oldest events beyond the bound, a good many at a time so that
// appending stays cheap.
func kept[E any](events []E, most int) []E {
	if len(events) <= most+most/4 {
		return events
	}
	return slices.Clone(events[len(events)-most:])
}

// isChange picks what the overview tells: what happened to the registration,
// the subscription, the contacts and the way there. Documents and findings
// have places of their own.
func isChange(e ua.Event) bool {
	switch e.Kind() {
	case ua.KindStart, ua.KindDocument, ua.KindRegistrationState, ua.KindFinding:
		return false
	}
	return true
}
