package ua_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/ua"
)

// tap notes when the phone sent which keep-alives over UDP; a request that is
// sent again counts once.
type tap struct {
	mu    sync.Mutex
	stun  []time.Time
	crlf  []time.Time
	other []string // neither, nor SIP
	ids   map[string]bool
}

func (l *lab) tap() *tap {
	tapped := &tap{ids: make(map[string]bool)}
	l.net.Drop(func(p memnet.Packet) bool {
		tapped.mu.Lock()
		defer tapped.mu.Unlock()
		if p.From.Addr() == netip.MustParseAddr(phoneHost) {
			tapped.note(p.Data)
		}
		return false
	})
	return tapped
}

func (p *tap) note(data []byte) {
	switch {
	case data[0] >= ' ':
	case bytes.Equal(data, []byte("\r\n\r\n")):
		p.crlf = append(p.crlf, time.Now())
	case len(data) == 20 && bytes.HasPrefix(data, []byte("\x00\x01\x00\x00\x21\x12\xa4\x42")):
		if !p.ids[string(data)] {
			p.ids[string(data)] = true
			p.stun = append(p.stun, time.Now())
		}
	default:
		p.other = append(p.other, string(data))
	}
}

// sent returns what was sent until now.
func (p *tap) sent() (stun, crlf []time.Time) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.stun), slices.Clone(p.crlf)
}

// evenly checks that the keep-alives came from start to now, each so long after
// the one before; answers take up to 10 ms, and start is up to 200 ms late.
func evenly(t *testing.T, what string, start time.Time, at []time.Time, least, most time.Duration) {
	t.Helper()
	before, different := start.Add(-200*time.Millisecond), map[time.Duration]bool{}
	for i, now := range append(slices.Clone(at), time.Now()) {
		gap := now.Sub(before)
		if i < len(at) && gap < least || gap > most+220*time.Millisecond {
			t.Errorf("%s: %v between two of them, number %d of %d", what, gap, i, len(at))
		}
		before = now
		different[gap] = true
	}
	if len(at) < 5 || most-least > time.Second && len(different) < 5 {
		t.Errorf("%s: %d of them at %d different distances", what, len(at), len(different))
	}
}

// flows is what was told of the flow.
func (r *run) flows() []string {
	var out []string
	for _, d := range all[ua.FlowDetail](r) {
		out = append(out, strings.TrimSpace(d.State+" "+d.Cause))
	}
	return out
}

// answers gathers when keep-alives were answered, as snapshots show it.
func (r *run) answers() func() []time.Time {
	ctx, cancel := context.WithCancel(context.Background())
	var at []time.Time
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for update := range r.Watch(ctx, 0) {
			for _, s := range update.Snapshots {
				if now := s.Flow.Answered; !now.IsZero() && (len(at) == 0 || !at[len(at)-1].Equal(now)) {
					at = append(at, now)
				}
			}
		}
	}()
	return func() []time.Time {
		synctest.Wait()
		cancel()
		<-ended
		return at
	}
}

// RFC 5626 4.4.1, 4.4.2: where the registrar does outbound, a ping every 95 to
// 120 s over TCP, STUN every 24 to 29 s over UDP; RFC 5626 4.4: 80 to 100 % of
// the Flow-Timer where it names one. An hour of them disturbs nothing.
func TestKeepAliveForAnHour(t *testing.T) {
	for _, c := range []struct {
		transport   string
		timer       time.Duration
		least, most time.Duration
		shown       string
	}{
		{"udp", 0, 24 * time.Second, 29 * time.Second, "STUN"},
		{"udp", 50 * time.Second, 40 * time.Second, 50 * time.Second, "STUN"},
		{"tcp", 0, 95 * time.Second, 120 * time.Second, "CRLF ping"},
		{"tcp", 50 * time.Second, 40 * time.Second, 50 * time.Second, "CRLF ping"},
		{"tls", 0, 95 * time.Second, 120 * time.Second, "CRLF ping"},
	} {
		t.Run(fmt.Sprint(c.transport, " ", c.timer), func(t *testing.T) {
			inTLSLab(t, registrar.Options{Users: users, FlowTimer: c.timer}, []string{"example.com"}, nil, func(l *lab, trust ua.TLS) {
				tap := l.tap()
				a := account()
				a.Transport, a.TLS = c.transport, trust
				r := l.watch(phoneHost, "", a)
				r.watching()
				start, answers := time.Now(), r.answers()
				time.Sleep(time.Hour)
				at := answers()
				evenly(t, "answers", start, at, c.least, c.most)
				stun, crlf := tap.sent()
				if c.transport == "udp" {
					evenly(t, "STUN", start, stun, c.least, c.most)
				}
				if len(crlf) > 0 || c.transport != "udp" && len(stun) > 0 || len(tap.other) > 0 {
					t.Errorf("over UDP %d by STUN, %d CRLFs, %q", len(stun), len(crlf), tap.other)
				}
				if s := r.state("alice").Flow; s.KeepAlive != c.shown || !s.Answered.Equal(at[len(at)-1]) {
					t.Errorf("shown as %+v", s)
				}
				if got := r.flows(); !slices.Equal(got, []string{"up"}) {
					t.Errorf("flow: %q", got)
				}
				for _, m := range r.trace.Messages() {
					if m.Raw[0] < ' ' {
						t.Fatalf("a keep-alive is in the trace: %q", m.Raw)
					}
				}
				r.close()
			})
		})
	}
}

