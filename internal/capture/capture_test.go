package capture

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
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
	w, err := Create(file)
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

// TestLost: a full queue loses messages, and the file says so.
func TestLost(t *testing.T) {
	w := &Writer{queue: make(chan trace.Message, 2)}
	for range 5 {
		w.Add(message("x", trace.Sent))
	}
	<-w.queue
	<-w.queue
	w.Add(message("y", trace.Sent))
	if text := Text(<-w.queue); !strings.HasPrefix(text, "--- 3 messages lost") {
		t.Errorf("got %q", text)
	}
}

func TestFormat(t *testing.T) {
	if _, err := Create("x.pcapng"); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v", err)
	}
	if _, err := Create(filepath.Join(t.TempDir(), "none", "x.txt")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
