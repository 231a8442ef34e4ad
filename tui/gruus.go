package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/ua"
)

// keptGRUUs bounds the GRUUs of the past that are remembered.
const keptGRUUs = 100

// pastGRUU is one that works no more.
type pastGRUU struct {
	ua.GRUU
	at    time.Time
	cause string
}

// addGRUU follows what becomes of our GRUUs: snapshots have those that are ours.
func (a *account) addGRUU(d ua.GRUUDetail, at time.Time) {
	end := func(uri, cause string) {
		p := pastGRUU{ua.GRUU{Type: d.Type, URI: uri, CallID: d.CallID, CSeq: d.CSeq, FirstCSeq: d.FirstCSeq, RegID: d.RegID, Source: d.Source}, at, cause}
		a.past = slices.Insert(a.past, 0, p)
		a.past = a.past[:min(len(a.past), keptGRUUs)]
	}
	switch {
	case d.Change == ua.Invalidated:
		end(d.URI, d.Cause)
	case d.Type == ua.PublicGRUU:
		if d.Change == ua.Replaced && a.public != "" {
			end(a.public, "the registrar gave us another")
		}
		a.public = d.URI
	}
	if d.Change != ua.Invalidated {
		a.past = slices.DeleteFunc(a.past, func(p pastGRUU) bool { return p.URI == d.URI })
	}
	a.countGRUUs()
}

func (a *account) countGRUUs() {
	n := len(a.past)
	if a.shown != nil {
		n += len(a.shown.GRUUs)
	}
	a.gruus.set(n)
}

// gruu is the i-th row: those that are ours, then those of the past.
func (a *account) gruu(i int) *pastGRUU {
	if a.shown != nil {
		if i < len(a.shown.GRUUs) {
			return &pastGRUU{GRUU: a.shown.GRUUs[i]}
		}
		i -= len(a.shown.GRUUs)
	}
	return &a.past[i]
}

// worth says what a GRUU is good for now, in a word and in a sentence.
func (a *app) worth(g *pastGRUU) (word, sentence string) {
	switch {
	case !g.at.IsZero():
		return "ended " + a.clock.moment(g.at, a.zone()), fmt.Sprintf("ended at %s: %s", a.clock.moment(g.at, a.zone()), g.cause)
	case !g.Usable:
		return "waits", "not valid while we are not registered (RFC 5627 3.1.1)"
	case g.Type == ua.PublicGRUU:
		return "valid", "valid while we are registered (RFC 5627 3.1.1)"
	}
	return "valid", "valid until the registration lapses or its Call-ID changes (RFC 5627 3.1.2)"
}

// peopleURI is a GRUU as an address for people: without the parameter that makes
// it one, and without a scheme that says nothing.
func peopleURI(uri string) string {
	p := splitURI(uri)
	if p.scheme == "sip:" {
		p.scheme = ""
	}
	rest, headers, _ := strings.Cut(p.rest, "?")
	var kept []string
	for _, param := range strings.Split(rest, ";") {
		if name, _, _ := strings.Cut(param, "="); !strings.EqualFold(name, "gr") {
			kept = append(kept, param)
		}
	}
	out := p.scheme + p.user + p.host + strings.Join(kept, ";")
	if headers != "" {
		out += "?" + headers
	}
	return out
}

// gruusPane is the narrow list beside the bindings: two rows a GRUU.
func (a *app) gruusPane(w, rows int) []string {
	s := a.account().shown
	if s == nil {
		return pad([]string{a.th.title("GRUUs", w)}, w, rows)
	}
	out := []string{a.th.title(fmt.Sprintf("GRUUs: %d", len(s.GRUUs)), w)}
	if len(s.GRUUs) == 0 {
		return pad(append(out, " none given to us"), w, rows)
	}
	fits := (rows - 1) / 2
	for i := range s.GRUUs {
		if i == fits-1 && len(s.GRUUs) > fits {
			out = append(out, fmt.Sprintf(" and %d more, see 5", len(s.GRUUs)-i))
			break
		}
		g := &s.GRUUs[i]
		word, _ := a.worth(&pastGRUU{GRUU: *g})
		if of := fmt.Sprintf(", CSeq %d", g.CSeq); g.CSeq > 0 && 2+len(g.Type)+width(word+of) <= w {
			word += of
		}
		out = append(out, " "+a.th.bold.Render(a.th.text(string(g.Type)))+" "+word, "   "+cutURI(a.th.text(peopleURI(g.URI)), w-3))
	}
	return pad(out, w, rows)
}

// gruusView lists our GRUUs, with more of the selected one and what became of the
// last ping below.
func (a *app) gruusView(w, rows int) []string {
	acc := a.account()
	if acc.gruus.count == 0 {
		return pad([]string{a.th.title("GRUUs", w), "   none given to us", "", "   " + a.pinged(w-4)}, w, rows)
	}
	title := fmt.Sprintf("GRUUs: %d", acc.gruus.count-len(acc.past))
	if n := len(acc.past); n > 0 {
		title += fmt.Sprintf(", and %d of the past", n)
	}
	out, height := []string{a.th.title(title, w)}, rows-1
	full := rows >= 10
	if full {
		out = append(out, gruuHeading(w-len(wideGutter.off)))
		height -= 5
	} else {
		height--
	}
	out = append(out, acc.gruus.draw(w, height, wideGutter, a.th, func(i, w int) string { return a.gruuRow(acc.gruu(i), w) })...)
	if full {
		g := acc.gruu(acc.gruus.selected)
		_, sentence := a.worth(g)
		out = append(out, a.th.title("of the selected one", w), "   "+cutEnd(a.th.text(sentence), w-4), "   "+a.gruuFacts(g, w-4))
	}
	return pad(append(out, "   "+a.pinged(w-4)), w, rows)
}

