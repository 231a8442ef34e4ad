package interop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"regwatch/internal/interop"
)

// program is the built regwatch; the tests see it as a script does.
var program = sync.OnceValues(func() (string, error) {
	built.Store(true)
	dir, err := os.MkdirTemp("", "regwatch-interop")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "regwatch")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "regwatch/cmd/regwatch").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if built.Load() {
		if path, err := program(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(status)
}

// built keeps TestMain from building what no test asked for.
var built atomic.Bool

// line is an event of the stream, with the fields that these tests look at.
type line struct {
	Seq      uint64   `json:"seq"`
	Kind     string   `json:"kind"`
	Summary  string   `json:"summary"`
	State    string   `json:"state"`
	Own      bool     `json:"own"`
	Event    string   `json:"event"`
	Origin   string   `json:"origin"`
	URI      string   `json:"uri"`
	Evidence []string `json:"evidence"`
	On       string   `json:"on"`
	Decision string   `json:"decision"`
	Code     string   `json:"code"`
	Contact  string   `json:"contact"`
}

// watcher is a running "regwatch watch --json".
type watcher struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan line
	story  []string
	errors chan string // lines of standard error
}

func watch(t *testing.T, k *interop.Kamailio, transport string, args ...string) *watcher {
	t.Helper()
	if transport == "tls" {
		args = append(args, "--ca", k.CAFile())
	}
	return watchAs(t, append([]string{k.AOR("alice"), "--proxy", k.URI(transport)}, args...)...)
}

// watchAs watches as the arguments say, which begin with the account.
func watchAs(t *testing.T, args ...string) *watcher {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	w := &watcher{t: t, lines: make(chan line, 10000), errors: make(chan string, 1000)}
	w.cmd = exec.Command(path, append([]string{"watch", "--json", "--password-env", "REGWATCH_TEST_PASSWORD"}, args...)...)
	w.cmd.Env = append(os.Environ(), "REGWATCH_TEST_PASSWORD="+interop.Password, "XDG_STATE_HOME="+state, "XDG_CONFIG_HOME="+state)
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	faults, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.errors)
		for scanner := bufio.NewScanner(faults); scanner.Scan(); {
			w.errors <- scanner.Text()
		}
	}()
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.lines)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			var l line
			if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
				l = line{Kind: "garbage", Summary: scanner.Text()}
			}
			w.lines <- l
		}
	}()
	t.Cleanup(func() {
		w.cmd.Process.Kill()
		w.cmd.Wait()
	})
	return w
}

// said is what is on standard error by now, and was not read yet.
func (w *watcher) said() string {
	var out []string
	for {
		select {
		case text, ok := <-w.errors:
			if !ok {
				return strings.Join(out, "\n")
			}
			out = append(out, text)
		default:
			return strings.Join(out, "\n")
		}
	}
}

// await returns the next event that fits.
func (w *watcher) await(what string, fits func(line) bool) line {
	w.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case l, ok := <-w.lines:
			if !ok {
				w.t.Fatalf("ended before %s\n%s\n%s", what, strings.Join(w.story, "\n"), w.said())
			}
			w.story = append(w.story, fmt.Sprintf("%d %s %s", l.Seq, l.Kind, l.Summary))
			if fits(l) {
				return l
			}
		case <-limit:
			w.t.Fatalf("never came: %s\n%s\n%s", what, strings.Join(w.story, "\n"), w.said())
		}
	}
}

func (w *watcher) awaitOwnActive() {
	w.t.Helper()
	w.await("our contact in the list", func(l line) bool { return l.Kind == "contact" && l.Own && l.State == "active" })
}

// awaitBack waits until we are registered and listed; the NOTIFY often overtakes
// the 200.
func (w *watcher) awaitBack() {
	w.t.Helper()
	registered, listed := false, false
	w.await("our return", func(l line) bool {
		registered = registered || l.Kind == "registration" && l.State == "registered"
		listed = listed || l.Kind == "contact" && l.Own && l.State == "active"
		return registered && listed
	})
}

func isKick(l line) bool {
	return l.Kind == "contact" && l.Own && l.State == "terminated" && l.Origin != "self"
}

