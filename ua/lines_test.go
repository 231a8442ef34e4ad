package ua_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/registrar"
	"regwatch/ua"
)

var edgeHosts = []string{"192.0.2.2", "192.0.2.3"}

// edge passes bytes between its port and the registrar's, over TCP, until stop.
func (l *lab) edge(host string) (stop func()) {
	l.t.Helper()
	h := l.net.Host(host)
	listener, err := h.Listen(l.t.Context(), netip.AddrPortFrom(netip.MustParseAddr(host), 5060))
	if err != nil {
		l.t.Fatal(err)
	}
	go eachConn(listener, func(phone net.Conn) {
		inside, err := h.Dial(context.Background(), netip.AddrPort{}, netip.AddrPortFrom(l.addr(), 5060))
		if err != nil {
			return
		}
		back := make(chan struct{})
		go func() {
			defer close(back)
			io.Copy(phone, inside)
			phone.Close()
		}()
		io.Copy(inside, phone)
		inside.Close()
		<-back
	})
	return func() { listener.Close() }
}

// edgeUDP passes datagrams between its port and the registrar's, for each device from
// a port of its own, until stop.
func (l *lab) edgeUDP(host string) (stop func()) {
	l.t.Helper()
	h := l.net.Host(host)
	listen := func(port uint16) net.PacketConn {
		socket, err := h.ListenPacket(context.Background(), netip.AddrPortFrom(netip.MustParseAddr(host), port))
		if err != nil {
			l.t.Error(err)
		}
		return socket
	}
	pass := func(from net.PacketConn, to func(net.Addr) (net.PacketConn, net.Addr)) {
		for buffer := make([]byte, 65536); ; {
			n, peer, err := from.ReadFrom(buffer)
			if err != nil {
				return
			}
			socket, next := to(peer)
			socket.WriteTo(buffer[:n], next)
		}
	}
	outside, inside := listen(5060), make(map[string]net.PacketConn)
	registrar := net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.addr(), 5060))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pass(outside, func(phone net.Addr) (net.PacketConn, net.Addr) {
			if inside[phone.String()] == nil {
				socket := listen(0)
				inside[phone.String()] = socket
				go pass(socket, func(net.Addr) (net.PacketConn, net.Addr) { return outside, phone })
			}
			return inside[phone.String()], registrar
		})
	}()
	return func() {
		outside.Close()
		<-ended
		for _, socket := range inside {
			socket.Close()
		}
	}
}

// overTwo is alice over both edges.
func overTwo() ua.Account {
	a := account()
	for _, host := range edgeHosts {
		a.OutboundProxy = append(a.OutboundProxy, "sip:"+host+";transport=tcp;lr")
	}
	return a
}

// inTwoFlows runs f where alice is registered over two edges, and watches.
func inTwoFlows(t *testing.T, account ua.Account, f func(*lab, *run)) {
	t.Helper()
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		for _, host := range edgeHosts {
			defer l.edge(host)()
		}
		r := l.watch(phoneHost, "", account)
		defer r.close()
		r.awaitOwn(1, 2)
		f(l, r)
	})
}

