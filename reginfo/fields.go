package reginfo

import (
	"bytes"
	"fmt"
	"strings"

	"regwatch/reginfo/finding"
)

// What the elements and attributes of the schema mean: the decoder enters an
// element with its attributes and leaves it with its text.

func (d *decoder) enter(k kind) {
	d.text = d.text[:0]
	attrs := d.scan.attrs
	switch k {
	case kindReginfo:
		d.seen = true
		for i := range attrs {
			d.reginfoAttr(&attrs[i])
		}
	case kindRegistration:
		d.reg = Registration{}
		for i := range attrs {
			d.registrationAttr(&attrs[i])
		}
	case kindContact:
		d.con = Contact{}
		for i := range attrs {
			d.contactAttr(&attrs[i])
		}
	case kindParam:
		d.param = ""
		for i := range attrs {
			if a := &attrs[i]; len(a.prefix) == 0 && string(a.local) == "name" {
				d.param = d.word(trimSpace(a.value))
			} else {
				d.outside("unknown-param", a)
			}
		}
	case kindPubGRUU, kindTempGRUU:
		for i := range attrs {
			d.gruuAttr(k, &attrs[i])
		}
	case kindURI, kindDisplayName:
		for i := range attrs {
			d.outside(string(d.scan.local), &attrs[i])
		}
	}
}

func (d *decoder) reginfoAttr(a *attr) {
	if len(a.prefix) > 0 {
		return
	}
	switch string(a.local) {
	case "version":
		d.doc.Version = d.number("version", a)
	case "state":
		d.doc.State = DocState(d.word(trimSpace(a.value)))
	default:
		d.outside("reginfo", a)
	}
}

func (d *decoder) registrationAttr(a *attr) {
	if len(a.prefix) > 0 {
		return
	}
	switch string(a.local) {
	case "aor":
		d.reg.AOR = d.bareURI(finding.AORForm, a.value)
	case "id":
		d.reg.ID = d.keep(a.value)
	case "state":
		d.reg.State = RegState(d.word(trimSpace(a.value)))
	default:
		d.outside("registration", a)
	}
}

func (d *decoder) contactAttr(a *attr) {
	if len(a.prefix) > 0 {
		return
	}
	c := &d.con
	switch string(a.local) {
	case "id":
		c.ID = d.keep(a.value)
	case "state":
		c.State = ContactState(d.word(trimSpace(a.value)))
	case "event":
		c.Event = ContactEvent(d.word(trimSpace(a.value)))
	case "duration-registered":
		c.DurationRegistered = d.number("duration-registered", a)
	case "expires":
		c.Expires = d.number("expires", a)
	case "retry-after":
		c.RetryAfter = d.number("retry-after", a)
	case "q":
		c.Q = d.word(trimSpace(a.value))
	case "callid":
		c.CallID = d.keep(trimSpace(a.value))
	case "cseq":
		c.CSeq = d.number("cseq", a)
	default:
		d.outside("contact", a)
	}
}

func (d *decoder) gruuAttr(k kind, a *attr) {
	switch {
	case len(a.prefix) > 0:
	case string(a.local) == "uri" && k == kindPubGRUU:
		d.con.PubGRUU = d.bareURI(finding.URIForm, a.value)
	case string(a.local) == "uri":
		d.con.TempGRUU = d.bareURI(finding.URIForm, a.value)
	case string(a.local) == "first-cseq" && k == kindTempGRUU:
		d.con.FirstCSeq = d.number("first-cseq", a)
	default:
		d.outside(string(d.scan.local), a)
	}
}

// outside reports an attribute that the schema does not know. Attributes of
// other namespaces are allowed, and ignored (RFC 3680 5.1).
func (d *decoder) outside(element string, a *attr) {
	if len(a.prefix) > 0 || string(a.local) == "xmlns" {
		return
	}
	d.reportOnce(finding.AttributeOutsideSchema, d.scan.at, "attribute "+show(a.local)+" of "+element)
}

func (d *decoder) number(name string, a *attr) Number {
	n, fits := parseNumber(a.value)
	switch {
	case !n.Present:
		d.report(finding.NumberInvalid, d.scan.at, fmt.Sprintf("%s is %q, taken as not given", name, show(a.value)))
	case !fits:
		d.report(finding.NumberInvalid, d.scan.at, fmt.Sprintf("%s is %s, taken as %d", name, show(a.value), n.Value))
	}
	return n
}

// bareURI returns the URI in a value that may be a whole name-addr with
// parameters, as some registrars put there.
func (d *decoder) bareURI(code finding.Code, value []byte) string {
	value = trimSpace(value)
	if open := bytes.IndexByte(value, '<'); open >= 0 {
		if n := bytes.IndexByte(value[open:], '>'); n > 0 {
			d.report(code, d.scan.at, fmt.Sprintf("%q is a URI within something else", show(value)))
			value = trimSpace(value[open+1 : open+n])
		}
	}
	return d.keep(value)
}

