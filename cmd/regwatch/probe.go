package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"regwatch/internal/capture"
	"regwatch/internal/guard"
	"regwatch/internal/journal"
	"regwatch/probe"
	"regwatch/ua"
)

// probeOptions are the flags of probe.
type probeOptions struct {
	json              bool
	junit             string
	run               string
	list              bool
	stranger          string
	clobber, refusals bool
}

func probeCommand(e *env) *cobra.Command {
	var flags agentFlags
	var o probeOptions
	cmd := &cobra.Command{
		Use:   "probe [sip:USER@HOST]",
		Short: "Examine a registrar: a verdict a check, with clause and evidence",
		Long: `Registers as a device of its own, does what the standards allow a device to do,
and tells of each check whether the registrar held to the clause. It takes some
minutes where it waits for a binding to lapse.

Verdicts: held; broken; not offered, for what the standards leave to a registrar
as a MAY or SHOULD; not tried, where nothing is known.

It leaves no binding behind, also when it is interrupted, and touches no other
device: where others are bound, checks that would remove them are not tried
without --clobber. It sends one request with a wrong password, the last one.

Exit status: 0 nothing is broken, 6 something is, 1 the registrar could not be
examined, 2 command line or config wrong.`,
		Example: `  regwatch probe sip:alice@example.com
  regwatch probe --account work --run 'event.*,document.*'
  regwatch probe --account work --stranger other --junit probe.xml
  regwatch probe --json sip:alice@example.com | jq '.results[] | select(.verdict == "broken")'
  regwatch probe --list`,
		Args: atMostOneAOR,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.leave {
				return fail(statusUsage, "", "--leave: a probe leaves nothing behind")
			}
			choose, err := chosenChecks(o.run)
			if err != nil {
				return err
			}
			if o.list {
				return listChecks(e, choose)
			}
			account, stranger, err := examined(e, &flags, args, o.stranger)
			if err != nil {
				return err
			}
			return examine(e, &flags, o, probe.Options{
				Account: account, Stranger: stranger, Clobber: o.clobber, Refusals: o.refusals, Choose: choose,
			})
		},
	}
	flags.register(cmd.Flags())
	cmd.Flags().MarkHidden("leave") // all commands that run agents have it, and this one refuses it
	cmd.Flags().BoolVar(&o.json, "json", false, "write the report as one JSON object")
	cmd.Flags().StringVar(&o.junit, "junit", "", "write the report to `FILE` too, as JUnit's XML")
	cmd.Flags().StringVar(&o.run, "run", "", "run only these checks: `PATTERN[,PATTERN...]` of names, such as register.* or *lapse*")
	cmd.Flags().BoolVar(&o.list, "list", false, "list the checks, and run none")
	cmd.Flags().StringVar(&o.stranger, "stranger", "", "the account with this `NAME` in the config is to be refused when it watches the other")
	cmd.Flags().BoolVar(&o.clobber, "clobber", false, "remove the bindings of other devices where a check does that")
	cmd.Flags().BoolVar(&o.refusals, "refusals", false, "send more than one request with a wrong password: it may lock the account")
	return cmd
}

// chosenChecks reads the value of --run.
func chosenChecks(pattern string) (func(id string) bool, error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	choose, err := probe.Pattern(pattern)
	if err != nil {
		return nil, fail(statusUsage, "regwatch probe --list", "--run: %w", err)
	}
	return choose, nil
}

func listChecks(e *env, choose func(id string) bool) error {
	columns := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, c := range probe.Checks() {
		if choose(c.ID) {
			fmt.Fprintf(columns, "%s\t%s\t%s\n", c.ID, c.Clause, c.Title)
		}
	}
	return columns.Flush()
}

// examined finds the account whose registrar is examined, and the stranger, which
// is nil where none is named.
func examined(e *env, flags *agentFlags, args []string, stranger string) (ua.Account, *ua.Account, error) {
	if stranger != "" && len(args) > 0 {
		return ua.Account{}, nil, fail(statusUsage, "regwatch probe --account NAME --stranger "+stranger, "--stranger names an account of the config, and an address excludes that")
	}
	if stranger != "" && len(flags.names) > 0 {
		flags.names = append(flags.names, stranger)
	}
	accounts, _, err := flags.settings(e, args)
	if err != nil {
		return ua.Account{}, nil, err
	}
	askLazily(e, accounts)
	var mine []ua.Account
	var other *ua.Account
	var names []string
	for i, a := range accounts {
		names = append(names, a.Name)
		if a.Name == stranger && stranger != "" {
			other = &accounts[i]
		} else {
			mine = append(mine, a)
		}
	}
	switch {
	case stranger != "" && other == nil:
		return ua.Account{}, nil, fail(statusUsage, "", "--stranger: %q is not in the config; there are %s", stranger, quoted(names))
	case len(mine) != 1:
		return ua.Account{}, nil, fail(statusUsage, "regwatch probe --account NAME", "one account is examined at a time, not %d; there are %s", len(mine), quoted(names))
	}
	return mine[0], other, nil
}

