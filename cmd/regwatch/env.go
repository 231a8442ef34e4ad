package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/charmbracelet/x/term"

	"regwatch/internal/config"
	"regwatch/internal/wire"
	"regwatch/tui"
	"regwatch/ua"
)

// env is everything outside the program that a command may touch, so that tests
// run commands without a machine of their own.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	inTerminal     bool // standard input is a terminal: there is somebody to ask
	outTerminal    bool // standard output is one: a screen can be drawn
	errTerminal    bool // standard error is one: a line can be written over

	signals <-chan os.Signal // the wishes to end: SIGINT, SIGTERM, SIGHUP
	// raw hands each key that is typed to us, until restoreTerminal, and tells how
	// large the terminal is.
	raw        func() (width, height int, err error)
	secret     func() (string, error) // reads a line from the terminal without echo
	configFile func() (string, error) // where the config is looked for
	stateDir   string                 // "": nothing is kept
	keyLog     string                 // $SSLKEYLOGFILE
	pager      string                 // $PAGER
	network    wire.Network           // nil: the machine's
	screen     func(context.Context, tui.Options) error
}

// machine is the env of a real run.
func machine() *env {
	// A reader that goes away, as in "regwatch watch | head", must not end us
	// before we have unregistered: writing then fails with an error.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(signals, syscall.SIGHUP)
	}
	return &env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		inTerminal: term.IsTerminal(os.Stdin.Fd()), outTerminal: term.IsTerminal(os.Stdout.Fd()),
		errTerminal: term.IsTerminal(os.Stderr.Fd()),
		signals:     signals, raw: rawTerminal, secret: readSecret, configFile: config.Default, stateDir: ua.StateDir(), keyLog: os.Getenv("SSLKEYLOGFILE"), pager: os.Getenv("PAGER"),
		screen: tui.Run,
	}
}

// run runs the command that args ask for and returns the exit status.
func run(e *env, args []string) (status int) {
	// Nothing may be logged onto the screen; --log says where else.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	defer restoreTerminal()
	defer func() {
		if value := recover(); value != nil {
			restoreTerminal()
			fmt.Fprintf(e.stderr, "regwatch: internal error: %v\n\n%s", value, debug.Stack())
			status = statusUnexpected
		}
	}()
	root := newRoot(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	return explain(e.stderr, root.Execute())
}

// echo is how the terminal was before a password was asked for, or keys were
// taken one by one. A run may end meanwhile, and then has to put that back.
var echo struct {
	sync.Mutex
	before *term.State
}

func readSecret() (string, error) {
	fd := os.Stdin.Fd()
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	echo.Lock()
	echo.before = before
	echo.Unlock()
	line, err := term.ReadPassword(fd)
	if errors.Is(err, io.EOF) {
		err = nil // Ctrl-D on an empty line: none
	}
	echo.Lock()
	echo.before = nil
	echo.Unlock()
	return string(line), err
}

func rawTerminal() (width, height int, err error) {
	if width, height, err = term.GetSize(os.Stdin.Fd()); err != nil {
		return 0, 0, err
	}
	before, err := term.MakeRaw(os.Stdin.Fd())
	echo.Lock()
	defer echo.Unlock()
	echo.before = before
	return width, height, err
}

func restoreTerminal() {
	echo.Lock()
	defer echo.Unlock()
	if echo.before != nil {
		term.Restore(os.Stdin.Fd(), echo.before)
		echo.before = nil
	}
}
