package ua

import (
	"encoding/json"
	"os"
	"path/filepath"

	"regwatch/reginfo"
)

// Own tells the contacts of an account in messages that were recorded, as an
// Agent does in those that it gets: by what the account says, what its last run
// left in the state directory, and what its own REGISTERs among the messages say.
// It belongs to one goroutine.
type Own struct {
	id    identity
	gruus map[string]bool
}

// gruusOfOwn bounds what is learned.
const gruusOfOwn = 1024

// OwnOf reads what the state directory has of the account, without locking it;
// "" is none. The account needs not have run.
func OwnOf(account Account, stateDir string) *Own {
	account = account.withDefaults()
	var held remembered
	if stateDir != "" {
		// What cannot be read is not known: the account may never have run.
		text, _ := os.ReadFile(filepath.Join(stateDir, stateName(account.Name, account.AOR)))
		json.Unmarshal(text, &held)
	}
	o := &Own{gruus: map[string]bool{}, id: identity{
		instance: held.Instance, regID: account.RegID, callID: held.CallID, contact: held.Contact, watchOnly: account.WatchOnly,
	}}
	if account.InstanceID != "" {
		o.id.instance = account.InstanceID
	}
	return o
}

// Known reports whether anything is known to tell a contact by.
func (o *Own) Known() bool {
	return !o.id.watchOnly && (o.id.instance != "" || o.id.callID != "" || o.id.contact != "")
}

// Match tells whether the contact is the account's, and by what.
func (o *Own) Match(c reginfo.Contact) (by MatchedBy, own bool) {
	m := o.id.recognise(c, func(uri string) bool { return o.gruus[uri] })
	if !m.own {
		return "", false
	}
	return m.by, true
}

// Registers learns from a contact of a REGISTER: where it is ours, its Call-ID and
// URI tell it in documents that show nothing else.
func (o *Own) Registers(c reginfo.Contact, callID string) {
	c.CallID = callID
	if _, own := o.Match(c); own {
		o.id.callID, o.id.contact = callID, c.URI
	}
}

// Granted learns the GRUUs of our contact from the 2xx to a REGISTER of ours. One
// to another device's lists it too, and says nothing new.
func (o *Own) Granted(c reginfo.Contact, callID string) {
	if _, own := o.Match(c); !own || callID != o.id.callID {
		return
	}
	for _, uri := range []string{c.PubGRUU, c.TempGRUU} {
		if uri != "" && len(o.gruus) < gruusOfOwn {
			o.gruus[uri] = true
		}
	}
}
