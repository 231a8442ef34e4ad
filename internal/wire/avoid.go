package wire

import (
	"sync"
	"time"
)

// How long a target that failed comes last.
const (
	avoidFirst = 32 * time.Second // what a request took to fail: Timer F, 64*T1
	avoidMost  = 10 * time.Minute
)

// maxAvoided bounds the list; the oldest failure is forgotten first.
const maxAvoided = 256

// Avoid knows which targets failed lately, so that the next request goes to
// another one first (RFC 3263 4.3; 2: availability "must eventually be flushed").
// What a failure is the caller knows: a 503, a transport failure, or no answer
// at all (RFC 3263 4.3). A failed target comes last for 32 s, and for twice as
// long at each failure after that time, up to 10 min; a success, or 10 min more
// without any failure, clears it. It is not left out: where all fail, they are
// tried as before. Only one that asked for it itself, by a 503 with Retry-After,
// is left out as long as there is another (RFC 3261 21.5.4).
//
// The zero value is ready. It may be shared by accounts and used from several
// goroutines.
type Avoid struct {
	mu     sync.Mutex
	failed map[Target]setback
}

type setback struct {
	until time.Time
	wait  time.Duration
	held  time.Time // the target wants no request before; zero: it did not say
}

// Failed notes a failure of the target. Failures while it is avoided count
// once: they are those of the requests that were under way, or of accounts that
// meet the same outage.
func (a *Avoid) Failed(target Target, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(target, now)
}

// Hold notes a failure of a target that named the time before which it wants no
// further request.
func (a *Avoid) Hold(target Target, now, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.note(target, now)
	s := a.failed[target]
	s.held = until
	if s.until.Before(until) {
		s.until = until
	}
	a.failed[target] = s
}

func (a *Avoid) note(target Target, now time.Time) {
	before, known := a.failed[target]
	wait := avoidFirst
	switch {
	case known && now.Before(before.until):
		return
	case known && now.Before(before.until.Add(avoidMost)):
		wait = min(2*before.wait, avoidMost)
	}
	if a.failed == nil {
		a.failed = make(map[Target]setback)
	}
	a.failed[target] = setback{until: now.Add(wait), wait: wait}
	if len(a.failed) > maxAvoided {
		a.forgetOldest()
	}
}

func (a *Avoid) forgetOldest() {
	var oldest Target
	var until time.Time
	for target, s := range a.failed {
		if until.IsZero() || s.until.Before(until) {
			oldest, until = target, s.until
		}
	}
	delete(a.failed, oldest)
}

// Worked notes that the target answered.
func (a *Avoid) Worked(target Target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.failed, target)
}

// Avoids reports whether the target's time is still running.
func (a *Avoid) Avoids(target Target, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.failed[target].until)
}

// Holds reports whether the target asked for no request until later than now.
func (a *Avoid) Holds(target Target, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.failed[target].held)
}

// Order returns the targets with the avoided ones last, otherwise in the order
// in which they are given. Those that asked for a pause are left out, unless all
// did.
func (a *Avoid) Order(targets []Target, now time.Time) []Target {
	out, last, held := make([]Target, 0, len(targets)), []Target(nil), []Target(nil)
	for _, target := range targets {
		switch {
		case a.Holds(target, now):
			held = append(held, target)
		case a.Avoids(target, now):
			last = append(last, target)
		default:
			out = append(out, target)
		}
	}
	if out = append(out, last...); len(out) == 0 {
		return held
	}
	return out
}
