package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAccounts measures many accounts against the lab registrar and Kamailio; docs/accounts.sh runs it. ACCOUNTS is how
// many there are in each run, RATE how many begin in a second. It fails where an event is missing, and judges no time.
func TestAccounts(t *testing.T) {
	var counts []int
	for text := range strings.FieldsSeq(os.Getenv("ACCOUNTS")) {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	if len(counts) == 0 {
		t.Skip("interop: a measurement; docs/accounts.sh runs it")
	}
	rate, err := strconv.Atoi(os.Getenv("RATE"))
	if err != nil {
		t.Fatal("RATE:", err)
	}
	program := BuildRegwatch(t)
	columns := "| registrar | accounts | load | SIPp reg/s | ours, not watching | ours, watching | all watched after | memory then | memory at most | goroutines | descriptors | kicks seen | by a query | commanded in | last kick line | registered again after (5 %, median, 95 %, last) | events missed | CPU to watch, of the kick |"
	fmt.Println(columns)
	fmt.Println(strings.Repeat("| --- ", strings.Count(columns, "|")-1) + "|")
	for _, n := range counts {
		t.Run(fmt.Sprintf("lab/%d", n), func(t *testing.T) { measure(t, program, "lab", n, rate, func() site { return many(t, program, n) }) })
		t.Run(fmt.Sprintf("kamailio/%d", n), func(t *testing.T) {
			measure(t, program, "Kamailio", n, rate, func() site {
				// One worker: with more, a PUBLISH overtakes another now and then, and a kick stays untold.
				k := Start(t, Options{Memory: 512, Workers: 1})
				return site{k.Addr(), host, func(user string) error { return k.RemoveAOR(k.AOR(user)) }}
			})
		})
	}
}

// site is a registrar with so many users, and the hand of its administrator.
type site struct {
	addr, domain string
	kick         func(user string) error
}

// many starts the lab with users user1, sipp1, solo1 and so on.
func many(t *testing.T, program string, n int) site {
	l := &Lab{t: t, dir: t.TempDir(), program: program}
	var users strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&users, "user%d:%s\nsipp%d:%s\nsolo%d:%s\n", i, Password, i, Password, i, Password)
	}
	l.write("users", users.String())
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	t.Cleanup(func() { typed.Close() })
	l.start(in, "lab", program, "lab", "--quiet", "--listen", "udp:"+host+":0", "--users", l.file("users"), "--domain", "example.com")
	addr := l.Await("lab", `^registrar .* at udp ([0-9.:]+);`)[1]
	return site{addr, "example.com", func(user string) error {
		_, err := fmt.Fprintln(typed, "deactivate "+user)
		return err
	}}
}

