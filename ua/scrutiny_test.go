package ua_test

import (
	"fmt"
	"html"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

func (r *run) findings() (out []finding.Code) {
	for _, d := range all[ua.FindingDetail](r) {
		out = append(out, d.Code)
	}
	return out
}

// What only several messages show, each once: and with the one thing changed that
// makes it right, nothing.
func TestScrutiny(t *testing.T) {
	const gruu = "sip:alice@example.com;gr=urn:uuid:1"
	scenes := []struct {
		code   finding.Code
		change func(*ua.Account)
		play   func(s *scripted, register string, wrong bool)
	}{
		{finding.NotifyFlood, nil, func(s *scripted, register string, wrong bool) {
			pause := 6 * time.Second
			if wrong {
				pause = 3 * time.Second
			}
			for i := range 20 {
				s.notify("active;expires=3000", reginfo(i+1, "full", ours(register, "registered", 3000)))
				time.Sleep(pause)
			}
		}},
		{finding.SubscriptionStateMismatch, nil, func(s *scripted, register string, wrong bool) {
			state := "terminated;reason=timeout"
			if wrong {
				state = "terminated"
			}
			s.notify(state, reginfo(1, "full", ours(register, "registered", 3000)))
		}},
		{finding.InstanceShared, nil, func(s *scripted, register string, wrong bool) {
			c := ours(register, "registered", 3000)
			c.attributes = `callid="somebody" cseq="7" expires="3000"`
			instance := header(register, "Contact")
			if wrong {
				c.uri = "sip:alice@203.0.113.9:5062"
			}
			s.notify("active;expires=3000", withInstance(reginfo(1, "full", c), instance))
		}},
		{finding.GRUUDiffers, nil, func(s *scripted, register string, wrong bool) {
			uri := gruu
			if wrong {
				uri += "2"
			}
			s.notify("active;expires=3000", withGRUU(reginfo(1, "full", ours(register, "registered", 3000)), uri))
		}},
		{finding.LapseNotNotified, func(a *ua.Account) { a.Expires = 60 }, func(s *scripted, register string, wrong bool) {
			time.Sleep(62 * time.Second) // the refresh gets no answer
			if !wrong {
				s.notify("active;expires=3000", reginfo(1, "full"))
			}
			time.Sleep(2 * time.Minute)
		}},
	}
	for _, scene := range scenes {
		for _, wrong := range []bool{true, false} {
			t.Run(fmt.Sprint(scene.code, "/", wrong), func(t *testing.T) {
				inScript(t, wire.UDP, scene.change, func(s *scripted, r *run) {
					register := s.next("REGISTER")
					s.answer(register, "200 OK", "Contact: "+header(register, "Contact")+`;pub-gruu="`+gruu+`";expires=`+header(register, "Expires"))
					s.answer(s.takeSubscribe(), "200 OK", "Expires: 3600")
					s.notify("active;expires=3600", reginfo(0, "full", ours(register, "registered", 3600)))
					time.Sleep(10 * time.Second)
					scene.play(s, register, wrong)
					time.Sleep(time.Second)
					n := 0
					for _, code := range r.findings() {
						if code == scene.code {
							n++
						}
					}
					if wrong && n != 1 || !wrong && n != 0 {
						t.Errorf("found %d times\n%s", n, r.story())
					}
				})
			})
		}
	}
}

// withInstance and withGRUU put what a Contact says into a document of one contact.
func withInstance(document, contact string) string {
	_, rest, _ := strings.Cut(contact, `+sip.instance="`)
	instance, _, _ := strings.Cut(rest, `"`)
	return strings.Replace(document, "</contact>", `<unknown-param name="+sip.instance">`+html.EscapeString(`"`+instance+`"`)+"</unknown-param></contact>", 1)
}

func withGRUU(document, uri string) string {
	return strings.Replace(document, "</contact>", `<gr:pub-gruu uri="`+uri+`"/></contact>`, 1)
}
