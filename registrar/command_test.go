package registrar

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
)

func TestCommand(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.subscribe(200)
		p.register(200, "Contact: "+p.contact(), "Expires: 600")
		for _, c := range []struct{ line, want string }{
			{"", ""},
			{"list", "sip:alice@example.com  sip:alice@192.0.2.7:5060  registered, 600 s left"},
			{"list bob", "Nothing is bound."},
			{"shorten alice 60", "Shortened to 60 s sip:alice@192.0.2.7:5060; 1 subscriber was told."},
			{"create alice sip:alice@192.0.2.9 60", "Created sip:alice@192.0.2.9; 1 subscriber was told."},
			{"create bob sip:bob@192.0.2.9", "Created sip:bob@192.0.2.9; nobody was told."},
			{"probation alice 192.0.2.9 30", "Put on probation for 30 s sip:alice@192.0.2.9; 1 subscriber was told."},
			{"remove bob", "Removed silently sip:bob@192.0.2.9; nobody was told."},
			{"REJECT alice", "Rejected alice and removed sip:alice@192.0.2.7:5060; 1 subscriber was told."},
			{"allow alice", "alice may register again."},
			{"allow alice", "! nothing matches: alice is not rejected"},
			{"deactivate alice", "! nothing matches: alice has no contact"},
			{"expire alice 192.0.2.7", `! nothing matches: alice has no contact "192.0.2.7"`},
			{"shorten alice soon", `! shorten: "soon" is no number of seconds: write shorten USER [CONTACT] SECONDS`},
			{"reject", "! reject: write reject USER"},
			{"kick alice", `! "kick" is no command: try help`},
		} {
			got, err := l.Command(c.line)
			if err != nil {
				got = "! " + err.Error()
			}
			if got != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.line, got, c.want)
			}
		}
		help, _ := l.Command("help")
		for name := range commands {
			if !strings.Contains(help, "\n"+name) && !strings.HasPrefix(help, name) {
				t.Errorf("help lacks %s", name)
			}
		}
	})
}

func TestClosed(t *testing.T) {
	inLab(t, Options{}, func(l *lab) {
		p := l.phone("192.0.2.7")
		p.answer = 0
		p.subscribe(200) // its NOTIFY is under way and never answered
		time.Sleep(time.Second)
		l.Close()
		l.Close()
		if l.Bindings("") != nil {
			t.Error("a closed registrar still has bindings")
		}
		if _, err := l.Command("deactivate alice"); err != ErrClosed {
			t.Errorf("got %v", err)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:0")
	for want, o := range map[string]Options{
		"no address":   {},
		`"magic"`:      {Listen: []Listen{{wire.UDP, at}}, Profile: "magic"},
		`"rot13"`:      {Listen: []Listen{{wire.UDP, at}}, Algorithms: []string{"rot13"}},
		`"pigeon"`:     {Listen: []Listen{{"pigeon", at}}},
		`"udp"`:        {Listen: []Listen{{wire.UDP, at}, {wire.UDP, at}}},
		"not in range": {Listen: []Listen{{wire.UDP, netip.MustParseAddrPort("192.0.2.1:0")}}},
	} {
		r, err := Start(t.Context(), o)
		if err == nil {
			r.Close()
			t.Errorf("%s: started", want)
		} else if want != "not in range" && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
}

// TestLoopback is one round over real sockets.
func TestLoopback(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:0")
	r, err := Start(t.Context(), Options{Listen: []Listen{{wire.UDP, at}, {wire.TCP, at}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, transport := range []string{wire.UDP, wire.TCP} {
		stack, err := wire.OpenStack(t.Context(), wire.Options{Transport: transport, Local: at})
		if err != nil {
			t.Fatal(err)
		}
		defer stack.Close()
		came := make(chan *wire.Incoming, 8)
		stack.Attach("", func(in *wire.Incoming) {
			in.Respond(wire.Answer{Status: 200, Reason: "OK"})
			came <- in
		})
		flow, err := stack.Connect(t.Context(), r.Addr(transport))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		who := "<sip:alice@" + wire.HostPortOf(r.Addr(transport)) + ">"
		for i, method := range []string{"SUBSCRIBE", "REGISTER"} {
			response, err := flow.Do(ctx, &wire.Request{Method: method, URI: strings.Trim(who, "<>"), Headers: wire.Headers{
				{Name: "From", Value: who + ";tag=1"}, {Name: "To", Value: who}, {Name: "Call-ID", Value: method + transport},
				{Name: "CSeq", Value: "1 " + method}, {Name: "Event", Value: "reg"},
				{Name: "Contact", Value: "<sip:alice@" + wire.HostPortOf(flow.Local()) + ">"},
			}})
			if err != nil || response.Status != 200 {
				t.Fatalf("%s %s: %v %v", transport, method, response, err)
			}
			select {
			case in := <-came:
				if d := decode(t, in); d.Version.Value != uint64(i) {
					t.Errorf("%s: version %d, want %d", transport, d.Version.Value, i)
				}
			case <-ctx.Done():
				t.Fatalf("%s: no NOTIFY after %s", transport, method)
			}
		}
	}
}
