package interop

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a server with all that it forks: a process group of its own.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the server's first process has gone
	guard *exec.Cmd
	leash io.Closer // the guard kills the process group when this is closed, by us or by our death
}

// startProcess runs a server with its output in logFile, and in the same process group a guard that waits for the end of
// its standard input and then kills the group. That end comes from stop, and also when this process dies of a panic in
// another goroutine, of the test's time limit or of a signal, where no cleanup runs.
func startProcess(logFile, program string, args ...string) (*process, error) {
	return startWithInput(nil, logFile, program, args...)
}

// startWithInput gives the server a standard input, which is the caller's to close; nil: none.
func startWithInput(in *os.File, logFile, program string, args ...string) (*process, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if in != nil { // a nil *os.File would be an input
		p.cmd.Stdin = in
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.guard = exec.Command("/bin/sh", "-c", "trap '' TERM; read -r _; kill -KILL 0")
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: p.cmd.Process.Pid}
	if p.leash, err = p.guard.StdinPipe(); err == nil {
		err = p.guard.Start()
	}
	if err != nil {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		p.cmd.Wait()
		return nil, fmt.Errorf("start guard: %w", err)
	}
	// Not before the guard is there: a reaped leader would let its group number go to a stranger.
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// has reports whether the server's first process holds a socket on that port, as Linux tells.
func (p *process) has(transport string, port int) bool {
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	sockets, _ := os.ReadFile(filepath.Join(dir, "net", transport))
	open, _ := filepath.Glob(filepath.Join(dir, "fd", "*"))
	for line := range strings.Lines(string(sockets)) {
		// The number, the local address, seven more, and the inode.
		fields := strings.Fields(line)
		if len(fields) < 10 || !strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			continue
		}
		for _, fd := range open {
			if target, _ := os.Readlink(fd); target == "socket:["+fields[9]+"]" {
				return true
			}
		}
	}
	return false
}

// stop ends the server and kills what is left of its process group. The server is asked first: it reaps its own
// children, which a container whose first process reaps nobody would otherwise keep as zombies. It is asked again
// because a child that is still starting loses the signal, and the server then waits for it a minute.
func (p *process) stop() {
	again := time.NewTicker(stopAgain)
	defer again.Stop()
	timeout := time.After(stopTimeout)
	sig := syscall.SIGTERM
ask:
	for {
		syscall.Kill(-p.cmd.Process.Pid, sig)
		select {
		case <-p.ended:
			break ask
		case <-again.C:
		case <-timeout:
			sig = syscall.SIGKILL
		}
	}
	p.leash.Close()
	p.guard.Wait()
}
