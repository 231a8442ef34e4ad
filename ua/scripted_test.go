package ua_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

// scripted is a registrar that does just what a test says, in bytes of its own
// making: it shares no code with ours.
type scripted struct {
	t         *testing.T
	transport string
	addr      netip.AddrPort
	in        chan string
	kept      []string      // read, and not asked for yet
	closed    chan struct{} // over TCP: the other side has closed the connection
	patience  time.Duration // how long next waits
	send      func(string)

	branch  int
	callID  string // of the SUBSCRIBE
	toTag   string // its From tag
	contact string
	cseq    int // of the next NOTIFY
}

func newScripted(t *testing.T, network wire.Network, transport string, at netip.AddrPort) *scripted {
	t.Helper()
	s := &scripted{t: t, transport: transport, in: make(chan string, 8192), closed: make(chan struct{}), patience: 20 * time.Second}
	if transport == wire.UDP {
		socket, err := network.ListenPacket(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		s.addr = netip.MustParseAddrPort(socket.LocalAddr().String())
		peer := make(chan net.Addr, 1)
		go func() {
			buffer := make([]byte, 65535)
			for {
				n, from, err := socket.ReadFrom(buffer)
				if err != nil {
					return
				}
				select {
				case peer <- from:
				default:
				}
				s.in <- string(buffer[:n])
			}
		}()
		var to net.Addr
		s.send = func(message string) {
			if to == nil {
				to = <-peer
			}
			socket.WriteTo([]byte(message), to)
		}
		return s
	}
	listener, err := network.Listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = netip.MustParseAddrPort(listener.Addr().String())
	conns := make(chan net.Conn, 1)
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		t.Cleanup(func() { conn.Close() })
		conns <- conn
		defer close(s.closed)
		reader := bufio.NewReader(conn)
		for {
			message, length := "", 0
			for {
				line, err := reader.ReadString('\n')
				if err != nil {
					return
				}
				if line == "\r\n" && message == "" {
					s.in <- line // a keep-alive, or a half of one
					continue
				}
				message += line
				if value, found := strings.CutPrefix(line, "Content-Length: "); found {
					length, _ = strconv.Atoi(strings.TrimSpace(value))
				}
				if line == "\r\n" {
					break
				}
			}
			body := make([]byte, length)
			io.ReadFull(reader, body)
			s.in <- message + string(body)
		}
	}()
	var conn net.Conn
	s.send = func(message string) {
		if conn == nil {
			conn = <-conns
		}
		conn.Write([]byte(message))
	}
	return s
}

func header(message, name string) string {
	for line := range strings.SplitSeq(message, "\r\n") {
		if value, found := strings.CutPrefix(line, name+": "); found {
			return value
		}
	}
	return ""
}

// next returns the next message that starts so; others are kept for later.
func (s *scripted) next(start string) string {
	s.t.Helper()
	for i, message := range s.kept {
		if strings.HasPrefix(message, start) {
			s.kept = slices.Delete(s.kept, i, i+1)
			return message
		}
	}
	limit := time.After(s.patience)
	for {
		select {
		case message := <-s.in:
			if strings.HasPrefix(message, start) {
				return message
			}
			s.kept = append(s.kept, message)
		case <-limit:
			s.t.Fatalf("no message that starts with %q", start)
		}
	}
}

func (s *scripted) answer(request, status string, headers ...string) {
	out := "SIP/2.0 " + status + "\r\n"
	for _, name := range []string{"Via", "From", "Call-ID", "CSeq"} {
		out += name + ": " + header(request, name) + "\r\n"
	}
	to := header(request, "To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=server"
	}
	out += "To: " + to + "\r\n"
	for _, h := range headers {
		out += h + "\r\n"
	}
	s.send(out + "Content-Length: 0\r\n\r\n")
}

// acceptRegister answers the next REGISTER as a registrar does that has nothing
// special about it.
func (s *scripted) acceptRegister() string {
	s.t.Helper()
	request := s.next("REGISTER")
	s.answer(request, "200 OK", "Contact: "+header(request, "Contact")+";expires="+header(request, "Expires"))
	return request
}

// takeSubscribe reads the next SUBSCRIBE and notes its dialog.
func (s *scripted) takeSubscribe() string {
	s.t.Helper()
	request := s.next("SUBSCRIBE")
	s.callID = header(request, "Call-ID")
	_, s.toTag, _ = strings.Cut(header(request, "From"), ";tag=")
	s.contact, _, _ = strings.Cut(strings.TrimPrefix(header(request, "Contact"), "<"), ">")
	return request
}

