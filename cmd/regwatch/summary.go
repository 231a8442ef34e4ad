package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/plural"
	"regwatch/ua"
)

const (
	// mostLines is how many accounts have a line an event by default.
	mostLines = 50
	// summaryEvery is the time between two lines that sum up.
	summaryEvery = time.Second
)

// summary counts how accounts are, and what was done to them.
type summary struct {
	total int
	at    map[string]ua.RegistrationState // by account
	watch map[string]bool
	// Of them:
	states  map[ua.RegistrationState]int
	watched int
	kicks   map[ua.Kick]int // since the start
	missed  uint64
}

func newSummary(total int) *summary {
	return &summary{
		total: total, at: make(map[string]ua.RegistrationState, total), watch: make(map[string]bool, total),
		states: make(map[ua.RegistrationState]int), kicks: make(map[ua.Kick]int),
	}
}

// take counts an update.
func (s *summary) take(u ua.Update) {
	s.missed += u.Missed
	for _, snapshot := range u.Snapshots {
		name, state := snapshot.Account, snapshot.Registration.State
		s.states[s.at[name]]--
		s.states[state]++
		s.at[name] = state
		watched := snapshot.Subscription.State == ua.Active || snapshot.Subscription.State == ua.Polling
		if watched != s.watch[name] {
			s.watch[name] = watched
			s.watched--
			if watched {
				s.watched += 2
			}
		}
	}
	for _, e := range u.Events {
		if d, ok := e.Detail.(ua.ContactDetail); ok && d.Kick() != "" {
			s.kicks[d.Kick()]++
		}
	}
}

// String is the line without its time: what is 0 is left out, but for those
// registered and watched.
func (s *summary) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %d registered, %d watched", plural.Count(s.total, "account"), s.states[ua.Registered], s.watched)
	for _, state := range []ua.RegistrationState{ua.Registering, ua.Retrying, ua.Refused, ua.Failed, ua.Unregistering, ua.Unregistered} {
		if n := s.states[state]; n > 0 {
			fmt.Fprintf(&out, ", %d %s", n, state)
		}
	}
	var kicks []string
	sum := 0
	for _, kick := range ua.Kicks {
		if n := s.kicks[kick]; n > 0 {
			sum += n
			kicks = append(kicks, fmt.Sprintf("%d %s", n, kick))
		}
	}
	if sum > 0 {
		fmt.Fprintf(&out, "; %d kicked: %s", sum, strings.Join(kicks, ", "))
	}
	if s.missed > 0 {
		fmt.Fprintf(&out, "; %s missed", plural.Count(s.missed, "event"))
	}
	return out.String()
}

// pourSummary writes a line when the count has changed, at most one in summaryEvery
// and one at the end, and hands all events on as pour does. It returns when the
// group has ended.
func pourSummary(e *env, c *crew, written chan<- []ua.Event, decided <-chan struct{}) error {
	updates := make(chan ua.Update)
	given, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		defer close(updates)
		defer guard.Recover(c.panicked)
		for u := range c.group.Watch(given, 0) {
			select {
			case updates <- u:
			case <-given.Done():
				return
			}
		}
	}()
	count, last := newSummary(len(c.group.Accounts())), ""
	write := func() error {
		now := count.String()
		if now == last {
			return nil
		}
		last = now
		if _, err := fmt.Fprintf(e.stdout, "%s  %s\n", time.Now().Local().Format("15:04:05.000"), now); err != nil {
			return fmt.Errorf("write summary: %w", err)
		}
		return nil
	}
	ticker := time.NewTicker(summaryEvery)
	defer ticker.Stop()
	for {
		select {
		case u, more := <-updates:
			if !more {
				return write()
			}
			count.take(u)
			select {
			case written <- u.Events:
			case <-decided:
			}
		case <-ticker.C:
			if err := write(); err != nil {
				return err
			}
		}
	}
}
