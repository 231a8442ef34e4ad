package ua

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/wire"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

const (
	// RFC 3680 4.10: no more than one NOTIFY in five seconds.
	floodMost   = 12
	floodWithin = time.Minute
	// A notifier that looks once a minute, as Kamailio does by default, is late and
	// no more.
	lapseToldWithin = 90 * time.Second
)

// scrutiny finds what only a look at several messages shows: of a registrar, that
// is, not of a document.
type scrutiny struct {
	unsolicited []time.Time // of the last minute
	lapseToldBy time.Time   // our contact should have left the list; zero: nothing is awaited
}

// scrutinise looks at a NOTIFY whose document was applied.
func (a *Agent) scrutinise(n wire.Notify, document *reginfo.Document, now time.Time) {
	if f, found := a.scrutiny.flood(a.solicited(now), now); found {
		a.finding(now, f)
	}
	// The other reasons end a subscription, not a registration.
	if n.State.State == "terminated" && (n.State.Reason == "" || n.State.Reason == "noresource") && a.sub.wanted && a.sub.inFlight != subClose {
		if active := activeContacts(document); active > 0 {
			a.finding(now, finding.Finding{Code: finding.SubscriptionStateMismatch, Detail: fmt.Sprintf(
				"it ends the subscription with %q, and the body has %s", strings.TrimSpace("terminated "+n.State.Reason), plural.Count(active, "active contact"))})
		}
	}
}

// solicited: a SUBSCRIBE of ours brings a NOTIFY, and may bring it late.
func (a *Agent) solicited(now time.Time) bool {
	return a.sub.inFlight != "" || now.Sub(a.sub.sentAt) < notifyGrace
}

func (s *scrutiny) flood(solicited bool, now time.Time) (finding.Finding, bool) {
	if solicited {
		return finding.Finding{}, false
	}
	s.unsolicited = slices.DeleteFunc(append(s.unsolicited, now), func(t time.Time) bool { return now.Sub(t) >= floodWithin })
	if len(s.unsolicited) <= floodMost {
		return finding.Finding{}, false
	}
	s.unsolicited = s.unsolicited[1:]
	return finding.Finding{Code: finding.NotifyFlood}, true
}

func activeContacts(d *reginfo.Document) (n int) {
	for _, r := range d.Registrations {
		for _, c := range r.Contacts {
			if c.Active() {
				n++
			}
		}
	}
	return n
}

// sharedInstance: our instance id, bound by a REGISTER that was never ours, to an
// address that was never ours.
//
// What was there before us may be a run of ours that nobody remembers.
func (a *Agent) sharedInstance(change reginfo.Change, m match, j judgement, known evidence) {
	if known.first || change.After == nil || !change.After.Contact.Active() || !m.shared && (m.by != ByInstance || j.origin != OriginElsewhere) {
		return
	}
	c := change.After.Contact
	if c.CallID != "" && c.CallID != a.id.callID && !reginfo.SameURI(c.URI, a.id.contact) {
		a.finding(known.now, finding.Finding{Code: finding.InstanceShared, Detail: fmt.Sprintf("%s has ours, %s", c.URI, a.id.instance)})
	}
}

// differentGRUU: the same registrar gave another public GRUU by another way.
func (a *Agent) differentGRUU(before []GRUU, now time.Time) {
	for i, was := range before {
		if is := a.ledger.public[i]; is.URI != was.URI && is.Source != was.Source {
			a.finding(now, finding.Finding{Code: finding.GRUUDiffers, Detail: fmt.Sprintf("%s by %s, %s by %s", was.URI, was.Source, is.URI, is.Source)})
		}
	}
}

// lapseDue is called when a document should long have told of our lapse.
func (a *Agent) lapseDue(now time.Time) {
	a.scrutiny.lapseToldBy = time.Time{}
	if !a.sub.confirmed() {
		return
	}
	for _, row := range a.table.Rows() {
		if l := a.lineOf(&row); !l.registered() && a.matchOf(&row).own {
			a.finding(now, finding.Finding{Code: finding.LapseNotNotified, Detail: fmt.Sprintf(
				"our contact ran out %s ago and is still listed", now.Sub(l.lapsedAt).Round(time.Second))})
			return
		}
	}
}
