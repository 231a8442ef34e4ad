package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/registrar"
)

// These measure the program as a process of its own on a terminal, against a
// registrar in this one; BenchmarkStart measures how it begins. docs/performance.md says
// what came out, and how to run them.

// BenchmarkKickToFrame measures from the NOTIFY, when the registrar sends it, to the
// frame that shows the panel.
func BenchmarkKickToFrame(b *testing.B) {
	var sent atomic.Int64
	p := showTerminal(b, "regwatch", false, tapped(func() { sent.Store(time.Now().UnixNano()) }))
	var took []time.Duration
	for b.Loop() && !b.Failed() {
		shown := p.expect("KICKED")
		if err := p.registrar.Deactivate("alice", ""); err != nil {
			b.Fatal(err)
		}
		took = append(took, p.await(shown).Sub(time.Unix(0, sent.Load())))
		time.Sleep(800 * time.Millisecond) // until the panel takes keys
		back := p.expect("registered again")
		p.ours.Write([]byte("R"))
		p.await(back)
		time.Sleep(300 * time.Millisecond) // a kick comes out of the blue
	}
	report(b, took)
}

// BenchmarkIdle measures what 20 s cost in which nothing happens but countdowns.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		p := showTerminal(b, "regwatch", false)
		time.Sleep(time.Second)
		p.out.reset()
		const span = 20 * time.Second
		before := cpu(b, p.cmd.Process.Pid)
		time.Sleep(span)
		b.ReportMetric(100*float64(cpu(b, p.cmd.Process.Pid)-before)/float64(span), "%core")
		b.ReportMetric(float64(len(p.out.String()))/span.Seconds(), "bytes/s")
		p.quit()
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFlood measures the screen under 1,000 NOTIFYs a second for 10 s, or as many
// as the registrar gets out: what the program costs, what it costs without a screen,
// and how soon a key is answered. The costs are those of 1,000.
func BenchmarkFlood(b *testing.B) {
	for b.Loop() {
		var sent atomic.Int64
		p := showTerminal(b, "regwatch", false, tapped(func() { sent.Add(1) }))
		used, rate := flood(b, p.registrar, p.cmd.Process.Pid, &sent, func(stop <-chan struct{}) {
			var took []time.Duration
			for i := 0; !b.Failed(); i++ {
				select {
				case <-stop:
					report(b, took)
					return
				case <-time.After(200 * time.Millisecond):
				}
				shown := p.expect([]string{"[2 timeline", "[1 overview"}[i%2])
				pressed := time.Now()
				p.ours.Write([]byte{"21"[i%2]})
				took = append(took, p.await(shown).Sub(pressed))
			}
		})
		p.quit()

		bare := watchBeside(b, p.registrar)
		without, slower := flood(b, p.registrar, bare.Process.Pid, &sent, func(stop <-chan struct{}) { <-stop })
		bare.Process.Signal(os.Interrupt)
		bare.Wait()
		b.ReportMetric(rate, "NOTIFY/s")
		b.ReportMetric(used*1000/rate, "%core")
		b.ReportMetric(without*1000/slower, "%core-watch")
	}
}

// await is when what was expected came.
func (p *onTerminal) await(seen <-chan time.Time) time.Time {
	p.t.Helper()
	select {
	case at := <-seen:
		return at
	case <-time.After(20 * time.Second):
		p.t.Errorf("never shown: %q", p.out.String())
		return time.Now()
	}
}

// quit ends the program as a user does.
func (p *onTerminal) quit() {
	p.ours.Write([]byte("q"))
	p.ends(0)
}

// tapped has told be called at each NOTIFY that the registrar sends.
func tapped(told func()) func(*registrar.Options) {
	return func(o *registrar.Options) {
		o.Trace = trace.NewRing(1)
		o.Trace.Tee(func(m trace.Message) {
			if m.Direction == trace.Sent && strings.HasPrefix(m.StartLine(), "NOTIFY ") {
				told()
			}
		})
	}
}

// flood has a device come and go, a thousand changes a second for 10 s, while keys runs.
// It returns what the process used meanwhile, in hundredths of a core, and how many
// NOTIFYs went out each second.
func flood(b *testing.B, r *registrar.Registrar, pid int, sent *atomic.Int64, keys func(stop <-chan struct{})) (used, rate float64) {
	const span = 10 * time.Second
	stop := make(chan struct{})
	var typing sync.WaitGroup
	typing.Go(func() { keys(stop) })
	used0, sent0, began := cpu(b, pid), sent.Load(), time.Now()
	for i := 0; i%2 == 1 || time.Since(began) < span; i++ {
		var err error
		if i%2 == 0 {
			err = r.Create("alice", "sip:alice@192.0.2.99", time.Hour)
		} else {
			err = r.Expire("alice", "192.0.2.99")
		}
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * time.Millisecond)))
		for int64(i)-(sent.Load()-sent0) > 100 && time.Since(began) < span { // it gives up on who is further behind
			time.Sleep(time.Millisecond)
		}
	}
	took := time.Since(began)
	used, rate = 100*float64(cpu(b, pid)-used0)/float64(took), float64(sent.Load()-sent0)/took.Seconds()
	close(stop)
	typing.Wait()
	return used, rate
}

// watchBeside is the program without a screen, at the same registrar.
func watchBeside(b *testing.B, r *registrar.Registrar) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "watch", "sip:alice@example.com", "--proxy", "sip:"+r.Addr("udp").String()+";lr", "--password-env", "SECRET")
	dir := b.TempDir()
	cmd.Env = []string{"REGWATCH_BE_MAIN=regwatch", "SECRET=secret", "PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill() })
	for range 200 {
		if len(r.Bindings("alice")) > 0 {
			time.Sleep(time.Second) // it subscribes
			return cmd
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("never registered")
	return nil
}

// cpu is the time that a process has used, in steps of 10 ms.
func cpu(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks time.Duration
	for _, f := range fields[11:13] { // utime and stime of proc(5)
		var n time.Duration
		if _, err := fmt.Sscan(f, &n); err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks * 10 * time.Millisecond
}

// report tells the best, the median and the worst of what was measured.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[0].Microseconds())/1000, "best-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "worst-ms")
	b.ReportMetric(0, "ns/op") // of the whole round, and so of no interest
}
