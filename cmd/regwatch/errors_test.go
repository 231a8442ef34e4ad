package main

import (
	"os"
	"strings"
	"testing"
)

// TestErrors: every wrong command line and config ends with its status, one
// line, and a hint where there is one. DIR stands for the bench's directory.
func TestErrors(t *testing.T) {
	const account = "[[account]]\naor = \"sip:alice@example.com\"\n"
	for _, c := range []struct {
		name   string
		config string // "": no file
		args   []string
		status int
		stderr string
	}{
		{"no config", "", nil, 2, "regwatch: no config: looked for DIR/config.toml\nregwatch demo | regwatch init | regwatch sip:you@host\n"},
		{"no config for watch", "", []string{"watch"}, 2, "regwatch: no config: looked for DIR/config.toml\nregwatch demo | regwatch init | regwatch sip:you@host\n"},
		{"named config missing", "", []string{"watch", "--config", "DIR/other.toml"}, 2, "regwatch: no config: looked for DIR/other.toml\nregwatch demo | regwatch init | regwatch sip:you@host\n"},
		{"no account", "[ui]\n", []string{"watch"}, 2, "regwatch: no account: DIR/config.toml has no [[account]]\nregwatch demo | regwatch init | regwatch sip:you@host\n"},
		{"wrong key", account + "expire = 1\n", nil, 2, "regwatch: DIR/config.toml:3: key \"expire\": is unknown; the nearest known one is \"expires\"\n"},
		{"two faults", account + "expires = -1\nq = 2\n", nil, 2, "regwatch: DIR/config.toml:3: key \"expires\": is -1, must be a whole number from 1 to 4294967295\nregwatch: DIR/config.toml:4: key \"q\": is 2, must be a number from 0 to 1 with at most three decimals\n"},
		{"unknown account", account, []string{"watch", "--account", "bob"}, 2, "regwatch: account \"bob\" is not in the config; there are \"alice\"\n"},
		{"unknown command", "", []string{"wacth"}, 2, "regwatch: \"wacth\" is no command and no sip: address\nregwatch watch\n"},
		{"scheme left out", "", []string{"you@example.com"}, 2, "regwatch: \"you@example.com\" is no command and no sip: address\nregwatch sip:you@example.com\n"},
		{"control character", "", []string{"a\x1b[2J"}, 2, "regwatch: \"a\\x1b[2J\" is no command and no sip: address\nregwatch --help\n"},
		{"two addresses", "", []string{"sip:a@b", "sip:c@d"}, 2, "regwatch: one address at most, not 2\nseveral accounts belong in the config file: regwatch init\n"},
		{"no address", "", []string{"watch", "alice"}, 2, "regwatch: \"alice\" is no sip: address\nregwatch watch sip:you@example.com\n"},
		{"unknown flag", "", []string{"watch", "--jsno"}, 2, "regwatch: unknown flag: --jsno\nregwatch watch --help\n"},
		{"bad transport", "", []string{"sip:a@b", "--transport", "sctp"}, 2, "regwatch: --transport: \"sctp\" is not known\nwrite something like udp, tcp, tls, ws or wss\n"},
		{"no such CA", "", []string{"sips:a@b", "--ca", "DIR/ca.pem"}, 2, "regwatch: --ca: \"DIR/ca.pem\": cannot be read: no such file or directory\n"},
		{"CA without an address", account, []string{"--ca", "x"}, 2, "regwatch: --ca goes with an address on the command line, and there is none\nregwatch sip:you@host --ca x\n"},
		{"key log nowhere", account, []string{"watch", "--keylog", "DIR/none/x"}, 2, "regwatch: key log: open DIR/none/x: no such file or directory\n"},
		{"password variable unset", "", []string{"sip:a@b", "--password-env", "REGWATCH_TEST_UNSET"}, 2, "regwatch: password: environment variable REGWATCH_TEST_UNSET is not set\n"},
		{"flag of an address alone", account, []string{"watch", "--user", "x"}, 2, "regwatch: --user goes with an address on the command line, and there is none\nregwatch sip:you@host --user x\n"},
		{"address and config", account, []string{"sip:a@b", "--config", "x"}, 2, "regwatch: an address on the command line and --config or --account exclude each other\nregwatch --help\n"},
		{"unknown until", account, []string{"watch", "--until", "registred"}, 2, "regwatch: --until: \"registred\" is unknown; there are registered, unregistered, failed, subscribed, subscription-terminated, deactivated, probation, rejected, shortened, contact-expired, contact-unregistered, absent, kicked\n"},
		{"all without until", account, []string{"watch", "--all"}, 2, "regwatch: --all goes with --until, and there is none\nregwatch watch --until registered --all\n"},
		{"no time to wait", account, []string{"watch", "--until", "failed", "--timeout", "-1s"}, 2, "regwatch: --timeout: -1s is no time to wait\nregwatch watch --until registered --timeout 10s\n"},
		{"unknown policy", account, []string{"watch", "--on", "sometimes"}, 2, "regwatch: --on: policy \"sometimes\" is unknown; there are ask, auto and never\nregwatch watch --on auto | --on deactivated=auto,probation=never\n"},
		{"unknown event", account, []string{"watch", "--on", "kicked=auto"}, 2, "regwatch: --on: event \"kicked\" is unknown; there are deactivated, probation, rejected, shortened, contact-expired, contact-unregistered, absent\n"},
		{"trace format", account, []string{"watch", "--trace", "x.pcap"}, 2, "regwatch: trace x.pcap: the name has to end in .pcapng or .txt\n"},
		{"trace format of the lab", "", []string{"lab", "--trace", "x"}, 2, "regwatch: trace x: the name has to end in .pcapng or .txt\n"},
		{"log nowhere", account, []string{"watch", "--log", "DIR/none/x"}, 2, "regwatch: log: open DIR/none/x: no such file or directory\n"},
		{"decode nothing", "", []string{"decode"}, 2, "regwatch: decode -: no reginfo document, no SIP message and no capture\n"},
		{"decode missing", "", []string{"decode", "DIR/none.xml"}, 2, "regwatch: decode DIR/none.xml: no such file or directory\n"},
		{"lab address", "", []string{"lab", "--listen", "localhost"}, 2, "regwatch: --listen: \"localhost\" is no address with a port\nregwatch lab --listen 127.0.0.1:5060\n"},
		{"lab profile", "", []string{"lab", "--profile", "asterisk"}, 2, "regwatch: --profile: \"asterisk\" is unknown; there are rfc or kamailio or kamailio-scscf or clearwater\n"},
		{"lab users", "[[account]]", []string{"lab", "--users", "DIR/config.toml"}, 2, "regwatch: --users: DIR/config.toml:1: no user and password\nwrite USER:PASSWORD\n"},
		{"version with words", "", []string{"version", "x"}, 2, "regwatch: version takes no \"x\"\nregwatch version --help\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.config != "" {
				b.file("config.toml", c.config)
			}
			var args []string
			for _, arg := range c.args {
				args = append(args, strings.ReplaceAll(arg, "DIR", b.dir))
			}
			status := b.run(args...)
			if want := strings.ReplaceAll(c.stderr, "DIR", b.dir); status != c.status || b.err.String() != want {
				t.Errorf("status %d, want %d\n got %s\nwant %s", status, c.status, b.err.String(), want)
			}
			if b.out.String() != "" {
				t.Errorf("standard output: %s", b.out.String())
			}
		})
	}
}

