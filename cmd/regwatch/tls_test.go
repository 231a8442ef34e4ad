package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"regwatch/internal/testcert"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
)

// TestWatchOverTLS: --ca is trusted, the keys go to --keylog or $SSLKEYLOGFILE,
// readable by nobody else, and both are said.
func TestWatchOverTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
		server := authority.Issue(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(labHost)} })
		r, err := registrar.Start(t.Context(), registrar.Options{
			Network: network.Host(labHost), Listen: []registrar.Listen{{Transport: "tls", Addr: netip.MustParseAddrPort(labHost + ":5061")}},
			TLS: &tls.Config{Certificates: []tls.Certificate{server}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b := newBench(t)
		b.network = network.Host(ourHost)
		watch := func(more ...string) int {
			return b.run(append([]string{"watch", "sip:alice@example.com", "--proxy", "sips:" + labHost, "--until", "subscribed", "--timeout", "20s"}, more...)...)
		}
		if status := watch(); status != statusUnreachable || !strings.Contains(b.err.String(), "the certificate is of no authority that we trust: give its CA with ca_file or --ca") {
			t.Errorf("without --ca: status %d: %s", status, b.err.String())
		}
		for _, way := range []string{"flag", "environment"} {
			keys := b.file(way+".keys", "kept\n")
			if err := os.Chmod(keys, 0o644); err != nil {
				t.Fatal(err)
			}
			args := []string{"--ca", authority.File()}
			if b.keyLog = keys; way == "flag" {
				b.keyLog = "/none/keys"
				args = append(args, "--keylog", keys)
			}
			if status := watch(args...); status != 0 {
				t.Fatalf("%s: status %d: %s%s", way, status, b.out.String(), b.err.String())
			}
			if !strings.HasPrefix(b.err.String(), "regwatch: warning: the keys of TLS connections go to "+keys) || !strings.Contains(b.out.String(), "TLS keys are written down") {
				t.Errorf("%s: said\n%s%s", way, b.out.String(), b.err.String())
			}
			text, err := os.ReadFile(keys)
			if err != nil || !strings.HasPrefix(string(text), "kept\n") || !strings.Contains(string(text), "\nCLIENT_TRAFFIC_SECRET_0 ") {
				t.Errorf("%s: key log %q, %v", way, text, err)
			}
			if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", way, info.Mode(), err)
			}
		}
	})
}
