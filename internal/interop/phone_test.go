package interop_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/eventschema"
	"regwatch/internal/interop"
	"regwatch/internal/trace"
	"regwatch/ua"
)

// phone is an agent on the machine's own network, for tests that give it commands.
type phone struct {
	*ua.Group
	t      *testing.T
	trace  *trace.Ring
	events chan ua.Event
	story  []string
	name   string
}

// call starts an agent. It ends without a word at the end of the test: by then nobody may be there to say it to.
func call(t *testing.T, account ua.Account) *phone {
	t.Helper()
	p := &phone{t: t, trace: trace.NewRing(1000), events: make(chan ua.Event, 10000)}
	p.Group = ua.NewGroup(ua.Options{Version: "interop", Trace: p.trace})
	if account.HA1 == "" {
		account.Password = func() (string, error) { return interop.Password, nil }
	}
	if err := p.Start(account); err != nil {
		t.Fatal(err)
	}
	p.name = p.Accounts()[0]
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for update := range p.Watch(context.Background(), 0) {
			eventschema.Events(t, update.Events...)
			for _, e := range update.Events {
				p.events <- e
			}
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Close(ctx, true)
		<-watched
	})
	return p
}

// do gives the agent a command.
func (p *phone) do(verb ua.Verb) { p.Do(p.name, ua.Command{Verb: verb}) }

// await returns the next event that fits.
func (p *phone) await(what string, fits func(ua.Event) bool) ua.Event {
	p.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case e := <-p.events:
			p.story = append(p.story, fmt.Sprintf("%s %-12s %s", e.Time.Format("15:04:05.000"), e.Kind(), e.Summary))
			if fits(e) {
				return e
			}
		case <-limit:
			p.t.Fatalf("never came: %s\n%s", what, strings.Join(p.story, "\n"))
		}
	}
}

// registration waits until the registration is in a state because of an answer.
func (p *phone) registration(state ua.RegistrationState, status int) ua.RegistrationDetail {
	p.t.Helper()
	return p.await(fmt.Sprintf("%s by %d", state, status), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.RegistrationDetail)
		return ok && d.State == state && d.Status == status
	}).Detail.(ua.RegistrationDetail)
}

// registered waits for a registration and checks what was granted.
func (p *phone) registered(seconds int) {
	p.t.Helper()
	d := p.registration(ua.Registered, 200)
	if got := time.Duration(d.Expires).Round(time.Second); got != time.Duration(seconds)*time.Second {
		p.t.Errorf("granted %v, want %d s", got, seconds)
	}
}

func (p *phone) subscription(state ua.SubscriptionState) ua.SubscriptionDetail {
	p.t.Helper()
	return p.await("subscription "+string(state), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.SubscriptionDetail)
		return ok && d.State == state
	}).Detail.(ua.SubscriptionDetail)
}

// contact waits for an event of a contact, ours or not.
func (p *phone) contact(own bool, events ...string) ua.ContactDetail {
	p.t.Helper()
	return p.await(fmt.Sprintf("a contact %v, own: %v", events, own), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.ContactDetail)
		return ok && d.Own == own && slices.Contains(events, string(d.Event))
	}).Detail.(ua.ContactDetail)
}

// state is the account as it is now.
func (p *phone) state() *ua.Snapshot {
	for update := range p.Watch(p.t.Context(), 0) {
		if len(update.Snapshots) > 0 { // else it has only just begun
			return update.Snapshots[0]
		}
	}
	p.t.Fatal("no snapshot")
	return nil
}

func (p *phone) gruu(change ua.GRUUChange, uri string) {
	p.t.Helper()
	p.await(fmt.Sprintf("%s %s", uri, change), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.GRUUDetail)
		return ok && d.Change == change && d.URI == uri
	})
}

// gruus lists the GRUUs that there are now.
func (p *phone) gruus() string {
	p.t.Helper()
	var list []string
	for _, g := range p.state().GRUUs {
		entry := string(g.Type) + " " + g.URI
		if !g.Usable {
			entry += " unusable"
		}
		list = append(list, entry)
	}
	return strings.Join(list, ", ")
}

// seen lists the messages of the wire, in or out, whose first line begins so.
func (p *phone) seen(direction trace.Direction, start string) []trace.Message {
	var list []trace.Message
	for _, m := range p.trace.Messages() {
		if m.Direction == direction && strings.HasPrefix(m.StartLine(), start) {
			list = append(list, m)
		}
	}
	return list
}
