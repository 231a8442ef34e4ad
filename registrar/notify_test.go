package registrar

import (
	"errors"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// TestAdministrator plays every action and reads what the subscriber is told.
func TestAdministrator(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		if got := words(t, p.one()); got != "full init" {
			t.Fatal(got)
		}
		version := uint64(0)
		next := func(want string) *reginfo.Document {
			t.Helper()
			d := p.one()
			if version++; d.Version.Value != version {
				t.Errorf("version %d, want %d", d.Version.Value, version)
			}
			if got := words(t, d); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			return d
		}
		bound := func() {
			t.Helper()
			p.register(200, "Contact: "+p.contact()+`;+sip.instance="<`+instance+`>"`, "Expires: 600")
			next("partial active registered")
		}
		bound()
		p.register(200, "Contact: "+p.contact()+`;+sip.instance="<`+instance+`>"`, "Expires: 600")
		next("partial active refreshed")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		must(l.Shorten("alice", "", 60*time.Second))
		if d := next("partial active shortened"); d.Registrations[0].Contacts[0].Expires.Value != 60 {
			t.Errorf("shortened: %+v", d.Registrations[0].Contacts[0])
		}
		if err := l.Shorten("alice", "", time.Hour); !errors.Is(err, ErrNoMatch) {
			t.Errorf("shortened to more: %v", err)
		}
		must(l.Deactivate("alice", "192.0.2.7"))
		next("partial terminated deactivated")
		if err := l.Deactivate("alice", ""); !errors.Is(err, ErrNoMatch) {
			t.Errorf("nothing left: %v", err)
		}
		bound()
		must(l.Probation(alice, instance, 30*time.Second))
		if d := next("partial terminated probation"); d.Registrations[0].Contacts[0].RetryAfter.Value != 30 {
			t.Errorf("probation: %+v", d.Registrations[0].Contacts[0])
		}
		bound()
		must(l.Expire("alice", ""))
		next("partial terminated expired")
		must(l.Create("alice", "sip:alice@192.0.2.9", time.Minute))
		next("partial active created")
		bound()
		if err := l.Deactivate("alice", "nothing like it"); !errors.Is(err, ErrNoMatch) {
			t.Errorf("no such contact: %v", err)
		}
		must(l.Remove("alice", "192.0.2.9"))
		if got := p.heard(); len(got) != 0 {
			t.Errorf("a silent removal was told: %s", got[0].Body)
		}
		must(l.Reject("alice"))
		next("partial terminated rejected")
		p.register(403, "Contact: "+p.contact())
		must(l.Allow("alice"))
		bound()
		time.Sleep(600 * time.Second)
		// The subscription ends before the binding, with the full state as it is then.
		n := p.heard()
		if len(n) != 1 || words(t, decode(t, n[0])) != "full active registered" || n[0].Headers.Get("Subscription-State") != "terminated;reason=timeout" {
			t.Errorf("at the end: %v", n)
		}
	})
}

func TestLapseIsTold(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		p.register(200, "Contact: "+p.contact(), "Expires: 60")
		p.heard()
		time.Sleep(59 * time.Second)
		p.register(200, "Contact: "+p.contact(), "Expires: 60")
		if got := words(t, p.one()); got != "partial active refreshed" {
			t.Error(got)
		}
		time.Sleep(59 * time.Second)
		if len(p.heard()) != 0 {
			t.Error("told too early")
		}
		time.Sleep(time.Second)
		d := p.one()
		if got := words(t, d); got != "partial terminated expired" {
			t.Error(got)
		}
		if c := d.Registrations[0].Contacts[0]; c.DurationRegistered.Value != 119 || c.Expires.Present {
			t.Errorf("got %+v", c)
		}
	})
}

