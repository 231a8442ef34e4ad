package interop

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// BuildRegwatch makes the program as users do, and gives its file.
func BuildRegwatch(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "regwatch")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "regwatch/cmd/regwatch").CombinedOutput(); err != nil {
		t.Fatalf("interop: build regwatch: %v\n%s", err, out)
	}
	return program
}

// Lab is a running "regwatch lab" with the user alice of the domain example.com.
type Lab struct {
	t       testing.TB
	dir     string // all that it writes
	program string
	addr    string
	typed   *os.File // its standard input
}

const labPassword = "secret"

// StartLab starts the lab of a built regwatch on a free port of the loopback, over UDP. The test's end stops it.
func StartLab(t testing.TB, program string) *Lab {
	t.Helper()
	l := &Lab{t: t, dir: t.TempDir(), program: program}
	l.write("users", "alice:"+labPassword+"\n")
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	l.typed = typed
	t.Cleanup(func() { typed.Close() })
	l.start(in, "lab", l.program, "lab", "--listen", "udp:"+host+":0", "--users", l.file("users"), "--domain", "example.com")
	l.addr = l.await("lab", regexp.MustCompile(`^registrar .* at udp ([0-9.:]+);`))[1]
	return l
}

// Command types an administrator's command, and waits for a line that begins with a match of answer.
func (l *Lab) Command(line, answer string) {
	l.t.Helper()
	if _, err := fmt.Fprintln(l.typed, line); err != nil {
		l.t.Fatal(err)
	}
	l.await("lab", regexp.MustCompile("(?m)^"+answer))
}

// Watch starts "regwatch watch --json" on alice, without a contact of its own, and gives its name for Await and Printed.
func (l *Lab) Watch() string {
	l.t.Helper()
	l.write("config.toml", fmt.Sprintf("[[account]]\naor = \"sip:alice@example.com\"\npassword = %q\noutbound_proxy = \"sip:%s;lr\"\nregister = false\n[journal]\nfile = \"\"\n", labPassword, l.addr))
	l.start(nil, "watch", l.program, "watch", "--json", "--config", l.file("config.toml"))
	return "watch"
}

// Await waits until what a program has printed holds a match, and gives that with its groups.
func (l *Lab) Await(name, pattern string) []string {
	l.t.Helper()
	return l.await(name, regexp.MustCompile(pattern))
}

// Printed is what a program has printed so far, in whole lines.
func (l *Lab) Printed(name string) string {
	text, err := os.ReadFile(l.file(name + ".log"))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text[:bytes.LastIndexByte(text, '\n')+1])
}

// Baresip starts baresip as a phone of alice's: it registers, and stays. Without an installed baresip the test is skipped;
// with CI=true it fails.
func (l *Lab) Baresip() {
	l.t.Helper()
	program := lookPath("baresip")
	modules, _ := filepath.Glob("/usr/lib/baresip/modules")
	if len(modules) == 0 {
		modules, _ = filepath.Glob("/usr/lib*/*/baresip/modules")
	}
	if program == "" || len(modules) == 0 {
		notInstalled(l.t, errors.New("not installed: apt-get install baresip-core"))
	}
	dir := l.file("baresip")
	if err := os.Mkdir(dir, 0o700); err != nil {
		l.t.Fatal(err)
	}
	l.write("baresip/config", "sip_listen "+host+":0\nmodule_path "+modules[0]+"\nmodule_app account.so\n")
	l.write("baresip/accounts", fmt.Sprintf("<sip:alice@example.com;transport=udp>;auth_user=alice;auth_pass=%s;outbound=\"sip:%s\";regint=600\n", labPassword, l.addr))
	l.start(nil, "phone", program, "-f", dir)
}

// SIPp registers a phone of alice's by SIPp, and returns when that is done. Without an installed SIPp the test is skipped;
// with CI=true it fails.
func (l *Lab) SIPp() {
	l.t.Helper()
	program := lookPath("sipp")
	if program == "" {
		notInstalled(l.t, errors.New("not installed: apt-get install sip-tester"))
	}
	port, err := freePort()
	if err != nil {
		l.t.Fatal(err)
	}
	p := l.start(nil, "phone", program, l.addr, "-sf", filepath.Join("testdata", "phone", "sipp.xml"), "-i", host, "-p", strconv.Itoa(port), "-m", "1",
		"-nostdin", "-auth_uri", "example.com", "-timeout", "10", "-timeout_error", "-trace_err", "-error_file", l.file("errors"))
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		l.t.Fatal("interop: sipp does not end")
	}
	if !p.cmd.ProcessState.Success() {
		complaints, _ := os.ReadFile(l.file("errors"))
		l.t.Fatalf("interop: sipp: %v\n%s", p.cmd.ProcessState, complaints)
	}
}

func (l *Lab) start(in *os.File, name, program string, args ...string) *process {
	l.t.Helper()
	p, err := startWithInput(in, l.file(name+".log"), program, args...)
	if err != nil {
		l.t.Fatalf("interop: start %s: %v", name, err)
	}
	l.t.Cleanup(func() {
		p.stop()
		if l.t.Failed() {
			l.t.Logf("%s said:\n%s", name, l.Printed(name))
		}
	})
	return p
}

func (l *Lab) await(name string, pattern *regexp.Regexp) []string {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if found := pattern.FindStringSubmatch(l.Printed(name)); found != nil {
			return found
		}
	}
	l.t.Fatalf("interop: %s never says %s", name, pattern)
	return nil
}

func (l *Lab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(l.file(name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *Lab) file(name string) string { return filepath.Join(l.dir, name) }
