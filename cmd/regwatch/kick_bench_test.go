package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// BenchmarkKickToLine measures how long a kick takes from the NOTIFY to the line
// of "watch --json", over the loopback: the lab registrar stamps the NOTIFY when it
// is sent, the reader of the stream stamps the line when it is written.
func BenchmarkKickToLine(b *testing.B) {
	var mu sync.Mutex
	var sent time.Time
	ring := trace.NewRing(1)
	ring.Tee(func(m trace.Message) {
		if m.Direction == trace.Sent && strings.HasPrefix(m.StartLine(), "NOTIFY ") {
			mu.Lock()
			sent = m.Time
			mu.Unlock()
		}
	})
	f := startFollowed(b, ring)
	f.await("registration registered", "contact active")
	var took []time.Duration
	for b.Loop() {
		if err := f.registrar.Deactivate("alice", ""); err != nil {
			b.Fatal(err)
		}
		at := f.await("contact terminated")
		mu.Lock()
		took = append(took, at.Sub(sent))
		mu.Unlock()
		f.crew.group.Do("alice", ua.Command{Verb: ua.DoRegister})
		f.await("registration registered", "contact active")
	}
	f.end()
	slices.Sort(took)
	for name, part := range map[string]float64{"median-µs": 0.5, "p99-µs": 0.99} {
		b.ReportMetric(float64(took[int(part*float64(len(took)-1))].Nanoseconds())/1000, name)
	}
	b.ReportMetric(0, "ns/op") // of the whole round, and so of no interest
}

// followed is "watch --json" of alice at a registrar, over the loopback.
type followed struct {
	b         *testing.B
	registrar *registrar.Registrar
	crew      *crew
	lines     *stampedLines
	signals   chan os.Signal
	ended     chan error
}

// startFollowed starts both; ring is for the registrar's messages, or nil.
func startFollowed(b *testing.B, ring *trace.Ring) *followed {
	b.Helper()
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	r, err := registrar.Start(b.Context(), registrar.Options{Listen: []registrar.Listen{{Transport: wire.UDP, Addr: loopback}}, Trace: ring})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	f := &followed{b: b, registrar: r, lines: &stampedLines{written: make(chan stampedLine, 1000)}, signals: make(chan os.Signal, 1), ended: make(chan error, 1)}
	e := &env{stdout: f.lines, stderr: io.Discard, signals: f.signals}
	accounts := []ua.Account{{AOR: "sip:alice@127.0.0.1", OutboundProxy: []string{"sip:" + r.Addr(wire.UDP).String()}}}
	if f.crew, err = start(e, accounts, crewOptions{}); err != nil {
		b.Fatal(err)
	}
	go func() { f.ended <- follow(e, f.crew, &goal{}, watchOptions{json: true}) }()
	return f
}

// await waits until each of the states was told, and gives the time of the last.
func (f *followed) await(states ...string) (at time.Time) {
	f.b.Helper()
	late := time.After(10 * time.Second)
	for len(states) > 0 {
		select {
		case l := <-f.lines.written:
			if i := slices.Index(states, l.Kind+" "+l.State); i >= 0 {
				states = slices.Delete(states, i, i+1)
				at = l.at
			}
		case <-late:
			f.b.Fatalf("never came: %v", states)
		}
	}
	return at
}

func (f *followed) end() {
	f.signals <- syscall.SIGTERM
	if err := <-f.ended; err != nil {
		f.b.Error(err)
	}
}

// stampedLines takes the stream apart into lines, with the time of each.
type stampedLines struct {
	written chan stampedLine
	count   atomic.Uint64
}

type stampedLine struct {
	Kind  string `json:"kind"`
	State string `json:"state"`
	at    time.Time
}

func (s *stampedLines) Write(p []byte) (int, error) {
	now := time.Now()
	for line := range bytes.Lines(p) {
		l := stampedLine{at: now}
		if err := json.Unmarshal(line, &l); err != nil {
			return 0, err
		}
		s.count.Add(1)
		s.written <- l
	}
	return len(p), nil
}