// awaitOwn waits until documents list our bindings of those reg-ids, and no others
// of ours.
func (r *run) awaitOwn(regIDs ...uint64) {
	r.lab.t.Helper()
	for range 36000 {
		var own []uint64
		for _, b := range r.state("alice").Bindings {
			if b.Own && b.Active() {
				own = append(own, b.Contact.RegID.Value)
			}
		}
		if slices.Sort(own); slices.Equal(own, regIDs) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.lab.t.Fatalf("never listed by reg-id as %d\n%s", regIDs, r.story())
}

// bound are the bindings that have a reg-id, by that.
func (l *lab) bound() []registrar.Binding {
	out := slices.DeleteFunc(l.Bindings("alice"), func(b registrar.Binding) bool { return b.RegID == 0 })
	slices.SortFunc(out, func(b, other registrar.Binding) int { return cmp.Compare(b.RegID, other.RegID) })
	return out
}

func (l *lab) part(edge string) {
	l.net.Cut(netip.MustParseAddr(phoneHost), netip.MustParseAddr(edge))
}

func (l *lab) join(edge string) {
	l.net.Heal(netip.MustParseAddr(phoneHost), netip.MustParseAddr(edge))
}

// RFC 5626 4.2.1: a REGISTER over each, with the same instance, a Call-ID and a
// reg-id of its own; all of them are removed at the end.
func TestTwoFlows(t *testing.T) {
	account := overTwo()
	account.RegID = 7
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		for _, host := range edgeHosts {
			defer l.edge(host)()
		}
		dir := t.TempDir()
		r := l.watch(phoneHost, dir, account)
		r.awaitOwn(7, 8)
		bound := l.bound()
		if len(bound) != 2 || bound[0].Instance != bound[1].Instance || bound[0].CallID == bound[1].CallID || bound[0].URI == bound[1].URI {
			t.Errorf("bound: %+v", bound)
		}
		for _, flow := range []string{"flow 7", "flow 8"} {
			if !strings.Contains(r.story(), flow+": this device registered by us") {
				t.Errorf("not told of %s\n%s", flow, r.story())
			}
		}
		s := r.state("alice")
		if len(s.Flows) != 2 || !s.Flows[0].Holds() || !s.Flows[1].Holds() {
			t.Fatalf("shown: %+v", s.Flows)
		}
		for i, f := range s.Flows {
			if !strings.HasPrefix(f.Remote, edgeHosts[i]) || f.Registration.RegID != uint32(7+i) {
				t.Errorf("flow %d leads to %s under reg-id %d", i, f.Remote, f.Registration.RegID)
			}
		}
		text, _ := os.ReadFile(single(t, filepath.Join(dir, "*.json")))
		for _, b := range bound {
			if !strings.Contains(string(text), b.CallID) {
				t.Errorf("the state file lacks the Call-ID of reg-id %d:\n%s", b.RegID, text)
			}
		}
		time.Sleep(3 * time.Hour) // refreshes
		for i, b := range l.bound() {
			if b.RegID != bound[i].RegID || b.CallID != bound[i].CallID || b.CSeq <= bound[i].CSeq {
				t.Errorf("after refreshes: %+v, before: %+v", b, bound[i])
			}
		}
		if f := r.flows(); len(f) != 2 {
			t.Errorf("flows: %q", f)
		}
		for _, d := range all[ua.GRUUDetail](r) {
			if d.Change == ua.Invalidated && d.Cause == "the registrar no longer counts it" {
				t.Errorf("GRUU: %+v", d)
			}
		}
		r.close()
		if left := l.Bindings("alice"); len(left) != 0 {
			t.Errorf("left behind: %+v", left)
		}
		if k := r.kicks(); len(k) != 0 {
			t.Errorf("kicks: %+v", k)
		}
	})
}

func single(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(pattern)
	if len(found) != 1 {
		t.Fatalf("files: %q", found)
	}
	return found[0]
}

// A binding that a crash left over the second flow is known again, and replaced.
func TestTwoFlowsAfterACrash(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		for _, host := range edgeHosts {
			defer l.edge(host)()
		}
		dir := t.TempDir()
		r := l.watch(phoneHost, dir, overTwo())
		r.awaitOwn(1, 2)
		r.kill()
		before := l.bound()
		r = l.watch(phoneHost, dir, overTwo())
		defer r.close()
		r.awaitOwn(1, 2)
		time.Sleep(2 * time.Hour)
		if after := l.bound(); len(after) != 2 || after[0].CallID == before[0].CallID {
			t.Errorf("bound: %+v", after)
		}
		if k := r.kicks(); len(k) != 0 {
			t.Errorf("kicks: %+v", k)
		}
	})
}

