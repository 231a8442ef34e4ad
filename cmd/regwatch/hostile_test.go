package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"regwatch/internal/eventschema"
	"regwatch/internal/wire/memnet"
	"regwatch/tui"
)

// pest is what a peer may write to steer a terminal, to reorder what is read, and
// to make two lines of one.
const pest = "\x1b[2JPEST\x1b]0;PEST\x07\u009b31mPEST\u202ePEST\u2066\nPEST\x00\xff\xfe<\"'\\>"

// hostile answers at an address with pests wherever it may write what it likes,
// until the socket is closed. A request that has controls in what its answer
// repeats would not be taken.
func hostile(t *testing.T, n *memnet.Net) io.Closer {
	t.Helper()
	socket, err := n.Host(labHost).ListenPacket(t.Context(), netip.MustParseAddrPort(labHost+":5060"))
	if err != nil {
		t.Fatal(err)
	}
	line := func(message, name string) string {
		_, rest, _ := strings.Cut(message, "\r\n"+name+": ")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	document := `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"><registration aor="sip:§" id="r" state="active">` +
		`<contact id="c" state="§" event="§" callid="§" q="§" display-name="§"><uri>sip:§</uri><display-name>§</display-name></contact>` +
		`<contact id="d" state="terminated" event="deactivated" callid="%s" cseq="%s" expires="§"><uri>%s</uri><display-name>§</display-name><unknown-param name="§">§</unknown-param></contact>` +
		`</registration></reginfo>`
	go func() {
		registered := 0
		buffer := make([]byte, 65535)
		register, contact := "", ""
		for {
			size, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			m := string(buffer[:size])
			send := func(head, body string) {
				head = strings.ReplaceAll(strings.ReplaceAll(head, "\n", "\r\n"), "§", pest)
				socket.WriteTo([]byte(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body)), from)
			}
			answer := func(status string, more ...string) {
				send(fmt.Sprintf("SIP/2.0 %s\nVia: %s\nFrom: %s\nTo: %s;tag=s\nCall-ID: %s\nCSeq: %s\nServer: §\nWarning: 399 § \"§\"\n%s",
					status, line(m, "Via"), line(m, "From"), line(m, "To"), line(m, "Call-ID"), line(m, "CSeq"), strings.Join(more, "")), "")
			}
			switch {
			case strings.HasPrefix(m, "REGISTER"):
				register = m
				contact, _, _ = strings.Cut(strings.TrimPrefix(line(m, "Contact"), "<"), ">")
				if registered++; registered == 1 {
					answer("503 §", "Retry-After: 1 (§)\n")
					continue
				}
				answer("200 §", "Contact: \"§\" <sip:§@§>;x=§\n", "Contact: "+line(m, "Contact")+";expires=3600;pub-gruu=\"sip:§;gr=§\";temp-gruu=\"sip:§;gr\"\n")
			case strings.HasPrefix(m, "SUBSCRIBE"):
				answer("200 §", "Expires: 3600\n")
				cseq, _, _ := strings.Cut(line(register, "CSeq"), " ")
				body := strings.ReplaceAll(fmt.Sprintf(document, line(register, "Call-ID"), cseq, contact), "§", strings.NewReplacer("<", "&lt;", `"`, "&quot;").Replace(pest))
				head := "NOTIFY %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn%d\nMax-Forwards: 70\nFrom: \"\u202e\u009b\" <sip:n>;tag=n\nTo: %s\nCall-ID: %s\nCSeq: %d NOTIFY\n" +
					"Contact: \"§\" <sip:n@192.0.2.1>;§\nX-§: §\nEvent: reg\nSubscription-State: active;reason=\"§\";expires=3600\nContent-Type: application/reginfo+xml\n"
				send(fmt.Sprintf(head, contact, 1, line(m, "From"), line(m, "Call-ID"), 1), body)
				for i, method := range []string{"MESSAGE", "INVITE", "§"} {
					send(fmt.Sprintf("%s %s SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKr%d\nMax-Forwards: 70\nFrom: \"\xff\" <sip:\u202e\u009b@a>;tag=n\nTo: <sip:alice>\nCall-ID: r%d\nCSeq: 1 %s\n"+
						"P-Called-Party-ID: <sip:§>\nSubject: §\nContent-Type: text/§\n", method, contact, i, i, method), pest)
				}
			}
		}
	}()
	return socket
}

