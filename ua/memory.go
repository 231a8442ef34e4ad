package ua

import (
	"errors"
	"fmt"
)

// remember opens the state file and takes up what an earlier run left.
func (a *Agent) remember() {
	instance := NewInstance()
	if dir := a.group.options.StateDir; dir != "" {
		state, err := openState(dir, a.account.Name, a.account.AOR)
		switch {
		case errors.Is(err, errHeld):
			a.notices = append(a.notices, fmt.Sprintf("%v: registering with a fresh instance id", err))
		case err != nil:
			a.notices = append(a.notices, fmt.Sprintf("%v: this run leaves no memory", err))
		default:
			a.state = state
			if state.held.Instance != "" {
				instance = state.held.Instance
			}
			for _, l := range a.lines {
				l.id.earlierCallID, l.id.earlierContact = state.held.earlier(l.id.regID, a.account.RegID)
			}
			if a.creds.AKA != nil {
				a.creds.AKA.SQN = max(a.creds.AKA.SQN, state.held.SQN)
			}
		}
	}
	if a.account.InstanceID != "" {
		instance = a.account.InstanceID
	}
	for _, l := range a.lines {
		l.id.instance = instance
	}
	a.ledger = ledger{instance: instance}
	a.save()
}

func (a *Agent) save() {
	first := a.lines[0]
	r := remembered{Instance: a.id.instance, CallID: first.keptCallID(), Contact: first.keptContact(), ExpiresAt: first.reg.expiresAt}
	for _, l := range a.lines[1:] {
		if callID := l.keptCallID(); callID != "" {
			r.Flows = append(r.Flows, rememberedFlow{l.id.regID, callID, l.keptContact(), l.reg.expiresAt})
		}
	}
	if a.creds.AKA != nil {
		r.SQN = a.creds.AKA.SQN
	}
	a.rest() // a disk that hangs holds up no other account
	err := a.state.save(r)
	a.work()
	if err != nil {
		a.notices = append(a.notices, err.Error())
		a.state.close()
		a.state = nil
	}
}

// keptCallID is that of the binding that a crash would leave behind: ours once
// a REGISTER went out, the earlier run's until then, none after we unregistered.
func (l *line) keptCallID() string {
	switch {
	case l.id.contact == "":
		return l.id.earlierCallID
	case l.reg.state == Unregistered && l.removed:
		return ""
	case l.id.boundAs != "":
		return l.id.boundAs
	}
	return l.id.callID
}

func (l *line) keptContact() string {
	switch {
	case l.id.contact == "":
		return l.id.earlierContact
	case l.reg.state == Unregistered && l.removed:
		return ""
	}
	return l.id.contact
}
