package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"regwatch/ua"
)

// headerRows is the height of the header on every terminal.
const headerRows = 3

// header draws who we are, how registration and subscription stand, and the
// way to the registrar.
func (a *app) header(w int) []string {
	right, bars := 31, 10 // margin, mark, blank, 28 columns
	if w < 64 {
		right, bars = 23, 0
	}
	left := w - right
	acc := a.account()
	count := ""
	if len(a.accounts) > 1 {
		count = fmt.Sprintf(" (%d of %d)", a.current+1, len(a.accounts))
	}
	s := acc.shown
	if s == nil {
		return []string{
			fit(" "+a.th.bold.Render(cutEnd(a.th.text(acc.name)+count, left-2)), left) + " - STARTING",
			"", "",
		}
	}
	name, aor := a.th.text(acc.name), a.th.text(s.AOR)
	if user, _, _ := strings.Cut(shortURI(aor), "@"); left >= 32 && user == name && width(name+count)+2+width(shortURI(aor)) > left-2 {
		name, aor = cutURI(shortURI(aor), left-2-width(count)), "" // which says both
	}
	name += count
	first := " " + a.th.bold.Render(cutEnd(name, left-2))
	if room := left - 2 - width(name) - 2; room >= 12 && aor != "" {
		first += "  " + cutURI(aor, room)
	}

	one := a.counter(a.registrationCount(s), right-3, bars)
	two := a.counter(a.subscriptionCount(s), right-3, bars)
	return []string{
		fit(first, left-1) + " " + one,
		fit(" "+a.flows(s, left-2), left-1) + " " + two,
		a.third(s, w, left),
	}
}

// flows draws the way to the next hop, and where there are several how many hold.
func (a *app) flows(s *ua.Snapshot, w int) string {
	if len(s.Flows) == 0 {
		return a.flow(s.Flow, w)
	}
	word := flowCount(s.Flows)
	shown := word
	if len(failing(s.Flows)) > 0 {
		shown = a.th.busy.Render(word)
	}
	room := w - width(word) - width(s.Flow.Transport) - len(",  > ")
	if s.Flow.Remote == "" || room < 12 {
		return shown
	}
	return fmt.Sprintf("%s, %s > %s", shown, a.th.text(s.Flow.Transport), cutMiddle(a.th.text(s.Flow.Remote), room))
}

// flowCount says how many of several flows hold.
func flowCount(flows []ua.FlowState) string {
	if bad := len(failing(flows)); bad > 0 {
		return fmt.Sprintf("%d of %d flows", len(flows)-bad, len(flows))
	}
	return fmt.Sprintf("%d flows", len(flows))
}

// failing are the flows that do not hold.
func failing(flows []ua.FlowState) []ua.FlowState {
	return slices.DeleteFunc(slices.Clone(flows), ua.FlowState.Holds)
}

// flow draws the way to the next hop.
func (a *app) flow(f ua.Flow, w int) string {
	if f.Transport == "" && f.Local == "" && f.Remote == "" {
		return "no flow yet"
	}
	state := "up"
	if !f.Up {
		state = "down"
	}
	fixed := a.th.text(f.Transport) + "  >  " + state
	room := w - width(fixed)
	if room < 24 { // nothing of two addresses would be left
		room = w - width(a.th.text(f.Transport)+" "+state) - 3
		if room < 12 {
			return a.th.text(f.Transport) + " " + state
		}
		return a.th.text(f.Transport) + " > " + cutMiddle(a.th.text(f.Remote), room) + " " + state
	}
	local, remote := a.th.text(f.Local), a.th.text(f.Remote)
	if width(local)+width(remote) > room {
		local = cutMiddle(local, max(room-width(remote), room/2))
		remote = cutMiddle(remote, room-width(local))
	}
	shown := state
	if !f.Up {
		shown = a.th.bad.Render(state)
	}
	return fmt.Sprintf("%s %s > %s %s", a.th.text(f.Transport), local, remote, shown)
}