func TestVersion(t *testing.T) {
	b := newBench(t)
	if status := b.run("version"); status != 0 || !strings.HasPrefix(b.out.String(), "regwatch devel (") {
		t.Errorf("status %d: %s", status, b.out.String())
	}
	line := b.out.String()
	if status := b.run("--version"); status != 0 || b.out.String() != line {
		t.Errorf("--version: status %d: %s", status, b.out.String())
	}
}

func TestInit(t *testing.T) {
	b := newBench(t)
	file := b.dir + "/new/config.toml"
	b.configFile = func() (string, error) { return file, nil }
	if status := b.run("init"); status != 0 || !strings.HasPrefix(b.out.String(), "wrote "+file) {
		t.Fatalf("status %d: %s%s", status, b.out.String(), b.err.String())
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	b.file("new/config.toml", "mine")
	status := b.run("init")
	if status != 2 || b.err.String() != "regwatch: write config: "+file+" exists already\nregwatch init --config OTHER.toml\n" {
		t.Errorf("again: status %d: %s", status, b.err.String())
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("again: %q, %v", text, err)
	}
}

// TestPanic: what goes wrong inside is told, not shown as a broken program.
func TestPanic(t *testing.T) {
	b := newBench(t)
	b.configFile = func() (string, error) { panic("boom") }
	if status := b.run("init"); status != 1 || !strings.HasPrefix(b.err.String(), "regwatch: internal error: boom\n") {
		t.Errorf("status %d: %s", status, b.err.String())
	}
}
