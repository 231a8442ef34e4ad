// Package journal keeps the events of a run in a file, a JSON object a line,
// so that what happened overnight can still be read in the morning.
//
// It imports ua for the events and the standard library. It decides nothing
// about events and never stops what it watches: a disk that is full costs the
// journal, not the registration.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"regwatch/ua"
)

// DefaultMaxSize is the size of one file, in bytes; two are kept.
const DefaultMaxSize = 10_000_000

// Name is the journal's file in the state directory.
const Name = "journal.ndjson"

// Options say where a journal is. Only File is needed.
type Options struct {
	File    string
	MaxSize int64       // bytes of one file; 0: DefaultMaxSize
	Report  func(error) // told of the first write that fails; nil: nobody
}

// Journal appends events to its file. When that would outgrow its size it
// becomes FILE.1, in place of the one before, and a new one is begun. Several
// processes may share a file: a line is one write. Its methods may be called
// from several goroutines.
type Journal struct {
	options Options

	mu     sync.Mutex
	file   *os.File // nil after a failed rotation and after Close
	failed bool
	torn   bool // a full disk took a part of the last line
}

// Open opens the file for appending, mode 0600, and makes its directory.
func Open(options Options) (*Journal, error) {
	if options.MaxSize == 0 {
		options.MaxSize = DefaultMaxSize
	}
	if err := os.MkdirAll(filepath.Dir(options.File), 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{options: options}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return j, nil
}

// Path is where the journal is.
func (j *Journal) Path() string { return j.options.File }

// Write appends events. It blocks for the disk. What fails is lost; the first
// failure of the run is reported.
func (j *Journal) Write(events ...ua.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range events {
		line, err := Line(e)
		if err == nil {
			err = j.append(line)
		}
		if err != nil && !j.failed {
			j.failed = true
			if j.options.Report != nil {
				j.options.Report(fmt.Errorf("journal: %w", err))
			}
		}
	}
}

// Close closes the file. Events written afterwards are lost.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file, j.failed = nil, true
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *Journal) append(line []byte) error {
	if j.file == nil {
		return fs.ErrClosed
	}
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	if size := info.Size(); size > 0 && size+int64(len(line)) > j.options.MaxSize {
		if err := j.rotate(info); err != nil {
			return err
		}
	}
	if j.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := j.file.Write(line)
	j.torn = err != nil && (j.torn || n > 0)
	return err
}

// rotate moves the full file aside and opens a new one. Another process may
// have done so already: then the file under the name is no longer ours, and
// opening it is all there is to do.
func (j *Journal) rotate(ours os.FileInfo) error {
	if now, err := os.Stat(j.options.File); err == nil && os.SameFile(ours, now) {
		if err := os.Rename(j.options.File, j.options.File+".1"); err != nil {
			return err
		}
	}
	full := j.file
	if err := j.open(); err != nil {
		return err
	}
	return full.Close()
}

// open opens the file under the name, and ends a line that a crash left open.
func (j *Journal) open() error {
	file, err := os.OpenFile(j.options.File, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err := file.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			if _, err := file.WriteString("\n"); err != nil {
				return errors.Join(err, file.Close())
			}
		}
	}
	j.file, j.torn = file, false
	return nil
}
