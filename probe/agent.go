package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"regwatch/internal/guard"
	"regwatch/ua"
)

// agent is an account of the run with what it tells.
type agent struct {
	group  *ua.Group
	name   string
	aor    string
	token  string // in the user part of the contacts made up for it; nobody else has it
	serial int    // of those contacts
	ended  chan struct{}
	seen   *seen
}

// start starts an agent of its own group, whose events go to x.seen.
func (x *exam) start(account ua.Account) (*agent, error) {
	a := &agent{
		group: ua.NewGroup(x.o.UA), aor: account.AOR, token: "probe-" + strings.ToLower(rand.Text()[:10]) + "-",
		ended: make(chan struct{}), seen: x.seen,
	}
	if err := a.group.Start(account); err != nil {
		return nil, err
	}
	a.name = a.group.Accounts()[0]
	onPanic := x.o.UA.OnPanic
	go func() {
		defer close(a.ended)
		defer guard.Recover(onPanic)
		for update := range a.group.Watch(context.Background(), 0) {
			x.seen.update(a, update)
		}
	}()
	return a, nil
}

// state is the newest snapshot; one without anything before the first.
func (a *agent) state() ua.Snapshot {
	a.seen.mu.Lock()
	defer a.seen.mu.Unlock()
	if s := a.seen.states[a]; s != nil {
		return *s
	}
	return ua.Snapshot{}
}

// close ends the agent: it unregisters and unsubscribes, where it did so, and is
// given as long as ctx lasts.
func (a *agent) close(ctx context.Context) error {
	err := a.group.Close(ctx, false)
	<-a.ended
	if err != nil {
		return fmt.Errorf("end the probe's agent: %w", err)
	}
	return nil
}

// with gives a check an agent of its own, and ends it after.
func (x *exam) with(account ua.Account, use func(*agent) (outcome, error)) (outcome, error) {
	a, err := x.start(account)
	if err != nil {
		var field *ua.FieldError
		if errors.As(err, &field) {
			return notTried("%v", err), nil
		}
		return outcome{}, err
	}
	out, err := use(a)
	ctx, cancel := x.leaving()
	defer cancel()
	if left := a.close(ctx); left != nil && err == nil && x.ctx.Err() == nil {
		err = left
	}
	return out, err
}

// leaving is how long an end may take: who is interrupted has no more time than
// leaveWithin, be it that the end was under way by then.
func (x *exam) leaving() (context.Context, context.CancelFunc) {
	within := leaveSlowly
	if x.ctx.Err() != nil {
		within = leaveWithin
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), within)
	stop := context.AfterFunc(x.ctx, func() { time.AfterFunc(leaveWithin, cancel) })
	return ctx, func() { stop(); cancel() }
}
