package interop_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"regwatch/internal/interop"
	"regwatch/ua"
)

// refusals are the answers of refusals.xml in their order, and what each leads to.
var refusals = []struct {
	status  int
	state   ua.RegistrationState
	retryIn time.Duration // that the registrar named
}{
	{302, ua.Failed, 0},
	{400, ua.Failed, 0},
	{403, ua.Refused, 0},
	{404, ua.Refused, 0},
	{404, ua.Retrying, 120 * time.Second},
	{430, ua.Failed, 0}, // as 400
	{480, ua.Retrying, 130 * time.Second},
	{486, ua.Retrying, 140 * time.Second},
	{500, ua.Retrying, 0},
	{500, ua.Retrying, 150 * time.Second},
	{503, ua.Retrying, 160 * time.Second},
	{600, ua.Retrying, 170 * time.Second},
	{603, ua.Refused, 0},
}

// Each scenario of testdata, what the device is to tell, and by SIPp's own checks what it is to send.
var scenarios = []struct {
	name  string
	calls int
	set   func(*ua.Account)
	play  func(*phone)
}{
	{name: "interval", play: func(p *phone) { p.registered(1800) }},
	{name: "rfc2069", play: func(p *phone) { p.registered(600) }},
	{name: "sha256", play: func(p *phone) { p.registered(600) }},
	{name: "md5", set: func(a *ua.Account) { a.Digest = []string{"MD5"} }, play: func(p *phone) { p.registered(600) }},
	{name: "proxy", play: func(p *phone) { p.registered(600) }},
	{name: "nonce", play: func(p *phone) {
		p.registered(600)
		p.do(ua.DoRegister)
		p.registered(500)
	}},
	{name: "refusals", play: func(p *phone) {
		for _, r := range refusals {
			d := p.registration(r.state, r.status)
			if !strings.HasPrefix(d.Reason, strconv.Itoa(r.status)+" ") || r.status == 302 && !strings.Contains(d.Reason, "sip:elsewhere.example.com") {
				p.t.Errorf("%d: reason %q", r.status, d.Reason)
			}
			in := time.Duration(d.RetryIn).Round(time.Second)
			switch {
			case r.state != ua.Retrying && in != 0:
				p.t.Errorf("%d: another try in %v", r.status, in)
			case r.retryIn != 0 && in != r.retryIn:
				p.t.Errorf("%d: another try in %v, where the registrar said %v", r.status, in, r.retryIn)
			case r.state == ua.Retrying && in < 15*time.Second: // RFC 5626 4.5: half of 30 s at least
				p.t.Errorf("%d: another try in %v", r.status, in)
			}
			p.do(ua.DoRegister)
		}
		p.registered(600)
	}},
	{name: "redirect", set: func(a *ua.Account) { a.FollowRedirects = true }, play: func(p *phone) {
		p.registered(600)
		p.do(ua.DoRegister)
		p.registered(500)
	}},
	{name: "unavailable", play: func(p *phone) {
		p.registration(ua.Retrying, 503)
		p.registered(600)
	}},
	{name: "extension", play: func(p *phone) { p.registered(600) }},
	{name: "hop", play: func(p *phone) { p.registered(600) }},
	{name: "bindings", play: func(p *phone) {
		for range 2 { // somebody else's contact only, then none at all
			if d := p.registration(ua.Retrying, 200); !strings.Contains(d.Reason, "not among the bindings") {
				p.t.Errorf("reason %q", d.Reason)
			}
			p.do(ua.DoRegister)
		}
		p.registered(700)
		p.do(ua.DoRegister)
		p.registered(800)
		p.do(ua.DoRegister)
		p.registration(ua.Retrying, 200)
	}},
	{name: "compact", calls: 2, play: func(p *phone) {
		p.registered(500)
		if d := p.subscription(ua.Active); time.Duration(d.Expires).Round(time.Second) != 1200*time.Second {
			p.t.Errorf("subscribed for %v", time.Duration(d.Expires))
		}
	}},
	{name: "routes", calls: 2, set: throughProxy, play: func(p *phone) {
		p.registered(600)
		p.subscription(ua.Active)
		p.do(ua.DoRegister)
		p.registered(500)
	}},
	{name: "gruu", play: func(p *phone) {
		p.gruu(ua.Learned, "sip:alice@example.com;gr=ours")
		p.gruu(ua.Learned, "sip:one@example.com;gr")
		p.registered(600)
		p.do(ua.DoRegister)
		p.gruu(ua.Learned, "sip:two@example.com;gr")
		if got := p.gruus(); got != "public sip:alice@example.com;gr=ours, temporary sip:one@example.com;gr, temporary sip:two@example.com;gr" {
			p.t.Errorf("GRUUs are %s", got)
		}
		p.do(ua.DoUnregister)
		p.gruu(ua.Invalidated, "sip:one@example.com;gr")
		p.gruu(ua.Invalidated, "sip:two@example.com;gr")
		if got := p.gruus(); got != "public sip:alice@example.com;gr=ours unusable" {
			p.t.Errorf("GRUUs after the end are %s", got)
		}
	}},
	{name: "outbound", calls: 2, play: func(p *phone) {
		p.registered(600)
		p.subscription(ua.Active)
	}},
	{name: "kick", calls: 2, play: func(p *phone) {
		p.registered(600)
		if d := p.contact(true, "registered"); d.Origin != ua.OriginSelf || d.MatchedBy != ua.ByCallID {
			p.t.Errorf("told as %+v", d)
		}
		if d := p.contact(true, "deactivated"); d.Origin != ua.OriginNetwork || d.Kick() != ua.KickDeactivated {
			p.t.Errorf("told as %+v", d)
		}
		p.await("the question", func(e ua.Event) bool {
			d, ok := e.Detail.(ua.ActionDetail)
			return ok && d.On == ua.KickDeactivated && d.Decision == ua.Asked
		})
	}},
	{name: "noevent", calls: 2, set: func(a *ua.Account) { a.Watch = ua.WatchReg }, play: func(p *phone) {
		p.registered(600)
		if d := p.subscription(ua.Unsupported); d.Status != 489 || d.RetryIn != 0 {
			p.t.Errorf("told as %+v", d)
		}
	}},
	{name: "poll", calls: 2, set: func(a *ua.Account) { a.PollInterval = time.Second }, play: func(p *phone) {
		p.subscription(ua.Polling)
		if d := p.contact(true, "registered"); d.Source != ua.FromPoll {
			p.t.Errorf("told as %+v", d)
		}
		if d := p.contact(true, "absent"); d.Source != ua.FromPoll || d.Kick() != ua.KickAbsent {
			p.t.Errorf("told as %+v", d)
		}
	}},
	{name: "accepted", calls: 2, play: func(p *phone) {
		p.subscription(ua.Pending)
		if d := p.subscription(ua.Active); time.Duration(d.Expires).Round(time.Second) != 1800*time.Second {
			p.t.Errorf("subscribed for %v", time.Duration(d.Expires))
		}
	}},
	{name: "ended", calls: 3, play: func(p *phone) {
		d := p.subscription(ua.Terminated)
		if !strings.Contains(d.Reason, "probation") || time.Duration(d.RetryIn).Round(time.Second) != time.Second {
			p.t.Errorf("told as %+v", d)
		}
		p.subscription(ua.NotifyWait)
		p.subscription(ua.Active)
	}},
}

