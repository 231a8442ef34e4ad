package config

import (
	"strings"
	"testing"
)

const template = `
[[account]]
aor = "sip:user{n}@example.com"
username = "u{n:04}"
password = "secret{n}"
local_address = "127.0.1.{n}"
instance_id = "urn:uuid:00000000-0000-4000-8000-{n:012}"
headers = ["X-Number: {n}"]
[ui]
trace_limit = 7
[account.on]
absent = "auto"
[[account]]
aor = "sip:alice@example.com"
`

// TestTemplate: an account whose aor has {n} becomes so many, with the number in
// all that it says; what stands beside it does not.
func TestTemplate(t *testing.T) {
	c, _, err := parse("c.toml", template, 12)
	if err != nil || len(c.Accounts) != 13 {
		t.Fatal(len(c.Accounts), err)
	}
	a := c.Accounts[11]
	password, err := a.Password()
	if err != nil || password != "secret12" {
		t.Error(password, err)
	}
	for got, want := range map[string]string{
		a.AOR: "sip:user12@example.com", a.Name: "user12", a.Username: "u0012", a.LocalAddress: "127.0.1.12",
		a.InstanceID: "urn:uuid:00000000-0000-4000-8000-000000000012", strings.Join(a.Headers, "|"): "X-Number: 12",
		string(a.On["absent"]): "auto", string(c.Accounts[0].On["absent"]): "auto",
		c.Accounts[0].AOR: "sip:user1@example.com", c.Accounts[12].AOR: "sip:alice@example.com", string(c.Accounts[12].On["absent"]): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if c, _, err := parse("c.toml", template, 1); err != nil || len(c.Accounts) != 2 || c.Accounts[0].Name != "user1" {
		t.Error("without a count a template is one account", err)
	}
}

// TestTemplateFaults: a fault is told once, however many accounts have it.
func TestTemplateFaults(t *testing.T) {
	for text, want := range map[string]string{
		"[[account]]\naor = \"sip:user{n}@b\"\nexpires = -1\n":  `c.toml:3: key "expires": is -1, must be a whole number from 1 to 4294967295`,
		"[[account]]\naor = \"sip:user{n}@b\"\nname = \"x\"\n":  `c.toml:3: key "name": is "x" for all accounts of the template; put {n} into it`,
		"[[account]]\naor = \"sip:alice@b\"\nname = \"x{n}\"\n": `c.toml:1: key "account": has no template to make 9 accounts of; write something like aor = "sip:user{n}@example.com"`,
	} {
		if _, _, err := parse("c.toml", text, 9); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
