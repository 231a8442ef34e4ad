// Package interop runs a real registrar, Debian's Kamailio, for tests that must not take our own reading of the RFCs for
// the truth. It starts the server on free loopback ports, acts as its administrator, and leaves no process and no file
// behind.
//
// Only tests may import it. Nothing of regwatch may enter: neither the engine, nor the reginfo decoder, nor a SIP
// library. What it knows of SIP is one OPTIONS in plain text, so that a fault of ours cannot hide in the judge.
package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"
)

//go:embed kamailio.cfg
var configText string

var configTemplate = template.Must(template.New("kamailio.cfg").Option("missingkey=error").Parse(configText))

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

	MinExpires  int // seconds, of contacts and subscriptions; less is answered 423. Default 1
	MaxExpires  int // seconds, of contacts; more is cut. Default 3600
	NonceExpire int // seconds until a nonce is stale. Default 300
	Workers     int // processes for UDP. Default 1: what is sent in order is handled in order
}

func (o Options) withDefaults() Options {
	if o.Domain == "" {
		o.Domain = host
	}
	if o.Algorithm == "" {
		o.Algorithm = "MD5"
	}
	for v, d := range map[*int]int{&o.MinExpires: 1, &o.MaxExpires: 3600, &o.NonceExpire: 300, &o.Workers: 1} {
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

	proc  *exec.Cmd
	ended chan struct{} // closed when the server's first process has gone
	guard *exec.Cmd
	leash io.Closer // the guard kills the process group when this is closed, by us or by our death

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
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
			t.Fatalf("interop: %v", err)
		}
		t.Skipf("interop: %v", err)
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

// URI is where requests go, without a user: sip:127.0.0.1:PORT;transport=tcp. Transports are udp, tcp and tls. As
// regwatch never writes transport=tls, neither is it here: that URI is a sips one.
func (k *Kamailio) URI(transport string) string {
	switch transport {
	case "udp", "tcp":
		return fmt.Sprintf("sip:%s;transport=%s", k.Addr(), transport)
	case "tls":
		if k.tlsPort != 0 {
			return fmt.Sprintf("sips:%s:%d", host, k.tlsPort)
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

// RPCError is the server's refusal of an administrator's command.
type RPCError struct {
	Method  string
	Code    int
	Message string
}

func (e *RPCError) Error() string { return fmt.Sprintf("%s: %d %s", e.Method, e.Code, e.Message) }

// RPC runs a command of the administrator, as kamcmd would, and blocks until it is answered.
func (k *Kamailio) RPC(method string, params ...any) (json.RawMessage, error) {
	k.rpcMu.Lock()
	defer k.rpcMu.Unlock()
	k.rpcN++
	// A datagram socket is answered at the address that asked, so that has to have a name. A new one each time: an answer
	// that comes after its time cannot be taken for the next one.
	local := filepath.Join(k.dir, fmt.Sprintf("rpc%d", k.rpcN))
	c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: local, Net: "unixgram"},
		&net.UnixAddr{Name: filepath.Join(k.dir, "rpc"), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	defer os.Remove(local)
	defer c.Close()
	if params == nil {
		params = []any{}
	}
	ask, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": k.rpcN, "method": method, "params": params})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	c.SetDeadline(time.Now().Add(rpcTimeout))
	if _, err := c.Write(ask); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	buf := make([]byte, 1<<16)
	n, err := c.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(buf[:n], &answer); err != nil {
		return nil, fmt.Errorf("%s: read answer %q: %w", method, buf[:n], err)
	}
	if answer.Error != nil {
		return nil, &RPCError{Method: method, Code: answer.Error.Code, Message: answer.Error.Message}
	}
	return answer.Result, nil
}

// RemoveContact takes one contact off an AOR, as an administrator does. The contact is the URI as it was registered,
// to the letter.
func (k *Kamailio) RemoveContact(aor, contact string) error {
	_, err := k.RPC("ul.rm_contact", "location", account(aor), contact)
	return err
}

// RemoveAOR takes all contacts off an AOR.
func (k *Kamailio) RemoveAOR(aor string) error {
	_, err := k.RPC("ul.rm", "location", account(aor))
	return err
}

// AddContact puts a contact on an AOR without a REGISTER, under a Call-ID of the server's own: a second device, or, for
// a URI that is there already, a new expiry, which is how an administrator of Kamailio shortens a registration.
func (k *Kamailio) AddContact(aor, contact string, expires time.Duration) error {
	if expires < time.Second {
		return fmt.Errorf("ul.add: expires %v: Kamailio counts seconds, and takes 0 for never", expires)
	}
	// The zeros: path, flags, flags of the contact, and all methods but none named. q must be written as a fraction.
	_, err := k.RPC("ul.add", "location", account(aor), contact, int(expires/time.Second), json.RawMessage("1.0"),
		"0", 0, 0, 0)
	return err
}

// Contact is a row of the location table. Texts that are not set read "[not set]".
type Contact struct {
	Address   string
	Expires   Seconds
	CallID    string `json:"Call-ID"`
	CSeq      int
	UserAgent string `json:"User-Agent"`
	Received  string
	Path      string
	Instance  string
	RegID     int `json:"Reg-Id"`
	Socket    string
	Ruid      string
}

// Seconds until expiry. Kamailio gives a number, or a word such as "permanent" or "expired", which becomes 0.
type Seconds int

// UnmarshalJSON reads a number or a word.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil {
		n = 0
	}
	*s = Seconds(n)
	return nil
}

// Contacts are the contacts of an AOR, none when the registrar does not know it.
func (k *Kamailio) Contacts(aor string) ([]Contact, error) {
	raw, err := k.RPC("ul.lookup", "location", account(aor))
	var refused *RPCError
	if errors.As(err, &refused) && strings.Contains(refused.Message, "not found") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var record struct {
		Contacts []struct{ Contact Contact }
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return nil, fmt.Errorf("ul.lookup: read %s: %w", raw, err)
	}
	var list []Contact
	for _, c := range record.Contacts {
		list = append(list, c.Contact)
	}
	return list, nil
}

// account is the AOR as the location table keys it: no scheme, no port, no parameters.
func account(aor string) string {
	for _, scheme := range []string{"sip:", "sips:"} {
		aor = strings.TrimPrefix(aor, scheme)
	}
	aor, _, _ = strings.Cut(aor, ";")
	user, domain, ok := strings.Cut(aor, "@")
	if !ok {
		return aor
	}
	domain, _, _ = strings.Cut(domain, ":")
	return user + "@" + domain
}

// installation is where the distribution put what a run needs.
type installation struct {
	kamailio, sqlite3 string
	schema            string // folder of the *-create.sql files; empty when no database is needed
	modules           string // folder of the modules
	load              []string
}

// Modules by the Debian package that holds them, in the order in which they must be loaded.
var modulePackages = []struct {
	pkg     string
	modules []string
	wanted  func(Options) bool
}{
	{"kamailio", []string{"jsonrpcs", "kex", "corex", "tm", "tmx", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "xlog", "path"}, nil},
	{"kamailio-outbound-modules", []string{"outbound"}, func(o Options) bool { return o.Outbound }},
	{"kamailio", []string{"usrloc", "registrar", "auth"}, nil},
	{"kamailio", []string{"nathelper"}, func(o Options) bool { return o.FixNAT }},
	{"kamailio-sqlite-modules", []string{"db_sqlite"}, func(o Options) bool { return !o.NoRegEvent }},
	{"kamailio-presence-modules", []string{"presence", "presence_reginfo", "pua", "pua_reginfo"}, func(o Options) bool { return !o.NoRegEvent }},
	{"kamailio-tls-modules", []string{"tls"}, func(o Options) bool { return o.TLS }},
}

// findInstallation finds all that the options need. The error names every package to install, not only the first.
func findInstallation(opts Options) (installation, error) {
	var (
		inst    installation
		missing []string
	)
	lack := func(pkg string) {
		if !slices.Contains(missing, pkg) {
			missing = append(missing, pkg)
		}
	}
	inst.kamailio = lookPath("kamailio")
	if inst.kamailio == "" {
		lack("kamailio")
	}
	for _, pattern := range []string{"/usr/lib/*/kamailio/modules", "/usr/lib64/kamailio/modules", "/usr/lib/kamailio/modules"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			inst.modules = found[0]
			break
		}
	}
	for _, p := range modulePackages {
		if p.wanted != nil && !p.wanted(opts) {
			continue
		}
		for _, m := range p.modules {
			if _, err := os.Stat(filepath.Join(inst.modules, m+".so")); inst.modules == "" || err != nil {
				lack(p.pkg)
			}
			inst.load = append(inst.load, m)
		}
	}
	if !opts.NoRegEvent {
		if inst.sqlite3 = lookPath("sqlite3"); inst.sqlite3 == "" {
			lack("sqlite3")
		}
		inst.schema = "/usr/share/kamailio/db_sqlite"
		if _, err := os.Stat(filepath.Join(inst.schema, "presence-create.sql")); err != nil {
			lack("kamailio-sqlite-modules")
		}
	}
	if len(missing) > 0 {
		return installation{}, fmt.Errorf("not installed: apt-get install %s", strings.Join(missing, " "))
	}
	return inst, nil
}

// lookPath also looks where users' PATHs often do not.
func lookPath(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	return ""
}

var errPortTaken = errors.New("port taken")

// start runs one server. Whatever it has begun is undone when it fails; after success the test's end undoes it.
func start(t testing.TB, opts Options, inst installation) (*Kamailio, error) {
	// Not t.TempDir: that carries the test's name, and a unix socket's path must stay under 108 bytes.
	dir, err := os.MkdirTemp("", "kam")
	if err != nil {
		return nil, err
	}
	k := &Kamailio{t: t, opts: opts, dir: dir, ended: make(chan struct{})}
	if err := k.begin(inst); err != nil {
		if strings.Contains(k.Log(), "Address already in use") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		err = fmt.Errorf("%w\n%s", err, k.logTail())
		k.stop()
		return nil, err
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.logTail())
		}
		k.stop()
	})
	return k, nil
}