// throughProxy names the registrar as the outbound proxy too, which puts a Route on requests.
func throughProxy(a *ua.Account) {
	a.OutboundProxy = []string{a.Registrar + ";transport=" + a.Transport}
}

// SIPp is the registrar.
func TestSIPp(t *testing.T) {
	for _, s := range scenarios {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(s.name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				server := interop.StartSIPp(t, transport, s.name, max(s.calls, 1))
				a := accountAt(server, transport)
				if s.calls == 0 {
					a.Watch = ua.WatchOff
				}
				if s.set != nil {
					s.set(&a)
				}
				s.play(call(t, a))
				if err := server.Wait(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func accountAt(server *interop.SIPp, transport string) ua.Account {
	return ua.Account{AOR: "sip:alice@example.com", Registrar: "sip:" + server.Addr(), Transport: transport, Expires: 600}
}

// What a scenario checks is checked: a wrong digest, another algorithm and another number than it wants each fail it.
func TestSIPpNotices(t *testing.T) {
	for _, c := range []struct {
		scenario string
		set      func(*ua.Account)
		want     string
	}{
		{"rfc2069", func(a *ua.Account) { a.HA1 = strings.Repeat("0", 32) }, "the digest is wrong"},
		{"md5", func(a *ua.Account) {}, "Failed regexp match"},
		{"interval", func(a *ua.Account) { a.Expires = 700 }, "Failed regexp match"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			server := interop.StartSIPp(t, "udp", c.scenario, 1)
			a := accountAt(server, "udp")
			c.set(&a)
			call(t, a)
			if err := server.Wait(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
