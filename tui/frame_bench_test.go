package tui

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"regwatch/internal/trace"
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
	for i := range max(contacts/100, 10) {
		s.GRUUs = append(s.GRUUs, ua.GRUU{Type: ua.TemporaryGRUU, URI: fmt.Sprintf("sip:t%d@example.com;gr", i), CallID: callID, CSeq: uint32(i), Usable: true})
	}
	for i := range 2 {
		s.Documents = append(s.Documents, ua.Document{At: noon.Add(time.Duration(i) * time.Second), CSeq: uint32(40 + i), Version: d.Version, State: d.State, Verdict: reginfo.Applied, Raw: reginfo.Encode(&d)})
		r.Contacts[0].CSeq.Value++
	}
	return s
}

// talk is so many messages: requests and their answers.
func talk(messages int) *trace.Ring {
	ring := trace.NewRing(messages)
	for i := range messages {
		m := trace.Message{Time: noon.Add(time.Duration(i) * time.Millisecond), Transport: "udp", Direction: trace.Sent, Remote: netip.MustParseAddrPort("198.51.100.2:5060")}
		line := "REGISTER sip:example.com SIP/2.0"
		if i%2 == 1 {
			m.Direction, line = trace.Received, "SIP/2.0 200 OK"
		}
		m.Raw = fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK%d\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n", line, i/2, callID, i/2)
		ring.Add(m)
	}
	return ring
}

// newCrowdedBench has so many contacts and messages, and as many events as they fit.
func newCrowdedBench(b testing.TB, contacts, events, messages int) *bench {
	bench := newBench(&testing.T{}, 80, 24, func(o *Options) {
		o.Trace = talk(messages)
		o.Accounts = nil
		for i := range max(contacts/100, 10) {
			o.Accounts = append(o.Accounts, fmt.Sprintf("account%d", i))
		}
		o.Accounts[0] = "alice"
	})
	bench.show(crowd(contacts), past()...)
	bench.messages.refresh(bench.o.Trace, messages)
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

// frame draws the current view as each second does.
func (b *bench) frame() {
	b.ticking = true
	b.Update(tickMsg{})
	b.View()
}

// frames calls f for each view, and for the ladder, which is a second one of the
// messages.
func (b *bench) frames(f func(name string)) {
	for _, v := range b.views {
		b.view = v
		b.frame()
		f(v.key.Help().Desc)
	}
	b.view = b.viewOf(b.app.keys.messages)
	b.messages.climb()
	b.messages.climb()
	f("ladder")
}

// BenchmarkFrame draws each view with few and with many of everything. Only what
// is in sight may cost.
func BenchmarkFrame(b *testing.B) {
	for _, size := range []struct{ contacts, events, messages int }{{10, 10, 10}, {10_000, 20_000, 100_000}} {
		bench := newCrowdedBench(b, size.contacts, size.events, size.messages)
		bench.frames(func(name string) {
			b.Run(fmt.Sprintf("%s/contacts=%d", name, size.contacts), func(b *testing.B) {
				best := time.Hour // of a machine that is shared
				for b.Loop() {
					began := time.Now()
					bench.frame()
					best = min(best, time.Since(began))
				}
				b.ReportMetric(float64(best.Nanoseconds())/1000, "best-µs")
			})
		})
	}
}

// A frame allocates the same with two hundred of everything and with thousands:
// whatever walked over all of them would show, whatever the machine is doing meanwhile.
func TestFrameCostsWhatIsInSight(t *testing.T) {
	cost := func(b *bench) (allocations []float64, names []string) {
		b.frames(func(name string) {
			allocations, names = append(allocations, testing.AllocsPerRun(5, b.frame)), append(names, name)
		})
		return allocations, names
	}
	few, names := cost(newCrowdedBench(t, 200, 200, 200))
	many, _ := cost(newCrowdedBench(t, 10_000, 7_000, 7_000))
	for i, name := range names {
		if many[i] > 2*few[i] {
			t.Errorf("%s: %.0f allocations with few, %.0f with many", name, few[i], many[i])
		}
	}
}
