package registrar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"regwatch/reginfo"
)

// kamailioDocuments are as Kamailio 5.6 writes them: every version is 0, every
// document full. It knows four words and deals them out anew in each document;
// a kick of any kind is "unregistered", a lapse is a contact that is not there.
// A new subscriber gets what was last told, however old, and an empty NOTIFY
// where nothing ever was.
type kamailioDocuments struct{}

func (kamailioDocuments) full(_ *Registrar, s *subscription) []byte { return s.record.published }

// changed only notes that there is something to tell: the text is made in bodies.
func (kamailioDocuments) changed(r *Registrar, rec *record, changes []change) {
	rec.told = true
	bodies := kamailioBodies(r, rec, changes)
	rec.published = bodies[len(bodies)-1]
}

func (kamailioDocuments) bodies(r *Registrar, s *subscription, changes []change) [][]byte {
	return kamailioBodies(r, s.record, changes)
}

// kamailioBodies makes a document for each change, because each contact is
// published on its own: one that is to follow is still listed as active.
func kamailioBodies(r *Registrar, rec *record, changes []change) [][]byte {
	var out [][]byte
	for i, c := range changes {
		var listed []kamailioContact
		for _, b := range rec.bindings {
			if later := slices.ContainsFunc(changes[i+1:], func(next change) bool { return next.binding == b }); later && b.event != reginfo.Refreshed {
				continue // not yet bound when this one was told
			}
			listed = append(listed, kamailioContact{b, reginfo.Registered, r.contactOf(rec, b)})
		}
		for _, next := range changes[i+1:] {
			if next.terminates() {
				listed = append(listed, kamailioContact{next.binding, reginfo.Registered, next.contact})
			}
		}
		switch {
		case c.event == reginfo.Expired: // no longer valid, so not listed
		case c.terminates():
			listed = append(listed, kamailioContact{c.binding, reginfo.Unregistered, c.contact})
		default:
			word := reginfo.Refreshed
			if c.event == reginfo.Registered || c.event == reginfo.Created {
				word = reginfo.Created
			}
			for j := range listed {
				if listed[j].binding == c.binding {
					listed[j].word = word
				}
			}
		}
		out = append(out, kamailioDocument(rec, listed))
	}
	return out
}

type kamailioContact struct {
	binding *binding
	word    reginfo.ContactEvent
	contact reginfo.Contact
}

// kamailioDocument writes it by hand: with attributes that no schema knows, and
// with the & of a URI as it is, which is not XML any more.
func kamailioDocument(rec *record, listed []kamailioContact) []byte {
	state := reginfo.RegTerminated
	for _, c := range listed {
		if c.word != reginfo.Unregistered {
			state = reginfo.RegActive
		}
	}
	var out strings.Builder
	out.WriteString("<?xml version=\"1.0\"?>\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">\n")
	fmt.Fprintf(&out, "  <registration aor=\"%s\" id=\"%s\" state=\"%s\"", escapeXML(rec.aor.String()), rec.id, state)
	if len(listed) == 0 {
		out.WriteString("/>\n</reginfo>\n")
		return []byte(out.String())
	}
	out.WriteString(">\n")
	for _, c := range listed {
		attribute := func(name, value string) {
			if value != "" {
				fmt.Fprintf(&out, " %s=\"%s\"", name, escapeXML(value))
			}
		}
		contactState := reginfo.ContactActive
		if c.word == reginfo.Unregistered {
			contactState = reginfo.ContactTerminated
		}
		out.WriteString("    <contact")
		attribute("id", c.contact.ID)
		attribute("state", string(contactState))
		attribute("event", string(c.word))
		attribute("expires", c.contact.Expires.String()) // also on a terminated one
		if q, err := strconv.ParseFloat(c.contact.Q, 64); err == nil {
			attribute("q", strconv.FormatFloat(q, 'f', 3, 64))
		}
		attribute("callid", c.contact.CallID)
		attribute("cseq", c.contact.CSeq.String())
		if c.binding.source.IsValid() {
			attribute("received", "sip:"+c.binding.source.String())
		}
		attribute("path", strings.Join(c.binding.path, ","))
		attribute("user_agent", c.binding.userAgent)
		fmt.Fprintf(&out, ">\n      <uri>%s</uri>\n    </contact>\n", strings.ReplaceAll(c.contact.URI, "<", "&lt;"))
	}
	out.WriteString("  </registration>\n</reginfo>\n")
	return []byte(out.String())
}

var escapeXML = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace

// kamailioCallID is what Kamailio puts on a binding that an administrator made
// or changed.
const kamailioCallID = "dfjrewr12386fd6-343@kamailio.rpc"

// addresses hands out ids like the memory addresses of a server: what was freed
// last is used first.
type addresses struct {
	free []string
	used int
}

func (a *addresses) take() string {
	if last := len(a.free) - 1; last >= 0 {
		id := a.free[last]
		a.free = a.free[:last]
		return id
	}
	a.used++
	return fmt.Sprintf("0x7f3a2c%06x", 0x0f1a08+a.used*0x1b8)
}

func (a *addresses) release(id string) { a.free = append(a.free, id) }
