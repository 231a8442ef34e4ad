package ua_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/registrar"
	"regwatch/ua"
)

// Each event names the message that told it: the NOTIFY for what a document says,
// the answer for what an answer says, and none for what we do by ourselves.
func TestEventsNameTheirMessage(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			inLab(t, registrar.Options{Users: users}, func(l *lab) {
				a := account()
				a.Transport = transport
				r := l.watch(phoneHost, "", a)
				r.watching()
				time.Sleep(time.Second)
				if err := l.Deactivate("alice", ""); err != nil {
					t.Fatal(err)
				}
				r.awaitAction(ua.Asked)
				prompt := r.state("alice").Prompts[0]
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
				r.awaitRegistration(ua.Registered)
				r.close()

				byNumber := make(map[uint64]trace.Message)
				for _, m := range r.trace.Messages() {
					byNumber[m.Number] = m
				}
				told := 0
				for _, e := range r.events {
					m := byNumber[e.Message]
					line, cseq := m.StartLine(), m.Header("CSeq", "")
					want := func(begins, method string) {
						t.Helper()
						told++
						if m.Direction != trace.Received || !strings.HasPrefix(line, begins) || !strings.HasSuffix(cseq, " "+method) {
							t.Errorf("%q is said to be of message %d: %q, CSeq %q", e.Summary, e.Message, line, cseq)
						}
					}
					switch d := e.Detail.(type) {
					case ua.DocumentDetail, ua.ContactDetail, ua.ActionDetail:
						want("NOTIFY ", "NOTIFY")
					case ua.GRUUDetail:
						if d.Change == ua.Learned {
							want("SIP/2.0 200", "REGISTER")
						}
					case ua.RegistrationDetail:
						if d.State == ua.Registered {
							want("SIP/2.0 200", "REGISTER")
						} else if d.State == ua.Registering && e.Message != 0 {
							t.Errorf("%q is said to be of message %d", e.Summary, e.Message)
						}
					}
					if d, ok := e.Detail.(ua.DocumentDetail); ok && cseq != fmt.Sprintf("%d NOTIFY", d.CSeq) {
						t.Errorf("document of CSeq %d is said to be of %q", d.CSeq, cseq)
					}
				}
				if told < 8 {
					t.Errorf("only %d events were told by messages:\n%s", told, r.story())
				}
				if m := byNumber[prompt.Message]; !strings.Contains(string(m.Raw), "deactivated") {
					t.Errorf("the kick is said to be of %q", m.StartLine())
				}
			})
		})
	}
}
