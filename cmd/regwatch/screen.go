package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"sync/atomic"

	"regwatch/internal/capture"
	"regwatch/internal/trace"
	"regwatch/tui"
	"regwatch/ua"
)

// screenCommand is regwatch without a command: the screen, or watch where there
// is no terminal to draw on.
func screenCommand(e *env, flags *agentFlags, args []string) error {
	if err := flags.checkMany(); err != nil {
		return err
	}
	accounts, c, err := flags.settings(e, args)
	if err != nil {
		return err
	}
	if !e.outTerminal {
		say(e.stderr, "standard output is no terminal: running as watch")
		return watchAccounts(e, accounts, c, flags, watchOptions{summary: len(accounts) > mostLines})
	}
	if err := askNow(e, accounts); err != nil {
		return err
	}
	limit := c.UI.TraceLimit
	if limit == 0 {
		limit = defaultTraceLimit
	}
	crew, err := start(e, accounts, crewOptions{
		log: flags.log, trace: flags.trace, keyLog: cmp.Or(flags.keyLog, e.keyLog), journal: c.Journal, metrics: c.Metrics, stateDir: e.stateDir, traceLimit: limit, leave: flags.leave,
		rate: flags.rate,
	})
	if err != nil {
		return err
	}
	return show(e, crew, tui.Options{Bell: !c.UI.NoBell, Notify: c.UI.Notify, Theme: c.UI.Theme})
}

// show runs the screen over a crew and ends both. more holds what only the
// caller knows.
func show(e *env, c *crew, more tui.Options) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	atOnce, abort := context.WithCancel(context.Background())
	defer abort()
	var broken error
	var paging atomic.Bool
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for wished := false; !wished; {
			select {
			case s := <-e.signals:
				wished = s != os.Interrupt || !paging.Load() // Ctrl-C in the pager is meant for that
			case broken = <-c.broken:
				wished = true
			case <-ctx.Done():
				return
			}
		}
		cancel()
		select {
		case <-e.signals:
			abort()
		case <-atOnce.Done():
		}
	}()

	o := more
	o.Updates = func(ctx context.Context) iter.Seq[ua.Update] { return c.group.Watch(ctx, 0) }
	o.Do, o.Render, o.Send = c.group.Do, c.group.Render, c.group.Send
	o.Quit = func(ctx context.Context) {
		ctx, done := context.WithTimeout(ctx, endLimit)
		defer done()
		defer context.AfterFunc(atOnce, done)()
		c.close(ctx)
	}
	o.Save = func(path string, replace bool, messages []trace.Message) error {
		return capture.Save(path, capture.Options{New: !replace}, messages)
	}
	o.Pager = func(ctx context.Context, text string) error {
		paging.Store(true)
		defer paging.Store(false)
		return e.page(ctx, text)
	}
	o.Accounts = c.group.Accounts()
	o.Trace = c.ring
	o.Where = append(c.where(), more.Where...)
	o.Input, o.Output = e.stdin, e.stdout
	err := e.screen(ctx, o)
	cancel()
	abort()
	<-watched
	c.tell(e)
	if broken != nil {
		return fmt.Errorf("agent: %w", broken)
	}
	return err
}
