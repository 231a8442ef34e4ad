package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"regwatch/internal/interop"
)

// What our Contact is over TLS, and that Kamailio's NOTIFY, which goes there,
// finds our connection. A sip: AOR by the transport alone keeps a sip: Contact
// (RFC 5630 5.1.1.1), a sips: one by its scheme.
func TestContactOverTLS(t *testing.T) {
	for _, c := range []struct {
		name          string
		args          func(k *interop.Kamailio, port string) []string
		prefix, param string
	}{
		{"sip by the transport", func(k *interop.Kamailio, port string) []string {
			return []string{"sip:alice@127.0.0.1", "--transport", "tls", "--proxy", "sip:127.0.0.1:" + port}
		}, "sip:", ";transport=tcp"},
		{"sip by a sips proxy", func(k *interop.Kamailio, port string) []string {
			return []string{"sip:alice@127.0.0.1", "--proxy", k.URI("tls")}
		}, "sips:", ""},
		{"sips", func(k *interop.Kamailio, port string) []string {
			return []string{"sips:alice@127.0.0.1", "--proxy", "sips:127.0.0.1:" + port}
		}, "sips:", ""},
	} {
		for _, outbound := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/outbound %v", c.name, outbound), func(t *testing.T) {
				t.Parallel()
				k := interop.Start(t, interop.Options{TLS: true, Outbound: outbound, FixNAT: outbound})
				port := k.URI("tls")[strings.LastIndex(k.URI("tls"), ":")+1:]
				w := watchAs(t, append(c.args(k, port), "--ca", k.CAFile())...)
				w.awaitOwnActive()
				contact := ownContact(t, k)
				if !strings.HasPrefix(contact, c.prefix+"alice@127.0.0.1:") || strings.Contains(contact, ";") != (c.param != "") || !strings.HasSuffix(contact, c.param) {
					t.Errorf("contact %s", contact)
				}
				if err := k.RemoveContact(k.AOR("alice"), contact); err != nil {
					t.Fatal(err)
				}
				w.await("the kick", isKick)
				w.end()
			})
		}
	}
}

// A run over TLS against Kamailio with SHA-256, as tshark reads its trace: every
// message in plain, each answered, over one connection at the TLS port.
func TestTsharkReadsTLSTrace(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("tshark")
	if err != nil {
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
			t.Fatalf("tshark: %v", err)
		}
		t.Skipf("tshark: %v; Debian has it in the package tshark", err)
	}
	k := interop.Start(t, interop.Options{TLS: true, Algorithm: "SHA-256"})
	dir := t.TempDir()
	file, keys := filepath.Join(dir, "tls.pcapng"), filepath.Join(dir, "keys")
	w := watch(t, k, "tls", "--trace", file, "--keylog", keys)
	w.awaitOwnActive()
	w.end()

	cmd := exec.Command(program, "-n", "-r", file, "-Y", "sip", "-T", "fields", "-E", "separator=|",
		"-e", "sip.Method", "-e", "sip.Status-Code", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "sip.Via.transport")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	port := k.URI("tls")[strings.LastIndex(k.URI("tls"), ":")+1:]
	seen := map[string]int{}
	for _, l := range lines {
		fields := strings.Split(l, "|")
		if len(fields) != 5 || fields[2] != port && fields[3] != port || fields[4] != "TLS" {
			t.Errorf("read as %s", l)
			continue
		}
		seen[fields[0]+fields[1]]++
	}
	for _, what := range []string{"REGISTER", "SUBSCRIBE", "NOTIFY", "401", "407", "200"} {
		if seen[what] == 0 {
			t.Errorf("no %s among\n%s", what, out)
		}
	}
	if text, err := os.ReadFile(keys); err != nil || !strings.Contains(string(text), "SECRET") {
		t.Errorf("key log: %s, %v", text, err)
	}
}
