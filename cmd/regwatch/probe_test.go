package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
)

const twoAccounts = labAccount + `
[[account]]
aor = "sip:bob@example.com"
outbound_proxy = "sip:192.0.2.1;lr"
password = "secret"
`

// How a probe ends: with which status, and what it says of what went wrong.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		config string
		prep   func(*virtualLab)
		status int
		stdout string // part of it
		stderr string // part of it
	}{
		{"all held", nil, labAccount, nil, 0, " 0 broken, ", "waiting until a binding has lapsed"},
		{"of two accounts one", []string{"--account", "bob", "--stranger", "alice", "--run", "event.stranger"}, twoAccounts, nil, 0, "1 check: 1 held", ""},
		{"stranger of all", []string{"--stranger", "bob", "--run", "event.stranger"}, twoAccounts, nil, 0, "1 check: 1 held", ""},
		{"which account", nil, twoAccounts, nil, 2, "", "regwatch: one account is examined at a time, not 2; there are \"alice\", \"bob\"\nregwatch probe --account NAME\n"},
		{"no such stranger", []string{"--stranger", "carol"}, twoAccounts, nil, 2, "", `--stranger: "carol" is not in the config; there are "alice", "bob"`},
		{"stranger of the command line", []string{"sip:alice@example.com", "--stranger", "bob"}, twoAccounts, nil, 2, "", "--stranger names an account of the config"},
		{"no such check", []string{"--run", "register.query,register.nothing"}, labAccount, nil, 2, "", "--run: \"register.nothing\" is no check\nregwatch probe --list\n"},
		{"no pattern", []string{"--run", "[a"}, labAccount, nil, 2, "", `--run: "[a" is no pattern`},
		{"leave", []string{"--leave"}, labAccount, nil, 2, "", "--leave: a probe leaves nothing behind"},
		{"an account that may not register", nil, labAccount + "register = false\n", nil, 2, "", "register is false"},
		{"a report that cannot be written", []string{"--junit", "/nowhere/x.xml"}, labAccount, nil, 2, "", "--junit: open /nowhere/x.xml"},
		{"refused", nil, labAccount, func(l *virtualLab) { l.command("reject alice") }, 1, "", "regwatch: the registrar refused the first query: 403 Rejected By The Administrator"},
		{"wrong password", nil, strings.ReplaceAll(labAccount, "secret", "guess"), nil, 1, "", "user name or password is wrong"},
		{"unreachable", nil, labAccount, cutOff, 1, "", "regwatch: registrar not reached: "},
		{"interrupted", nil, labAccount, func(l *virtualLab) { l.later(9*time.Second, os.Interrupt) }, 1, "interrupted", "regwatch: interrupted\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, func(l *virtualLab) {
				l.file("config.toml", c.config)
				if c.prep != nil {
					c.prep(l)
				}
				status := l.run(append([]string{"probe"}, c.args...)...)
				if status != c.status || !strings.Contains(l.out.String(), c.stdout) || !strings.Contains(l.err.String(), c.stderr) {
					t.Errorf("status %d, want %d\n%s\n%s", status, c.status, l.out.String(), l.err.String())
				}
				if left := l.registrar.Bindings("alice"); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				if _, err := os.Stat(l.stateDir); !os.IsNotExist(err) {
					t.Errorf("state or journal written: %v", err)
				}
			})
		})
	}
}

// The second signal ends it at once.
func TestProbeSecondSignal(t *testing.T) {
	inLab(t, func(l *virtualLab) {
		time.AfterFunc(9*time.Second, func() { cutOff(l) })
		l.later(10*time.Second, os.Interrupt, syscall.SIGTERM)
		began := time.Now()
		if status := l.run("probe"); status != 1 || time.Since(began) != 10*time.Second {
			t.Errorf("status %d after %s", status, time.Since(began))
		}
		time.Sleep(time.Hour) // what was left behind ends by itself
	})
}

