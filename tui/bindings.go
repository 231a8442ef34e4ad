package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"regwatch/reginfo"
	"regwatch/ua"
)

// bindingColumns are the widths of the list of bindings for a width; a column
// of 0 is left out. Widths include the blanks behind.
type bindingColumns struct{ contact, state, event, expires, who int }

func columnsFor(w int) bindingColumns {
	c := bindingColumns{state: 8, event: 12, expires: 9, who: 12}
	switch {
	case w < 56:
		c.state, c.who = 0, 0
	case w < 72:
		c.state = 0
	case w >= 92:
		c.state = 12 // room for "terminated" in full
	}
	c.contact = w - len(wideGutter.off) - c.state - c.event - c.expires - c.who
	return c
}

// heading is the line above the list.
func (c bindingColumns) heading() string {
	line := wideGutter.off + fit("contact", c.contact) + fit("state", c.state) + fit("event", c.event)
	return line + fitRight("expires", c.expires-2) + "  " + fit("who", c.who)
}

// binding draws one contact of the AOR.
func (a *app) binding(b *ua.Binding, c bindingColumns, now time.Time) string {
	contact := cutURI(shortURI(a.th.text(b.Contact.URI)), c.contact-2)
	if contact == "" {
		contact = cutMiddle(a.th.text("id "+b.Contact.ID), c.contact-2)
	}
	style := lipgloss.Style{}
	switch {
	case b.Own:
		style = a.th.own
		contact = a.nicknamed(thisDevice, b, c.contact-2)
	case b.EarlierRun:
		contact = a.nicknamed("earlier run", b, c.contact-2)
	}
	state := string(b.Contact.State)
	if b.Contact.State == reginfo.ContactTerminated && c.state < 12 {
		state = "ended"
	}
	event, expires := cutEnd(a.th.text(string(b.Contact.Event)), c.event), ""
	if b.Active() && !b.ExpiresAt.IsZero() {
		expires = countdown(b.ExpiresAt.Sub(now))
	}
	line := style.Render(fit(contact, c.contact)) + fit(a.th.text(state), c.state)
	if b.Active() {
		line += fit(event, c.event)
	} else {
		line += a.th.bad.Render(fit(event, c.event))
	}
	line += fitRight(expires, c.expires-2) + "  "
	if c.who > 0 {
		line += fit(originWord(b.Origin), c.who)
	}
	return line
}

// nicknamed draws a contact that has a name of ours, with its URI where that still
// says something.
func (a *app) nicknamed(name string, b *ua.Binding, w int) string {
	if room := w - width(name) - 2; room >= 10 {
		return name + "  " + cutURI(shortURI(a.th.text(b.Contact.URI)), room)
	}
	return cutEnd(name, w)
}

// bindingDetail is the line below the list that tells more of the selected one.
func (a *app) bindingDetail(b *ua.Binding, w int) string {
	var facts []string
	add := func(format string, v string, most int) {
		if v != "" {
			facts = append(facts, fmt.Sprintf(format, cutMiddle(a.th.text(v), most)))
		}
	}
	c := &b.Contact
	add("%s", shortInstance(c.Instance), 12)
	add("reg-id %s", c.RegID.String(), 10)
	add("q %s", c.Q, 5)
	add("call %s", c.CallID, 12)
	add("by %s", string(b.MatchedBy), 8)
	// What does not fit beside a readable URI is left to the details.
	for len(facts) > 0 && width(strings.Join(facts, "  ")) > w-3-24 {
		facts = facts[:len(facts)-1]
	}
	rest := strings.Join(facts, "  ")
	uri := cutURI(a.th.text(c.URI), w-4-2-width(rest))
	return "   " + strings.TrimRight(uri+"  "+rest, " ")
}

// bindingsTitle says what the list is and what state the registrar has the
// address-of-record in.
func bindingsTitle(s *ua.Snapshot) string {
	states := map[string]reginfo.RegState{}
	last := reginfo.RegState("")
	for i := range s.Bindings {
		states[s.Bindings[i].AOR] = s.Bindings[i].RegistrationState
		// A removed contact that is still shown keeps the state of its time.
		if last != reginfo.RegActive {
			last = s.Bindings[i].RegistrationState
		}
	}
	switch {
	case len(states) > 1:
		return fmt.Sprintf("bindings of %d addresses", len(states))
	case last != "":
		return "bindings: " + string(last)
	}
	return "bindings"
}

