package interop_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"regwatch/internal/interop"
	"regwatch/internal/trace"
	"regwatch/ua"
)

// overEdges is a phone with a flow over each of two edge proxies of Kamailio's (RFC 5626).
type overEdges struct {
	*phone
	registrar *interop.Kamailio
	edges     []*interop.Kamailio
}

func callOverEdges(t *testing.T, n int) overEdges {
	t.Helper()
	k := interop.Start(t, interop.Options{Outbound: true, AuthRegisterOnly: true, Domain: "example.test"})
	o := overEdges{registrar: k}
	account := ua.Account{AOR: k.AOR("alice")}
	for range n {
		edge := interop.Start(t, interop.Options{Upstream: k.Addr()})
		o.edges = append(o.edges, edge)
		account.OutboundProxy = append(account.OutboundProxy, edge.URI("tcp"))
	}
	o.phone = call(t, account)
	if n > 1 {
		o.holds(1, 2)
		o.settles()
		o.do(ua.DoRegister) // or a REGISTER of the two may stay untold
	}
	o.listed(n)
	o.settles()
	return o
}

// until waits for a state of the account.
func (o overEdges) until(what string, fits func(*ua.Snapshot) bool) {
	o.t.Helper()
	for limit := time.Now().Add(10 * time.Second); !fits(o.state()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			o.t.Fatalf("never: %s: %+v", what, o.state())
		}
	}
}

// holds waits until the flows of those reg-ids are registered, and no others, and we watch.
func (o overEdges) holds(regIDs ...uint32) {
	o.t.Helper()
	o.until(fmt.Sprint("over ", regIDs), func(s *ua.Snapshot) bool {
		var holding []uint32
		for _, f := range s.Flows {
			if f.Holds() {
				holding = append(holding, f.Registration.RegID)
			}
		}
		return slices.Equal(holding, regIDs) && s.Subscription.State == ua.Active
	})
}

// listed waits until documents list so many contacts of ours.
func (o overEdges) listed(n int) {
	o.t.Helper()
	o.until(fmt.Sprint(n, " listed"), func(s *ua.Snapshot) bool {
		return n == len(slices.DeleteFunc(slices.Clone(s.Bindings), func(b ua.Binding) bool { return !b.Own || !b.Active() }))
	})
}

// settles gives Kamailio the time to publish: what is done to a contact while a PUBLISH of its address-of-record is under
// way it tells nobody.
func (o overEdges) settles() { time.Sleep(500 * time.Millisecond) }

// bound are the contacts that the registrar has, by their reg-id.
func (o overEdges) bound() []interop.Contact {
	o.t.Helper()
	contacts, err := o.registrar.Contacts(o.registrar.AOR("alice"))
	if err != nil {
		o.t.Fatal(err)
	}
	slices.SortFunc(contacts, func(a, b interop.Contact) int { return cmp.Compare(a.RegID, b.RegID) })
	return contacts
}

// next reads on until an event fits. What is told of a kick meanwhile fails the test.
func (o overEdges) next(what string, fits func(ua.Event) bool) {
	o.t.Helper()
	o.await(what, func(e ua.Event) bool {
		if d, ok := e.Detail.(ua.ContactDetail); ok && d.Kick() != "" {
			o.t.Errorf("told as a kick: %s", e.Summary)
		}
		return fits(e)
	})
}

// A binding over each edge, with a reg-id and Call-ID of its own. An administrator takes off one of them, then both: a
// kick each, and the other one stays. In the end both are removed.
func TestKicksOverTwoEdges(t *testing.T) {
	t.Parallel()
	o := callOverEdges(t, 2)
	b := o.bound()
	if len(b) != 2 || b[0].RegID != 1 || b[1].RegID != 2 || b[0].Instance != b[1].Instance || b[0].CallID == b[1].CallID || b[0].Path == b[1].Path {
		t.Fatalf("bound: %+v", b)
	}
	for i, regID := range []uint32{1, 2} {
		if err := o.registrar.RemoveContact(o.registrar.AOR("alice"), o.bound()[i].Address); err != nil {
			t.Fatal(err)
		}
		if d := o.contact(true, "unregistered"); d.Kick() != ua.KickUnregistered || d.CallID != b[i].CallID {
			t.Errorf("reg-id %d, told as %+v", regID, d)
		}
		o.holds(3 - regID)
		o.do(ua.DoRegister)
		o.holds(1, 2)
		o.listed(2)
		o.settles()
	}
	if err := o.registrar.RemoveAOR(o.registrar.AOR("alice")); err != nil {
		t.Fatal(err)
	}
	o.contact(true, "unregistered")
	o.contact(true, "unregistered")
	if s := o.state(); len(s.Prompts) != 2 {
		t.Errorf("open: %+v", s.Prompts)
	}
	o.do(ua.DoRegister)
	o.holds(1, 2)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := o.Close(ctx, false); err != nil {
		t.Error(err)
	}
	if left := o.bound(); len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
}

