package interop_test

import (
	"testing"

	"regwatch/internal/interop"
	"regwatch/probe"
	"regwatch/ua"
)

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
	t.Log(report.Text())
	for _, r := range report.Results {
		for _, m := range r.Messages {
			t.Log(r.ID, m)
		}
	}
	if contacts, err := k.Contacts(k.AOR("alice")); err != nil || len(contacts) != 0 {
		t.Errorf("left behind: %v, %v", contacts, err)
	}
}
