// Package interop runs a real registrar, Debian's Kamailio, for tests that must not take our own reading of the RFCs for
// the truth, and SIPp for the answers that Kamailio cannot be made to give. It starts a server on free loopback ports,
// acts as Kamailio's administrator, and leaves no process and no file behind.
//
// Only tests may import it. Nothing of regwatch may enter: neither the engine, nor the reginfo decoder, nor a SIP
// library. What it knows of SIP is one OPTIONS in plain text, so that a fault of ours cannot hide in the judge.
package interop

import (
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"text/template"
	"time"
)

//go:embed *.cfg
var configFiles embed.FS

var configs = template.Must(template.New("").Option("missingkey=error").ParseFS(configFiles, "*.cfg"))

// Password opens every account; the user name is the user part of the AOR.
const Password = "secret"

const (
	host         = "127.0.0.1"
	startTimeout = 15 * time.Second
	stopAgain    = 100 * time.Millisecond
	stopTimeout  = 5 * time.Second
	rpcTimeout   = 5 * time.Second
	// Three tries, because another process can take a port between our look and Kamailio's bind.
	startTries = 3
	tailLines  = 40
)

// Options say how the registrar behaves. The zero value is a registrar with MD5 digest on every request, GRUUs and the
// reg event package, for the domain 127.0.0.1, over UDP and TCP.
type Options struct {
	Domain    string // of the AORs and the digest realm; default 127.0.0.1. Never looked up: give clients a proxy
	Algorithm string // of the digest: MD5 (default) or SHA-256

	NoAuth           bool // challenge nothing
	AuthRegisterOnly bool // challenge REGISTER, and not SUBSCRIBE and the rest
	NoRegEvent       bool // answer SUBSCRIBE with 489

	TLS      bool // listen for TLS too, with a certificate of CAFile
	Outbound bool // RFC 5626: Require: outbound and Flow-Timer for those who support it
	FixNAT   bool // remember the address a REGISTER was seen from, and send there

	// Upstream is host:port of a registrar: the server is then an outbound edge proxy in front of it, and nothing else.
	Upstream  string
	WebSocket bool // an edge proxy takes WebSockets too, at the path /sip

	MinExpires  int // seconds, of contacts and subscriptions; less is answered 423. Default 1
	MaxExpires  int // seconds, of contacts; more is cut. Default 3600
	NonceExpire int // seconds until a nonce is stale. Default 300
	Memory      int // megabytes that its processes share. Default 32
	Workers     int // processes for UDP. Default 1: what is sent in order is handled in order
}

func (o Options) withDefaults() Options {
	if o.Domain == "" {
		o.Domain = host
	}
	if o.Algorithm == "" {
		o.Algorithm = "MD5"
	}
	if o.Upstream != "" {
		o.Outbound, o.NoRegEvent = true, true
	}
	for v, d := range map[*int]int{&o.MinExpires: 1, &o.MaxExpires: 3600, &o.NonceExpire: 300, &o.Workers: 1, &o.Memory: 32} {
		if *v == 0 {
			*v = d
		}
	}
	return o
}

// Kamailio is a running registrar. Its methods may be called from many goroutines.
type Kamailio struct {
	t       testing.TB
	opts    Options
	dir     string // all that the server writes; removed at the end
	port    int    // of UDP and TCP
	tlsPort int    // 0 without TLS

	command []string // that runs the server
	proc    *process

	rpcMu sync.Mutex // one question on the socket at a time, so an answer has one owner
	rpcN  int
}

// Start runs a registrar until the test ends, and returns when it answers OPTIONS over UDP and the administrator's
// socket. Without an installed Kamailio the test is skipped; with CI=true it fails, because there nobody reads skips.
func Start(t testing.TB, opts Options) *Kamailio {
	t.Helper()
	opts = opts.withDefaults()
	inst, err := findInstallation(opts)
	if err != nil {
		notInstalled(t, err)
	}
	for try := 1; ; try++ {
		k, err := start(t, opts, inst)
		if err == nil {
			return k
		}
		if try == startTries || !errors.Is(err, errPortTaken) {
			t.Fatalf("interop: start kamailio: %v", err)
		}
	}
}

// URI is where requests go, without a user: sip:127.0.0.1:PORT;transport=tcp. Transports are udp, tcp, tls, ws and wss.
// As regwatch never writes transport=tls, neither is it here: what goes over TLS is a sips URI.
func (k *Kamailio) URI(transport string) string {
	switch transport {
	case "udp", "tcp":
		return fmt.Sprintf("sip:%s;transport=%s", k.Addr(), transport)
	case "ws":
		if k.opts.WebSocket {
			return fmt.Sprintf("sip:%s;transport=ws", k.Addr())
		}
	case "tls":
		if k.tlsPort != 0 {
			return fmt.Sprintf("sips:%s:%d", host, k.tlsPort)
		}
	case "wss":
		if k.tlsPort != 0 && k.opts.WebSocket {
			return fmt.Sprintf("sips:%s:%d;transport=ws", host, k.tlsPort)
		}
	}
	k.t.Helper()
	k.t.Fatalf("interop: the registrar does not listen on %q", transport)
	return ""
}

// Addr is host:port of UDP and TCP.
func (k *Kamailio) Addr() string { return net.JoinHostPort(host, strconv.Itoa(k.port)) }

// AOR is the address-of-record of a user here.
func (k *Kamailio) AOR(user string) string { return "sip:" + user + "@" + k.opts.Domain }

// CAFile is the certificate, in PEM, by which the registrar's own one is trusted. Empty without TLS.
func (k *Kamailio) CAFile() string {
	if k.tlsPort == 0 {
		return ""
	}
	return filepath.Join(k.dir, "cert.pem")
}

// Log is all that the server has logged so far.
func (k *Kamailio) Log() string {
	b, err := os.ReadFile(k.logFile())
	if err != nil {
		return fmt.Sprintf("no log: %v", err)
	}
	return string(b)
}

func (k *Kamailio) logFile() string { return filepath.Join(k.dir, "log") }
