package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"
)

// TLSCheck names what a TLS handshake failed at.
type TLSCheck string

// The checks.
const (
	TLSAuthority   TLSCheck = "authority"       // the certificate leads to no CA that we trust
	TLSExpired     TLSCheck = "expired"         // its time is over
	TLSNotYetValid TLSCheck = "not yet valid"   // its time is to come
	TLSUsage       TLSCheck = "usage"           // it was not issued for servers
	TLSName        TLSCheck = "name"            // it does not name whom we asked for
	TLSCertificate TLSCheck = "certificate"     // it cannot be read, or breaks another rule of RFC 5280
	TLSVersion     TLSCheck = "version"         // no version of TLS that both sides take
	TLSOurs        TLSCheck = "our certificate" // the peer wants one of ours, or refuses the one it got
	TLSNoTLS       TLSCheck = "no TLS"          // what answers does not speak TLS
	TLSClosed      TLSCheck = "closed"          // the peer went away during the handshake
	TLSSilent      TLSCheck = "silent"          // nothing came in time
	TLSRefused     TLSCheck = "refused"         // the peer, or crypto/tls, ended it for another reason
)

// TLSError is a TLS connection that could not be made, or was ended over a
// certificate. Its texts may come from the network: they are bounded, and to be
// shown made visible.
type TLSError struct {
	Check TLSCheck
	Asked string           // name that the certificate has to have
	Peer  *PeerCertificate // that failed; nil: it is not about one
	Err   error            // as crypto/tls said it; nil: it said nothing
}

// PeerCertificate is what a certificate says of itself, each text cut where it
// is too long.
type PeerCertificate struct {
	Subject, Issuer     string
	Names               []string // of subjectAltName: "sip:example.com", "example.com", "192.0.2.1"; at most maxNames
	NotBefore, NotAfter time.Time
}

const (
	maxNames    = 8
	maxNameText = 100 // runes
)

func summary(c *x509.Certificate) *PeerCertificate {
	p := &PeerCertificate{Subject: cut(c.Subject.String()), Issuer: cut(c.Issuer.String()), NotBefore: c.NotBefore, NotAfter: c.NotAfter}
	for _, uri := range c.URIs {
		p.Names = append(p.Names, cut(uri.String()))
	}
	for _, name := range c.DNSNames {
		p.Names = append(p.Names, cut(name))
	}
	for _, ip := range c.IPAddresses {
		p.Names = append(p.Names, ip.String())
	}
	p.Names = p.Names[:min(len(p.Names), maxNames)]
	return p
}

func cut(s string) string {
	if runes := []rune(s); len(runes) > maxNameText {
		return string(runes[:maxNameText]) + "..."
	}
	return s
}

func (p *PeerCertificate) String() string {
	names := strings.Join(p.Names, ", ")
	if names == "" {
		names = "none"
	}
	return fmt.Sprintf("subject %s; names %s; issuer %s; valid from %s to %s", p.Subject, names, p.Issuer, day(p.NotBefore), day(p.NotAfter))
}

// Error is what failed, what helps, and what the certificate says, in one line.
func (e *TLSError) Error() string {
	out := e.what()
	if hint := hints[e.Check]; hint != "" {
		out += ": " + hint
	}
	if e.Peer != nil {
		out += fmt.Sprintf(" (asked for %s; %s)", e.Asked, e.Peer)
	}
	return out
}

func (e *TLSError) Unwrap() error { return e.Err }

func (e *TLSError) what() string {
	switch e.Check {
	case TLSAuthority:
		return "the certificate is of no authority that we trust"
	case TLSExpired:
		return "the certificate expired on " + day(e.Peer.NotAfter)
	case TLSNotYetValid:
		return "the certificate is not valid before " + day(e.Peer.NotBefore)
	case TLSUsage:
		return "the certificate is not for servers"
	case TLSName:
		return "the certificate does not name " + e.Asked
	case TLSCertificate:
		return "the certificate is not valid: " + e.said()
	case TLSVersion:
		return "no common version of TLS"
	case TLSOurs:
		if e.Err == nil {
			return "the server asks for a certificate of ours, and there is none"
		}
		return "the server refuses our certificate: " + e.said()
	case TLSNoTLS:
		return "what answers does not speak TLS"
	case TLSClosed:
		return "closed during the TLS handshake"
	case TLSSilent:
		return "no answer to the TLS handshake"
	}
	return "TLS handshake failed: " + e.said()
}

// hints for the user, by what is wrong.
var hints = map[TLSCheck]string{
	TLSAuthority:   "give its CA with ca_file or --ca",
	TLSExpired:     "it is to be renewed there, or the clock is wrong here",
	TLSNotYetValid: "is the clock wrong here?",
	TLSUsage:       "it wants serverAuth or sipDomain in its extendedKeyUsage",
	TLSName:        "if it is the right one all the same, set server_name",
	TLSVersion:     "see min_version",
	TLSOurs:        "see cert_file and key_file",
	TLSNoTLS:       "is it the port for TLS, as a rule 5061?",
}

// said is the text of Err without its prefixes.
func (e *TLSError) said() string {
	if e.Err == nil {
		return "no reason given"
	}
	text := e.Err.Error()
	for _, prefix := range []string{"remote error: ", "tls: ", "x509: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return cut(text)
}

// Alerts by which a peer speaks of our certificate (RFC 8446 6.2): bad,
// unsupported, revoked, expired, unknown, of an unknown CA, access denied,
// required.
var aboutOurs = []uint64{42, 43, 44, 45, 46, 48, 49, alertRequired}

const (
	alertVersion  = 70
	alertRequired = 116
)

// alertOf finds the alert that the peer sent. crypto/tls keeps its type for
// itself: it is a number of eight bits in a net.OpError.
func alertOf(err error) (alert uint64, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	value := reflect.ValueOf(op.Err)
	if value.Kind() != reflect.Uint8 {
		return 0, false
	}
	return value.Uint(), true
}

// handshakeFault tells what an error of a handshake of ours means; lacks tells
// that the peer asked for a certificate that we have not.
func handshakeFault(ctx context.Context, err error, asked string, lacks bool) error {
	var known *TLSError
	if errors.As(err, &known) {
		return known
	}
	fault := &TLSError{Check: TLSRefused, Asked: asked, Err: err}
	alert, alerted := alertOf(err)
	text := err.Error()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		fault.Check = TLSSilent
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, new(tls.RecordHeaderError)):
		fault.Check = TLSNoTLS
	case alerted && alert == alertVersion, strings.Contains(text, "unsupported protocol version"):
		fault.Check = TLSVersion
	case alerted && lacks: // before TLS 1.3 there is no alert that says so
		return oursFault(err, alertRequired, asked)
	case alerted && slices.Contains(aboutOurs, alert):
		return oursFault(err, alert, asked)
	case strings.Contains(text, "failed to parse certificate"):
		fault.Check = TLSCertificate
	case !alerted && !strings.HasPrefix(text, "tls: "):
		fault.Check = TLSClosed // an error of the connection itself
	}
	return fault
}

func oursFault(err error, alert uint64, asked string) error {
	if alert == alertRequired {
		err = nil // which says all
	}
	return &TLSError{Check: TLSOurs, Asked: asked, Err: err}
}