// A registrar that stops answering is found out by the keep-alives; the binding
// is made anew at once under the same reg-id (RFC 5626 4.5), and the subscription
// follows.
func TestKeepAliveFindsDeadFlow(t *testing.T) {
	for _, c := range []struct {
		transport, cause string
		within           time.Duration
	}{
		{"udp", "down keep-alive: no answer to STUN within 39.5 s", 29*time.Second + 39500*time.Millisecond},
		{"tcp", "down keep-alive: no CRLF came back within 10 s", 130 * time.Second},
		{"tls", "down keep-alive: no CRLF came back within 10 s", 130 * time.Second},
	} {
		t.Run(c.transport, func(t *testing.T) {
			inTLSLab(t, registrar.Options{Users: users}, []string{"example.com"}, nil, func(l *lab, trust ua.TLS) {
				a := account()
				a.Transport, a.TLS = c.transport, trust
				r := l.watch(phoneHost, "", a)
				r.watching()
				time.Sleep(10 * time.Minute)
				before := r.requests("SUBSCRIBE")
				phone, server := netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost)
				l.net.Cut(phone, server)
				cut := time.Now()
				down := r.await("flow down", func(e ua.Event) bool {
					d, ok := e.Detail.(ua.FlowDetail)
					return ok && d.State == "down"
				})
				if took := down.Time.Sub(cut); took > c.within {
					t.Errorf("found out after %v", took)
				}
				l.net.Heal(phone, server)
				healed := time.Now()
				r.awaitRegistration(ua.Registered)
				if took := time.Since(healed); took > 5*time.Second {
					t.Errorf("registered %v after the network was back\n%s", took, r.story())
				}
				time.Sleep(time.Second)
				if got := r.flows(); !slices.Equal(got, []string{"up", c.cause, "up"}) {
					t.Errorf("flow: %q", got)
				}
				if b := l.Bindings("alice"); len(b) != 1 {
					t.Errorf("bindings %v", b)
				}
				if got := r.requests("SUBSCRIBE"); got <= before {
					t.Errorf("the subscription did not follow: %d SUBSCRIBEs before, %d now", before, got)
				}
				// It is told of what happens from now on.
				if err := l.Deactivate("alice", ""); err != nil {
					t.Fatal(err)
				}
				r.awaitKick(ua.KickDeactivated)
				r.close()
			})
		})
	}
}

// Two accounts share a connection. Where the pings of one find it dead, both
// register anew, over one new connection.
func TestKeepAliveOfSharedConnection(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		alice, bob := account(), account()
		bob.AOR, bob.Password = "sip:bob@example.com", func() (string, error) { return "hidden", nil }
		alice.Transport, bob.Transport = "tcp", "tcp"
		r := l.watch(phoneHost, "", alice, bob)
		time.Sleep(10 * time.Minute)
		phone, server := netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost)
		l.net.Cut(phone, server)
		r.await("flow down", func(e ua.Event) bool {
			d, ok := e.Detail.(ua.FlowDetail)
			return ok && d.State == "down"
		})
		l.net.Heal(phone, server)
		time.Sleep(5 * time.Second)
		for _, name := range []string{"alice", "bob"} {
			if s := r.state(name); s.Registration.State != ua.Registered || !s.Flow.Up {
				t.Errorf("%s is %s\n%s", name, s.Registration.State, r.story())
			}
		}
		if a, b := r.state("alice").Flow.Local, r.state("bob").Flow.Local; a != b {
			t.Errorf("over %s and %s", a, b)
		}
		for _, flow := range r.flows() {
			if strings.HasPrefix(flow, "down") && !strings.Contains(flow, "no CRLF came back") {
				t.Errorf("flow %s\n%s", flow, r.story())
			}
		}
		r.close()
	})
}

