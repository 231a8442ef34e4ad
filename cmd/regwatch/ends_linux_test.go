package main

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"regwatch/registrar"
)

// onTerminal is the program, a process of its own, with its screen on a terminal
// that we hold the other side of.
type onTerminal struct {
	t            testing.TB
	registrar    *registrar.Registrar
	cmd          *exec.Cmd
	ours, theirs *os.File
	before       unix.Termios
	out          output
	read, ended  chan struct{}
	status       int

	mu     sync.Mutex
	wanted string // that a caller of expect waits for
	seen   chan time.Time
}

// showTerminal starts it and waits until it is registered and watches. as is what the
// test binary stands in for; nohup has it ignore the loss of its terminal.
func showTerminal(t testing.TB, as string, nohup bool, change ...func(*registrar.Options)) *onTerminal {
	t.Helper()
	o := registrar.Options{
		Listen:  []registrar.Listen{{Transport: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Domains: []string{"example.com"}, Users: map[string]string{"alice": "secret"},
	}
	for _, f := range change {
		f(&o)
	}
	r, err := registrar.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p := &onTerminal{t: t, registrar: r, read: make(chan struct{}), ended: make(chan struct{})}
	p.ours, p.theirs = openPTY(t)
	if err := unix.IoctlSetWinsize(int(p.theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	p.before = p.termios()

	args := []string{os.Args[0], "sip:alice@example.com", "--proxy", "sip:" + r.Addr("udp").String() + ";lr", "--password-env", "SECRET"}
	if nohup {
		args = append([]string{"/bin/sh", "-c", `trap "" HUP; exec "$@"`, "sh"}, args...)
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	dir := t.TempDir()
	p.cmd.Env = []string{"REGWATCH_BE_MAIN=" + as, "SECRET=secret", "TERM=xterm-256color", "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = p.theirs, p.theirs, p.theirs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended })
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
		p.status = p.cmd.ProcessState.ExitCode()
	}()
	ours := p.ours
	go func() {
		defer close(p.read)
		b := make([]byte, 4096)
		for {
			n, err := ours.Read(b)
			p.out.Write(b[:n])
			p.arrived()
			if err != nil {
				return
			}
		}
	}()
	p.sees("WATCHING")
	if len(r.Bindings("alice")) != 1 {
		t.Fatal("not registered")
	}
	return p
}

// termios is how the terminal is set.
func (p *onTerminal) termios() unix.Termios {
	p.t.Helper()
	now, err := unix.IoctlGetTermios(int(p.theirs.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *now
}

// expect forgets what was written and tells when text was, to the moment.
func (p *onTerminal) expect(text string) <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.reset()
	p.wanted, p.seen = text, make(chan time.Time, 1)
	return p.seen
}

func (p *onTerminal) arrived() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted != "" && strings.Contains(p.out.String(), p.wanted) {
		p.seen <- time.Now()
		p.wanted = ""
	}
}

func (p *onTerminal) sees(text string) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(p.out.String(), text) {
			return
		}
	}
	p.t.Fatalf("never written: %q in %q", text, p.out.String())
}

// ends waits for the end of the process.
func (p *onTerminal) ends(status int) {
	p.t.Helper()
	select {
	case <-p.ended:
		if p.status != status {
			p.t.Errorf("status %d, want %d: %q", p.status, status, p.out.String())
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("does not end")
	}
}

// sane checks that the terminal is as it was found: the normal screen, the cursor to
// be seen, nothing reported that nobody asked for, and as it was set.
func (p *onTerminal) sane() {
	p.t.Helper()
	if now := p.termios(); now != p.before {
		p.t.Errorf("the terminal is set %+v, was %+v", now, p.before)
	}
	p.theirs.Close()
	<-p.read
	out := p.out.String()
	for on, off := range map[string]string{
		"\x1b[?1049h": "\x1b[?1049l", "\x1b[?25l": "\x1b[?25h", "\x1b[?2004h": "\x1b[?2004l", "\x1b[?1004h": "\x1b[?1004l",
	} {
		if at := strings.LastIndex(out, on); at < 0 || strings.LastIndex(out, off) < at {
			p.t.Errorf("%q is not taken back by %q", on, off)
		}
	}
	for _, mouse := range []string{"\x1b[?1000h", "\x1b[?1002h", "\x1b[?1003h"} {
		if strings.Contains(out, mouse) {
			p.t.Errorf("the mouse was taken: %q", mouse)
		}
	}
}

func (p *onTerminal) leftNothing() {
	p.t.Helper()
	if left := p.registrar.Bindings("alice"); len(left) > 0 {
		p.t.Errorf("left behind: %v", left)
	}
}

// However the screen ends, the terminal is as before and the registrar holds nothing of
// ours.
func TestSignalsEndTheScreen(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		t.Run(unix.SignalName(s), func(t *testing.T) {
			p := showTerminal(t, "regwatch", false)
			p.cmd.Process.Signal(s)
			p.ends(0)
			p.sees("binding   none left")
			p.sane()
			p.leftNothing()
		})
	}
}

// A terminal that is gone takes the program with it, but not before it unregistered:
// also where nobody says so but the terminal itself.
func TestClosedTerminalEndsTheScreen(t *testing.T) {
	for name, nohup := range map[string]bool{"with SIGHUP": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			p := showTerminal(t, "regwatch", nohup)
			p.theirs.Close()
			p.ours.Close()
			select {
			case <-p.ended:
			case <-time.After(20 * time.Second):
				t.Fatal("does not end")
			}
			p.leftNothing()
		})
	}
}

// A panic of ours is told on the normal screen.
func TestPanicLeavesTheTerminalSane(t *testing.T) {
	p := showTerminal(t, "broken", false)
	p.ours.Write([]byte("Q"))
	p.ends(1)
	p.sees("the screen broke: boom")
	p.sane()
}

// A terminal that changes its size is drawn on anew.
func TestResizedTerminal(t *testing.T) {
	p := showTerminal(t, "regwatch", false)
	if err := unix.IoctlSetWinsize(int(p.theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}); err != nil {
		t.Fatal(err)
	}
	p.sees("GRUUs: 2")   // beside the bindings, from 110 columns
	p.sees("\x1b[40;1H") // the footer
	p.quit()
	p.sane()
}
