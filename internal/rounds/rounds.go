// Package rounds draws what may happen to two devices of one account, has it done
// to a registrar, and judges what the devices make of it: each kick of a device's
// own contact is to be seen once by that device, and nothing else is to be seen as
// one. The truth is what was done, not what the registrar tells of it.
//
// Only tests may import it: those with a registrar that is not ours, and those
// with the lab's in virtual time.
package rounds

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regwatch/ua"
)

// Kind is what happens in a round.
type Kind string

// The kinds.
const (
	KickOurs    Kind = "kick of ours"
	KickOther   Kind = "kick of the other device"
	KickBoth    Kind = "two kicks at once"
	Refresh     Kind = "re-register"
	OtherTurns  Kind = "the other device comes or goes"
	Lapse       Kind = "lapse of a third device"
	Wipe        Kind = "Contact: * by us"
	WipeByOther Kind = "Contact: * by the other device"
	Shorten     Kind = "shortening of ours"
)

// Kinds lists all of them; each is as likely.
var Kinds = []Kind{KickOurs, KickOther, KickBoth, Refresh, OtherTurns, Lapse, Wipe, WipeByOther, Shorten}

// Within is how long after the NOTIFY, or the answer to the query, that tells of a
// kick its event may come.
const Within = time.Second

// shortTime is what a shortening leaves: no refresh of ours comes as early.
const shortTime = 10 * time.Minute

// Registrar is what its administrator can do to the contacts of the account.
type Registrar interface {
	Kick(contact string) error                      // takes it off; "" all there are, at once
	Bind(contact string, lasts time.Duration) error // a new one, without a REGISTER
	Shorten(contact string, left time.Duration) error
}

// Rounds are n rounds, drawn by Seed.
type Rounds struct {
	Registrar
	Ours, Other *Device
	Seed        uint64
	N           int
	Patience    time.Duration // until what must come is missed
	Spare       Kind          // is not played: this registrar cannot tell of it; "" none
}

// player is Rounds under way.
type player struct {
	Rounds
	t      *testing.T
	random *rand.Rand
	played map[Kind]int
	third  int // devices so far
}

// Play plays the rounds, and fails the test where a device misses a kick, sees one
// twice, sees one that was none, or sees it late. It logs what it measured.
func Play(t *testing.T, r Rounds) {
	t.Helper()
	p := &player{Rounds: r, t: t, random: rand.New(rand.NewPCG(r.Seed, 0)), played: make(map[Kind]int)}
	for _, d := range []*Device{p.Ours, p.Other} {
		d.up = true // by itself
		p.ready(d)
	}
	for n := range r.N {
		kind := Kinds[p.random.IntN(len(Kinds))]
		if kind == p.Spare {
			kind = Refresh
		}
		p.played[kind]++
		p.round(fmt.Sprintf("%d, %s", n, kind), kind)
		p.pause()
	}
	time.Sleep(lateWithin) // for what is seen twice, or falsely
	for _, d := range []*Device{p.Ours, p.Other} {
		p.judge(d)
	}
	t.Log(p.report())
}

// lateWithin is longer than a settling query waits, and than witnesses may differ
// before there is one.
const lateWithin = 7 * time.Second

// pause is mostly none: what is under way then meets what comes next. Some are long
// enough for a settling query.
func (p *player) pause() {
	pauses := []time.Duration{0, 0, 2 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond}
	if p.random.IntN(20) == 0 {
		pauses = []time.Duration{1200 * time.Millisecond}
	}
	time.Sleep(pauses[p.random.IntN(len(pauses))])
}

func (p *player) round(name string, kind Kind) {
	p.ready(p.Ours)
	if p.Other.up && kind != OtherTurns || kind == KickOther || kind == KickBoth || kind == WipeByOther {
		p.ready(p.Other)
	}
	both := []*Device{p.Ours, p.Other}
	switch kind {
	case KickOurs:
		p.done(name, ua.KickDeactivated, p.Ours)
		p.do(p.Kick(p.Ours.contact()))
	case KickOther:
		p.done(name, ua.KickDeactivated, p.Other)
		p.do(p.Kick(p.Other.contact()))
	case KickBoth:
		p.done(name, ua.KickDeactivated, both...)
		if p.random.IntN(2) == 0 {
			p.do(p.Kick(""))
			break
		}
		var racing sync.WaitGroup
		for _, i := range p.random.Perm(2) {
			racing.Go(func() { p.do(p.Kick(both[i].contact())) })
		}
		racing.Wait()
	case Refresh:
		p.register(p.Ours)
	case OtherTurns:
		if !p.Other.up {
			p.ready(p.Other)
			break
		}
		p.Other.command(ua.DoUnregister)
		p.gone(name, p.Other)
	case Lapse:
		p.third++
		p.do(p.Bind(fmt.Sprintf("sip:third@192.0.2.50:%d", 10000+p.third), time.Second))
	case Wipe, WipeByOther:
		from, to := p.Ours, p.Other
		if kind == WipeByOther {
			from, to = to, from
		}
		if to.up {
			p.done(name, ua.KickUnregistered, to)
		}
		from.command(ua.DoRemoveAll)
		p.gone(name, from)
	case Shorten:
		p.done(name, ua.KickShortened, p.Ours)
		p.do(p.Rounds.Shorten(p.Ours.contact(), shortTime))
	}
	for _, d := range both {
		p.wait(name+": the kick is not seen", d, func() bool { return len(d.seen) >= len(d.done) && d.contacts >= len(d.done) })
		p.judge(d)
	}
	if kind == Shorten {
		p.Ours.up = false // to be registered anew, for its whole time
	}
}