// gruuColumns are the widths behind the type: CSeq, first-cseq and worth; 0 where
// there is no room.
func gruuColumns(w int) (address, cseq, first, worth int) {
	cseq, first, worth = 12, 12, 14
	switch {
	case w < 50:
		cseq, first, worth = 0, 0, 5
	case w < 70:
		cseq, first = 0, 0
	case w < 90:
		first = 0
	}
	return w - 11 - cseq - first - worth, cseq, first, worth
}

func gruuHeading(w int) string {
	address, cseq, first, worth := gruuColumns(w)
	return wideGutter.off + fit("type", 11) + fit("address", address) + fit("CSeq", cseq) + fit("first-cseq", first) + fit("worth", worth)
}

func (a *app) gruuRow(g *pastGRUU, w int) string {
	address, cseq, first, worth := gruuColumns(w)
	word, _ := a.worth(g)
	if worth < 14 {
		word, _, _ = strings.Cut(word, " ")
	}
	number := ""
	if g.CSeq > 0 {
		number = fmt.Sprint(g.CSeq)
	}
	row := fit(a.th.text(string(g.Type)), 11) + fit(cutURI(a.th.text(peopleURI(g.URI)), address-2), address) +
		fit(number, cseq) + fit(cutEnd(g.FirstCSeq.String(), first-1), first) + fit(word, worth)
	if !g.at.IsZero() {
		return a.th.dim.Render(row)
	}
	return row
}

// gruuFacts says where a GRUU comes from, in at most w columns.
func (a *app) gruuFacts(g *pastGRUU, w int) string {
	var facts []string
	add := func(name, value string) {
		if value != "" && value != "0" {
			facts = append(facts, name+" "+a.th.text(value))
		}
	}
	add("CSeq", fmt.Sprint(g.CSeq))
	add("first-cseq", g.FirstCSeq.String())
	add("reg-id", fmt.Sprint(g.RegID))
	add("by", string(g.Source))
	if room := w - width(strings.Join(facts, ", ")) - len(", Call-ID "); room >= 8 {
		add("Call-ID", cutMiddle(a.th.text(g.CallID), room))
	}
	return cutEnd(strings.Join(facts, ", "), w)
}

// pinged says what became of the last ping, in at most w columns.
func (a *app) pinged(w int) string {
	var p ua.Ping
	if s := a.account().shown; s != nil {
		p = s.Ping
	}
	at, lvl := a.clock.moment(p.SentAt, a.zone()), levelBad
	text := fmt.Sprintf("ping at %s %s", at, p.Outcome)
	switch {
	case p.URI == "":
		return cutEnd("no ping yet: O asks whether a GRUU leads to this device", w)
	case p.Outcome == "":
		text, lvl = fmt.Sprintf("ping sent %s ago", countdown(a.now().Sub(p.SentAt))), levelBusy
	case p.Back > 0:
		lvl = levelGood
		if w < 60 {
			text = fmt.Sprintf("ping back in %s, answered %d", p.Back.Round(100*time.Microsecond), p.Status)
		}
	case p.Status > 0 && w < 60:
		text = fmt.Sprintf("ping not back, answered %d", p.Status)
	}
	text = cutEnd(a.th.mark(lvl)+" "+a.th.text(text), w)
	out := a.th.style(lvl).Render(text)
	if room := w - width(text) - 2; room >= 12 {
		out += ": " + cutURI(a.th.text(peopleURI(p.URI)), room)
	}
	return out
}

// gruuPage is the page of the selected GRUU.
func (a *app) gruuPage() *pager {
	acc := a.account()
	if acc.gruus.count == 0 {
		return nil
	}
	return newPager("GRUU", a.gruuDetails(acc.gruu(acc.gruus.selected)))
}

func (a *app) gruuDetails(g *pastGRUU) []string {
	f := fields{th: a.th}
	_, sentence := a.worth(g)
	f.add("type", string(g.Type))
	f.add("URI", g.URI)
	f.add("stands for", g.AOR)
	f.add("for people", peopleURI(g.URI))
	f.add("worth", sentence)
	f.add("learned by", string(g.Source))
	f.add("Call-ID", g.CallID)
	if g.CSeq > 0 {
		f.add("CSeq", fmt.Sprint(g.CSeq))
	}
	f.add("first-cseq", g.FirstCSeq.String())
	if g.RegID > 0 {
		f.add("reg-id", fmt.Sprint(g.RegID))
	}
	if s := a.account().shown; s != nil && s.Ping.URI == g.URI {
		f.add("last ping", s.Ping.Outcome)
	}
	f.lines = append(f.lines, "")
	switch g.Type {
	case ua.PublicGRUU:
		f.lines = append(f.lines, "It is the address-of-record with a parameter, leads to this device alone, and stays the same as long as the instance does.")
	case ua.TemporaryGRUU:
		f.lines = append(f.lines, "It hides the address-of-record. Each REGISTER may bring another; first-cseq is the CSeq of the REGISTER that brought the oldest that still works (RFC 5628 5).")
	}
	return f.lines
}
