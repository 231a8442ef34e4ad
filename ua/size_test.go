package ua_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// large makes every REGISTER of the account larger than 1300 bytes.
func large(a *ua.Account) {
	for i := range 12 {
		a.Headers = append(a.Headers, fmt.Sprintf("X-Padding-%d: %s", i, strings.Repeat("x", 100)))
	}
}

// RFC 3261 18.1.1: a request of more than 1300 bytes leaves UDP for TCP, to the
// same address; the account moves with it, and a kick is seen there.
func TestLargeRequestGoesOverTCP(t *testing.T) {
	inLab(t, registrar.Options{Users: users}, func(l *lab) {
		a := account()
		a.Transport = "udp"
		large(&a)
		r := l.watch(phoneHost, "", a)
		r.watching()
		for _, m := range r.trace.Messages() {
			if m.Direction == trace.Sent && m.Transport == wire.UDP {
				t.Errorf("%d bytes over UDP: %.60s", len(m.Raw), m.Raw)
			}
		}
		if s := r.state("alice"); s.Flow.Transport != wire.TCP || !strings.HasSuffix(s.Registration.Contact, ";transport=tcp") {
			t.Errorf("%+v, %s", s.Flow, s.Registration.Contact)
		}
		if err := l.Deactivate("alice", ""); err != nil {
			t.Fatal(err)
		}
		r.awaitKick(ua.KickDeactivated)
		l.net.Reset(netip.MustParseAddr(phoneHost), netip.MustParseAddr(registrarHost))
		r.Do("alice", ua.Command{Verb: ua.DoRegister})
		r.awaitRegistration(ua.Registered)
		if s := r.state("alice"); s.Flow.Transport != wire.TCP {
			t.Errorf("after the connection was lost: %+v", s.Flow)
		}
		r.close()
	})
}

// RFC 3261 18.1.1: where TCP is refused it goes over UDP all the same, and TCP is
// not tried for each request.
func TestLargeRequestWithoutTCP(t *testing.T) {
	inScript(t, wire.UDP, large, func(s *scripted, r *run) {
		for range 2 {
			register := s.next("REGISTER")
			if len(register) <= 1300 {
				t.Fatalf("%d bytes are not too large", len(register))
			}
			s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+";expires=20")
		}
		time.Sleep(time.Second)
		var told []string
		for _, d := range all[ua.FlowDetail](r) {
			told = append(told, d.Cause)
		}
		if len(told) != 2 || !strings.Contains(told[1], "goes over UDP") {
			t.Errorf("told %q", told)
		}
	})
}
