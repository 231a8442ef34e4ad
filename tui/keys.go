package tui

import (
	"slices"

	"github.com/charmbracelet/bubbles/key"
)

// keymap holds every key of the screen once, with its help. Small letters look,
// capitals send SIP.
type keymap struct {
	register, unregister, query, subscribe, unsubscribe, removeAll, ping key.Binding
	admin                                                                key.Binding
	compose                                                              composerKeys

	overview, timeline, messages, document, gruus, truths, findings, accounts key.Binding
	account                                                                   key.Binding

	up, down, top, bottom, pageUp, pageDown key.Binding
	older, newer, side, wholeText           key.Binding // of documents
	enter                                   key.Binding // an account
	details, raw, back                      key.Binding
	pause, clock, help, quit                key.Binding
	search, filter, ladder, message         key.Binding
	save, copy, external                    key.Binding

	// Those of the panel, while it is open and takes keys.
	panelRegister, panelLater, panelIgnore, panelNotify key.Binding
}

// bind makes a binding; name is what the help calls the keys.
func bind(name, help string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(name, help))
}

func newKeymap(admin, accounts, compose bool) *keymap {
	k := &keymap{
		register:    bind("R", "register", "R"),
		unregister:  bind("U", "unregister", "U"),
		query:       bind("Q", "query", "Q"),
		ping:        bind("O", "ping own GRUU", "O"),
		subscribe:   bind("S", "subscribe", "S"),
		unsubscribe: bind("N", "unsubscribe", "N"),
		removeAll:   bind("X", "remove all", "X"),
		admin:       bind("A", "admin", "A"),
		compose:     newComposerKeys(compose),

		overview: bind("1", "overview", "1"),
		timeline: bind("2", "timeline", "2"),
		messages: bind("3", "messages", "3"),
		document: bind("4", "document", "4"),
		gruus:    bind("5", "GRUUs", "5"),
		truths:   bind("6", "truths", "6"),
		findings: bind("7", "findings", "7"),
		accounts: bind("8", "accounts", "8"),
		account:  bind("Tab", "next account", "tab"),

		up:        bind("up k", "one up", "up", "k"),
		down:      bind("down j", "one down", "down", "j"),
		top:       bind("g", "first", "g", "home"),
		bottom:    bind("G", "last", "G", "end"),
		pageUp:    bind("PgUp", "page up", "pgup"),
		pageDown:  bind("PgDn", "page down", "pgdown"),
		older:     bind("Left", "older", "left"),
		newer:     bind("Right", "newer", "right"),
		side:      bind("Enter", "another side", "enter"),
		wholeText: bind("r", "whole text", "r"),
		enter:     bind("Enter", "to its overview", "enter"),
		details:   bind("Enter", "details", "enter"),
		raw:       bind("r", "raw message or document", "r"),
		back:      bind("Esc", "back", "esc"),
		message:   bind("r", "its message", "r"),
		search:    bind("/", "search", "/"),
		filter:    bind("f", "filter", "f"),
		ladder:    bind("d", "ladder", "d"),
		save:      bind("s", "save messages", "s"),
		copy:      bind("y", "copy", "y"),
		external:  bind("v", "view in $PAGER", "v"),
		pause:     bind("p", "pause", "p"),
		clock:     bind("t", "time format", "t"),
		help:      bind("?", "help", "?"),
		quit:      bind("q", "quit", "q", "ctrl+c"),

		panelRegister: bind("R", "register now", "R"),
		panelLater:    bind("l", "later", "l", "esc"),
		panelIgnore:   bind("i", "ignore", "i"),
		panelNotify:   bind("Enter", "the NOTIFY", "enter"),
	}
	k.admin.SetEnabled(admin)
	k.account.SetEnabled(accounts)
	return k
}

// group is a part of the help.
type group struct {
	title string
	keys  []key.Binding
}

// groups is the whole of the help, in its order.
func (k *keymap) groups() []group {
	return []group{
		{"capitals send SIP", []key.Binding{k.register, k.unregister, k.query, k.subscribe, k.unsubscribe, k.removeAll, k.ping, k.compose.open, k.admin}},
		{"small letters look", []key.Binding{k.details, k.raw, k.back, k.search, k.filter, k.ladder, k.save, k.copy, k.external, k.pause, k.clock, k.help, k.quit}},
		{"views", []key.Binding{k.overview, k.timeline, k.messages, k.document, k.gruus, k.truths, k.findings, k.accounts, k.account}},
		{"lists", []key.Binding{k.up, k.down, k.top, k.bottom, k.pageUp, k.pageDown}},
		{"documents", []key.Binding{k.older, k.newer, k.side, k.wholeText}},
		k.compose.help(),
		{"the panel that a kick opens", []key.Binding{k.panelRegister, k.panelLater, k.panelIgnore, k.panelNotify}},
	}
}

// footer lists the keys by how much they are missed where there is no room.
func (k *keymap) footer() []key.Binding {
	return []key.Binding{k.register, k.unregister, k.admin, k.query, k.subscribe, k.account, k.details, k.compose.open, k.removeAll, k.unsubscribe, k.pause, k.raw, k.clock, k.ping}
}

// has reports whether the key is one of the binding's.
func has(b key.Binding, pressed string) bool {
	return b.Enabled() && slices.Contains(b.Keys(), pressed)
}