// RFC 5626 4.5: one of two is cut, be it that which the subscription goes over or
// the other: no kick, the other holds and watches, and the cut one comes back by its
// own backoff, which begins from 90 s then.
func TestOneFlowOfTwoIsCut(t *testing.T) {
	for i, host := range edgeHosts {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			inTwoFlows(t, overTwo(), func(l *lab, r *run) {
				other := 1 - i
				held := l.bound()[other].CallID
				l.part(host)
				down := r.await("its flow is down", func(e ua.Event) bool {
					d, ok := e.Detail.(ua.FlowDetail)
					return ok && d.State == "down" && d.RegID == uint32(i+1)
				})
				failed := r.await("the attempt at once failed", func(e ua.Event) bool {
					d, ok := e.Detail.(ua.RegistrationDetail)
					return ok && d.State == ua.Retrying && d.RegID == uint32(i+1) && d.RetryIn > ua.Seconds(time.Second)
				})
				if d := failed.Detail.(ua.RegistrationDetail); d.RetryIn < ua.Seconds(90*time.Second) || d.RetryIn > ua.Seconds(180*time.Second) {
					t.Errorf("the first try after it waits %v", d.RetryIn)
				}
				if failed.Time.Sub(down.Time) > time.Minute {
					t.Errorf("the attempt at once took %v", failed.Time.Sub(down.Time))
				}
				time.Sleep(time.Second)
				s := r.state("alice")
				if s.Registration.State != ua.Registered || s.Registration.RegID != uint32(other+1) || s.Subscription.State != ua.Active || s.Flows[i].Holds() {
					t.Errorf("meanwhile: %+v, %+v", s.Registration, s.Subscription)
				}
				// What happens to the one that holds is heard meanwhile.
				uri := l.bound()[other].URI
				if err := l.Create("alice", "sip:alice@198.51.100.1", time.Hour); err != nil {
					t.Fatal(err)
				}
				r.await("another contact, told over the flow that holds", func(e ua.Event) bool {
					d, ok := e.Detail.(ua.ContactDetail)
					return ok && d.URI == "sip:alice@198.51.100.1" && e.Time.Sub(failed.Time) < time.Minute
				})
				l.join(host)
				healed := time.Now()
				r.await("it is back", func(e ua.Event) bool {
					d, ok := e.Detail.(ua.RegistrationDetail)
					return ok && d.State == ua.Registered && d.RegID == uint32(i+1)
				})
				if took := time.Since(healed); took > 3*time.Minute {
					t.Errorf("back after %v", took)
				}
				r.awaitOwn(1, 2)
				if b := l.bound()[other]; b.CallID != held || b.URI != uri {
					t.Errorf("the other was not held: %+v", b)
				}
				if k := r.kicks(); len(k) != 0 {
					t.Errorf("kicks: %+v\n%s", k, r.story())
				}
			})
		})
	}
}

// A binding that runs out while its flow is cut is no kick either; it is made again
// as soon as the cap of the backoff allows (RFC 5626 4.5).
func TestOneFlowOfTwoIsCutForHours(t *testing.T) {
	for i, host := range edgeHosts {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			inTwoFlows(t, overTwo(), func(l *lab, r *run) {
				l.part(host)
				time.Sleep(5 * time.Hour)
				if b := l.bound(); len(b) != 1 || b[0].RegID != uint32(2-i) {
					t.Errorf("bound: %+v", b)
				}
				r.awaitOwn(uint64(2 - i))
				l.join(host)
				healed := time.Now()
				r.awaitOwn(1, 2)
				if took := time.Since(healed); took > 31*time.Minute {
					t.Errorf("back after %v", took)
				}
				if k := r.kicks(); len(k) != 0 {
					t.Errorf("kicks: %+v\n%s", k, r.story())
				}
			})
		})
	}
}

