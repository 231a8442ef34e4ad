package registrar

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

func TestKamailio(t *testing.T) {
	inLab(t, Options{Profile: Kamailio}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		if n := p.heard(); len(n) != 1 || n[0].Body != nil || n[0].Headers.Has("Content-Type") {
			t.Fatalf("before anything was registered: %v", n)
		}
		register := func(uri string, more ...string) {
			t.Helper()
			p.register(200, append(more, "Contact: <"+uri+`>;+sip.instance="<`+instance+`>";reg-id=1;q=0.5;expires=600`, "Supported: gruu, outbound", "User-Agent: phone")...)
		}
		ids := make(map[string]string)
		next := func(want string) *reginfo.Document {
			t.Helper()
			d := p.one()
			if got := words(t, d); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if d.Version.Value != 0 {
				t.Errorf("version %d", d.Version.Value)
			}
			for _, c := range d.Registrations[0].Contacts {
				if c.Instance != "" || c.PubGRUU != "" {
					t.Errorf("shows an instance or a GRUU: %+v", c)
				}
				ids[c.URI] = c.ID
			}
			return d
		}
		register("sip:alice@192.0.2.7")
		next("full active created")
		register("sip:alice@192.0.2.8")
		next("full active registered created")
		register("sip:alice@192.0.2.7")
		next("full active refreshed registered")
		l.Probation("alice", "192.0.2.7", time.Minute)
		if c := next("full active registered unregistered").Registrations[0].Contacts[1]; c.Expires.Value == 0 || c.Active() {
			t.Errorf("kicked: %+v", c)
		}
		freed := ids["sip:alice@192.0.2.7"]
		register("sip:alice@192.0.2.9", "Call-ID: another")
		next("full active registered created")
		if ids["sip:alice@192.0.2.9"] != freed {
			t.Errorf("the id %s was not used again: %v", freed, ids)
		}
		l.Shorten("alice", "192.0.2.9", 50*time.Second)
		if c := next("full active registered refreshed").Registrations[0].Contacts[1]; c.Expires.Value != 50 || c.CallID != kamailioCallID {
			t.Errorf("shortened: %+v", c)
		}
		time.Sleep(50 * time.Second)
		next("full active registered")
		l.Expire("alice", "")
		next("full terminated")

		// Two kicks at once: the first document still lists the second contact.
		register("sip:alice@192.0.2.7")
		register("sip:alice@192.0.2.8?x=1&y=2")
		p.heard()
		l.Reject("alice")
		n := p.heard()
		if len(n) != 2 || !bytes.Contains(n[0].Body, []byte("x=1&y=2")) || !strings.Contains(string(n[0].Body), `event="registered"`) {
			t.Errorf("two kicks: %v", n)
		}
	})
}

// TestKamailioNotifiesTheContact: what the flow was does not matter.
func TestKamailioNotifiesTheContact(t *testing.T) {
	inLab(t, Options{Profile: Kamailio}, func(l *lab) {
		p, other := l.phone("192.0.2.7"), l.phone("192.0.2.8")
		p.subscribe(200, "Contact: "+other.contact())
		if got := len(other.heard()); got != 1 || len(p.heard()) != 0 {
			t.Errorf("%d NOTIFYs at the contact", got)
		}
	})
}

// TestRFCNotifiesTheFlow: a Contact that nobody reaches is no obstacle.
func TestRFCNotifiesTheFlow(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		inLab(t, Options{}, func(l *lab) {
			p := l.phoneOver(transport, "192.0.2.7")
			p.subscribe(200, "Contact: <sip:alice@unreachable.invalid;ob>")
			if got := len(p.heard()); got != 1 {
				t.Errorf("%s: %d NOTIFYs", transport, got)
			}
		})
	}
}
