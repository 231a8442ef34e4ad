package tui

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// find asks for a text; narrow is called with it at each key, and with what was
// there before at Esc.
func (a *app) find(before string, narrow func(query string)) {
	a.ask(&prompt{
		label: "search:", text: before, typed: narrow,
		enter: func(string) tea.Cmd { return nil },
		esc:   func() { narrow(before) },
	})
}

// messagesKey handles the keys of the view of the messages.
func (a *app) messagesKey(k string) bool {
	m, keys := &a.messages, a.keys
	switch {
	case has(keys.ladder, k):
		m.climb()
	case has(keys.search, k):
		m.leaveDialog()
		a.find(m.query, func(query string) { m.narrow(m.kind, query) })
	case has(keys.filter, k):
		m.leaveDialog()
		item := func(key, label string, kind messageKind) choiceItem {
			return choiceItem{key, label, func() { m.narrow(kind, m.query) }}
		}
		items := []choiceItem{
			item("a", "all", everyMessage), item("r", "REGISTER", "REGISTER"), item("s", "SUBSCRIBE", "SUBSCRIBE"),
			item("n", "NOTIFY", "NOTIFY"), item("o", string(otherMessages), otherMessages), item("e", string(refusals), refusals),
		}
		if s := a.account().shown; len(a.accounts) > 1 && s != nil {
			label, query := "this account only", s.AOR
			if m.query == strings.ToLower(query) {
				label, query = "all accounts", ""
			}
			items = append(items, choiceItem{"m", label, func() { m.narrow(m.kind, query) }})
		}
		a.choice = &choice{"show which messages", items}
	case has(keys.back, k) && m.ladder.on():
		m.leaveLadder()
	case has(keys.back, k):
		m.narrow(everyMessage, "")
	default:
		return false
	}
	return true
}

// timelineKey handles the keys of the timeline.
func (a *app) timelineKey(k string) bool {
	t, keys := &a.timeline, a.keys
	switch {
	case has(keys.search, k):
		a.find(t.query, func(query string) { t.query = strings.ToLower(query); a.retell() })
	case has(keys.filter, k):
		a.choice = a.timelineChoice()
	case has(keys.message, k):
		a.eventMessage()
	case has(keys.back, k):
		t.kind, t.whose, t.query = everyEvent, "", ""
		a.retell()
	default:
		return false
	}
	return true
}

// timelineChoice offers kinds, and whose events are shown.
func (a *app) timelineChoice() *choice {
	t := &a.timeline
	var items []choiceItem
	for _, k := range []struct {
		key  string
		kind eventKind
	}{{"a", everyEvent}, {"r", ofRegistration}, {"c", ofContacts}, {"k", ofKicks}, {"g", ofGRUUs}, {"d", ofDocuments}, {"f", ofFindings}, {"i", ofRequests}} {
		label := string(k.kind)
		if k.kind == everyEvent {
			label = "all"
		}
		items = append(items, choiceItem{k.key, label, func() { t.kind = k.kind; a.retell() }})
	}
	next := map[string]string{"": ownEvents, ownEvents: othersEvents, othersEvents: ""}[t.whose]
	label := map[string]string{ownEvents: "own only", othersEvents: "not own", "": "own or not"}[next]
	items = append(items, choiceItem{"o", label, func() { t.whose = next; a.retell() }})
	if len(a.accounts) > 1 {
		label := "all accounts"
		if t.accounts {
			label = "this account only"
		}
		items = append(items, choiceItem{"m", label, func() { t.accounts = !t.accounts; a.retell() }})
	}
	return &choice{"show which events", items}
}

// eventMessage goes to the message that told the selected event.
func (a *app) eventMessage() {
	e := a.timeline.selected()
	switch {
	case e == nil:
		a.say(levelNone, "no event here")
	case e.Message == 0:
		a.say(levelNone, "no message told this: it came by time, from the network below SIP, or from you")
	case !a.goToMessage(e.Message):
		a.say(levelBusy, fmt.Sprintf("message %d is kept no more", e.Message))
	}
}
