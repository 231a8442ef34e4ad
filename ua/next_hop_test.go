package ua_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/testcert"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/ua"
)

const elsewhereHost = "198.51.100.9"

// named gives the NOTIFYs that s sends another Contact, and Record-Routes.
func (s *scripted) named(contact string, routes ...string) {
	send, was := s.send, "Contact: <sip:notifier@"+s.addr.String()+">\r\n"
	s.send = func(m string) {
		fields := "Contact: " + contact + "\r\n"
		for _, route := range routes {
			fields += "Record-Route: " + route + "\r\n"
		}
		send(strings.Replace(m, was, fields, 1))
	}
}

// seenFrom has the answers of s say that requests come from another address.
func (s *scripted) seenFrom() {
	send := s.send
	s.send = func(m string) { send(strings.Replace(m, ";rport", ";received=203.0.113.5;rport=40112", 1)) }
}

// A refresh and the unsubscribing go to the dialog's next hop, as RFC 3261
// 12.2.1.1 makes it of the first NOTIFY, by 8.1.2; but over the account's flow
// where that is bound to it, or where the hop means nothing here.
func TestNextHopOfDialog(t *testing.T) {
	const (
		there  = "sip:n@" + elsewhereHost
		home   = "sip:n@" + registrarHost
		loose  = "<sip:" + elsewhereHost + ";lr>"
		second = "<sip:p2.example.net;lr>;x=1"
	)
	proxied := func(a *ua.Account) { a.OutboundProxy = []string{a.Registrar} }
	for _, c := range []struct {
		name      string
		transport string // "": UDP
		change    func(*ua.Account)
		nat       bool
		bound     string // a field of the 2xx to REGISTER
		contact   string
		routes    []string

		away  bool // it goes elsewhere
		uri   string
		route string
	}{
		{name: "Contact elsewhere", contact: "<" + there + ">", away: true, uri: there},
		{name: "Contact elsewhere, by name", contact: "<sip:n@far.example.net>", away: true, uri: "sip:n@far.example.net"},
		{name: "Contact elsewhere, over TCP", transport: wire.TCP, contact: "<" + there + ";transport=tcp>", away: true, uri: there + ";transport=tcp"},
		{name: "a GRUU (RFC 6665 4.5.1)", contact: "<sip:n@far.example.net;gr=urn:uuid:f81d4fae>", away: true, uri: "sip:n@far.example.net;gr=urn:uuid:f81d4fae"},
		{name: "another port of the registrar's host", contact: "<sip:n@" + registrarHost + ":5070>", away: true, uri: "sip:n@" + registrarHost + ":5070"},
		{name: "loose routes", contact: "<" + home + ">", routes: []string{loose + ", " + second}, away: true, uri: home, route: loose + "|" + second},
		{name: "loose routes in two lines", contact: "<" + home + ">", routes: []string{loose, second}, away: true, uri: home, route: loose + "|" + second},
		{
			name: "a strict router", contact: "<" + home + ";q=1>;expires=7", routes: []string{`"P" <sip:a?b@` + elsewhereHost + `;method=INVITE;x=1?Subject=z>;y=2`, second},
			away: true, uri: "sip:a?b@" + elsewhereHost + ";x=1", route: second + "|<" + home + ";q=1>",
		},
		{name: "a strict router alone", contact: "<" + home + ">", routes: []string{"<sip:" + elsewhereHost + ">"}, away: true, uri: "sip:" + elsewhereHost, route: "<" + home + ">"},
		{name: "route home, Contact elsewhere", contact: "<" + there + ">", routes: []string{"<sip:" + registrarHost + ";lr>"}, uri: there, route: "<sip:" + registrarHost + ";lr>"},
		{name: "TCP, and a Contact that does not say so", transport: wire.TCP, contact: "<" + home + ">", uri: home},
		{name: "outbound proxy, no route set", change: proxied, contact: "<" + there + ">", uri: there},
		{name: "outbound proxy, route elsewhere", change: proxied, contact: "<" + home + ">", routes: []string{loose}, away: true, uri: home, route: loose},
		{name: "outbound", bound: "Require: outbound", contact: "<" + there + ">", uri: there},
		{name: "NAT", nat: true, contact: "<" + there + ">", uri: there},
		{name: "a name that nobody knows", contact: "<sip:n@core.internal>", uri: "sip:n@core.internal"},
		{name: "an address of the core", contact: "<sip:n@10.1.2.3>", uri: "sip:n@10.1.2.3"},
		{name: "an address of its own machine", contact: "<sip:n@127.0.0.1:5070>", uri: "sip:n@127.0.0.1:5070"},
		{name: "no URI of ours", contact: "<tel:+123>", uri: "tel:+123"},
	} {
		t.Run(c.name, func(t *testing.T) {
			transport := c.transport
			if transport == "" {
				transport = wire.UDP
			}
			inScript(t, transport, c.change, func(s *scripted, r *run) {
				r.lab.net.Name("far.example.net", netip.MustParseAddr(elsewhereHost))
				at := elsewhereHost + ":5060"
				if strings.Contains(c.uri, "5070") {
					at = registrarHost + ":5070"
				}
				far := newScripted(s.t, r.lab.net.Host(strings.Split(at, ":")[0]), transport, netip.MustParseAddrPort(at))
				if c.nat {
					s.seenFrom()
				}
				register := s.next("REGISTER")
				s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+";expires=3600", cmp.Or(c.bound, "X-Nothing: 1"))
				subscribe := s.takeSubscribe()
				s.answer(subscribe, "200 OK", "Expires: 3600", "Contact: <sip:not-this@192.0.2.66>", "Record-Route: <sip:nor-this.example.com;lr>")
				s.named(c.contact, c.routes...)
				s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
				s.next("SIP/2.0 200")
				time.Sleep(time.Minute)

				to := s
				if c.away {
					to = far
				}
				for i, verb := range []ua.Verb{ua.DoSubscribe, ua.DoUnsubscribe} {
					r.Do("alice", ua.Command{Verb: verb})
					request := to.next("SUBSCRIBE")
					line, _, _ := strings.Cut(request, "\r\n")
					if want := "SUBSCRIBE " + c.uri + " SIP/2.0"; line != want {
						t.Errorf("%s, want %s", line, want)
					}
					var routes []string
					for line := range strings.SplitSeq(request, "\r\n") {
						if value, found := strings.CutPrefix(line, "Route: "); found {
							routes = append(routes, value)
						}
					}
					if got := strings.Join(routes, "|"); got != c.route {
						t.Errorf("Route %s, want %s", got, c.route)
					}
					for name, want := range map[string]string{
						"To": "<sip:alice@example.com>;tag=server", "From": header(subscribe, "From"), "Call-ID": header(subscribe, "Call-ID"),
						"CSeq": []string{"2 SUBSCRIBE", "3 SUBSCRIBE"}[i], "Contact": header(subscribe, "Contact"), "Event": "reg",
						"Expires": []string{"3761", "0"}[i],
					} {
						if c.bound != "" && name == "Contact" {
							continue // it has ";ob" now
						}
						if got := header(request, name); got != want {
							t.Errorf("%s: %s, want %s", name, got, want)
						}
					}
					to.answer(request, "200 OK", "Expires: "+header(request, "Expires"))
					if verb == ua.DoSubscribe {
						s.named(c.contact, "<sip:192.0.2.99;lr>") // a route set stays (RFC 3261 12.2)
						s.notify("active;expires=3600", reginfo(1, "full", ours(register, "registered", 3540)))
						s.next("SIP/2.0 200")
					}
				}
				time.Sleep(time.Second)
				if n := r.requests("SUBSCRIBE"); n != 3 {
					t.Errorf("%d SUBSCRIBEs\n%s", n, r.story())
				}
			})
		})
	}
}

