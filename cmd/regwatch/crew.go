package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"regwatch/internal/capture"
	"regwatch/internal/config"
	"regwatch/internal/guard"
	"regwatch/internal/journal"
	"regwatch/internal/metrics"
	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/ua"
)

const (
	// endLimit is how long unregistering and unsubscribing may take at the end.
	endLimit = 2500 * time.Millisecond
	// With many accounts the heap is cleared as often as it takes to stay below so
	// many bytes, and so many for each account: what they hold lives as long as the
	// run, and twice of it, which Go would let it grow to, is much.
	manyMemory, manyMemoryEach = 30 << 20, 44 << 10
	// defaultTraceLimit is how many SIP messages the screen keeps.
	defaultTraceLimit = 5000
)

// crew is the agents of a run and what writes down their doings.
type crew struct {
	group   *ua.Group
	ring    *trace.Ring      // nil: nobody looks
	journal *journal.Journal // nil: none
	capture *capture.Writer  // nil: none
	log     *os.File         // nil: none
	keyLog  *os.File         // of TLS; nil: none
	metrics *metrics.Server  // nil: none

	journaled chan struct{}  // closed once the journal has every event
	counting  sync.WaitGroup // goroutines of the metrics
	written   mark           // of the journal
	broken    chan error     // the first panic on a goroutine of the agents
	leave     bool

	mu         sync.Mutex
	complaints []error   // of what records; told when no screen is in the way
	console    io.Writer // where they are told at once; nil: a screen is in the way
}

// crewOptions say how a crew is set up.
type crewOptions struct {
	log, trace string         // files; "": none
	messages   bool           // SIP messages are events, too
	keyLog     string         // file for the keys of TLS; "": none
	journal    config.Journal // as the config has it
	metrics    netip.AddrPort // where figures are shown; zero: nowhere
	stateDir   string         // "": nothing is kept
	traceLimit uint32         // messages kept for a screen; 0: none are
	leave      bool
	rate       float64 // accounts that begin in a second; 0: all at once
}

// openLog sends the log to its file. It comes before anything that may log.
func openLog(file string) (*os.File, error) {
	if file == "" {
		return nil, nil
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fail(statusUsage, "", "log: %w", err)
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	return out, nil
}

// openKeyLog opens the file for keys of TLS, for nobody but us; several programs
// may write to it.
func openKeyLog(file string) (*os.File, error) {
	if file == "" {
		return nil, nil
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		err = out.Chmod(0o600) // it may have been there
	}
	if err != nil {
		return nil, fail(statusUsage, "", "key log: %w", err)
	}
	return out, nil
}

// record opens what records the messages of a run, and says how agents are to be
// started for that. The caller closes the files.
func record(e *env, o crewOptions) (*crew, ua.Options, error) {
	c := &crew{journaled: make(chan struct{}), broken: make(chan error, 1), leave: o.leave}
	close(c.journaled)
	var err error
	if c.log, err = openLog(o.log); err != nil {
		return nil, ua.Options{}, err
	}
	if o.traceLimit > 0 {
		c.ring = trace.NewRing(int(o.traceLimit))
	}
	if o.trace != "" {
		if c.capture, err = capture.Create(o.trace, capture.Options{}); err != nil {
			c.closeFiles()
			return nil, ua.Options{}, fail(statusUsage, "", "%w", err)
		}
		if c.ring == nil {
			c.ring = trace.NewRing(1)
		}
		c.ring.Tee(c.capture.Add)
	}
	if c.keyLog, err = openKeyLog(o.keyLog); err != nil {
		c.closeFiles()
		return nil, ua.Options{}, err
	}
	options := ua.Options{Network: e.network, StateDir: o.stateDir, Trace: c.ring, Rate: o.rate, Messages: o.messages, Version: buildVersion().version, OnPanic: c.panicked}
	if c.keyLog != nil {
		options.KeyLog = c.keyLog
		say(e.stderr, "warning: the keys of TLS connections go to "+c.keyLog.Name()+": whoever reads it reads everything")
	}
	return c, options, nil
}

// start opens what records, then starts the agents. The caller closes the crew.
func start(e *env, accounts []ua.Account, o crewOptions) (*crew, error) {
	c, options, err := record(e, o)
	if err != nil {
		return nil, err
	}
	if o.metrics.IsValid() {
		if c.metrics, err = metrics.Listen(o.metrics); err != nil {
			c.closeFiles()
			return nil, fail(statusUsage, "another port, or none, at listen below [metrics] in the config", "%w", err)
		}
	}
	if len(accounts) > mostLines && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(manyMemory + manyMemoryEach*len(accounts)))
	}
	c.openJournal(e, o)
	c.group = ua.NewGroup(options)
	if err := c.group.Start(accounts...); err != nil {
		c.close(context.Background())
		return nil, fail(statusUsage, "", "%w", err)
	}
	if c.journal != nil {
		c.journaled = make(chan struct{})
		go func() {
			defer close(c.journaled)
			defer guard.Recover(c.panicked)
			for u := range c.group.Watch(context.Background(), 0) {
				events := withMissed(c.group.Run(), u)
				c.journal.Write(events...)
				if len(events) > 0 {
					c.written.reach(events[len(events)-1].Seq)
				}
			}
		}()
	}
	if c.metrics != nil {
		c.count()
	}
	return c, nil
}

