package tui

// list is the one virtual list: it knows how many rows there are, which is
// selected and which are on the screen, and asks for no others. What the rows
// are is the business of whoever draws it.
//
// Rows count from the top. A list with follow set keeps the newest row, which
// is the first, in sight until the selection leaves it.
type list struct {
	count    int
	selected int
	top      int // first row shown
	height   int // rows shown when last drawn; a page
	drawn    int // count when last drawn
	follow   bool
}

// set gives the list its number of rows; the selection stays where it can.
func (l *list) set(count int) {
	l.count = count
	l.clamp()
}

// grow tells that n rows were put before the first. Unless the list follows
// and its first row is selected, the same rows stay selected and shown.
func (l *list) grow(n int) {
	l.count += n
	if !l.follow || l.selected > 0 {
		l.selected += n
		l.top += n
	}
	l.clamp()
}

func (l *list) move(by int) {
	l.selected += by
	l.clamp()
}

func (l *list) page(by int) { l.move(by * max(l.height-1, 1)) }
func (l *list) first()      { l.selected, l.top = 0, 0 }
func (l *list) last()       { l.move(l.count) }

func (l *list) clamp() {
	l.selected = max(min(l.selected, l.count-1), 0)
	l.top = max(min(l.top, l.selected), 0)
}

// handle moves the selection by a key; false when the key is none of a list's.
func (l *list) handle(k string, keys *keymap) bool {
	switch {
	case has(keys.up, k):
		l.move(-1)
	case has(keys.down, k):
		l.move(1)
	case has(keys.top, k):
		l.first()
	case has(keys.bottom, k):
		l.last()
	case has(keys.pageUp, k):
		l.page(-1)
	case has(keys.pageDown, k):
		l.page(1)
	default:
		return false
	}
	return true
}

// draw returns exactly height rows of exactly width columns. row draws the i-th
// into the columns that it is told; it is called for visible rows only. The
// selected row is marked by a character in the gutter: colour may be off.
func (l *list) draw(width, height int, gutter gutter, th *theme, row func(i, width int) string) []string {
	// What grew above pushes nothing out of its place, though there be room below.
	settle := height != l.height || l.count < l.drawn
	l.height, l.drawn = height, l.count
	l.clamp()
	if height > 0 && l.selected >= l.top+height {
		l.top = l.selected - height + 1
	}
	if settle {
		l.top = max(min(l.top, l.count-height), 0)
	}
	out := make([]string, 0, max(height, 0)) // a view may leave it less than no rows
	for i := l.top; i < l.count && len(out) < height; i++ {
		text := row(i, width-len(gutter.off))
		if i == l.selected && gutter.on != gutter.off {
			out = append(out, fit(th.bold.Render(gutter.on)+th.bold.Render(text), width))
			continue
		}
		out = append(out, fit(gutter.off+text, width))
	}
	for len(out) < height {
		out = append(out, fit("", width))
	}
	return out
}

// gutter is what stands before a row: on where it is selected, off where not.
// Both are plain and equally wide; where they are the same nothing is selected.
type gutter struct{ on, off string }

var (
	wideGutter   = gutter{" > ", "   "}
	narrowGutter = gutter{">", " "}
	noGutter     = gutter{" ", " "}
)
