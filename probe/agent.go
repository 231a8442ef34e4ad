package probe

import (
	"context"
	"crypto/rand"
	"strings"

	"regwatch/internal/guard"
	"regwatch/ua"
)

// agent is an account of the run with what it tells.
type agent struct {
	group   *ua.Group
	name    string
	account ua.Account
	token   string // in the user part of the contacts made up for it; nobody else has it
	serial  int    // of those contacts
	ended   chan struct{}
	seen    *seen
}

// start starts an agent of its own group, whose events go to x.seen.
func (x *exam) start(account ua.Account) (*agent, error) {
	a := &agent{
		group: ua.NewGroup(x.o.UA), account: account, token: "probe-" + strings.ToLower(rand.Text()[:10]) + "-",
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

// close ends the agent: it unregisters and unsubscribes, where it registered and
// subscribed by itself. The error is ctx's, where that cut it short.
func (a *agent) close(ctx context.Context) error {
	err := a.group.Close(ctx, false)
	<-a.ended
	return err
}

// with gives a check an agent of its own, and ends it after.
func (x *exam) with(account ua.Account, use func(*agent) (outcome, error)) (outcome, error) {
	a, err := x.start(account)
	if err != nil {
		return outcome{}, err
	}
	out, err := use(a)
	ctx, cancel := context.WithTimeout(x.last, leaveSlowly)
	defer cancel()
	if a.close(ctx) != nil && !a.account.WatchOnly {
		x.left = append(x.left, a.state().Registration.Contact)
	}
	return out, err
}
