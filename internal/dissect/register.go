package dissect

import (
	"fmt"
	"slices"
	"strings"

	"regwatch/internal/plural"
	"regwatch/internal/wire"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// register explains a REGISTER (RFC 3261 10.2).
func (d *Dissector) register(item *Item) {
	m := item.message
	a := asked{expires: item.expires()}
	contacts, malformed := item.contacts()
	for _, address := range contacts {
		if address.URI == "*" {
			a.star = true
			continue
		}
		c := ua.ContactOf(address)
		if d.own != nil {
			d.own.Registers(c, m.headers.Get("Call-ID"))
		}
		a.contacts = append(a.contacts, c)
	}
	aor := address(m, "To")
	switch {
	case a.star && a.expires.Present && a.expires.Value == 0 && len(a.contacts) == 0:
		item.note("removes all bindings of %s", aor)
	case a.star:
		item.note("Contact: * goes with Expires: 0 and with no other contact; this is to be refused with 400 (RFC 3261 10.3)")
	case len(a.contacts) == 0 && malformed == 0:
		item.note("asks for the bindings of %s, and changes none", aor)
	}
	for _, c := range a.contacts {
		expires := a.asks(c)
		text := fmt.Sprintf("binds %s to %s", c.URI, aor)
		switch {
		case !expires.Present:
			text += ", for as long as the registrar likes"
		case expires.Value == 0:
			text = fmt.Sprintf("removes %s from %s", c.URI, aor)
		default:
			text += fmt.Sprintf(", for %s s", expires)
		}
		item.Notes = append(item.Notes, Note{text, item.particulars(c)})
		c.State = "" // nobody has bound it yet
		item.Bindings = append(item.Bindings, c)
	}
	for _, name := range []string{"Path", "Require", "Proxy-Require", "Supported"} {
		if values := m.headers.Tokens(name); len(values) > 0 {
			item.note("%s: %s", name, strings.Join(values, ", "))
		}
	}
	item.credentials()
	d.asked.put(transactionOf(m), a)
}

// maxContacts bounds the contacts of one message that are looked at.
const maxContacts = 256

func (i *Item) contacts() (list []wire.NameAddr, malformed int) {
	list, malformed = i.message.headers.ParseNameAddrs("Contact")
	if malformed > 0 {
		i.note("%s cannot be read", plural.Count(malformed, "Contact"))
	}
	if more := len(list) - maxContacts; more > 0 {
		i.note("only %d contacts are looked at; there are %d more", maxContacts, more)
		list = list[:maxContacts]
	}
	return list, malformed
}

// asks is the expiry that is asked for a contact (RFC 3261 10.2.1.1).
func (a asked) asks(c reginfo.Contact) reginfo.Number {
	if c.Expires.Present {
		return c.Expires
	}
	return a.expires
}

// bound explains the 2xx to a REGISTER (RFC 3261 10.2.4).
func (d *Dissector) bound(item *Item) {
	m := item.message
	a, known := d.asked.get(transactionOf(m))
	contacts, malformed := item.contacts()
	for _, address := range contacts {
		c := ua.ContactOf(address)
		if !c.Expires.Present {
			c.Expires = item.expires()
		}
		if d.own != nil {
			d.own.Granted(c, m.headers.Get("Call-ID"))
		}
		item.Bindings = append(item.Bindings, c)
		text := fmt.Sprintf("bound: %s", c.URI)
		switch {
		case c.Expires.Present:
			text += fmt.Sprintf(", %s s left", c.Expires)
		default:
			text += ", without a time, which it needs (RFC 3261 10.3)"
		}
		wanted := slices.IndexFunc(a.contacts, func(w reginfo.Contact) bool { return sameBinding(w, c) })
		if wanted >= 0 {
			want := a.asks(a.contacts[wanted])
			switch {
			case !want.Present:
				text += "; this request's"
			case want.Value == 0:
				text += "; though its removal was asked for"
			default:
				text += fmt.Sprintf("; %s s were asked for", want)
			}
			if want.Present && want.Value > 0 && c.Expires.Present && c.Expires.Value > want.Value {
				item.found(finding.GrantedLonger, fmt.Sprintf("asked %s s, granted %s s", want, c.Expires))
			}
		}
		item.Notes = append(item.Notes, Note{text, item.particulars(c)})
	}
	if len(contacts) == 0 && malformed == 0 {
		item.note("no contact is bound")
	}
	for _, w := range a.contacts {
		want := a.asks(w)
		bound := slices.ContainsFunc(item.Bindings, func(c reginfo.Contact) bool { return sameBinding(w, c) })
		if !bound && (!want.Present || want.Value > 0) {
			item.note("%s, which was to be bound, is not listed: it is not registered (RFC 3261 10.3)", w.URI)
		}
	}
	if !known {
		item.note("the request is not here: what was asked for is not known")
	}
	for _, name := range []string{"Service-Route", "Path", "P-Associated-URI", "Require", "Flow-Timer"} {
		if values := m.headers.Values(name); len(values) > 0 {
			item.note("%s: %s", name, strings.Join(values, ", "))
		}
	}
}

// sameBinding tells a contact by instance and reg-id, else by its URI (RFC 5626 6).
func sameBinding(a, b reginfo.Contact) bool {
	if a.Instance != "" && b.Instance != "" {
		return reginfo.SameInstance(a.Instance, b.Instance) && (a.RegID == b.RegID || !b.RegID.Present || !a.RegID.Present)
	}
	return reginfo.SameURI(a.URI, b.URI)
}

// particulars is what few contacts have.
func (i *Item) particulars(c reginfo.Contact) (below []string) {
	for _, p := range [][2]string{
		{"ours by", string(i.matchedBy(c))}, {"q", c.Q}, {"instance", c.Instance}, {"reg-id", c.RegID.String()}, {"pub-gruu", c.PubGRUU}, {"temp-gruu", c.TempGRUU},
	} {
		if p[1] != "" {
			below = append(below, p[0]+" "+p[1])
		}
	}
	return below
}

func (i *Item) expires() reginfo.Number {
	n, ok := i.message.headers.Number("Expires")
	if !ok {
		return reginfo.Number{}
	}
	return reginfo.Num(uint64(n))
}

// credentials tells who is said to ask, and never by which response.
func (i *Item) credentials() {
	for _, to := range [][2]string{{"Authorization", "with credentials"}, {"Proxy-Authorization", "with credentials for the proxy"}} {
		for _, c := range i.message.headers.Challenges(to[0]) {
			i.note("%s: %s for realm %s, %s", to[1], orNone(c.Username), orNone(c.Realm), algorithm(c))
		}
	}
}

func algorithm(c wire.Challenge) string {
	switch {
	case !strings.EqualFold(c.Scheme, "Digest"):
		return c.Scheme
	case c.Algorithm == "":
		return "MD5"
	}
	return c.Algorithm
}

// address is the URI of a From or To.
func address(m *message, name string) string {
	a, err := wire.ParseNameAddr(m.headers.Get(name))
	if err != nil {
		return orNone("")
	}
	return a.URI
}