// RFC 3261 12.2.1.2: the 2xx to a refresh moves the target, as a NOTIFY does, and
// no other answer; the address-of-record, which Kamailio's S-CSCF writes there, and
// what is no URI, are no target.
func TestTargetRefreshBy2xx(t *testing.T) {
	const moved, stays = "sip:moved@" + registrarHost, "sip:notifier@" + registrarHost + ":5060"
	for _, c := range []struct{ status, contact, want string }{
		{"200 OK", "<" + moved + ">;expires=5", moved},
		{"202 Accepted", moved, moved},
		{"200 OK", "<sip:alice@EXAMPLE.com>", stays},
		{"200 OK", "<sip:a b>", stays},
		{"200 OK", "*", stays},
		{"500 Server Internal Error", "<" + moved + ">", stays},
	} {
		t.Run(c.status+" "+c.contact, func(t *testing.T) {
			inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
				s.begin()
				time.Sleep(time.Minute)
				s.answer(s.renewing(r), c.status, "Expires: 3600", "Contact: "+c.contact)
				send := s.send
				s.send = func(m string) { send(without("Contact")(m)) } // a NOTIFY that has none moves nothing
				s.notify("active;expires=3600", "")
				s.next("SIP/2.0 200")
				if line, _, _ := strings.Cut(s.renewing(r), " SIP/2.0"); line != "SUBSCRIBE "+c.want {
					t.Errorf("%s, want %s", line, c.want)
				}
			})
		})
	}
}

