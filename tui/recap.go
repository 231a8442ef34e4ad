package tui

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"regwatch/ua"
)

// recapKicks bounds the kicks that are told one by one at the end.
const recapKicks = 20

// Recap gathers what is worth saying when the program ends. It needs no screen:
// whoever reads updates may feed one. The zero value is ready; its methods may
// be called from several goroutines.
type Recap struct {
	mu       sync.Mutex
	accounts []*recapAccount
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
			i := slices.IndexFunc(a.found, func(f *found) bool { return f.Code == d.Code })
			if i < 0 {
				a.found = append(a.found, &found{first: e.Time})
				i = len(a.found) - 1
			}
			a.found[i].FindingDetail = d
			a.found[i].count++
			a.found[i].last = e.Time
		}
	}
}

func (r *Recap) account(name string) *recapAccount {
	for _, a := range r.accounts {
		if a.name == name {
			return a
		}
	}
	a := &recapAccount{name: name}
	r.accounts = append(r.accounts, a)
	return a
}

// Summary tells it in a few lines for the normal screen: for each account its
// last state, its kicks with their times, the findings by code, and whether a
// binding was left and until when; then the lines of where, such as the paths
// of journal and trace. zone is that of the times; ascii keeps to ASCII. Text
// from the network is made visible.
func Summary(r *Recap, where []string, zone *time.Location, ascii bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if zone == nil {
		zone = time.Local
	}
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "  %-9s %s\n", name, visible(fmt.Sprintf(format, args...), ascii))
	}
	for _, a := range r.accounts {
		state := "never started"
		if a.last != nil {
			word, _ := registrationWord(a.last.Registration.State)
			state = strings.ToLower(word)
			if why := reason(a.last.Registration.Status, a.last.Registration.Reason); a.last.Registration.State != ua.Registered && a.last.Registration.Reason != "" {
				state += ": " + why
			}
			out.WriteString(visible(fmt.Sprintf("%s  %s  %s", a.name, a.last.AOR, state), ascii) + "\n")
		} else {
			out.WriteString(visible(a.name+"  "+state, ascii) + "\n")
		}
		if a.count == 0 {
			line("kicks", "none")
		}
		for i, k := range a.kicks {
			name := ""
			if i == 0 {
				name = "kicks"
				if more := a.count - len(a.kicks); more > 0 {
					line(name, "%d before these", more)
					name = ""
				}
			}
			line(name, "%s %s%s", k.at.In(zone).Format("2006-01-02 15:04:05.000"), k.word, byWhom(k.by))
		}
		slices.SortStableFunc(a.found, func(x, y *found) int { return rank(x.Severity) - rank(y.Severity) })
		for i, f := range a.found {
			name, times := "", ""
			if i == 0 {
				name = "findings"
			}
			if f.count > 1 {
				times = fmt.Sprintf(", %d times", f.count)
			}
			line(name, "%s %s (%s)%s", f.Severity, f.Code, f.Clause, times)
		}
		if a.last != nil {
			line("binding", "%s", leftBehind(a.last, zone))
		}
	}
	if r.missed > 0 {
		line("missed", "%d events went by too fast to be counted here", r.missed)
	}
	for _, w := range where {
		out.WriteString("  " + visible(w, ascii) + "\n")
	}
	return out.String()
}

// leftBehind says whether the registrar still holds a binding of ours, as far
// as we know.
func leftBehind(s *ua.Snapshot, zone *time.Location) string {
	r := s.Registration
	if r.ExpiresAt.IsZero() {
		return "none left"
	}
	until := r.ExpiresAt.In(zone).Format("2006-01-02 15:04:05")
	switch r.State {
	case ua.Registered:
		return fmt.Sprintf("left until %s: %s", until, r.Contact)
	case ua.Unregistered:
		return "none left"
	}
	return fmt.Sprintf("may be left until %s: %s", until, r.Contact)
}