// notify sends a NOTIFY in the dialog; headers and body are the test's.
func (s *scripted) notify(state, body string) {
	s.cseq++
	s.notifyAs(s.cseq, "server", state, body)
}

func (s *scripted) notifyAs(cseq int, fromTag, state, body string) {
	s.branch++
	s.send(strings.ReplaceAll(fmt.Sprintf(`NOTIFY %s SIP/2.0
Via: SIP/2.0/%s %s;branch=z9hG4bKs%d
Max-Forwards: 70
From: <sip:alice@example.com>;tag=%s
To: <sip:alice@example.com>;tag=%s
Call-ID: %s
CSeq: %d NOTIFY
Contact: <sip:notifier@%s>
Event: reg
Subscription-State: %s
Content-Type: application/reginfo+xml
Content-Length: %d

`, s.contact, strings.ToUpper(s.transport), s.addr, s.branch, fromTag, s.toTag, s.callID, cseq, s.addr, state, len(body)), "\n", "\r\n") + body)
}

// document is a reginfo document with one contact that is not ours.
func document(version int, state, contactEvent string, cseq int) string {
	contactState := "active"
	if contactEvent == "unregistered" {
		contactState = "terminated"
	}
	return fmt.Sprintf(`<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="%d" state="%s">
 <registration aor="sip:alice@example.com" id="r1" state="active">
  <contact id="c9" state="%s" event="%s" callid="other" cseq="%d"><uri>sip:alice@203.0.113.9:5062</uri></contact>
 </registration>
</reginfo>`, version, state, contactState, contactEvent, cseq)
}

// onNetworks runs f over memnet and over loopback, by UDP and TCP, in real time.
func onNetworks(t *testing.T, f func(t *testing.T, s *scripted, r *run)) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		for _, network := range []string{"memnet", "loopback"} {
			t.Run(transport+"/"+network, func(t *testing.T) {
				t.Parallel()
				n := memnet.New()
				var server, client wire.Network = n.Host(registrarHost), n.Host(phoneHost)
				at := netip.MustParseAddrPort(registrarHost + ":5060")
				if network == "loopback" {
					server, client, at = wire.System{}, wire.System{}, netip.MustParseAddrPort("127.0.0.1:0")
				}
				s := newScripted(t, server, transport, at)
				a := ua.Account{AOR: "sip:alice@example.com", Registrar: "sip:" + s.addr.String(), Transport: transport}
				g := ua.NewGroup(ua.Options{Network: client})
				if err := g.Start(a); err != nil {
					t.Fatal(err)
				}
				r := &run{Group: g, lab: &lab{t: t}}
				f(t, s, r)
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				g.Close(ctx, true)
			})
		}
	}
}

// collect reads events until f says enough.
func (r *run) collect(enough func(ua.Event) bool) []ua.Event {
	r.lab.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all []ua.Event
	for update := range r.Watch(ctx, 0) {
		for _, e := range update.Events {
			all = append(all, e)
			if enough(e) {
				return all
			}
		}
	}
	r.lab.t.Fatalf("not enough: %d events", len(all))
	return nil
}

// A NOTIFY that overtakes the 200 to its SUBSCRIBE makes the dialog (RFC 6665
// 4.1.2.4), and two NOTIFYs back to back are applied in their order, 1000 times
// out of 1000: the version never goes back, and each is answered 200.
func TestNotifyOrder(t *testing.T) {
	const pairs = 1000
	onNetworks(t, func(t *testing.T, s *scripted, r *run) {
		s.acceptRegister()
		subscribe := s.takeSubscribe()
		s.notify("active;expires=3600", document(0, "full", "registered", 1))
		if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 200") {
			t.Fatalf("the early NOTIFY was answered %q", got)
		}
		s.answer(subscribe, "200 OK", "Expires: 3600", "Contact: <sip:notifier@"+s.addr.String()+">")
		for i := range pairs {
			s.notify("active;expires=3600", document(2*i+1, "full", "refreshed", 2*i+2))
			s.notify("active;expires=3600", document(2*i+2, "full", "refreshed", 2*i+3))
			for range 2 {
				if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 200") {
					t.Fatalf("pair %d was answered %q", i, got)
				}
			}
		}
		applied := uint64(0)
		events := r.collect(func(e ua.Event) bool {
			d, ok := e.Detail.(ua.DocumentDetail)
			if ok && (d.Verdict != "applied" || d.Version.Value != applied) {
				t.Fatalf("after version %d: %+v", applied, d)
			}
			if ok {
				applied++
			}
			return applied == 2*pairs+1
		})
		for _, e := range events {
			if d, ok := e.Detail.(ua.FindingDetail); ok && d.Code != finding.NotifyFlood {
				t.Errorf("finding %+v", d)
			}
		}
	})
}

