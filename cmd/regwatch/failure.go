package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"regwatch/internal/capture"
	"regwatch/internal/guard"
	"regwatch/internal/tables"
)

// The exit statuses. Scripts rely on them.
const (
	statusUnexpected  = 1
	statusUsage       = 2 // command line or config is wrong; decode: unreadable
	statusTimeout     = 3 // watch: the awaited event did not come in time
	statusRefused     = 4 // watch: the registrar refused the first registration
	statusUnreachable = 5 // watch: nobody could be reached on the first attempt
	statusBroken      = 6 // probe: some check is broken
	statusFindings    = 7 // decode: read, with findings of severity error

	// What a shell gives a program that a closed pipe ended: 128 and SIGPIPE.
	statusClosedPipe = 128 + int(syscall.SIGPIPE)
)

// failure is an error with the status to end with and what may help. Errors
// that are none end with statusUnexpected.
type failure struct {
	status int
	err    error // nil: nothing is left to say
	hint   string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail makes a failure; hint may be "".
func fail(status int, hint, format string, args ...any) error {
	return &failure{status, fmt.Errorf(format, args...), hint}
}

// explain writes an error the way all of them are written: one line, "regwatch:
// what failed: why", then a hint where there is one. It returns the exit status.
func explain(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if readerGone(err) {
		return statusClosedPipe
	}
	status, hint := statusUnexpected, ""
	var f *failure
	if errors.As(err, &f) {
		status, hint = f.status, f.hint
		if f.err == nil {
			return status
		}
	}
	var faults tables.Faults
	if errors.As(err, &faults) {
		for _, fault := range faults {
			say(stderr, fault.Error())
		}
	} else {
		say(stderr, err.Error())
	}
	if hint != "" {
		fmt.Fprintln(stderr, hint)
	}
	var broken *guard.Panic
	if errors.As(err, &broken) {
		fmt.Fprintf(stderr, "\n%s", broken.Stack)
	}
	return status
}

// readerGone: nobody reads standard output any more, as behind "| head". That is
// no fault and needs no word.
func readerGone(err error) bool {
	var writing *fs.PathError
	return errors.As(err, &writing) && writing.Path == os.Stdout.Name() && errors.Is(writing.Err, syscall.EPIPE)
}

// say writes lines for the user, each marked as ours. They may hold what the
// network or a file said.
func say(stderr io.Writer, text string) {
	for i, line := range strings.Split(text, "\n") {
		if i == 0 {
			line = "regwatch: " + line
		}
		fmt.Fprintln(stderr, capture.Visible(line))
	}
}
