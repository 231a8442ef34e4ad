package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/reginfo"
	"regwatch/ua"
)

// witnesses are the three truths, in the order of their columns.
var witnesses = [3]string{ua.WitnessLocal, ua.WitnessResponse, ua.WitnessWatched}

// truth is one contact as the three witnesses have it.
type truth struct {
	uri      string
	own      bool
	answered *ua.AnsweredContact
	watched  *ua.Binding
	doubts   []*ua.Disagreement
}

// truthsView is the comparison of one snapshot.
type truthsView struct {
	of      *ua.Snapshot
	rows    []truth
	several bool // of them are ours
	list    list // of rows; where they are stacked, of lines
}

// compare sets the three side by side: our own contact first, then those of the
// documents, then those that only the answer has.
func (v *truthsView) compare(s *ua.Snapshot) {
	if v.of == s {
		return
	}
	v.of, v.rows = s, nil
	own := truth{uri: s.Registration.Contact, own: true}
	for i := range s.Bindings {
		b := &s.Bindings[i]
		if b.Own && (own.watched == nil || !own.watched.Active()) {
			own.watched = b
			continue
		}
		v.rows = append(v.rows, truth{uri: b.Contact.URI, own: b.Own, watched: b})
	}
	var rest []*ua.AnsweredContact
	for i := range s.Answer.Contacts {
		if c := &s.Answer.Contacts[i]; c.Own && own.answered == nil {
			own.answered = c
		} else {
			rest = append(rest, c)
		}
	}
	// Nearly all are written alike by both; what is left is compared as URIs.
	rest = v.answer(rest, func(uri string) string { return uri })
	rest = v.answer(rest, reginfo.URIKey)
	for _, c := range rest {
		v.rows = append(v.rows, truth{uri: c.URI, own: c.Own, answered: c})
	}
	if own.uri != "" || own.watched != nil || own.answered != nil {
		if own.uri == "" && own.watched != nil {
			own.uri = own.watched.Contact.URI
		}
		v.rows = slices.Insert(v.rows, 0, own)
	}
	for i := range s.Disagreements {
		d := &s.Disagreements[i]
		about := strings.TrimSuffix(d.About, " expires")
		at := slices.IndexFunc(v.rows, func(t truth) bool {
			return t.uri == about || t.watched != nil && t.watched.Contact.URI == about
		})
		if at >= 0 {
			v.rows[at].doubts = append(v.rows[at].doubts, d)
		}
	}
	isOurs := func(t truth) bool { return t.own }
	first := slices.IndexFunc(v.rows, isOurs)
	v.several = first >= 0 && slices.ContainsFunc(v.rows[first+1:], isOurs)
}

// answer gives contacts of the answer to the rows that are the same by key, and
// returns those for which there is none.
func (v *truthsView) answer(contacts []*ua.AnsweredContact, key func(uri string) string) (rest []*ua.AnsweredContact) {
	if len(contacts) == 0 {
		return nil
	}
	rows := map[string][]int{}
	for i := range v.rows {
		if t := &v.rows[i]; t.answered == nil {
			k := key(t.uri)
			rows[k] = append(rows[k], i)
		}
	}
	for _, c := range contacts {
		k := key(c.URI)
		at := slices.IndexFunc(rows[k], func(i int) bool { return reginfo.SameURI(v.rows[i].uri, c.URI) })
		if at < 0 {
			rest = append(rest, c)
			continue
		}
		v.rows[rows[k][at]].answered = c
		rows[k] = slices.Delete(rows[k], at, at+1)
	}
	return rest
}

// says is what a witness has of a contact; "" where it cannot know.
func (a *app) says(s *ua.Snapshot, t *truth, witness string) string {
	left := func(word string, at time.Time) string {
		if at.IsZero() {
			return word
		}
		return countdown(at.Sub(a.now())) + " left"
	}
	switch witness {
	case ua.WitnessLocal:
		switch {
		case !t.own:
			return "-"
		case s.Registration.ExpiresAt.IsZero():
			return "not bound"
		}
		return left("bound", s.Registration.ExpiresAt)
	case ua.WitnessResponse:
		switch {
		case s.Answer.At.IsZero():
			return ""
		case t.answered == nil && t.watched != nil && t.watched.Active() && t.watched.At.After(s.Answer.At):
			return "came later"
		case t.answered == nil:
			return "not listed"
		}
		return left("listed", t.answered.ExpiresAt)
	}
	switch {
	case t.watched != nil && t.watched.Active():
		return left("listed", t.watched.ExpiresAt)
	case t.watched != nil && t.watched.StillListed:
		return "still listed"
	case t.watched != nil:
		return "gone"
	case !s.Listed:
		return ""
	}
	return "not listed"
}