// ready has a device registered and watching. That the registrar's list has it is
// not waited for: there are lists that are wrong.
func (p *player) ready(d *Device) {
	if !d.up {
		p.register(d)
	}
	p.until("ready", d, func(s *ua.Snapshot) bool {
		return s.Registration.State == ua.Registered && !s.Registration.Pending && s.Subscription.State == ua.Active
	})
	d.up = true
}

// register has a device registered anew. What is done to a contact while a REGISTER
// is under way may be undone by it, and is no deed of ours.
func (p *player) register(d *Device) {
	d.mu.Lock()
	before := d.granted
	d.mu.Unlock()
	d.command(ua.DoRegister)
	p.wait("registered", d, func() bool { return d.granted > before })
}

// gone waits for the end of a registration that the device ended itself.
func (p *player) gone(name string, d *Device) {
	p.until(name, d, func(s *ua.Snapshot) bool { return s.Registration.State == ua.Unregistered })
	d.up = false
}

// done notes that what follows kicks these devices.
func (p *player) done(name string, kick ua.Kick, devices ...*Device) {
	for _, d := range devices {
		d.mu.Lock()
		d.done = append(d.done, deed{name, kick, time.Now()})
		d.mu.Unlock()
		if kick.TakesOff() {
			d.up = false
		}
	}
}

func (p *player) do(err error) {
	if err != nil {
		p.t.Error(err)
	}
}

func (p *player) until(what string, d *Device, holds func(*ua.Snapshot) bool) {
	p.wait(what, d, func() bool { return d.state != nil && holds(d.state) })
}

// wait lets time pass until it holds; holds is called with the device locked.
func (p *player) wait(what string, d *Device, holds func() bool) {
	limit := time.NewTimer(p.Patience)
	defer limit.Stop()
	for {
		d.mu.Lock()
		ok := holds()
		d.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-d.changed:
		case <-limit.C:
			p.t.Fatalf("seed %d, %s: never: %s\n%s", p.Seed, d.name, what, d.told())
		}
	}
}

// judge compares what a device saw with what was done to it.
func (p *player) judge(d *Device) {
	d.mu.Lock()
	ok := len(d.seen) == len(d.done) && d.contacts == len(d.done)
	for i := range min(len(d.seen), len(d.done)) {
		saw, did := d.seen[i], d.done[i]
		if saw.on.TakesOff() != did.kick.TakesOff() {
			p.t.Errorf("seed %d, %s: round %s is told as %s", p.Seed, d.name, did.round, saw.on)
		}
		if late := saw.at.Sub(saw.told); late > Within {
			p.t.Errorf("seed %d, %s: round %s is told %v after it was known", p.Seed, d.name, did.round, late)
		}
	}
	kicks, actions, contacts := len(d.done), len(d.seen), d.contacts
	d.mu.Unlock()
	if !ok {
		p.t.Errorf("seed %d, %s: %d kicks, %d actions on kicks, %d contact events of kicks", p.Seed, d.name, kicks, actions, contacts)
	}
	if p.t.Failed() {
		p.t.Fatal(d.told())
	}
}

func (p *player) report() string {
	var out strings.Builder
	for _, kind := range Kinds {
		fmt.Fprintf(&out, "%s %d, ", kind, p.played[kind])
	}
	var fromDeed, fromWord []time.Duration
	queries := 0
	for _, d := range []*Device{p.Ours, p.Other} {
		for i, saw := range d.seen {
			fromDeed = append(fromDeed, saw.at.Sub(d.done[i].at))
			fromWord = append(fromWord, saw.at.Sub(saw.told))
			if saw.source == ua.FromRegister {
				queries++
			}
		}
	}
	slices.Sort(fromDeed)
	slices.Sort(fromWord)
	fmt.Fprintf(&out, "%d kicks, %d of them found by a query", len(fromDeed), queries)
	if last := len(fromDeed) - 1; last >= 0 {
		fmt.Fprintf(&out, "; deed to event: median %v, worst %v; NOTIFY or answer to event: median %v, worst %v",
			fromDeed[last/2], fromDeed[last], fromWord[last/2], fromWord[last])
	}
	return out.String()
}

// Close ends both devices, as the program does.
func (r Rounds) Close(ctx context.Context) error {
	for _, d := range []*Device{r.Ours, r.Other} {
		if err := d.group.Close(ctx, false); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		<-d.ended
	}
	return nil
}
