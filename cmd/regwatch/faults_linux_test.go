package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"regwatch/registrar"
)

// TestFaultDiskHangs: a journal whose disk never answers keeps nobody from seeing a
// kick at once, nor from ending. The disk is a pipe that is full and that nobody
// reads.
func TestFaultDiskHangs(t *testing.T) {
	r, err := registrar.Start(t.Context(), registrar.Options{Listen: []registrar.Listen{{Transport: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := newBench(t)
	disk := filepath.Join(b.dir, "journal")
	if err := syscall.Mkfifo(disk, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close() // which lets the write go that still waits
	pipe.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err == nil {
		_, err = pipe.Write(make([]byte, 4096))
	}
	b.file("config.toml", `[[account]]
aor = "sip:alice@example.com"
outbound_proxy = "sip:`+r.Addr("udp").String()+`;lr"
password = "none"
[journal]
file = "`+disk+`"
`)
	ended := make(chan int, 1)
	go func() { ended <- b.run("watch") }()
	await := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !strings.Contains(b.out.String(), what); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never said %q:\n%s%s", what, b.out.String(), b.err.String())
			}
		}
	}
	await("this device registered by us")
	if err := r.Deactivate("alice", ""); err != nil {
		t.Fatal(err)
	}
	await("KICKED")
	b.signals <- os.Interrupt
	select {
	case status := <-ended:
		if status != 0 || !strings.Contains(b.err.String(), "journal: the disk does not answer") {
			t.Errorf("status %d: %s", status, b.err.String())
		}
	case <-time.After(20 * time.Second):
		t.Error("the disk keeps it from ending")
	}
}
