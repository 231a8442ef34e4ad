package tui

import (
	"testing"
	"time"

	"regwatch/ua"
)

// overTwo is alice over two flows, the second of which has failed where cut is set.
func overTwo(cut bool) *ua.Snapshot {
	s := snapshot()
	first := ua.FlowState{Flow: s.Flow, Registration: s.Registration}
	second := first
	second.Registration.RegID = 2
	second.Flow = ua.Flow{Up: true, Transport: "tcp", Local: "192.0.2.7:40001", Remote: "198.51.100.3:5060", KeepAlive: "CRLF ping"}
	if cut {
		second.Up, second.Cause = false, "connection lost"
		second.Registration.State, second.Registration.Status, second.Registration.Reason = ua.Retrying, 0, "no answer within 32 s"
		second.Registration.RetryAt = noon.Add(2*time.Minute + 5*time.Second)
	}
	s.Flows = []ua.FlowState{first, second}
	return s
}

func TestGoldenFlows(t *testing.T) {
	for _, size := range []struct {
		name string
		w, h int
		cut  bool
	}{{"flows-80x24", 80, 24, false}, {"flows-cut-80x24", 80, 24, true}, {"flows-cut-120x40", 120, 40, true}, {"flows-cut-40x10", 40, 10, true}} {
		t.Run(size.name, func(t *testing.T) {
			b := newBench(t, size.w, size.h, nil)
			b.show(overTwo(size.cut), past()...)
			b.golden(size.name)
		})
	}
}

// Which flow a binding of ours goes over, and how the others stand, is among its
// details.
func TestFlowsInDetails(t *testing.T) {
	b := newBench(t, 120, 60, nil)
	b.show(overTwo(true), past()...)
	b.sees("1 of 2 flows", "flow 2 retrying: no answer within 32 s, next try in")
	b.keys("enter")
	b.sees("this flow", "udp 192.0.2.7:5060 > 198.51.100.2:5060", "flow 2", "retrying: no answer within 32 s")
}
