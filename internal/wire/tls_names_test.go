package wire

import (
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"testing"

	"regwatch/internal/testcert"
)

// RFC 5922 7.1 and 7.2, clause by clause.
func TestNamesOfCertificate(t *testing.T) {
	authority := testcert.NewAuthority(t, "names")
	type names struct {
		uris, dns []string
		ips       []string
		cn        string
	}
	for _, c := range []struct {
		clause, name string
		has          names
		identities   []string
		yes, no      []string
	}{
		{"7.1", "a SIP URI", names{uris: []string{"sip:example.com"}}, []string{"example.com"}, []string{"example.com"}, []string{"sip.example.com", "example.net"}},
		{"7.1", "the scheme in any case", names{uris: []string{"SIP:example.com"}}, []string{"example.com"}, []string{"example.com"}, nil},
		{"7.1", "another scheme is none", names{uris: []string{"sips:example.com", "https://example.com", "im:example.com"}}, nil, nil, []string{"example.com"}},
		{"7.1", "a user is no domain", names{uris: []string{"sip:alice@example.com"}}, nil, nil, []string{"example.com"}},
		{"7.1", "a domain beside a user", names{uris: []string{"sip:alice@a.example", "sip:b.example"}}, []string{"b.example"}, []string{"b.example"}, []string{"a.example"}},
		{"7.1", "DNS", names{dns: []string{"example.com", "sip.example.com"}}, []string{"example.com", "sip.example.com"},
			[]string{"example.com", "sip.example.com"}, []string{"www.example.com"}},
		{"7.1", "DNS only without a SIP URI", names{uris: []string{"sip:a.example"}, dns: []string{"b.example"}}, []string{"a.example"},
			[]string{"a.example"}, []string{"b.example"}},
		{"7.1", "DNS beside a URI that is none of SIP's", names{uris: []string{"sip:alice@a.example", "https://c.example"}, dns: []string{"b.example"}},
			[]string{"b.example"}, []string{"b.example"}, []string{"a.example", "c.example"}},
		{"7.1", "CN without any subjectAltName", names{cn: "example.com"}, []string{"example.com"}, []string{"example.com"}, []string{"sip.example.com"}},
		{"7.1", "CN beside DNS", names{cn: "example.com", dns: []string{"example.net"}}, []string{"example.net"}, []string{"example.net"}, []string{"example.com"}},
		{"7.1", "CN beside a subjectAltName of another kind", names{cn: "example.com", ips: []string{"192.0.2.1"}}, nil, nil, []string{"example.com"}},
		{"7.1", "CN beside a URI that is no domain", names{cn: "example.com", uris: []string{"sip:alice@example.com"}}, nil, nil, []string{"example.com"}},
		{"7.1", "CN that is no DNS name", names{cn: "Example Registrar"}, nil, nil, []string{"example registrar", ""}},
		{"7.2", "no parameters, no port", names{uris: []string{"sip:example.com:5061;transport=tls?a=b"}}, []string{"example.com"}, []string{"example.com"}, nil},
		{"7.2", "without regard to case", names{uris: []string{"sip:Example.COM"}}, []string{"Example.COM"}, []string{"example.com", "EXAMPLE.com"}, nil},
		{"7.2", "no suffix", names{uris: []string{"sip:example.com"}}, []string{"example.com"}, nil, []string{"foo.example.com", "com"}},
		{"7.2", "a wildcard matches itself", names{dns: []string{"*.example.com"}}, []string{"*.example.com"}, []string{"*.example.com"}, []string{"foo.example.com", "example.com"}},
		{"7.2", "a wildcard in a URI", names{uris: []string{"sip:*.example.com"}}, []string{"*.example.com"}, nil, []string{"foo.example.com"}},
		{"7.2", "a wildcard as CN", names{cn: "*.example.com"}, nil, nil, []string{"foo.example.com"}},
		{"7.2", "an internationalised name in its A-labels", names{dns: []string{"xn--mller-kva.example"}}, []string{"xn--mller-kva.example"}, []string{"XN--MLLER-KVA.example"}, nil},
		{"5280 4.2.1.6", "an address is an iPAddress", names{ips: []string{"192.0.2.1", "2001:db8::1"}}, nil, []string{"192.0.2.1", "2001:db8::1", "2001:DB8:0::1"}, []string{"192.0.2.2"}},
		{"5280 4.2.1.6", "an address is no DNS name", names{dns: []string{"192.0.2.1"}}, []string{"192.0.2.1"}, nil, []string{"192.0.2.1"}},
		{"5280 4.2.1.6", "an address is no CN", names{cn: "192.0.2.1"}, []string{"192.0.2.1"}, nil, []string{"192.0.2.1"}},
	} {
		t.Run(c.clause+" "+c.name, func(t *testing.T) {
			leaf := authority.Issue(func(to *x509.Certificate) {
				to.Subject.CommonName, to.DNSNames = c.has.cn, c.has.dns
				for _, ip := range c.has.ips {
					to.IPAddresses = append(to.IPAddresses, net.ParseIP(ip))
				}
				for _, text := range c.has.uris {
					uri, err := url.Parse(text)
					if err != nil {
						t.Fatal(err)
					}
					to.URIs = append(to.URIs, uri)
				}
			}).Leaf
			if got := sipIdentities(leaf); !slices.Equal(got, c.identities) {
				t.Errorf("identities %q, want %q", got, c.identities)
			}
			for _, name := range c.yes {
				if !hasName(leaf, name) {
					t.Errorf("%q is not named", name)
				}
			}
			for _, name := range c.no {
				if hasName(leaf, name) {
					t.Errorf("%q is named", name)
				}
			}
		})
	}
}

// RFC 5922 4: the name asked for is of the URI, whatever the DNS made of it.
func TestPeerOf(t *testing.T) {
	for _, c := range []struct{ uri, serverName, want string }{
		{"sip:Example.COM.", "", "example.com"},
		{"sips:alice@example.com:5061;lr", "", "example.com"},
		{"sip:example.com;maddr=192.0.2.1", "", "example.com"},
		{"sips:192.0.2.1:5061", "", "192.0.2.1"},
		{"sips:[2001:db8::1]:5061", "", "2001:db8::1"},
		{"sips:192.0.2.1", "Example.net", "example.net"},
	} {
		settings := TLSSettings{ServerName: c.serverName}
		if got := PeerOf(c.uri, settings); got != (Peer{Name: c.want, TLS: settings}) {
			t.Errorf("%s: %+v", c.uri, got)
		}
	}
}