// end sends SIGTERM and reads what is left.
func (w *watcher) end() []line {
	w.t.Helper()
	w.cmd.Process.Signal(syscall.SIGTERM)
	var rest []line
	limit := time.After(10 * time.Second)
	for {
		select {
		case l, ok := <-w.lines:
			if !ok {
				if err := w.cmd.Wait(); err != nil {
					w.t.Errorf("regwatch watch ended with %v\n%s", err, w.said())
				}
				return rest
			}
			rest = append(rest, l)
		case <-limit:
			w.t.Fatal("does not end at SIGTERM")
		}
	}
}

func ownContact(t *testing.T, k *interop.Kamailio) string {
	t.Helper()
	contacts, err := k.Contacts(k.AOR("alice"))
	if err != nil || len(contacts) != 1 {
		t.Fatalf("contacts %v, %v", contacts, err)
	}
	return contacts[0].Address
}

// An administrator of Kamailio removes our contact. It calls that unregistered,
// with Call-ID and CSeq of our own last REGISTER and version 0 for ever; it is a
// kick all the same, and "ask" does no more than say so.
func TestWatchSeesKick(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, algorithm := range []string{"MD5", "SHA-256"} {
			t.Run(transport+"/"+algorithm, func(t *testing.T) {
				t.Parallel()
				k := interop.Start(t, interop.Options{Algorithm: algorithm, TLS: transport == "tls"})
				w := watch(t, k, transport)
				w.awaitOwnActive()
				if err := k.RemoveContact(k.AOR("alice"), ownContact(t, k)); err != nil {
					t.Fatal(err)
				}
				kick := w.await("the kick", isKick)
				if kick.Event != "unregistered" || kick.Origin != "network" && kick.Origin != "elsewhere" || len(kick.Evidence) == 0 {
					t.Errorf("told as %+v", kick)
				}
				if action := w.await("the action", func(l line) bool { return l.Kind == "action" }); action.Decision != "asked" || action.On != "contact-unregistered" {
					t.Errorf("action %+v", action)
				}
				select {
				case got := <-w.errors:
					if !strings.Contains(got, "policy is ask") {
						t.Errorf("on standard error: %q", got)
					}
				case <-time.After(10 * time.Second):
					t.Error("nothing on standard error")
				}
				for _, l := range w.end() {
					if isKick(l) || l.Kind == "registration" && l.State == "registered" {
						t.Errorf("after the question: %+v", l)
					}
				}
			})
		}
	}
}

// With the policies on "auto" it is registered again, as often as it is kicked,
// and leaves nothing behind at its end.
func TestWatchComesBack(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			k := interop.Start(t, interop.Options{TLS: transport == "tls"})
			w := watch(t, k, transport, "--on", "auto")
			w.awaitOwnActive()
			for range 2 {
				if err := k.RemoveContact(k.AOR("alice"), ownContact(t, k)); err != nil {
					t.Fatal(err)
				}
				w.await("the kick", isKick)
				w.await("the decision", func(l line) bool { return l.Kind == "action" && l.Decision == "reregistering" })
				w.awaitBack()
			}
			if slices.ContainsFunc(w.end(), isKick) {
				t.Errorf("our own goodbye was taken for a kick")
			}
			if contacts, _ := k.Contacts(k.AOR("alice")); len(contacts) != 0 {
				t.Errorf("left behind: %v", contacts)
			}
		})
	}
}

// The shortening of an administrator comes as "refreshed", under a Call-ID of
// the server's own; it is answered before the new expiry.
func TestWatchSeesShortening(t *testing.T) {
	t.Parallel()
	k := interop.Start(t, interop.Options{})
	w := watch(t, k, "udp")
	w.awaitOwnActive()
	if err := k.AddContact(k.AOR("alice"), ownContact(t, k), 60*time.Second); err != nil {
		t.Fatal(err)
	}
	d := w.await("the shortening", func(l line) bool { return l.Kind == "contact" && l.Own && l.Event == "shortened" })
	if d.Origin != "network" {
		t.Errorf("told as %+v", d)
	}
	w.await("the registration", func(l line) bool { return l.Kind == "registration" && l.State == "registered" })
	w.end()
}