// testimony says what a witness is and how old its word is, or why it has none.
func (a *app) testimony(s *ua.Snapshot, witness string) string {
	at := func(t time.Time) string { return a.clock.moment(t, a.zone()) }
	switch witness {
	case ua.WitnessLocal:
		if s.Registration.State == "" {
			return "nothing yet"
		}
		return "by our clock"
	case ua.WitnessResponse:
		if s.Answer.At.IsZero() {
			return "no answer yet"
		}
		return "at " + at(s.Answer.At)
	}
	switch {
	case s.Listed && s.Document.Version.Present:
		return "version " + s.Document.Version.String()
	case s.Listed:
		return "at " + at(s.Document.At)
	case s.Subscription.State == ua.Unsupported, s.Subscription.State == ua.Polling:
		return "no reg event"
	case s.Subscription.State == ua.Active:
		return "no whole list"
	}
	return "not watched"
}

// truthColumns are the widths of the contact and of each witness; 0 where there
// is no room to set them side by side.
func truthColumns(w int) (contact, witness int) {
	if w < 56 {
		return 0, 0
	}
	witness = min(max((w-29)/3, 12), 24)
	return w - 3*witness, witness
}

// marked puts the mark of a disagreement before what a witness says: where two
// contradict the third, before that alone.
func (a *app) marked(t *truth, witness, text string, w int) string {
	doubted := slices.ContainsFunc(t.doubts, func(d *ua.Disagreement) bool {
		return d.Against == witness || d.Against == "" && slices.Contains(d.Between, witness)
	})
	if doubted {
		return a.th.bad.Render(fit("! "+cutEnd(text, w-3), w))
	}
	return fit("  "+cutEnd(text, w-3), w)
}

func (a *app) truthName(t *truth, several bool, w int) string {
	uri := a.th.text(t.uri)
	if !t.own {
		return fit(cutURI(shortURI(uri), w), w)
	}
	text := thisDevice
	// Of the one that is known by its name a mere piece of a URI tells nothing; where
	// there are several, over flows of their own, the port does.
	least := 20
	if several {
		least = 10
	}
	if room := w - width(text) - 2; room >= min(width(shortURI(uri)), least) {
		text += "  " + cutURI(shortURI(uri), room)
	}
	return a.th.own.Render(fit(cutEnd(text, w), w))
}

// truthsView draws the contacts with what each witness says of them, and below
// what the disagreements are.
func (a *app) truthsView(w, rows int) []string {
	acc := a.account()
	s, v := acc.shown, &acc.truths
	if s == nil {
		return pad([]string{a.th.title("truths", w), "   nothing is known yet"}, w, rows)
	}
	v.compare(s)
	title := "truths: nothing disagrees"
	switch n := len(s.Disagreements); {
	case n == 1:
		title = "truths: 1 disagreement"
	case n > 1:
		title = fmt.Sprintf("truths: %d disagreements", n)
	}
	out := []string{a.th.title(title, w)}
	below := a.disagreements(s, w, min(max(rows/3, 1), 8))
	contact, column := truthColumns(w - len(wideGutter.off))
	if contact == 0 {
		v.list.set(len(v.rows) * stackedLines)
		out = append(out, v.list.draw(w, rows-1-len(below), narrowGutter, a.th, func(i, w int) string {
			return a.stackedTruth(s, &v.rows[i/stackedLines], i%stackedLines, w)
		})...)
		return append(out, below...)
	}
	v.list.set(len(v.rows))
	names, words := wideGutter.off+fit("contact", contact), wideGutter.off+fit("", contact)
	for _, witness := range witnesses {
		names += fit("  "+witness, column)
		words += fit("  "+cutEnd(a.th.text(a.testimony(s, witness)), column-3), column)
	}
	out = append(out, names, a.th.dim.Render(words))
	room := rows - len(out) - len(below)
	var legend []string
	if free := room - len(v.rows); free > len(whoSays) {
		for _, line := range whoSays {
			legend = append(legend, a.th.dim.Render(wideGutter.off+cutEnd(line, w-len(wideGutter.off))))
		}
	}
	out = append(out, v.list.draw(w, room-len(legend), wideGutter, a.th, func(i, w int) string {
		t := &v.rows[i]
		row := a.truthName(t, v.several, contact-1) + " "
		for _, witness := range witnesses {
			row += a.marked(t, witness, a.says(s, t, witness), column)
		}
		return row
	})...)
	return append(append(out, legend...), below...)
}

