package wire

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"
)

// sipDomain is id-kp-sipDomain (RFC 5924 4).
var sipDomain = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 20}

// verify judges what the peer showed: chain, times, usage (RFC 5280), then the
// name (RFC 5922 7.3). crypto/tls would take wildcards and know no URI names.
// The error is a *TLSError.
func (p Peer) verify(state tls.ConnectionState, roots *x509.CertPool, now time.Time) error {
	leaf := state.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	// RFC 5922 7.1: what extendedKeyUsage says is to be kept to. RFC 5924 5 wants
	// id-kp-sipDomain, or any, and nothing else; but authorities issue serverAuth
	// (RFC 5280 4.2.1.12), which is Verify's default, and that is what SIP servers
	// have. A certificate for SIP Verify cannot follow up the chain.
	if slices.ContainsFunc(leaf.UnknownExtKeyUsage, sipDomain.Equal) {
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}
	if _, err := leaf.Verify(options); err != nil {
		return p.chainFault(leaf, err, now)
	}
	if !hasName(leaf, p.Name) {
		return &TLSError{Check: TLSName, Asked: p.Name, Peer: summary(leaf)}
	}
	return nil
}

// verifyWeb judges by the rules of the web, where WebSockets belong: the names are
// those of RFC 6125, wildcards among them (RFC 7118 8.1, RFC 6455 4.1).
func (p Peer) verifyWeb(state tls.ConnectionState, roots *x509.CertPool, now time.Time) error {
	leaf := state.PeerCertificates[0]
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(options); err != nil {
		return p.chainFault(leaf, err, now)
	}
	if leaf.VerifyHostname(p.Name) != nil {
		return &TLSError{Check: TLSName, Asked: p.Name, Peer: summary(leaf)}
	}
	return nil
}

func (p Peer) chainFault(leaf *x509.Certificate, err error, now time.Time) error {
	fault := &TLSError{Check: TLSCertificate, Asked: p.Name, Peer: summary(leaf), Err: err}
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.SystemRootsError)):
		fault.Check = TLSAuthority
	case !errors.As(err, &invalid):
	case invalid.Reason == x509.IncompatibleUsage:
		fault.Check = TLSUsage
	case invalid.Reason == x509.Expired:
		if invalid.Cert != nil { // it need not be the last of the chain
			fault.Peer = summary(invalid.Cert)
		}
		fault.Check = TLSExpired
		if now.Before(fault.Peer.NotBefore) {
			fault.Check = TLSNotYetValid
		}
	}
	return fault
}