// bindingsBlock draws the list with its frame in exactly rows rows. Where there
// is room for it: a heading above and the detail line below.
func (a *app) bindingsBlock(w, rows int) []string {
	acc := a.account()
	s := acc.shown
	if s == nil {
		return pad([]string{a.th.title("bindings", w)}, w, rows)
	}
	out := []string{a.th.title(a.th.text(acc.title), w)}
	c, now := columnsFor(w), a.now()
	full, height := rows >= 4, rows-1
	if full {
		out = append(out, c.heading())
		height -= 2 // the heading and the detail line
	}
	if len(s.Bindings) == 0 {
		return pad(append(out, "   "+cutEnd(a.noBindings(s), w-4)), w, rows)
	}
	out = append(out, acc.bindings.draw(w, height, wideGutter, a.th, func(i, w int) string {
		return a.binding(&s.Bindings[i], c, now)
	})...)
	if full {
		out = append(out, fit(a.bindingDetail(&s.Bindings[acc.bindings.selected], w), w))
	}
	return out
}

// noBindings says why the list is empty.
func (a *app) noBindings(s *ua.Snapshot) string {
	switch {
	case !s.Document.At.IsZero():
		return "none: the registrar lists no contact"
	case s.Subscription.State == ua.Unsupported:
		return "unknown: the registrar does not tell (Q asks)"
	}
	return "no document yet"
}

// bindingPage is the page of the selected contact.
func (a *app) bindingPage() *pager {
	acc := a.account()
	if acc.shown == nil || len(acc.shown.Bindings) == 0 {
		return nil
	}
	return newPager("contact", a.bindingDetails(&acc.shown.Bindings[acc.bindings.selected]))
}

// bindingDetails is everything that is known of a contact, for the pager.
func (a *app) bindingDetails(b *ua.Binding) []string {
	f := fields{th: a.th}
	c := &b.Contact
	f.add("contact", c.URI)
	f.add("display name", c.DisplayName)
	switch {
	case b.Own:
		f.add("whose", "this device, recognised by "+string(b.MatchedBy))
	case b.EarlierRun:
		f.add("whose", "an earlier run of this program")
	case b.MatchedBy == ua.ByInstance:
		f.add("whose", "another device that has our instance id")
	default:
		f.add("whose", "another device")
	}
	f.add("state", string(c.State))
	f.add("event", string(c.Event))
	if m, ok := ua.MeaningOf(c.Event); ok {
		f.add("means", fmt.Sprintf("%s (%s)", m.Means, m.Clause))
		f.add("asks", m.Asks)
	}
	f.add("last change", strings.TrimSpace(byWhom(b.Origin)))
	if !b.At.IsZero() {
		f.add("told at", b.At.In(a.zone()).Format("2006-01-02 15:04:05.000"))
	}
	if b.Active() && !b.ExpiresAt.IsZero() {
		f.add("expires", fmt.Sprintf("in %s, at %s", countdown(b.ExpiresAt.Sub(a.now())), a.clock.moment(b.ExpiresAt, a.zone())))
	}
	if s := a.account().shown; b.Own && s != nil {
		flow := s.Flow
		for _, one := range s.Flows {
			said := a.failure(one)
			if one.Holds() {
				said = fmt.Sprintf("%s %s > %s", one.Transport, one.Local, one.Remote)
			}
			name := fmt.Sprintf("flow %d", one.Registration.RegID)
			if c.RegID.Value == uint64(one.Registration.RegID) {
				flow, name = one.Flow, "this flow"
			}
			f.add(name, said)
		}
		if flow.KeepAlive != "" {
			answered := "no answer yet, or none awaited"
			if at := flow.Answered; !at.IsZero() {
				answered = fmt.Sprintf("answered %s ago", countdown(a.now().Sub(at)))
			}
			f.add("keep-alive", flow.KeepAlive+", "+answered)
		}
	}
	f.add("retry after", c.RetryAfter.String())
	f.add("registered for", c.DurationRegistered.String())
	f.add("q", c.Q)
	f.add("Call-ID", c.CallID)
	f.add("CSeq", c.CSeq.String())
	f.add("instance", c.Instance)
	f.add("reg-id", c.RegID.String())
	f.add("public GRUU", c.PubGRUU)
	f.add("temporary GRUU", c.TempGRUU)
	f.add("first-cseq", c.FirstCSeq.String())
	for _, p := range c.Params {
		f.add("parameter", p.Name+"="+p.Value)
	}
	f.add("address", b.AOR)
	f.add("registration", fmt.Sprintf("%s %s", b.RegistrationID, b.RegistrationState))
	f.add("contact id", c.ID)
	return f.lines
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pad brings rows to exactly n of exactly w columns.
func pad(rows []string, w, n int) []string {
	out := make([]string, 0, n)
	for i := range n {
		line := ""
		if i < len(rows) {
			line = rows[i]
		}
		out = append(out, fit(line, w))
	}
	return out
}
