package ua_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo/finding"
	"regwatch/registrar"
	"regwatch/ua"
)

// RFC 7118: the whole of it over WebSockets: registered under a host of nobody,
// watched, kicked and back, kept alive by pings, the connection lost and made anew
// under the same Contact.
func TestAgentOverWebSocket(t *testing.T) {
	for _, c := range []struct {
		name      string
		account   func(*ua.Account)
		transport string
		remote    string
		contact   string // its scheme
	}{
		{"ws", func(a *ua.Account) { a.Transport = "ws" }, wire.WS, ":80", "sip:"},
		{"by the URI", func(a *ua.Account) { a.OutboundProxy = []string{"sip:example.com;transport=ws"} }, wire.WS, ":80", "sip:"},
		{"wss", func(a *ua.Account) { a.Transport = "wss" }, wire.WSS, ":443", "sip:"},
		{"by a sips URI", func(a *ua.Account) { a.OutboundProxy = []string{"sips:example.com;transport=ws"} }, wire.WSS, ":443", "sips:"},
		{"by a sips AOR", func(a *ua.Account) { a.AOR, a.Transport = "sips:alice@example.com", "ws" }, wire.WSS, ":443", "sips:"},
	} {
		for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio} {
			t.Run(c.name+" "+string(profile), func(t *testing.T) {
				// By the web's rules a wildcard names the host.
				inTLSLab(t, registrar.Options{Users: users, Profile: profile}, []string{"*.com", "example.com"}, nil, func(l *lab, trust ua.TLS) {
					a := account()
					a.TLS = trust
					a.On = map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Auto, ua.KickUnregistered: ua.Auto}
					c.account(&a)
					r := l.watch(phoneHost, "", a)
					r.watching()
					s := r.state("alice")
					contact := s.Registration.Contact
					if !strings.HasPrefix(contact, c.contact+"alice@") || !strings.HasSuffix(contact, ".invalid;transport=ws") {
						t.Errorf("contact %s", contact)
					}
					if s.Flow.Transport != c.transport || s.Flow.Remote != registrarHost+c.remote {
						t.Errorf("flow %+v", s.Flow)
					}
					time.Sleep(time.Minute)
					if s := r.state("alice"); s.Flow.KeepAlive != "WebSocket ping" || s.Flow.Answered.IsZero() {
						t.Errorf("kept alive by %q, answered %v", s.Flow.KeepAlive, s.Flow.Answered)
					}

					l.kickAndReset(r)
					if now := r.state("alice").Registration.Contact; now != contact {
						t.Errorf("now %s, before %s", now, contact)
					}
					r.close()
					if left := l.Bindings("alice"); len(left) > 0 {
						t.Errorf("left behind: %+v", left)
					}
					for _, m := range r.trace.Messages() {
						via, _, _ := strings.Cut(m.Header("Via", ""), ";")
						if m.Transport != c.transport || !strings.HasPrefix(via, "SIP/2.0/"+strings.ToUpper(c.transport)+" ") {
							t.Errorf("over %s:\n%s", m.Transport, m.Raw)
						}
					}
					for _, f := range all[ua.FindingDetail](r) {
						if profile == registrar.RFC && f.Severity == finding.Error {
							t.Errorf("finding %+v", f)
						}
					}
				})
			})
		}
	}
}

// RFC 6455 5.5.2: a server that answers no ping is gone, though its connection is
// still there.
func TestWebSocketThatIsDead(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport = "ws"
		r := l.watch(phoneHost, "", a)
		r.watching()
		l.net.Cut(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
		cut := time.Now()
		r.awaitRegistration(ua.Retrying)
		if took := time.Since(cut); took > 45*time.Second {
			t.Errorf("found out after %v", took)
		}
		r.kill()
	})
}
