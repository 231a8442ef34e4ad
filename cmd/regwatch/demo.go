package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"regwatch/internal/config"
	"regwatch/registrar"
	"regwatch/tui"
	"regwatch/ua"
)

const (
	demoAOR      = "sip:alice@example.com"
	demoPassword = "correct horse"
	// demoArrival is when the second device first turns up.
	demoArrival = 3 * time.Second
)

func demoCommand(e *env) *cobra.Command {
	var files agentFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it all with nothing to set up",
		Long: `Runs the lab registrar inside the process, registers alice there and watches her
registration. A second device of hers comes and goes. The administrator's
actions are on the key A. Nothing leaves this machine and nothing is kept.`,
		Example: `  regwatch demo
  regwatch demo --trace demo.pcapng`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return demo(e, &files) },
	}
	files.registerRecording(cmd.Flags())
	return cmd
}

func demo(e *env, files *agentFlags) error {
	dir, err := os.MkdirTemp("", "regwatch-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")
	r, err := registrar.Start(context.Background(), registrar.Options{
		Network: e.network, Listen: []registrar.Listen{{Transport: "udp", Addr: anyPort}, {Transport: "tcp", Addr: anyPort}},
		Domains: []string{"example.com"}, Users: map[string]string{"alice": demoPassword},
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer r.Close()

	us := demoDevice(r, "")
	c, err := start(e, []ua.Account{us}, crewOptions{
		log: files.log, trace: files.trace, journal: config.Journal{Off: true}, stateDir: filepath.Join(dir, "first"), traceLimit: defaultTraceLimit,
	})
	if err != nil {
		return err
	}
	other := demoDevice(r, "second device")
	guest := startGuest(e, other, filepath.Join(dir, "second"))
	defer guest.end()

	if !e.outTerminal {
		say(e.stderr, "standard output is no terminal: running as watch")
		return follow(e, c, &goal{}, watchOptions{})
	}
	return show(e, c, tui.Options{Admin: demoActions(r, us.InstanceID, other.InstanceID), Bell: true, Hint: "A: be the administrator, and kick yourself off"})
}

// demoDevice is a device of alice's.
func demoDevice(r *registrar.Registrar, name string) ua.Account {
	watch := ua.WatchReg
	if name != "" {
		watch = ua.WatchOff // the second is there to be watched
	}
	return ua.Account{
		Name: name, AOR: demoAOR, InstanceID: ua.NewInstance(), Watch: watch,
		OutboundProxy: []string{fmt.Sprintf("sip:%s;lr", r.Addr("udp"))}, Transport: "udp",
		Password: func() (string, error) { return demoPassword, nil },
	}
}

// demoActions are the administrator's hands, aimed at our own contact unless
// they say otherwise.
func demoActions(r *registrar.Registrar, us, other string) []tui.AdminAction {
	do := func(format string, args ...any) func() error {
		line := fmt.Sprintf(format, args...)
		return func() error {
			_, err := r.Command(line)
			return err
		}
	}
	return []tui.AdminAction{
		{Key: "d", Label: "deactivate", Run: do("deactivate alice %s", us)},
		{Key: "p", Label: "probation 15 s", Run: do("probation alice %s 15", us)},
		{Key: "r", Label: "reject", Run: do("reject alice")},
		{Key: "a", Label: "allow again", Run: do("allow alice")},
		{Key: "s", Label: "shorten to 60 s", Run: do("shorten alice %s 60", us)},
		{Key: "e", Label: "expire", Run: do("expire alice %s", us)},
		{Key: "x", Label: "remove without a word: S finds out", Run: do("remove alice %s", us)},
		{Key: "c", Label: "create another", Run: do("create alice sip:alice@192.0.2.99 300")},
		{Key: "k", Label: "kick second device", Run: do("deactivate alice %s", other)},
	}
}

// guest is the second device: it comes, stays for a while, goes, and comes
// again.
type guest struct {
	stop  context.CancelFunc
	ended chan struct{}
}

func startGuest(e *env, account ua.Account, stateDir string) *guest {
	ctx, stop := context.WithCancel(context.Background())
	g := &guest{stop, make(chan struct{})}
	go func() {
		defer close(g.ended)
		if !pause(ctx, demoArrival) {
			return
		}
		// Without it the demo is poorer, and that is all.
		group := ua.NewGroup(ua.Options{Network: e.network, StateDir: stateDir, UserAgent: "second device", OnPanic: func(error) {}})
		defer func() {
			ending, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			group.Close(ending, true)
		}()
		if err := group.Start(account); err != nil {
			return
		}
		for {
			for _, verb := range []ua.Verb{ua.DoUnregister, ua.DoRegister} {
				if !pause(ctx, 20*time.Second+rand.N(20*time.Second)) {
					return
				}
				group.Do(account.Name, ua.Command{Verb: verb})
			}
		}
	}()
	return g
}

// end returns when nothing of the device runs any more.
func (g *guest) end() {
	g.stop()
	<-g.ended
}

// pause waits, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
