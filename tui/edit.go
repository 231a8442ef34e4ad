package tui

import (
	"slices"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"
)

// editLimit bounds what one text field takes, in runes; more than any is sent.
const editLimit = 16 << 10

// edit does to one line of text what a key says; pos is how many runes stand
// before the cursor. It is not the text input of bubbles: that one drops control
// characters from what is pasted, where they have to be seen, draws what it holds
// as it is, and asks other programs for a clipboard.
func edit(text []rune, pos int, msg tea.KeyMsg) ([]rune, int) {
	pos = min(max(pos, 0), len(text))
	switch msg.String() {
	case "left", "ctrl+b":
		return text, max(pos-1, 0)
	case "right", "ctrl+f":
		return text, min(pos+1, len(text))
	case "home", "ctrl+a":
		return text, 0
	case "end", "ctrl+e":
		return text, len(text)
	case "backspace", "ctrl+h":
		return without(text, max(pos-1, 0), pos)
	case "delete", "ctrl+d":
		return without(text, pos, min(pos+1, len(text)))
	case "ctrl+u":
		return without(text, 0, pos)
	case "ctrl+k":
		return without(text, pos, len(text))
	case "ctrl+w", "alt+backspace":
		start := pos
		for start > 0 && unicode.IsSpace(text[start-1]) {
			start--
		}
		for start > 0 && !unicode.IsSpace(text[start-1]) {
			start--
		}
		return without(text, start, pos)
	}
	if msg.Type != tea.KeyRunes && msg.Type != tea.KeySpace || msg.Alt {
		return text, pos
	}
	return insert(text, pos, msg.Runes)
}

func insert(text []rune, pos int, more []rune) ([]rune, int) {
	more = more[:min(len(more), max(editLimit-len(text), 0))]
	return slices.Insert(slices.Clone(text), pos, more...), pos + len(more)
}

func without(text []rune, from, to int) ([]rune, int) {
	return slices.Delete(slices.Clone(text), from, to), from
}

// edited draws a line that is edited in at most w columns: what is around the
// cursor stays in sight.
func (th *theme) edited(text []rune, pos, w int) string {
	pos = min(pos, len(text))
	before, after := th.text(string(text[:pos])), th.text(string(text[pos:]))
	room := w - 1 - min(width(after), max(w/4, 1))
	if n := width(before); n > room && room > len(dots) {
		before = dots + tail(before, n-room+len(dots))
	}
	return before + th.reverse.Render("|") + cutEnd(after, w-1-width(before))
}
