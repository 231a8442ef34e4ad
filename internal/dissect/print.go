package dissect

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"regwatch/internal/capture"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// Text shows an item to a person: where the message was seen and what it says, the
// document's registrations with their contacts, what changed, then what is wrong.
// Nothing in it can steer a terminal.
func (i *Item) Text() string {
	var out strings.Builder
	if i.message != nil {
		i.writeMessage(&out)
	}
	if i.Document != nil {
		i.writeDocument(&out)
		i.writeChanges(&out)
	}
	i.writeFindings(&out)
	return out.String()
}

func (i *Item) writeMessage(out *strings.Builder) {
	if where := i.where(); where != "" {
		fmt.Fprintln(out, where)
	}
	fmt.Fprintln(out, shown(i.message.line))
	fmt.Fprintf(out, "  Call-ID %s, CSeq %s\n", shown(orDash(i.message.headers.Get("Call-ID"))), shown(orDash(i.message.headers.Get("CSeq"))))
	for _, note := range i.Notes {
		fmt.Fprintf(out, "  %s\n", shown(note.Text))
		for _, line := range note.Below {
			fmt.Fprintf(out, "    %s\n", shown(line))
		}
	}
}

// where is when the message was seen, and between whom.
func (i *Item) where() string {
	var words []string
	if !i.Time.IsZero() {
		words = append(words, i.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	if i.From != "" {
		words = append(words, i.Transport, i.From, ">", i.To)
	}
	return strings.Join(words, " ")
}

func (i *Item) writeDocument(out *strings.Builder) {
	d := i.Document
	state := string(d.State)
	if state == "" {
		state = "state missing"
	}
	if d.Incomplete {
		state += ", incomplete"
	}
	fmt.Fprintf(out, "reginfo version %s, %s\n", orDash(d.Version.String()), shown(state))
	switch {
	case i.Outcome.Verdict == reginfo.Discarded:
		fmt.Fprintf(out, "not applied: %s\n", shown(i.Outcome.Reason))
	case i.Outcome.Reason != "":
		fmt.Fprintf(out, "applied, though %s\n", shown(i.Outcome.Reason))
	}
	for _, r := range d.Registrations {
		fmt.Fprintf(out, "\n%s  %s", shown(orDash(r.AOR)), shown(orDash(string(r.State))))
		if r.ID != "" {
			fmt.Fprintf(out, "  id %s", shown(r.ID))
		}
		out.WriteByte('\n')
		i.writeContacts(out, r.Contacts)
	}
}

// writeContacts writes a line a contact, ours marked, and below it what few have.
func (i *Item) writeContacts(out io.Writer, all []reginfo.Contact) {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(all) == 0 {
		fmt.Fprintln(columns, "  no contacts")
	} else {
		fmt.Fprintln(columns, "  contact\tstate\tevent\texpires\tq\tcall-id\tcseq")
	}
	for _, c := range all {
		row := []string{c.URI, string(c.State), string(c.Event), c.Expires.String(), c.Q, c.CallID, c.CSeq.String()}
		for i := range row {
			row[i] = shown(orDash(row[i]))
		}
		mark := "  "
		if i.matchedBy(c) != "" {
			mark = "> "
		}
		fmt.Fprintln(columns, mark+strings.Join(row, "\t"))
	}
	columns.Flush()
	for _, c := range all {
		var below strings.Builder
		for _, detail := range [][2]string{
			{"ours by", string(i.matchedBy(c))},
			{"name", c.DisplayName}, {"instance", c.Instance}, {"reg-id", c.RegID.String()}, {"retry-after", c.RetryAfter.String()},
			{"registered for", c.DurationRegistered.String()}, {"pub-gruu", c.PubGRUU}, {"temp-gruu", c.TempGRUU}, {"first-cseq", c.FirstCSeq.String()},
		} {
			if detail[1] != "" {
				fmt.Fprintf(&below, "    %s %s\n", detail[0], shown(detail[1]))
			}
		}
		if below.Len() > 0 {
			fmt.Fprintf(out, "  %s\n%s", shown(orDash(c.URI)), below.String())
		}
	}
}

func (i *Item) matchedBy(c reginfo.Contact) ua.MatchedBy {
	if i.own == nil {
		return ""
	}
	by, _ := i.own(c)
	return by
}

// writeChanges tells what differs from the documents before, where there are any.
func (i *Item) writeChanges(out io.Writer) {
	if i.First || i.Outcome.Verdict == reginfo.Discarded {
		return
	}
	fmt.Fprintln(out, "\nchanges")
	if len(i.Outcome.Changes)+len(i.Outcome.Registrations) == 0 {
		fmt.Fprintln(out, "  none")
	}
	for _, r := range i.Outcome.Registrations {
		fmt.Fprintf(out, "  registration of %s: %s, was %s\n", shown(orDash(r.AOR)), shown(orDash(string(r.After))), shown(orDash(string(r.Before))))
	}
	for _, change := range i.Outcome.Changes {
		c := change.Row().Contact
		fmt.Fprintf(out, "  %s %s: %s\n", change.Kind, shown(orDash(c.URI)), shown(i.difference(change)))
		by := i.changedOwn(change)
		if by == "" {
			continue
		}
		fmt.Fprintf(out, "    ours by %s", by)
		if m, ok := ua.MeaningOf(eventOf(change)); ok {
			fmt.Fprintf(out, "; %s; asks: %s (%s)", m.Means, m.Asks, m.Clause)
		}
		fmt.Fprintln(out)
	}
}

// changedOwn tells by what a change is about a contact of ours. One that went is
// often listed with less than before.
func (i *Item) changedOwn(change reginfo.Change) ua.MatchedBy {
	for _, row := range []*reginfo.Row{change.After, change.Before} {
		if row == nil {
			continue
		}
		if by := i.matchedBy(row.Contact); by != "" {
			return by
		}
	}
	return ""
}

// eventOf is the word for a change: the document's, or ours for what it does not
// mention.
func eventOf(change reginfo.Change) reginfo.ContactEvent {
	if change.After == nil {
		return reginfo.Absent
	}
	return change.After.Contact.Event
}

// difference puts a change into words.
func (i *Item) difference(change reginfo.Change) string {
	words := []string{orDash(string(eventOf(change)))}
	if after := change.After; after != nil && change.Kind != reginfo.Removed && after.Contact.Expires.Present {
		words = append(words, fmt.Sprintf("%s s left", after.Contact.Expires))
	}
	before := change.Before
	if before == nil {
		return words[0] + strings.Join(append([]string{""}, words[1:]...), ", ")
	}
	if !before.ExpiresAt.IsZero() {
		words = append(words, fmt.Sprintf("had %.0f s left", before.ExpiresAt.Sub(i.at).Round(time.Second).Seconds()))
	}
	if change.After != nil {
		was, is := before.Contact, change.After.Contact
		for _, field := range [][3]string{
			{"call-id", was.CallID, is.CallID}, {"cseq", was.CSeq.String(), is.CSeq.String()}, {"uri", was.URI, is.URI},
		} {
			if slices.Contains(change.Fields, field[0]) {
				words = append(words, fmt.Sprintf("%s %s, was %s", field[0], field[2], field[1]))
			}
		}
	}
	return strings.Join(words, ", ")
}

// writeFindings writes each code once, with its sentence, and below it where it
// was found.
func (i *Item) writeFindings(out io.Writer) {
	all, whole := i.Findings, "message"
	if i.Document != nil {
		whole = "document"
	}
	var codes []finding.Code
	for _, f := range all {
		if !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	for _, code := range codes {
		f := finding.Finding{Code: code}
		fmt.Fprintf(out, "\n%s %s: %s", f.Severity(), code, f.Sentence())
		if clause := f.Clause(); clause != "" {
			fmt.Fprintf(out, " (%s)", clause)
		}
		fmt.Fprintln(out)
		for _, f := range all {
			if f.Code != code {
				continue
			}
			where := whole
			if f.Line > 0 {
				where = fmt.Sprintf("line %d", f.Line)
			}
			fmt.Fprintf(out, "  %s: %s\n", where, shown(orDash(f.Detail)))
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shown makes a word from the network fit to print; a tab would break the table.
func shown(s string) string { return strings.ReplaceAll(capture.Visible(s), "\t", "<09>") }
