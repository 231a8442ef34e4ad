package probe

import (
	"strconv"
	"strings"

	"regwatch/reginfo"
)

// lowQ is the preference that our contacts are bound with: who calls the user
// while he is examined should find his phones first (RFC 3261 10.2.1.2).
const lowQ = "0.1"

// contact is a binding that the run asks for.
type contact struct {
	uri      string
	instance string // "": none, so it is told by its URI (RFC 3261 10.3)
	regID    int    // 0: none
}

// second is another contact than the device's: the same address, so that what is
// sent there ends here, with a user part that nobody else has.
func (x *exam) second() contact { return contact{uri: x.elsewhere()} }

func (x *exam) elsewhere() string {
	x.agent.serial++
	scheme, rest, _ := strings.Cut(x.own.uri, ":")
	_, address, _ := strings.Cut(rest, "@")
	return scheme + ":" + x.agent.token + strconv.Itoa(x.agent.serial) + "@" + address
}

// address is host and port of a contact, with the parameters of its URI.
func (c contact) address() string {
	_, address, _ := strings.Cut(c.uri, "@")
	return address
}

// value writes it for a Contact field; q and params are "" for none of their own.
func (c contact) value(q, params string) string {
	out := "<" + c.uri + ">"
	if c.instance != "" {
		out += `;+sip.instance="<` + c.instance + `>"`
	}
	if c.regID > 0 {
		out += ";reg-id=" + strconv.Itoa(c.regID)
	}
	if q == "" {
		q = lowQ
	}
	out += ";q=" + q
	if params != "" {
		out += ";" + params
	}
	return out
}

// in finds the contact in a list: by its URI, or by instance and reg-id where a
// registrar rewrote that, or by the user part, which few rewrite.
func (c contact) in(list []reginfo.Contact) (reginfo.Contact, bool) {
	for _, fits := range []func(reginfo.Contact) bool{
		func(l reginfo.Contact) bool { return reginfo.SameURI(l.URI, c.uri) },
		func(l reginfo.Contact) bool {
			return reginfo.SameInstance(l.Instance, c.instance) && (!l.RegID.Present || l.RegID.Value == uint64(c.regID))
		},
		func(l reginfo.Contact) bool {
			return l.Instance == "" && userOf(l.URI) != "" && userOf(l.URI) == userOf(c.uri)
		},
	} {
		for _, l := range list {
			if fits(l) && !(l.Expires.Present && l.Expires.Value == 0) {
				return l, true
			}
		}
	}
	return reginfo.Contact{}, false
}

func userOf(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, found := strings.Cut(rest, "@")
	if !found {
		return ""
	}
	return user
}
