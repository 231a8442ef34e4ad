package tui

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// What the screen writes beside text. Everything else that a terminal might obey
// came from somebody else.
var (
	ourColours = regexp.MustCompile(`^\x1b\[(0|1|2|7|3[0-7]|9[0-7])?(;(1|2|7|3[0-7]|9[0-7]))*m`)
	ourMoves   = regexp.MustCompile(`^\x1b\[([0-9]*;?[0-9]*H|[0-9]*A|2?K|2?J)`)
	ourModes   = regexp.MustCompile(`^\x1b\[\?(25|1002|1003|1004|1006|1049|2004)[hl]`)
	ourCopy    = regexp.MustCompile(`^\x1b\]52;c;([A-Za-z0-9+/=]*)\x07`)
	ourNotice  = regexp.MustCompile(`^\x1b\](?:9;regwatch: |777;notify;regwatch;)([^\x07\x1b]*)\x07`)
)

// strictTerminal reads what the program writes as a terminal of w columns and h rows
// does, and takes nothing that is not the screen's own.
type strictTerminal struct {
	w, h     int
	row, col int
	alt      bool // the screen is up, not the summary after it
	line     strings.Builder
	copied   []string // what went to the clipboard
	notices  []string // what the desktop was told
	faults   []string
}

func (s *strictTerminal) fault(format string, args ...any) {
	if len(s.faults) < 10 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

func (s *strictTerminal) read(out string) {
	for len(out) > 0 {
		n := s.take(out)
		out = out[n:]
	}
	s.text()
}

// take takes one sequence, control or character, and gives its length.
func (s *strictTerminal) take(out string) int {
	switch out[0] {
	case '\x1b':
		s.text()
		return s.sequence(out)
	case '\r':
		s.text()
		s.col = 0
		return 1
	case '\n':
		s.text()
		if s.row++; s.alt && s.row >= s.h {
			s.fault("a line %d on a terminal of %d", s.row+1, s.h)
		}
		return 1
	case '\a': // the bell of a kick
		return 1
	}
	r, n := utf8.DecodeRuneInString(out)
	switch {
	case r == utf8.RuneError && n == 1:
		s.fault("no UTF-8: %.40q", out)
	case !unicode.IsPrint(r), hidden(r):
		s.fault("%U in %.40q", r, out)
	}
	s.line.WriteRune(r)
	return n
}

// hidden finds what counts as printable and shows nothing, or changes the width of
// what stands before it. It does not ask the screen's own table.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Regional_Indicator) ||
		strings.ContainsRune("\u2800\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff", r)
}

// text takes what was printed since the last sequence.
func (s *strictTerminal) text() {
	text := s.line.String()
	s.line.Reset()
	marks := 0
	for i, r := range text {
		switch {
		case !unicode.Is(unicode.M, r) && ansi.StringWidth(string(r)) > 0:
			marks = 0
		case i == 0:
			s.fault("%U has nothing to stand on: %.40q", r, text)
		default:
			if marks++; marks > 2 {
				s.fault("a heap of marks: %.40q", text)
				return
			}
		}
	}
	if s.col += ansi.StringWidth(text); s.alt && s.col > s.w {
		s.fault("%d columns on a terminal of %d: %.200q", s.col, s.w, text)
	}
}

func (s *strictTerminal) sequence(out string) int {
	if m := ourCopy.FindStringSubmatch(out); m != nil {
		text, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil {
			s.fault("clipboard: %v", err)
		}
		s.copied = append(s.copied, string(text))
		return len(m[0])
	}
	if m := ourNotice.FindStringSubmatch(out); m != nil {
		s.notices = append(s.notices, m[1])
		return len(m[0])
	}
	if m := ourModes.FindString(out); m != "" {
		if strings.HasPrefix(m, "\x1b[?1049") {
			s.alt = strings.HasSuffix(m, "h")
			s.row, s.col = 0, 0
		}
		return len(m)
	}
	if m := ourColours.FindString(out); m != "" {
		return len(m)
	}
	if m := ourMoves.FindString(out); m != "" {
		s.move(m)
		return len(m)
	}
	s.fault("not of the screen: %.40q", out)
	return 1
}

func (s *strictTerminal) move(sequence string) {
	n := 1
	switch sequence[len(sequence)-1] {
	case 'A':
		fmt.Sscanf(sequence, "\x1b[%dA", &n)
		if s.row -= n; s.row < 0 {
			s.fault("%d rows above the screen", -s.row)
			s.row = 0
		}
	case 'H':
		fmt.Sscanf(sequence, "\x1b[%d", &n)
		s.row, s.col = n-1, 0
	}
}
