package dissect

import (
	"container/list"
	"crypto/sha256"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

const (
	// maxSubscriptions bounds the subscriptions that are followed at a time, and
	// maxRows the contacts that their documents listed. The one that was silent for
	// longest goes first, and begins anew.
	maxSubscriptions = 4096
	maxRows          = 20 * reginfo.MaxContacts
	// cseqsKept is how many NOTIFYs of a subscription are known again.
	cseqsKept = 64
)

const reginfoType = "application/reginfo+xml"

// table is what the documents of one subscription build.
type table struct {
	*reginfo.Table
	name  dialog
	count uint32                            // documents
	rows  int                               // that they listed, at most what the table can hold
	seen  recent[uint32, [sha256.Size]byte] // bodies, by CSeq
}

func newTable(name dialog) *table {
	return &table{Table: reginfo.NewTable(reginfo.Tolerant), name: name, seen: newRecent[uint32, [sha256.Size]byte](cseqsKept)}
}

// apply takes in a document. begun says that it is the first of its subscription
// where it is the first that we have: only then must it be full and count from 0.
func (t *table) apply(item *Item, document *reginfo.Document, cseq uint32, at time.Time, begun bool) {
	item.Document, item.First, item.at = document, t.count == 0, at
	item.Outcome = t.Table.Apply(document, cseq, at)
	t.count++
	for _, r := range document.Registrations {
		t.rows = min(t.rows+len(r.Contacts), 2*reginfo.MaxContacts)
	}
	item.Findings = append(item.Findings, document.Findings...)
	for _, f := range item.Outcome.Findings {
		if item.First && !begun && (f.Code == finding.VersionNotFromZero || f.Code == finding.FirstNotFull) {
			continue
		}
		item.Findings = append(item.Findings, f)
	}
	if item.First && !begun {
		item.Outcome.Reason = ""
	}
}

// dialog names a subscription (RFC 6665 4.1.2).
type dialog struct{ callID, notifier, subscriber string }

type subscriptions struct {
	tables map[dialog]*list.Element // of byUse
	byUse  *list.List               // of *table; the last is the one used last
	rows   int                      // of all
	begun  recent[dialog, bool]     // by SUBSCRIBEs; without the notifier's tag
}

func newSubscriptions() subscriptions {
	return subscriptions{tables: map[dialog]*list.Element{}, byUse: list.New(), begun: newRecent[dialog, bool](maxBegun)}
}

// of returns the table of a subscription.
func (s *subscriptions) of(name dialog) *table {
	at := s.tables[name]
	if at == nil {
		at = s.byUse.PushBack(newTable(name))
		s.tables[name] = at
	}
	s.byUse.MoveToBack(at)
	return at.Value.(*table)
}

// forget keeps to the bounds, and never the table that was used last.
func (s *subscriptions) forget() {
	for len(s.tables) > maxSubscriptions || s.rows > maxRows && len(s.tables) > 1 {
		oldest := s.byUse.Remove(s.byUse.Front()).(*table)
		s.rows -= oldest.rows
		delete(s.tables, oldest.name)
	}
}

// notify explains a NOTIFY, and takes its document.
func (d *Dissector) notify(item *Item) {
	m := item.message
	request := wire.Request{Method: m.method, URI: m.uri, Headers: m.headers, Body: m.body}
	n, err := wire.ParseNotify(&wire.Incoming{Request: request})
	if err != nil {
		item.note("%s", strings.ReplaceAll(err.Error(), "\n", ": "))
	}
	kind := mediaType(m)
	if n.Event != "reg" && kind != reginfoType && (n.Event != "" || !strings.HasPrefix(kind, "multipart/")) {
		item.note("event %s: nothing about registrations", orNone(n.Event))
		return
	}
	item.subscriptionState(n.State)
	if !n.State.Present {
		item.found(finding.SubscriptionStateMissing, "")
	}
	body := m.body
	switch encoding := m.headers.Get("Content-Encoding"); {
	case len(body) == 0:
		item.note("no document in it")
		return
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		item.note("the body is encoded as %s, which is not read", encoding)
		return
	case strings.HasPrefix(kind, "multipart/"):
		if body = request.Part(reginfoType); body == nil {
			item.note("no part of it is %s", reginfoType)
			return
		}
	case kind != reginfoType:
		item.note("Content-Type is %s, not %s", orNone(kind), reginfoType)
	}
	document, err := reginfo.Decode(body)
	if err != nil {
		item.found(finding.MalformedXML, err.Error())
		return
	}
	name := dialog{n.CallID, n.FromTag, n.ToTag}
	t := d.subs.of(name)
	sum := sha256.Sum256(body)
	if before, ok := t.seen.get(n.CSeq); ok && before == sum && n.CSeq != 0 {
		item.note("the same NOTIFY was seen on another way: its document is not applied again")
		return
	}
	t.seen.put(n.CSeq, sum)
	at := item.Time
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	name.notifier = ""
	_, begun := d.subs.begun.get(name)
	d.subs.rows -= t.rows
	t.apply(item, document, n.CSeq, at, begun)
	d.subs.rows += t.rows
	d.subs.forget()
	if active := activeContacts(document); active > 0 && n.State.State == "terminated" && n.State.Reason == "noresource" {
		item.found(finding.SubscriptionStateMismatch, "it ends the subscription with noresource, and the body has active contacts")
	}
}

func (i *Item) found(code finding.Code, detail string) {
	i.Findings = append(i.Findings, finding.Finding{Code: code, Detail: detail})
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

// subscriptionState puts the field of that name into words (RFC 6665 4.1.3).
func (i *Item) subscriptionState(s wire.SubscriptionState) {
	if !s.Present {
		return
	}
	text := "subscription " + orNone(s.State)
	if s.HasExpires {
		text += ", " + seconds(s.Expires) + " left"
	}
	if s.Reason != "" {
		text += ", reason " + s.Reason
	}
	if s.HasRetry {
		text += ", may be tried again after " + seconds(s.RetryAfter)
	}
	i.note("%s", text)
}

func mediaType(m *message) string {
	kind, _, _ := strings.Cut(m.headers.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
