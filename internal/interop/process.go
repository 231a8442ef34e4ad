package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var errPortTaken = errors.New("port taken")

// start runs one server. Whatever it has begun is undone when it fails; after success the test's end undoes it.
func start(t testing.TB, opts Options, inst installation) (*Kamailio, error) {
	// Not t.TempDir: that carries the test's name, and a unix socket's path must stay under 108 bytes.
	dir, err := os.MkdirTemp("", "kam")
	if err != nil {
		return nil, err
	}
	k := &Kamailio{t: t, opts: opts, dir: dir}
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
	role := "kamailio.cfg"
	if k.opts.Upstream != "" {
		role = "edge.cfg"
	}
	var cfg bytes.Buffer
	err = configs.ExecuteTemplate(&cfg, role, map[string]any{
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
	k.command = []string{inst.kamailio, "-f", cfgFile, "-DD", "-E", "-m", strconv.Itoa(k.opts.Memory), "-M", "8",
		"-Y", k.dir, "-P", filepath.Join(k.dir, "pid"), "-w", k.dir}
	return k.run()
}

func (k *Kamailio) run() (err error) {
	if k.proc, err = startProcess(k.logFile(), k.command[0], k.command[1:]...); err != nil {
		return err
	}
	return k.waitReady()
}

// Halt ends the server, and with it all that it knew and its connections, until Resume.
func (k *Kamailio) Halt() { k.proc.stop() }

// Resume starts the server again behind a Halt, on the ports that it had, and returns when it answers.
func (k *Kamailio) Resume() {
	k.t.Helper()
	if err := k.run(); err != nil {
		k.t.Fatalf("interop: start kamailio again: %v\n%s", err, k.logTail())
	}
}

// stop ends the server and removes its files.
func (k *Kamailio) stop() {
	if k.proc != nil {
		k.proc.stop()
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
		case <-k.proc.ended:
			return fmt.Errorf("it ended: %v", k.proc.cmd.ProcessState)
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

var givenPorts sync.Map // by number

// freePort finds a port that is free for UDP and TCP, below the range from which Linux gives ports to sockets that ask
// for none: tests that run beside this one cannot be given it in the meantime. It is given once only.
func freePort() (int, error) {
	const low, high = 20000, 32000
	last := errors.New("all were given before")
	for range 100 {
		port := low + mathrand.IntN(high-low)
		if _, before := givenPorts.LoadOrStore(port, true); before {
			continue
		}
		addr := net.JoinHostPort(host, strconv.Itoa(port))
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
