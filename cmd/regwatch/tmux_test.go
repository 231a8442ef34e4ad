package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pane is a shell in a real terminal, 80x24, in a tmux server of its own.
type pane struct {
	t   *testing.T
	dir string
}

func newPane(t *testing.T) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// A socket's path has its limit, and that of t.TempDir may be over it.
	dir, err := os.MkdirTemp("", "regwatch-pane-")
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t, dir}
	t.Cleanup(func() {
		p.tmux("kill-server").Run()
		os.RemoveAll(dir)
	})
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "regwatch"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if out, err := p.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-c", dir, "/bin/sh").CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	p.types("PS1='PROM''PT '") // the line that is typed does not say it
	p.sees("PROMPT")
	return p
}

// tmux is a command to our server.
func (p *pane) tmux(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-S", filepath.Join(p.dir, "socket")}, args...)...)
	cmd.Env = []string{"PATH=" + p.dir + ":" + os.Getenv("PATH"), "HOME=" + p.dir, "TMPDIR=" + p.dir, "TERM=xterm-256color", "LANG=C.UTF-8"}
	return cmd
}

func (p *pane) screen() string {
	p.t.Helper()
	out, err := p.tmux("capture-pane", "-p").Output()
	if err != nil {
		p.t.Fatalf("capture-pane: %v", err)
	}
	return string(out)
}

// until waits for a screen that is as wanted.
func (p *pane) until(what string, is func(screen string) bool) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if is(p.screen()) {
			return
		}
	}
	p.t.Fatalf("never %s:\n%s", what, p.screen())
}

func (p *pane) sees(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.until("seen: "+text, func(screen string) bool { return strings.Contains(screen, text) })
	}
}

func (p *pane) seesNo(text string) {
	p.t.Helper()
	p.until("gone: "+text, func(screen string) bool { return !strings.Contains(screen, text) })
}

// press presses keys, each by itself as tmux names it.
func (p *pane) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		if out, err := p.tmux("send-keys", key).CombinedOutput(); err != nil {
			p.t.Fatalf("send-keys %s: %v\n%s", key, err, out)
		}
	}
}

// types types a line for the shell.
func (p *pane) types(line string) {
	p.t.Helper()
	p.tmux("send-keys", "-l", line).Run()
	p.press("Enter")
}

// kick starts the demo and takes us off as its administrator, and waits until the
// panel takes keys.
func (p *pane) kick() {
	p.t.Helper()
	p.types("regwatch demo")
	p.sees("REGISTERED", "✓ WATCHING")
	p.press("A")
	p.sees("deactivate")
	p.press("d")
	p.sees("KICKED", "R register now", "deactivated by the network")
	p.seesNo("(wait)")
}

// A kick answered: R on the panel, and we are back.
func TestTerminalKickAnswered(t *testing.T) {
	p := newPane(t)
	p.kick()
	p.sees("- UNREGISTERED", "ended   deactivated")
	p.press("R")
	p.seesNo("== KICKED")
	p.sees("✓ registered again at", "✓ REGISTERED")
	p.press("q")
	p.sees("kicks", "deactivated by the network", "binding   none left", "PROMPT")
}

// From what happened to the message that told it.
func TestTerminalFindsTheNotify(t *testing.T) {
	p := newPane(t)
	p.kick()
	p.press("l")
	p.sees("(l opens)")
	p.press("2", "/")
	p.sees("search")
	for _, key := range "deactivated by the network:" {
		if key == ' ' {
			p.press("Space")
			continue
		}
		p.press(string(key))
	}
	p.press("Enter")
	p.sees("! deactivated by the network: only")
	p.seesNo("document version 0")
	p.press("g", "r")
	p.sees("[3 messages]")
	p.sees("received from", "NOTIFY sip:alice@", "Event: reg")
	p.press("G")
	p.sees(`event="deactivated"`)
	p.press("q")
	p.sees("PROMPT")
}

// Help, and the way out: the terminal is as before.
func TestTerminalHelpAndQuit(t *testing.T) {
	p := newPane(t)
	p.types("stty -a > before; regwatch demo; echo status $?; stty -a > after; echo all is done")
	p.sees("✓ WATCHING")
	p.press("?")
	p.sees("-- help", "capitals send SIP", "R        register")
	p.press("Escape")
	p.seesNo("capitals send SIP")
	p.press("q")
	p.sees("binding   none left", "status 0", "all is done")
	out, err := p.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_flag}").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "0 1 0 0" {
		t.Errorf("alternate screen, cursor, mouse, keypad are %q, %v", got, err)
	}
	before, err := os.ReadFile(filepath.Join(p.dir, "before"))
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(p.dir, "after")); err != nil || string(after) != string(before) || len(after) < 100 {
		t.Errorf("stty -a: %v\nbefore\n%s\nafter\n%s", err, before, after)
	}
}
