package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/registrar"
)

// labRun runs a lab at 192.0.2.50, with commands that are typed after a while, and
// meanwhile what the phone does. It gives the status.
func (l *virtualLab) labRun(typed string, phone func(*bench), args ...string) int {
	in, keys := io.Pipe()
	b := newBench(l.t)
	b.stdin, b.network = in, l.net.Host("192.0.2.50")
	if l.raw != nil {
		b.raw, b.inTerminal, b.outTerminal = l.raw, true, true
	}
	ended := make(chan int)
	go func() { ended <- b.run(append([]string{"lab"}, args...)...) }()
	time.Sleep(time.Second)
	if phone != nil {
		p := newBench(l.t)
		p.network = l.network
		phone(p)
	}
	go io.WriteString(keys, typed) // a lab that never began reads nothing
	status := <-ended
	keys.Close()
	l.out.reset()
	l.err.reset()
	io.WriteString(&l.out, b.out.String())
	io.WriteString(&l.err, b.err.String())
	return status
}

// TestLabTLS: with one flag a phone can register over TLS, and trusts the CA that
// the lab made; what is there and is none of its own is left alone.
func TestLabTLS(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		ca := filepath.Join(l.dir, "ca.pem")
		args := []string{"--listen", "192.0.2.50:5060", "--listen", "wss:192.0.2.50:443", "--listen", "tls:192.0.2.50:5061", "--tls-new-ca", ca}
		for range 2 { // the second finds the CA of the first
			status := l.labRun("quit\n", func(p *bench) {
				if status := p.run("watch", "sip:alice@example.com", "--proxy", "sips:192.0.2.50", "--ca", ca, "--until", "subscribed", "--timeout", "20s"); status != 0 {
					t.Errorf("status %d: %s%s", status, p.out.String(), p.err.String())
				}
			}, args...)
			if out := l.out.String(); status != 0 || !strings.HasPrefix(out, "registrar (rfc) at udp 192.0.2.50:5060, tcp 192.0.2.50:5060, wss 192.0.2.50:443 and tls 192.0.2.50:5061; anybody may register;") || !strings.Contains(out, "  tls 192.0.2.7:") {
				t.Errorf("status %d: %s%s", status, l.err.String(), out)
			}
		}
		mine := l.file("ca.pem", "mine")
		if status := l.labRun("", nil, args...); status != 2 || l.err.String() != "regwatch: --tls-new-ca: "+ca+" exists already, and is no CA of regwatch lab\n" {
			t.Errorf("status %d: %s", status, l.err.String())
		}
		if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" {
			t.Errorf("overwritten: %q, %v", text, err)
		}
	})
}

// TestLabMessages: a line for each SIP message, unless told to be quiet.
func TestLabMessages(t *testing.T) {
	watch := func(p *bench) {
		if status := p.run("watch", "sip:alice@example.com", "--proxy", "sip:192.0.2.50;lr", "--until", "registered"); status != 0 {
			t.Errorf("status %d: %s", status, p.err.String())
		}
	}
	inLab(t, func(l *virtualLab) {
		l.labRun("quit\n", watch, "--listen", "192.0.2.50:5060")
		for _, want := range []string{"00:00:01.000  udp 192.0.2.7:40001 -> REGISTER sip:example.com\n", "00:00:01.000  udp 192.0.2.7:40001 <- 200 OK (REGISTER)\n"} {
			if !strings.Contains(l.out.String(), want) {
				t.Errorf("no %q in\n%s", want, l.out.String())
			}
		}
		l.labRun("quit\n", watch, "--listen", "192.0.2.50:5060", "--quiet")
		if strings.Contains(l.out.String(), "REGISTER") {
			t.Errorf("not quiet:\n%s", l.out.String())
		}
	})
	c := &console{waiting: make(chan trace.Message, 1)}
	var out output
	c.out = &out
	for range 3 {
		c.message(trace.Message{Raw: []byte("OPTIONS sip:\x1b SIP/2.0\r\n\r\n"), Transport: "udp"})
	}
	close(c.waiting)
	c.print()
	if said := out.String(); !strings.HasPrefix(said, "2 messages went by too fast to be shown\n") || !strings.HasSuffix(said, "-> OPTIONS sip:<1B>\n") {
		t.Errorf("said %q", said)
	}
}

const kickScript = `
name = "A kick as soon as a phone is there"
profile = "kamailio"

[[step]]
await = "SUBSCRIBE"

[[step]]
command = "deactivate alice"
`

// TestLabScript: a scenario is played at the start or by a command, with the ways
// of its profile, and what became of it is told.
func TestLabScript(t *testing.T) {
	kicked := func(p *bench) {
		if status := p.run("watch", "sip:alice@example.com", "--proxy", "sip:192.0.2.50;lr", "--until", "kicked", "--timeout", "20s"); status != 0 {
			t.Errorf("status %d: %s%s", status, p.out.String(), p.err.String())
		}
	}
	inLab(t, func(l *virtualLab) {
		script := l.file("kick.toml", kickScript)
		status := l.labRun("quit\n", kicked, "--listen", "192.0.2.50:5060", "--quiet", "--script", script)
		want := "registrar (kamailio) at udp 192.0.2.50:5060 and tcp 192.0.2.50:5060; anybody may register; help lists the commands\n" +
			"playing F: A kick as soon as a phone is there\nF:5: await SUBSCRIBE\nF:8: command deactivate alice\nF: over, everything came as it says\n"
		if got := strings.ReplaceAll(l.out.String(), script, "F"); status != 0 || got != want || l.err.String() != "" {
			t.Errorf("status %d\n%s%s", status, got, l.err.String())
		}
		status = l.labRun("play\nplay "+script+"\nplay none.toml\nplay "+script+"\nquit\n", nil, "--listen", "192.0.2.50:5060")
		want = "regwatch: play: write play FILE\nregwatch: warning: F is for the profile kamailio, and this registrar is rfc\n" +
			"regwatch: play: read scenario: open none.toml: no such file or directory\nregwatch: warning: F is for the profile kamailio, and this registrar is rfc\n"
		if got := strings.ReplaceAll(l.err.String(), script, "F"); status != 0 || !strings.HasPrefix(got, want) {
			t.Errorf("status %d\n%s", status, got)
		}
		wrong := l.file("wrong.toml", "name = \"x\"\n[[step]]\nawiat = \"SUBSCRIBE\"\n")
		if status := l.labRun("", nil, "--script", wrong); status != 2 || !strings.HasPrefix(l.err.String(), "regwatch: "+wrong+":") {
			t.Errorf("status %d: %s", status, l.err.String())
		}
	})
}

