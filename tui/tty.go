package tui

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
)

// tty is the terminal that the screen is drawn on. The program has a renderer of its
// own, which looks 60 times a second whether there is a frame to draw: that was nine
// tenths of what an idle screen cost, and what happened waited for it. Here a frame is
// drawn when there is one, and of it the rows that differ.
//
// All of it belongs to the program's loop, and to Run before and after that; only size
// may be asked for by others.
type tty struct {
	out    io.Writer
	keys   *os.File    // the terminal that keys come from; nil: none
	screen *os.File    // the terminal that is drawn on; nil: none
	focus  bool        // whether it shall report its focus
	before *term.State // how it handed keys over when we came

	rows []string // as they stand on it
	w    int      // how wide it was then
}

func newTTY(in io.Reader, out io.Writer, focus bool) *tty {
	return &tty{out: out, keys: terminalOf(in), screen: terminalOf(out), focus: focus}
}

// terminalOf is the terminal behind a stream; nil where there is none.
func terminalOf(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(f.Fd()) {
		return f
	}
	return nil
}

// size is zero where nothing tells.
func (t *tty) size() (w, h int) {
	if t.screen == nil {
		return 0, 0
	}
	w, h, _ = term.GetSize(t.screen.Fd()) // of one that is gone: zero
	return w, h
}

// take sets the terminal up: keys one by one, and a screen beside the normal one.
func (t *tty) take() error {
	if t.keys != nil {
		before, err := term.MakeRaw(t.keys.Fd())
		if err != nil {
			return fmt.Errorf("set the terminal up: %w", err)
		}
		if t.before == nil {
			t.before = before
		}
	}
	wanted := ansi.SetModeAltScreenSaveCursor + ansi.EraseEntireScreen + ansi.HideCursor + ansi.SetModeBracketedPaste
	if t.focus {
		wanted += ansi.SetModeFocusEvent
	}
	io.WriteString(t.out, wanted)
	t.forget()
	return nil
}

// giveBack leaves the terminal as it was found.
func (t *tty) giveBack() {
	found := ansi.ResetModeBracketedPaste + ansi.ResetModeAltScreenSaveCursor + ansi.ShowCursor
	if t.focus {
		found = ansi.ResetModeFocusEvent + found
	}
	io.WriteString(t.out, found)
	if t.before != nil {
		term.Restore(t.keys.Fd(), t.before)
	}
}

// lend gives the terminal to f, and takes it again when that returns.
func (t *tty) lend(f func() error) error {
	t.giveBack()
	err := f()
	if again := t.take(); err == nil {
		err = again
	}
	return err
}

// forget has the next frame drawn whole.
func (t *tty) forget() { t.rows = nil }

// draw brings a frame of w columns onto the terminal in one write. A write that
// fails is no loss: a terminal that is gone says so where keys come from.
func (t *tty) draw(frame string, w int) {
	if w <= 0 {
		return
	}
	rows := strings.Split(frame, "\n")
	if w != t.w || len(rows) != len(t.rows) {
		t.forget()
	}
	var out strings.Builder
	for i, row := range rows {
		if t.rows != nil && t.rows[i] == row {
			continue
		}
		out.WriteString(ansi.CursorPosition(1, i+1))
		out.WriteString(row)
		if width(row) < w { // behind a full row the cursor stands on its last column
			out.WriteString(ansi.EraseLineRight)
		}
	}
	t.rows, t.w = rows, w
	if out.Len() > 0 {
		io.WriteString(t.out, out.String())
	}
}
