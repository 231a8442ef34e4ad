package wire_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/testcert"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

var tlsAddr = netip.MustParseAddrPort("192.0.2.2:5061")

// tlsServer listens for TLS on the network and answers every request.
func tlsServer(t *testing.T, n *memnet.Net, config *tls.Config) *wire.Stack {
	t.Helper()
	stack, err := wire.OpenStack(t.Context(), wire.Options{Network: n.Host("192.0.2.2"), Transport: wire.TLS, Local: tlsAddr, Listen: true, TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	stack.Attach("", func(in *wire.Incoming) { in.Respond(wire.Answer{Status: 200, Reason: "OK"}) })
	return stack
}

func options(cseq string) *wire.Request {
	return &wire.Request{Method: "OPTIONS", URI: "sip:example.com", Headers: wire.Headers{
		{Name: "From", Value: "<sip:a@example.com>;tag=1"}, {Name: "To", Value: "<sip:a@example.com>"},
		{Name: "Call-ID", Value: "tls"}, {Name: "CSeq", Value: cseq + " OPTIONS"},
	}}
}

// Each check of a handshake, and what is told of it.
func TestHandshakeFailures(t *testing.T) {
	const asked = "example.com"
	serve := func(change func(*x509.Certificate)) func(*testcert.Authority) *tls.Config {
		return func(a *testcert.Authority) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{a.Issue(func(c *x509.Certificate) {
				c.Subject.CommonName, c.DNSNames = "the server", []string{asked}
				change(c)
			})}}
		}
	}
	good := serve(func(*x509.Certificate) {})
	for _, c := range []struct {
		name     string
		server   func(*testcert.Authority) *tls.Config
		raw      func(net.Conn) // instead of server
		settings func(*testing.T, *wire.TLSSettings)
		check    wire.TLSCheck // "": it works
		says     string
	}{
		{name: "all is well", server: good},
		{name: "a SIP URI", server: serve(func(c *x509.Certificate) { c.URIs, c.DNSNames = []*url.URL{{Scheme: "sip", Opaque: asked}}, nil })},
		{name: "unknown authority", check: wire.TLSAuthority, says: "no authority that we trust: give its CA with ca_file or --ca (asked for example.com; subject CN=the server; names example.com; issuer CN=test CA; valid from ",
			server: good, settings: func(t *testing.T, s *wire.TLSSettings) { s.CAFile = testcert.NewAuthority(t, "another CA").File() }},
		{name: "expired", check: wire.TLSExpired, says: "the certificate expired on 1999-12-31 23:00 UTC: it is to be renewed there, or the clock is wrong here (asked for",
			server: serve(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Hour)
			})},
		{name: "not yet valid", check: wire.TLSNotYetValid, says: "the certificate is not valid before 2000-01-01 01:00 UTC: is the clock wrong here?",
			server: serve(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })},
		{name: "usage", check: wire.TLSUsage, says: "the certificate is not for servers",
			server: serve(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })},
		{name: "usage: id-kp-sipDomain (RFC 5924)", server: serve(func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 20}}
		})},
		{name: "usage: none said", server: serve(func(c *x509.Certificate) { c.ExtKeyUsage = nil })},
		{name: "name", check: wire.TLSName, says: "the certificate does not name example.com: if it is the right one all the same, set server_name (asked for example.com; subject CN=the server; names sip.example.com; issuer",
			server: serve(func(c *x509.Certificate) { c.DNSNames = []string{"sip.example.com"} })},
		{name: "name: a wildcard", check: wire.TLSName, says: "does not name sip.example.com",
			server:   serve(func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} }),
			settings: func(_ *testing.T, s *wire.TLSSettings) { s.ServerName = "sip.example.com" }},
		{name: "name: set by server_name", server: serve(func(c *x509.Certificate) { c.DNSNames = []string{"sip.example.com"} }),
			settings: func(_ *testing.T, s *wire.TLSSettings) { s.ServerName = "SIP.example.com" }},
		{name: "name: long and many", check: wire.TLSName, says: "aaa..., b.example, b.example, b.example, b.example, b.example, b.example, b.example; issuer",
			server: serve(func(c *x509.Certificate) {
				c.DNSNames = append([]string{strings.Repeat("a", 250)}, strings.Split(strings.Repeat("b.example ", 500), " ")[:500]...)
			})},
		{name: "nothing is checked", server: serve(func(c *x509.Certificate) { c.DNSNames = nil }),
			settings: func(_ *testing.T, s *wire.TLSSettings) { s.CAFile, s.InsecureSkipVerify = "", true }},
		{name: "version", check: wire.TLSVersion, says: "no common version of TLS: see min_version",
			server: func(a *testcert.Authority) *tls.Config {
				c := good(a)
				c.MaxVersion = tls.VersionTLS12
				return c
			}, settings: func(_ *testing.T, s *wire.TLSSettings) { s.MinVersion = "1.3" }},
		{name: "version: an old server", check: wire.TLSVersion, says: "no common version of TLS",
			server: func(a *testcert.Authority) *tls.Config {
				c := good(a)
				c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
				return c
			}},
		{name: "no TLS", check: wire.TLSNoTLS, says: "what answers does not speak TLS: is it the port for TLS, as a rule 5061?",
			raw: func(conn net.Conn) { conn.Write([]byte("SIP/2.0 400 Bad Request\r\n\r\n")) }},
		{name: "closed", check: wire.TLSClosed, says: "closed during the TLS handshake", raw: func(conn net.Conn) { conn.Close() }},
		{name: "silent", check: wire.TLSSilent, says: "no answer to the TLS handshake", raw: func(net.Conn) {}},
		{name: "refused", check: wire.TLSRefused, says: "TLS handshake failed: unrecognized name",
			server: func(*testcert.Authority) *tls.Config {
				return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return &tls.Config{GetCertificate: unknownName}, nil }}
			}},
		{name: "settings", check: "", says: `tls: ca_file "/none": cannot be read: no such file or directory`, server: good,
			settings: func(_ *testing.T, s *wire.TLSSettings) { s.CAFile = "/none" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
				if c.raw != nil {
					defer listenRaw(t, n, tlsAddr, c.raw)()
				} else {
					defer tlsServer(t, n, c.server(authority)).Close()
				}
				settings := wire.TLSSettings{CAFile: authority.File()}
				if c.settings != nil {
					c.settings(t, &settings)
				}
				stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
				defer stacks.Close()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				flow, err := stacks.Flow(ctx, wire.Target{Transport: wire.TLS, Addr: tlsAddr}, netip.AddrPort{}, wire.PeerOf("sip:"+asked, settings))
				if c.says == "" {
					if err != nil {
						t.Fatal(err)
					}
					if response, err := flow.Do(t.Context(), options("1")); err != nil || response.Status != 200 {
						t.Errorf("answered %+v, %v", response, err)
					}
					return
				}
				if !errors.Is(err, wire.ErrTransport) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("said: %v\nwant: %s", err, c.says)
				}
				var fault *wire.TLSError
				if errors.As(err, &fault) != (c.check != "") {
					t.Fatalf("error %v", err)
				}
				if fault != nil && (fault.Check != c.check || fault.Asked == "") {
					t.Errorf("check %q of %q, want %q", fault.Check, fault.Asked, c.check)
				}
			})
		})
	}
}

