package wire

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"slices"
	"strings"
)

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// sipIdentities finds the SIP domain identities of a certificate (RFC 5922 7.1).
func sipIdentities(c *x509.Certificate) []string {
	var names []string
	for _, uri := range c.URIs {
		// "sips" is another scheme, and "//" belongs to none of SIP's.
		host, _, _ := strings.Cut(uri.Opaque, "?")
		host, _, _ = strings.Cut(host, ";")
		host, _ = splitHostPort(host)
		// A user part makes it somebody's, not the domain's.
		if strings.EqualFold(uri.Scheme, "sip") && !strings.Contains(uri.Opaque, "@") && host != "" {
			names = append(names, host)
		}
	}
	if len(names) > 0 {
		return names
	}
	if slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(subjectAltName) }) {
		return c.DNSNames
	}
	// Without any subjectAltName, and only then, the common name may serve.
	if name, err := hostName(c.Subject.CommonName); err == nil {
		names = append(names, name)
	}
	return names
}

// hasName reports whether a certificate has the name of a peer. Names are equal
// as a whole or not at all: no wildcard, no suffix (RFC 5922 7.2). An address is
// no domain; it has to be there as one (RFC 5280 4.2.1.6).
func hasName(c *x509.Certificate, name string) bool {
	if addr, err := netip.ParseAddr(name); err == nil {
		for _, ip := range c.IPAddresses {
			if other, ok := netip.AddrFromSlice(ip); ok && other.Unmap() == addr.Unmap() {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(sipIdentities(c), func(identity string) bool {
		return name != "" && strings.EqualFold(identity, name)
	})
}
