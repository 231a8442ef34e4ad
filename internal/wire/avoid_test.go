package wire_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"regwatch/internal/wire"
)

// RFC 3263 4.3: after a failure the next element is tried first.
func TestAvoid(t *testing.T) {
	target := func(host byte) wire.Target {
		return wire.Target{Transport: wire.UDP, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 5060)}
	}
	all := []wire.Target{target(1), target(2), target(3)}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var avoid wire.Avoid
	order := func(seconds int, want string) {
		t.Helper()
		got := ""
		for _, x := range avoid.Order(all, at(seconds)) {
			got += fmt.Sprint(x.Addr.Addr().As4()[3])
		}
		if got != want {
			t.Errorf("after %d s: order %s, want %s", seconds, got, want)
		}
	}
	order(0, "123")
	avoid.Failed(all[0], at(0))
	order(0, "231")
	order(31, "231")
	order(32, "123")
	avoid.Failed(all[0], at(40)) // 64 s
	avoid.Failed(all[0], at(41)) // of another account: the same outage
	avoid.Failed(all[1], at(41)) // 32 s
	order(42, "312")
	order(80, "231")
	order(104, "123")
	avoid.Worked(all[0])
	avoid.Failed(all[0], at(110)) // 32 s again
	order(141, "231")
	order(142, "123")

	// Twice as long each time, 10 min at most.
	now := 1000
	for _, wait := range []int{32, 64, 128, 256, 512, 600, 600} {
		avoid.Failed(all[2], at(now))
		if !avoid.Avoids(all[2], at(now+wait-1)) || avoid.Avoids(all[2], at(now+wait)) {
			t.Errorf("a failure at %d s is not avoided for %d s", now, wait)
		}
		now += wait + 1
	}
	// Forgotten where it was left alone for long enough.
	avoid.Failed(all[2], at(now+600))
	if avoid.Avoids(all[2], at(now+632)) {
		t.Error("an old failure still counts")
	}
	if &all[0] == &avoid.Order(all, at(0))[0] || all[0] != target(1) {
		t.Error("Order changes what it is given")
	}
}

// RFC 3261 21.5.4: who names a time with its 503 gets nothing before, as long as
// there is another.
func TestAvoidHolds(t *testing.T) {
	target := func(host byte) wire.Target {
		return wire.Target{Transport: wire.UDP, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 5060)}
	}
	all := []wire.Target{target(1), target(2), target(3)}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var avoid wire.Avoid
	order := func(seconds int, want string) {
		t.Helper()
		got := ""
		for _, x := range avoid.Order(all, at(seconds)) {
			got += fmt.Sprint(x.Addr.Addr().As4()[3])
		}
		if got != want {
			t.Errorf("after %d s: order %s, want %s", seconds, got, want)
		}
	}
	avoid.Hold(all[0], at(0), at(600))
	order(0, "23")
	avoid.Failed(all[1], at(10))
	order(10, "32")
	avoid.Failed(all[0], at(20)) // met again all the same: the time stays
	order(599, "23")
	order(600, "123")
	avoid.Hold(all[0], at(700), at(710)) // shorter than what a failure is avoided for
	order(709, "23")
	order(710, "231")
	for _, x := range all {
		avoid.Hold(x, at(2000), at(2600))
	}
	order(2001, "123")
	avoid.Worked(all[1])
	order(2001, "2")
}

func TestAvoidIsBounded(t *testing.T) {
	var avoid wire.Avoid
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	avoided := 0
	var targets []wire.Target
	for i := range 1000 {
		targets = append(targets, wire.Target{Transport: wire.UDP, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5060)})
		avoid.Failed(targets[i], start.Add(time.Duration(i)*time.Millisecond))
	}
	for _, target := range targets {
		if avoid.Avoids(target, start.Add(time.Second)) {
			avoided++
		}
	}
	if avoided != 256 || !avoid.Avoids(targets[999], start.Add(time.Second)) {
		t.Errorf("%d are avoided", avoided)
	}
}
