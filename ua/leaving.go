package ua

import "time"

// goodbye begins the end: unregister, then unsubscribe, then left is true.
func (a *Agent) goodbye(g goodbye, now time.Time) {
	if a.leaving != nil {
		return
	}
	g.leave = g.leave || a.account.Leave
	a.leaving = &g
	a.beginAt = time.Time{}
	a.poller.stop()
	a.sub.retryAt = time.Time{}
	a.eachLine(func() {
		a.reaction.clear()
		a.reg.retryAt, a.reg.refreshAt, a.reg.wanted = time.Time{}, time.Time{}, nil
	})
	a.leaveByHand(now)
	waits := false
	a.eachLine(func() {
		// A REGISTER under way may still bind us: its answer is waited for.
		if !g.leave && (a.reg.registered() || a.pending() == regBind && !a.reg.asking) && a.flow != nil {
			waits = true
			a.apply(a.reg.want(regUnbind, now), now)
			return
		}
		a.reg.wanted = nil
	})
	if !waits {
		a.unsubscribeToLeave(now)
	}
}

func (a *Agent) unsubscribeToLeave(now time.Time) {
	a.apply(a.sub.unsubscribe(now), now)
}

// left reports whether nothing is under way any more.
func (a *Agent) left() bool {
	// Where there is no flow there is nobody to say it to, and whoever is asked for a
	// password is not waited for.
	if a.front.flow != nil && a.sub.inFlight != "" && !a.sub.asking {
		return false
	}
	return a.leaving.leave || !a.some(func(l *line) bool { return l.flow != nil && l.reg.inFlight != "" && !l.reg.asking })
}