// quiet is an account that registers for a day and does no more, so that a
// script has nothing to answer but its keep-alives.
func quiet(a *ua.Account) { a.Watch, a.Expires = ua.WatchOff, 86400 }

// grant answers the next REGISTER with 200, its Via as via makes it, and what is
// promised with it.
func (s *scripted) grant(via func(string) string, headers ...string) (register string) {
	s.t.Helper()
	register = s.next("REGISTER")
	answered := register
	if via != nil {
		answered = strings.Replace(register, "Via: "+header(register, "Via"), "Via: "+via(header(register, "Via")), 1)
	}
	headers = slices.DeleteFunc(headers, func(h string) bool { return h == "" })
	s.answer(answered, "200 OK", append(headers, "Contact: "+header(register, "Contact")+";expires="+header(register, "Expires"))...)
	return register
}

// behindNAT is a Via as a registrar returns it that sees another address.
func behindNAT(via string) string {
	return strings.Replace(via, ";rport", ";received=203.0.113.5;rport=40112", 1)
}

func keep(value string) func(string) string {
	return func(via string) string { return strings.Replace(via, ";keep", ";keep="+value, 1) }
}

// What is sent over UDP to a registrar that answers no keep-alive, by what it
// said in its 2xx and what the user wants. Where nothing was promised STUN is
// never sent (RFC 5626 8) unless the user insists, and no flow fails in six hours.
func TestKeepAliveByPromise(t *testing.T) {
	const stun, crlf, none = "STUN", "CRLF", ""
	outbound := "Require: outbound"
	user := func(mode ua.KeepAlive, every uint32) func(*ua.Account) {
		return func(a *ua.Account) { a.KeepAlive, a.KeepAliveEvery = mode, every }
	}
	for _, c := range []struct {
		name        string
		change      func(*ua.Account)
		via         func(string) string
		header      string
		want        string
		least, most int // seconds
	}{
		{name: "nothing promised", want: none},
		{name: "keep echoed without a value", via: func(via string) string { return via }, want: none}, // RFC 6223 4.4
		{name: "Flow-Timer alone", header: "Flow-Timer: 30", want: none},
		{name: "nothing promised, NAT", via: behindNAT, want: crlf, least: 25, most: 25},
		{name: "nothing promised, NAT, off", change: user(ua.KeepOff, 0), via: behindNAT, want: none},
		{name: "nothing promised, 40 s", change: user(ua.KeepAuto, 40), want: crlf, least: 32, most: 40},
		{name: "nothing promised, crlf", change: user(ua.KeepCRLF, 0), want: crlf, least: 25, most: 25},
		{name: "nothing promised, crlf, 100 s", change: user(ua.KeepCRLF, 100), want: crlf, least: 80, most: 100},
		{name: "promised, crlf", change: user(ua.KeepCRLF, 0), header: outbound, want: crlf, least: 25, most: 25},
		{name: "promised, off", change: user(ua.KeepOff, 0), header: outbound, want: none},
	} {
		t.Run(c.name, func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) {
				quiet(a)
				if c.change != nil {
					c.change(a)
				}
			}, func(s *scripted, r *run) {
				tap := r.lab.tap()
				register := s.grant(c.via, c.header)
				offers := strings.Contains(header(register, "Via")+";", ";keep;")
				if off := strings.HasSuffix(c.name, "off"); offers == off {
					t.Errorf("Via %s", header(register, "Via")) // RFC 6223 4.3
				}
				r.awaitRegistration(ua.Registered)
				start := time.Now()
				time.Sleep(6 * time.Hour)
				byStun, byCRLF := tap.sent()
				for what, at := range map[string][]time.Time{stun: byStun, crlf: byCRLF} {
					switch {
					case what == c.want:
						evenly(t, what, start, at, time.Duration(c.least)*time.Second, time.Duration(c.most)*time.Second)
					case len(at) > 0:
						t.Errorf("%d by %s", len(at), what)
					}
				}
				if got := r.flows(); !slices.Equal(got, []string{"up"}) || len(tap.other) > 0 {
					t.Errorf("flow: %q, sent %q", got, tap.other)
				}
				if s := r.state("alice").Flow; s.KeepAlive != c.want || !s.Answered.IsZero() {
					t.Errorf("shown as %+v", s)
				}
			})
		})
	}
}