// The notifier names an address that nothing comes back from, as it does behind a
// proxy that writes no Record-Route: the refresh goes over the account's flow
// soon enough for Timer N, and so do those after it. A new dialog is told anew.
func TestNextHopThatIsSilent(t *testing.T) {
	// Over TCP nothing was sent: the connection is refused.
	for transport, cseqs := range map[string][]string{wire.UDP: {"3 SUBSCRIBE", "4 SUBSCRIBE"}, wire.TCP: {"2 SUBSCRIBE", "3 SUBSCRIBE"}} {
		t.Run(transport, func(t *testing.T) {
			inScript(t, transport, nil, func(s *scripted, r *run) {
				s.named("<sip:n@" + elsewhereHost + ";transport=" + transport + ">")
				register := s.begin()
				r.awaitSubscription(ua.Active)
				for i, after := range []time.Duration{4 * time.Second, 0} {
					time.Sleep(time.Minute)
					asked := time.Now()
					r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
					refresh := s.next("SUBSCRIBE")
					if took := time.Since(asked); took > after+100*time.Millisecond {
						t.Errorf("refresh %d came after %s", i, took)
					}
					if line, _, _ := strings.Cut(refresh, " SIP/2.0"); line != "SUBSCRIBE sip:n@"+elsewhereHost+";transport="+transport {
						t.Error(line)
					}
					if got, want := header(refresh, "CSeq"), cseqs[i]; got != want {
						t.Errorf("CSeq %s, want %s", got, want)
					}
					s.answer(refresh, "200 OK", "Expires: 3600")
					s.notify("active;expires=3600", reginfo(1+i, "full", ours(register, "registered", 0)))
					s.next("SIP/2.0 200")
				}
				time.Sleep(time.Minute)
				told := 0
				for _, d := range all[ua.SubscriptionDetail](r) {
					if d.State != ua.Active && d.State != ua.NotifyWait {
						t.Errorf("%+v", d)
					}
					if strings.Contains(d.Reason, "nobody answers at sip:n@"+elsewhereHost) {
						told++
					}
				}
				if told != 1 {
					t.Errorf("told %d times\n%s", told, r.story())
				}
			})
		})
	}
}