// begin writes the files, runs the server and waits until it is ready.
func (k *Kamailio) begin(inst installation) error {
	var err error
	if k.port, err = freePort(); err != nil {
		return err
	}
	if k.opts.TLS {
		for k.tlsPort == 0 || k.tlsPort == k.port {
			if k.tlsPort, err = freePort(); err != nil {
				return err
			}
		}
		if err := k.writeCertificate(); err != nil {
			return fmt.Errorf("make certificate: %w", err)
		}
	}
	if !k.opts.NoRegEvent {
		if err := k.createDatabase(inst); err != nil {
			return err
		}
	}
	var cfg bytes.Buffer
	err = configTemplate.Execute(&cfg, map[string]any{
		"Options": k.opts, "Dir": k.dir, "Host": host, "Port": k.port, "TLSPort": k.tlsPort,
		"Modules": inst.modules, "Load": inst.load, "Password": Password,
	})
	if err != nil {
		return err
	}
	cfgFile := filepath.Join(k.dir, "kamailio.cfg")
	if err := os.WriteFile(cfgFile, cfg.Bytes(), 0o600); err != nil {
		return err
	}
	if err := k.run(inst.kamailio, cfgFile); err != nil {
		return err
	}
	return k.waitReady()
}

// run starts the server, which forks, in a process group of its own, and in the same group a guard that waits for the
// end of its standard input and then kills the group. That end comes from stop, and also when this process dies of a
// panic in another goroutine, of the test's time limit or of a signal, where no cleanup runs.
func (k *Kamailio) run(kamailio, cfgFile string) error {
	logFile, err := os.Create(k.logFile())
	if err != nil {
		return err
	}
	defer logFile.Close()
	k.proc = exec.Command(kamailio, "-f", cfgFile, "-DD", "-E", "-m", "32", "-M", "8",
		"-Y", k.dir, "-P", filepath.Join(k.dir, "pid"), "-w", k.dir)
	k.proc.Stdout, k.proc.Stderr = logFile, logFile
	k.proc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := k.proc.Start(); err != nil {
		close(k.ended)
		return err
	}
	// Until the guard is there, a reaped leader would let its group number go to a stranger: so Wait comes later.
	defer func() {
		go func() {
			k.proc.Wait()
			close(k.ended)
		}()
	}()
	k.guard = exec.Command("/bin/sh", "-c", "trap '' TERM; read -r _; kill -KILL 0")
	k.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: k.proc.Process.Pid}
	leash, err := k.guard.StdinPipe()
	if err == nil {
		err = k.guard.Start()
	}
	if err != nil {
		syscall.Kill(-k.proc.Process.Pid, syscall.SIGKILL)
		k.guard = nil
		return fmt.Errorf("start guard: %w", err)
	}
	k.leash = leash
	return nil
}

