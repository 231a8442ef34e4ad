package ua_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/ua"
)

const (
	registrarHost = "192.0.2.1"
	phoneHost     = "192.0.2.7"
	otherHost     = "203.0.113.9"
)

// lab is a registrar and the agents of a test, in a network in memory and, but
// for TestWireOrder and the like, in virtual time.
type lab struct {
	*registrar.Registrar
	t       *testing.T
	net     *memnet.Net
	options registrar.Options
	host    string           // of the registrar; "" is registrarHost
	clock   func() time.Time // of the agents; nil: the network's
}

// inLab runs f in virtual time; whatever goroutine is left at its end fails the
// test.
func inLab(t *testing.T, o registrar.Options, f func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, net: memnet.New(), options: o}
		l.net.Name("example.com", netip.MustParseAddr(registrarHost))
		l.start()
		defer func() { l.Registrar.Close() }()
		f(l)
	})
}

func (l *lab) start() {
	l.t.Helper()
	o := l.options
	o.Network = l.net.Host(l.addr().String())
	at := netip.AddrPortFrom(l.addr(), 5060)
	o.Listen = []registrar.Listen{{Transport: wire.UDP, Addr: at}, {Transport: wire.TCP, Addr: at}}
	o.Listen = append(o.Listen, registrar.Listen{Transport: wire.WS, Addr: netip.AddrPortFrom(at.Addr(), 80)})
	if o.TLS != nil {
		o.Listen = append(o.Listen, registrar.Listen{Transport: wire.TLS, Addr: netip.AddrPortFrom(at.Addr(), 5061)},
			registrar.Listen{Transport: wire.WSS, Addr: netip.AddrPortFrom(at.Addr(), 443)})
	}
	r, err := registrar.Start(l.t.Context(), o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.Registrar = r
}

// addr is where the registrar lives.
func (l *lab) addr() netip.Addr {
	if l.host == "" {
		return netip.MustParseAddr(registrarHost)
	}
	return netip.MustParseAddr(l.host)
}

// run is a group of agents and everything that it told.
type run struct {
	*ua.Group
	lab   *lab
	host  *memnet.Host
	trace *trace.Ring

	mu     sync.Mutex
	events []ua.Event
	states map[string]*ua.Snapshot
	seen   int // events up to here were looked at by await
	ended  chan struct{}
}

// account is alice as most tests have her.
func account() ua.Account {
	return ua.Account{AOR: "sip:alice@example.com", Password: func() (string, error) { return "secret", nil }}
}

var users = map[string]string{"alice": "secret", "bob": "hidden"}

// watch starts agents on a host. They are closed at the end of the test's
// function by close, or by kill as a crash would.
func (l *lab) watch(host, stateDir string, accounts ...ua.Account) *run {
	l.t.Helper()
	h := l.net.Host(host)
	r := l.watchOver(h, stateDir, accounts...)
	r.host = h
	return r
}

// watchOver starts agents on any network.
func (l *lab) watchOver(network wire.Network, stateDir string, accounts ...ua.Account) *run {
	l.t.Helper()
	r := &run{lab: l, trace: trace.NewRing(10000), states: make(map[string]*ua.Snapshot), ended: make(chan struct{})}
	r.Group = ua.NewGroup(ua.Options{Network: network, StateDir: stateDir, Version: "test", Trace: r.trace, Now: l.clock})
	if err := r.Start(accounts...); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		for update := range r.Watch(context.Background(), 0) {
			r.mu.Lock()
			r.events = append(r.events, update.Events...)
			for _, s := range update.Snapshots {
				r.states[s.Account] = s
			}
			r.mu.Unlock()
		}
	}()
	return r
}

// close says goodbye as the program does: 3 s at most.
func (r *run) close() {
	r.lab.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := r.Close(ctx, false); err != nil {
		r.lab.t.Errorf("close: %v", err)
	}
	<-r.ended
}

// kill ends the run without a word, as kill -9 does.
func (r *run) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.Close(ctx, true)
	<-r.ended
}

// await lets time pass until an event fits that no await saw before, and fails
// the test after an hour of virtual time.
func (r *run) await(what string, fits func(ua.Event) bool) ua.Event {
	r.lab.t.Helper()
	for range 36000 {
		synctest.Wait()
		r.mu.Lock()
		for r.seen < len(r.events) {
			e := r.events[r.seen]
			r.seen++
			if fits(e) {
				r.mu.Unlock()
				return e
			}
		}
		r.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
	r.lab.t.Fatalf("never came: %s\n%s", what, r.story())
	panic("unreachable")
}

// story is what happened, for the report of a test that failed.
func (r *run) story() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out strings.Builder
	for _, e := range r.events {
		fmt.Fprintf(&out, "  %s %-12s %s\n", e.Time.Format("15:04:05.000"), e.Kind(), e.Summary)
	}
	return out.String()
}

// all returns the details of one type, in order.
func all[D ua.Detail](r *run) []D {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []D
	for _, e := range r.events {
		if d, ok := e.Detail.(D); ok {
			out = append(out, d)
		}
	}
	return out
}

func (r *run) state(account string) *ua.Snapshot {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[account]
}

func (r *run) awaitRegistration(state ua.RegistrationState) ua.RegistrationDetail {
	r.lab.t.Helper()
	return r.await("registration "+string(state), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.RegistrationDetail)
		return ok && d.State == state
	}).Detail.(ua.RegistrationDetail)
}

func (r *run) awaitSubscription(state ua.SubscriptionState) ua.SubscriptionDetail {
	r.lab.t.Helper()
	return r.await("subscription "+string(state), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.SubscriptionDetail)
		return ok && d.State == state
	}).Detail.(ua.SubscriptionDetail)
}

// awaitKick waits for a contact event on our own contact that is not our doing.
func (r *run) awaitKick(kick ua.Kick) ua.ContactDetail {
	r.lab.t.Helper()
	return r.await("kick "+string(kick), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.ContactDetail)
		return ok && d.Kick() == kick
	}).Detail.(ua.ContactDetail)
}

func (r *run) awaitAction(decision ua.Decision) ua.ActionDetail {
	r.lab.t.Helper()
	return r.await("action "+string(decision), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.ActionDetail)
		return ok && d.Decision == decision
	}).Detail.(ua.ActionDetail)
}

func (r *run) kicks() []ua.ContactDetail {
	var out []ua.ContactDetail
	for _, d := range all[ua.ContactDetail](r) {
		if d.Kick() != "" {
			out = append(out, d)
		}
	}
	return out
}

// watching waits for a first registration and subscription.
func (r *run) watching() {
	r.lab.t.Helper()
	r.awaitRegistration(ua.Registered)
	r.awaitSubscription(ua.Active)
	r.await("a document that lists us", func(e ua.Event) bool {
		d, ok := e.Detail.(ua.ContactDetail)
		return ok && d.Own && d.State == "active"
	})
}
