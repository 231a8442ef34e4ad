package capture

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"regwatch/internal/trace"
)

// TestHalfWritten: a record that the disk took only a part of is cut off again.
func TestHalfWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pcapng")
	w, err := Create(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // a write beyond the limit brings it
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 10_000, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.Add(message(notify(3000), trace.Sent))
	}
	err = w.Close()
	if back := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); back != nil {
		t.Fatal(back)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v", err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := message(notify(3000), trace.Sent)
	if _, whole := record(t, []trace.Message{m, m, m}, Options{}); !bytes.Equal(content, whole) {
		t.Errorf("%d bytes, want %d", len(content), len(whole))
	}
}
