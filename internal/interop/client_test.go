package interop

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const answerTimeout = 10 * time.Second

// client is a user agent of plain text. One goroutine reads: answers go to whoever asked, requests are answered 200 at
// once and kept.
type client struct {
	t         testing.TB
	k         *Kamailio
	user      string
	transport string
	conn      net.Conn
	answers   chan message
	requests  chan message
	serial    int
	cseq      map[string]int // by Call-ID
}

// message is a SIP message in pieces. Header names are in lower case; compact forms are left alone, as Kamailio sends none.
type message struct {
	at     time.Time // of arrival
	start  string
	header map[string][]string
	body   string
}

func (m message) get(name string) string {
	if v := m.header[strings.ToLower(name)]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (m message) status() int {
	if rest, ok := strings.CutPrefix(m.start, "SIP/2.0 "); ok && len(rest) >= 3 {
		n, _ := strconv.Atoi(rest[:3])
		return n
	}
	return 0
}

func newClient(t testing.TB, k *Kamailio, transport, user string) *client {
	t.Helper()
	var (
		conn net.Conn
		err  error
	)
	switch transport {
	case "udp", "tcp":
		conn, err = net.Dial(transport, k.Addr())
	case "tls":
		pem, rerr := os.ReadFile(k.CAFile())
		if rerr != nil {
			t.Fatal(rerr)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		conn, err = tls.Dial("tcp", strings.TrimPrefix(k.URI("tls"), "sips:"), &tls.Config{RootCAs: pool})
	}
	if err != nil {
		t.Fatalf("reach the registrar: %v", err)
	}
	c := &client{t: t, k: k, user: user, transport: transport, conn: conn,
		answers: make(chan message, 64), requests: make(chan message, 64), cseq: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return c
}

func (c *client) read() {
	var r *bufio.Reader
	if c.transport == "udp" {
		// A datagram is read whole, and what a reader holds back at its end is nothing.
		r = bufio.NewReaderSize(c.conn, 1<<16)
	} else {
		r = bufio.NewReader(c.conn)
	}
	for {
		m, err := readMessage(r)
		if err != nil {
			return
		}
		if m.status() != 0 {
			c.answers <- m
			continue
		}
		c.answer(m)
		c.requests <- m
	}
}

func readMessage(r *bufio.Reader) (message, error) {
	m := message{header: map[string][]string{}}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return m, err
		}
		line = strings.TrimRight(line, "\r\n")
		if m.start == "" { // blank lines before a message are keep-alives
			m.start = line
			continue
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		m.header[name] = append(m.header[name], strings.TrimSpace(value))
	}
	n, _ := strconv.Atoi(m.get("Content-Length"))
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	m.body, m.at = string(body), time.Now()
	return m, err
}

func (c *client) answer(m message) {
	var b bytes.Buffer
	b.WriteString("SIP/2.0 200 OK\r\n")
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		for _, v := range m.header[strings.ToLower(name)] {
			if name == "To" && !strings.Contains(v, ";tag=") {
				v += ";tag=answer"
			}
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	c.conn.Write(b.Bytes())
}

// contact is the URI at which this client is reached: over a stream, that is the connection's own end.
func (c *client) contact() string {
	uri := fmt.Sprintf("sip:%s@%s", c.user, c.conn.LocalAddr())
	if c.transport != "udp" {
		uri += ";transport=" + c.transport
	}
	return uri
}

// ask sends a request and returns the final answer, after one challenge at most.
func (c *client) ask(method, uri, callID, toTag string, headers ...string) message {
	c.t.Helper()
	m := c.send(method, uri, callID, toTag, headers...)
	var auth string
	switch m.status() {
	case 401:
		auth = "Authorization: " + c.credentials(method, uri, m.get("WWW-Authenticate"))
	case 407:
		auth = "Proxy-Authorization: " + c.credentials(method, uri, m.get("Proxy-Authenticate"))
	default:
		return m
	}
	return c.send(method, uri, callID, toTag, append(headers, auth)...)
}

func (c *client) send(method, uri, callID, toTag string, headers ...string) message {
	c.t.Helper()
	c.serial++
	c.cseq[callID]++
	aor := c.k.AOR(c.user)
	to := "<" + aor + ">"
	if toTag != "" {
		to += ";tag=" + toTag
	}
	cseq := fmt.Sprintf("%d %s", c.cseq[callID], method)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK%s%d;rport\r\nMax-Forwards: 70\r\n"+
		"From: <%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nUser-Agent: interop\r\n",
		method, uri, strings.ToUpper(c.transport), c.conn.LocalAddr(), c.user, c.serial, aor, c.user, to, callID, cseq)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	if _, err := c.conn.Write(b.Bytes()); err != nil {
		c.t.Fatalf("send %s: %v", method, err)
	}
	timeout := time.After(answerTimeout)
	for {
		select {
		case m := <-c.answers:
			if m.get("CSeq") == cseq && m.get("Call-ID") == callID && m.status() >= 200 {
				return m
			}
		case <-timeout:
			c.t.Fatalf("no answer to %s", method)
		}
	}
}

var challengeParam = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^\s,]*))`)

// credentials answers a Digest challenge with qop auth (RFC 7616 section 3.4).
func (c *client) credentials(method, uri, challenge string) string {
	p := map[string]string{}
	for _, m := range challengeParam.FindAllStringSubmatch(challenge, -1) {
		p[m[1]] = m[2] + m[3]
	}
	if p["qop"] != "auth" {
		c.t.Errorf("challenge without qop auth: %s", challenge)
	}
	hash := func(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }
	if p["algorithm"] == "SHA-256" {
		hash = func(s string) string { b := sha256.Sum256([]byte(s)); return hex.EncodeToString(b[:]) }
	}
	response := hash(strings.Join([]string{
		hash(c.user + ":" + p["realm"] + ":" + Password), p["nonce"], "00000001", "cafe", "auth", hash(method + ":" + uri)}, ":"))
	algorithm := ""
	if p["algorithm"] != "" {
		algorithm = ", algorithm=" + p["algorithm"]
	}
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=00000001, cnonce="cafe"%s`,
		c.user, p["realm"], p["nonce"], uri, response, algorithm)
}