func TestDialog(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phoneOver(wire.TCP, "192.0.2.7")
		p.register(200, "Contact: "+p.contact())
		to, ok := p.subscribe(200, "Event: reg;id=7", "Expires: 100")
		if ok.Headers.Get("Expires") != "100" || !strings.HasPrefix(ok.Headers.Get("Contact"), "<sip:") {
			t.Errorf("got %v", ok.Headers)
		}
		n := p.heard()
		if len(n) != 1 {
			t.Fatalf("%d NOTIFYs", len(n))
		}
		h := n[0].Headers
		if h.Get("Event") != "reg;id=7" || h.Get("Subscription-State") != "active;expires=100" || h.Get("From") != to ||
			h.Tag("To") != p.callID || h.Get("CSeq") != "1 NOTIFY" || n[0].URI != strings.Trim(p.contact(), "<>") {
			t.Errorf("got %s %v", n[0].URI, h)
		}
		p.subscribe(481, "To: <"+alice+">;tag=nobody", "Event: reg;id=7")
		p.subscribe(481, "To: "+to, "Event: reg")
		p.subscribe(489, "Event: presence")
		p.subscribe(423, "Expires: 3")
		p.subscribe(406, "Accept: application/pidf+xml")
		p.subscribe(500, "To: "+to, "Event: reg;id=7", "CSeq: 1 SUBSCRIBE")
		p.subscribe(200, "To: "+to, "Event: reg;id=7", "Expires: 50")
		if d := p.one(); d.Version.Value != 1 || d.State != reginfo.Full {
			t.Errorf("after a refresh: %v %s", d.Version, d.State)
		}
		p.subscribe(200, "To: "+to, "Event: reg;id=7", "Expires: 0")
		if n = p.heard(); len(n) != 1 || n[0].Headers.Get("Subscription-State") != "terminated;reason=timeout" {
			t.Errorf("the end: %v", n)
		}
		p.subscribe(481, "To: "+to, "Event: reg;id=7")
		// Proxies on the way stay on it (RFC 3261 12.1.1).
		p.subscribe(200, "Call-ID: routed", "Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>")
		if n = p.heard(); len(n) != 1 || len(n[0].Headers.Values("Route")) != 2 || n[0].Headers.Get("Route") != "<sip:p1.example.com;lr>" {
			t.Errorf("routed: %v", n)
		}
		// A fetch (RFC 6665 4.4.3).
		p.subscribe(200, "Expires: 0", "Call-ID: fetch")
		if n = p.heard(); len(n) != 1 || words(t, decode(t, n[0])) != "full active registered" {
			t.Errorf("fetch: %v", n)
		}
	})
}

func TestSubscriberThatIsGone(t *testing.T) {
	for name, answer := range map[string]int{"481": 481, "silence": 0} {
		t.Run(name, func(t *testing.T) {
			inLab(t, Options{}, func(l *lab) {
				p := l.phone("192.0.2.7")
				p.answer = answer
				to, _ := p.subscribe(200)
				time.Sleep(time.Minute)
				p.subscribe(481, "To: "+to)
			})
		})
	}
}

// TestInOrder lets many changes come at once: their NOTIFYs arrive in order, and
// none waits for the answer to the one before.
func TestInOrder(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		l.net.SetDelay(300*time.Millisecond, 0)
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		const count = 20
		for range count {
			if err := l.Create(alice, "sip:x@192.0.2.9", time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := l.Deactivate("alice", ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(700 * time.Millisecond) // one way, with the gaps between them
		got := p.heard()
		if len(got) != 2*count+1 {
			t.Fatalf("%d NOTIFYs", len(got))
		}
		for i, n := range got {
			if cseq, _, _ := n.Headers.CSeq(); int(cseq) != i+1 || decode(t, n).Version.Value != uint64(i) {
				t.Errorf("NOTIFY %d has CSeq %d", i, cseq)
			}
		}
	})
}

func TestMovedFlowIsTold(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		for _, uri := range []string{"sip:a@192.0.2.7", "sip:a@192.0.2.8"} {
			p.register(200, "Contact: <"+uri+`>;+sip.instance="<`+instance+`>";reg-id=1`)
		}
		n := p.heard()
		d := decode(t, n[len(n)-1])
		if got := words(t, d); got != "partial active unregistered registered" {
			t.Error(got)
		}
		c := d.Registrations[0].Contacts
		if c[0].ID == c[1].ID || c[1].RegID.Value != 1 {
			t.Errorf("got %+v", c)
		}
	})
}
