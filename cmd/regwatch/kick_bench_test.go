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
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	r, err := registrar.Start(b.Context(), registrar.Options{Listen: []registrar.Listen{{Transport: wire.UDP, Addr: loopback}}, Trace: ring})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()

	lines := &stampedLines{written: make(chan stampedLine, 1000)}
	signals := make(chan os.Signal, 1)
	e := &env{stdout: lines, stderr: io.Discard, signals: signals}
	accounts := []ua.Account{{AOR: "sip:alice@127.0.0.1", OutboundProxy: []string{"sip:" + r.Addr(wire.UDP).String()}}}
	c, err := start(e, accounts, crewOptions{})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- follow(e, c, &goal{}, watchOptions{json: true}) }()
	await := func(states ...string) (at time.Time) {
		late := time.After(10 * time.Second)
		for len(states) > 0 {
			select {
			case l := <-lines.written:
				if i := slices.Index(states, l.Kind+" "+l.State); i >= 0 {
					states = slices.Delete(states, i, i+1)
					at = l.at
				}
			case <-late:
				b.Fatalf("never came: %v", states)
			}
		}
		return at
	}
	await("registration registered", "contact active")
	var took []time.Duration
	for b.Loop() {
		if err := r.Deactivate("alice", ""); err != nil {
			b.Fatal(err)
		}
		at := await("contact terminated")
		mu.Lock()
		took = append(took, at.Sub(sent))
		mu.Unlock()
		c.group.Do("alice", ua.Command{Verb: ua.DoRegister})
		await("registration registered", "contact active")
	}
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		b.Error(err)
	}
	slices.Sort(took)
	for name, part := range map[string]float64{"median-µs": 0.5, "p99-µs": 0.99} {
		b.ReportMetric(float64(took[int(part*float64(len(took)-1))].Nanoseconds())/1000, name)
	}
	b.ReportMetric(0, "ns/op") // of the whole round, and so of no interest
}

// stampedLines takes the stream apart into lines, with the time of each.
type stampedLines struct{ written chan stampedLine }

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
		s.written <- l
	}
	return len(p), nil
}