// count has the metrics read the stream and answer scrapers, until the end.
func (c *crew) count() {
	c.counting.Go(func() {
		defer guard.Recover(c.panicked)
		c.metrics.Watch(c.group.Watch(context.Background(), 0))
	})
	c.counting.Go(func() {
		defer guard.Recover(c.panicked)
		c.complain(c.metrics.Serve())
	})
}

// openJournal opens the journal where one is wanted. Without one the run goes
// on: a warning is enough.
func (c *crew) openJournal(e *env, o crewOptions) {
	file := o.journal.File
	if file == "" && o.stateDir != "" {
		file = filepath.Join(o.stateDir, journal.Name)
	}
	if o.journal.Off || file == "" {
		return
	}
	opened, err := journal.Open(journal.Options{File: file, MaxSize: o.journal.MaxSize, Report: func(err error) {
		slog.Warn("journal failed", "error", err)
		c.complain(err)
	}})
	if err != nil {
		say(e.stderr, "warning: "+err.Error())
		return
	}
	c.journal = opened
}

func (c *crew) panicked(err error) {
	select {
	case c.broken <- err:
	default:
	}
}

// where says where the run is written down.
func (c *crew) where() []string {
	var lines []string
	if c.journal != nil {
		lines = append(lines, "journal "+c.journal.Path())
	}
	if c.capture != nil {
		lines = append(lines, "trace "+c.capture.Path())
	}
	if c.keyLog != nil {
		lines = append(lines, "TLS keys "+c.keyLog.Name())
	}
	if c.metrics != nil {
		lines = append(lines, "metrics http://"+c.metrics.Addr()+"/metrics")
	}
	return lines
}

// close ends the agents, and then what records them. It blocks until that is
// done; ctx bounds the unregistering. It is called once.
func (c *crew) close(ctx context.Context) {
	if err := c.group.Close(ctx, c.leave); err != nil {
		slog.Warn("ended before the registrar answered", "error", err)
	}
	select {
	case <-c.journaled:
		if c.journal != nil {
			c.complain(c.journal.Close())
		}
	case <-time.After(time.Second): // a disk that hangs holds nobody up, and closing would wait for it
		c.complain(errors.New("journal: the disk does not answer: the last events are not in it"))
	}
	if c.metrics != nil {
		c.complain(c.metrics.Close(ctx))
		c.counting.Wait()
	}
	c.closeFiles()
}

func (c *crew) closeFiles() {
	if c.capture != nil {
		c.complain(c.capture.Close())
	}
	if c.keyLog != nil {
		c.complain(c.keyLog.Close())
	}
	if c.log != nil {
		slog.SetDefault(slog.New(slog.DiscardHandler))
		c.log.Close()
	}
}

func (c *crew) complain(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complaints = append(c.complaints, err)
	c.flush()
}

// tell says what went wrong with what records the run, and from now on as soon as
// it does. It is for when the terminal is nobody else's.
func (c *crew) tell(e *env) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.console = e.stderr
	c.flush()
}

// flush is called with the lock held.
func (c *crew) flush() {
	if c.console == nil {
		return
	}
	for _, err := range c.complaints {
		say(c.console, "warning: "+err.Error())
	}
	c.complaints = nil
}

// mark is how far a reader of the events has come.
type mark struct {
	mu    sync.Mutex
	seq   uint64
	moved chan struct{} // closed and replaced when seq rises; nil: nobody waits
}

func (p *mark) reach(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq = seq
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

// until waits until the reader has come to seq. It gives up, and returns false,
// when it was ended or the time is over.
func (p *mark) until(seq uint64, ended <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		p.mu.Lock()
		if p.seq >= seq {
			p.mu.Unlock()
			return true
		}
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		moved := p.moved
		p.mu.Unlock()
		select {
		case <-moved:
		case <-ended:
			return false
		case <-timer.C:
			return false
		}
	}
}

// withMissed is the events of an update, with one in front that says how many
// were lost. It takes the number of the last of them.
func withMissed(run string, u ua.Update) []ua.Event {
	if u.Missed == 0 {
		return u.Events
	}
	missed := ua.Event{Run: run, Time: time.Now(), Summary: plural.Count(u.Missed, "event") + " lost: the reader was too slow",
		Detail: ua.MissedDetail{Count: u.Missed}}
	if len(u.Events) > 0 {
		missed.Seq, missed.Time = u.Events[0].Seq-1, u.Events[0].Time
	}
	return append([]ua.Event{missed}, u.Events...)
}
