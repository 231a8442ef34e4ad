package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/registrar"
)

var labTransports = []string{wire.UDP, wire.TCP, wire.TLS, wire.WS, wire.WSS}

// overTLS reports whether a listener needs a certificate.
func overTLS(l registrar.Listen) bool { return l.Transport == wire.TLS || l.Transport == wire.WSS }

// addresses reads --listen. TLS is served where it has an address, and by default
// where there is a certificate.
func (o *labOptions) addresses() ([]registrar.Listen, error) {
	values := o.listen
	secured := o.tlsCert != "" || o.tlsKey != "" || o.tlsNewCA != ""
	if len(values) == 0 {
		values = []string{"127.0.0.1:5060"}
		if secured {
			values = append(values, "tls:127.0.0.1:5061")
		}
	}
	var all []registrar.Listen
	for _, value := range values {
		transports, address := []string{wire.UDP, wire.TCP}, value
		if name, rest, _ := strings.Cut(value, ":"); slices.Contains(labTransports, strings.ToLower(name)) {
			transports, address = []string{strings.ToLower(name)}, rest
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, fail(statusUsage, "regwatch lab --listen 127.0.0.1:5060", "--listen: %q is no address with a port", value)
		}
		for _, transport := range transports {
			if slices.ContainsFunc(all, func(l registrar.Listen) bool { return l.Transport == transport }) {
				return nil, fail(statusUsage, "regwatch lab --listen udp:127.0.0.1:5060 --listen tcp:127.0.0.1:5060", "--listen: %q is a second address for %s", value, transport)
			}
			all = append(all, registrar.Listen{Transport: transport, Addr: at})
		}
	}
	switch served := slices.ContainsFunc(all, overTLS); {
	case served && !secured:
		return nil, fail(statusUsage, "regwatch lab --listen tls:127.0.0.1:5061 --tls-new-ca lab-ca.pem", "--listen: TLS needs a certificate")
	case secured && !served:
		return nil, fail(statusUsage, "regwatch lab --listen tls:127.0.0.1:5061 --tls-new-ca lab-ca.pem", "a certificate goes with --listen tls:ADDRESS:PORT, and there is none")
	}
	return all, nil
}

// certificate reads or makes what TLS is served with at these addresses.
func (o *labOptions) certificate(at []netip.Addr) (*tls.Config, error) {
	var pair tls.Certificate
	var err error
	switch {
	case o.tlsNewCA != "" && o.tlsCert+o.tlsKey != "":
		return nil, fail(statusUsage, "regwatch lab --help", "--tls-new-ca and --tls-cert exclude each other")
	case o.tlsNewCA != "":
		if pair, err = newCertificate(o.tlsNewCA, o.domains, at); err != nil {
			return nil, fail(statusUsage, "", "--tls-new-ca: %w", err)
		}
	case o.tlsCert == "" || o.tlsKey == "":
		return nil, fail(statusUsage, "regwatch lab --tls-cert lab.pem --tls-key lab-key.pem", "--tls-cert and --tls-key go together")
	default:
		if pair, err = tls.LoadX509KeyPair(o.tlsCert, o.tlsKey); err != nil {
			return nil, fail(statusUsage, "", "--tls-cert: %w", err)
		}
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// labCA is the name of a CA that newCertificate made; it writes over no other.
const labCA = "regwatch lab CA"

// newCertificate makes a certificate that names the domains and the addresses
// (RFC 5922 7.1), and a CA for it, whose own certificate goes to the file. The CA's
// key is kept by nobody.
func newCertificate(file string, domains []string, at []netip.Addr) (tls.Certificate, error) {
	if err := mayReplace(file); err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	authority := &x509.Certificate{
		Subject: pkix.Name{CommonName: labCA}, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	ca, err := sign(authority, nil)
	if err != nil {
		return tls.Certificate{}, err
	}
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "regwatch lab"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, DNSNames: append([]string{"localhost"}, domains...), IPAddresses: reachedAt(at),
	}
	if name, err := os.Hostname(); err == nil {
		server.DNSNames = append(server.DNSNames, name)
	}
	pair, err := sign(server, &ca)
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]}), 0o644)
}

// mayReplace refuses what is there and is no CA of a lab before.
func mayReplace(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(text); block != nil {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && cert.Subject.CommonName == labCA {
			return nil
		}
	}
	return fmt.Errorf("%s exists already, and is no CA of regwatch lab", file)
}

// reachedAt lists the addresses that listeners are reached at.
func reachedAt(listeners []netip.Addr) []net.IP {
	var all []net.IP
	for _, at := range listeners {
		if !at.IsUnspecified() {
			all = append(all, at.Unmap().AsSlice())
			continue
		}
		addresses, _ := net.InterfaceAddrs() // without them names are left
		for _, address := range addresses {
			if prefix, ok := address.(*net.IPNet); ok {
				all = append(all, prefix.IP)
			}
		}
	}
	return all
}

// sign makes a key and a certificate for it; by is nil for one that signs itself.
func sign(template *x509.Certificate, by *tls.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return tls.Certificate{}, err
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