// Who leaves has little time: the silent hop has a second of it, and then the
// unsubscribing goes the way that is known.
func TestLeaveByASilentNextHop(t *testing.T) {
	inScript(t, wire.UDP, nil, func(s *scripted, r *run) {
		s.named("<sip:n@" + elsewhereHost + ">")
		s.begin()
		go func() {
			s.acceptRegister()
			s.answer(s.next("SUBSCRIBE"), "200 OK", "Expires: 0")
		}()
		began := time.Now()
		r.close()
		if took := time.Since(began); took > 1500*time.Millisecond || r.requests("SUBSCRIBE") != 3 {
			t.Errorf("closed after %s and %d SUBSCRIBEs", took, r.requests("SUBSCRIBE"))
		}
	})
}

// An account that left its registrar for another watches that one: a refresh where
// the dialog says would go on telling of a registrar that has our binding no more.
func TestNextHopIsLeftWithTheTarget(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		other := &lab{t: t, net: l.net, options: l.options, host: otherServer}
		other.start()
		defer func() { other.Registrar.Close() }()
		l.net.Name("example.com", server, other.addr())
		a := account()
		a.Transport, a.NoOutbound = wire.UDP, true
		r := l.watch(phoneHost, "", a)
		defer r.kill()
		r.watching()
		first, second := l, other
		if len(l.Bindings("alice")) == 0 {
			first, second = other, l
		}
		l.net.Drop(func(p memnet.Packet) bool { // it takes SUBSCRIBE still
			return p.To.Addr() == first.addr() && strings.HasPrefix(string(p.Data), "REGISTER")
		})
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		time.Sleep(2 * time.Minute)
		if s := r.state("alice"); len(second.Bindings("alice")) != 1 || s.Subscription.State != ua.Active {
			t.Fatalf("subscription %s\n%s", s.Subscription.State, r.story())
		}
		second.Deactivate("alice", "")
		time.Sleep(time.Second)
		if got := r.kicks(); len(got) != 1 {
			t.Errorf("kicks %+v\n%s", got, r.story())
		}
	})
}

// overTLS is a network whose listeners speak TLS.
type overTLS struct {
	wire.Network
	config *tls.Config
}

func (o overTLS) Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	listener, err := o.Network.Listen(ctx, local)
	return tls.NewListener(listener, o.config), err
}

// What goes over TLS goes over TLS to the dialog's next hop, whose certificate has
// to name it, or home; never in the clear (RFC 3261 26.2.2, RFC 5922 4).
func TestNextHopOverTLS(t *testing.T) {
	for contact, away := range map[string]bool{
		"sip:n@far.example.net":                     true,
		"sip:n@far.example.net;transport=tcp":       true,
		"sip:n@" + elsewhereHost:                    false, // the certificate has no such name
		"sip:n@" + elsewhereHost + ";transport=udp": false,
	} {
		t.Run(contact, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				n.SetDelay(5*time.Millisecond, 0)
				n.Name("example.com", server)
				n.Name("far.example.net", netip.MustParseAddr(elsewhereHost))
				n.Drop(func(p memnet.Packet) bool { t.Errorf("in the clear: %s", p.Data); return true })
				authority := testcert.NewAuthority(t, "lab CA")
				at := func(host, name string) *scripted {
					config := &tls.Config{Certificates: []tls.Certificate{authority.For(name)}}
					s := newScripted(t, overTLS{n.Host(host), config}, wire.TCP, netip.MustParseAddrPort(host+":5061"))
					s.transport = wire.TLS
					return s
				}
				s, far := at(registrarHost, "example.com"), at(elsewhereHost, "far.example.net")
				a := account()
				a.Registrar, a.TLS = "sips:example.com", ua.TLS{CAFile: authority.File()}
				r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
				defer r.kill()
				s.named("<" + contact + ">")
				s.begin()
				time.Sleep(time.Minute)
				r.Do("alice", ua.Command{Verb: ua.DoSubscribe})
				to := s
				if away {
					to = far
				}
				if line, _, _ := strings.Cut(to.next("SUBSCRIBE"), " SIP/2.0"); line != "SUBSCRIBE "+contact {
					t.Error(line)
				}
			})
		})
	}
}
