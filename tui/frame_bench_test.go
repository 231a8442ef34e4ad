package tui

import (
	"fmt"
	"testing"
	"time"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// crowd is alice among so many other devices, as all three witnesses have them.
func crowd(contacts int) *ua.Snapshot {
	s := witnessed()
	d := reginfo.Document{Version: reginfo.Num(9), State: reginfo.Full, Registrations: []reginfo.Registration{{AOR: s.AOR, ID: "a7", State: reginfo.RegActive}}}
	r := &d.Registrations[0]
	r.Contacts = append(r.Contacts, ownContact())
	for i := range contacts - 1 {
		b := s.Bindings[1]
		b.Contact.ID, b.Contact.URI = fmt.Sprint(i), fmt.Sprintf("sip:alice@203.0.%d.%d:5062", i/256, i%256)
		s.Bindings = append(s.Bindings, b)
		r.Contacts = append(r.Contacts, b.Contact)
		s.Answer.Contacts = append(s.Answer.Contacts, ua.AnsweredContact{URI: b.Contact.URI, ExpiresAt: b.ExpiresAt})
	}
	for i := range contacts / 100 {
		s.GRUUs = append(s.GRUUs, ua.GRUU{Type: ua.TemporaryGRUU, URI: fmt.Sprintf("sip:t%d@example.com;gr", i), CallID: callID, CSeq: uint32(i), Usable: true})
	}
	for i := range 2 {
		s.Documents = append(s.Documents, ua.Document{At: noon.Add(time.Duration(i) * time.Second), CSeq: uint32(40 + i), Version: d.Version, State: d.State, Verdict: reginfo.Applied, Raw: reginfo.Encode(&d)})
		r.Contacts[0].CSeq.Value++
	}
	return s
}

// newCrowdedBench has so many contacts, and as many events as they fit.
func newCrowdedBench(b testing.TB, contacts, events int) *bench {
	bench := newBench(&testing.T{}, 80, 24, func(o *Options) {
		o.Accounts = nil
		for i := range max(contacts/100, 3) {
			o.Accounts = append(o.Accounts, fmt.Sprintf("account%d", i))
		}
		o.Accounts[0] = "alice"
	})
	bench.show(crowd(contacts), past()...)
	all := past()
	for i := range events {
		e := all[i%len(all)]
		e.Seq = uint64(i)
		if d, ok := e.Detail.(ua.FindingDetail); ok {
			d.Code = finding.Code(fmt.Sprint("code-", i%200))
			e.Detail = d
		}
		bench.apply(ua.Update{Events: []ua.Event{e}})
	}
	return bench
}

// BenchmarkFrame draws each view with few and with many of everything. Only what
// is in sight may cost.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []struct{ contacts, events int }{{10, 10}, {10_000, 20_000}} {
		bench := newCrowdedBench(b, size.contacts, size.events)
		for _, v := range bench.views {
			b.Run(fmt.Sprintf("%s/contacts=%d", v.key.Help().Desc, size.contacts), func(b *testing.B) {
				bench.view = v
				bench.View()
				for b.Loop() {
					bench.View()
				}
			})
		}
	}
}

// A frame allocates the same with ten contacts and with ten thousand: whatever
// walked over all of them would show, whatever the machine is doing meanwhile.
func TestFrameCostsWhatIsInSight(t *testing.T) {
	few, many := newCrowdedBench(t, 200, 200), newCrowdedBench(t, 10_000, 7_000)
	for i, v := range few.views {
		few.view, many.view = v, many.views[i]
		few.View()
		many.View()
		one := testing.AllocsPerRun(5, func() { few.View() })
		other := testing.AllocsPerRun(5, func() { many.View() })
		if other > 2*one {
			t.Errorf("%s: %.0f allocations with few, %.0f with many", v.key.Help().Desc, one, other)
		}
	}
}
