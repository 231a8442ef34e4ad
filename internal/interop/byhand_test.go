package interop_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"regwatch/internal/interop"
	"regwatch/ua"
)

// Requests by hand at a registrar that is not ours: each gets its answer, is told
// as our own doing, and leaves us registered and subscribed or not as it should;
// none is a kick.
func TestByHandAtKamailio(t *testing.T) {
	t.Parallel()
	k := interop.Start(t, interop.Options{Algorithm: "SHA-256", Outbound: true})
	g := ua.NewGroup(ua.Options{})
	if err := g.Start(ua.Account{
		AOR: k.AOR("alice"), OutboundProxy: []string{k.URI("udp")},
		Password: func() (string, error) { return interop.Password, nil },
	}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var story []string
	var state *ua.Snapshot
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for update := range g.Watch(context.Background(), 0) {
			mu.Lock()
			for _, s := range update.Snapshots {
				state = s
			}
			for _, e := range update.Events {
				story = append(story, fmt.Sprintf("%s %s", e.Kind(), e.Summary))
				if d, ok := e.Detail.(ua.ContactDetail); ok && d.Kick() != "" {
					t.Errorf("a kick: %+v", d)
				}
			}
			mu.Unlock()
		}
	}()
	until := func(what string, holds func(*ua.Snapshot) bool) {
		t.Helper()
		for range 200 {
			mu.Lock()
			ok := state != nil && holds(state)
			mu.Unlock()
			if ok {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("never: %s\n%+v\n%s", what, state.Registration, strings.Join(story, "\n"))
	}
	listed := func(s *ua.Snapshot) bool {
		for _, b := range s.Bindings {
			if b.Own && b.Active() {
				return true
			}
		}
		return false
	}
	until("watching", func(s *ua.Snapshot) bool { return s.Subscription.State == ua.Active })
	until("registered and listed", func(s *ua.Snapshot) bool { return s.Registration.State == ua.Registered && listed(s) })
	const other = "sip:bot@192.0.2.20:5080"
	for _, c := range []struct {
		name    string
		what    ua.ByHand
		outcome string
		state   ua.RegistrationState
	}{
		{"as the agent", ua.ByHand{}, "200 ", ua.Registered},
		{"five minutes", ua.ByHand{Expires: "300"}, "200 ", ua.Registered},
		{"no number", ua.ByHand{Expires: "abc"}, "", ua.Registered},
		{"query", ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut}, "200 ", ua.Registered},
		{"another", ua.ByHand{Contacts: []string{"<" + other + ">;q=0.3"}, Expires: "60"}, "200 ", ua.Registered},
		{"another, off", ua.ByHand{Contacts: []string{"<" + other + ">"}, Expires: "0"}, "200 ", ua.Registered},
		{"lower CSeq", ua.ByHand{CSeq: "-3"}, "", ua.Registered},
		{"another Call-ID", ua.ByHand{CallID: ua.FreshCallID}, "200 ", ua.Registered},
		{"none", ua.ByHand{Credentials: ua.CredentialsNone}, "401 ", ua.Registered},
		{"wrong", ua.ByHand{Credentials: ua.CredentialsWrong}, "401 ", ua.Registered},
		{"stale", ua.ByHand{Credentials: ua.CredentialsStale}, "200 ", ua.Registered},
		{"no hops left", ua.ByHand{Headers: []string{"Max-Forwards: 0"}}, "483 ", ua.Registered},
		{"star with a time", ua.ByHand{Contacts: []string{"*"}}, "400 ", ua.Registered}, // a 500 comes behind it
		{"off", ua.ByHand{Expires: "0"}, "200 ", ua.Unregistered},
		{"on", ua.ByHand{}, "200 ", ua.Registered},
		{"star", ua.ByHand{Contacts: []string{"*"}, Expires: "0"}, "200 ", ua.Unregistered},
		{"on again", ua.ByHand{}, "200 ", ua.Registered},
	} {
		x, err := g.Send(t.Context(), "alice", c.what)
		if err != nil || !strings.HasPrefix(x.Outcome, c.outcome) {
			t.Errorf("%s: %v, %s", c.name, err, x.Outcome)
		}
		t.Logf("%s: %s, %d contacts listed", c.name, x.Outcome, len(x.Contacts))
		until(c.name, func(s *ua.Snapshot) bool {
			return s.Registration.State == c.state && listed(s) == (c.state == ua.Registered)
		})
	}
	for _, c := range []struct {
		name    string
		what    ua.ByHand
		outcome string
		state   ua.SubscriptionState
	}{
		{"refresh", ua.ByHand{Expires: "600"}, "200 ", ua.Active},
		{"another event", ua.ByHand{Event: "nobody-knows-this"}, "489 ", ua.Active},
		{"wrong", ua.ByHand{Credentials: ua.CredentialsWrong, CallID: ua.FreshCallID}, "", ua.Active},
		{"second", ua.ByHand{CallID: "second", Expires: "60"}, "200 ", ua.Active},
		{"second, off", ua.ByHand{CallID: "second", Expires: "0"}, "200 ", ua.Active},
		{"fetch", ua.ByHand{CallID: ua.FreshCallID, Expires: "0"}, "200 ", ua.Active},
		{"off", ua.ByHand{Expires: "0"}, "200 ", ua.Terminated},
		{"on", ua.ByHand{}, "200 ", ua.Active},
	} {
		c.what.Method = ua.MethodSubscribe
		x, err := g.Send(t.Context(), "alice", c.what)
		if err != nil || !strings.HasPrefix(x.Outcome, c.outcome) {
			t.Errorf("SUBSCRIBE, %s: %v, %s", c.name, err, x.Outcome)
		}
		t.Logf("SUBSCRIBE, %s: %s", c.name, x.Outcome)
		time.Sleep(100 * time.Millisecond) // its NOTIFY may come behind
		until(c.name, func(s *ua.Snapshot) bool { return s.Subscription.State == c.state })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := g.Close(ctx, false); err != nil {
		t.Error(err)
	}
	<-ended
	if contacts, err := k.Contacts(k.AOR("alice")); err != nil || len(contacts) != 0 {
		t.Errorf("left behind: %v, %v", contacts, err)
	}
	if t.Failed() {
		t.Log(strings.Join(story, "\n"))
	}
}