func unknownName(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }

// listenRaw lets a test speak for a server, in bytes of its own.
func listenRaw(t *testing.T, n *memnet.Net, at netip.AddrPort, speak func(net.Conn)) (end func()) {
	t.Helper()
	listener, err := n.Host("192.0.2.2").Listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			speak(conn)
		}
	}()
	return func() { listener.Close() }
}

// A server that wants a certificate of ours: given, missing, and of a CA that it
// does not know. In TLS 1.3 its verdict comes when the handshake is over for us.
func TestClientCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name, says string
			ours       func(known, other *testcert.Authority) *testcert.Authority
		}{
			{"given", "", func(known, _ *testcert.Authority) *testcert.Authority { return known }},
			{"missing", "the server asks for a certificate of ours, and there is none: see cert_file and key_file",
				func(_, _ *testcert.Authority) *testcert.Authority { return nil }},
			{"unknown", "the server refuses our certificate: ", func(_, other *testcert.Authority) *testcert.Authority { return other }},
		} {
			t.Run(tls.VersionName(version)+" "+c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
					defer tlsServer(t, n, &tls.Config{
						Certificates: []tls.Certificate{authority.For("example.com")}, MaxVersion: version,
						ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool(),
					}).Close()
					settings := wire.TLSSettings{CAFile: authority.File()}
					if by := c.ours(authority, testcert.NewAuthority(t, "another CA")); by != nil {
						settings.CertFile, settings.KeyFile = testcert.Files(t, by.For("alice"))
					}
					stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
					defer stacks.Close()
					flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TLS, Addr: tlsAddr}, netip.AddrPort{}, wire.PeerOf("sip:example.com", settings))
					if err == nil {
						_, err = flow.Do(t.Context(), options("1"))
					}
					if c.says == "" {
						if err != nil {
							t.Error(err)
						}
						return
					}
					var fault *wire.TLSError
					if !errors.As(err, &fault) || fault.Check != wire.TLSOurs || !strings.Contains(err.Error(), c.says) {
						t.Errorf("said: %v\nwant: %s", err, c.says)
					}
				})
			})
		}
	}
}

