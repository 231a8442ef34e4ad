package registrar

import (
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/reginfo"
)

func TestClearwater(t *testing.T) {
	inLab(t, Options{Profile: Clearwater}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		next := func(want string) *reginfo.Document {
			t.Helper()
			n := p.heard()
			if len(n) != 1 {
				t.Fatalf("%d NOTIFYs, want %q", len(n), want)
			}
			d := decode(t, n[0])
			if got := listed(d); !slices.Equal(got, []string{"0 " + alice + " " + want}) || d.State != reginfo.Full {
				t.Errorf("%s %q, want %q", d.State, got, want)
			}
			for _, c := range d.Registrations[0].Contacts {
				if c.CallID != "" || c.CSeq.Present || c.TempGRUU != "" || c.FirstCSeq.Present {
					t.Errorf("tells more than it does: %+v", c)
				}
			}
			if body := string(n[0].Body); strings.Contains(body, "instance") && !strings.Contains(body, "&quot;&lt;urn%3Auuid%3Af81d4fae-7dec-11d0-a765-00a0c91e6bf6&gt;&quot;") {
				t.Errorf("the instance is not as it is there:\n%s", body)
			}
			return d
		}
		next("terminated:")
		register := func() {
			t.Helper()
			response := p.register(200, "Contact: <sip:alice@192.0.2.7>;+sip.instance=\"<"+instance+">\";reg-id=1;expires=600", "Supported: gruu, outbound")
			if c := contactsOf(t, response)[0]; c.Params.Get("pub-gruu") == "" || c.Params.Has("temp-gruu") {
				t.Errorf("the REGISTER was answered with %v", c)
			}
		}
		register()
		d := next("active: sip:alice@192.0.2.7 active registered ;")
		c := d.Registrations[0].Contacts[0]
		if c.ID != "%22%3curn%3auuid%3af81d4fae-7dec-11d0-a765-00a0c91e6bf6%3e%22" {
			t.Errorf("the id is %s", c.ID)
		}
		if c.PubGRUU != alice+";gr="+instance || c.Instance != instance || c.RegID.Value != 1 {
			t.Errorf("%+v", c)
		}
		register()
		next("active: sip:alice@192.0.2.7 active refreshed ;")
		l.Create("alice", "sip:alice@192.0.2.9", time.Minute)
		next("active: sip:alice@192.0.2.7 active registered ; sip:alice@192.0.2.9 active created ;")
		l.Shorten("alice", "192.0.2.7", time.Minute)
		next("active: sip:alice@192.0.2.7 active shortened ; sip:alice@192.0.2.9 active registered ;")
		l.Deactivate("alice", "192.0.2.7")
		d = next("active: sip:alice@192.0.2.9 active registered ; sip:alice@192.0.2.7 terminated expired ;")
		if c := d.Registrations[0].Contacts[1]; c.PubGRUU == "" {
			t.Errorf("no GRUU on %+v", c)
		}
		l.Reject("alice")
		next("terminated: sip:alice@192.0.2.9 terminated expired ;")
	})
}
