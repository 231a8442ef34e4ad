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
// without any failure, clears it. It is never left out: where all fail, they
// are tried as before.
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
}

// Failed notes a failure of the target. Failures while it is avoided count
// once: they are those of the requests that were under way, or of accounts that
// meet the same outage.
func (a *Avoid) Failed(target Target, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
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
	a.failed[target] = setback{now.Add(wait), wait}
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

// Order returns the targets with the avoided ones last, otherwise in the order
// in which they are given.
func (a *Avoid) Order(targets []Target, now time.Time) []Target {
	out, last := make([]Target, 0, len(targets)), []Target(nil)
	for _, target := range targets {
		if a.Avoids(target, now) {
			last = append(last, target)
		} else {
			out = append(out, target)
		}
	}
	return append(out, last...)
}
