package capture

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"regwatch/internal/trace"
)

func message(raw string, d trace.Direction) trace.Message {
	return trace.Message{Time: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), Direction: d, Transport: "udp",
		Local: netip.MustParseAddrPort("192.0.2.7:5060"), Remote: netip.MustParseAddrPort("198.51.100.2:5060"), Raw: []byte(raw)}
}

func TestTrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.TXT")
	w, err := Create(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ring := trace.NewRing(1)
	ring.Tee(w.Add)
	ring.Add(message("REGISTER sip:example.com SIP/2.0\r\nAuthorization: Digest username=\"alice\", response=\"abcdef\"\r\n\r\n", trace.Sent))
	ring.Add(message("SIP/2.0 200 OK\r\nX: \x1b[2J\u009b\xff\r\n\r\nbody\n", trace.Received))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ring.Add(message("late", trace.Sent)) // must not panic
	want := `--- 1 2026-01-02T03:04:05.678Z udp 192.0.2.7:5060 -> 198.51.100.2:5060, 95 bytes
REGISTER sip:example.com SIP/2.0
Authorization: Digest username="alice", response="***"

--- 2 2026-01-02T03:04:05.678Z udp 192.0.2.7:5060 <- 198.51.100.2:5060, 35 bytes
SIP/2.0 200 OK
X: <1B>[2J<9B><FF>

body

`
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("got\n%s\nwant\n%s(%v)", got, want, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

// TestLost: a full queue loses messages, and the file says how many, also where
// no message comes after them.
func TestLost(t *testing.T) {
	w := &Writer{queue: make(chan entry, 2)}
	add := func(n int) {
		for range n {
			w.Add(message("x", trace.Sent))
		}
	}
	add(5)
	first, second := <-w.queue, <-w.queue
	add(3)
	third := <-w.queue
	if got := []int{first.lost, second.lost, third.lost, w.lost}; !slices.Equal(got, []int{0, 0, 3, 1}) {
		t.Errorf("got %v", got)
	}
	if remark, err := (text{}).lost(3); err != nil || string(remark) != "--- 3 messages lost: the disk was too slow\n\n" {
		t.Errorf("got %q, %v", remark, err)
	}
}

// TestUnclosed: a message is in the file without Close, for those who look on,
// and for a run that is killed.
func TestUnclosed(t *testing.T) {
	for _, name := range []string{"x.txt", "x.pcapng"} {
		file := filepath.Join(t.TempDir(), name)
		w, err := Create(file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.Add(message("OPTIONS sip:example.com SIP/2.0\r\n\r\n", trace.Sent))
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(content), "OPTIONS") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: still %q", name, content)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSecrets: they are in the file only where they were asked for.
func TestSecrets(t *testing.T) {
	for _, name := range []string{"x.txt", "x.pcapng"} {
		for _, secrets := range []bool{false, true} {
			file := filepath.Join(t.TempDir(), name)
			w, err := Create(file, Options{Secrets: secrets})
			if err != nil {
				t.Fatal(err)
			}
			w.Add(message("REGISTER sip:example.com SIP/2.0\r\nAuthorization: Digest response=\"abcdef\"\r\n\r\n", trace.Sent))
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			content, err := os.ReadFile(file)
			if err != nil || strings.Contains(string(content), "abcdef") != secrets || strings.Contains(string(content), `response="***"`) == secrets {
				t.Errorf("%s, secrets %v: %q, %v", name, secrets, content, err)
			}
		}
	}
}

func TestCreateErrors(t *testing.T) {
	for _, name := range []string{"x.pcap", "x", "txt", "x.txt.gz"} {
		if _, err := Create(filepath.Join(t.TempDir(), name), Options{}); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Create(filepath.Join(t.TempDir(), "none", "x.txt"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// Save writes what Create and Add do, all of it however much there is, and New
// leaves what is there alone.
func TestSave(t *testing.T) {
	messages := make([]trace.Message, 2*queueLength)
	for i := range messages {
		messages[i] = trace.Message{Number: uint64(i + 1), Direction: trace.Sent, Raw: []byte("REGISTER sip:x SIP/2.0\r\nAuthorization: Digest response=\"secret\"\r\n\r\n")}
	}
	path := filepath.Join(t.TempDir(), "x.txt")
	if err := Save(path, Options{New: true}, messages); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || strings.Count(string(content), "REGISTER sip:x") != len(messages) || strings.Contains(string(content), "secret") {
		t.Errorf("%d bytes, %v", len(content), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := Save(path, Options{New: true}, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if again, _ := os.ReadFile(path); len(again) != len(content) {
		t.Error("the file was changed")
	}
	if err := Save(path, Options{}, messages[:1]); err != nil {
		t.Error(err)
	}
	if again, _ := os.ReadFile(path); strings.Count(string(again), "REGISTER sip:x") != 1 {
		t.Error("the file was not replaced")
	}
	if err := Save(filepath.Join(t.TempDir(), "x.gif"), Options{}, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v", err)
	}
}

// TestFull: a disk that is full is told of, and holds nobody up.
func TestFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"x.txt", "x.pcapng"} {
		if err := os.Symlink("/dev/full", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Create(filepath.Join(dir, "x.pcapng"), Options{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	w, err := Create(filepath.Join(dir, "x.txt"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * queueLength {
		w.Add(message("x", trace.Sent))
	}
	if err := w.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}