// The first edge is dead when the device starts: the second serves, and the first
// comes in when it is there.
func TestFirstFlowComesLater(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		defer l.edge(edgeHosts[1])()
		r := l.watch(phoneHost, "", overTwo())
		defer r.close()
		r.awaitOwn(2)
		if s := r.state("alice"); s.Registration.State != ua.Registered || s.Subscription.State != ua.Active || s.Registration.RegID != 2 {
			t.Errorf("over the second: %+v, %+v", s.Registration, s.Subscription)
		}
		defer l.edge(edgeHosts[0])()
		r.awaitOwn(1, 2)
	})
}

// A kick of one binding is one kick, of that reg-id; the other stays, and so does
// what its REGISTER brought. The one is registered again by its policy.
func TestKickOfOneFlow(t *testing.T) {
	for i := range edgeHosts {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			account := overTwo()
			account.On = map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Ask}
			inTwoFlows(t, account, func(l *lab, r *run) {
				bound := l.bound()
				if err := l.Deactivate("alice", bound[i].URI); err != nil {
					t.Fatal(err)
				}
				if d := r.awaitKick(ua.KickDeactivated); d.RegID.Value != uint64(i+1) || !d.Own {
					t.Errorf("kick: %+v", d)
				}
				r.awaitAction(ua.Asked)
				time.Sleep(10 * time.Minute)
				s := r.state("alice")
				if s.Flows[i].Registration.State != ua.Unregistered || s.Flows[1-i].Registration.State != ua.Registered || len(s.Prompts) != 1 {
					t.Errorf("after the kick: %+v, prompts %+v", s.Flows, s.Prompts)
				}
				if !slices.ContainsFunc(s.GRUUs, func(g ua.GRUU) bool { return g.Usable && g.RegID == uint32(2-i) }) {
					t.Errorf("GRUUs: %+v", s.GRUUs)
				}
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				r.awaitOwn(1, 2)
				if s := r.state("alice"); len(s.Prompts) != 0 || len(r.kicks()) != 1 {
					t.Errorf("kicks %+v, open %+v", r.kicks(), s.Prompts)
				}
			})
		})
	}
}

// RFC 3261 10.2.3: a query lists all of our bindings, and each that it lacks is missed
// for its own flow, be it the one that the query went over or the other.
func TestQueryFindsOneFlowGone(t *testing.T) {
	for i := range edgeHosts {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			inTwoFlows(t, overTwo(), func(l *lab, r *run) {
				r.Do("alice", ua.Command{Verb: ua.DoQuery})
				r.await("all are there", func(e ua.Event) bool {
					return strings.HasSuffix(e.Summary, "queried: 2 contacts bound, flow 1 among them, flow 2 among them")
				})
				if err := l.Remove("alice", l.bound()[i].URI); err != nil {
					t.Fatal(err)
				}
				r.Do("alice", ua.Command{Verb: ua.DoQuery})
				if d := r.awaitKick(ua.KickAbsent); d.RegID.Value != uint64(i+1) || d.Source != ua.FromRegister {
					t.Errorf("told as %+v", d)
				}
				r.awaitAction(ua.Asked)
				s := r.state("alice")
				if s.Flows[i].Registration.State != ua.Unregistered || s.Flows[1-i].Registration.State != ua.Registered || len(s.Prompts) != 1 {
					t.Errorf("after the query: %+v, open %+v", s.Flows, s.Prompts)
				}
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				r.awaitOwn(1, 2)
				if len(r.kicks()) != 1 {
					t.Errorf("kicks %+v", r.kicks())
				}
			})
		})
	}
}

// All are kicked at once: a kick each.
func TestKickOfBothFlows(t *testing.T) {
	inTwoFlows(t, overTwo(), func(l *lab, r *run) {
		if err := l.Deactivate("alice", ""); err != nil {
			t.Fatal(err)
		}
		r.awaitKick(ua.KickDeactivated)
		r.awaitKick(ua.KickDeactivated)
		if s := r.state("alice"); len(s.Prompts) != 2 || len(s.GRUUs) != 1 || s.Prompts[0].ID == s.Prompts[1].ID {
			t.Errorf("open: %+v, GRUUs: %+v", s.Prompts, s.GRUUs)
		}
	})
}

