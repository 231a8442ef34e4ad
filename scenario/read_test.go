package scenario

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/internal/tables"
)

// Each fault is told with its line, all at once, and names what may be meant.
func TestFaults(t *testing.T) {
	const head = "name = \"n\"\n"
	for _, c := range []struct{ text, want string }{
		{"", "f.toml:1: key \"name\": is missing; say in a sentence what happens\nf.toml:1: key \"step\": is missing; write [[step]], once or more"},
		{"name = \"n\"\n[[step]]\nwait = \"1s\nx", "f.toml:3: strings cannot contain newlines"},
		{head + "profil = \"rfc\"\n[[step]]\nwait = \"1s\"", `f.toml:2: key "profil": is unknown here; the nearest known one is "profile"`},
		{head + "profile = \"asterisk\"\n[[step]]\nwait = \"1s\"", `f.toml:2: key "profile": is "asterisk", must be one of [rfc kamailio kamailio-scscf clearwater]`},
		{head + "of = true\n[[step]]\nwait = \"1s\"", `f.toml:2: key "of": is true, must be a text that is not empty`},
		{head + "[step]\nwait = \"1s\"\n[[step]]\nwait = \"1s\"", `f.toml:4: `},
		{head + "[[stop]]\nwait = \"1s\"\n[[step]]\nwait = \"1s\"", `f.toml:2: key "stop": is an unknown table; known are [account], [define] and [[step]]`},
		{head + "[[step]]\n\nwait = 5", `f.toml:4: key "wait": is "5", must be a time such as "500ms", "90s" or "1h30m"`},
		{head + "[[step]]\nbody = \"x\"", `f.toml:2: key "step": does nothing; it has one of answer, await, command, delay, expect, lose, never, notify, repeat, send, silence, user, wait`},
		{head + "[[step]]\nawait = \"REGISTER\"\nwait = \"1s\"", `f.toml:4: key "wait": is a second verb beside "await"; a step has one`},
		{head + "[[step]]\nawait = \"REGISTER\"\nbody = \"x\"", `f.toml:4: key "body": is unknown here; the nearest known one is "with"`},
		{head + "[[step]]\nanswer = \"REGISTER\"\nstatus = 100", `f.toml:4: key "status": is "100", must be a whole number from 200 to 699`},
		{head + "[[step]]\nanswer = \"REGISTER\"\nstatus = 200\nsilent = true", `f.toml:2: key "answer": has two of status, raw and silent`},
		{head + "[[step]]\nanswer = \"REGISTER\"\nheaders = [\"Expires\"]", `f.toml:4: key "headers": is "[Expires]", must be a list of header fields, such as ["Retry-After: 60"]`},
		{head + "[[step]]\nnotify = \"active\"\nbody = \"{contcat}\"", `f.toml:4: key "body": has the placeholder {contcat}, which is unknown; the nearest known one is {contact}`},
		{head + "[define]\nours = \"{contact}\"\n[[step]]\nnotify = \"active\"\nbody = '''\n<x>\n{our}'''", `f.toml:6: key "body": has the placeholder {our}, which is unknown; the nearest known one is {ours}`},
		{head + "[define]\ncontact = \"x\"\n[[step]]\nwait = \"1s\"", `f.toml:3: key "contact": is a placeholder already`},
		{head + "[[step]]\nlose = \"the answer\"", `f.toml:3: key "lose": is "the answer", must be a method such as "NOTIFY", or "answer to REGISTER"`},
		{head + "[[step]]\nexpect = \"registered\"", `f.toml:3: key "expect": is "registered", must be a table of an event's fields, such as {kind = "contact", own = true}`},
		{head + "[[step]]\nnotify = \"active\"\ndialog = \"other\"", `f.toml:4: key "dialog": is "other", must be one of ["earlier" "fork"]`},
	} {
		_, err := Parse("f.toml", c.text)
		var faults tables.Faults
		if !errors.As(err, &faults) || err.Error() != c.want && (!strings.HasSuffix(c.want, ": ") || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	if _, err := Load("none.toml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestParse(t *testing.T) {
	s, err := Parse("f.toml", `
name = "n"
of = "a clause"
profile = "kamailio"
[account]
expires = 600
[account.on]
probation = "auto"
[define]
ours = "<{contact}>"
[[step]]
expect = {kind = "contact", own = true, cseq = 5, evidence = ["a", "b"]}
after = "58s"
[[step]]
notify = ""
event = "reg;id=1"
cseq = 3
answered = 481
`)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "n" || s.Of != "a clause" || s.Profile != "kamailio" || len(s.Account) != 2 || len(s.Steps) != 2 {
		t.Fatalf("%+v", s)
	}
	e, n := s.Steps[0], s.Steps[1]
	if e.Verb != Expect || e.Line != 11 || e.After != 58*time.Second || e.Within != time.Minute || e.Fields["own"] != true || e.Fields["cseq"] != int64(5) {
		t.Errorf("%+v", e)
	}
	if n.Verb != Notify || n.Text != "" || n.Event != "reg;id=1" || n.CSeq != 3 || n.Answered != 481 {
		t.Errorf("%+v", n)
	}
}

func TestFill(t *testing.T) {
	own := map[string]string{"ours": "<{contact} {cseq-2}>"}
	value := func(name string) string {
		return map[string]string{"contact": "sip:a@b", "cseq": "7", "register.Call-ID": "x{cseq}"}[name]
	}
	for text, want := range map[string]string{
		"{ours} {cseq+10}": "<sip:a@b 5> 17", "{register.Call-ID}": "x{cseq}", "{contact-1}": "sip:a@b", "{ } {} {A} {1}": "{ } {} {A} {1}",
	} {
		if got := fill(text, own, value); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := placeholders("{a} {b.C-D+1} {a}"); !slices.Equal(got, []string{"a", "b.C-D"}) {
		t.Errorf("%q", got)
	}
}

// The page for those who write scenarios explains each verb, key and placeholder,
// and the scenario that it shows is one.
func TestPage(t *testing.T) {
	const file = "../docs/scenarios.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	explained := func(name string) {
		t.Helper()
		if !strings.Contains(page, "`"+name) && !strings.Contains(page, "`{"+name+"}`") {
			t.Errorf("%s does not explain %s", file, name)
		}
	}
	for verb, keys := range beside {
		explained(string(verb))
		for _, key := range keys {
			explained(key)
		}
	}
	for name := range known {
		explained(name)
	}
	_, shown, _ := strings.Cut(page, "```toml\n")
	shown, _, _ = strings.Cut(shown, "```")
	if _, err := Parse(file, shown); err != nil {
		t.Error(err)
	}
}
