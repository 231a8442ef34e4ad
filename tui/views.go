package tui

import (
	"slices"

	"github.com/charmbracelet/bubbles/key"
)

// view is one of the numbered views: what stands between header and footer.
type view struct {
	key key.Binding
	// draw makes exactly rows rows of w columns; the first least of them stay
	// in sight when a panel opens.
	draw func(w, rows, least int) []string
	list func() *list // that the arrows move in
	// details is the page of the selected row; nil where there is none.
	details func() *pager

	// The rest may be left out.
	least   func(body int) int  // rows that a panel leaves to it; nil: a few
	press   func(k string) bool // keys of its own; false: this is none
	copied  func() string       // what y copies of the selected row
	keys    []key.Binding       // of its own, before all others in the footer
	raw     func() *pager       // bytes behind the selected row; nil, also its result: the last document
	refresh func() (more bool)  // reads some of what it shows and nobody tells of
	mark    func() string       // added to its name in the footer
}

// makeViews is the table of the views, in the order of their keys.
func (a *app) makeViews() []*view {
	simple := func(draw func(w, rows int) []string) func(w, rows, least int) []string {
		return func(w, rows, _ int) []string { return draw(w, rows) }
	}
	return []*view{
		{
			key: a.keys.overview, draw: a.overview, least: a.bindingRows,
			list: func() *list { return &a.account().bindings }, details: a.bindingPage, copied: a.bindingCopy,
		},
		{
			key: a.keys.timeline, draw: simple(a.timelineView),
			list: func() *list { return &a.timeline.at }, details: a.eventPage, press: a.timelineKey, copied: a.eventCopy,
			keys: []key.Binding{a.keys.details, a.keys.message, a.keys.filter, a.keys.search, a.keys.copy, a.keys.external},
		},
		{
			key: a.keys.messages, draw: simple(a.messagesView), refresh: func() bool { return a.messages.refresh(a.o.Trace, readAtOnce) },
			list: a.messages.list, details: a.messagePage, raw: a.messagePage, press: a.messagesKey, copied: a.messageCopy,
			keys: []key.Binding{a.keys.details, a.keys.ladder, a.keys.filter, a.keys.search, a.keys.save, a.keys.copy, a.keys.external, a.keys.pause},
		},
		{
			key: a.keys.document, draw: simple(a.documentView), press: a.documentKey,
			list: func() *list { return &a.account().document.rows }, details: a.turnDocument, raw: a.wholeDocument,
			keys: []key.Binding{a.keys.older, a.keys.newer, a.keys.side, a.keys.wholeText},
		},
		{
			key: a.keys.gruus, draw: simple(a.gruusView),
			list: func() *list { return &a.account().gruus }, details: a.gruuPage, copied: a.gruuCopy,
			keys: []key.Binding{a.keys.details, a.keys.ping, a.keys.copy, a.keys.external},
		},
		{
			key: a.keys.truths, draw: simple(a.truthsView),
			list: func() *list { return &a.account().truths.list }, details: a.truthPage,
			keys: []key.Binding{a.keys.details, a.keys.query, a.keys.external},
		},
		{
			key: a.keys.findings, draw: simple(a.findingsView), mark: a.findingsMark,
			list: func() *list { return &a.account().findings }, details: a.findingPage,
			keys: []key.Binding{a.keys.details, a.keys.external},
		},
		{
			key: a.keys.accounts, draw: simple(a.accountsView), press: a.accountKey,
			list: func() *list { return &a.roster }, details: a.enterAccount,
			keys: []key.Binding{a.keys.enter, a.keys.search, a.keys.filter},
		},
	}
}

// viewOf is the view behind a key.
func (a *app) viewOf(b key.Binding) *view {
	return a.views[slices.IndexFunc(a.views, func(v *view) bool { return v.key.Help() == b.Help() })]
}
