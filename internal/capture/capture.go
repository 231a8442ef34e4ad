// Package capture writes the SIP messages of a run to a file: as text for
// people, or as a pcapng capture for Wireshark, tshark and sngrep. Digest
// responses are masked in both, unless the writer is asked for them by name. And
// it reads captures, its own and others': what UDP and TCP carried, in order.
//
// It imports trace, guard, the standard library and, in the one room that may,
// gopacket for the layout of frames and blocks. It knows no protocol above TCP
// and UDP: a message is bytes with a time, a direction and two addresses. No
// socket, no SIP parser and no agent may enter, and nothing here may make the
// sender of a message wait.
package capture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"regwatch/internal/guard"
	"regwatch/internal/trace"
)

// queueLength bounds the messages that wait for the disk.
const queueLength = 4096

// Options change how a trace is written.
type Options struct {
	// Secrets leaves digest responses as they were. Who has such a file can
	// guess the password at leisure: set it only where a user asked for it.
	Secrets bool
	// New fails with fs.ErrExist rather than replace what a file holds.
	New bool
}

// Writer writes messages to a file, each with one write as soon as the disk
// takes it: a trace is read while it grows, and what is in it after a kill is
// whole.
type Writer struct {
	path   string
	format format
	masked bool
	queue  chan entry
	ended  chan struct{}

	mu     sync.Mutex
	lost   int // since the last message that was queued
	closed bool

	// Of the writing goroutine; failure is read by others after ended.
	file    *os.File
	size    int64 // of the whole records in the file
	failure error
}

// entry is a message and how many were lost right before it.
type entry struct {
	message trace.Message
	lost    int
}

// format turns messages into the records of a file. What a call returns is
// whole records, to be written at once, and is good until the next call.
type format interface {
	// start is what the file begins with.
	start() ([]byte, error)
	// message is a message; shown is its bytes as they may be read.
	message(m trace.Message, shown []byte) ([]byte, error)
	// lost says that n messages were lost since the last one.
	lost(n int) ([]byte, error)
}

// ErrFormat says that a file's name asks for no format that there is.
var ErrFormat = errors.New("the name has to end in .pcapng or .txt")

// Create makes the file, mode 0600, replacing what it held. The end of its name
// decides the format.
func Create(path string, o Options) (*Writer, error) {
	w, err := open(path, o)
	if err != nil {
		return nil, err
	}
	w.queue, w.ended = make(chan entry, queueLength), make(chan struct{})
	go w.run()
	return w, nil
}

// Save writes messages to a file, as Create and Add would, and blocks until all
// are there. The error is that of the file.
func Save(path string, o Options, messages []trace.Message) error {
	w, err := open(path, o)
	if err != nil {
		return err
	}
	for _, m := range messages {
		w.record(m)
	}
	if err := errors.Join(w.failure, w.file.Close()); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

// open makes the file and writes what it begins with.
func open(path string, o Options) (*Writer, error) {
	w := &Writer{path: path, masked: !o.Secrets}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".pcapng":
		w.format = newPcapng()
	case ".txt":
		w.format = text{}
	default:
		return nil, fmt.Errorf("trace %s: %w", path, ErrFormat)
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if o.New {
		flags |= os.O_EXCL
	}
	var err error
	if w.file, err = os.OpenFile(path, flags, 0o600); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	// A file from before may have been readable by others.
	if info, err := w.file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := w.file.Chmod(0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("trace: %w", err), w.file.Close())
		}
	}
	if w.write(w.format.start()); w.failure != nil {
		return nil, errors.Join(fmt.Errorf("trace: %w", w.failure), w.file.Close())
	}
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
	select {
	case w.queue <- entry{m, w.lost}:
		w.lost = 0
	default:
		w.lost++
	}
}

// Close writes what waits and closes the file. It blocks until that is done,
// and returns the first error of the whole trace.
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

// run owns the file until the queue is closed and empty.
func (w *Writer) run() {
	defer close(w.ended)
	defer func() { w.failure = errors.Join(w.failure, w.file.Close()) }()
	defer guard.Recover(func(err error) { w.failure = err })
	for e := range w.queue {
		w.tellLost(e.lost)
		w.record(e.message)
	}
	w.mu.Lock()
	lost := w.lost
	w.mu.Unlock()
	w.tellLost(lost)
}

func (w *Writer) record(m trace.Message) {
	shown := m.Raw
	if w.masked {
		shown = trace.Masked(shown)
	}
	w.write(w.format.message(m, shown))
}

func (w *Writer) tellLost(n int) {
	if n > 0 {
		w.write(w.format.lost(n))
	}
}

// write adds whole records with one write. The first error ends the trace: what
// a full disk took of a record is cut off again, so that the file stays whole,
// and nothing more is written.
func (w *Writer) write(records []byte, err error) {
	if w.failure != nil || err == nil && len(records) == 0 {
		return
	}
	if err != nil {
		w.failure = err
		return
	}
	if _, w.failure = w.file.Write(records); w.failure != nil {
		w.file.Truncate(w.size) // no more can be done, and a pipe cannot be cut
		return
	}
	w.size += int64(len(records))
}
