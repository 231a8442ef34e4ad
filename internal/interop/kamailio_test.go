package interop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	device   = `;+sip.instance="<` + instance + `>";reg-id=1`
)

// What Kamailio 5.6.3 gives on its own Contact, with outbound adding Require: outbound, Supported: outbound and
// Flow-Timer: 25 to the answer, and FixNAT a received="sip:127.0.0.1:PORT" to the Contact:
//
//	Contact: <sip:alice@127.0.0.1:51897>;expires=600;
//	 pub-gruu="sip:alice@127.0.0.1;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
//	 temp-gruu="sip:uloc-6b03637f-346a-1-f7cad29@127.0.0.1;gr";
//	 +sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";reg-id=1
//
// The temporary GRUU stays the same over refreshes, where RFC 5627 section 5.1 has a new one each time (SHOULD). It
// changes with the binding: after a kick or a lapse the same device gets another.
func TestRegister(t *testing.T) {
	tests := []struct {
		name, transport string
		opts            Options
	}{
		{"defaults", "udp", Options{}},
		{"sha-256", "udp", Options{Algorithm: "SHA-256", Domain: "example.test"}},
		{"outbound", "tcp", Options{Outbound: true}},
		{"nat over tls", "tls", Options{TLS: true, FixNAT: true, Algorithm: "SHA-256", Domain: "example.test"}},
		{"no digest", "udp", Options{NoAuth: true, Workers: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := Start(t, tt.opts)
			c := newClient(t, k, tt.transport, "alice")

			first := c.send("REGISTER", "sip:"+k.opts.Domain, "bare", "")
			challenge := first.get("WWW-Authenticate")
			switch {
			case tt.opts.NoAuth:
				if first.status() != 200 {
					t.Errorf("without authentication: %s", first.start)
				}
			case first.status() != 401 || !strings.Contains(challenge, `realm="`+k.opts.Domain+`"`):
				t.Errorf("want a challenge by %s, got %s %s", k.opts.Domain, first.start, challenge)
			case strings.Contains(challenge, "SHA-256") != (tt.opts.Algorithm == "SHA-256"):
				t.Errorf("want %s, got %s", k.opts.Algorithm, challenge)
			}

			m := c.register("reg", 600, device)
			contact := m.get("Contact")
			if m.status() != 200 || !strings.Contains(contact, `pub-gruu="sip:alice@`+k.opts.Domain+";gr="+instance+`"`) ||
				!strings.Contains(contact, `temp-gruu="sip:`) {
				t.Fatalf("REGISTER: %s, Contact: %s", m.start, contact)
			}
			if got := m.get("Require") == "outbound" && m.get("Flow-Timer") != ""; got != tt.opts.Outbound {
				t.Errorf("outbound used: %v, Require: %q, Flow-Timer: %q", got, m.get("Require"), m.get("Flow-Timer"))
			}
			if got := strings.Contains(contact, "received="); got != tt.opts.FixNAT {
				t.Errorf("received given: %v, Contact: %s", got, contact)
			}
			list, err := k.Contacts(k.AOR("alice"))
			if err != nil || len(list) != 1 {
				t.Fatalf("contacts: %+v, %v", list, err)
			}
			if got := list[0]; got.Address != c.contact() || got.CallID != "reg" || got.Instance != "<"+instance+">" ||
				got.RegID != 1 || got.Expires < 590 {
				t.Errorf("contact: %+v", got)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	k := Start(t, Options{AuthRegisterOnly: true})
	c := newClient(t, k, "udp", "alice")
	uri := "sip:" + k.opts.Domain
	challenge := c.send("REGISTER", uri, "reg", "").get("WWW-Authenticate")
	wrong := strings.Replace(c.credentials("REGISTER", uri, challenge), `response="`, `response="0`, 1)
	if m := c.send("REGISTER", uri, "reg", "", "Authorization: "+wrong); m.status() != 401 {
		t.Errorf("wrong password: %s", m.start)
	}
	if m := c.send("SUBSCRIBE", k.AOR("alice"), "sub", "", "Event: reg", "Contact: <"+c.contact()+">"); m.status() != 200 {
		t.Errorf("SUBSCRIBE without a challenge: %s", m.start)
	}
}

// The life of a contact as the reg event package of Kamailio 5.6.3 tells it. Every document is full and has version 0.
// The first NOTIFY to an AOR that was never registered has no body. The rest, with the ids cut:
//
//	<?xml version="1.0"?>
//	<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
//	  <registration aor="sip:alice@127.0.0.1" id="0x7fc7..." state="active">
//	    <contact id="0x7fc7..." state="active" event="created" expires="600" callid="reg" cseq="2" received="" path="" user_agent="interop">
//	      <uri>sip:alice@127.0.0.1:51897</uri>
//	    </contact>
//	  </registration>
//	</reginfo>
//
// What differs:
//
//   - refreshed: event="refreshed" and the new cseq.
//   - shortened: event="refreshed" expires="60" q="1.000" callid="dfjrewr12386fd6-343@kamailio.rpc" cseq="1"
//     user_agent="kamailio SIP Router - RPC Server". The next REGISTER is a plain refresh.
//   - kicked: state="terminated" event="unregistered", with expires, callid and cseq as they were; the registration is
//     terminated when it was the last contact. The device's own removal looks the same to the letter: it too keeps the
//     cseq of the REGISTER before. 1 to 4 ms after the command.
//   - the whole AOR: one document for each contact, in which those not yet told are still active, registered.
//   - lapse: the contact is missing; after the last one <registration ... state="terminated"/>.
//   - a later subscriber: the last document once more, the terminated one too, with the expires of that time.
//   - a Contact with & in it: <uri/>.
func TestRegEvent(t *testing.T) {
	k := Start(t, Options{})
	c := newClient(t, k, "udp", "alice")
	aor := k.AOR("alice")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	uri := "<uri>" + c.contact() + "</uri>"

	m := c.subscribe("sub", "", 600)
	if s := m.status(); s != 200 && s != 202 {
		t.Fatalf("SUBSCRIBE: %s", m.start)
	}
	first := c.next("NOTIFY")
	if first.body != "" || first.get("Event") != "reg" || !strings.HasPrefix(first.get("Subscription-State"), "active;expires=") {
		t.Errorf("first NOTIFY: %v\n%s", first.header, first.body)
	}

	c.register("reg", 600, device)
	m = c.notifyWith(uri, `state="active"`, `event="created"`, `callid="reg"`)
	if m.get("Content-Type") != "application/reginfo+xml" || strings.Contains(m.body, "gruu") || strings.Contains(m.body, instance) {
		t.Errorf("%s, or it shows instances now:\n%s", m.get("Content-Type"), m.body)
	}
	c.register("reg", 600, device)
	c.notifyWith(uri, `event="refreshed"`, `callid="reg"`)

	must(k.AddContact(aor, c.contact(), time.Minute))
	c.notifyWith(uri, `event="refreshed" expires="60"`, `kamailio.rpc"`)
	c.register("reg", 600, device)
	c.notifyWith(uri, `event="refreshed" expires="600"`, `callid="reg"`)

	must(k.AddContact(aor, "sip:alice@192.0.2.7:5060", time.Minute))
	c.notifyWith(uri, `event="registered"`, "<uri>sip:alice@192.0.2.7:5060</uri>", `event="created"`)

	kicked := time.Now()
	must(k.RemoveContact(aor, c.contact()))
	m = c.notifyWith(uri, `state="terminated" event="unregistered"`, `callid="reg"`)
	t.Logf("from kick to NOTIFY: %v", m.at.Sub(kicked).Round(10*time.Microsecond))
	if list, err := k.Contacts(aor); err != nil || len(list) != 1 {
		t.Errorf("contacts after the kick: %+v, %v", list, err)
	}

	must(k.RemoveAOR(aor))
	c.notifyWith(`state="terminated">`, "192.0.2.7", `event="unregistered"`)
	if list, err := k.Contacts(aor); err != nil || len(list) != 0 {
		t.Errorf("contacts after the removal of all: %+v, %v", list, err)
	}

	c.register("reg2", 2, device)
	c.notifyWith(uri, `callid="reg2"`)
	registered := time.Now()
	m = c.notifyWith(`state="terminated"/>`)
	if lapse := m.at.Sub(registered); lapse > 5*time.Second {
		t.Errorf("a contact of 2 s was told to have lapsed after %v", lapse)
	} else {
		t.Logf("from 200 with expires 2 to the NOTIFY of the lapse: %v", lapse.Round(time.Millisecond))
	}

	// A refresh in the dialog, then its end.
	_, tag, _ := strings.Cut(first.get("From"), ";tag=")
	if m := c.subscribe("sub", tag, 600); m.status() != 200 {
		t.Errorf("refresh of the subscription: %s", m.start)
	}
	c.next("NOTIFY")
	if m := c.subscribe("sub", tag, 0); m.status() != 200 {
		t.Errorf("end of the subscription: %s", m.start)
	}
	if m := c.next("NOTIFY"); m.get("Subscription-State") != "terminated;reason=timeout" {
		t.Errorf("last NOTIFY: Subscription-State: %s", m.get("Subscription-State"))
	}
}

// Over a stream the NOTIFY comes down the connection whose far end the Contact names.
func TestKickOverStreams(t *testing.T) {
	k := Start(t, Options{TLS: true, Outbound: true})
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			c := newClient(t, k, transport, transport)
			c.register("reg-"+transport, 600, device)
			if m := c.subscribe("sub-"+transport, "", 600); m.status() != 200 {
				t.Fatalf("SUBSCRIBE: %s", m.start)
			}
			c.notifyWith(c.contact(), `state="active"`)
			if err := k.RemoveContact(k.AOR(transport), c.contact()); err != nil {
				t.Fatal(err)
			}
			c.notifyWith(c.contact(), `event="unregistered"`)
		})
	}
}

// A ping of one's own GRUU comes back with the Contact as its target: the proxy replaces the GRUU (RFC 5627 section 6.1).
func TestGRUUIsRouted(t *testing.T) {
	k := Start(t, Options{})
	c := newClient(t, k, "udp", "alice")
	contact := c.register("reg", 600, device).get("Contact")
	for _, name := range []string{"pub-gruu", "temp-gruu"} {
		_, rest, _ := strings.Cut(contact, name+`="`)
		gruu, _, _ := strings.Cut(rest, `"`)
		if m := c.ask("OPTIONS", gruu, "ping-"+name, ""); m.status() != 200 {
			t.Errorf("OPTIONS %s: %s", gruu, m.start)
		}
		if m := c.next("OPTIONS"); !strings.HasPrefix(m.start, "OPTIONS "+c.contact()+" ") {
			t.Errorf("%s: arrived as %s", name, m.start)
		}
		if err := k.RemoveAOR(k.AOR("alice")); err != nil {
			t.Fatal(err)
		}
		if m := c.ask("OPTIONS", gruu, "gone-"+name, ""); m.status() != 480 {
			t.Errorf("OPTIONS %s after the kick: %s", gruu, m.start)
		}
		contact = c.register("reg", 600, device).get("Contact")
	}
}

func TestRefusals(t *testing.T) {
	k := Start(t, Options{NoRegEvent: true, MinExpires: 60, MaxExpires: 120})
	c := newClient(t, k, "udp", "alice")
	if m := c.subscribe("sub", "", 600); m.status() != 489 {
		t.Errorf("SUBSCRIBE: %s", m.start)
	}
	if m := c.register("reg", 30, device); m.status() != 423 || m.get("Min-Expires") != "60" {
		t.Errorf("too brief: %s, Min-Expires: %s", m.start, m.get("Min-Expires"))
	}
	if m := c.register("reg", 600, device); !strings.Contains(m.get("Contact"), ";expires=120;") {
		t.Errorf("too long: %s, Contact: %s", m.start, m.get("Contact"))
	}
	err := k.RemoveContact(k.AOR("nobody"), "sip:nobody@192.0.2.1")
	if refused := (*RPCError)(nil); !errors.As(err, &refused) {
		t.Errorf("removal of a contact that is not there: %v", err)
	}
}

// Neither a process, nor the rest of one that nobody waited for, nor a file stays.
func TestStopLeavesNothing(t *testing.T) {
	var k *Kamailio
	t.Run("server", func(t *testing.T) { k = Start(t, Options{}) })
	if k == nil {
		t.SkipNow()
	}
	if err := syscall.Kill(-k.proc.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("signal to the process group: %v", err)
	}
	if _, err := os.Stat(k.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder: %v", err)
	}
}

const crashEnv = "REGWATCH_INTEROP_CRASH"

// TestCrashLeavesNothing runs this test binary again, and has it die of a panic that no cleanup of a test can see. The
// end of a connection to the server shows that the server has gone.
func TestCrashLeavesNothing(t *testing.T) {
	if os.Getenv(crashEnv) != "" {
		k := Start(t, Options{NoRegEvent: true})
		fmt.Printf("listening %s\n", k.Addr())
		bufio.NewReader(os.Stdin).ReadString('\n')
		go func() { panic("the crash that this test is about") }()
		select {}
	}
	if _, err := findInstallation(Options{}); err != nil {
		Start(t, Options{}) // skips or fails
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashLeavesNothing$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), crashEnv+"=1", "TMPDIR="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		rest, _ := io.ReadAll(r)
		t.Fatalf("no server: %v\n%s%s", err, line, rest)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(in, "\n")
	io.Copy(io.Discard, r)
	if err := cmd.Wait(); err == nil {
		t.Error("it did not crash")
	}
	conn.SetReadDeadline(time.Now().Add(answerTimeout))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the server outlived the test: %v", err)
	}
}

func TestAccount(t *testing.T) {
	for in, want := range map[string]string{
		"sip:alice@example.test":              "alice@example.test",
		"sips:alice@127.0.0.1:5061":           "alice@127.0.0.1",
		"sip:alice@127.0.0.1;transport=tcp":   "alice@127.0.0.1",
		"alice@example.test":                  "alice@example.test",
		"sip:alice@example.test:5060;user=ip": "alice@example.test",
	} {
		if got := account(in); got != want {
			t.Errorf("account(%q) = %q, want %q", in, got, want)
		}
	}
}
