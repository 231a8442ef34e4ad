package ua_test

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"regwatch/internal/testcert"
	"regwatch/internal/wire"
	"regwatch/reginfo/finding"
	"regwatch/registrar"
	"regwatch/ua"
)

// inTLSLab is inLab with a registrar that has a certificate for names, by an
// authority that the accounts are to be told of. change may be nil.
func inTLSLab(t *testing.T, o registrar.Options, names []string, change func(*tls.Config, *testcert.Authority), f func(*lab, ua.TLS)) {
	t.Helper()
	o.TLS = new(tls.Config) // certificates need the clock of the lab
	inLab(t, o, func(l *lab) {
		authority := testcert.NewAuthority(l.t, "lab CA")
		l.options.TLS.Certificates = []tls.Certificate{authority.For(names...)}
		if change != nil {
			change(l.options.TLS, authority)
		}
		f(l, ua.TLS{CAFile: authority.File()})
	})
}

// The whole of it over TLS: registered, watched, kicked and back, the connection
// lost and made anew; and transport=tls is written nowhere (RFC 3261 26.2.2).
func TestAgentOverTLS(t *testing.T) {
	for _, c := range []struct {
		name    string
		account func(*ua.Account)
		contact string // its beginning
		end     string
	}{
		{"by the transport", func(a *ua.Account) { a.Transport = "tls" }, "sip:alice@192.0.2.7:", ";transport=tcp"}, // RFC 5630 5.1.1.1
		{"by a sips proxy", func(a *ua.Account) { a.OutboundProxy = []string{"sips:example.com"} }, "sips:alice@192.0.2.7:", ""},
		{"by a sips AOR", func(a *ua.Account) { a.AOR = "sips:alice@example.com" }, "sips:alice@192.0.2.7:", ""},
		{"by a sips AOR and a sip proxy", func(a *ua.Account) {
			a.AOR, a.OutboundProxy = "sips:alice@example.com", []string{"sip:example.com"}
		}, "sips:alice@192.0.2.7:", ""},
	} {
		for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio} {
			t.Run(c.name+" "+string(profile), func(t *testing.T) {
				inTLSLab(t, registrar.Options{Users: users, Profile: profile}, []string{"example.com"}, nil, func(l *lab, trust ua.TLS) {
					a := account()
					a.TLS = trust
					a.On = map[ua.Kick]ua.Policy{ua.KickDeactivated: ua.Auto, ua.KickUnregistered: ua.Auto}
					c.account(&a)
					r := l.watch(phoneHost, "", a)
					r.watching()
					s := r.state("alice")
					contact := s.Registration.Contact
					if !strings.HasPrefix(contact, c.contact) || !strings.HasSuffix(strings.TrimLeft(contact[len(c.contact):], "0123456789"), c.end) ||
						c.end == "" && strings.Contains(contact, ";") {
						t.Errorf("contact %s", contact)
					}
					for _, g := range s.GRUUs { // RFC 5630 5.2.1
						if scheme, _, _ := strings.Cut(c.contact, ":"); !strings.HasPrefix(g.URI, scheme+":") {
							t.Errorf("GRUU %s", g.URI)
						}
					}
					if s.Flow.Transport != wire.TLS || s.Flow.Remote != registrarHost+":5061" {
						t.Errorf("flow %+v", s.Flow)
					}

					l.kickAndReset(r)
					if now := r.state("alice").Registration.Contact; now == contact {
						t.Errorf("still %s", now)
					}
					r.close()
					for _, left := range l.Bindings("alice") {
						// Without outbound the binding of the first connection is not ours to remove.
						if profile == registrar.RFC || left.URI != contact {
							t.Errorf("left behind: %+v", left)
						}
					}
					secure := 0
					for _, m := range r.trace.Messages() {
						if m.Transport != wire.TLS || strings.Contains(string(m.Raw), "transport=tls") {
							t.Errorf("over %s:\n%s", m.Transport, m.Raw)
						}
						if strings.HasPrefix(m.Header("Route", ""), "<sips:") {
							secure++
						}
					}
					if len(a.OutboundProxy) > 0 && secure == 0 {
						t.Error("no Route is a sips: one")
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

// kickAndReset kicks alice, who comes back by herself, and then breaks her
// connection, which she makes anew within a minute.
func (l *lab) kickAndReset(r *run) {
	l.t.Helper()
	if err := l.Deactivate("alice", ""); err != nil {
		l.t.Fatal(err)
	}
	r.awaitAction(ua.Reregistering)
	r.awaitRegistration(ua.Registered)

	l.net.Reset(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
	lost := time.Now()
	r.awaitRegistration(ua.Retrying)
	r.watching()
	if took := time.Since(lost); took > time.Minute {
		l.t.Errorf("back after %v", took)
	}
}

// A certificate that is not the registrar's: nothing is sent, the reason stands
// in the state, and it is tried again as seldom as after any failure.
func TestCertificateIsNotTheRegistrars(t *testing.T) {
	inTLSLab(t, registrar.Options{Users: users}, []string{"sip.example.com", "*.example.com"}, nil, func(l *lab, trust ua.TLS) {
		a := account()
		a.Transport, a.TLS = "tls", trust
		r := l.watch(phoneHost, "", a)
		d := r.awaitRegistration(ua.Retrying)
		if !strings.Contains(d.Reason, "TLS with 192.0.2.1:5061: the certificate does not name example.com") || d.RetryIn < ua.Seconds(10*time.Second) {
			t.Errorf("told as %+v", d)
		}
		if f := r.state("alice").Flow; f.Up || !strings.Contains(f.Cause, "does not name example.com") {
			t.Errorf("flow %+v", f)
		}
		time.Sleep(time.Hour)
		attempts := 0
		for _, d := range all[ua.RegistrationDetail](r) {
			if d.State == ua.Retrying {
				attempts++
			}
		}
		if attempts < 3 || attempts > 12 {
			t.Errorf("%d attempts in an hour", attempts)
		}
		if n := len(r.trace.Messages()); n > 0 {
			t.Errorf("%d messages were sent", n)
		}
		r.kill()
	})
}

// RFC 3261 26.3.2.1: what the certificate forbids is not done in the clear with
// the domain's next target, however often it is tried.
func TestDistrustIsNoWayAroundTLS(t *testing.T) {
	inTLSLab(t, registrar.Options{Users: users}, []string{"other.example"}, nil, func(l *lab, trust ua.TLS) {
		server := l.net.Nameserver("192.0.2.53",
			`naptr.example. 60 IN NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.naptr.example.`, `naptr.example. 60 IN NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp.naptr.example.`,
			`_sips._tcp.naptr.example. 60 IN SRV 1 1 5061 h.naptr.example.`, `_sip._udp.naptr.example. 60 IN SRV 1 1 5060 h.naptr.example.`,
			`h.naptr.example. 60 IN A `+registrarHost)
		defer server.Close()
		l.net.SetNameservers(5*time.Second, 2, server)
		a := account()
		a.AOR, a.TLS = "sip:alice@naptr.example", trust
		r := l.watch(phoneHost, "", a)
		for range 3 {
			if d := r.awaitRegistration(ua.Retrying); !strings.Contains(d.Reason, "does not name naptr.example") {
				t.Errorf("told as %+v", d)
			}
		}
		if n := len(r.trace.Messages()); n > 0 {
			t.Errorf("%d messages were sent", n)
		}
		r.kill()
	})
}

// A sips: AOR asks for TLS on each hop (RFC 3261 26.2.2): where there is none,
// nothing is sent.
func TestSIPSIsNeverSentInTheClear(t *testing.T) {
	for _, c := range []struct {
		change   func(*ua.Account)
		key, why string // of Check; else the reason of the state
	}{
		{func(*ua.Account) {}, "", "connection refused"},
		{func(a *ua.Account) { a.Transport = "tcp" }, "", "192.0.2.1:5061: dial"},
		{func(a *ua.Account) { a.OutboundProxy = []string{"sip:example.com;transport=udp"} }, "", `asks for TLS over "udp"`},
		{func(a *ua.Account) { a.OutboundProxy = []string{"sip:example.com:5060"} }, "", "does not speak TLS|no answer to the TLS handshake|closed during the TLS handshake"},
		{func(a *ua.Account) { a.Transport = "udp" }, "transport", "cannot carry"},
		{func(a *ua.Account) { a.Registrar = "sip:example.com" }, "registrar", "is not sips:"},
		{func(a *ua.Account) { a.Registrar = "sips:example.com;transport=tls" }, "registrar", "transport=tls"},
		{func(a *ua.Account) { a.OutboundProxy = []string{"sip:example.com;transport=TLS"} }, "outbound_proxy", "transport=TLS"},
	} {
		inLab(t, registrar.Options{Users: users}, func(l *lab) {
			a := account()
			a.AOR = "sips:alice@example.com"
			c.change(&a)
			err := a.Check()
			var wrong *ua.FieldError
			if errors.As(err, &wrong) != (c.key != "") || wrong != nil && (wrong.Key != c.key || !strings.Contains(wrong.Fault, c.why)) {
				t.Errorf("%s: %v", c.why, err)
			}
			if err != nil {
				return
			}
			r := l.watch(phoneHost, "", a)
			d := r.awaitRegistration(ua.Retrying)
			fits := false
			for why := range strings.SplitSeq(c.why, "|") {
				fits = fits || strings.Contains(d.Reason, why)
			}
			if !fits {
				t.Errorf("told as %q, want %q", d.Reason, c.why)
			}
			time.Sleep(10 * time.Minute)
			if n := len(r.trace.Messages()); n > 0 {
				t.Errorf("%d messages were sent", n)
			}
			r.kill()
		})
	}
}

// Two accounts at one registrar share a connection where they ask for the same
// name with the same settings, and only there.
func TestTLSConnectionsOfTwoAccounts(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ua.Account)
		shared bool
	}{
		{"the same name", func(*ua.Account) {}, true},
		{"another name", func(a *ua.Account) { a.AOR = "sip:bob@example.net" }, false},
		{"other settings", func(a *ua.Account) { a.TLS.MinVersion = "1.3" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inTLSLab(t, registrar.Options{Users: users}, []string{"example.com", "example.net"}, nil, func(l *lab, trust ua.TLS) {
				l.net.Name("example.net", netip.MustParseAddr(registrarHost))
				a, b := account(), account()
				b.AOR, b.Password = "sip:bob@example.com", func() (string, error) { return "hidden", nil }
				a.Transport, a.TLS, b.Transport, b.TLS = "tls", trust, "tls", trust
				c.change(&b)
				r := l.watch(phoneHost, "", a, b)
				for range 2 {
					r.awaitSubscription(ua.Active)
				}
				first, second := r.state("alice").Flow, r.state("bob").Flow
				if !first.Up || !second.Up || (first.Local == second.Local) != c.shared {
					t.Errorf("%+v, %+v", first, second)
				}
				r.close()
			})
		})
	}
}

// A registrar that wants our certificate, and says no in the middle of the first
// REGISTER, as TLS 1.3 has it: told in words, and no hot loop.
func TestRegistrarWantsOurCertificate(t *testing.T) {
	inTLSLab(t, registrar.Options{Users: users}, []string{"example.com"}, func(c *tls.Config, authority *testcert.Authority) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, authority.Pool()
	}, func(l *lab, trust ua.TLS) {
		a := account()
		a.Transport, a.TLS = "tls", trust
		r := l.watch(phoneHost, "", a)
		if d := r.awaitRegistration(ua.Retrying); !strings.Contains(d.Reason, "the server asks for a certificate of ours, and there is none") || d.RetryIn < ua.Seconds(10*time.Second) {
			t.Errorf("told as %+v", d)
		}
		time.Sleep(time.Hour)
		if n := r.sent("REGISTER"); n > 12 {
			t.Errorf("%d requests in an hour", n)
		}
		r.kill()

		a.TLS.CertFile, a.TLS.KeyFile = testcert.Files(t, testcert.NewAuthority(t, "stranger").For("alice"))
		r = l.watch(phoneHost, "", a)
		if d := r.awaitRegistration(ua.Retrying); !strings.Contains(d.Reason, "the server refuses our certificate") {
			t.Errorf("told as %+v", d)
		}
		r.kill()
	})
}

func TestNoticesOfTLS(t *testing.T) {
	inTLSLab(t, registrar.Options{Users: users}, []string{"other.example"}, nil, func(l *lab, trust ua.TLS) {
		a := account()
		a.Transport, a.TLS = "tls", ua.TLS{InsecureSkipVerify: true}
		r := l.watch(phoneHost, "", a)
		r.watching()
		if n := r.state("alice").Notices; len(n) != 1 || !strings.Contains(n[0], "not checked") {
			t.Errorf("notices %q", n)
		}
		r.close()
	})
}