// The user's word counts for both.
func TestUnregisterOfBothFlows(t *testing.T) {
	for _, verb := range []ua.Verb{ua.DoUnregister, ua.DoRemoveAll} {
		t.Run(fmt.Sprint(verb), func(t *testing.T) {
			inTwoFlows(t, overTwo(), func(l *lab, r *run) {
				r.Do("alice", ua.Command{Verb: verb})
				time.Sleep(time.Minute)
				if left := l.Bindings("alice"); len(left) != 0 {
					t.Errorf("bound: %+v", left)
				}
				time.Sleep(3 * time.Hour)
				if left := l.Bindings("alice"); len(left) != 0 || len(r.kicks()) != 0 {
					t.Errorf("later bound: %+v, kicks: %+v", left, r.kicks())
				}
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				r.awaitOwn(1, 2)
			})
		})
	}
}

// RFC 5626 4.2.1: where the registrar does not use it, the second binding may not be
// reached, and is removed.
func TestTwoFlowsWithoutOutbound(t *testing.T) {
	inLab(t, registrar.Options{Users: users, Profile: registrar.Kamailio}, func(l *lab) {
		for _, host := range edgeHosts {
			defer l.edge(host)()
		}
		r := l.watch(phoneHost, "", overTwo())
		defer r.close()
		r.awaitRegistration(ua.Unregistering)
		time.Sleep(3 * time.Hour)
		if bound := l.Bindings("alice"); len(bound) != 1 {
			t.Errorf("bound: %+v\n%s", bound, r.story())
		}
		if s := r.state("alice"); s.Registration.State != ua.Registered || len(r.kicks()) != 0 {
			t.Errorf("%+v, kicks: %+v", s.Registration, r.kicks())
		}
	})
}

// Over UDP both flows leave from one socket: the bindings are two all the same, one
// is cut and comes back, and all are removed in the end.
func TestTwoFlowsOverUDP(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		account := account()
		for _, host := range edgeHosts {
			defer l.edgeUDP(host)()
			account.OutboundProxy = append(account.OutboundProxy, "sip:"+host+";lr")
		}
		r := l.watch(phoneHost, "", account)
		r.awaitOwn(1, 2)
		if b := l.bound(); len(b) != 2 || b[0].URI == b[1].URI || b[0].CallID == b[1].CallID {
			t.Errorf("bound: %+v", b)
		}
		for i, host := range edgeHosts {
			l.part(host)
			r.await("its flow is down", func(e ua.Event) bool {
				d, ok := e.Detail.(ua.RegistrationDetail)
				return ok && d.State == ua.Retrying && d.RegID == uint32(i+1)
			})
			time.Sleep(10 * time.Minute)
			if s := r.state("alice"); s.Flows[i].Holds() || !s.Flows[1-i].Holds() || s.Subscription.State != ua.Active {
				t.Errorf("meanwhile: %+v, %s", s.Flows, s.Subscription.State)
			}
			l.join(host)
			time.Sleep(time.Hour)
			r.awaitOwn(1, 2)
		}
		r.close()
		if left := l.Bindings("alice"); len(left) != 0 || len(r.kicks()) != 0 {
			t.Errorf("left behind: %+v, kicks: %+v\n%s", left, r.kicks(), r.story())
		}
	})
}

// RFC 5626 4.2.1: sets of up to four.
func TestFourFlows(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		account := account()
		for n := range 4 {
			host := fmt.Sprint("192.0.2.", 10+n)
			defer l.edge(host)()
			account.OutboundProxy = append(account.OutboundProxy, "sip:"+host+";transport=tcp;lr")
		}
		r := l.watch(phoneHost, "", account)
		r.awaitOwn(1, 2, 3, 4)
		r.close()
		if left := l.Bindings("alice"); len(left) != 0 || len(r.kicks()) != 0 {
			t.Errorf("left behind: %+v, kicks: %+v", left, r.kicks())
		}
	})
}
