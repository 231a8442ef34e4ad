package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"regwatch/registrar"
)

// TestSummary: many accounts of a template are summed up, in few lines, and the
// journal has the events of each.
func TestSummary(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		const count = 60
		for n := 1; n <= count; n++ {
			time.AfterFunc(10*time.Second+time.Duration(n)*10*time.Millisecond, func() { l.command(fmt.Sprintf("deactivate user%d", n)) })
		}
		l.later(30*time.Second, os.Interrupt)
		began := time.Now()
		defer l.open().Close()
		if status := l.run("watch", "--count", fmt.Sprint(count), "--rate", "100", "--proxy", "sip:192.0.2.1:5070;lr", "--on", "auto", "sip:user{n}@example.com"); status != 0 {
			t.Fatalf("status %d\n%s", status, l.err.String())
		}
		lines := strings.Split(strings.TrimSpace(l.out.String()), "\n")
		for _, want := range []string{
			"60 accounts: 60 registered, 60 watched",
			"60 accounts: 60 registered, 60 watched; 60 kicked: 60 deactivated",
		} {
			found := false
			for _, line := range lines {
				_, text, _ := strings.Cut(line, "  ")
				found = found || text == want
			}
			if !found {
				t.Errorf("no line %q", want)
			}
		}
		if most := int(time.Since(began)/time.Second) + 2; len(lines) > most {
			t.Errorf("%d lines, more than one a second", len(lines))
		}
		if t.Failed() {
			t.Log(l.out.String())
		}
		journal, err := os.ReadFile(l.stateDir + "/journal.ndjson")
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= count; n++ {
			if !strings.Contains(string(journal), fmt.Sprintf(`"summary":"user%d`, n)) && !strings.Contains(string(journal), fmt.Sprintf(`"account":"user%d"`, n)) {
				t.Errorf("the journal knows nothing of user%d", n)
			}
		}
	})
}

// open opens a second registrar, on port 5070, that lets anybody in; commands go to it.
func (l *virtualLab) open() *registrar.Registrar {
	l.t.Helper()
	r, err := registrar.Start(context.Background(), registrar.Options{
		Network: l.net.Host(labHost), Listen: []registrar.Listen{{Transport: "udp", Addr: netip.MustParseAddrPort(labHost + ":5070")}},
		Domains: []string{"example.com"},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.registrar = r
	return r
}
