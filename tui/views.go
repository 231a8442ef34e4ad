package tui

import "github.com/charmbracelet/bubbles/key"

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
	least   func(body int) int // rows that a panel leaves to it; nil: a few
	raw     func() *pager      // bytes behind the selected row; nil, also its result: the last document
	refresh func()             // reads what it shows and nobody tells of
	mark    func() string      // added to its name in the footer
}

// makeViews is the table of the views, in the order of their keys.
func (a *app) makeViews() []*view {
	simple := func(draw func(w, rows int) []string) func(w, rows, least int) []string {
		return func(w, rows, _ int) []string { return draw(w, rows) }
	}
	return []*view{
		{
			key: a.keys.overview, draw: a.overview, least: a.bindingRows,
			list: func() *list { return &a.account().bindings }, details: a.bindingPage,
		},
		{
			key: a.keys.timeline, draw: simple(a.timelineView),
			list: func() *list { return &a.account().timeline }, details: a.eventPage, raw: a.eventNotify,
		},
		{
			key: a.keys.messages, draw: simple(a.messagesView), refresh: func() { a.messages.refresh(a.o.Trace) },
			list: func() *list { return &a.messages.at }, details: a.messagePage, raw: a.messagePage,
		},
		{
			key: a.keys.gruus, draw: simple(a.gruusView),
			list: func() *list { return &a.account().gruus }, details: a.gruuPage,
		},
		{
			key: a.keys.findings, draw: simple(a.findingsView), mark: a.findingsMark,
			list: func() *list { return &a.account().findings }, details: a.findingPage,
		},
	}
}
