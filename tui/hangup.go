package tui

import (
	"errors"
	"io"
	"os"

	"github.com/charmbracelet/x/term"
)

// untilHangup is the input of a screen. Where it is a terminal, its end is a
// terminal that is gone: then gone is called. Mostly SIGHUP says so first, but not to
// everybody, and a screen that nobody can see nor quit would hold its registration
// for ever. Other inputs may end, as files do.
func untilHangup(in io.Reader, gone func()) io.Reader {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		return in
	}
	return &hangup{file, gone}
}

// hangup is still a file to those who want to set a terminal or to wait for input.
type hangup struct {
	*os.File
	gone func()
}

func (h *hangup) Read(p []byte) (int, error) {
	n, err := h.File.Read(p)
	if errors.Is(err, io.EOF) {
		h.gone()
	}
	return n, err
}