// A registrar with faults: status 6, in JSON and JUnit the same, and what it wrote
// steers no terminal.
func TestProbeOfFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		var signed atomic.Int32
		r, err := registrar.Start(t.Context(), registrar.Options{
			Network: network.Host(labHost), Listen: []registrar.Listen{{Transport: "udp", Addr: netip.MustParseAddrPort(labHost + ":5060")}},
			Users: map[string]string{"alice": "secret"},
			First: func(in *wire.Incoming) bool {
				if in.Headers.Has("Authorization") {
					signed.Add(1)
				}
				if signed.Load() > 1 {
					in.Respond(wire.Answer{Status: 599, Reason: "\u202e\u009b31mred & <broken>"})
				}
				return signed.Load() > 1
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b := newBench(t)
		b.network, b.errTerminal = network.Host(ourHost), true
		b.file("config.toml", labAccount)
		file := filepath.Join(b.dir, "probe.xml")
		if status := b.run("probe", "--run", "register.q*", "--junit", file); status != statusBroken {
			t.Errorf("status %d: %s", status, b.err.String())
		}
		for _, text := range []string{b.out.String(), b.err.String()} {
			if strings.ContainsAny(text, "\u202e\u009b") {
				t.Errorf("%q", text)
			}
		}
		if !strings.Contains(b.out.String(), "  broken       register.query") || !strings.Contains(b.out.String(), "RFC 3261 10.2.3") || !strings.Contains(b.out.String(), "came      599 <U+202E><9B>31mred & <broken>") {
			t.Error(b.out.String())
		}
		if !strings.Contains(b.err.String(), "\r1/2 register.query\r") && !strings.Contains(b.err.String(), "1/2 register.query: broken") {
			t.Errorf("progress: %q", b.err.String())
		}
		var suites struct {
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testsuite>testcase"`
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = xml.Unmarshal(text, &suites)
		}
		if err != nil || suites.Failures != 1 || len(suites.Cases) != 2 || suites.Cases[0].Name != "register.query" ||
			!strings.Contains(suites.Cases[0].Failure.Message, "(RFC 3261 10.2.3, 10.3): 599 ") || !strings.Contains(suites.Cases[0].Failure.Text, "REGISTER sip:") ||
			strings.Contains(suites.Cases[0].Failure.Text, `response="0`) || suites.Cases[1].Skipped == nil {
			t.Errorf("%v\n%s", err, text)
		}

		signed.Store(0)
		if status := b.run("probe", "--run", "register.query", "--json"); status != statusBroken {
			t.Errorf("status %d: %s", status, b.err.String())
		}
		var report struct {
			AOR     string
			Results []struct {
				ID, Group, Title, Clause, Verdict, Came string
				Sent, Messages                          []string
				Took                                    float64
			}
		}
		if err := json.Unmarshal([]byte(b.out.String()), &report); err != nil || report.AOR != "sip:alice@example.com" || len(report.Results) != 1 {
			t.Fatalf("%v\n%s", err, b.out.String())
		}
		if one := report.Results[0]; one.ID != "register.query" || one.Group != "registering" || one.Verdict != "broken" || one.Clause != "RFC 3261 10.2.3, 10.3" ||
			!strings.HasPrefix(one.Came, "599 ") || fmt.Sprint(one.Sent) != "[REGISTER; no Contact]" || len(one.Messages) != 2 {
			t.Errorf("%+v", one)
		}
		if strings.ContainsAny(b.out.String(), "\u202e\u009b") {
			t.Errorf("%q", b.out.String())
		}
	})
}

// The list needs no account.
func TestProbeList(t *testing.T) {
	b := newBench(t)
	if status := b.run("probe", "--list", "--run", "register.star*"); status != 0 || strings.Count(b.out.String(), "\n") != 3 ||
		!strings.HasPrefix(b.out.String(), "register.star          RFC 3261 10.2.2, 10.3  Contact: * with Expires: 0 removes every contact\n") {
		t.Errorf("status %d\n%s%s", status, b.out.String(), b.err.String())
	}
}