// third draws the line of reasons: what is slow, why we are not registered, why
// we do not watch; and where all is well, how the registrar sees us and by what
// we know.
func (a *app) third(s *ua.Snapshot, w, left int) string {
	r, sub := s.Registration, s.Subscription
	switch {
	case r.Slow != "":
		return " " + a.th.busy.Render(cutEnd(a.th.text(r.Slow), w-2))
	case r.State != ua.Registered && (r.Reason != "" || r.Status >= 300):
		return " " + a.th.busy.Render(cutEnd(a.th.text(reason(r.Status, r.Reason)), w-2))
	case r.State == ua.Registered && !s.Flow.Up && s.Flow.Cause != "":
		return " " + a.th.busy.Render(cutEnd("flow down: "+a.th.text(s.Flow.Cause), w-2))
	}
	if bad := failing(s.Flows); len(bad) > 0 {
		return " " + a.th.busy.Render(cutEnd(a.th.text(fmt.Sprintf("flow %d %s", bad[0].Registration.RegID, a.failure(bad[0]))), w-2))
	}
	seen := ""
	switch {
	case r.SeenAs != "" && r.NAT:
		seen = "seen as " + a.th.text(r.SeenAs) + " (NAT)"
	case r.SeenAs != "":
		seen = "seen as " + a.th.text(r.SeenAs)
	case r.State == "":
		seen = "not registered yet"
	}
	watch, busy := "", false
	switch {
	case sub.Slow != "":
		watch, busy = a.th.text(sub.Slow), true
	case sub.State != ua.Active && sub.State != ua.NotifyWait && (sub.Reason != "" || sub.Status >= 300):
		watch, busy = a.th.text(reason(sub.Status, sub.Reason)), true
	case s.Document.Version.Present:
		watch = fmt.Sprintf("reg event, version %s", s.Document.Version)
	case sub.State == ua.Active:
		watch = "reg event, no document yet"
	}
	if beat := a.keepAlive(s.Flow); !busy && beat != "" && width(seen)+2+width(beat) <= left-2 {
		seen = strings.TrimLeft(seen+"  "+beat, " ")
	}
	if watch == "" {
		return " " + cutEnd(seen, w-2)
	}
	if busy && width(watch) > w-width(seen)-5 {
		seen = "" // what is wrong goes before what is right
	}
	if !busy && w < 64 && width(seen)+2+width(watch) > w-2 && seen != "" {
		return " " + cutEnd(seen, w-2) // half of each would say nothing
	}
	// Below the words where it fits, else it takes what the left side leaves.
	start := min(left+2, max(width(seen)+3-2*boolInt(seen == ""), w-1-width(watch)))
	watch = cutEnd(watch, w-start-1)
	if busy {
		watch = a.th.busy.Render(watch)
	}
	return fit(" "+cutEnd(seen, start-2), start) + watch
}

// failure says how one of several flows stands that does not hold.
func (a *app) failure(f ua.FlowState) string {
	r := f.Registration
	said := cmp.Or(string(r.State), "down")
	if why := cmp.Or(reason(r.Status, r.Reason), f.Cause); why != "" {
		said += ": " + why
	}
	if !r.RetryAt.IsZero() {
		said += ", next try in " + countdown(r.RetryAt.Sub(a.now()))
	}
	return said
}

// keepAlive says what keeps the flow alive, and whether that is answered; ""
// where nothing does.
func (a *app) keepAlive(f ua.Flow) string {
	if f.KeepAlive == "" || f.Answered.IsZero() {
		return a.th.text(f.KeepAlive)
	}
	return a.th.text(f.KeepAlive) + " ok"
}

// reason puts the status of an answer before its words, once, where the status
// is one of failure.
func reason(status int, words string) string {
	code := fmt.Sprint(status)
	switch {
	case status < 300 || len(words) >= len(code) && words[:len(code)] == code:
		return words
	case words == "":
		return "answered " + code
	}
	return code + " " + words
}

// notices draws the lasting warnings in red, each on a line with a mark.
func (a *app) notices(w, most int) []string {
	s := a.account().shown
	if s == nil || most <= 0 {
		return nil
	}
	var out []string
	for i, n := range s.Notices {
		if i == most-1 && len(s.Notices) > most {
			n = fmt.Sprintf("%s (and %d more)", n, len(s.Notices)-most)
		}
		if i == most {
			break
		}
		out = append(out, " "+a.th.bad.Render(cutEnd("! "+a.th.text(n), w-2)))
	}
	return out
}
