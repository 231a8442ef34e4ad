package ua

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"

	"regwatch/reginfo"
)

// Own tells the contacts of an account in messages that were recorded, as an
// Agent does in those that it gets: by what the account says, what its last run
// left in the state directory, and what its own REGISTERs among the messages say.
// It belongs to one goroutine.
type Own struct {
	ids   []identity // one for each flow
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
	if account.InstanceID != "" {
		held.Instance = account.InstanceID
	}
	o := &Own{gruus: map[string]bool{}}
	for n := range account.Flows() {
		id := identity{instance: held.Instance, regID: account.RegID + uint32(n), watchOnly: account.WatchOnly}
		id.callID, id.contact = held.earlier(id.regID, account.RegID)
		o.ids = append(o.ids, id)
	}
	return o
}

// Known reports whether anything is known to tell a contact by.
func (o *Own) Known() bool {
	return slices.ContainsFunc(o.ids, func(id identity) bool {
		return !id.watchOnly && (id.instance != "" || id.callID != "" || id.contact != "")
	})
}

// Match tells whether the contact is the account's, and by what.
func (o *Own) Match(c reginfo.Contact) (by MatchedBy, own bool) {
	_, m := o.match(c)
	return m.by, m.own
}

// match gives the identity that the contact is of, too; nil: it is not ours.
func (o *Own) match(c reginfo.Contact) (*identity, match) {
	for i := range o.ids {
		if m := o.ids[i].recognise(c, func(uri string) bool { return o.gruus[uri] }); m.own {
			return &o.ids[i], m
		}
	}
	return nil, match{}
}

// Registers learns from a contact of a REGISTER: where it is ours, its Call-ID and
// URI tell it in documents that show nothing else.
func (o *Own) Registers(c reginfo.Contact, callID string) {
	c.CallID = callID
	if id, _ := o.match(c); id != nil {
		id.callID, id.contact = callID, c.URI
	}
}

// Granted learns the GRUUs of our contact from the 2xx to a REGISTER of ours. One
// to another device's lists it too, and says nothing new.
func (o *Own) Granted(c reginfo.Contact, callID string) {
	if id, _ := o.match(c); id == nil || callID != id.callID {
		return
	}
	for _, uri := range []string{c.PubGRUU, c.TempGRUU} {
		if uri != "" && len(o.gruus) < gruusOfOwn {
			o.gruus[uri] = true
		}
	}
}