// An edge goes, be it that which the subscription goes over or the other: no kick is told, the other binding holds, and
// what happens is told over that. The edge comes back: so does the flow, here at the user's word.
func TestOneEdgeOfTwoGoes(t *testing.T) {
	for i, regID := range []uint32{1, 2} {
		t.Run(fmt.Sprint(regID), func(t *testing.T) {
			t.Parallel()
			o := callOverEdges(t, 2)
			o.edges[i].Halt()
			o.next("its flow is down", func(e ua.Event) bool {
				d, ok := e.Detail.(ua.FlowDetail)
				return ok && d.State == "down" && d.RegID == regID
			})
			o.next("what follows", func(e ua.Event) bool {
				d, ok := e.Detail.(ua.RegistrationDetail)
				return ok && d.State == ua.Retrying && d.RegID == regID && d.RetryIn > ua.Seconds(80*time.Second) // RFC 5626 4.5
			})
			if err := o.registrar.AddContact(o.registrar.AOR("alice"), "sip:alice@192.0.2.7", time.Minute); err != nil {
				t.Fatal(err)
			}
			o.next("another device, told over the other edge", func(e ua.Event) bool {
				d, ok := e.Detail.(ua.ContactDetail)
				return ok && d.URI == "sip:alice@192.0.2.7"
			})
			if s := o.state(); s.Registration.State != ua.Registered || s.Registration.RegID != 3-regID || s.Subscription.State != ua.Active {
				t.Errorf("meanwhile: %+v, %+v", s.Registration, s.Subscription)
			}
			o.edges[i].Resume()
			o.do(ua.DoRegister)
			o.next("it is back", func(e ua.Event) bool {
				d, ok := e.Detail.(ua.RegistrationDetail)
				return ok && d.State == ua.Registered && d.RegID == regID
			})
			o.holds(1, 2)
			o.listed(2)
			b := slices.DeleteFunc(o.bound(), func(c interop.Contact) bool { return c.RegID == 0 })
			if len(b) != 2 || b[0].RegID != 1 || b[1].RegID != 2 {
				t.Errorf("bound: %+v", b)
			}
			if err := o.registrar.RemoveContact(o.registrar.AOR("alice"), b[i].Address); err != nil {
				t.Fatal(err)
			}
			if d := o.contact(true, "unregistered"); d.Kick() != ua.KickUnregistered || d.CallID != b[i].CallID {
				t.Errorf("told as %+v", d)
			}
		})
	}
}

// The only edge is started again, and knows no token of before: RFC 5626 4.3 has all of a dialog come over the flow that it
// began on, so that a new one has to take the place of the subscription.
func TestEdgeRestarts(t *testing.T) {
	t.Parallel()
	o := callOverEdges(t, 1)
	o.edges[0].Halt()
	o.edges[0].Resume()
	o.do(ua.DoRegister)
	o.until("over the new flow", func(s *ua.Snapshot) bool {
		return s.Registration.State == ua.Registered && s.Subscription.State == ua.Active && len(o.seen(trace.Sent, "SUBSCRIBE")) == 2
	})
	if err := o.registrar.RemoveContact(o.registrar.AOR("alice"), o.bound()[0].Address); err != nil {
		t.Fatal(err)
	}
	if d := o.contact(true, "unregistered"); d.Kick() != ua.KickUnregistered {
		t.Errorf("told as %+v", d)
	}
}
