package registrar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// listed is "version aor state: id event expires, ..." of each registration.
func listed(d *reginfo.Document) []string {
	var out []string
	for _, r := range d.Registrations {
		line := fmt.Sprintf("%d %s %s:", d.Version.Value, r.AOR, r.State)
		for _, c := range r.Contacts {
			line += fmt.Sprintf(" %s %s %s %s;", c.URI, c.State, c.Event, c.Expires)
		}
		out = append(out, line)
	}
	return out
}

func TestSCSCF(t *testing.T) {
	inLab(t, Options{Profile: KamailioSCSCF, MinExpires: time.Second}, func(l *lab) {
		p := l.phone("192.0.2.7")
		tel := aor{"alice", domain}.number()
		if !strings.HasPrefix(tel, "tel:+1555") {
			t.Errorf("the number is %q", tel)
		}
		subscribe := func() {
			t.Helper()
			_, response := p.subscribe(200)
			if got := response.Headers.Get("Contact"); got != "<"+alice+">" {
				t.Errorf("the Contact of the answer to SUBSCRIBE is %s", got)
			}
		}
		register := func(device string, expires int) *wire.Response {
			t.Helper()
			return p.register(200, fmt.Sprintf(`Contact: <sip:alice@%s>;+sip.instance="<%s>";expires=%d`, device, instance, expires), "Call-ID: "+device)
		}
		// next expects a NOTIFY about both identities, the tel: first, alike.
		next := func(subscription, want string) *reginfo.Document {
			t.Helper()
			n := p.heard()
			if len(n) != 1 {
				t.Fatalf("%d NOTIFYs, want %q", len(n), want)
			}
			if got := n[0].Headers.Get("Subscription-State"); got != subscription && !strings.HasPrefix(got, subscription+";expires=") {
				t.Errorf("Subscription-State: %s, want %s", got, subscription)
			}
			d := decode(t, n[0])
			version, rest, _ := strings.Cut(want, " ")
			if got, both := listed(d), []string{version + " " + tel + " " + rest, version + " " + alice + " " + rest}; !slices.Equal(got, both) {
				t.Errorf("got  %q\nwant %q", got, both)
			}
			if d.State != reginfo.Full {
				t.Errorf("the document is %s", d.State)
			}
			for i, c := range d.Registrations[1].Contacts {
				if c.ID != d.Registrations[0].Contacts[i].ID || c.CallID != "" || c.CSeq.Present || c.PubGRUU != "" || c.Instance != instance {
					t.Errorf("%+v", c)
				}
			}
			return d
		}
		subscribe()
		next("active", "2 terminated:")
		response := register("192.0.2.7", 600)
		if c := contactsOf(t, response); len(c) != 1 || c[0].Params.Get("expires") != "540" {
			t.Errorf("the REGISTER says %v", c)
		}
		if got := response.Headers.Get("P-Associated-URI"); got != "<"+alice+">, <"+tel+">" {
			t.Errorf("P-Associated-URI: %s", got)
		}
		id := next("active", "3 active: sip:alice@192.0.2.7 active registered 600;").Registrations[0].Contacts[0].ID
		if !strings.HasPrefix(id, "0x7f") {
			t.Errorf("the id is %s", id)
		}
		register("192.0.2.7", 600)
		next("active", "4 active: sip:alice@192.0.2.7 active registered 600;")

		// Another device leaves: our subscription ends with it, though we are bound.
		register("192.0.2.8", 600)
		next("active", "5 active: sip:alice@192.0.2.7 active registered 600; sip:alice@192.0.2.8 active registered 600;")
		response = register("192.0.2.8", 0)
		if c := contactsOf(t, response); len(c) != 2 || c[1].URI != "sip:alice@192.0.2.8" || c[1].Params.Get("expires") != "0" {
			t.Errorf("the removal was answered with %v", c)
		}
		d := next("terminated", "6 active: sip:alice@192.0.2.8 terminated expired 0; sip:alice@192.0.2.7 active registered 600;")
		if got := d.Registrations[0].Contacts[0].ID; got != "0x1" {
			t.Errorf("the id of who unregistered is %s", got)
		}
		register("192.0.2.7", 600)
		if n := p.heard(); len(n) != 0 {
			t.Errorf("%d NOTIFYs in a subscription that is over", len(n))
		}
		subscribe()
		next("active", "2 active: sip:alice@192.0.2.7 active registered 600;")

		// What an administrator takes off is not listed.
		register("192.0.2.8", 600)
		p.heard()
		l.Deactivate("alice", "192.0.2.8")
		next("active", "4 active: sip:alice@192.0.2.7 active registered 600;")
		l.Shorten("alice", "", time.Minute)
		next("active", "5 active: sip:alice@192.0.2.7 active registered 60;")
		l.Reject("alice")
		next("active", "6 terminated:")
		l.Allow("alice")

		// A lapse keeps the contact's id.
		id = ""
		register("192.0.2.7", 10)
		id = next("active", "7 active: sip:alice@192.0.2.7 active registered 10;").Registrations[0].Contacts[0].ID
		time.Sleep(10 * time.Second)
		d = next("terminated", "8 terminated: sip:alice@192.0.2.7 terminated expired 0;")
		if got := d.Registrations[0].Contacts[0].ID; got != id {
			t.Errorf("the id was %s, and is %s at the end", id, got)
		}
	})
}

// A user who has a telephone number is known by that one.
func TestNumber(t *testing.T) {
	if got := (aor{"+15550100", domain}).number(); got != "tel:+15550100" {
		t.Error(got)
	}
	if a, b := (aor{"alice", domain}).number(), (aor{"bob", domain}).number(); a == b {
		t.Error("two users share a number")
	}
}