// TestLabCommands: what is mistyped is told with what it may have meant.
func TestLabCommands(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		status := l.labRun("create sip:alice@example.com sip:alice@192.0.2.9\ndeactvate alice\ndeactivate alcie\nshorten alice soon\nlist\nhelp\nquit\n", nil, "--listen", "udp:192.0.2.50:5060")
		if want := "regwatch: \"deactvate\" is no command: did you mean deactivate?\n" +
			"regwatch: nothing matches: alcie has no contact; there are alice\n" +
			"regwatch: shorten: \"soon\" is no number of seconds: write shorten USER [CONTACT] SECONDS\n"; status != 0 || l.err.String() != want {
			t.Errorf("status %d\n got %s\nwant %s", status, l.err.String(), want)
		}
		if out := l.out.String(); !strings.HasPrefix(out, "registrar (rfc) at udp 192.0.2.50:5060; anybody") || !strings.Contains(out, "\nsip:alice@example.com  sip:alice@192.0.2.9  created, 3600 s left\n") || !strings.Contains(out, "\nplay FILE ") {
			t.Errorf("said %s", out)
		}
	})
}

// TestLabComplete: what can stand at each place of a command.
func TestLabComplete(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.command("create alice sip:alice@192.0.2.9")
		l.command("create alice sip:alice@192.0.2.10")
		l.command("create sip:carol@example.com sip:carol@192.0.2.9")
		c := &console{r: l.registrar, options: registrar.Options{Users: map[string]string{"alice": "", "bob": ""}}}
		t.Chdir(l.dir)
		l.file("kick.toml", "")
		for _, want := range []struct{ line, words string }{
			{"", "allow create deactivate exit expire help list play probation quit reject remove shorten"},
			{"re", "reject remove"}, {"zap", ""}, {"zap ", ""}, {"help ", ""},
			{"deactivate ", "alice bob carol"}, {"list b", "bob"}, {"list bob ", ""},
			{"deactivate alice ", "sip:alice@192.0.2.10 sip:alice@192.0.2.9"}, {"probation  alice sip:alice@192.0.2.1", "sip:alice@192.0.2.10"},
			{"create carol ", ""}, {"play k", "kick.toml"}, {"play [", ""},
		} {
			if got := strings.Join(c.complete(want.line), " "); got != want.words {
				t.Errorf("%q: got %q, want %q", want.line, got, want.words)
			}
		}
		var shown output
		c.out = &shown
		for _, want := range []struct{ line, now, shown string }{
			{"dea", "deactivate ", ""}, {"r", "re", ""}, {"re", "re", "reject  remove\n"}, {"zap", "zap", ""}, {"list c", "list carol ", ""},
		} {
			shown.reset()
			if got, pos, ok := c.tab(want.line, len(want.line), '\t'); got != want.now || pos != len(got) || !ok || shown.String() != want.shown {
				t.Errorf("%q: got %q, shown %q", want.line, got, shown.String())
			}
		}
		if _, _, ok := c.tab("dea", 3, 'c'); ok {
			t.Error("took a letter")
		}
		for name := range synopses() {
			if name != "exit" && !strings.Contains(labHelp, "\n"+name) && !strings.HasPrefix(labHelp, name) {
				t.Errorf("%q is no command", name)
			}
		}
	})
}

// TestLabTerminal: in a terminal a line can be edited, Tab completes it, what is
// printed goes above it, and Ctrl-D ends the lab.
func TestLabTerminal(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		l.raw = func() (int, int, error) { return 80, 24, nil }
		status := l.labRun("create sip:alice@example.com sip:alice@192.0.2.9\rlisx\x7f\t a\t\rdance\r\x04", nil, "--listen", "192.0.2.50:5060")
		out := l.out.String()
		if status != 0 || l.err.String() != "" {
			t.Errorf("status %d: %q", status, l.err.String())
		}
		for _, want := range []string{"lab> ", "sip:alice@example.com  sip:alice@192.0.2.9  created, 3600 s left\r\n", "regwatch: \"dance\" is no command: try help\r\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in %q", want, out)
			}
		}
	})
}

// TestLabEnds: a signal ends it, a pipe that ends does not.
func TestLabEnds(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		b := newBench(t)
		b.network = l.net.Host("192.0.2.50")
		began := time.Now()
		time.AfterFunc(time.Hour, func() { b.signals <- os.Interrupt })
		if status := b.run("lab", "--listen", "192.0.2.50:5060"); status != 0 || time.Since(began) != time.Hour {
			t.Errorf("status %d after %v: %s", status, time.Since(began), b.err.String())
		}
	})
}
