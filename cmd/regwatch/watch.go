package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"regwatch/internal/config"
	"regwatch/internal/guard"
	"regwatch/ua"
)

// askHint tells once why a kick is followed by nothing.
const askHint = "not registering again: policy is ask; use --on auto"

// watchOptions are the flags of watch.
type watchOptions struct {
	json    bool
	until   string
	all     bool
	timeout time.Duration
	on      string
	// summary writes lines that sum up instead of a line an event.
	summary bool
	// messages adds the SIP messages.
	messages bool
}

func watchCommand(e *env) *cobra.Command {
	var flags agentFlags
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch [sip:USER@HOST]",
		Short: "The same without a screen: a line an event",
		Long: `Registers and watches like the screen, and writes a line for each event. It runs
until a signal, then unregisters; with --until it ends at the first event named.

With more than 50 accounts, or with --summary, lines sum up instead: how many are
registered and watched, and the kicks since the start, by event. What happened to
each is in the journal, and with --json.

A line has the time, the account where there are several, what it is about, and
a sentence; what takes our contact off says KICKED. With --json it is an object,
which docs/events.md explains. All of it is in the journal, too.

Names for --until: registered, unregistered, failed, subscribed,
subscription-terminated; for what the network does to our own contact:
deactivated, probation, rejected, shortened, contact-expired,
contact-unregistered, absent, and kicked for any of those that takes it off.

Exit status with --until: 0 the event came, 3 timed out, 4 the registrar refused
the first registration, 5 nobody could be reached on the first attempt, or the
time was over before that ended. Always: 1 unexpected error, 2 command line or
config wrong.`,
		Example: `  regwatch watch
  regwatch watch --json sip:alice@example.com | jq 'select(.kind == "contact")'
  regwatch watch --until registered --timeout 10s
  regwatch watch --until kicked --on never && echo "somebody took us off"
  regwatch watch --count 1000 --rate 50 'sip:user{n}@example.com'
  regwatch watch --on deactivated=auto,probation=auto`,
		Args: atMostOneAOR,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, flag := range []string{"all", "timeout"} {
				if cmd.Flags().Changed(flag) && o.until == "" {
					return fail(statusUsage, "regwatch watch --until registered --"+flag, "--%s goes with --until, and there is none", flag)
				}
			}
			if cmd.Flags().Changed("timeout") && o.timeout <= 0 {
				return fail(statusUsage, "regwatch watch --until registered --timeout 10s", "--timeout: %s is no time to wait", o.timeout)
			}
			if err := flags.checkMany(); err != nil {
				return err
			}
			accounts, c, err := flags.settings(e, args)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("summary") {
				o.summary = len(accounts) > mostLines
			}
			return watchAccounts(e, accounts, c, &flags, o)
		},
	}
	flags.register(cmd.Flags())
	flags.registerMany(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "write a JSON object a line")
	cmd.Flags().StringVar(&o.until, "until", "", "end at the first of these events: `NAME[,NAME...]`")
	cmd.Flags().BoolVar(&o.all, "all", false, "with --until: on each account, not on any")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "with --until: wait no longer than `DURATION`, such as 30s")
	cmd.Flags().BoolVar(&o.summary, "summary", false, fmt.Sprintf("sum up in at most a line a second (default: with more than %d accounts)", mostLines))
	cmd.Flags().BoolVar(&o.messages, "trace-messages", false, "add the SIP messages, secrets masked")
	cmd.Flags().StringVar(&o.on, "on", "", "`POLICY` at a kick (ask, auto, never), or EVENT=POLICY,...")
	return cmd
}

// watchAccounts starts agents and streams what they tell.
func watchAccounts(e *env, accounts []ua.Account, c *config.Config, flags *agentFlags, o watchOptions) error {
	on, err := parsePolicies(o.on)
	if err != nil {
		return err
	}
	goal, err := newGoal(o.until, o.all)
	if err != nil {
		return err
	}
	override(accounts, on)
	askLazily(e, accounts)
	crew, err := start(e, accounts, crewOptions{
		log: flags.log, trace: flags.trace, keyLog: cmp.Or(flags.keyLog, e.keyLog), journal: c.Journal, metrics: c.Metrics, stateDir: e.stateDir, leave: flags.leave,
		messages: o.messages, rate: flags.rate,
	})
	if err != nil {
		return err
	}
	goal.watch(crew.group.Accounts(), accounts)
	return follow(e, crew, goal, o)
}

// follow streams the events of a crew until the goal, a signal, the timeout or a
// fault, then ends the crew.
func follow(e *env, c *crew, g *goal, o watchOptions) error {
	c.tell(e)
	written := make(chan []ua.Event)
	decided, streamed := make(chan struct{}), make(chan struct{})
	unwritable := make(chan error, 1)
	go func() {
		defer close(streamed)
		defer guard.Recover(c.panicked)
		var err error
		if o.summary && !o.json {
			err = pourSummary(e, c, written, decided)
		} else {
			err = pour(e, c, o.json, written, decided)
		}
		if err != nil {
			unwritable <- err
		}
	}()
	err := await(e, c, g, o, written, unwritable)
	close(decided)

	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.close(ctx)
	}()
	select {
	case <-closed:
	case <-e.signals: // the second one: at once
		return errInterrupted
	}
	// What the end brought is still to be written; a reader that does not read
	// holds nobody up.
	select {
	case <-streamed:
	case <-e.signals:
	case <-time.After(300 * time.Millisecond):
	}
	return err
}

// await returns when the run has its end: nil for the goal and for a signal that
// ends a run without one.
func await(e *env, c *crew, g *goal, o watchOptions, written <-chan []ua.Event, unwritable <-chan error) error {
	var timeout <-chan time.Time
	if o.timeout > 0 {
		timer := time.NewTimer(o.timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	hinted := false
	for {
		select {
		case events := <-written:
			for _, event := range events {
				if d, ok := event.Detail.(ua.ActionDetail); ok && d.Policy == ua.Ask && d.Decision == ua.Asked && !hinted {
					hinted = true
					fmt.Fprintln(e.stderr, askHint)
				}
				if over, err := g.feed(event); over {
					return err
				}
			}
		case err := <-unwritable:
			if errors.Is(err, syscall.EPIPE) {
				if g.waits() {
					return &failure{status: statusUnexpected} // what was awaited did not come
				}
				return nil // the reader has seen enough
			}
			return err
		case err := <-c.broken:
			return fmt.Errorf("agent: %w", err)
		case <-timeout:
			return g.timedOut(o.timeout)
		case <-e.signals:
			if g.waits() {
				return errInterrupted
			}
			return nil
		}
	}
}

// pour writes events as they come and hands on what is written, until the group
// has ended. Nobody takes them any more once decided is closed. The journal has
// an event before it is printed, so that a kill loses nothing that somebody saw;
// but a disk that hangs holds nobody up.
func pour(e *env, c *crew, json bool, written chan<- []ua.Event, decided <-chan struct{}) error {
	out := newStream(e.stdout, json, c.group.Accounts())
	patience := time.Second
	for u := range c.group.Watch(context.Background(), 0) {
		events := withMissed(c.group.Run(), u)
		if c.journal != nil && len(events) > 0 {
			if c.written.until(events[len(events)-1].Seq, c.journaled, patience) {
				patience = time.Second
			} else {
				patience = 0
			}
		}
		if err := out.write(events); err != nil {
			return err
		}
		select {
		case written <- events:
		case <-decided:
		}
	}
	return nil
}
