package registrar

import (
	"container/heap"
	"time"
)

// appointment is something to be done at a time on the registrar's goroutine.
type appointment struct {
	at    time.Time
	do    func()
	place int // in the heap; -1: not in it
}

// agenda is all that is to come: ends of bindings and subscriptions, and NOTIFYs
// that wait. One timer serves it, so a closed registrar leaves none behind.
type agenda struct{ heap appointments }

func (a *agenda) at(when time.Time, do func()) *appointment {
	p := &appointment{at: when, do: do}
	heap.Push(&a.heap, p)
	return p
}

// cancel takes an appointment back; nil and one that is over are fine.
func (a *agenda) cancel(p *appointment) {
	if p != nil && p.place >= 0 {
		heap.Remove(&a.heap, p.place)
	}
}

// wait is how long to sleep until the next appointment.
func (a *agenda) wait(now time.Time) time.Duration {
	if len(a.heap) == 0 {
		return time.Hour
	}
	return max(a.heap[0].at.Sub(now), 0)
}

// run does what is due.
func (a *agenda) run(now time.Time) {
	for len(a.heap) > 0 && !a.heap[0].at.After(now) {
		heap.Pop(&a.heap).(*appointment).do()
	}
}

type appointments []*appointment

func (h appointments) Len() int           { return len(h) }
func (h appointments) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h appointments) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is for container/heap.
func (h *appointments) Push(x any) {
	p := x.(*appointment)
	p.place = len(*h)
	*h = append(*h, p)
}

// Pop is for container/heap.
func (h *appointments) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	p.place = -1
	return p
}
