package ua

import (
	"errors"
	"fmt"
)

// remember opens the state file and takes up what an earlier run left.
func (a *Agent) remember() {
	a.id = identity{instance: NewInstance(), regID: a.account.RegID, callID: randomHex(12), watchOnly: a.account.WatchOnly}
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
				a.id.instance = state.held.Instance
			}
			a.id.earlierCallID, a.id.earlierContact = state.held.CallID, state.held.Contact
			if a.creds.AKA != nil {
				a.creds.AKA.SQN = max(a.creds.AKA.SQN, state.held.SQN)
			}
		}
	}
	if a.account.InstanceID != "" {
		a.id.instance = a.account.InstanceID
	}
	a.ledger = ledger{instance: a.id.instance}
	a.save()
}

func (a *Agent) save() {
	r := remembered{Instance: a.id.instance, CallID: a.keptCallID(), Contact: a.keptContact(), ExpiresAt: a.reg.expiresAt}
	if a.creds.AKA != nil {
		r.SQN = a.creds.AKA.SQN
	}
	err := a.state.save(r)
	if err != nil {
		a.notices = append(a.notices, err.Error())
		a.state.close()
		a.state = nil
	}
}

// keptCallID is that of the binding that a crash would leave behind: ours once
// a REGISTER went out, the earlier run's until then, none after we unregistered.
func (a *Agent) keptCallID() string {
	switch {
	case a.id.contact == "":
		return a.id.earlierCallID
	case a.reg.state == Unregistered && a.removed:
		return ""
	case a.id.boundAs != "":
		return a.id.boundAs
	}
	return a.id.callID
}

func (a *Agent) keptContact() string {
	switch {
	case a.id.contact == "":
		return a.id.earlierContact
	case a.reg.state == Unregistered && a.removed:
		return ""
	}
	return a.id.contact
}
