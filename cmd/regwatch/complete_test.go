package main

import (
	"strings"
	"testing"
)

// TestComplete: what a shell is offered, through the command that its script calls.
func TestComplete(t *testing.T) {
	b := newBench(t)
	b.file("config.toml", "[[account]]\naor = \"sip:alice@example.com\"\n[[account]]\nname = \"work\"\naor = \"sip:bob@example.com\"\n")
	other := b.file("other.toml", "[[account]]\naor = \"sip:carol@example.com\"\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"wa"}, "watch"},
		{[]string{"watch", ""}, ""},
		{[]string{"watch", "--account", ""}, "alice work"},
		{[]string{"watch", "--config", other, "--account", ""}, "carol"},
		{[]string{"watch", "--config", "none", "--account", ""}, ""},
		{[]string{"--account", "w"}, "work"},
		{[]string{"watch", "--until", "subs"}, "subscribed subscription-terminated"},
		{[]string{"watch", "--until", "subscribed,subs"}, "subscribed,subscription-terminated"},
		{[]string{"watch", "--until", "kicked,contact-e"}, "kicked,contact-expired"},
		{[]string{"watch", "--on", "a"}, "ask auto absent=ask absent=auto absent=never"},
		{[]string{"watch", "--on", "probation=auto,reje"}, "probation=auto,rejected=ask probation=auto,rejected=auto probation=auto,rejected=never"},
		{[]string{"--transport", "w"}, "ws wss"},
		{[]string{"lab", "--profile", "kam"}, "kamailio kamailio-scscf"},
		{[]string{"lab", "--listen", "t"}, "tcp: tls:"},
		{[]string{"lab", "--tls"}, "--tls-cert --tls-key --tls-new-ca"},
		{[]string{"watch", "--trace", ""}, "pcapng txt"}, // endings; the shell looks for the files
	} {
		if status := b.run(append([]string{"__complete"}, c.args...)...); status != 0 {
			t.Errorf("%q: status %d: %s", c.args, status, b.err.String())
		}
		var got []string
		for line := range strings.Lines(b.out.String()) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: got %q, want %q", c.args, strings.Join(got, " "), c.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if status := b.run("completion", shell); status != 0 || !strings.Contains(b.out.String(), "__complete") {
			t.Errorf("%s: status %d: %s", shell, status, b.err.String())
		}
	}
}
