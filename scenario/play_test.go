package scenario

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
)

// phone is a device of which a test says what it sends and what it answers.
type phone struct {
	t    *testing.T
	flow *wire.Flow

	mu     sync.Mutex
	cseq   int
	answer int
	heard  []string // "CSeq Subscription-State body" of each NOTIFY, as it came
}

// onStage plays a text with a phone over memnet, in virtual time. f is the
// phone's side; it runs once the scenario waits.
func onStage(t *testing.T, transport, text string, f func(*phone)) (err error) {
	t.Helper()
	s, err := Parse("f.toml", "name = \"n\"\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(5*time.Millisecond, 0)
		at := netip.MustParseAddrPort("192.0.2.1:5060")
		stage := NewStage(n.Host("192.0.2.1"), nil)
		r, failed := registrar.Start(t.Context(), registrar.Options{
			Network: stage, First: stage.First, Profile: s.Profile,
			Listen: []registrar.Listen{{Transport: wire.UDP, Addr: at}, {Transport: wire.TCP, Addr: at}},
		})
		if failed != nil {
			t.Fatal(failed)
		}
		defer r.Close()
		host := n.Host("192.0.2.7")
		stack, failed := wire.OpenStack(t.Context(), wire.Options{Network: host, Transport: transport, Local: netip.AddrPortFrom(host.Addr(), 0)})
		if failed != nil {
			t.Fatal(failed)
		}
		defer stack.Close()
		p := &phone{t: t, answer: 200}
		if p.flow, failed = stack.Connect(t.Context(), at); failed != nil {
			t.Fatal(failed)
		}
		stack.Attach("", func(in *wire.Incoming) {
			p.mu.Lock()
			defer p.mu.Unlock()
			n, _, _ := in.Headers.CSeq()
			p.heard = append(p.heard, fmt.Sprintf("%d %s %s", n, in.Headers.Get("Subscription-State"), in.Body))
			in.Respond(wire.Answer{Status: p.answer, Reason: "So"})
		})
		var done sync.WaitGroup
		err = stage.Play(t.Context(), r, s, Phone{Start: func() { done.Go(func() { f(p) }) }})
		done.Wait()
	})
	return err
}

func (p *phone) send(method string, headers ...string) string {
	p.mu.Lock()
	p.cseq++
	h := wire.Headers{
		{Name: "From", Value: "<sip:alice@example.com>;tag=1"}, {Name: "To", Value: "<sip:alice@example.com>"},
		{Name: "Call-ID", Value: "call"}, {Name: "CSeq", Value: fmt.Sprint(p.cseq, " ", method)},
		{Name: "Contact", Value: fmt.Sprintf("<sip:alice@%s>", p.flow.Local())}, {Name: "Event", Value: "reg"}, {Name: "Expires", Value: "600"},
	}
	p.mu.Unlock()
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h = append(h, wire.Header{Name: name, Value: value})
	}
	response, err := p.flow.Do(context.Background(), &wire.Request{Method: method, URI: "sip:example.com", Headers: h})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(response.Status, " ", response.Headers.Get("Retry-After"))
}

func (p *phone) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