// examine runs the probe until its end or a signal, and writes the report.
func examine(e *env, flags *agentFlags, o probeOptions, p probe.Options) error {
	var junit *os.File
	if o.junit != "" {
		var err error
		if junit, err = os.Create(o.junit); err != nil { // now: not after minutes
			return fail(statusUsage, "", "--junit: %w", err)
		}
		defer junit.Close()
	}
	c, options, err := record(e, crewOptions{log: flags.log, trace: flags.trace, keyLog: cmp.Or(flags.keyLog, e.keyLog)})
	if err != nil {
		return err
	}
	defer c.tell(e)
	defer c.closeFiles()
	p.UA = options
	shown := &progress{env: e}
	p.Progress = shown.tell

	report, err := probed(e, c, p)
	shown.end()
	if report == nil {
		return unexamined(err)
	}
	if written := write(e, o, junit, report); written != nil {
		return written
	}
	switch {
	case err != nil:
		return err
	case report.Broken():
		return &failure{status: statusBroken}
	}
	return nil
}

// probed runs the probe. The first signal ends it in order, the second at once.
func probed(e *env, c *crew, p probe.Options) (*probe.Report, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type outcome struct {
		report *probe.Report
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer guard.Recover(c.panicked)
		report, err := probe.Run(ctx, p)
		done <- outcome{report, err}
	}()
	interrupted := false
	for {
		select {
		case out := <-done:
			if interrupted {
				out.err = errInterrupted
			}
			return out.report, out.err
		case err := <-c.broken:
			return nil, fmt.Errorf("agent: %w", err)
		case <-e.signals:
			if interrupted {
				return nil, errInterrupted
			}
			interrupted = true
			cancel()
		}
	}
}

// unexamined is the failure of a run without a report.
func unexamined(err error) error {
	var field *ua.FieldError
	switch {
	case errors.As(err, &field):
		return fail(statusUsage, "", "%w", err)
	case errors.Is(err, probe.ErrRefused):
		return fail(statusUnexpected, "regwatch watch shows the exchange; check user and password", "%w", err)
	}
	return err
}

func write(e *env, o probeOptions, junit *os.File, report *probe.Report) error {
	if junit != nil {
		text, err := report.JUnit()
		if err == nil {
			_, err = junit.Write(text)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", o.junit, err)
		}
	}
	if o.json {
		text, err := report.JSON()
		if err == nil {
			_, err = e.stdout.Write(journal.Escaped(text))
		}
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		return nil
	}
	for line := range strings.Lines(report.Text()) {
		if _, err := fmt.Fprintln(e.stdout, capture.Visible(strings.TrimRight(line, "\n"))); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

// progress says on standard error what goes on: on a terminal in one line that is
// written over, elsewhere a line for each wait.
type progress struct {
	*env
	mu    sync.Mutex // a run that is given up goes on for a while
	shown int        // columns of the line that stands
	over  bool
}

func (p *progress) tell(now probe.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	line := fmt.Sprintf("%d/%d %s", now.Number, now.Of, now.Check.ID)
	switch {
	case now.Result != nil:
		line += ": " + string(now.Result.Verdict)
	case now.Why != "":
		line += fmt.Sprintf(": waiting %s, up to %s", now.Why, now.Wait.Round(time.Second))
	}
	if p.errTerminal {
		p.write(line)
		return
	}
	if now.Why != "" {
		fmt.Fprintln(p.stderr, line)
	}
}

func (p *progress) write(line string) {
	const most = 79 // a line that wraps cannot be written over
	line = line[:min(len(line), most)]
	fmt.Fprintf(p.stderr, "\r%-*s\r%s", p.shown, "", line)
	p.shown = len(line)
}

// end leaves an empty line for what follows, and says no more.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.shown > 0 {
		p.write("")
	}
}
