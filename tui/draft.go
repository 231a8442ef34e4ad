package tui

import (
	"slices"
	"strings"

	"regwatch/ua"
)

// draft is the form of the composer: a request as far as it is written, and the
// row and place where it is edited.
type draft struct {
	what     ua.ByHand
	template int // chosen last
	row      int
	pos      int // runes before the cursor
}

// formRow is one row of the form: a text, or a choice where choices is set.
type formRow struct {
	key   string // as in ua.FieldError
	label string
	hint  string

	get func() string
	set func(string)

	choices []string
	chosen  int
	choose  func(int)

	list *[]string // that the text is the i-th of, or is about to be
	i    int
}

// credentials are the choices of ua.ByHand.Credentials, with their words.
var credentials = []struct {
	value ua.Credentials
	word  string
}{
	{ua.CredentialsUsual, "as usual"},
	{ua.CredentialsNone, "none: a challenge is the answer"},
	{ua.CredentialsWrong, "a wrong password"},
	{ua.CredentialsStale, "a stale nonce, then as usual"},
	{ua.CredentialsAhead, "ahead, without a nonce if need be"},
}

// rows are those of the method that is chosen.
func (d *draft) rows() []formRow {
	b := &d.what
	subscribes := b.Method == ua.MethodSubscribe
	text := func(key, label, hint string, value *string) formRow {
		return formRow{key: key, label: label, hint: hint, get: func() string { return *value }, set: func(s string) { *value = s }}
	}
	var rows []formRow
	lines := func(key, label, hint string, list *[]string) {
		for i := range len(*list) + 1 {
			rows = append(rows, formRow{key: key, label: label, hint: hint, list: list, i: i,
				get: func() string {
					if i < len(*list) {
						return (*list)[i]
					}
					return ""
				},
				set: func(s string) {
					if i < len(*list) {
						(*list)[i] = s
					} else if s != "" {
						*list = append(*list, s)
					}
				}})
		}
	}
	var names, ways []string
	for i, t := range templates {
		if i == d.template && !same(t.what, d.request()) {
			t.name += ", edited"
		}
		names = append(names, t.name)
	}
	how := 0
	for i, c := range credentials {
		ways = append(ways, c.word)
		if c.value == b.Credentials {
			how = i
		}
	}
	const orEmpty = "empty: what the agent writes (in brackets); - leaves it out"
	rows = append(rows,
		formRow{key: "template", label: "template", hint: "left and right choose; the form is filled anew", choices: names, chosen: d.template, choose: d.fill},
		formRow{key: "method", label: "method", hint: "left and right choose", choices: []string{string(ua.MethodRegister), string(ua.MethodSubscribe)}, chosen: boolInt(subscribes),
			choose: func(i int) { b.Method = []ua.Method{"", ua.MethodSubscribe}[i] }},
		text("request_uri", "Request-URI", "goes the account's way, whatever it names", &b.RequestURI),
		text("to", "To", orEmpty, &b.To))
	lines("contacts", "Contact", "*, or <sip:you@192.0.2.7>;expires=0, one a row; - for none", &b.Contacts)
	if subscribes {
		rows = append(rows,
			text("event", "Event", "reg, reg;id=1, presence; - leaves it out", &b.Event),
			text("accept", "Accept", orEmpty, &b.Accept))
	} else {
		rows = append(rows,
			text("instance", " instance", "of our own Contact; - leaves it out", &b.Instance),
			text("reg_id", " reg-id", "of our own Contact; - leaves it out", &b.RegID),
			text("q", " q", "of our own Contact, 0 to 1; - leaves it out", &b.Q),
			text("contact_params", " parameters", "added to our own Contact: audio;x=1", &b.ContactParams))
	}
	rows = append(rows,
		text("expires", "Expires", "seconds, or nonsense; - leaves it out", &b.Expires),
		text("call_id", "Call-ID", "new: one that was never used", &b.CallID),
		text("cseq", "CSeq", "a number; -1 is one less than the last, -0 the same again", &b.CSeq),
		formRow{key: "credentials", label: "credentials", hint: "left and right choose", choices: ways, chosen: how,
			choose: func(i int) { b.Credentials = credentials[i].value }})
	lines("headers", "header", "Name: value, in place of the agent's of that name, or added", &b.Headers)
	lines("without", "without", "name of a header field that is left out", &b.Without)
	return rows
}

// fill writes a template into the form.
func (d *draft) fill(i int) {
	d.template, d.what = i, copied(templates[i].what)
}

// move brings the cursor to another row, behind its text.
func (d *draft) move(by int) {
	rows := d.rows()
	d.row = (d.row + by + len(rows)) % len(rows)
	d.end()
}

// end puts the cursor behind the text of its row.
func (d *draft) end() {
	rows := d.rows()
	d.row = min(d.row, len(rows)-1)
	d.pos = 0
	if r := rows[d.row]; r.get != nil {
		d.pos = len([]rune(r.get()))
	}
}

// paste puts text where the cursor is. In a list each line becomes a row; in a
// single text line ends stay, to be seen and refused.
func (d *draft) paste(text string) {
	r := d.rows()[d.row]
	if r.get == nil {
		return
	}
	text = strings.TrimRight(text, "\r\n")
	lines := []string{text}
	if r.list != nil {
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		lines = strings.Split(text, "\n")
	}
	const most = 100 // rows; more than any are sent
	for i, line := range lines[:min(len(lines), most)] {
		if i == 0 {
			out, pos := insert([]rune(r.get()), d.pos, []rune(line))
			r.set(string(out))
			d.pos = pos
			continue
		}
		if line = strings.TrimSpace(line); line == "" || len(*r.list) >= most {
			continue
		}
		*r.list = slices.Insert(*r.list, min(r.i+1, len(*r.list)), line)
		r.i++
		d.row++
		d.pos = len([]rune(line))
	}
}

// request is what the form says, without what is of the other method.
func (d *draft) request() ua.ByHand {
	b := copied(d.what)
	if b.Method == ua.MethodSubscribe {
		b.Instance, b.RegID, b.Q, b.ContactParams = "", "", "", ""
	} else {
		b.Event, b.Accept = "", ""
	}
	return b
}

// copied is a request that shares nothing with the one it was made from; rows that
// were left empty are gone.
func copied(b ua.ByHand) ua.ByHand {
	for _, list := range []*[]string{&b.Contacts, &b.Headers, &b.Without} {
		var filled []string
		for _, s := range *list {
			if s != "" {
				filled = append(filled, s)
			}
		}
		*list = filled
	}
	return b
}
