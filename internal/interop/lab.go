package interop

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	addr    string   // where it listens; port 0 until it is known
	typed   *os.File // its standard input
	running *process

	// What comes before a command, so that it runs on the host of the registrar or of the phone; nil: here.
	onServer, onPhone []string
	transport         string
}

const labPassword = "secret"

// StartLab starts the lab of a built regwatch on a free port of the loopback, over UDP. The test's end stops it.
func StartLab(t testing.TB, program string) *Lab {
	t.Helper()
	l := &Lab{t: t, dir: t.TempDir(), program: program, addr: host + ":0", transport: "udp"}
	l.Start()
	return l
}

// Start starts the lab where it was killed before, at the same address.
func (l *Lab) Start() {
	l.t.Helper()
	l.write("users", "alice:"+labPassword+"\n")
	in, typed, err := os.Pipe()
	if err != nil {
		l.t.Fatal(err)
	}
	defer in.Close()
	l.typed = typed
	l.t.Cleanup(func() { typed.Close() })
	l.running = l.start(in, "lab", append(slices.Clone(l.onServer), l.program, "lab", "--listen", l.transport+":"+l.addr,
		"--users", l.file("users"), "--domain", "example.com")...)
	l.addr = l.Await("lab", `^registrar .* at `+l.transport+` ([0-9.:]+);`)[1]
}

// Kill ends the lab without a word to anybody, and with all that it knew.
func (l *Lab) Kill() { l.running.stop() }

// Command types an administrator's command, and waits for a line that begins with a match of answer.
func (l *Lab) Command(line, answer string) {
	l.t.Helper()
	if _, err := fmt.Fprintln(l.typed, line); err != nil {
		l.t.Fatal(err)
	}
	l.Await("lab", "(?m)^"+answer)
}

// Watch starts "regwatch watch --json" on alice, without a contact of its own, and gives its name for Await and Printed.
func (l *Lab) Watch() string {
	l.t.Helper()
	return l.watch("register = false")
}

// Phone is Watch with a contact of its own, registered and subscribed for so many seconds.
func (l *Lab) Phone(expires int) string {
	l.t.Helper()
	return l.watch(fmt.Sprintf("expires = %d\nsubscribe_expires = %[1]d", expires))
}

func (l *Lab) watch(settings string) string {
	l.t.Helper()
	l.write("config.toml", fmt.Sprintf("[[account]]\naor = \"sip:alice@example.com\"\npassword = %q\noutbound_proxy = \"sip:%s;transport=%s;lr\"\n%s\n"+
		"[journal]\nfile = \"\"\n", labPassword, l.addr, l.transport, settings))
	l.start(nil, "watch", append(slices.Clone(l.onPhone), l.program, "watch", "--json", "--config", l.file("config.toml"))...)
	return "watch"
}

// Await waits until what a program has printed holds a match, and gives that with its groups.
func (l *Lab) Await(name, pattern string) []string {
	l.t.Helper()
	return l.AwaitBehind(0, name, pattern)
}

// AwaitBehind is Await for what comes behind so many bytes of what is printed.
func (l *Lab) AwaitBehind(seen int, name, pattern string) []string {
	l.t.Helper()
	wanted := regexp.MustCompile(pattern)
	// Less than what go test gives, and more than twice what anything here takes: a refresh of a minute's registration.
	for end := time.Now().Add(75 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if found := wanted.FindStringSubmatch(l.Printed(name)[seen:]); found != nil {
			return found
		}
	}
	l.t.Fatalf("interop: %s never says %s", name, pattern)
	return nil
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

func (l *Lab) start(in *os.File, name string, command ...string) *process {
	l.t.Helper()
	p, err := startWithInput(in, l.file(name+".log"), command[0], command[1:]...)
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

func (l *Lab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(l.file(name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *Lab) file(name string) string { return filepath.Join(l.dir, name) }
