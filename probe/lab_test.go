package probe_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"

	"regwatch/internal/wire/memnet"
	"regwatch/probe"
	"regwatch/registrar"
	"regwatch/ua"
)

const (
	labHost   = "192.0.2.1"
	ourHost   = "192.0.2.7"
	otherHost = "203.0.113.9"
)

// lab is a registrar in a network in memory, in virtual time.
type lab struct {
	*registrar.Registrar
	t   *testing.T
	net *memnet.Net
}

func inLab(t *testing.T, o registrar.Options, f func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, net: memnet.New()}
		l.net.Name("example.com", netip.MustParseAddr(labHost))
		at := netip.MustParseAddrPort(labHost + ":5060")
		o.Network, o.Listen = l.net.Host(labHost), []registrar.Listen{{Transport: "udp", Addr: at}, {Transport: "tcp", Addr: at}}
		if o.Users == nil {
			o.Users = map[string]string{"alice": "secret", "bob": "hidden"}
		}
		var err error
		if l.Registrar, err = registrar.Start(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f(l)
	})
}

// options are those of a probe of alice, with bob for a stranger.
func (l *lab) options() probe.Options {
	return probe.Options{UA: ua.Options{Network: l.net.Host(ourHost), Version: "test"}, Account: account("alice", "secret"), Stranger: new(account("bob", "hidden"))}
}

func account(user, password string) ua.Account {
	return ua.Account{AOR: "sip:" + user + "@example.com", Password: func() (string, error) { return password, nil }}
}

// probe runs one, and looks that it leaves nothing behind.
func (l *lab) probe(ctx context.Context, o probe.Options) (*probe.Report, error) {
	l.t.Helper()
	before := l.Bindings("alice")
	report, err := probe.Run(ctx, o)
	if after := l.Bindings("alice"); len(after) > len(before) {
		l.t.Errorf("left behind: %+v", after)
	}
	return report, err
}
