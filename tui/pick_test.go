package tui

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"regwatch/ua"
)

// A journey among 5,000 accounts: the title sums up, / finds one by name, f shows
// those that are off, or the worst first, and Enter goes to it.
func TestJourneyThousandsOfAccounts(t *testing.T) {
	const count = 5000
	b := newBench(t, 100, 24, func(o *Options) {
		o.Accounts = nil
		for i := range count {
			o.Accounts = append(o.Accounts, fmt.Sprintf("user%04d", i+1))
		}
	})
	states := func(i int) *ua.Snapshot {
		name := fmt.Sprintf("user%04d", i+1)
		s := snapshot()
		switch i {
		case 3210:
			s = rejected(name)
		case 1234:
			s.Registration.State = ua.Retrying
		}
		s.Account = name
		s.AOR = "sip:" + name + "@example.com"
		return s
	}
	for i := range count {
		b.show(states(i))
	}
	b.keys("8")
	b.sees("accounts: 4998 of 5000 registered", "user0001")
	b.seesNot("user3211", "user1235")

	b.keys("f", "w")
	b.sees("worst first", " > ✗ user3211", "user1235", "user0001")
	b.keys("f", "g", "f", "n")
	b.sees("2 shown", "user3211", "user1235")
	b.seesNot("user0001 ")
	b.keys("esc", "/", "u", "s", "e", "r", "4", "9", "9", "9", "enter")
	b.sees("1 shown", " > ✓ user4999")
	b.keys("enter")
	b.sees("user4999 (4999 of 5000)")

	b.keys("8", "/", "x", "x", "x", "enter")
	b.sees("no account is like that; Esc shows all")
	b.keys("esc")
	b.sees("user4999")
	b.seesNot("shown")

	var kick ua.Event
	for _, e := range past() {
		if d, ok := e.Detail.(ua.ContactDetail); ok && d.Kick() != "" {
			kick = e
		}
	}
	kick.Account = "user2500"
	b.show(states(2499), kick)
	b.keys("f", "k")
	b.sees("1 shown", "kicked: 1 ", "user2500")
}

// What is remembered of all accounts together is bounded.
func TestRememberedOfMany(t *testing.T) {
	for accounts, want := range map[int]int{0: keptEvents, 1: keptEvents, 50: keptEvents, 5000: keptAtAll, 100_000: keptAtAll, 500: 500} {
		if got := keptOf(accounts); got != want {
			t.Errorf("%d accounts: %d events each, want %d", accounts, got, want)
		}
	}
	a := newAccount("alice")
	a.keep = 100
	for i := range 1000 {
		a.add(ua.Event{Seq: uint64(i), Time: time.Unix(int64(i), 0), Detail: ua.FlowDetail{}})
	}
	if n := len(a.events); n < a.keep || n > a.keep+a.keep/4 || a.events[n-1].Seq != 999 {
		t.Errorf("%d events kept of %d", n, a.keep)
	}
	if !slices.IsSortedFunc(a.events, func(a, b ua.Event) int { return int(a.Seq) - int(b.Seq) }) {
		t.Error("out of order")
	}
}

// What gathers while the program is busy is merged at a cost that grows with it,
// and the newest snapshot of each account is left.
func TestMergeMany(t *testing.T) {
	update := func(at int64, names ...string) (u ua.Update) {
		for _, name := range names {
			u.Snapshots = append(u.Snapshots, &ua.Snapshot{Account: name, At: time.Unix(at, 0)})
		}
		return u
	}
	u := merge(merge(update(1, "a", "b"), update(2, "c", "a")), update(3, "b"))
	var got []string
	for _, s := range u.Snapshots {
		got = append(got, fmt.Sprint(s.Account, s.At.Unix()))
	}
	if want := []string{"a2", "b3", "c2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
