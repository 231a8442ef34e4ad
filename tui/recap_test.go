package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/ua"
)

func TestSummary(t *testing.T) {
	r := &Recap{}
	s := snapshot()
	r.Add(ua.Update{Snapshots: []*ua.Snapshot{s}, Events: past()})
	got := Summary(r, []string{"journal   /home/alice/journal.ndjson"}, time.UTC, false)
	want := `alice  sip:alice@example.com  registered
  kicks     2026-03-14 14:02:52.598 deactivated by the network
  findings  warning version-repeated (RFC 3680 5.1)
  binding   left until 2026-03-14 15:03:11: sip:alice@192.0.2.7:5060;ob
  journal   /home/alice/journal.ndjson
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}

	s = snapshot()
	s.Registration = ua.Registration{State: ua.Unregistered}
	r.Add(ua.Update{Snapshots: []*ua.Snapshot{s}})
	if got := Summary(r, nil, time.UTC, false); !strings.Contains(got, "unregistered\n") || !strings.Contains(got, "binding   none left") {
		t.Errorf("after unregistering:\n%s", got)
	}

	s = snapshot()
	s.Registration.State = ua.Unregistering
	r.Add(ua.Update{Snapshots: []*ua.Snapshot{s}})
	if got := Summary(r, nil, time.UTC, false); !strings.Contains(got, "may be left until") {
		t.Errorf("while unregistering:\n%s", got)
	}

	// A refusal of a refresh takes nothing off; one after a kick finds nothing left.
	s = snapshot()
	s.Registration.State = ua.Refused
	r.Add(ua.Update{Snapshots: []*ua.Snapshot{s}})
	if got := Summary(r, nil, time.UTC, false); !strings.Contains(got, "may be left until") {
		t.Errorf("refused while bound:\n%s", got)
	}
	s = kicked(1, noon)
	s.Registration.State = ua.Refused
	r.Add(ua.Update{Snapshots: []*ua.Snapshot{s}})
	if got := Summary(r, nil, time.UTC, false); !strings.Contains(got, "binding   none left") {
		t.Errorf("refused after a kick:\n%s", got)
	}

	for n := range 3 * recapKicks {
		// As under two identities of one registration set: one kick.
		kick := past()[6]
		kick.Time = kick.Time.Add(time.Duration(n+1) * time.Minute)
		r.Add(ua.Update{Events: []ua.Event{kick, kick}})
	}
	if got := Summary(r, nil, time.UTC, false); strings.Count(got, ".598 deactivated") != recapKicks || !strings.Contains(got, "41 before these") {
		t.Errorf("after many kicks:\n%s", got)
	}
	if got := Summary(&Recap{}, nil, nil, false); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

// Of hundreds it tells what they come to, and of those that were kicked or may have
// left a binding so many that they fit.
func TestSummaryOfManyAccounts(t *testing.T) {
	r := &Recap{}
	for n := range 300 {
		s := snapshot()
		s.Account = fmt.Sprintf("user%d", n+1)
		s.Registration = ua.Registration{State: ua.Unregistered}
		u := ua.Update{Snapshots: []*ua.Snapshot{s}}
		if n%10 == 0 {
			for _, e := range past() {
				e.Account = s.Account
				u.Events = append(u.Events, e)
			}
		}
		if n == 1 {
			s.Registration = snapshot().Registration
		}
		r.Add(u)
	}
	got := Summary(r, []string{"journal   /home/alice/journal.ndjson"}, time.UTC, false)
	head := `300 accounts: 1 registered, 299 unregistered
  kicks     30, of 30 accounts
  findings  warning version-repeated (RFC 3680 5.1), 30 times
user1  sip:alice@example.com  unregistered
  kicks     2026-03-14 14:02:52.598 deactivated by the network
  findings  warning version-repeated (RFC 3680 5.1)
  binding   none left
user2  sip:alice@example.com  registered
  kicks     none
  binding   left until 2026-03-14 15:03:11: sip:alice@192.0.2.7:5060;ob
`
	tail := `
and 11 accounts more: kicked, or may have left a binding
  journal   /home/alice/journal.ndjson
`
	if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || strings.Count(got, "sip:alice@example.com  ") != recapAccounts {
		t.Errorf("got\n%s", got)
	}
}
