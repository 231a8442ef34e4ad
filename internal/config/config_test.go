package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/tables"
	"regwatch/ua"
)

// TestFaultLines puts each fault into the first, the middle and the last of
// three accounts: file, line and key must be right in all of them.
func TestFaultLines(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string // of the faulty account, below [[account]]
		at    int      // the line among them that is named; -1: the header
		want  string   // behind FILE:LINE
	}{
		{"unknown key", []string{`aor = "sip:x@example.com"`, `exipres = 60`}, 1,
			`key "exipres": is unknown; the nearest known one is "expires"`},
		{"bad URI", []string{`# not a URI:`, `aor = "mailto:x@example.com"`}, 1,
			`key "aor": "mailto:x@example.com" `},
		{"two passwords", []string{`aor = "sip:x@example.com"`, `password = "a#b"`, `password_env = "B"`}, 2,
			`key "password_env": is the second way to the password beside password; only one may be set`},
		{"missing aor", []string{`name = "x"`}, -1,
			`key "aor": is missing; write something like sip:you@example.com`},
		{"newline in a name", []string{`aor = "sip:x@example.com"`, `name = "x\ny"`}, 1,
			`key "name": is "x\ny", must be without control characters`},
		{"wrong type", []string{`aor = "sip:x@example.com"`, `digest = [ # over lines`, `  "MD5", # one`, `  "SHA-256",`, `]`, `expires = "long"`}, 5,
			`key "expires": is "long", must be a whole number from 1 to 4294967295`},
		{"after a text over lines", []string{`display_name = '''`, `[[account]]`, `aor = 1'''`, `aor = "sip:x@example.com"`}, 0,
			`key "display_name": is "[[account]]\naor = 1", must be without control characters`},
		{"policy", []string{`aor = "sip:x@example.com"`, `[account.on]`, `rejected = "never"`, `probation = "sometimes"`}, 3,
			`key "on.probation": is "sometimes", must be "ask", "auto" or "never"`},
		{"CRLF in a display name", []string{`aor = "sip:x@example.com"`, `display_name = "x\r\nX-Evil: 1"`}, 1,
			`key "display_name": is "x\nX-Evil: 1", must be without control characters`},
		{"control character in a long value", []string{`aor = "sip:x@example.com"`, `display_name = "` + strings.Repeat("x", 70_000) + `\u001b"`}, 1,
			`key "display_name": is "` + strings.Repeat("x", 200) + `"... (70001 bytes), must be without control characters`},
		{"quote in a parameter", []string{`aor = "sip:x@example.com"`, `q = 0.5`, `contact_params = 'a="b'`}, 2,
			`key "contact_params": "a=\"b" are no parameters; write something like audio;x="1"`},
		{"another contact in a parameter", []string{`aor = "sip:x@example.com"`, `contact_params = "a, <sip:y@example.com>"`}, 1,
			`key "contact_params": "a, <sip:y@example.com>" are no parameters`},
		{"bracket in a URI", []string{`aor = "sip:x@example.com"`, `registrar = "sip:example.com;a=>"`}, 1,
			`key "registrar": "sip:example.com;a=>" has '>' in it: escape it, as %3E`},
		{"header of 70 kB", []string{`aor = "sip:x@example.com"`, `headers = ["X-Test: ` + strings.Repeat("x", 70_000) + `"]`}, 1,
			`key "headers": is 70008 bytes long, more than 8192`},
		{"header of ours", []string{`aor = "sip:x@example.com"`, `headers = ["X-Test: 1", "l: 10"]`}, 1,
			`key "headers": "l" is written by regwatch itself; write something like X-Test: 1`},
		{"name of 70 kB", []string{`aor = "sip:x@example.com"`, `username = "` + strings.Repeat("x", 70_000) + `"`}, 1,
			`key "username": is 70000 bytes long, more than 1024`},
		{"no such kick", []string{`aor = "sip:x@example.com"`, `on.probatoin = "ask"`}, 1,
			`key "on.probatoin": is unknown; the nearest known one is "probation"`},
	} {
		for position, place := range []string{"first", "middle", "last"} {
			t.Run(c.name+"/"+place, func(t *testing.T) {
				var text strings.Builder
				line := 0
				for i := range 3 {
					lines := []string{fmt.Sprintf(`aor = "sip:user%d@example.com" # [[account]]`, i), ``}
					text.WriteString("# \"an account\n[[account]]\n")
					if i == position {
						line = strings.Count(text.String(), "\n") + 1 + c.at
						lines = c.lines
					}
					text.WriteString(strings.Join(lines, "\n") + "\n")
				}
				for ending, text := range map[string]string{"LF": text.String(), "CRLF": strings.ReplaceAll(text.String(), "\n", "\r\n")} {
					_, _, err := parse("c.toml", text, 1)
					var faults tables.Faults
					if !errors.As(err, &faults) {
						t.Fatalf("%s: got %v, want a fault", ending, err)
					}
					want := fmt.Sprintf("c.toml:%d: %s", line, c.want)
					got := strings.ReplaceAll(faults.Error(), `\r`, "")
					if len(faults) != 1 || !strings.HasPrefix(got, want) {
						t.Errorf("%s:\n got %s\nwant %s", ending, faults, want)
					}
					if strings.ContainsAny(got, "\n\r") {
						t.Errorf("%s: more than a line: %q", ending, got)
					}
				}
			})
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "[[account]]\naor = \"sip:a@b\"\nname = alice\n", `c.toml:3: expected value but found "alice" instead`},
		{"twice", "[[account]]\naor = \"sip:a@b\"\nq = 1\n\nq = 1\n", `c.toml:5: Key 'account.q' has already been defined.`},
		{"single table", "[account]\naor = \"sip:a@b\"", `c.toml:1: key "account": is a single table; write [[account]], once or more`},
		{"before the first", "aor = \"sip:a@b\"", `c.toml:1: key "aor": stands before the first [[account]]; it belongs below one`},
		{"policies before the first", "\n[account.on]\nabsent = \"ask\"", `c.toml:3: key "on.absent": stands before the first [[account]]; it belongs below one`},
		{"unknown table", "[jurnal]", `c.toml:1: key "jurnal": is an unknown table; the nearest known one is [journal]`},
		{"list of tables", "[[ui]]", `c.toml:1: key "ui": is a list of tables; write [ui]`},
		{"wrong table", "[[account]]\naor = \"sip:a@b\"\ndeactivated = \"auto\"", `c.toml:3: key "deactivated": is unknown here; it belongs in [account.on]`},
		{"same name", "[[account]]\naor = \"sip:a@b\"\nname = \"x\"\n[[account]]\naor = \"sip:c@b\"\nname = \"x\"", `c.toml:6: key "name": is "x", which the account of line 1 has already`},
		{"same account", "[[account]]\naor = \"sip:a@b\"\n[[account]]\naor = \"sip:a@b\"\n[[account]]\naor = \"sip:a@b\"", `c.toml:6: key "aor": is "sip:a@b", which the account of line 3 has already; give each a name`},
		{"secret unsaid", "[[account]]\naor = \"sip:a@b\"\nha1 = \"hush\"", `c.toml:3: key "ha1": is not fit, must be 32 or 64 hexadecimal digits in quotes`},
		{"secret with a line end", "[[account]]\naor = \"sip:a@b\"\npassword = \"hu\\nsh\"", `c.toml:3: key "password": is not fit, must be without control characters`},
		{"expires 0", "[[account]]\naor = \"sip:a@b\"\nexpires = 0", `c.toml:3: key "expires": is 0, must be a whole number from 1 to 4294967295`},
		{"expires too long", "[[account]]\naor = \"sip:a@b\"\nexpires = 4294967296", `c.toml:3: key "expires": is 4294967296, must be a whole number from 1 to 4294967295`},
		{"five proxies", "[[account]]\naor = \"sip:a@b\"\noutbound_proxy = [\"sip:1\",\"sip:2\",\"sip:3\",\"sip:4\",\"sip:5\"]", `c.toml:3: key "outbound_proxy": is "[sip:1 sip:2 sip:3 sip:4 sip:5]", must be a URI such as`},
		{"tls over udp", "[[account]]\naor = \"sips:a@b\"\ntransport = \"udp\"", `c.toml:3: key "transport": "udp" cannot carry what the sips: of the aor asks for`},
		{"transport=tls", "[[account]]\naor = \"sip:a@b\"\noutbound_proxy = \"sip:c;transport=tls\"", `c.toml:3: key "outbound_proxy": "sip:c;transport=tls" has transport=tls, which is not written in a URI; write something like sips:proxy.example.com`},
		{"no such ca_file", "[[account]]\naor = \"sip:a@b\"\n[account.tls]\nmin_version = \"1.3\"\nca_file = \"/none/ca.pem\"", `c.toml:5: key "tls.ca_file": "/none/ca.pem": cannot be read: no such file or directory`},
		{"no certificate in it", "[[account]]\naor = \"sip:a@b\"\n[account.tls]\nca_file = \"config_test.go\"", `c.toml:4: key "tls.ca_file": "config_test.go": no certificate in PEM form in it`},
		{"half a pair", "[[account]]\naor = \"sip:a@b\"\ntls.cert_file = \"c.pem\"", `c.toml:3: key "tls.cert_file": is set, and key_file is not`},
		{"min_version", "[[account]]\naor = \"sip:a@b\"\n[account.tls]\nmin_version = \"1.1\"", `c.toml:4: key "tls.min_version": is "1.1", must be "1.2" or "1.3"`},
		{"server_name", "[[account]]\naor = \"sip:a@b\"\n[account.tls]\nserver_name = \"a b\"", `c.toml:4: key "tls.server_name": "a b" has no valid host`},
		{"q", "[[account]]\naor = \"sip:a@b\"\nq = 1.5", `c.toml:3: key "q": is 1.5, must be a number from 0 to 1 with at most three decimals`},
		{"inline", "account = [{aor = \"sip:a@b\", watch = \"on\"}]", `c.toml:1: key "watch": is "on", must be "auto", "reg", "poll" or "off"`},
		{"value for a table", "[[account]]\naor = \"sip:a@b\"\non = \"auto\"", `c.toml:3: key "on": is a table; write [account.on] and its keys below`},
		{"journal size", "[journal]\nmax_size = \"99999999999999999GB\"", `c.toml:2: key "journal.max_size": is "99999999999999999GB", must be bytes as a number`},
		{"metrics for everybody", "[metrics]\nlisten = \"0.0.0.0:9100\"", `c.toml:2: key "metrics.listen": is "0.0.0.0:9100", must be an address of the loopback and a port, such as "127.0.0.1:9100"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := parse("c.toml", c.text, 1)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("\n got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestFaultsInOrder: one read tells everything that is wrong.
func TestFaultsInOrder(t *testing.T) {
	_, _, err := parse("c.toml", "[[account]]\nname = \"x\"\n[ui]\nbell = 1\n[[account]]\naor = \"sip:a@b\"\nq = 2\n", 1)
	want := `c.toml:1: key "aor": is missing; write something like sip:you@example.com
c.toml:4: key "ui.bell": is 1, must be true or false
c.toml:7: key "q": is 2, must be a number from 0 to 1 with at most three decimals`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestAccount(t *testing.T) {
	text := `
[[account]]
aor = "sip:alice@example.com"
outbound_proxy = "sip:p1;lr"
outbound = false
gruu = false
watch = "off"
on_exit = "leave"
follow_redirects = true
versions = "strict"
digest = "sha-256"
q = 0.5
contact_params = ";audio"
keepalive = "stun"
[account."on"]
deactivated = "never"
[[account]]
aor = "sip:alice@example.net"
register = false
password = ""
keepalive = 40
[ui]
trace_limit = 10
[journal]
file = ""
max_size = "2 MB"
`
	c, _, err := parse("c.toml", "\ufeff"+text, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Accounts[0], c.Accounts[1]
	if a.Name != "alice" || b.Name != "sip:alice@example.net" {
		t.Errorf("names are %q and %q", a.Name, b.Name)
	}
	if !a.NoOutbound || !a.NoGRUU || a.Watch != ua.WatchOff || !a.Leave || !a.FollowRedirects || !a.StrictVersions || a.Q != "0.5" || a.ContactExtra != "audio" {
		t.Errorf("account is %+v", a)
	}
	if !slices.Equal(a.Digest, []string{"SHA-256"}) || !slices.Equal(a.OutboundProxy, []string{"sip:p1;lr"}) || a.On[ua.KickDeactivated] != ua.Never {
		t.Errorf("account is %+v", a)
	}
	if a.Password != nil {
		t.Error("no password is set, and there is a source")
	}
	if a.KeepAlive != ua.KeepSTUN || a.KeepAliveEvery != 0 || b.KeepAlive != ua.KeepAuto || b.KeepAliveEvery != 40 {
		t.Errorf("keep-alives are %q every %d s, %q every %d s", a.KeepAlive, a.KeepAliveEvery, b.KeepAlive, b.KeepAliveEvery)
	}
	if password, err := b.Password(); password != "" || err != nil || !b.WatchOnly {
		t.Errorf("second account is %+v", b)
	}
	if c.UI.TraceLimit != 10 || !c.Journal.Off || c.Journal.MaxSize != 2e6 {
		t.Errorf("config is %+v", c)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

// TestInlineTable: a table written as a value is as good as one with a header.
func TestInlineTable(t *testing.T) {
	c, _, err := parse("c.toml", `account = [{aor = "sip:a@b", on = {absent = "auto"}}, {aor = "sip:c@b"}]`, 1)
	if err != nil || len(c.Accounts) != 2 || c.Accounts[0].On[ua.KickAbsent] != ua.Auto {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestWarnings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	text := "[[account]]\naor = \"sip:a@b\"\npassword = \"x\"\n\nwatch = \"poll\"\npoll_interval = 5\nsettle = \"auto\"\noutbound_proxy = [\"sip:1\", \"sip:2\"]\ndigest = [\"MD5\", \"akav1-md5\"]\n[metrics]\nlisten = \"127.0.0.1:9100\"\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{
		file + ": holds a password, and others may read it: chmod 600 " + file,
	}
	c, err := Load(file, 1)
	if err != nil {
		t.Fatal(err)
	}
	if a := c.Accounts[0]; a.Watch != ua.WatchPoll || a.PollInterval != 5*time.Second || len(a.OutboundProxy) != 2 || a.Settle != ua.SettleAuto {
		t.Errorf("account is %+v", a)
	}
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(c.Warnings, "\n"), strings.Join(want, "\n"))
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Load(file, 1); err != nil || len(c.Warnings) != 0 {
		t.Errorf("0600: %v, %q", err, c.Warnings)
	}
}

func TestLoadMissing(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