func measure(t *testing.T, program, name string, n, rate int, start func() site) {
	s := start()
	load := "?"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	sipp := register(t, s, n, rate)
	// As SIPp does it: nothing but registering.
	alone := watchMany(t, program, s, "solo", "off", n, rate)
	aloneTook := alone.await("registered", n, time.Minute+time.Duration(n/rate)*time.Second).Sub(alone.began)
	alone.stop()
	s = start() // nothing of theirs in its way
	w := watchMany(t, program, s, "user", "auto", n, rate)
	defer w.stop()
	registered := w.await("registered", n, time.Minute+time.Duration(n/rate)*time.Second)
	w.await("watched", n, time.Minute)
	watched := w.last["watched"].Sub(w.began)
	time.Sleep(2 * time.Second)
	figures := w.scrape()

	w.kicking = true
	kicked := time.Now()
	for i := 1; i <= n; i++ {
		if err := s.kick(fmt.Sprintf("user%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	commanded := time.Since(kicked)
	w.await("kicked", n, 90*time.Second)
	last := w.seenKick.Sub(kicked)
	w.await("back", n, 45*time.Second)
	slices.Sort(w.spread)
	of := func(share float64) time.Duration {
		if len(w.spread) == 0 {
			return 0
		}
		return w.spread[int(share*float64(len(w.spread)-1))].Round(10 * time.Millisecond)
	}
	perSecond := func(d time.Duration) string {
		if n < 100 {
			return "-"
		}
		return strconv.Itoa(int(float64(n) / d.Seconds()))
	}
	const resident, cpu = "process_resident_memory_bytes", "process_cpu_seconds_total"
	after := w.scrape()
	fmt.Printf("| %s | %d | %s | %s | %s | %s | %.1f s | %.0f MB | %.0f MB | %.0f | %.0f | %d of %d | %d | %.2f s | %.2f s | %v, %v, %v, %v | %.0f | %.1f s, %.1f s |\n",
		name, n, load, perSecond(sipp), perSecond(aloneTook), perSecond(registered.Sub(w.began)), watched.Seconds(), figures[resident]/1e6, w.peak(),
		figures["go_goroutines"], figures["process_open_fds"], len(w.seen["kicked"]), n, len(w.seen["by query"]), commanded.Seconds(), last.Seconds(),
		of(0.05), of(0.5), of(0.95), of(1), after["regwatch_events_missed_total"]+float64(w.missed), figures[cpu], after[cpu]-figures[cpu])
	if w.missed > 0 || len(w.seen["kicked"]) != n {
		t.Errorf("%d of %d kicks seen, %d events missed", len(w.seen["kicked"]), n, w.missed)
	}
}

// register has SIPp register sipp1 and so on, and gives the time that it took.
func register(t *testing.T, s site, n, rate int) time.Duration {
	sipp := lookPath("sipp")
	if sipp == "" {
		t.Fatal("not installed: apt-get install sip-tester")
	}
	dir := t.TempDir()
	users := "SEQUENTIAL\n"
	for i := 1; i <= n; i++ {
		users += fmt.Sprintf("sipp%d;[authentication username=sipp%d password=%s];%s\n", i, i, Password, s.domain)
	}
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p, err := startProcess(filepath.Join(dir, "screen"), sipp, s.addr, "-sf", filepath.Join("testdata", "many", "register.xml"), "-inf", filepath.Join(dir, "users.csv"),
		"-i", host, "-p", strconv.Itoa(port), "-m", strconv.Itoa(n), "-r", strconv.Itoa(rate), "-l", strconv.Itoa(n), "-nostdin", "-auth_uri", s.domain,
		"-timeout", "120", "-timeout_error", "-trace_err", "-error_file", filepath.Join(dir, "errors"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	<-p.ended
	took := time.Since(began)
	if !p.cmd.ProcessState.Success() {
		complaints, _ := os.ReadFile(filepath.Join(dir, "errors"))
		t.Errorf("sipp: %v\n%.2000s", p.cmd.ProcessState, complaints)
	}
	return took
}

// watcher is a "regwatch watch --json" on many accounts, and what it has told. Only the test's goroutine uses it.
type watcher struct {
	t       *testing.T
	cmd     *exec.Cmd
	metrics string
	lines   chan told
	kicking bool

	began    time.Time                       // of the first REGISTER
	seen     map[string]map[string]time.Time // accounts by what happened to them, and when the event was
	last     map[string]time.Time            // of those, by what happened
	seenKick time.Time                       // when the last line of a kick was read
	spread   []time.Duration                 // from kick to registered
	missed   int
}

// told is a line of the event stream, and when it was read.
type told struct {
	read                 time.Time
	Time                 time.Time
	Kind, Account, State string
	Own                  bool
	Origin, Source       string
	Count                int
}

func watchMany(t *testing.T, program string, s site, user, watch string, n, rate int) *watcher {
	dir := t.TempDir()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t: t, metrics: fmt.Sprintf("%s:%d", host, port), lines: make(chan told, 64*n+1000), seen: map[string]map[string]time.Time{}, last: map[string]time.Time{}}
	for _, what := range []string{"registered", "watched", "kicked", "by query", "back"} {
		w.seen[what] = map[string]time.Time{}
	}
	config := fmt.Sprintf("[[account]]\naor = \"sip:%s{n}@%s\"\nwatch = %q\npassword = %q\noutbound_proxy = \"sip:%s;lr\"\n[metrics]\nlisten = %q\n", user, s.domain, watch, Password, s.addr, w.metrics)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cmd = exec.Command(program, "watch", "--json", "--on", "auto", "--leave", "--count", strconv.Itoa(n), "--rate", strconv.Itoa(rate), "--config", filepath.Join(dir, "config.toml"))
	w.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir)
	w.cmd.Stderr = os.Stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.lines)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 8<<20) // the first line names every account
		for lines.Scan() {
			line := told{read: time.Now()}
			if json.Unmarshal(lines.Bytes(), &line) == nil {
				w.lines <- line
			}
		}
	}()
	return w
}

// await takes lines until something has happened to n accounts, and gives the time of the last.
func (w *watcher) await(what string, n int, limit time.Duration) time.Time {
	w.t.Helper()
	timeout := time.After(limit)
	for len(w.seen[what]) < n {
		select {
		case line, more := <-w.lines:
			if !more {
				w.t.Fatalf("regwatch ended: %d of %d %s", len(w.seen[what]), n, what)
			}
			w.take(line)
		case <-timeout:
			w.t.Errorf("%d of %d %s within %v", len(w.seen[what]), n, what, limit)
			return w.last[what]
		}
	}
	return w.last[what]
}

func (w *watcher) take(line told) {
	mark := func(what string) bool {
		if _, before := w.seen[what][line.Account]; before {
			return false
		}
		w.seen[what][line.Account] = line.Time
		w.last[what] = line.Time
		return true
	}
	switch {
	case line.Kind == "missed":
		w.missed += line.Count
	case line.Kind == "registration" && line.State == "registering" && w.began.IsZero():
		w.began = line.Time
	case line.Kind == "registration" && line.State == "registered" && !w.kicking:
		mark("registered")
	case line.Kind == "registration" && line.State == "registered":
		if at, kicked := w.seen["kicked"][line.Account]; kicked && mark("back") {
			w.spread = append(w.spread, line.Time.Sub(at))
		}
	case line.Kind == "subscription" && line.State == "active":
		mark("watched")
	case line.Kind == "contact" && w.kicking && line.Own && line.State == "terminated" && line.Origin != "self":
		if mark("kicked") {
			w.seenKick = line.read
			if line.Source != "notify" {
				mark("by query")
			}
		}
	}
}

// scrape gives the metrics that have no label.
func (w *watcher) scrape() map[string]float64 {
	response, err := http.Get("http://" + w.metrics + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	figures := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			figures[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return figures
}

// peak is the most memory that the program had, in MB.
func (w *watcher) peak() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(peak)
	if len(fields) == 0 {
		w.t.Fatal("the system does not say how much memory was in use")
	}
	kilobytes, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return kilobytes * 1024 / 1e6
}

func (w *watcher) stop() {
	w.cmd.Process.Signal(syscall.SIGTERM)
	for range w.lines {
	}
	w.cmd.Wait()
}