// pong answers every STUN request that is there with an address of that port.
func (s *scripted) pong(kind byte, port uint16) (answered int) {
	for {
		var message string
		select {
		case message = <-s.in:
		default:
			return answered
		}
		if !strings.HasPrefix(message, "\x00\x01") {
			s.kept = append(s.kept, message)
			continue
		}
		port := port ^ 0x2112 // RFC 5389 15.2
		s.send("\x01" + string(kind) + "\x00\x0c\x21\x12\xa4\x42" + message[8:20] +
			"\x00\x20\x00\x08\x00\x01" + string([]byte{byte(port >> 8), byte(port), 203 ^ 0x21, 0 ^ 0x12, 113 ^ 0xa4, 5 ^ 0x42}))
		answered++
	}
}

// ponging answers STUN for so long.
func (s *scripted) ponging(d time.Duration, kind byte, port uint16) (answered int) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		answered += s.pong(kind, port)
	}
	return answered
}

// RFC 6223: the value of "keep" in the Via of the 2xx promises an answer and
// names the interval; each refresh negotiates anew, and without it there are no
// more keep-alives (4.2.2).
func TestKeepOfRFC6223(t *testing.T) {
	for _, c := range []struct {
		value, header string
		least, most   time.Duration
	}{
		{"60", "", 48 * time.Second, 60 * time.Second},
		{"0", "", 24 * time.Second, 29 * time.Second},
		{"60", "Flow-Timer: 50", 40 * time.Second, 50 * time.Second},
	} {
		t.Run(c.value+c.header, func(t *testing.T) {
			inScript(t, wire.UDP, quiet, func(s *scripted, r *run) {
				tap := r.lab.tap()
				s.grant(keep(c.value), c.header)
				r.awaitRegistration(ua.Registered)
				start := time.Now()
				s.ponging(20*time.Minute, 1, 40112)
				stun, _ := tap.sent()
				evenly(t, "STUN", start, stun, c.least, c.most)
				if s := r.state("alice").Flow; s.KeepAlive != "STUN" || s.Answered.IsZero() {
					t.Errorf("shown as %+v", s)
				}
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				s.grant(nil)
				time.Sleep(time.Hour)
				if later, _ := tap.sent(); len(later) != len(stun) {
					t.Errorf("%d by STUN without a promise", len(later)-len(stun))
				}
				if got := r.flows(); !slices.Equal(got, []string{"up"}) {
					t.Errorf("flow: %q", got)
				}
			})
		})
	}
}

