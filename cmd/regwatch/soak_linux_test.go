package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// BenchmarkSoak runs watch and the registrar in one process while the registrar tells
// something each second: a contact comes, and is kicked. -benchtime says for how many
// seconds, see docs/soak.sh. It prints what that takes, and fails where goroutines or
// descriptors grow, or memory by more than the events that a run keeps.
func BenchmarkSoak(b *testing.B) {
	const (
		address  = "sip:soak@198.51.100.2"
		warmUp   = 10       // seconds
		perEvent = 2 * 1024 // bytes
		slack    = 1 << 20  // bytes that one exchange more or less makes, and what Go has not cleared
	)
	f := startFollowed(b, nil)
	f.await("registration registered", "contact active")
	var first taken
	seconds := 0
	fmt.Printf("\n%8s %8s %12s %10s %11s %12s\n", "second", "events", "resident MB", "heap MB", "goroutines", "descriptors")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		var err error
		want := "contact active"
		if seconds%2 == 0 {
			err = f.registrar.Create("sip:alice@127.0.0.1", address, time.Hour)
		} else {
			want = "contact terminated"
			err = f.registrar.Deactivate("alice", address)
		}
		if err != nil {
			b.Fatal(err)
		}
		f.await(want)
		if seconds++; seconds == warmUp {
			first = f.take()
		}
		if seconds%60 == 0 || seconds == warmUp {
			fmt.Printf("%8d %s\n", seconds, f.take())
		}
	}
	last := f.take()
	if seconds%60 != 0 {
		fmt.Printf("%8d %s\n", seconds, last)
	}
	f.end()
	if seconds <= warmUp {
		return
	}
	// One for an exchange that is under way, and what it waits for.
	if last.goroutines > first.goroutines+3 || last.descriptors > first.descriptors {
		b.Errorf("goroutines or descriptors grew: %+v, then %+v", first, last)
	}
	if grown, told := last.heap-first.heap, int(last.events-first.events); grown > slack+perEvent*told {
		b.Errorf("%d bytes more for %d events", grown, told)
	}
}

// taken is what the process has of the machine.
type taken struct {
	events                  uint64
	resident, heap          int // bytes
	goroutines, descriptors int
}

func (t taken) String() string {
	const mb = 1e6
	return fmt.Sprintf("%8d %12.1f %10.2f %11d %12d", t.events, float64(t.resident)/mb, float64(t.heap)/mb, t.goroutines, t.descriptors)
}

func (f *followed) take() taken {
	f.b.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		f.b.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		f.b.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(statm)[1]))
	if err != nil {
		f.b.Fatal(err)
	}
	return taken{f.lines.count.Load(), pages * os.Getpagesize(), int(m.HeapAlloc), runtime.NumGoroutine(), len(files) - 1}
}
