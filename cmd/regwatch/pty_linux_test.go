package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"regwatch/registrar"
)

// openPTY opens a terminal: what the program writes to its side is read from
// ours, and nobody answers.
func openPTY(t testing.TB) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("unlock terminal: %v", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("name terminal: %v", err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("open terminal: %v", err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// TestNoQuestions: commands without a screen ask the terminal nothing and do not
// wait for its answer, which would take seconds where none comes.
func TestNoQuestions(t *testing.T) {
	r, err := registrar.Start(t.Context(), registrar.Options{Listen: []registrar.Listen{{Transport: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--help"}, "Usage:"},
		{[]string{"version"}, "regwatch devel ("},
		{[]string{"watch", "sip:alice@example.com", "--proxy", "sip:" + r.Addr("udp").String() + ";lr", "--until", "subscribed", "--timeout", "10s"}, "registered"},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			ours, theirs := openPTY(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], c.args...)
			dir := t.TempDir()
			cmd.Env = append(os.Environ(), "REGWATCH_BE_MAIN=1", "TERM=xterm-256color", "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			for i, v := range cmd.Env { // as on a machine that is none of a CI system's
				if strings.HasPrefix(v, "CI=") {
					cmd.Env[i] = "REGWATCH_NO_CI="
				}
			}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			theirs.Close()
			var said bytes.Buffer
			said.ReadFrom(ours) // until the last of theirs is closed
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, said.String())
			}
			if bytes.ContainsRune(said.Bytes(), '\x1b') {
				t.Errorf("asked the terminal: %q", said.String())
			}
			if !strings.Contains(said.String(), c.want) {
				t.Errorf("no %q in %q", c.want, said.String())
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "regwatch", "journal.ndjson")); (c.args[0] == "watch") != (len(left) == 1) {
				t.Errorf("journal: %q", left)
			}
		})
	}
}
