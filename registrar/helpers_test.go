package registrar

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

const (
	domain   = "example.com"
	instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	alice    = "sip:alice@example.com"
)

// lab is a registrar in a network in memory.
type lab struct {
	*Registrar
	t   *testing.T
	net *memnet.Net
}

// inLab runs f in virtual time with a registrar at 192.0.2.1:5060, and closes
// everything afterwards: a goroutine left behind fails the test.
func inLab(t *testing.T, o Options, f func(*lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		o.Network = network.Host("192.0.2.1")
		at := netip.MustParseAddrPort("192.0.2.1:5060")
		o.Listen = []Listen{{wire.UDP, at}, {wire.TCP, at}}
		if o.Domains == nil {
			o.Domains = []string{domain}
		}
		r, err := Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f(&lab{r, t, network})
		time.Sleep(time.Second) // what is under way arrives
	})
}

// phone is a device: one socket, and a dialog or two.
type phone struct {
	t      *testing.T
	stack  *wire.Stack
	flow   *wire.Flow
	callID string
	cseq   int

	mu       sync.Mutex
	notifies []*wire.Incoming
	answer   int // status to NOTIFY
}

func (l *lab) phone(host string) *phone {
	l.t.Helper()
	return l.phoneOver(wire.UDP, host)
}

func (l *lab) phoneOver(transport, host string) *phone {
	l.t.Helper()
	p := &phone{t: l.t, callID: "call-" + host, answer: 200}
	h := l.net.Host(host)
	var err error
	port := uint16(5060)
	if transport == wire.TCP {
		port = 0
	}
	p.stack, err = wire.OpenStack(l.t.Context(), wire.Options{Network: h, Transport: transport, Local: netip.AddrPortFrom(h.Addr(), port)})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(p.stack.Close)
	p.stack.Attach("", func(in *wire.Incoming) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.notifies = append(p.notifies, in)
		if p.answer != 0 {
			in.Respond(wire.Answer{Status: p.answer, Reason: "So"})
		}
	})
	if p.flow, err = p.stack.Connect(l.t.Context(), l.Addr(transport)); err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (p *phone) contact() string { return fmt.Sprintf("<sip:alice@%s>", p.flow.Local()) }

// send sends a request from alice to herself and waits for the answer.
func (p *phone) send(method, uri string, headers ...string) *wire.Response {
	p.t.Helper()
	p.cseq++
	h := wire.Headers{
		{Name: "From", Value: "<" + alice + ">;tag=" + p.callID}, {Name: "To", Value: "<" + alice + ">"},
		{Name: "Call-ID", Value: p.callID}, {Name: "CSeq", Value: fmt.Sprint(p.cseq, " ", method)},
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if i := slices.IndexFunc(h, func(have wire.Header) bool { return have.Name == name }); i >= 0 && name != "Contact" {
			h[i].Value = value
		} else {
			h = append(h, wire.Header{Name: name, Value: value})
		}
	}
	response, err := p.flow.Do(context.Background(), &wire.Request{Method: method, URI: uri, Headers: h})
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	return response
}

func (p *phone) register(status int, headers ...string) *wire.Response {
	p.t.Helper()
	response := p.send("REGISTER", "sip:"+domain, headers...)
	if response.Status != status {
		p.t.Fatalf("REGISTER %q: got %d %s, want %d", headers, response.Status, response.Reason, status)
	}
	return response
}

// subscribe subscribes to alice's registration and returns the dialog's To.
func (p *phone) subscribe(status int, headers ...string) (to string, response *wire.Response) {
	p.t.Helper()
	all := append([]string{"Event: reg", "Expires: 600", "Call-ID: sub-" + p.callID}, headers...)
	if !slices.ContainsFunc(headers, func(line string) bool { return strings.HasPrefix(line, "Contact:") }) {
		all = append(all, "Contact: "+p.contact())
	}
	response = p.send("SUBSCRIBE", alice, all...)
	if response.Status != status {
		p.t.Fatalf("SUBSCRIBE %q: got %d %s, want %d", headers, response.Status, response.Reason, status)
	}
	return response.Headers.Get("To"), response
}

// heard waits until all is quiet and returns the NOTIFYs since the last call.
func (p *phone) heard() []*wire.Incoming {
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.notifies
	p.notifies = nil
	return out
}

// one expects exactly one NOTIFY and returns its document.
func (p *phone) one() *reginfo.Document {
	p.t.Helper()
	list := p.heard()
	if len(list) != 1 {
		p.t.Fatalf("%d NOTIFYs came, want 1", len(list))
	}
	return decode(p.t, list[0])
}

// decode reads a document, which is to have no fault worth an error.
func decode(t *testing.T, in *wire.Incoming) *reginfo.Document {
	t.Helper()
	document, err := reginfo.Decode(in.Body)
	if err != nil {
		t.Fatalf("decode %s: %v", in.Body, err)
	}
	for _, f := range document.Findings {
		if f.Severity() == finding.Error {
			t.Errorf("finding %s %s in\n%s", f.Code, f.Detail, in.Body)
		}
	}
	return document
}

// words is "state: event event" of a document's one registration.
func words(t *testing.T, d *reginfo.Document) string {
	t.Helper()
	if len(d.Registrations) != 1 {
		t.Fatalf("%d registrations, want 1", len(d.Registrations))
	}
	out := []string{string(d.State), string(d.Registrations[0].State)}
	for _, c := range d.Registrations[0].Contacts {
		out = append(out, string(c.Event))
	}
	return strings.Join(out, " ")
}

func contactsOf(t *testing.T, r *wire.Response) []wire.NameAddr {
	t.Helper()
	list, bad := r.Headers.ParseNameAddrs("Contact")
	if bad > 0 {
		t.Errorf("%d Contacts cannot be read: %q", bad, r.Headers.Values("Contact"))
	}
	return list
}

// authorize answers a 401 with SHA-256.
func authorize(challenge *wire.Response, method, uri, user, password string, count int) string {
	for _, line := range challenge.Headers.Values("WWW-Authenticate") {
		c, _ := parseCredentials(line)
		if c["algorithm"] != "SHA-256" {
			continue
		}
		h := func(parts ...string) string { return hexHash(sha256.New, parts...) }
		nc := fmt.Sprintf("%08x", count)
		response := h(h(user, c["realm"], password), c["nonce"], nc, "0a4f113b", "auth", h(method, uri))
		return fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=SHA-256, cnonce="0a4f113b", qop=auth, nc=%s`,
			user, c["realm"], c["nonce"], uri, response, nc)
	}
	return ""
}