// The alert that says so may be lost to a reset: that the server asked, and had
// not a word for us, is enough.
func TestClientCertificateMissingAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
		defer listenRaw(t, n, tlsAddr, func(conn net.Conn) {
			tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{authority.For("example.com")}, ClientAuth: tls.RequestClientCert}).Handshake()
			n.Reset(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"))
		})()
		stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
		defer stacks.Close()
		flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TLS, Addr: tlsAddr}, netip.AddrPort{}, wire.PeerOf("sip:example.com", wire.TLSSettings{CAFile: authority.File()}))
		if err != nil {
			t.Fatal(err)
		}
		<-flow.Done()
		var fault *wire.TLSError
		if !errors.As(flow.Err(), &fault) || fault.Check != wire.TLSOurs {
			t.Errorf("lost with %v", flow.Err())
		}
	})
}

// Connections are shared where peer and settings are the same, and nowhere else.
func TestWhoSharesAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
		defer tlsServer(t, n, &tls.Config{Certificates: []tls.Certificate{authority.For("example.com", "example.net")}}).Close()
		stacks := wire.NewStacks(n.Host("192.0.2.1"), nil, nil, nil)
		defer stacks.Close()
		settings := wire.TLSSettings{CAFile: authority.File()}
		connect := func(uri string, settings wire.TLSSettings) *wire.Flow {
			t.Helper()
			flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TLS, Addr: tlsAddr}, netip.AddrPort{}, wire.PeerOf(uri, settings))
			if err != nil {
				t.Fatal(err)
			}
			return flow
		}
		first := connect("sip:example.com", settings)
		if connect("sips:Example.com:5061", settings) != first {
			t.Error("the same peer got a connection of its own")
		}
		strict := settings
		strict.MinVersion = "1.3"
		lax := settings
		lax.InsecureSkipVerify = true
		for what, flow := range map[string]*wire.Flow{
			"another name": connect("sip:example.net", settings), "other settings": connect("sip:example.com", strict), "no check": connect("sip:example.com", lax),
		} {
			if flow == first || flow.Stack() == first.Stack() {
				t.Errorf("%s shares the connection", what)
			}
		}
	})
}

// Requests go both ways over one connection, the trace has them in plain, and
// the key log has its keys.
func TestTLSFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
		n.SetDelay(10*time.Millisecond, 0)
		server := tlsServer(t, n, &tls.Config{Certificates: []tls.Certificate{authority.For("example.com")}})
		defer server.Close()
		asked := make(chan *wire.Incoming, 1)
		server.Attach("a", func(in *wire.Incoming) {
			in.Respond(wire.Answer{Status: 200, Reason: "OK"})
			asked <- in
		})
		var keys bytes.Buffer
		ring := trace.NewRing(100)
		stacks := wire.NewStacks(n.Host("192.0.2.1"), ring, &keys, nil)
		defer stacks.Close()
		peer := wire.PeerOf("sip:example.com", wire.TLSSettings{CAFile: authority.File()})
		flow, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TLS, Addr: tlsAddr}, netip.AddrPort{}, peer)
		if err != nil {
			t.Fatal(err)
		}
		flow.Stack().Attach("", func(in *wire.Incoming) { in.Respond(wire.Answer{Status: 200, Reason: "Here"}) })
		request := options("1")
		request.URI = "sip:a@example.com"
		if response, err := flow.Do(t.Context(), request); err != nil || response.Status != 200 {
			t.Fatalf("%+v, %v", response, err)
		}
		in := <-asked
		if via := in.Headers.Get("Via"); !strings.HasPrefix(via, "SIP/2.0/TLS 192.0.2.1:") || in.Transport != wire.TLS {
			t.Errorf("arrived over %s with Via %s", in.Transport, via)
		}
		if response, err := in.Flow.Do(t.Context(), options("2")); err != nil || response.Reason != "Here" {
			t.Errorf("the other way: %+v, %v", response, err)
		}
		synctest.Wait()
		messages := ring.Messages()
		if len(messages) != 4 || messages[0].Transport != wire.TLS || messages[0].StartLine() != "OPTIONS sip:a@example.com SIP/2.0" {
			t.Errorf("traced %+v", messages)
		}
		if log := keys.String(); !strings.Contains(log, "CLIENT_TRAFFIC_SECRET_0 ") || !strings.Contains(log, "SERVER_TRAFFIC_SECRET_0 ") {
			t.Errorf("key log:\n%s", log)
		}
		// The other end goes: that is told, and the next connection is another.
		n.Reset(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"))
		<-flow.Done()
		next, err := stacks.Flow(t.Context(), wire.Target{Transport: wire.TLS, Addr: tlsAddr}, netip.AddrPort{}, peer)
		if err != nil || next == flow {
			t.Fatalf("anew: %v", err)
		}
		if response, err := next.Do(t.Context(), options("3")); err != nil || response.Status != 200 {
			t.Errorf("anew: %+v, %v", response, err)
		}
	})
}

