package reginfo

import (
	"fmt"
	"math"
	"strings"

	"regwatch/reginfo/finding"
)

// What a document says is held against what RFC 3680 5.1 and RFC 5628 5 ask of
// it. Only what one document shows by itself is checked here.

func (d *decoder) checkDocument() {
	doc := d.doc
	const root = 0
	switch {
	case !doc.Version.Present:
		d.addFinding(finding.VersionMissing, "reginfo has no version that can be read", root)
	case doc.Version.Value > math.MaxUint32:
		d.addFinding(finding.VersionOver32Bits, "version "+doc.Version.String(), root)
	}
	switch {
	case doc.State == "":
		d.addFinding(finding.StateMissing, "reginfo says neither full nor partial", root)
	case !doc.State.Known():
		d.addFinding(finding.StateUnknown, fmt.Sprintf("reginfo has state %q", clip(string(doc.State))), root)
	}
	d.checkRepeats()
	if d.dropped > 0 {
		doc.Findings = append(doc.Findings, finding.Finding{
			Code: finding.FindingsCut, Detail: fmt.Sprintf("%d more", d.dropped)})
	}
}

// addFinding adds a finding about the document as a whole.
func (d *decoder) addFinding(code finding.Code, detail string, line int) {
	if d.crowded(code) {
		return
	}
	d.doc.Findings = append(d.doc.Findings, finding.Finding{Code: code, Detail: detail, Line: line})
}

// checkRepeats finds ids and addresses-of-record that stand there twice.
func (d *decoder) checkRepeats() {
	regs := d.doc.Registrations
	ids := make(map[string]string, len(regs))
	aors := make(map[string]bool, len(regs))
	contacts := make(map[string]string, d.contacts)
	for i := range regs {
		r := &regs[i]
		if key := aorKey(r.AOR); r.AOR != "" {
			if aors[key] {
				d.addFinding(finding.AORRepeated, clip(r.AOR), 0)
			}
			aors[key] = true
		}
		if other, twice := ids[r.ID]; twice && r.ID != "" && other != r.AOR {
			d.addFinding(finding.IDRepeated, fmt.Sprintf("registrations %s and %s have id %q", clip(other), clip(r.AOR), clip(r.ID)), 0)
		}
		ids[r.ID] = r.AOR
		for j := range r.Contacts {
			c := &r.Contacts[j]
			if c.ID == "" {
				continue
			}
			if other, twice := contacts[c.ID]; twice {
				d.addFinding(finding.IDRepeated, fmt.Sprintf("contacts %s and %s have id %q", clip(other), clip(c.URI), clip(c.ID)), 0)
			}
			contacts[c.ID] = c.URI
		}
	}
}

func (d *decoder) checkRegistration(r *Registration, at int) {
	who := func() string { return "registration " + clip(r.AOR) }
	if r.AOR == "" {
		d.report(finding.AORMissing, at, fmt.Sprintf("registration with id %q", clip(r.ID)))
	}
	if r.ID == "" {
		d.report(finding.IDMissing, at, who())
	}
	switch {
	case r.State == "":
		d.report(finding.StateMissing, at, who())
	case !r.State.Known():
		d.report(finding.StateUnknown, at, fmt.Sprintf("%s has state %q", who(), clip(string(r.State))))
	}
	active := 0
	for i := range r.Contacts {
		c := &r.Contacts[i]
		if c.Active() {
			active++
		}
		// Only here is the address-of-record known for sure.
		if c.PubGRUU != "" && !gruuOf(c.PubGRUU, r.AOR) {
			d.report(finding.PubGRUUOtherAOR, at, fmt.Sprintf("%s in %s", clip(c.PubGRUU), who()))
		}
	}
	if r.State.Empty() && active > 0 {
		d.report(finding.ActiveInTerminated, at, fmt.Sprintf("%s is %s, active contacts in it: %d", who(), r.State, active))
	}
}

func (d *decoder) checkContact(c *Contact, at int) {
	who := func() string {
		if c.URI != "" {
			return "contact " + clip(c.URI)
		}
		return fmt.Sprintf("contact with id %q", clip(c.ID))
	}
	if c.URI == "" {
		d.report(finding.URIMissing, at, who())
	}
	if c.ID == "" {
		d.report(finding.IDMissing, at, who())
	}
	switch {
	case c.State == "":
		d.report(finding.StateMissing, at, who())
	case !c.State.Known():
		d.report(finding.StateUnknown, at, fmt.Sprintf("%s has state %q", who(), clip(string(c.State))))
	}
	switch {
	case c.Event == "":
		d.report(finding.EventMissing, at, who())
	case !c.Event.Known():
		d.report(finding.EventUnknown, at, fmt.Sprintf("%s has event %q", who(), clip(string(c.Event))))
	case c.State.Known() && c.Event.LeadsTo() != c.State:
		d.report(finding.EventMisfit, at, fmt.Sprintf("%s is %s by %s", who(), c.State, c.Event))
	}
	if c.Event == Shortened && !c.Expires.Present {
		d.report(finding.ShortenedWithoutExpires, at, who())
	}
	if c.Event == Probation && !c.RetryAfter.Present {
		d.report(finding.ProbationWithoutRetryAfter, at, who())
	}
	if c.PubGRUU != "" && !hasGr(c.PubGRUU) {
		d.report(finding.GRUUWithoutGr, at, "pub-gruu "+clip(c.PubGRUU))
	}
	if c.TempGRUU != "" {
		if !hasGr(c.TempGRUU) {
			d.report(finding.GRUUWithoutGr, at, "temp-gruu "+clip(c.TempGRUU))
		}
		switch {
		case !c.FirstCSeq.Present:
			d.report(finding.TempGRUUWithoutFirstCSeq, at, who())
		case c.CSeq.Present && c.FirstCSeq.Value > c.CSeq.Value:
			d.report(finding.FirstCSeqAboveCSeq, at, fmt.Sprintf("%s: first-cseq %s, cseq %s", who(), c.FirstCSeq, c.CSeq))
		}
	}
}

// clip cuts a string from the document to what a line can hold.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
