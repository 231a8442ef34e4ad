package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"regwatch/internal/eventschema"
)

// TestScripts runs what stands in testdata/script: the program as a user has it in
// a shell, what it prints and its exit status. Over the language of testscript
// there are:
//
//	exits N COMMAND...   runs a command that has to end with that status
//	unread N COMMAND...  the same, with nobody at the other end of its standard output,
//	                     and without a word on standard error
//	lab FLAGS...         starts "regwatch lab" on free ports, with $PROXY for UDP, $TCP, $TLS, $WS and $WSS
//	silent               opens a port that nobody answers at: $SILENT
//	appears FILE TEXT    waits until a file holds a text
//	expand FILE          puts values in place of ${NAME} in a file
//	events FILE          holds each line of a file against docs/events.schema.json
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *updateMan, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "unread": unread, "lab": startLab, "silent": silent, "appears": appears, "expand": expand,
			"events": func(ts *testscript.TestScript, _ bool, args []string) {
				for line := range strings.Lines(ts.ReadFile(args[0])) {
					eventschema.Check(t, []byte(line))
				}
			},
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		status = ended.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if args[0] != strconv.Itoa(status) {
		ts.Fatalf("status %d, want %s", status, args[0])
	}
}

// unread runs a command whose standard output is a pipe that nobody reads any more:
// it has to end with that status and say nothing.
func unread(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: unread N regwatch ...")
	}
	reader, writer, err := os.Pipe()
	ts.Check(err)
	ts.Check(reader.Close())
	defer writer.Close()
	var said strings.Builder
	cmd := exec.Command(filepath.Join(firstInPath(ts), args[1]), args[2:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.Getenv("WORK"), writer, &said
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+ts.Getenv("XDG_STATE_HOME"))
	if err = cmd.Run(); cmd.ProcessState == nil {
		ts.Fatalf("%v", err)
	}
	if status := cmd.ProcessState.ExitCode(); args[0] != strconv.Itoa(status) || said.Len() > 0 {
		ts.Fatalf("status %d, want %s: %s", status, args[0], said.String())
	}
}

var labAddress = regexp.MustCompile(`(udp|tcp|tls|ws|wss) (127\.0\.0\.1:[0-9]+)`)

func startLab(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(filepath.Join(firstInPath(ts), "regwatch"), append([]string{"lab"}, args...)...)
	cmd.Dir, cmd.Stderr = ts.Getenv("WORK"), os.Stderr
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+ts.Getenv("XDG_STATE_HOME"))
	in, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		io.WriteString(in, "quit\n")
		late := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			ts.Fatalf("lab: %v", err)
		}
	})
	said := bufio.NewReader(out)
	line, err := said.ReadString('\n')
	ts.Check(err)
	go io.Copy(io.Discard, said)
	for _, m := range labAddress.FindAllStringSubmatch(line, -1) {
		switch m[1] {
		case "udp":
			ts.Setenv("PROXY", "sip:"+m[2]+";lr")
			ts.Setenv("UDP", m[2])
		case "tcp":
			ts.Setenv("TCP", "sip:"+m[2]+";lr;transport=tcp")
		case "tls":
			ts.Setenv("TLS", "sips:"+m[2]+";lr")
		case "ws":
			ts.Setenv("WS", "sip:"+m[2]+";lr;transport=ws")
		case "wss":
			ts.Setenv("WSS", "sips:"+m[2]+";lr;transport=ws")
		}
	}
}

// firstInPath is where testscript put the program.
func firstInPath(ts *testscript.TestScript) string {
	dir, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	return dir
}

func silent(ts *testscript.TestScript, _ bool, _ []string) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { socket.Close() })
	ts.Setenv("SILENT", "sip:"+socket.LocalAddr().String()+";lr")
	// Nobody listens at a port that was had and given back.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	listener.Close()
	ts.Setenv("CLOSED", "sip:"+listener.Addr().String()+";lr;transport=tcp")
}

func appears(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(text), args[1]) {
			return
		}
	}
	ts.Fatalf("%s never holds %q", args[0], args[1])
}

func expand(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(file, []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}