// stop ends the server, kills what is left of its process group and removes the files. The server is asked first: it
// reaps its own children, which a container whose first process reaps nobody would otherwise keep as zombies. It is
// asked again because a child that is still starting loses the signal, and the server then waits for it a minute.
func (k *Kamailio) stop() {
	if k.proc != nil && k.proc.Process != nil {
		again := time.NewTicker(stopAgain)
		defer again.Stop()
		timeout := time.After(stopTimeout)
		sig := syscall.SIGTERM
	ask:
		for {
			syscall.Kill(-k.proc.Process.Pid, sig)
			select {
			case <-k.ended:
				break ask
			case <-again.C:
			case <-timeout:
				sig = syscall.SIGKILL
			}
		}
	}
	if k.guard != nil {
		k.leash.Close()
		k.guard.Wait()
	}
	os.RemoveAll(k.dir)
}

// waitReady asks until it is answered. The wait for an answer is the pause between two questions.
func (k *Kamailio) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// Not connected: a connected socket would report each refusal at once, and this loop would spin.
	c, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	defer c.Close()
	to := &net.UDPAddr{IP: net.ParseIP(host), Port: k.port}
	me := c.LocalAddr().String()
	buf := make([]byte, 1<<16)
	for n := 1; ; n++ {
		select {
		case <-k.ended:
			return fmt.Errorf("it ended: %v", k.proc.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("no answer to OPTIONS for %v", startTimeout)
		default:
		}
		fmt.Fprintf(&packetWriter{c, to}, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKready%d;rport\r\n"+
			"Max-Forwards: 70\r\nFrom: <sip:ready@%s>;tag=r\r\nTo: <sip:%s>\r\nCall-ID: ready@%s\r\nCSeq: %d OPTIONS\r\n"+
			"Content-Length: 0\r\n\r\n", k.Addr(), me, n, me, k.Addr(), me, n)
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if got, _, err := c.ReadFrom(buf); err == nil && bytes.HasPrefix(buf[:got], []byte("SIP/2.0 200")) {
			break
		}
	}
	// By now its sockets are all bound, so this waits rather than fails.
	if _, err := k.RPC("core.version"); err != nil {
		return err
	}
	ports := []int{k.port}
	if k.tlsPort != 0 {
		ports = append(ports, k.tlsPort)
	}
	for _, port := range ports {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), rpcTimeout)
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