// RFC 5626 4.4.2: another mapped address is a failed flow, and so is an error.
// The registrar learns the new address by a REGISTER at once, under the same
// reg-id, and the notifier by a SUBSCRIBE behind it: in another dialog, since all of
// the one before comes over the flow that failed (4.3).
func TestMappedAddressChanges(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  byte
		port  uint16
		cause string
	}{
		{"address", 1, 40999, "our address as the registrar sees it changed from 203.0.113.5:40112 to 203.0.113.5:40999"},
		{"error", 0x11, 40112, "keep-alive: STUN was refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Expires, a.SubscribeExpires = 86400, 86400 }, func(s *scripted, r *run) {
				first := s.grant(nil, "Require: outbound")
				s.answer(s.takeSubscribe(), "200 OK", "Expires: 86400")
				s.notify("active;expires=86400", reginfo(0, "full", ours(first, "registered", 86400)))
				s.next("SIP/2.0 200")
				if n := s.ponging(10*time.Minute, 1, 40112); n < 20 {
					t.Fatalf("%d keep-alives\n%s", n, r.story())
				}
				if got := r.requests("REGISTER"); got != 1 {
					t.Fatalf("%d REGISTERs while nothing changed\n%s", got, r.story())
				}
				for s.pong(c.kind, c.port) == 0 {
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(100 * time.Millisecond)
				again := s.grant(nil, "Require: outbound")
				if !strings.Contains(header(again, "Contact"), ";reg-id=1") || header(again, "Call-ID") != header(first, "Call-ID") {
					t.Errorf("registered anew by %s", again)
				}
				before := s.callID
				subscribe := s.takeSubscribe()
				if s.callID == before || strings.Contains(header(subscribe, "To"), "tag=") {
					t.Errorf("subscribed anew by %s", subscribe)
				}
				s.answer(subscribe, "200 OK", "Expires: 86400")
				s.cseq = 0
				s.notify("active;expires=86400", reginfo(0, "full", ours(again, "refreshed", 86400)))
				s.ponging(10*time.Minute, 1, 40999)
				if got := r.flows(); !slices.Equal(got, []string{"up", "down " + c.cause, "up"}) {
					t.Errorf("flow: %q", got)
				}
				if a, b := r.requests("REGISTER"), r.requests("SUBSCRIBE"); a != 2 || b != 2 {
					t.Errorf("%d REGISTERs, %d SUBSCRIBEs", a, b)
				}
			})
		})
	}
}

// RFC 5626 4.5: a flow that never answered a keep-alive was no good one. A
// registrar that promises answers and gives none is not registered with again
// and again: 30 s, 60 s, and so on to 30 min are waited.
func TestBrokenPromiseBacksOff(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				server := &mute{t: t, answer: "Require: outbound"}
				server.start(n, transport)
				a := account()
				a.Registrar, a.Transport = "sip:"+registrarHost, transport
				quiet(&a)
				r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
				defer r.kill()
				time.Sleep(2 * time.Hour)
				var at []time.Time
				for _, d := range r.downs() {
					at = append(at, d.Time)
				}
				// At least 30, 60, 120, 240, 480, 900, 900 s and twice as much at most.
				if len(at) < 4 || len(at) > 10 {
					t.Errorf("%d flows in two hours\n%s", len(at), r.story())
				}
				if got := r.requests("REGISTER"); got > len(at)+1 {
					t.Errorf("%d REGISTERs over %d flows", got, len(at))
				}
				// One that answers is good, and the counting begins anew.
				server.pong(true)
				time.Sleep(2 * time.Hour)
				server.pong(false)
				before := len(r.downs())
				time.Sleep(15 * time.Minute)
				if got := len(r.downs()) - before; got < 3 || got > 6 {
					t.Errorf("%d flows in a quarter of an hour\n%s", got, r.story())
				}
			})
		})
	}
}

func (r *run) downs() []ua.Event {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e ua.Event) bool {
		d, ok := e.Detail.(ua.FlowDetail)
		return !ok || d.State != "down"
	})
}

// mute answers REGISTER on every connection, and nothing else.
type mute struct {
	t      *testing.T
	answer string

	mu    sync.Mutex
	pongs bool        // it answers keep-alives
	pings []time.Time // over connections
}

func (m *mute) pong(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pongs = yes
}

func (m *mute) start(n *memnet.Net, transport string) {
	m.t.Helper()
	host, at := n.Host(registrarHost), netip.MustParseAddrPort(registrarHost+":5060")
	if transport == wire.UDP {
		socket, err := host.ListenPacket(m.t.Context(), at)
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { socket.Close() })
		go func() {
			buffer := make([]byte, 65536)
			for {
				size, from, err := socket.ReadFrom(buffer)
				if err != nil {
					return
				}
				if answer := m.take(string(buffer[:size])); answer != "" {
					socket.WriteTo([]byte(answer), from)
				}
			}
		}()
		return
	}
	listener, err := host.Listen(m.t.Context(), at)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { listener.Close() })
	go eachConn(listener, func(conn net.Conn) {
		buffer := make([]byte, 65536)
		for {
			size, err := conn.Read(buffer)
			if err != nil {
				return
			}
			conn.Write([]byte(m.take(string(buffer[:size]))))
		}
	})
}

// pinged is when pings came.
func (m *mute) pinged() []time.Time {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pings)
}

