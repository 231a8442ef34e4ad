package dissect

import (
	"bytes"
	"encoding/json"
	"time"

	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// form is an item as it leaves the program: docs/decode.md explains each field.
type form struct {
	Time          time.Time      `json:"time,omitzero"`
	Transport     string         `json:"transport,omitempty"`
	From          string         `json:"from,omitempty"`
	To            string         `json:"to,omitempty"`
	StartLine     string         `json:"start_line,omitempty"`
	Method        string         `json:"method,omitempty"`
	Status        int            `json:"status,omitempty"`
	CallID        string         `json:"call_id,omitempty"`
	CSeq          *uint32        `json:"cseq,omitempty"`
	Explained     []string       `json:"explained,omitempty"`
	Bindings      []contact      `json:"bindings,omitempty"`
	Version       reginfo.Number `json:"version,omitzero"`
	State         string         `json:"state,omitempty"`
	Incomplete    bool           `json:"incomplete,omitempty"`
	Verdict       string         `json:"verdict,omitempty"`
	Reason        string         `json:"reason,omitempty"`
	First         bool           `json:"first,omitempty"`
	Registrations []aor          `json:"registrations"`
	// Changes are left out where there is nothing to compare with.
	StateChanges []stateChange     `json:"registration_changes,omitempty"`
	Changes      *[]change         `json:"changes,omitempty"`
	Findings     []finding.Finding `json:"findings"`
}

type aor struct {
	AOR      string           `json:"aor,omitempty"`
	ID       string           `json:"id,omitempty"`
	State    reginfo.RegState `json:"state,omitempty"`
	Contacts []contact        `json:"contacts"`
}

type contact struct {
	reginfo.Contact
	Own       bool         `json:"own,omitempty"`
	MatchedBy ua.MatchedBy `json:"matched_by,omitempty"`
}

type stateChange struct {
	AOR    string           `json:"aor,omitempty"`
	ID     string           `json:"id,omitempty"`
	Before reginfo.RegState `json:"before,omitempty"`
	After  reginfo.RegState `json:"after,omitempty"`
}

type change struct {
	Kind      reginfo.ChangeKind   `json:"kind"`
	AOR       string               `json:"aor,omitempty"`
	Event     reginfo.ContactEvent `json:"event,omitempty"`
	Fields    []string             `json:"fields,omitempty"`
	Own       bool                 `json:"own,omitempty"`
	MatchedBy ua.MatchedBy         `json:"matched_by,omitempty"`
	Before    *reginfo.Contact     `json:"before,omitempty"`
	After     *reginfo.Contact     `json:"after,omitempty"`
}

// MarshalJSON writes the item as an object. Of a document alone it is what
// reginfo.Document writes, with what came of it.
func (i Item) MarshalJSON() ([]byte, error) {
	f := form{
		Transport: i.Transport, From: i.From, To: i.To, Bindings: i.contactForms(i.Bindings),
		Registrations: []aor{}, Findings: i.Findings,
	}
	f.Time = i.Time.UTC()
	if m := i.message; m != nil {
		f.StartLine, f.Method, f.Status, f.CallID = m.line, m.method, m.status, m.headers.Get("Call-ID")
		if number, _, ok := m.headers.CSeq(); ok {
			f.CSeq = &number
		}
	}
	for _, note := range i.Notes {
		f.Explained = append(f.Explained, note.Text)
	}
	if i.Document != nil {
		i.documentForm(&f)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(f)
	return text.Bytes(), err
}

func (i *Item) documentForm(f *form) {
	d := i.Document
	f.Version, f.State, f.Incomplete, f.First = d.Version, string(d.State), d.Incomplete, i.First
	f.Verdict, f.Reason = string(i.Outcome.Verdict), i.Outcome.Reason
	for _, r := range d.Registrations {
		contacts := i.contactForms(r.Contacts)
		if contacts == nil {
			contacts = []contact{}
		}
		f.Registrations = append(f.Registrations, aor{r.AOR, r.ID, r.State, contacts})
	}
	if i.First || i.Outcome.Verdict == reginfo.Discarded {
		return
	}
	for _, r := range i.Outcome.Registrations {
		f.StateChanges = append(f.StateChanges, stateChange(r))
	}
	changes := []change{}
	for _, c := range i.Outcome.Changes {
		by := i.changedOwn(c)
		changes = append(changes, change{c.Kind, c.Row().AOR, eventOf(c), c.Fields, by != "", by, contactOf(c.Before), contactOf(c.After)})
	}
	f.Changes = &changes
}

func contactOf(row *reginfo.Row) *reginfo.Contact {
	if row == nil {
		return nil
	}
	return &row.Contact
}

func (i *Item) contactForms(all []reginfo.Contact) (out []contact) {
	for _, c := range all {
		by := i.matchedBy(c)
		out = append(out, contact{c, by != "", by})
	}
	return out
}