// RFC 3680 5.2: a partial document that leaves a gap is applied, and full state
// is asked for; one that goes back is dropped. RFC 6665 4.4.1: a second dialog
// from a fork gets a 481. RFC 3261 12.2.2: a lower CSeq gets a 500.
func TestGapForkAndOrder(t *testing.T) {
	onNetworks(t, func(t *testing.T, s *scripted, r *run) {
		s.acceptRegister()
		s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
		expect := func(status string) {
			t.Helper()
			if got := s.next("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 "+status) {
				t.Fatalf("answered %q, not %s", got, status)
			}
		}
		s.notify("active;expires=3600", document(0, "full", "registered", 1))
		expect("200")
		s.notify("active;expires=3600", document(1, "partial", "refreshed", 2))
		expect("200")
		s.notify("active;expires=3600", document(5, "partial", "refreshed", 3))
		expect("200")
		refresh := s.next("SUBSCRIBE") // full state asked for
		if header(refresh, "Call-ID") != s.callID || !strings.Contains(header(refresh, "To"), "tag=server") {
			t.Errorf("the refresh is not in the dialog: %s", refresh)
		}
		s.answer(refresh, "200 OK", "Expires: 3600")
		s.notify("active;expires=3600", document(6, "full", "refreshed", 3))
		expect("200")
		s.notify("active;expires=3600", document(2, "partial", "unregistered", 3))
		expect("200")
		s.notifyAs(s.cseq+1, "fork", "active;expires=3600", document(0, "full", "registered", 9))
		expect("481")
		s.notifyAs(s.cseq-1, "server", "active;expires=3600", document(9, "full", "registered", 9))
		expect("500")
		s.notify("active;expires=3600", document(7, "partial", "unregistered", 3))
		expect("200")
		var verdicts []string
		r.collect(func(e ua.Event) bool {
			if d, ok := e.Detail.(ua.DocumentDetail); ok {
				verdicts = append(verdicts, fmt.Sprint(d.Version.Value, " ", d.Verdict))
			}
			d, ok := e.Detail.(ua.ContactDetail)
			return ok && d.Event == "unregistered"
		})
		want := "[0 applied 1 applied 5 applied 6 applied 2 discarded 7 applied]"
		if got := fmt.Sprint(verdicts); got != want {
			t.Errorf("verdicts %s, want %s", got, want)
		}
	})
}

// The answer of RFC 5627 has ";" and "=" within its quoted GRUUs: just
// those two are learned, whole.
func TestGRUUsOfTheStandardsAnswer(t *testing.T) {
	n := memnet.New()
	s := newScripted(t, n.Host(registrarHost), wire.UDP, netip.MustParseAddrPort(registrarHost+":5060"))
	g := ua.NewGroup(ua.Options{Network: n.Host(phoneHost)})
	err := g.Start(ua.Account{
		AOR: "sip:callee@example.com", Registrar: "sip:" + registrarHost, Watch: ua.WatchOff,
		InstanceID: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
	})
	if err != nil {
		t.Fatal(err)
	}
	request := s.next("REGISTER")
	contact, _, _ := strings.Cut(header(request, "Contact"), ";")
	s.answer(request, "200 OK", "Contact: "+contact+
		`;pub-gruu="sip:callee@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"`+
		`;temp-gruu="sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr"`+
		`;+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>";expires=3600`)
	r := &run{Group: g, lab: &lab{t: t}}
	r.collect(func(e ua.Event) bool {
		d, ok := e.Detail.(ua.RegistrationDetail)
		return ok && d.State == ua.Registered
	})
	var got []string
	for update := range g.Watch(t.Context(), 0) {
		for _, gruu := range update.Snapshots[0].GRUUs {
			got = append(got, string(gruu.Type)+" "+gruu.URI)
		}
		break
	}
	want := "[public sip:callee@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6" +
		" temporary sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr]"
	if fmt.Sprint(got) != want {
		t.Errorf("learned %v, want %s", got, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.Close(ctx, true)
}
