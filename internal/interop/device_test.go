package interop_test

import (
	"strings"
	"testing"
	"time"

	"regwatch/internal/interop"
	"regwatch/internal/trace"
	"regwatch/ua"
)

// onTransports runs f with a Kamailio and an account at it, over each transport that the tests have.
func onTransports(t *testing.T, o interop.Options, f func(t *testing.T, k *interop.Kamailio, a ua.Account)) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		o := o
		o.TLS = transport == "tls"
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			k := interop.Start(t, o)
			f(t, k, ua.Account{AOR: k.AOR("alice"), OutboundProxy: []string{k.URI(transport)}, TLS: ua.TLS{CAFile: k.CAFile()}})
		})
	}
}

// RFC 5627 4.2, 3.1.2, 6.1 with the GRUUs of Kamailio. Over a refresh it gives the same temporary GRUU again; with a new
// binding it gives another.
func TestKamailioGRUUs(t *testing.T) {
	onTransports(t, interop.Options{}, func(t *testing.T, k *interop.Kamailio, a ua.Account) {
		a.InstanceID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
		p := call(t, a)
		p.registered(3600)
		p.contact(true, "created", "registered")
		public := "public " + k.AOR("alice") + ";gr=" + a.InstanceID
		first := p.gruus()
		if !strings.HasPrefix(first, public+", temporary sip:") || strings.Count(first, "sip:") != 2 {
			t.Fatalf("learned %s", first)
		}
		p.do(ua.DoRegister)
		p.registered(3600)
		if again := p.gruus(); again != first {
			t.Errorf("after a refresh %s, before it %s", again, first)
		}

		_, temporary, _ := strings.Cut(first, "temporary ")
		if err := k.RemoveContact(k.AOR("alice"), ownContact(t, k)); err != nil {
			t.Fatal(err)
		}
		p.gruu(ua.Invalidated, temporary)
		if got := p.gruus(); got != public+" unusable" {
			t.Errorf("after the kick %s", got)
		}
		p.do(ua.DoRegister)
		p.registered(3600)
		if got := p.gruus(); !strings.HasPrefix(got, public+", temporary sip:") || strings.Contains(got, temporary) {
			t.Errorf("after the return %s", got)
		}
	})
}

// RFC 5627 6.1: a ping of our own GRUU comes back to this device, through a proxy that routes it there, and that wants
// credentials first.
func TestPingThroughKamailio(t *testing.T) {
	onTransports(t, interop.Options{}, func(t *testing.T, k *interop.Kamailio, a ua.Account) {
		p := call(t, a)
		p.registered(3600)
		p.do(ua.DoPing)
		d := p.await("the ping", func(e ua.Event) bool {
			_, ok := e.Detail.(ua.RequestDetail)
			return ok && strings.Contains(e.Summary, "came back to this device")
		}).Detail.(ua.RequestDetail)
		if !strings.Contains(p.gruus(), "temporary "+d.Target) || d.Status != 200 {
			t.Errorf("pinged %+v", d)
		}
	})
}

// RFC 3261 10.2.8 as Kamailio asks for it: behind its 423 the usual script sends a 500 to the same request.
func TestKamailioMinExpires(t *testing.T) {
	onTransports(t, interop.Options{MinExpires: 90}, func(t *testing.T, k *interop.Kamailio, a ua.Account) {
		a.Expires = 30
		call(t, a).registered(90)
	})
}

// Another device of the same user comes and goes, and is kicked: told as its own doing and the network's, and none of
// it is a kick of ours.
func TestKamailioOtherDevice(t *testing.T) {
	onTransports(t, interop.Options{}, func(t *testing.T, k *interop.Kamailio, a ua.Account) {
		p := call(t, a)
		p.contact(true, "created", "registered")
		other := call(t, a)
		if d := p.contact(false, "created"); d.Origin != ua.OriginOtherDevice {
			t.Errorf("its coming is told as %+v", d)
		}
		other.contact(true, "created", "registered")
		uri := other.state().Registration.Contact
		other.do(ua.DoUnregister)
		if d := p.contact(false, "unregistered"); d.Origin == ua.OriginSelf || d.URI != uri {
			t.Errorf("its going is told as %+v", d)
		}
		if d := other.contact(true, "unregistered"); d.Origin != ua.OriginSelf {
			t.Errorf("the other device takes its own going for %+v", d)
		}
		other.do(ua.DoRegister)
		p.contact(false, "created")
		if err := k.RemoveContact(k.AOR("alice"), uri); err != nil {
			t.Fatal(err)
		}
		if d := other.contact(true, "unregistered"); d.Kick() != ua.KickUnregistered {
			t.Errorf("the other device takes its kick for %+v", d)
		}
		if d := p.contact(false, "unregistered"); d.Kick() != "" {
			t.Errorf("we take its kick for %+v", d)
		}
		if s := p.state(); s.Registration.State != ua.Registered || len(s.Prompts) != 0 {
			t.Errorf("we are %+v with %d prompts", s.Registration, len(s.Prompts))
		}
	})
}