type packetWriter struct {
	c  net.PacketConn
	to net.Addr
}

func (w *packetWriter) Write(b []byte) (int, error) { return w.c.WriteTo(b, w.to) }

func (k *Kamailio) logTail() string {
	lines := strings.Split(strings.TrimSpace(k.Log()), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return "kamailio's log ends:\n" + strings.Join(lines, "\n")
}

// freePort finds a port that is free for UDP and TCP, below the range from which Linux gives ports to sockets that ask
// for none: tests that run beside this one cannot be given it in the meantime.
func freePort() (int, error) {
	const low, high = 20000, 32000
	var last error
	for range 100 {
		addr := net.JoinHostPort(host, strconv.Itoa(low+mathrand.IntN(high-low)))
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			last = err
			continue
		}
		l, err := net.Listen("tcp", addr)
		u.Close()
		if err != nil {
			last = err
			continue
		}
		l.Close()
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// createDatabase makes the tables of the presence server from the schema that belongs to this very version of it.
func (k *Kamailio) createDatabase(inst installation) error {
	var sql bytes.Buffer
	// Ten processes open it at once. With a write-ahead log a reader neither waits nor fails.
	sql.WriteString("PRAGMA journal_mode=WAL;\n")
	for _, name := range []string{"standard-create.sql", "presence-create.sql"} {
		b, err := os.ReadFile(filepath.Join(inst.schema, name))
		if err != nil {
			return err
		}
		sql.Write(b)
	}
	cmd := exec.Command(inst.sqlite3, "-batch", "-bail", filepath.Join(k.dir, "presence.db"))
	cmd.Stdin = &sql
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create the presence database: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// writeCertificate makes a certificate that signs itself, for the address and the domain (RFC 5922 section 7.1).
func (k *Kamailio) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "interop test registrar"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.ParseIP(host)},
	}
	if net.ParseIP(k.opts.Domain) == nil {
		cert.DNSNames = []string{k.opts.Domain}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(filepath.Join(k.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
