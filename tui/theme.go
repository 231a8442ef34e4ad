package tui

import (
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// theme is how things look: the 16 colours of the terminal, bold and reverse.
// Each adds to a word or a mark that is there without it, because NO_COLOR
// takes all of them away.
type theme struct {
	ascii bool

	dim             lipgloss.Style
	bold, reverse   lipgloss.Style
	good, busy, bad lipgloss.Style
	own, other, key lipgloss.Style
	rule            lipgloss.Style
}

// newTheme makes the styles for a terminal; what it can do and what the user
// wants (NO_COLOR) lipgloss reads from the environment.
func newTheme(out io.Writer, ascii, light bool) *theme {
	return themeFor(lipgloss.NewRenderer(out), ascii, light)
}

func themeFor(r *lipgloss.Renderer, ascii, light bool) *theme {
	style := func() lipgloss.Style { return r.NewStyle() }
	th := &theme{
		ascii:   ascii,
		dim:     style().Faint(true),
		bold:    style().Bold(true),
		reverse: style().Reverse(true),
		good:    style().Bold(true).Foreground(lipgloss.Color("2")),
		busy:    style().Bold(true).Foreground(lipgloss.Color("3")),
		bad:     style().Bold(true).Foreground(lipgloss.Color("1")),
		own:     style().Foreground(lipgloss.Color("6")),
		other:   style().Foreground(lipgloss.Color("5")),
		key:     style().Bold(true),
		rule:    style().Bold(true),
	}
	if light {
		// Yellow and cyan are what nobody can read on white.
		th.busy, th.own = style().Bold(true).Foreground(lipgloss.Color("5")), style().Foreground(lipgloss.Color("4"))
	}
	return th
}

// The backgrounds that a theme may be for.
const (
	ThemeLight = "light"
	ThemeDark  = "dark"
)

// onLight reports whether to draw for a light background. Where the setting leaves
// it open, the terminals that set COLORFGBG ("0;15": black on white) tell; no
// terminal is asked, since one that does not answer would hold us up.
func onLight(setting string) bool {
	if setting != "" {
		return setting == ThemeLight
	}
	colours := strings.Split(os.Getenv("COLORFGBG"), ";")
	background := colours[len(colours)-1]
	return background == "7" || background == "15"
}

// level says how a state is doing. It chooses the colour and, so that nothing
// hangs on it, a mark.
type level int

const (
	levelNone level = iota
	levelGood
	levelBusy
	levelBad
)

func (th *theme) style(l level) lipgloss.Style {
	switch l {
	case levelGood:
		return th.good
	case levelBusy:
		return th.busy
	case levelBad:
		return th.bad
	}
	return th.bold
}

// mark is one column wide on every terminal: all of them are of East Asian
// width neutral or narrow.
func (th *theme) mark(l level) string {
	marks := [...]string{"-", "✓", "↻", "✗"}
	if th.ascii {
		marks = [...]string{"-", "+", "~", "!"}
	}
	return marks[l]
}

// text makes a string from the network fit for this terminal. Whatever was not
// written by us goes through here on its way to the screen.
func (th *theme) text(s string) string { return visible(s, th.ascii) }

// title draws a rule with a title over the whole width.
func (th *theme) title(title string, w int) string {
	if title == "" {
		return strings.Repeat("-", max(w, 0))
	}
	title = cutEnd(title, max(w-8, 4))
	return fit("-- "+th.rule.Render(title)+" "+strings.Repeat("-", max(w-width(title)-4, 0)), w)
}

// asciiOnly reports whether the locale leaves us no characters beyond ASCII.
// The first of the three that is set counts, as everywhere.
func asciiOnly() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
		}
	}
	return true
}