// What a peer wrote reaches the terminal, or a reader of NDJSON, only made visible:
// a line an event, and nothing in it that steers.
func TestHostileServer(t *testing.T) {
	plain := regexp.MustCompile(`^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}  .`)
	for _, form := range []string{"plain", "json"} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				defer hostile(t, n).Close()
				b := newBench(t)
				b.network = n.Host(ourHost)
				b.file("config.toml", labAccount)
				trace := filepath.Join(b.dir, "trace.txt")
				args := []string{"watch", "--trace", trace}
				if form == "json" {
					args = append(args, "--json", "--trace-messages")
				}
				time.AfterFunc(time.Minute, func() { b.signals <- syscall.SIGTERM })
				if status := b.run(args...); status != 0 {
					t.Errorf("status %d: %q", status, b.err.String())
				}
				journal, _ := os.ReadFile(filepath.Join(b.dir, "state", "journal.ndjson"))
				traced, _ := os.ReadFile(trace)
				seen := b.out.String()
				if strings.Count(seen, "PEST") < 20 || len(journal) == 0 || len(traced) == 0 {
					t.Fatalf("too little of it came through:\n%q", seen)
				}
				for name, text := range map[string]string{"output": seen, "errors": b.err.String(), "journal": string(journal), "trace": string(traced)} {
					for line := range strings.Lines(text) {
						line = strings.TrimSuffix(line, "\n")
						unfit := func(c rune) bool { return !unicode.IsPrint(c) && c != '\t' }
						switch {
						case !utf8.ValidString(line) || strings.ContainsFunc(line, unfit):
							t.Errorf("%s: %q", name, line)
						case name == "output" && form == "plain" && !plain.MatchString(line):
							t.Errorf("no line of its own: %q", line)
						case name == "journal" || name == "output" && form == "json":
							eventschema.Check(t, []byte(line))
						}
					}
				}
			})
		})
	}
}

// Nor does it reach the terminal through any view of the screen.
func TestHostileServerOnScreen(t *testing.T) {
	n := memnet.New()
	defer hostile(t, n).Close()
	b := newBench(t)
	b.network, b.outTerminal = n.Host(ourHost), true
	b.file("config.toml", labAccount)
	keys, typed := io.Pipe()
	b.stdin = keys
	b.screen = func(ctx context.Context, o tui.Options) error {
		o.Width, o.Height = 120, 40
		return tui.Run(ctx, o)
	}
	go func() {
		for range 500 { // until it was kicked
			if strings.Contains(b.out.String(), "deactivated") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, key := range strings.Split("1 j \r \x1b 2 k \r \x1b 3 j j \r r \x1b \x1b 4 \x1b 5 \x1b 6 \x1b 7 \x1b 8 \x1b ? \x1b q q", " ") {
			time.Sleep(30 * time.Millisecond)
			io.WriteString(typed, key)
		}
	}()
	b.run()
	out := b.out.String()
	if strings.Count(out, "PEST") < 20 {
		t.Fatalf("too little of it came through: %q", out)
	}
	// What bubbletea itself writes are CSI sequences, CR and LF.
	csi := regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")
	for _, steering := range []string{"\x1b]", "\x07", "\x00", "\u009b", "\u202e", "\u2066", "\x1b[2JPEST"} {
		if at := strings.Index(out, steering); at >= 0 {
			t.Errorf("%q in %q", steering, out[max(0, at-40):at+20])
		}
	}
	for _, c := range csi.ReplaceAllString(out, "") {
		if !unicode.IsPrint(c) && c != '\r' && c != '\n' {
			t.Errorf("%U on the terminal", c)
			break
		}
	}
}

// What stands on the command line is refused, or shown made visible.
func TestHostileCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"watch", "sip:" + pest + "@example.com"},
		{"watch", "sip:alice@example.com;x=" + pest},
		{"watch", "sip:alice@example.com", "--user", pest},
		{"watch", "sip:alice@example.com", "--user", strings.Repeat("a", 70_000)},
		{"watch", "sip:alice@example.com", "--proxy", "sip:" + pest},
		{"watch", "sip:alice@example.com", "--transport", pest},
		{"watch", "sip:alice@example.com", "--password-env", pest},
		{"watch", "--account", pest},
		{"watch", "--until", pest},
		{"watch", "--on", pest},
		{"watch", "--config", pest},
		{pest},
	} {
		b := newBench(t)
		b.file("config.toml", labAccount)
		if status := b.run(args...); status != statusUsage {
			t.Errorf("%.200q: status %d", args, status)
		}
		text := b.out.String() + b.err.String()
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' }) || len(text) > 1000 {
			t.Errorf("%.200q: %.2000q", args, text)
		}
	}
}