// stackedLines is how many lines a contact takes where its witnesses stand one
// below the other.
const stackedLines = 1 + len(witnesses)

func (a *app) stackedTruth(s *ua.Snapshot, t *truth, line, w int) string {
	if line == 0 {
		return a.truthName(t, a.account().truths.several, w)
	}
	witness := witnesses[line-1]
	text := a.says(s, t, witness)
	if text == "" {
		text = a.testimony(s, witness)
	}
	return " " + fit(witness, 9) + a.marked(t, witness, text, w-10)
}

// disagreements says in words what differs, since when, and what settles it, in at
// most n rows.
func (a *app) disagreements(s *ua.Snapshot, w, n int) []string {
	if len(s.Disagreements) == 0 {
		return nil
	}
	if n < 2 {
		d := &s.Disagreements[0]
		text := fmt.Sprintf(" ! %s: %s", a.clock.moment(d.Since, a.zone()), d.Remedy())
		return []string{fit(a.th.bad.Render(cutEnd(text, w)), w)}
	}
	var out []string
	for i := range s.Disagreements {
		d := &s.Disagreements[i]
		text := fmt.Sprintf("! since %s %s: %s; %s", a.clock.moment(d.Since, a.zone()), sides(d), d.Detail, d.Remedy())
		for j, part := range broken(a.th.text(text), max(w-4, 10), true) {
			if j > 0 {
				part = "  " + part
			}
			out = append(out, fit(" "+a.th.bad.Render(part), w))
		}
	}
	return out[:min(len(out), n)]
}

// sides says who disagrees, and where the third has spoken, who is contradicted.
func sides(d *ua.Disagreement) string {
	if d.Against != "" {
		return d.Against + " is contradicted"
	}
	return strings.Join(d.Between, " against ")
}

// whoSays explains the three, where there is room.
var whoSays = []string{
	"local     what the registrar granted to us, by our clock",
	"response  what its last answer to a REGISTER or query listed",
	"watched   what its documents of the reg event list",
}

// truthPage is the page of the selected contact.
func (a *app) truthPage() *pager {
	acc := a.account()
	v := &acc.truths
	if acc.shown == nil {
		return nil
	}
	v.compare(acc.shown)
	i := v.list.selected
	if contact, _ := truthColumns(a.w - len(wideGutter.off)); contact == 0 {
		i /= stackedLines
	}
	if i >= len(v.rows) {
		return nil
	}
	return newPager("truths of a contact", a.truthDetails(acc.shown, &v.rows[i]))
}

func (a *app) truthDetails(s *ua.Snapshot, t *truth) []string {
	f := fields{th: a.th}
	f.add("contact", t.uri)
	if t.own {
		f.add("whose", thisDevice)
	}
	for _, witness := range witnesses {
		text := a.testimony(s, witness)
		if says := a.says(s, t, witness); says != "" {
			text = says + " (" + text + ")"
		}
		f.add(witness, text)
	}
	for _, d := range t.doubts {
		f.add("differ", fmt.Sprintf("%s, since %s: %s; %s", sides(d), d.Since.In(a.zone()).Format("2006-01-02 15:04:05"), d.Detail, d.Remedy()))
	}
	f.lines = append(append(f.lines, ""), whoSays...)
	f.lines = append(f.lines, "", "Where two differ for longer than a NOTIFY may take, one of them is wrong. Where the third has spoken since, it says which.")
	return f.lines
}
