package ua

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// RFC 3261 8.1.3.4: a sips: registration is not followed to where it would not be
// secure, and says so.
func TestRedirectFromSIPS(t *testing.T) {
	now := time.Now()
	r := registration{home: "sips:example.com", follow: true}
	r.want(regBind, now)
	r.answered(registerAnswer{status: 302, reason: "Moved Temporarily", points: []string{"sip:b.example.com", "SIP:c.example.com"}}, now)
	if r.state != Failed || !strings.Contains(r.reason, "sip:b.example.com, SIP:c.example.com, which is not secure") || r.at.uri != "" {
		t.Errorf("%s, %q, at %+v", r.state, r.reason, r.at)
	}
	r.want(regBind, now)
	r.answered(registerAnswer{status: 302, points: []string{"sip:b.example.com", "sips:b.example.com"}}, now)
	if r.state != Registering || r.at.uri != "sips:b.example.com" {
		t.Errorf("%s, %q, at %+v", r.state, r.reason, r.at)
	}
	r = registration{home: "sip:example.com", proxy: "sips:p.example.com", follow: true}
	r.want(regBind, now)
	r.answered(registerAnswer{status: 305, points: []string{"sip:q.example.com"}}, now)
	if r.state != Failed || !strings.Contains(r.reason, "which is not secure") {
		t.Errorf("another proxy: %s, %q, at %+v", r.state, r.reason, r.at)
	}
}

// Places that each name another one end after eight.
func TestRedirectWithoutEnd(t *testing.T) {
	now := time.Now()
	r := registration{home: "sip:example.com", follow: true}
	r.want(regBind, now)
	n := 0
	for ; r.inFlight != "" && n < 1000; n++ {
		points := []string{fmt.Sprintf("sip:%d.example.com", n), fmt.Sprintf("sip:other.%d.example.com", n)}
		r.answered(registerAnswer{status: 302, reason: "Moved Temporarily", points: points}, now)
	}
	if r.state != Failed || n != 1+placesMost || !strings.Contains(r.reason, "one place too many") {
		t.Errorf("%s after %d answers: %s", r.state, n, r.reason)
	}
}
