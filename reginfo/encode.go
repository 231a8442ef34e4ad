package reginfo

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode writes a document as RFC 3680 5.4 has it: UTF-8, well-formed, its
// elements and attributes in the order of the schema, GRUUs in the namespace of
// RFC 5628. What is empty or not present is left out, be it mandatory: a
// document as broken as d is what comes out. Characters that XML cannot carry
// become U+FFFD.
//
// A contact's Params are written as they are; Instance and RegID are added to
// them unless they name +sip.instance and reg-id themselves. Findings and
// Incomplete are not written.
func Encode(d *Document) []byte {
	contacts, gruus := 0, false
	for i := range d.Registrations {
		cs := d.Registrations[i].Contacts
		contacts += len(cs)
		for j := range cs {
			gruus = gruus || cs[j].PubGRUU != "" || cs[j].TempGRUU != ""
		}
	}
	e := encoder{buf: make([]byte, 0, 256+512*contacts)}
	e.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<reginfo xmlns=\"" + nsReginfo + "\"")
	if gruus {
		e.raw(" xmlns:gr=\"" + nsGRUU + "\"")
	}
	e.number("version", d.Version)
	e.attr("state", string(d.State))
	e.raw(">\n")
	for i := range d.Registrations {
		e.registration(&d.Registrations[i])
	}
	e.raw("</reginfo>\n")
	return e.buf
}

type encoder struct{ buf []byte }

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) registration(r *Registration) {
	e.raw("  <registration")
	e.attr("aor", r.AOR)
	e.attr("id", r.ID)
	e.attr("state", string(r.State))
	if len(r.Contacts) == 0 {
		e.raw("/>\n")
		return
	}
	e.raw(">\n")
	for i := range r.Contacts {
		e.contact(&r.Contacts[i])
	}
	e.raw("  </registration>\n")
}

func (e *encoder) contact(c *Contact) {
	e.raw("    <contact")
	e.attr("id", c.ID)
	e.attr("state", string(c.State))
	e.attr("event", string(c.Event))
	e.number("duration-registered", c.DurationRegistered)
	e.number("expires", c.Expires)
	e.number("retry-after", c.RetryAfter)
	e.attr("q", c.Q)
	e.attr("callid", c.CallID)
	e.number("cseq", c.CSeq)
	e.raw(">\n")

	if c.URI != "" {
		e.raw("      <uri>")
		e.escape(c.URI)
		e.raw("</uri>\n")
	}
	if c.DisplayName != "" {
		e.raw("      <display-name>")
		e.escape(c.DisplayName)
		e.raw("</display-name>\n")
	}
	named := func(name string) bool {
		for i := range c.Params {
			if strings.EqualFold(c.Params[i].Name, name) {
				return true
			}
		}
		return false
	}
	for _, p := range c.Params {
		e.param(p)
	}
	if c.Instance != "" && !named("+sip.instance") {
		e.param(Param{"+sip.instance", `"<` + c.Instance + `>"`})
	}
	if c.RegID.Present && !named("reg-id") {
		e.param(Param{"reg-id", c.RegID.String()})
	}
	if c.PubGRUU != "" {
		e.raw("      <gr:pub-gruu")
		e.attr("uri", c.PubGRUU)
		e.raw("/>\n")
	}
	if c.TempGRUU != "" {
		e.raw("      <gr:temp-gruu")
		e.attr("uri", c.TempGRUU)
		e.number("first-cseq", c.FirstCSeq)
		e.raw("/>\n")
	}
	e.raw("    </contact>\n")
}

func (e *encoder) param(p Param) {
	e.raw("      <unknown-param")
	e.attr("name", p.Name)
	if p.Value == "" {
		e.raw("/>\n")
		return
	}
	e.raw(">")
	e.escape(p.Value)
	e.raw("</unknown-param>\n")
}

func (e *encoder) attr(name, value string) {
	if value == "" {
		return
	}
	e.raw(" " + name + "=\"")
	e.escape(value)
	e.raw("\"")
}

func (e *encoder) number(name string, n Number) {
	if !n.Present {
		return
	}
	e.raw(" " + name + "=\"")
	e.buf = strconv.AppendUint(e.buf, n.Value, 10)
	e.raw("\"")
}

// escape writes text so that it survives both as content and as an attribute,
// where a reader turns bare white space into blanks (XML 1.0 3.3.3).
func (e *encoder) escape(s string) {
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if !xmlChar(r) {
				r = utf8.RuneError
			}
			e.buf = utf8.AppendRune(e.buf, r)
			i += n
			continue
		}
		i++
		switch c {
		case '&':
			e.raw("&amp;")
		case '<':
			e.raw("&lt;")
		case '>':
			e.raw("&gt;")
		case '"':
			e.raw("&quot;")
		case '\t', '\n', '\r':
			e.raw("&#")
			e.buf = strconv.AppendInt(e.buf, int64(c), 10)
			e.raw(";")
		default:
			if c < ' ' {
				e.buf = utf8.AppendRune(e.buf, utf8.RuneError)
			} else {
				e.buf = append(e.buf, c)
			}
		}
	}
}
