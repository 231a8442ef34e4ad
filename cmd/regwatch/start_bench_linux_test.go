package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkStart measures what a user waits for: from exec of the program, as go build
// makes it, to the first frame in the terminal and to the one that says REGISTERED. The
// registrar is the demo's own.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "regwatch")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	var frame, registered []time.Duration
	for b.Loop() {
		ours, theirs := openPTY(b)
		if err := unix.IoctlSetWinsize(int(theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
			b.Fatal(err)
		}
		cmd := exec.CommandContext(b.Context(), program, "demo")
		cmd.Env = []string{"TERM=xterm-256color", "LANG=C.UTF-8", "HOME=" + b.TempDir(), "PATH=" + os.Getenv("PATH")}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		begun := time.Now()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		theirs.Close()
		var shown bytes.Buffer
		for _, wait := range []struct {
			text string
			took *[]time.Duration
		}{{"alice@example.com", &frame}, {"REGISTERED", &registered}} {
			chunk := make([]byte, 1<<16)
			for !bytes.Contains(shown.Bytes(), []byte(wait.text)) {
				ours.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, err := ours.Read(chunk)
				shown.Write(chunk[:n])
				if err != nil {
					cmd.Process.Kill()
					cmd.Wait()
					b.Fatalf("no %s: %v\n%q", wait.text, err, shown.String())
				}
			}
			*wait.took = append(*wait.took, time.Since(begun))
		}
		cmd.Process.Signal(syscall.SIGTERM)
		go shown.ReadFrom(ours) // or its last words would wait for a reader
		if err := cmd.Wait(); err != nil {
			b.Errorf("%v", err)
		}
		ours.Close()
	}
	slices.Sort(registered)
	b.ReportMetric(float64(registered[len(registered)/2].Microseconds())/1000, "registered-median-ms")
	report(b, frame)
}