func TestAnswers(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		err := onStage(t, transport, `
[[step]]
answer = "REGISTER"
status = 503
headers = ["Retry-After: {cseq+5}"]
count = 2
[[step]]
answer = "REGISTER"
[[step]]
answer = "REGISTER"
raw = """
SIP/2.0 299 Raw
Via: {register.Via}
From: {register.From}
To: {register.To};tag=2
Call-ID: {register.Call-ID}
CSeq: {register.CSeq}
Retry-After: 99
Content-Length: {length}

body"""
[[step]]
answer = "REGISTER"
silent = true
[[step]]
await = "REGISTER"
with = {Call-ID = "call", CSeq = "1 "}
without = ["Route"]
[[step]]
wait = "1m"
`, func(p *phone) {
			for i, want := range []string{"503 6", "503 7", "200 ", "299 99", "no answer: no answer within 32 s", "200 "} {
				if got := p.send("REGISTER"); got != want && (i != 4 || !strings.HasPrefix(got, "no answer")) {
					t.Errorf("%s: REGISTER %d got %s, want %s", transport, i, got, want)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestNotifies(t *testing.T) {
	const script = `
[define]
hello = "version {version} of {contact}"
[[step]]
await = "SUBSCRIBE"
[[step]]
notify = "active;expires={subscribe.Expires}"
body = "{hello}"
[[step]]
notify = "active"
body = "{version} {registrar}"
[[step]]
notify = "terminated;reason=giveup"
cseq = 9
[[step]]
notify = ""
`
	for _, transport := range []string{wire.UDP, wire.TCP} {
		var heard []string
		err := onStage(t, transport, script, func(p *phone) {
			p.send("REGISTER")
			if got := p.send("SUBSCRIBE"); got != "200 " {
				t.Errorf("SUBSCRIBE: %s", got)
			}
			time.Sleep(time.Second)
			heard = p.got()
			contact := "sip:alice@" + p.flow.Local().String()
			want := []string{"1 active;expires=600 version 0 of " + contact, "2 active 1 192.0.2.1:5060", "9 terminated;reason=giveup ", "3  "}
			if fmt.Sprintf("%q", heard) != fmt.Sprintf("%q", want) {
				t.Errorf("%s: got  %q\nwant %q", transport, heard, want)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// What the weather does to datagrams is seen by the phone.
func TestWeather(t *testing.T) {
	err := onStage(t, wire.UDP, `
[[step]]
lose = "SUBSCRIBE"
count = 2
[[step]]
delay = "NOTIFY"
for = "3s"
[[step]]
await = "SUBSCRIBE"
[[step]]
notify = "active"
body = "first"
[[step]]
notify = "active"
body = "second"
[[step]]
wait = "5s"
[[step]]
lose = "NOTIFY"
count = 3
[[step]]
repeat = "NOTIFY"
count = 5
[[step]]
notify = "active"
body = "third"
[[step]]
lose = "answer to OPTIONS"
[[step]]
await = "OPTIONS"
`, func(p *phone) {
		start := time.Now()
		p.send("SUBSCRIBE")
		if took := time.Since(start); took < 1500*time.Millisecond {
			t.Errorf("two were lost, and it took %v", took)
		}
		time.Sleep(10 * time.Second)
		if got := fmt.Sprint(p.got()); got != "[2 active second 1 active first 3 active third]" {
			t.Error(got)
		}
		start = time.Now()
		p.send("OPTIONS")
		if took := time.Since(start); took < 500*time.Millisecond {
			t.Errorf("the answer was lost, and it took %v", took)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// What does not come as the file says fails with its line.
func TestFailures(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[[step]]\nawait = \"PUBLISH\"\nwithin = \"5s\"", "f.toml:2: await: no PUBLISH came within 5s"},
		{"[[step]]\nawait = \"REGISTER\"\nwith = {Event = \"dialog\"}", `f.toml:2: await: its Event is "reg", without "dialog"`},
		{"[[step]]\nawait = \"REGISTER\"\nwithout = [\"Event\"]", `f.toml:2: await: it has the field Event: reg`},
		{"[[step]]\nsilence = \"REGISTER\"\nfor = \"10s\"", "f.toml:2: silence: a REGISTER came"},
		{"[[step]]\nanswer = \"PUBLISH\"\nstatus = 200\n[[step]]\nwait = \"1s\"", "f.toml:2: answer: no PUBLISH came for it"},
		{"[[step]]\nlose = \"PUBLISH\"\n[[step]]\nwait = \"1s\"", "f.toml:2: lose: no PUBLISH came for it"},
		{"[[step]]\ncommand = \"deactivate bob\"", "f.toml:2: command: nothing matches: bob has no contact"},
		{"[[step]]\nnotify = \"active\"", "f.toml:2: notify: there is no such dialog: the phone has not subscribed"},
		{"[[step]]\nawait = \"SUBSCRIBE\"\n[[step]]\nnotify = \"active\"\nanswered = 481", "f.toml:4: notify: the phone answered 200, not 481"},
		{"[[step]]\nsend = \"OPTIONS\"", "f.toml:2: send: there is no way to the phone"},
	} {
		err := onStage(t, wire.UDP, c.text, func(p *phone) {
			time.Sleep(time.Second)
			p.send("REGISTER")
			p.send("SUBSCRIBE")
		})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// The registrar's own notifier tells where the scenario sends no NOTIFY, and the
// administrator's commands are those of the lab.
func TestProfilePlays(t *testing.T) {
	err := onStage(t, wire.UDP, `
profile = "clearwater"
[[step]]
await = "SUBSCRIBE"
[[step]]
command = "deactivate alice"
[[step]]
wait = "1s"
`, func(p *phone) {
		p.send("REGISTER")
		p.send("SUBSCRIBE")
		time.Sleep(2 * time.Second)
		if got := p.got(); len(got) != 2 || !strings.Contains(got[1], `event="expired"`) {
			t.Errorf("%q", got)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
