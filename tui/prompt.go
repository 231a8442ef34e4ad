package tui

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"
)

// prompt is a line typed at the foot of the screen, or a question that one key
// answers. While it is there it has every key but Ctrl-C.
type prompt struct {
	label string
	text  string
	typed func(text string)         // after each change; nil: nobody looks
	enter func(text string) tea.Cmd // with Enter
	esc   func()                    // with Esc; nil: nothing more happens
	yes   func() tea.Cmd            // makes it a question: y does it, everything else does not
	since time.Time                 // of a question that opened by itself: no key is an answer right then
}

// More characters than this nobody types.
const promptLimit = 500

// insert adds what was typed or pasted, but for what does not print.
func (p *prompt) insert(runes []rune) {
	if p.yes != nil {
		return // an answer is not pasted
	}
	text := p.text + strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, string(runes))
	if utf8.RuneCountInString(text) <= promptLimit {
		p.change(text)
	}
}

func (p *prompt) change(text string) {
	p.text = text
	if p.typed != nil {
		p.typed(text)
	}
}

// ask opens a prompt.
func (a *app) ask(p *prompt) { a.prompt = p }

// promptKey takes a key for the prompt.
func (a *app) promptKey(k string, burst bool) tea.Cmd {
	p := a.prompt
	if p.yes != nil {
		if a.now().Sub(p.since) < panelPause {
			return nil
		}
		a.closePrompt()
		if k == "y" && !burst {
			return p.yes()
		}
		a.say(levelNone, "left as it is")
		return nil
	}
	switch k {
	case "enter":
		a.closePrompt()
		return p.enter(p.text)
	case "esc":
		a.closePrompt()
		if p.esc != nil {
			p.esc()
		}
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(p.text)
		p.change(p.text[:len(p.text)-n])
	case "ctrl+u":
		p.change("")
	default:
		if utf8.RuneCountInString(k) == 1 {
			p.insert([]rune(k))
		}
	}
	return nil
}

// closePrompt gives the keys back.
func (a *app) closePrompt() {
	a.prompt = nil
	a.uncover()
}

// promptLine draws the prompt instead of the footer. Of a long text the end is
// seen, where the cursor is.
func (a *app) promptLine(w int) string {
	p := a.prompt
	out := " " + a.th.bold.Render(cutEnd(a.th.text(p.label), w-8))
	if p.yes != nil {
		return fit(out, w)
	}
	text := visible(p.text, a.th.ascii) + "_"
	room := w - width(out) - 2
	if n := width(text); n > room {
		text = tail(text, n-room)
	}
	return fit(out+" "+text, w)
}

// choice is a menu of keys: the one pressed does what it says, and the menu is
// gone.
type choice struct {
	title string
	items []choiceItem
}

type choiceItem struct {
	key, label string
	run        func()
}

func (a *app) choiceKey(k string) {
	if has(a.keys.back, k) || has(a.keys.filter, k) && !a.choice.has(k) {
		a.closeChoice()
		return
	}
	for _, item := range a.choice.items {
		if item.key == k {
			a.closeChoice()
			item.run()
			return
		}
	}
}

func (c *choice) has(k string) bool {
	for _, item := range c.items {
		if item.key == k {
			return true
		}
	}
	return false
}

func (a *app) closeChoice() {
	a.choice = nil
	a.uncover()
}

func (a *app) choiceRows(w, most int) []string {
	items := make([]keyHelp, len(a.choice.items))
	for i, item := range a.choice.items {
		items[i] = keyHelp{item.key, item.label}
	}
	return a.itemRows(a.choice.title, items, w, most)
}
