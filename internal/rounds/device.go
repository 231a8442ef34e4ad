package rounds

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"regwatch/internal/trace"
	"regwatch/ua"
)

// Device is an agent that only tells of kicks, with all that it told and all that
// was done to it.
type Device struct {
	name    string
	account string
	aor     string
	group   *ua.Group
	up      bool          // by what was done, it is registered
	changed chan struct{} // something came
	ended   chan struct{} // the stream of events

	mu       sync.Mutex
	state    *ua.Snapshot
	story    []string
	done     []deed
	seen     []sight
	contacts int // contact events of the AOR that are kicks
	granted  int // times that it told of being registered

	notified map[uint32]arrival // NOTIFYs by CSeq
	answered time.Time          // when a REGISTER last got its 2xx
	document uint32             // CSeq of the last that was told of
	source   ua.Source          // of the last kick
}

// deed is a kick that was done.
type deed struct {
	round string
	kick  ua.Kick // any that takes off stands for all of them: registrars have their own words
	at    time.Time
}

// sight is a kick that was seen.
type sight struct {
	on     ua.Kick
	at     time.Time // when the event was read
	told   time.Time // when the NOTIFY or the answer came that tells of it
	source ua.Source
}

type arrival struct {
	callID string
	at     time.Time
}

// Open starts a device. What the registrar does to it is told and left as it is,
// and doubts are settled by a query.
func Open(name string, o ua.Options, a ua.Account) (*Device, error) {
	d := &Device{
		name: name, aor: a.AOR, changed: make(chan struct{}, 1), ended: make(chan struct{}), notified: make(map[uint32]arrival),
	}
	ring := trace.NewRing(1)
	ring.Tee(d.passes)
	o.Trace = ring
	a.Settle, a.On = ua.SettleAuto, make(map[ua.Kick]ua.Policy)
	for _, kick := range ua.Kicks {
		a.On[kick] = ua.Ask
	}
	d.group = ua.NewGroup(o)
	if err := d.group.Start(a); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d.account = d.group.Accounts()[0]
	go func() {
		defer close(d.ended)
		for update := range d.group.Watch(context.Background(), 0) {
			d.take(update, time.Now())
		}
	}()
	return d, nil
}

// passes is shown every message that is sent or comes.
func (d *Device) passes(m trace.Message) {
	if m.Direction != trace.Received {
		return
	}
	number, method, _ := strings.Cut(m.Header("CSeq", ""), " ")
	d.mu.Lock()
	defer d.mu.Unlock()
	switch line := m.StartLine(); {
	case strings.HasPrefix(line, "NOTIFY "):
		cseq, _ := strconv.ParseUint(number, 10, 32)
		if callID := m.Header("Call-ID", "i"); d.notified[uint32(cseq)].callID != callID { // else it is a copy
			d.notified[uint32(cseq)] = arrival{callID, m.Time}
		}
	case strings.HasPrefix(line, "SIP/2.0 2") && method == "REGISTER":
		d.answered = m.Time
	}
}

func (d *Device) take(update ua.Update, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range update.Snapshots {
		d.state = s
	}
	for _, e := range update.Events {
		d.story = append(d.story, fmt.Sprintf("%s %-12s %s", e.Time.Format("15:04:05.000"), e.Kind(), e.Summary))
		switch detail := e.Detail.(type) {
		case ua.RegistrationDetail:
			if detail.State == ua.Registered {
				d.granted++
			}
		case ua.DocumentDetail:
			d.document = detail.CSeq
		case ua.ContactDetail:
			if detail.Kick() == "" {
				break
			}
			d.source = detail.Source
			if detail.AOR == d.aor { // a registrar may tell it under other identities too
				d.contacts++
			}
		case ua.ActionDetail:
			saw := sight{on: detail.On, at: now, told: d.notified[d.document].at, source: d.source}
			if d.source == ua.FromRegister {
				saw.told = d.answered
			}
			d.seen = append(d.seen, saw)
		}
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

func (d *Device) command(verb ua.Verb) { d.group.Do(d.account, ua.Command{Verb: verb}) }

func (d *Device) snapshot() *ua.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

func (d *Device) contact() string { return d.snapshot().Registration.Contact }

// told is what the device told lately and what was done to it, for the report of a
// test that failed.
func (d *Device) told() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out strings.Builder
	for _, did := range d.done[max(0, len(d.done)-3):] {
		fmt.Fprintf(&out, "  %s done: round %s\n", did.at.UTC().Format("15:04:05.000"), did.round)
	}
	for _, line := range d.story[max(0, len(d.story)-60):] {
		fmt.Fprintf(&out, "  %s\n", line)
	}
	return out.String()
}