// A client that says nothing does not keep its connection.
func TestSilentTLSClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, authority := memnet.New(), testcert.NewAuthority(t, "test CA")
		defer tlsServer(t, n, &tls.Config{Certificates: []tls.Certificate{authority.For("example.com")}}).Close()
		conn, err := n.Host("192.0.2.1").Dial(t.Context(), netip.AddrPort{}, tlsAddr)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := conn.Read(make([]byte, 1)); err == nil || time.Since(began) > 10*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(began))
		}
	})
}

// What can be wrong with the files, and what is said.
func TestTLSSettings(t *testing.T) {
	authority := testcert.NewAuthority(t, "test CA")
	cert, key := testcert.Files(t, authority.For("alice"))
	_, otherKey := testcert.Files(t, authority.For("bob"))
	stale, staleKey := testcert.Files(t, authority.Issue(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Hour)
	}))
	early, earlyKey := testcert.Files(t, authority.Issue(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }))
	file := func(text string) string {
		name := t.TempDir() + "/file"
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		settings  wire.TLSSettings
		key, says string
	}{
		{wire.TLSSettings{}, "", ""},
		{wire.TLSSettings{CAFile: authority.File(), CertFile: cert, KeyFile: key, ServerName: "192.0.2.1", MinVersion: "1.3"}, "", ""},
		{wire.TLSSettings{MinVersion: "1.1"}, "min_version", `is "1.1", must be "1.2" or "1.3"`},
		{wire.TLSSettings{ServerName: "a b"}, "server_name", `"a b" has no valid host`},
		{wire.TLSSettings{CAFile: "/none"}, "ca_file", `"/none": cannot be read: no such file or directory`},
		{wire.TLSSettings{CAFile: key}, "ca_file", "no certificate in PEM form in it"},
		{wire.TLSSettings{CAFile: file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}, "ca_file", "certificate 1 in it cannot be read: malformed certificate"},
		{wire.TLSSettings{CAFile: stale}, "ca_file", "every certificate in it has expired, the last on "},
		{wire.TLSSettings{CertFile: cert}, "cert_file", "is set, and key_file is not"},
		{wire.TLSSettings{KeyFile: key}, "key_file", "is set, and cert_file is not"},
		{wire.TLSSettings{CertFile: "/none", KeyFile: key}, "cert_file", "cannot be read"},
		{wire.TLSSettings{CertFile: cert, KeyFile: "/none"}, "key_file", "cannot be read"},
		{wire.TLSSettings{CertFile: key, KeyFile: key}, "cert_file", "no certificate in PEM form in it"},
		{wire.TLSSettings{CertFile: cert, KeyFile: cert}, "key_file", "no private key in PEM form in it"},
		{wire.TLSSettings{CertFile: cert, KeyFile: otherKey}, "key_file", `does not go with the certificate of "` + cert + `": private key does not match public key`},
		{wire.TLSSettings{CertFile: cert, KeyFile: file("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")}, "key_file", "the key is encrypted: take the passphrase off"},
		{wire.TLSSettings{CertFile: stale, KeyFile: staleKey}, "cert_file", "the certificate expired on "},
		{wire.TLSSettings{CertFile: early, KeyFile: earlyKey}, "cert_file", "the certificate is not valid before "},
	} {
		err := c.settings.Check()
		if c.key == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.settings, err)
			}
			continue
		}
		var wrong *wire.TLSSettingError
		if !errors.As(err, &wrong) || wrong.Key != c.key || !strings.Contains(wrong.Fault, c.says) {
			t.Errorf("%+v:\n said %v\n want %s %s", c.settings, err, c.key, c.says)
		}
	}
}
