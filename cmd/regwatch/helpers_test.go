package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/testscript"

	"regwatch/internal/eventschema"
	"regwatch/internal/quietterm"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/tui"
	"regwatch/ua"
)

// TestMain lets the test binary stand in for the program, for the tests that
// need a process of its own, and for the scripts.
func TestMain(m *testing.M) {
	if as := os.Getenv("REGWATCH_BE_MAIN"); as != "" {
		os.Unsetenv("REGWATCH_BE_MAIN")
		if as == "broken" {
			brokenMain()
		}
		main()
		return
	}
	// The first to ask for signals starts a goroutine that stays: not one of virtual time.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCONT)
	signal.Stop(signals)
	testscript.Main(m, map[string]func(){"regwatch": main})
}

// brokenMain is main with a screen that panics at its first command.
func brokenMain() {
	quietterm.Restore()
	e := machine()
	e.screen = func(ctx context.Context, o tui.Options) error {
		o.Do = func(string, ua.Command) { panic("boom") }
		return tui.Run(ctx, o)
	}
	os.Exit(run(e, os.Args[1:]))
}

// output is a stream that may be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}

// bench is a program under test: an env in a directory of its own.
type bench struct {
	*env
	t        *testing.T
	dir      string
	out, err output
	signals  chan os.Signal
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), signals: make(chan os.Signal, 2)}
	b.env = &env{
		stdin: strings.NewReader(""), stdout: &b.out, stderr: &b.err, signals: b.signals,
		secret:     func() (string, error) { t.Error("asked for a password"); return "", nil },
		configFile: func() (string, error) { return filepath.Join(b.dir, "config.toml"), nil },
		stateDir:   filepath.Join(b.dir, "state"),
		screen: func(context.Context, tui.Options) error {
			t.Error("showed the screen")
			return nil
		},
	}
	return b
}

// run runs the program; the streams begin anew.
func (b *bench) run(args ...string) (status int) {
	b.out.reset()
	b.err.reset()
	return run(b.env, args)
}

// file writes a file into the directory of the bench.
func (b *bench) file(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// events reads NDJSON, each line as docs/events.schema.json has it.
func events(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(text) {
		eventschema.Check(t, []byte(line))
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// virtualLab is a bench with a registrar, in a network in memory and in virtual time.
type virtualLab struct {
	*bench
	net       *memnet.Net
	registrar *registrar.Registrar
}

const (
	labHost    = "192.0.2.1"
	ourHost    = "192.0.2.7"
	labAccount = `
[[account]]
aor = "sip:alice@example.com"
outbound_proxy = "sip:192.0.2.1;lr"
password = "secret"
`
)

// inLab runs f in virtual time. Goroutines that are left behind fail the test.
func inLab(t *testing.T, f func(*virtualLab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		at := netip.MustParseAddrPort(labHost + ":5060")
		r, err := registrar.Start(t.Context(), registrar.Options{
			Network: network.Host(labHost), Listen: []registrar.Listen{{Transport: "udp", Addr: at}, {Transport: "tcp", Addr: at}},
			Domains: []string{"example.com"}, Users: map[string]string{"alice": "secret", "bob": "secret"},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		l := &virtualLab{newBench(t), network, r}
		l.network = network.Host(ourHost)
		l.file("config.toml", labAccount)
		f(l)
	})
}

// command gives the registrar a command of its administrator.
func (l *virtualLab) command(line string) {
	l.t.Helper()
	if _, err := l.registrar.Command(line); err != nil {
		l.t.Errorf("%s: %v", line, err)
	}
}
