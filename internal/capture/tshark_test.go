package capture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"regwatch/internal/trace"
)

// tshark reads a file the way Wireshark does and returns its lines of standard
// output. Where it is not installed the test is skipped; with CI=true it fails,
// because there nobody reads skips.
func tshark(t *testing.T, file string, args ...string) []string {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
			t.Fatalf("tshark: %v", err)
		}
		t.Skipf("tshark: %v; Debian has it in the package tshark", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-n", "-r", file,
		"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"}, args...)...)
	home := t.TempDir() // whoever runs the tests may have preferences
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil && !strings.Contains(complaints.String(), "cut short") {
		t.Fatalf("%v: %v\n%s", cmd, err, &complaints)
	}
	return strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\n' })
}

// TestTshark: it finds the messages that were written, with their addresses and
// times, and puts those of several segments together.
func TestTshark(t *testing.T) {
	messages := conversation()
	file, _ := record(t, messages, Options{})
	got := tshark(t, file, fields()...)
	if len(got) != len(messages) {
		t.Fatalf("%d messages, want %d:\n%s", len(got), len(messages), strings.Join(got, "\n"))
	}
	for i, m := range messages {
		if want := expected(m); got[i] != want {
			t.Errorf("message %d:\n got %s\nwant %s", i, got[i], want)
		}
	}
}

// fields ask for a line for each message.
func fields() []string {
	args := []string{"-Y", "sip", "-T", "fields", "-E", "separator=|"}
	for _, field := range []string{"frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport",
		"sip.Method", "sip.Status-Code", "sip.CSeq", "sip.Content-Length"} {
		args = append(args, "-e", field)
	}
	return args
}

// expected is the line of tshark for a message.
func expected(m trace.Message) string {
	from, to := ordered(m.Local, m.Remote, m.Direction == trace.Sent)
	v4, v6, udp, tcp := "|", "|", "|", "|"
	if addresses := fmt.Sprintf("%s|%s", from.Addr(), to.Addr()); from.Addr().Is4() {
		v4 = addresses
	} else {
		v6 = addresses
	}
	if ports := fmt.Sprintf("%d|%d", from.Port(), to.Port()); m.Transport == "udp" {
		udp = ports
	} else {
		tcp = ports
	}
	method, status := "", ""
	if first, rest, _ := strings.Cut(m.StartLine(), " "); first == "SIP/2.0" {
		status, _, _ = strings.Cut(rest, " ")
	} else {
		method = first
	}
	at := fmt.Sprintf("%d.%09d", m.Time.Unix(), m.Time.Nanosecond())
	return strings.Join([]string{at, v4, v6, udp, tcp, method, status, m.Header("CSeq", ""), m.Header("Content-Length", "l")}, "|")
}

// TestTsharkContented: it has nothing to complain of: no wrong checksum, no number
// out of order, no window too small.
func TestTsharkContented(t *testing.T) {
	s := said{conversation()}
	// As much as fills a window without a scale to the last byte.
	first, rest, _ := strings.Cut(notify(60000), "\r\n")
	first += "\r\nX: " + strings.Repeat("x", 65535-len(first)-len("\r\nX: \r\n")-len(rest)) + "\r\n"
	s.add("tcp", "192.0.2.7:40003", "198.51.100.2:5060", trace.Sent, register)
	s.add("tcp", "192.0.2.7:40003", "198.51.100.2:5060", trace.Received, first+rest)
	file, _ := record(t, s.messages, Options{})
	faults := []string{
		"tcp.analysis.flags", "_ws.malformed", "_ws.expert.severity >= 0x400000", // notes, warnings and errors
		"(ip && !(ip.checksum.status == 1))", "(udp && !(udp.checksum.status == 1))", "(tcp && !(tcp.checksum.status == 1))",
	}
	if got := tshark(t, file, "-Y", strings.Join(faults, " || ")); len(got) > 0 {
		t.Errorf("faults in\n%s", strings.Join(got, "\n"))
	}
}

// TestTsharkCut: a file that ends within a block is read up to there.
func TestTsharkCut(t *testing.T) {
	messages := conversation()
	_, content := record(t, messages, Options{})
	file := filepath.Join(t.TempDir(), "cut.pcapng")
	if err := os.WriteFile(file, content[:len(content)-10], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tshark(t, file, "-Y", "sip"); len(got) != len(messages)-1 {
		t.Errorf("%d messages, want %d", len(got), len(messages)-1)
	}
}
