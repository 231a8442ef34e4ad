package tui

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	tea "github.com/charmbracelet/bubbletea"
)

// resumedMsg says that the process was stopped and goes on.
type resumedMsg struct{}

// awaitSignals sends the size of the terminal, at first and whenever it changes, and a
// resumedMsg whenever the process goes on after it was stopped, until ctx ends.
func awaitSignals(ctx context.Context, size func() (w, h int), send func(tea.Msg)) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGCONT, syscall.SIGWINCH)
	defer signal.Stop(signals)
	for {
		if w, h := size(); w > 0 {
			send(tea.WindowSizeMsg{Width: w, Height: h})
		}
		select {
		case s := <-signals:
			if s == syscall.SIGCONT {
				send(resumedMsg{})
			}
		case <-ctx.Done():
			return
		}
	}
}
