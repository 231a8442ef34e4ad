package interop_test

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"regwatch/internal/interop"
	"regwatch/probe"
	"regwatch/ua"
)

var update = flag.Bool("update", false, "write testdata/probe.txt anew, which docs/probe.md shows")

// What a probe finds of Kamailio 5.6, and what it does not hold against it.
func TestProbeOfKamailio(t *testing.T) {
	t.Parallel()
	k := interop.Start(t, interop.Options{MinExpires: 5, Outbound: true})
	account := func(user string) ua.Account {
		return ua.Account{
			AOR: k.AOR(user), OutboundProxy: []string{k.URI("udp")},
			Password: func() (string, error) { return interop.Password, nil },
		}
	}
	stranger := account("bob")
	report, err := probe.Run(t.Context(), probe.Options{Account: account("alice"), Stranger: &stranger})
	if err != nil {
		t.Fatal(err)
	}
	if contacts, err := k.Contacts(k.AOR("alice")); err != nil || len(contacts) != 0 {
		t.Errorf("left behind: %v, %v", contacts, err)
	}
	want := map[string]string{ // parts of what came
		"register.cseq":       "200 OK",
		"register.require":    "200 OK",
		"register.one-answer": "got 423, and then 500",
		"gruu.call-id":        "the same again",
		"event.registered":    `event="created"`,
		"event.expired":       "without a word",
		"event.time-left":     "is terminated, with expires=",
		"event.versions":      `document 2 has version "0", expected 1`,
		"event.stranger":      "accepted, and told of",

		"document.version-repeated": "version 0 again",
	}
	// Ids are memory addresses: whether one is used again is chance.
	chance := []string{"document.contact-id-reused", "document.registration-id-changed"}
	for _, r := range report.Results {
		came, expected := want[r.ID]
		switch {
		case r.ID == "document.attribute-outside-schema":
			if r.Verdict != probe.Held || r.Came == "" {
				t.Errorf("%s: %s %q", r.ID, r.Verdict, r.Came)
			}
		case slices.Contains(chance, r.ID):
		case r.Verdict == probe.Broken && (!expected || !strings.Contains(r.Came, came)):
			t.Errorf("%s is broken: %q, want %q\n%s", r.ID, r.Came, came, strings.Join(r.Messages, "\n"))
		case r.Verdict != probe.Broken && expected:
			t.Errorf("%s is %s: %q, want broken", r.ID, r.Verdict, r.Came)
		}
		delete(want, r.ID)
	}
	if len(want) > 0 {
		t.Errorf("no result of %v", slices.Collect(maps.Keys(want)))
	}
	if *update {
		if err := os.WriteFile("testdata/probe.txt", []byte(report.Text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
