package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"regwatch/internal/plural"
	"regwatch/reginfo"
	"regwatch/ua"
)

const (
	// recapKicks bounds the kicks of an account that are told one by one at the end.
	recapKicks = 20
	// recapAccounts bounds the accounts that are. Of more than that it tells what they
	// come to, and those that were kicked or may have left a binding.
	recapAccounts = 20
)

// Recap gathers what is worth saying when the program ends. It needs no screen:
// whoever reads updates may feed one. The zero value is ready; its methods may
// be called from several goroutines.
type Recap struct {
	mu       sync.Mutex
	accounts []*recapAccount // as they came
	byName   map[string]*recapAccount
	missed   uint64
}

type recapAccount struct {
	name  string
	last  *ua.Snapshot
	kicks []recapKick // the newest recapKicks
	count int
	found []*found
}

type recapKick struct {
	at   time.Time
	word string
	by   ua.Origin
}

// Add takes in an update.
func (r *Recap) Add(u ua.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missed += u.Missed
	for _, s := range u.Snapshots {
		r.account(s.Account).last = s
	}
	for _, e := range u.Events {
		if e.Account == "" {
			continue
		}
		a := r.account(e.Account)
		switch d := e.Detail.(type) {
		case ua.ContactDetail:
			k := d.Kick()
			// One document tells of a kick under each identity of an implicit
			// registration set: that is one kick.
			if k == "" || slices.ContainsFunc(a.kicks, func(told recapKick) bool { return told.word == string(k) && told.at.Equal(e.Time) }) {
				continue
			}
			a.count++
			a.kicks = append(a.kicks, recapKick{e.Time, string(k), d.Origin})
			if len(a.kicks) > recapKicks {
				a.kicks = slices.Delete(a.kicks, 0, 1)
			}
		case ua.FindingDetail:
			a.find(d, e.Time, 1)
		}
	}
}

func (r *Recap) account(name string) *recapAccount {
	a := r.byName[name]
	if a == nil {
		if r.byName == nil {
			r.byName = make(map[string]*recapAccount)
		}
		a = &recapAccount{name: name}
		r.accounts, r.byName[name] = append(r.accounts, a), a
	}
	return a
}

// Summary tells it in a few lines for the normal screen: for each account its
// last state, its kicks with their times, the findings by code, and whether a
// binding was left and until when; then the lines of where, such as the paths
// of journal and trace. Many accounts are summed up. zone is that of the times; ascii
// keeps to ASCII. Text from the network is made visible.
func Summary(r *Recap, where []string, zone *time.Location, ascii bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if zone == nil {
		zone = time.Local
	}
	out := recapText{zone: zone, ascii: ascii}
	told := r.accounts
	if len(told) > recapAccounts {
		out.sum(told)
		told = slices.DeleteFunc(slices.Clone(told), func(a *recapAccount) bool {
			return a.count == 0 && (a.last == nil || leftBehind(a.last, zone) == noneLeft)
		})
	}
	for _, a := range told[:min(len(told), recapAccounts)] {
		out.account(a)
	}
	if more := len(told) - recapAccounts; more > 0 {
		out.write("and %s more: kicked, or may have left a binding", plural.Count(more, "account"))
	}
	if r.missed > 0 {
		out.line("missed", "%s went by too fast to be counted here", plural.Count(r.missed, "event"))
	}
	for _, w := range where {
		out.write("  %s", w)
	}
	return out.String()
}

// recapText is the text while it is written.
type recapText struct {
	strings.Builder
	zone  *time.Location
	ascii bool
}

func (t *recapText) write(format string, args ...any) {
	t.WriteString(visible(fmt.Sprintf(format, args...), t.ascii) + "\n")
}

func (t *recapText) line(name, format string, args ...any) {
	t.write("  %-9s %s", name, fmt.Sprintf(format, args...))
}

// sum tells what the accounts come to.
func (t *recapText) sum(accounts []*recapAccount) {
	var all recapAccount
	states := make(map[string]int)
	kicked := 0
	for _, a := range accounts {
		states[a.state()]++
		if a.count > 0 {
			kicked++
			all.count += a.count
		}
		for _, f := range a.found {
			all.find(f.FindingDetail, f.first, f.count)
		}
	}
	var words []string
	for _, state := range slices.Sorted(maps.Keys(states)) {
		words = append(words, fmt.Sprintf("%d %s", states[state], state))
	}
	t.write("%d accounts: %s", len(accounts), strings.Join(words, ", "))
	if all.count == 0 {
		t.line("kicks", "none")
	} else {
		t.line("kicks", "%d, of %d accounts", all.count, kicked)
	}
	t.findings(all.found)
}

func (t *recapText) account(a *recapAccount) {
	if a.last == nil {
		t.write("%s  %s", a.name, a.state())
	} else {
		state, r := a.state(), a.last.Registration
		if r.State != ua.Registered && r.Reason != "" {
			state += ": " + reason(r.Status, r.Reason)
		}
		t.write("%s  %s  %s", a.name, a.last.AOR, state)
	}
	if a.count == 0 {
		t.line("kicks", "none")
	}
	for i, k := range a.kicks {
		name := ""
		if i == 0 {
			name = "kicks"
			if more := a.count - len(a.kicks); more > 0 {
				t.line(name, "%d before these", more)
				name = ""
			}
		}
		t.line(name, "%s %s%s", k.at.In(t.zone).Format("2006-01-02 15:04:05.000"), ua.InWords(reginfo.ContactEvent(k.word)), byWhom(k.by))
	}
	t.findings(a.found)
	if a.last != nil {
		t.line("binding", "%s", leftBehind(a.last, t.zone))
	}
}

func (t *recapText) findings(all []*found) {
	slices.SortStableFunc(all, func(x, y *found) int { return rank(x.Severity) - rank(y.Severity) })
	for i, f := range all {
		name, times := "", ""
		if i == 0 {
			name = "findings"
		}
		if f.count > 1 {
			times = fmt.Sprintf(", %d times", f.count)
		}
		t.line(name, "%s %s (%s)%s", f.Severity, f.Code, f.Clause, times)
	}
}

// state is how the account was last, in a word or two.
func (a *recapAccount) state() string {
	if a.last == nil {
		return "never started"
	}
	word, _ := registrationWord(a.last.Registration.State)
	return strings.ToLower(word)
}

// find counts a finding.
func (a *recapAccount) find(d ua.FindingDetail, at time.Time, times int) {
	i := slices.IndexFunc(a.found, func(f *found) bool { return f.Code == d.Code })
	if i < 0 {
		a.found = append(a.found, &found{first: at})
		i = len(a.found) - 1
	}
	f := a.found[i]
	f.FindingDetail, f.last = d, at
	f.count += times
}

// noneLeft is the word for a binding that is gone.
const noneLeft = "none left"

// leftBehind says whether the registrar still holds a binding of ours, as far
// as we know.
func leftBehind(s *ua.Snapshot, zone *time.Location) string {
	r := s.Registration
	if r.ExpiresAt.IsZero() {
		return noneLeft
	}
	until := r.ExpiresAt.In(zone).Format("2006-01-02 15:04:05")
	switch r.State {
	case ua.Registered:
		return fmt.Sprintf("left until %s: %s", until, r.Contact)
	case ua.Unregistered:
		return noneLeft
	}
	return fmt.Sprintf("may be left until %s: %s", until, r.Contact)
}
