package ua_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	rfc3680 "regwatch/reginfo"
	"regwatch/ua"
)

// Each document that came is in the snapshot as it was sent, with what became of
// it, the discarded and the unreadable too; so many as are kept. A snapshot stays
// what it was while more come.
func TestReceivedDocuments(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		var sent []string
		for _, body := range []string{document(0, "full", "registered", 1), document(0, "partial", "refreshed", 2), "<reg", document(1, "full", "refreshed", 3)} {
			sent = append(sent, body)
			s.notify("active;expires=3600", body)
			time.Sleep(time.Second)
		}
		got := r.state("alice")
		verdicts := []rfc3680.Verdict{rfc3680.Applied, rfc3680.Discarded, rfc3680.Discarded, rfc3680.Applied}
		if len(got.Documents) != len(sent) {
			t.Fatalf("%d documents, not %d\n%s", len(got.Documents), len(sent), r.story())
		}
		for i, d := range got.Documents {
			if string(d.Raw) != sent[i] || d.Verdict != verdicts[i] || d.At.IsZero() || d.Verdict == rfc3680.Discarded && d.Reason == "" || d.CSeq != got.Documents[0].CSeq+uint32(i) {
				t.Errorf("document %d: %+v", i, d)
			}
		}
		if last := got.Documents[3]; !bytes.Equal(last.Raw, got.Document.Raw) || got.Document.Version != last.Version {
			t.Errorf("the last one applied is %+v", got.Document)
		}
		for i := range 120 {
			s.notify("active;expires=3600", document(i+2, "full", "refreshed", i+4))
			time.Sleep(time.Second)
		}
		now := r.state("alice").Documents
		if len(now) != 50 || now[49].Version != rfc3680.Num(121) || now[0].Version != rfc3680.Num(72) {
			t.Errorf("%d documents are kept, from %v", len(now), now[0].Version)
		}
		for i, d := range got.Documents {
			if string(d.Raw) != sent[i] {
				t.Errorf("document %d of the earlier snapshot has changed", i)
			}
		}
		// The bytes are bounded too.
		for i := range 30 {
			s.notify("active;expires=3600", document(i+122, "full", "refreshed", i+200)+strings.Repeat(" ", 50_000))
			time.Sleep(time.Second)
		}
		size := 0
		for _, d := range r.state("alice").Documents {
			size += len(d.Raw)
		}
		if size > 1<<20 || size < 1<<20-51_000 {
			t.Errorf("%d bytes are kept", size)
		}
	})
}

// The snapshot has what the last 2xx listed, and since when two witnesses differ.
func TestSnapshotHasTheTruths(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		register := s.next("REGISTER")
		if a := r.state("alice").Answer; !a.At.IsZero() || len(a.Contacts) != 0 {
			t.Errorf("before any answer: %+v", a)
		}
		s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+";expires=3600", "Contact: <"+another.uri+">;expires=3000")
		subscribe := s.takeSubscribe()
		if r.state("alice").Listed {
			t.Error("a list without a document")
		}
		s.answer(subscribe, "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", reginfo(0, "full", another))
		began := time.Now()
		time.Sleep(10 * time.Second)
		got := r.state("alice")
		if a := got.Answer; len(a.Contacts) != 2 || !a.Contacts[0].Own || a.Contacts[1].Own || a.Contacts[1].URI != another.uri || a.Contacts[1].ExpiresAt.Sub(a.At) != 3000*time.Second {
			t.Errorf("the answer is %+v", a)
		}
		if d := got.Disagreements; !got.Listed || len(d) != 1 || d[0].Since.Sub(began).Abs() > time.Second || !strings.Contains(fmt.Sprint(d[0].Between), ua.WitnessWatched) {
			t.Errorf("listed %t, disagreements %+v", got.Listed, d)
		}
	})
}

// A SUBSCRIBE that is accepted, and no more, is said after some seconds, long
// before Timer N; and no more once the NOTIFY comes.
func TestNoNotifyIsSaidEarly(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		time.Sleep(6 * time.Second)
		if slow := r.state("alice").Subscription.Slow; slow != "" {
			t.Errorf("said too early: %s", slow)
		}
		time.Sleep(2 * time.Second)
		want := "200 to SUBSCRIBE but no NOTIFY: NAT, firewall, or notifier off; Contact was " + phoneHost
		if slow := r.state("alice").Subscription.Slow; !strings.HasPrefix(slow, want) {
			t.Errorf("said: %q", slow)
		}
		s.notify("active;expires=3600", document(0, "full", "registered", 1))
		time.Sleep(time.Second)
		if slow := r.state("alice").Subscription.Slow; slow != "" {
			t.Errorf("still said: %s", slow)
		}
	})
}
