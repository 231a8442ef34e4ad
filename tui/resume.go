package tui

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	tea "github.com/charmbracelet/bubbletea"
)

// resumedMsg says that the process was stopped and goes on.
type resumedMsg struct{}

// awaitResume sends a resumedMsg whenever the process goes on after it was
// stopped, until ctx ends.
func awaitResume(ctx context.Context, send func(tea.Msg)) {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	for {
		select {
		case <-resumed:
			send(resumedMsg{})
		case <-ctx.Done():
			return
		}
	}
}

// retake takes the terminal anew: the shell that had it meanwhile left it in a
// state of its own. To the program that is running another program, one that does
// nothing.
func retake() tea.Cmd {
	return tea.Exec(nothing{}, func(error) tea.Msg { return tickMsg{} })
}

type nothing struct{}

func (nothing) Run() error          { return nil }
func (nothing) SetStdin(io.Reader)  {}
func (nothing) SetStdout(io.Writer) {}
func (nothing) SetStderr(io.Writer) {}