// leave takes the text of a leaf and completes contacts and registrations.
func (d *decoder) leave(e element) {
	switch e.kind {
	case kindReginfo:
		d.closed = true
	case kindRegistration:
		d.checkRegistration(&d.reg, e.at)
		d.doc.Registrations = append(d.doc.Registrations, d.reg)
		d.reg = Registration{}
	case kindContact:
		d.leaveContact(e)
	case kindURI:
		if uri := d.bareURI(finding.URIForm, d.text); d.con.URI == "" {
			d.con.URI = uri
		} else {
			d.report(finding.ElementOutsideSchema, e.at, "a second uri in a contact, ignored")
		}
	case kindDisplayName:
		d.con.DisplayName = d.keep(trimSpace(d.text))
	case kindParam:
		d.leaveParam(e)
	case kindPubGRUU, kindTempGRUU:
		gruu := &d.con.PubGRUU
		if e.kind == kindTempGRUU {
			gruu = &d.con.TempGRUU
		}
		if *gruu == "" {
			// Some put the GRUU where "uri" has its own.
			*gruu = d.bareURI(finding.URIForm, d.text)
			d.report(finding.URIMissing, e.at, show(e.local)+" has no uri attribute")
		}
	}
	d.text = d.text[:0]
}

func (d *decoder) leaveContact(e element) {
	if d.contacts++; d.contacts > MaxContacts {
		d.reportOnce(finding.LimitExceeded, e.at, fmt.Sprintf("more than %d contacts", MaxContacts))
		return
	}
	d.checkContact(&d.con, e.at)
	if d.reg.Contacts == nil {
		d.reg.Contacts = make([]Contact, 0, 4)
	}
	d.reg.Contacts = append(d.reg.Contacts, d.con)
	d.con = Contact{}
}

func (d *decoder) leaveParam(e element) {
	text := trimSpace(d.text)
	c := &d.con
	if d.param == "" {
		d.report(finding.ElementOutsideSchema, e.at, "an unknown-param without a name")
		return
	}
	if c.Params == nil {
		c.Params = make([]Param, 0, 2) // instance and reg-id, as a rule
	}
	switch {
	case strings.EqualFold(d.param, "+sip.instance"):
		raw := d.keep(text)
		c.Params = append(c.Params, Param{d.param, raw})
		c.Instance = InstanceURN(raw)
		if !wellFormed(raw, c.Instance) {
			d.reportOnce(finding.InstanceForm, e.at, "the instance is not of the form \"<urn:...>\"")
		}
		return
	case strings.EqualFold(d.param, "reg-id"):
		n, _ := parseNumber(bytes.Trim(text, `"`))
		if !n.Present {
			d.report(finding.NumberInvalid, e.at, fmt.Sprintf("reg-id is %q, taken as not given", show(text)))
		}
		c.RegID = n
	case strings.EqualFold(d.param, "q"):
		d.reportOnce(finding.ParameterKnown, e.at, "unknown-param q")
		if c.Q == "" {
			c.Q = d.word(text)
		}
	case strings.EqualFold(d.param, "expires"):
		d.reportOnce(finding.ParameterKnown, e.at, "unknown-param expires")
	}
	c.Params = append(c.Params, Param{d.param, d.word(text)})
}

// word returns a string for words that every document repeats, without a copy of its
// own for each.
func (d *decoder) word(b []byte) string {
	switch string(b) {
	case "+sip.instance":
		return "+sip.instance"
	case "reg-id":
		return "reg-id"
	case "active":
		return "active"
	case "terminated":
		return "terminated"
	case "init":
		return "init"
	case "full":
		return "full"
	case "partial":
		return "partial"
	case "registered":
		return "registered"
	case "created":
		return "created"
	case "refreshed":
		return "refreshed"
	case "unregistered":
		return "unregistered"
	case "expired":
		return "expired"
	case "1":
		return "1"
	case "1.0":
		return "1.0"
	}
	return d.keep(b)
}

// chunk is how many bytes of strings share one allocation. It is small, because a string
// that is kept keeps its chunk.
const chunk = 256

// keep copies b into a string.
func (d *decoder) keep(b []byte) string {
	if len(b) > chunk/2 {
		return string(b)
	}
	if d.strings.Cap()-d.strings.Len() < len(b) {
		d.strings.Reset() // what was given out of it stays
		d.strings.Grow(chunk)
	}
	from := d.strings.Len()
	d.strings.Write(b)
	return d.strings.String()[from:]
}
