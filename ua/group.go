package ua

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
)

// Options of a Group; the zero value works, without a memory of earlier runs.
type Options struct {
	Network   wire.Network // nil: the machine's
	StateDir  string       // where accounts keep their state files; "" keeps none
	Trace     *trace.Ring  // every SIP message; nil: none
	Messages  bool         // every SIP message is an event, too
	KeyLog    io.Writer    // the keys of TLS connections, as SSLKEYLOGFILE has them; nil: none
	Version   string       // of the program, for the start event and User-Agent
	UserAgent string       // "" makes "regwatch/VERSION"
	// OnPanic is told of a panic on a goroutine of the group; nil lets it end
	// the program.
	OnPanic func(error)
	Now     func() time.Time // the wall clock; nil: time.Now
	// Rate is how many accounts begin in a second, in the order in which they are
	// given; 0: all at once.
	Rate float64
}

// Group runs the agents of one process: they share its sockets, and its hub
// numbers their events. All methods may be called from several goroutines.
type Group struct {
	options Options
	stacks  *wire.Stacks
	hub     *hub
	avoid   wire.Avoid      // targets that failed lately, for all accounts
	ctx     context.Context // ends when the group is closed
	cancel  context.CancelFunc

	atWork   chan struct{} // full: so many agents are
	underWay chan struct{} // full: so many requests are

	vigil sync.WaitGroup
	ended chan struct{} // closed at the end of Close

	mu     sync.Mutex
	agents []*Agent
	closed bool
}

// StateDir is where accounts keep their state by default: regwatch in
// $XDG_STATE_HOME, else in ~/.local/state. "" where there is no home.
func StateDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "regwatch")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "regwatch")
}

// NewGroup returns a group without agents, and opens its stream with a start
// event once the first is added.
func NewGroup(o Options) *Group {
	if o.UserAgent == "" {
		o.UserAgent = "regwatch/" + o.Version
		if o.Version == "" {
			o.UserAgent = "regwatch"
		}
	}
	if o.Messages && o.Trace == nil {
		o.Trace = trace.NewRing(1)
	}
	g := &Group{
		options: o, stacks: wire.NewStacks(o.Network, o.Trace, o.KeyLog, o.OnPanic), hub: newHub(randomHex(4)),
		atWork: make(chan struct{}, atWork), underWay: make(chan struct{}, mostUnderWay), ended: make(chan struct{}),
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if o.Messages {
		o.Trace.Tee(g.traced)
	}
	return g
}

// Start tells who takes part, checks the accounts and starts an agent for each;
// it does not wait for an answer. Without error it is called once. The error
// names the account; it wraps a *FieldError where a setting is wrong.
func (g *Group) Start(accounts ...Account) error {
	var names []string
	taken := make(map[string]bool, len(accounts))
	accounts = slices.Clone(accounts)
	for i := range accounts {
		if err := accounts[i].Check(); err != nil {
			return fmt.Errorf("account %q: %w", accounts[i].AOR, err)
		}
		accounts[i] = accounts[i].withDefaults()
		if taken[accounts[i].Name] {
			accounts[i].Name = accounts[i].AOR
		}
		if taken[accounts[i].Name] {
			return fmt.Errorf("account %q: %w", accounts[i].AOR, &FieldError{"name", fmt.Sprintf("%q is used twice", accounts[i].Name), ""})
		}
		taken[accounts[i].Name] = true
		names = append(names, accounts[i].Name)
	}
	g.hub.publish("", nil, []news{{
		at: g.now(), summary: fmt.Sprintf("regwatch %s watches %s", g.options.Version, plural.Count(len(names), "account")),
		detail: StartDetail{Version: g.options.Version, PID: os.Getpid(), Accounts: names},
	}})
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errors.New("the group is closed")
	}
	g.vigil.Add(1)
	go g.keepVigil()
	now := g.now()
	for i, account := range accounts {
		beginAt := now
		if g.options.Rate > 0 {
			beginAt = now.Add(time.Duration(float64(i) * float64(time.Second) / g.options.Rate))
		}
		g.agents = append(g.agents, startAgent(g, account, beginAt, min(receivedMost, receivedMostOfAll/len(accounts))))
	}
	return nil
}

// Accounts lists the accounts' names in the order in which they were given.
func (g *Group) Accounts() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for _, agent := range g.agents {
		names = append(names, agent.account.Name)
	}
	return names
}

// Run names this run of the program, as each event does.
func (g *Group) Run() string { return g.hub.run }

// Do gives a command to the agent of an account. It does not wait; what comes
// of it shows as events. Unknown accounts and ended agents ignore it.
func (g *Group) Do(account string, c Command) {
	if agent := g.agent(account); agent != nil {
		agent.post(c)
	}
}

// agent finds that of an account; nil: there is none.
func (g *Group) agent(account string) *Agent {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, agent := range g.agents {
		if agent.account.Name == account {
			return agent
		}
	}
	return nil
}

// Watch yields the state of every account, then what changes, until ctx ends or
// the group is closed and everything was given. Events begin after number
// since; 0 gives all that are kept. Each call has its own place in the stream,
// and a slow reader delays nobody.
func (g *Group) Watch(ctx context.Context, since uint64) iter.Seq[Update] {
	return g.hub.watch(ctx, since)
}

// Close ends all agents: unless leave is set they unregister, then they end
// their subscriptions. It returns when that is done or ctx ends, whichever is
// first, and after it no goroutine and no socket of the group is left, but for a
// Password that still blocks. The error is ctx's, where that cut it short.
func (g *Group) Close(ctx context.Context, leave bool) error {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	agents := g.agents
	g.mu.Unlock()
	for _, agent := range agents {
		agent.post(goodbye{leave})
	}
	var err error
	for _, agent := range agents {
		select {
		case <-agent.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if !first {
		<-g.ended
		return err
	}
	g.cancel()
	g.vigil.Wait()
	g.stacks.Close()
	for _, agent := range agents {
		<-agent.done
	}
	g.hub.close()
	close(g.ended)
	return err
}

func randomHex(bytes int) string {
	raw := make([]byte, bytes)
	rand.Read(raw) // never fails (crypto/rand)
	return hex.EncodeToString(raw)
}
