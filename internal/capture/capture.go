// Package capture writes the SIP messages of a run to a file for people to
// read. Digest responses are masked, always.
//
// It imports trace and the standard library, and knows no protocol.
package capture

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"regwatch/internal/trace"
)

// queueLength bounds the messages that wait for the disk.
const queueLength = 4096

// Writer writes messages as text, each below a line of its own that says when,
// which way and between whom it went.
type Writer struct {
	path  string
	queue chan trace.Message
	ended chan struct{}

	mu     sync.Mutex
	lost   int // since the last message that was queued
	closed bool

	failure error // of the writing goroutine; read after ended
}

// ErrFormat says that a file's name asks for a format that is not there yet.
var ErrFormat = errors.New("this version writes .txt only")

// Create makes the file, mode 0600, replacing what it held. The name decides
// the format.
func Create(path string) (*Writer, error) {
	if !strings.EqualFold(filepath.Ext(path), ".txt") {
		return nil, fmt.Errorf("trace %s: %w", path, ErrFormat)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	// A file from before may have been readable by others.
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := file.Chmod(0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("trace: %w", err), file.Close())
		}
	}
	w := &Writer{path: path, queue: make(chan trace.Message, queueLength), ended: make(chan struct{})}
	go w.run(file)
	return w, nil
}

// Path is where the trace is.
func (w *Writer) Path() string { return w.path }

// Add hands a message to the writer and returns at once, so that it can sit on
// a trace.Ring. A message that finds the queue full is lost, and the file says
// how many were. Messages added after Close are dropped.
func (w *Writer) Add(m trace.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if w.lost > 0 {
		select {
		case w.queue <- trace.Message{Raw: fmt.Appendf(nil, "%d messages lost: the disk was too slow", w.lost)}:
			w.lost = 0
		default:
		}
	}
	select {
	case w.queue <- m:
	default:
		w.lost++
	}
}

// Close writes what waits and closes the file. It returns the first error of
// the whole trace.
func (w *Writer) Close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.ended
	if w.failure != nil {
		return fmt.Errorf("trace: %w", w.failure)
	}
	return nil
}

// run owns the file. What is written is flushed whenever nothing more waits:
// a trace is read while it grows.
func (w *Writer) run(file *os.File) {
	defer close(w.ended)
	out := bufio.NewWriter(file)
	for m := range w.queue {
		out.WriteString(Text(m))
		if len(w.queue) == 0 {
			out.Flush()
		}
	}
	w.failure = errors.Join(out.Flush(), file.Close())
}

// Text is a message as the trace file shows it: a line with its number, time,
// transport, our address, an arrow and theirs; then the message, masked, its
// line ends plain and its control characters made visible; then an empty line.
// A message without a number is a remark.
func Text(m trace.Message) string {
	if m.Number == 0 {
		return "--- " + string(m.Raw) + "\n\n"
	}
	arrow := "->"
	if m.Direction == trace.Received {
		arrow = "<-"
	}
	head := fmt.Sprintf("--- %d %s %s %s %s %s, %d bytes\n", m.Number, m.Time.UTC().Format(time.RFC3339Nano), m.Transport, m.Local, arrow, m.Remote, len(m.Raw))
	var body strings.Builder
	text := strings.ReplaceAll(string(trace.Masked(m.Raw)), "\r\n", "\n")
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		body.WriteString(Visible(line) + "\n")
	}
	return head + body.String() + "\n"
}
