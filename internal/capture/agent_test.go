package capture

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/interop"
	"regwatch/internal/trace"
	"regwatch/registrar"
	"regwatch/ua"
)

// TestTsharkAgent: the trace of a whole agent on the machine's own sockets, who
// registers, watches and is kicked, over each transport and family: tshark finds
// every message, with its addresses, ports and time, in the order of the wire,
// and no secret.
func TestTsharkAgent(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			t.Run(transport+"/"+host, func(t *testing.T) {
				t.Parallel()
				address := netip.MustParseAddr(host)
				if address.Is6() {
					interop.NeedIPv6(t)
				}
				file, messages := agentTrace(t, transport, address)
				got := tshark(t, file, append(fields(), "-e", "sip.auth.digest.response", "-e", "sip.auth.cnonce", "-e", "_ws.col.Info")...)
				if len(got) != len(messages) {
					t.Fatalf("%d messages, want %d:\n%s", len(got), len(messages), strings.Join(got, "\n"))
				}
				asked := 0
				for i, m := range messages {
					secrets := "||"
					if m.Header("Authorization", "")+m.Header("Proxy-Authorization", "") != "" {
						secrets = `|"***"|"***"`
						asked++
					}
					if want := expected(m) + secrets + "|" + summary(m); !strings.HasPrefix(got[i], want) {
						t.Errorf("message %d:\n got %s\nwant %s", i, got[i], want)
					}
				}
				if !slices.IsSortedFunc(messages, func(a, b trace.Message) int { return a.Time.Compare(b.Time) }) {
					t.Error("the messages are not in the order of their times")
				}
				if asked == 0 {
					t.Error("no message had a secret")
				}
				content, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range messages {
					for _, secret := range regexp.MustCompile(`(?:response|cnonce)="([^"]+)"`).FindAllSubmatch(m.Raw, -1) {
						if strings.Contains(string(content), string(secret[1])) {
							t.Errorf("the secret %s of %s is in the file", secret[0], m.StartLine())
						}
					}
				}
			})
		}
	}
}

// summary is the beginning of what Wireshark's column of information says.
func summary(m trace.Message) string {
	first, rest, _ := strings.Cut(m.StartLine(), " ")
	if first == "SIP/2.0" {
		return "Status: " + rest
	}
	uri, _, _ := strings.Cut(rest, " ")
	return fmt.Sprintf("Request: %s %s", first, uri)
}

// agentTrace lets an agent register at a registrar on that address until it is
// kicked, and returns its trace and what is to be in it.
func agentTrace(t *testing.T, transport string, address netip.Addr) (file string, messages []trace.Message) {
	t.Helper()
	server, err := registrar.Start(t.Context(), registrar.Options{
		Listen: []registrar.Listen{{Transport: transport, Addr: netip.AddrPortFrom(address, 0)}},
		Users:  map[string]string{"alice": "secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	file = filepath.Join(t.TempDir(), "agent.pcapng")
	w, err := Create(file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ring := trace.NewRing(1000)
	ring.Tee(w.Add)
	group := ua.NewGroup(ua.Options{Trace: ring})
	err = group.Start(ua.Account{
		AOR: "sip:alice@" + server.Addr(transport).String(), Transport: transport,
		Password: func() (string, error) { return "secret", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kicked := false
	for update := range group.Watch(ctx, 0) {
		for _, e := range update.Events {
			d, ok := e.Detail.(ua.ContactDetail)
			if ok && d.Own && d.Event == "registered" {
				if err := server.Deactivate("alice", ""); err != nil {
					t.Error(err)
				}
			}
			kicked = kicked || ok && d.Kick() == ua.KickDeactivated
		}
		if kicked {
			break
		}
	}
	if !kicked {
		t.Error("never kicked")
	}
	group.Close(ctx, true)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file, ring.Messages()
}