// take is called with a message, or with a ping.
func (m *mute) take(message string) (answer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case message == "\r\n\r\n":
		m.pings = append(m.pings, time.Now())
		if m.pongs {
			return "\r\n"
		}
	case strings.HasPrefix(message, "\x00\x01") && m.pongs:
		return "\x01\x01\x00\x00" + message[4:20] // RFC 5389 6, without an address
	}
	if !strings.HasPrefix(message, "REGISTER") {
		return ""
	}
	s := scripted{t: m.t, send: func(text string) { answer = text }}
	s.answer(message, "200 OK", m.answer, "Contact: "+header(message, "Contact")+";expires="+header(message, "Expires"))
	return answer
}

// Over a connection without a promise nothing is sent, unless the user insists;
// then nothing is awaited, and a peer that never answers is no failed flow.
func TestKeepAliveOverConnectionWithoutPromise(t *testing.T) {
	for _, c := range []struct {
		mode        ua.KeepAlive
		every       uint32
		least, most time.Duration
	}{
		{ua.KeepAuto, 0, 0, 0},
		{ua.KeepCRLF, 0, 95 * time.Second, 120 * time.Second},
		{ua.KeepSTUN, 0, 95 * time.Second, 120 * time.Second},
		{ua.KeepAuto, 10, 8 * time.Second, 10 * time.Second},
	} {
		t.Run(fmt.Sprint(c.mode, c.every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				server := &mute{t: t, answer: "Server: mute"}
				server.start(n, wire.TCP)
				a := account()
				a.Registrar, a.Transport, a.KeepAlive, a.KeepAliveEvery = "sip:"+registrarHost, wire.TCP, c.mode, c.every
				quiet(&a)
				r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
				defer r.kill()
				r.awaitRegistration(ua.Registered)
				start := time.Now()
				time.Sleep(6 * time.Hour)
				if pings := server.pinged(); c.most > 0 {
					evenly(t, "CRLFs", start, pings, c.least, c.most)
				} else if len(pings) > 0 {
					t.Errorf("%d pings", len(pings))
				}
				if got := r.flows(); !slices.Equal(got, []string{"up"}) {
					t.Errorf("flow: %q", got)
				}
			})
		})
	}
}

// The user's word that the next hop knows STUN is enough to send it, not to
// believe it: only a flow that has carried an answer can fail by its want.
func TestForcedSTUN(t *testing.T) {
	force := func(a *ua.Account) { quiet(a); a.KeepAlive = ua.KeepSTUN }
	inScript(t, wire.UDP, force, func(s *scripted, r *run) {
		tap := r.lab.tap()
		s.grant(nil)
		time.Sleep(6 * time.Hour)
		// An exchange takes 39.5 s, and the next comes behind it.
		if stun, _ := tap.sent(); len(stun) < 540 || len(stun) > 550 {
			t.Errorf("%d by STUN", len(stun))
		}
		if s := r.state("alice").Flow; s.KeepAlive != "STUN" || !s.Answered.IsZero() {
			t.Errorf("shown as %+v", s)
		}
		if got := r.flows(); !slices.Equal(got, []string{"up"}) {
			t.Fatalf("before any answer: %q", got)
		}
		s.ponging(10*time.Minute, 1, 40112)
		time.Sleep(70 * time.Second)
		if got := r.flows(); len(got) < 2 || got[1] != "down keep-alive: no answer to STUN within 39.5 s" {
			t.Errorf("after the answers ended: %q", got)
		}
	})
}

// A promise is for a binding: without one nothing is sent (RFC 6223 4.2.2).
func TestKeepAliveEndsWithTheBinding(t *testing.T) {
	for _, kicked := range []bool{false, true} {
		t.Run(fmt.Sprint("kicked=", kicked), func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				tap := l.tap()
				r := l.watch(phoneHost, "", account())
				r.watching()
				time.Sleep(10 * time.Minute)
				if kicked {
					if err := l.Deactivate("alice", ""); err != nil {
						t.Fatal(err)
					}
				} else {
					r.Do("alice", ua.Command{Verb: ua.DoUnregister})
				}
				r.awaitRegistration(ua.Unregistered)
				before, _ := tap.sent()
				time.Sleep(30 * time.Minute)
				if after, crlf := tap.sent(); len(before) < 20 || len(after) != len(before) || len(crlf) > 0 {
					t.Errorf("%d by STUN before, %d after", len(before), len(after)-len(before))
				}
				r.close()
			})
		})
	}
}
