package tui

import (
	"bytes"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// pager shows a text over the body: details, a raw message, the help. Its lines
// are already fit for the terminal.
type pager struct {
	title  string
	lines  []string
	raw    bool   // lines are somebody's own text: they begin at the edge and are broken there, so that a mouse selects nothing else
	source []byte // of raw: what was on the wire

	at     list
	broken []string // lines for the width they were broken for
	width  int
}

func newPager(title string, lines []string) *pager { return &pager{title: title, lines: lines} }

// newRawPager shows a message or document as it was on the wire: line by line,
// each made visible.
func newRawPager(th *theme, title string, raw []byte) *pager {
	var lines []string
	whole := raw
	for len(raw) > 0 {
		var line []byte
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
		} else {
			line, raw = raw, nil
		}
		text := string(bytes.TrimSuffix(line, []byte("\r")))
		lines = append(lines, visibleAll(strings.ReplaceAll(text, "\t", "    "), th.ascii))
	}
	return &pager{title: title, lines: lines, raw: true, source: whole}
}

// text is the whole page, fit for a terminal.
func (p *pager) text() string { return strings.Join(p.lines, "\n") + "\n" }

// copied is what of it goes to the clipboard.
func (p *pager) copied() string {
	if p.raw {
		return copyable(p.source)
	}
	return p.text()
}

func (p *pager) draw(w, rows int, th *theme) []string {
	if p.width != w {
		p.reflow(w)
	}
	out := []string{th.title(p.title, w)}
	p.at.set(len(p.broken))
	// The pager scrolls rather than selects: the row that the keys move is the
	// first one shown.
	height := max(rows-1, 0)
	top := max(min(p.at.selected, len(p.broken)-height), 0)
	p.at.selected, p.at.height = top, height
	return pad(append(out, p.broken[top:min(top+height, len(p.broken))]...), w, rows)
}

// reflow breaks what is longer than a row; the rest of a line is indented a little
// more than its beginning.
func (p *pager) reflow(w int) {
	p.width, p.broken = w, nil
	for _, line := range p.lines {
		if p.raw {
			p.broken = append(p.broken, broken(line, w, false)...)
			continue
		}
		if width(line) <= w-2 {
			p.broken = append(p.broken, " "+line)
			continue
		}
		begins := len(line) - len(strings.TrimLeft(line, " "))
		indent := strings.Repeat(" ", min(begins, w/4))
		for i, part := range broken(line[len(indent):], max(w-4-len(indent), 10), true) {
			if i > 0 {
				part = "  " + part
			}
			p.broken = append(p.broken, " "+indent+part)
		}
	}
}

// broken breaks plain text into parts of at most w columns; words keeps words
// together where the text has blanks.
func broken(s string, w int, words bool) []string {
	var parts []string
	used, blank, start := 0, 0, 0 // blank is behind the last blank of this part
	for i := 0; i < len(s); {
		cluster, n := ansi.FirstGraphemeCluster(s[i:], ansi.GraphemeWidth)
		if used+n > w && i > start {
			end := i
			if words && blank > start+(i-start)/2 {
				end = blank
			}
			parts = append(parts, s[start:end])
			used, start = width(s[end:i]), end
		}
		used += n
		i += len(cluster)
		if cluster == " " {
			blank = i
		}
	}
	return append(parts, s[start:])
}

// fields collects named values for a pager, leaving out what is empty.
type fields struct {
	th    *theme
	lines []string
}

func (f *fields) add(name, value string) {
	if strings.TrimSpace(value) != "" {
		f.lines = append(f.lines, fit(name, 15)+" "+visibleTo(value, wholeLimit, f.th.ascii))
	}
}