// register sends one REGISTER for this client's contact. Expires 0 takes it off.
func (c *client) register(callID string, expires int, contactParams string) message {
	c.t.Helper()
	return c.ask("REGISTER", "sip:"+c.k.opts.Domain, callID, "",
		fmt.Sprintf("Contact: <%s>%s;expires=%d", c.contact(), contactParams, expires), "Supported: path, outbound, gruu")
}

func (c *client) subscribe(callID, toTag string, expires int) message {
	c.t.Helper()
	return c.ask("SUBSCRIBE", c.k.AOR(c.user), callID, toTag,
		"Event: reg", "Accept: application/reginfo+xml", fmt.Sprintf("Contact: <%s>", c.contact()), fmt.Sprintf("Expires: %d", expires))
}

// next is the next request of a method that reaches us.
func (c *client) next(method string) message {
	c.t.Helper()
	timeout := time.After(answerTimeout)
	for {
		select {
		case m := <-c.requests:
			if strings.HasPrefix(m.start, method+" ") {
				return m
			}
		case <-timeout:
			c.t.Fatalf("no %s within %v", method, answerTimeout)
		}
	}
}

// notifyWith waits for a NOTIFY whose body holds all the pieces. The ones before it may say less: how many documents a
// change makes is the server's business.
func (c *client) notifyWith(pieces ...string) message {
	c.t.Helper()
	timeout := time.After(answerTimeout)
	var last string
	for {
		select {
		case m := <-c.requests:
			if !strings.HasPrefix(m.start, "NOTIFY ") {
				continue
			}
			ok := true
			for _, p := range pieces {
				ok = ok && strings.Contains(m.body, p)
			}
			if ok {
				return m
			}
			last = m.body
		case <-timeout:
			c.t.Fatalf("no NOTIFY with %q within %v; the last one said:\n%s", pieces, answerTimeout, last)
		}
	}
}
