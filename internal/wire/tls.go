package wire

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"
)

// TLSSettings say how TLS connections are made. The zero value serves. It is
// comparable: connections are shared only where the settings are the same.
type TLSSettings struct {
	CAFile   string // certificates in PEM that are trusted besides the system's; "" none
	CertFile string // our own certificate in PEM, with what leads to its CA; "" none
	KeyFile  string // its private key in PEM, unencrypted
	// ServerName is what the certificate has to name, and what is asked for by
	// SNI, instead of the host of the URI: a domain name or an address.
	ServerName string
	MinVersion string // "1.2" or "1.3"; "" is "1.2"
	// InsecureSkipVerify takes any certificate: nobody knows then who listens.
	InsecureSkipVerify bool
}

// TLSSettingError says which setting is wrong, by its key in the config file.
type TLSSettingError struct{ Key, Fault string }

func (e *TLSSettingError) Error() string { return e.Key + " " + e.Fault }

// Check reads the files and returns the first thing wrong, as a
// *TLSSettingError, or nil.
func (t TLSSettings) Check() error {
	_, err := t.load(time.Now())
	return err
}

// load makes what crypto/tls needs. It is done for each connection anew: a
// certificate may have been renewed in the meantime.
func (t TLSSettings) load(now time.Time) (*tls.Config, error) {
	config := &tls.Config{}
	switch t.MinVersion {
	case "", "1.2": // RFC 8996: nothing older is left
		config.MinVersion = tls.VersionTLS12
	case "1.3":
		config.MinVersion = tls.VersionTLS13
	default:
		return nil, settingFault("min_version", "is %q, must be \"1.2\" or \"1.3\"", t.MinVersion)
	}
	if t.ServerName != "" {
		if _, err := netip.ParseAddr(t.ServerName); err != nil {
			if _, err := hostName(t.ServerName); err != nil {
				return nil, settingFault("server_name", "%q %v", t.ServerName, err)
			}
		}
	}
	var err error
	if t.CAFile != "" {
		if config.RootCAs, err = readRoots(t.CAFile, now); err != nil {
			return nil, err
		}
	}
	switch {
	case t.CertFile == "" && t.KeyFile == "":
	case t.KeyFile == "":
		return nil, settingFault("cert_file", "is set, and key_file is not: they go together")
	case t.CertFile == "":
		return nil, settingFault("key_file", "is set, and cert_file is not: they go together")
	default:
		pair, err := readPair(t.CertFile, t.KeyFile, now)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func settingFault(key, format string, args ...any) error {
	return &TLSSettingError{key, fmt.Sprintf(format, args...)}
}

func readRoots(file string, now time.Time) (*x509.CertPool, error) {
	text, err := readFile("ca_file", file)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without any
	}
	certificates, err := parseCertificates("ca_file", file, text)
	if err != nil {
		return nil, err
	}
	valid := false
	for _, c := range certificates {
		roots.AddCert(c)
		valid = valid || !now.After(c.NotAfter)
	}
	if !valid {
		return nil, settingFault("ca_file", "%q: every certificate in it has expired, the last on %s",
			file, day(certificates[len(certificates)-1].NotAfter))
	}
	return roots, nil
}

func readPair(certFile, keyFile string, now time.Time) (tls.Certificate, error) {
	var none tls.Certificate
	certText, err := readFile("cert_file", certFile)
	if err != nil {
		return none, err
	}
	chain, err := parseCertificates("cert_file", certFile, certText)
	if err != nil {
		return none, err
	}
	keyText, err := readFile("key_file", keyFile)
	if err != nil {
		return none, err
	}
	switch leaf := chain[0]; {
	case now.After(leaf.NotAfter):
		return none, settingFault("cert_file", "%q: the certificate expired on %s", certFile, day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return none, settingFault("cert_file", "%q: the certificate is not valid before %s", certFile, day(leaf.NotBefore))
	}
	if strings.Contains(string(keyText), "ENCRYPTED") {
		return none, settingFault("key_file", "%q: the key is encrypted: take the passphrase off with openssl pkey -in %s", keyFile, keyFile)
	}
	if block := findPEM(keyText, func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") }); block == nil {
		return none, settingFault("key_file", "%q: no private key in PEM form in it", keyFile)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return none, settingFault("key_file", "%q: does not go with the certificate of %q: %s", keyFile, certFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, nil
}

func readFile(key, file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, settingFault(key, "%q: cannot be read: %v", file, err)
	}
	return text, nil
}

// parseCertificates reads the certificates of a PEM file, at least one.
func parseCertificates(key, file string, text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, settingFault(key, "%q: certificate %d in it cannot be read: %s", file, len(out)+1, strings.TrimPrefix(err.Error(), "x509: "))
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, settingFault(key, "%q: no certificate in PEM form in it", file)
	}
	return out, nil
}

func findPEM(text []byte, fits func(kind string) bool) *pem.Block {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil || fits(block.Type) {
			return block
		}
	}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Peer is whom TLS connections and WebSockets are made to, and how. Connections to peers that
// are not equal are never shared: what one account trusts says nothing to
// another.
type Peer struct {
	Name string // that the certificate has to have: a domain, or an address without brackets
	TLS  TLSSettings
	Path string // that a WebSocket is asked for at; "" is "/"
}

// PeerOf is the peer behind a hop: by RFC 5922 4 and 7.3 the host of the URI that
// goes into RFC 3263, never what the DNS made of it.
func PeerOf(uri string, settings TLSSettings) Peer {
	name := settings.ServerName
	if u, err := ParseURI(uri); name == "" && err == nil {
		name = u.Host
	}
	return Peer{Name: strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), ".")), TLS: settings}
}
