package tui

import (
	"fmt"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

// inProbation is alice off for so many seconds; act: she registers by herself
// after them.
func inProbation(seconds uint64, act bool, at time.Time) *ua.Snapshot {
	s := kicked(1, at)
	p := &s.Prompts[0]
	p.On, p.Policy, p.Decision = ua.KickProbation, ua.Ask, ua.Asked
	p.Contact.Event, p.Contact.RetryAfter = reginfo.Probation, reginfo.Num(seconds)
	if act {
		p.Policy, p.Decision, p.ActAt = ua.Auto, ua.Waiting, at.Add(time.Duration(seconds)*time.Second)
	}
	s.Bindings[0].Contact = p.Contact
	s.Registration.Reason = "probation by the network"
	return s
}

// A journey: the network sends this device away for a quarter of a minute. The
// time runs down in header and panel, also over a suspend of the machine, and when
// it is over the device comes back by itself.
func TestJourneyProbationWaitedOut(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(snapshot(), past()...)
	b.sees("✓ REGISTERED", "58:12 #########-")
	b.show(inProbation(15, true, b.at))
	b.sees("↻ PROBATION", "0:15 ##########", "KICKED", "(wait)")
	b.after(5 * time.Second)
	b.sees("0:10 ######----", "must wait; registers again by itself in 0:10, at 14:05:14")
	b.keys("l")
	b.sees("KICKED 14:04:59 probation by the network, registers in 0:09")
	b.keys("8")
	b.sees("↻ alice", "PROBATION", "register 0:08")
	b.keys("1")
	b.after(4 * time.Second) // the machine slept
	b.sees("↻ PROBATION", "0:03 ##--------")
	if !b.counts() {
		t.Error("no tick while a probation runs down")
	}
	s := snapshot()
	s.At, s.Registration.Since = b.at.Add(3*time.Second), b.at.Add(3*time.Second)
	s.Registration.ExpiresAt = b.at.Add(time.Hour)
	b.after(3 * time.Second)
	b.show(s)
	b.sees("✓ REGISTERED", "registered again at 14:05:14")
	b.seesNot("KICKED", "PROBATION")
	b.did()
}

// Left to the user, the time until which the network wants us away is shown all
// the same; R comes back before it.
func TestJourneyProbationCutShort(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.show(inProbation(90, false, b.at), past()...)
	b.sees("↻ PROBATION", "1:30 ##########")
	b.after(60 * time.Second)
	b.sees("0:30 ###-------", "register again after 90 s, that is at 14:06:29")
	b.key("R")
	b.did("alice register")
	b.after(31 * time.Second)
	b.sees("- UNREGISTERED")
	b.seesNot("PROBATION")
}

// A journey: one of two accounts is refused. It says so wherever it is looked for,
// with what the registrar said, and registers when told to.
func TestJourneyRejectedAccount(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Accounts = []string{"alice", "bob"} })
	b.show(snapshot(), past()...)
	b.show(rejected("bob"))
	b.sees("alice (1 of 2)", "✓ REGISTERED")
	b.keys("8")
	b.sees("accounts: 1 of 2 registered", " > ✓ alice", "   ✗ bob", "REFUSED", "R tries again")
	b.keys("j")
	b.sees("bob (2 of 2)", " > ✗ bob")
	b.keys("U")
	b.did("bob unregister") // what is sent goes out for the one under the mark
	b.keys("enter")
	b.sees("bob (2 of 2)", "✗ REFUSED", "403 Forbidden", "[1 overview]")
	b.keys("R")
	b.did("bob register")
	s := snapshot()
	s.Account, s.AOR = "bob", "sip:bob@example.net"
	s.Registration.State, s.Registration.ExpiresAt, s.Registration.Pending = ua.Registering, time.Time{}, true
	s.Registration.Slow = "sent 4 times, no answer for 7 s"
	b.show(s)
	b.sees("↻ REGISTERING", "sent 4 times, no answer for 7 s")
	b.keys("8")
	b.sees("↻ bob", "REGISTERING", "an answer")
	b.show(rejected("bob"))
	b.sees("✗ bob")
}

// A journey: two accounts, each with views of its own. What is pressed goes to the
// one that is looked at.
func TestJourneyTwoAccounts(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) { o.Accounts = []string{"alice", "bob"} })
	b.show(witnessed(), append(past(), ended()...)...)
	bob := snapshot()
	bob.Account, bob.AOR = "bob", "sip:bob@example.net"
	bob.GRUUs, bob.Registration.RefreshAt = nil, b.at.Add(30*time.Minute)
	b.show(bob)
	b.keys("4", "left")
	b.sees("document 3 of 4")
	b.keys("tab")
	b.sees("bob (2 of 2)", "none yet")
	b.keys("5")
	b.sees("none given to us")
	b.keys("Q", "O")
	b.did("bob query", "bob ping")
	b.keys("tab")
	b.sees("alice (1 of 2)", "GRUUs: 2, and 1 of the past")
	b.keys("4")
	b.sees("document 3 of 4") // as it was left
	for _, who := range []string{"alice@example.com", "bob@example.net"} {
		b.o.Trace.Add(trace.Message{Time: b.at, Raw: []byte("OPTIONS sip:x SIP/2.0\r\nCSeq: 1 OPTIONS\r\nTo: <sip:" + who + ">\r\n\r\n")})
	}
	b.keys("3", "f")
	b.sees("m this account only")
	b.keys("m")
	b.sees("messages: 1 of 2")
	b.keys("f")
	b.sees("m all accounts")
	b.keys("m")
	b.sees("messages: 2,")
	b.keys("8")
	b.sees(" > ✓ alice", "✓ bob", "refresh 29:")
	b.keys("G", "enter", "6")
	b.sees("bob (2 of 2)", "nothing disagrees")
	// A kick of the other one opens the panel here, and is answered there.
	s := kicked(1, b.at)
	b.show(s)
	b.sees("bob (2 of 2)", "alice KICKED")
	b.keys("R")
	b.did("alice register")
}

// Fifty accounts are a list like any other.
func TestFiftyAccounts(t *testing.T) {
	b := newBench(t, 80, 24, func(o *Options) {
		o.Accounts = nil
		for i := range 50 {
			o.Accounts = append(o.Accounts, fmt.Sprintf("account-%02d", i))
		}
	})
	for i := range 50 {
		s := snapshot()
		s.Account = fmt.Sprintf("account-%02d", i)
		if i == 37 {
			s = rejected(s.Account)
		}
		b.show(s)
	}
	b.keys("8")
	b.sees("accounts: 49 of 50 registered", "account-00", "account-16")
	b.seesNot("account-37")
	b.keys("G")
	b.sees("> ✓ account-49", "✗ account-37")
	b.keys("enter")
	b.sees("account-49 (50 of 50)")
}