// RFC 3261 10.2.2: Contact: * takes off everything, and of ours that is our own doing.
func TestKamailioRemoveAll(t *testing.T) {
	onTransports(t, interop.Options{}, func(t *testing.T, k *interop.Kamailio, a ua.Account) {
		p := call(t, a)
		p.contact(true, "created", "registered")
		if err := k.AddContact(k.AOR("alice"), "sip:alice@192.0.2.7:5060", time.Minute); err != nil {
			t.Fatal(err)
		}
		p.contact(false, "created")
		p.do(ua.DoRemoveAll)
		told, answered := false, false
		p.await("our going", func(e ua.Event) bool {
			switch d := e.Detail.(type) {
			case ua.ContactDetail:
				told = told || d.Own && d.Event == "unregistered" && d.Origin == ua.OriginSelf
			case ua.RegistrationDetail:
				answered = answered || d.State == ua.Unregistered && d.Status == 200
			}
			return told && answered // the NOTIFY often overtakes the 200
		})
		if list, err := k.Contacts(k.AOR("alice")); err != nil || len(list) != 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
	})
}

// RFC 5626 with Kamailio's outbound module on an edge proxy. The registrar says that it uses the flow; from then on what
// makes a dialog carries ;ob (4.3), and all that comes to us comes by the flow tokens of the edge (5.3), which knows no
// other way: the NOTIFYs, the one of the kick too, and a ping of our GRUU.
func TestOutboundThroughEdge(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls", "ws", "wss"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			k := interop.Start(t, interop.Options{Outbound: true, AuthRegisterOnly: true, Domain: "example.test"})
			edge := interop.Start(t, interop.Options{
				Upstream: k.Addr(), TLS: transport == "tls" || transport == "wss", WebSocket: transport == "ws" || transport == "wss",
			})
			p := call(t, ua.Account{
				AOR: k.AOR("alice"), OutboundProxy: []string{edge.URI(transport)}, TLS: ua.TLS{CAFile: edge.CAFile()}, WSPath: "/sip",
			})
			p.registered(3600)
			p.contact(true, "created", "registered")
			contacts, err := k.Contacts(k.AOR("alice"))
			if err != nil || len(contacts) != 1 || contacts[0].RegID != 1 || !strings.Contains(contacts[0].Path, ";ob>") {
				t.Fatalf("bound: %+v, %v", contacts, err)
			}
			if m := p.seen(trace.Received, "SIP/2.0 200")[0]; m.Header("Require", "") != "outbound" || m.Header("Flow-Timer", "") == "" {
				t.Errorf("the registrar does not use outbound: %s", m.Raw)
			}
			if m := p.seen(trace.Sent, "SUBSCRIBE")[0]; !strings.HasSuffix(m.Header("Contact", "m"), ";ob>") {
				t.Errorf("Contact of SUBSCRIBE: %s", m.Header("Contact", "m"))
			}
			p.do(ua.DoPing)
			p.await("the ping", func(e ua.Event) bool { return strings.Contains(e.Summary, "came back to this device") })
			p.do(ua.DoSubscribe) // in the dialog, whose 200 is here by now: over the route that has the tokens
			p.subscription(ua.Active)
			if err := k.RemoveContact(k.AOR("alice"), contacts[0].Address); err != nil {
				t.Fatal(err)
			}
			if d := p.contact(true, "unregistered"); d.Kick() != ua.KickUnregistered {
				t.Errorf("told as %+v", d)
			}
			p.do(ua.DoRegister)
			p.registered(3600)
			if f := p.state().Flow; !f.Up || f.Local != p.seen(trace.Sent, "REGISTER")[0].Local.String() {
				t.Errorf("the flow was not kept: %+v", f)
			}
		})
	}
}
