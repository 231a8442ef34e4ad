package probe_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"regwatch/internal/wire"
	"regwatch/probe"
	"regwatch/registrar"
)

// tamper answers some requests in the registrar's stead, in another way than the
// standards ask for. n counts the REGISTERs that were let in or might be.
type tamper func(in *wire.Incoming, signed int) (wire.Answer, bool)

func register(do func(in *wire.Incoming, contact string) (wire.Answer, bool)) tamper {
	return func(in *wire.Incoming, signed int) (wire.Answer, bool) {
		if in.Method != "REGISTER" || signed < 2 { // the first query, that all begins with
			return wire.Answer{}, false
		}
		return do(in, in.Headers.Get("Contact"))
	}
}

func ok(contacts ...string) (wire.Answer, bool) {
	a := wire.Answer{Status: 200, Reason: "OK"}
	for _, c := range contacts {
		a.Headers = append(a.Headers, wire.Header{Name: "Contact", Value: c})
	}
	return a, true
}

func refuse(status int, reason string, headers ...wire.Header) (wire.Answer, bool) {
	return wire.Answer{Status: status, Reason: reason, Headers: headers}, true
}

func none() (wire.Answer, bool) { return wire.Answer{}, false }

// Each check has a registrar that fails it: a check that holds with any registrar
// would be none. Those that are not here fail at the profiles, see testdata, or at
// Kamailio, see internal/interop.
func TestEachCanBreak(t *testing.T) {
	const other = `<sip:another@203.0.113.5>;expires=60`
	for id, c := range map[string]struct {
		tamper tamper
		came   string // part of what came
	}{
		"register.query": {register(func(*wire.Incoming, string) (wire.Answer, bool) { return ok("<sip:another@203.0.113.5>") }), "without expires"},
		"register.auth": {func(in *wire.Incoming, signed int) (wire.Answer, bool) {
			if signed == 1 && !in.Headers.Has("Authorization") {
				return refuse(403, "No")
			}
			return none()
		}, "403 No, without a challenge"},
		"register.bind":   {register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) { return ok(other) }), "ours is not among them"},
		"register.expiry": {register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) { return ok(contact + ";expires=999") }), "asked for 300 s, granted 999 s"},
		"register.refresh": {func() tamper {
			left := 300
			return register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) {
				left -= 50
				return ok(fmt.Sprintf("%s;expires=%d", contact, left+50))
			})
		}(), "300 s were granted at first, and 250 s are left"},
		"register.brief":        {register(func(*wire.Incoming, string) (wire.Answer, bool) { return refuse(423, "Interval Too Brief") }), "without Min-Expires"},
		"register.second":       {lastOnly(), "the first is gone"},
		"register.removal":      {keeping(func(in *wire.Incoming) bool { return in.Headers.Get("Expires") == "0" }), "still listed after"},
		"register.lapse":        {keeping(func(in *wire.Incoming) bool { return !in.Headers.Has("Contact") }), "and still listed 2s after it"},
		"register.star":         {on("*", "0", 200), "still finds 2 contacts"},
		"register.star-expires": {on("*", "300", 200), "200 So"},
		"register.star-beside":  {on("*", "0", 403), "403 So"},
		"register.cseq":         {lowest(), "200 OK"},
		"register.call-id": {register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
			if strings.HasPrefix(in.Headers.Get("CSeq"), "1 ") {
				return refuse(500, "Out Of Order")
			}
			return none()
		}), "500 Out Of Order"},
		"register.q": {register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) {
			return ok(strings.ReplaceAll(contact, "q=0.3", "q=1.0") + ";expires=300")
		}), "q=1.0"},
		"register.parameters": {register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) {
			return ok(strings.ReplaceAll(contact, "kept", "lost") + ";expires=300")
		}), "x-probe=lost"},
		"register.path": {register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) {
			a, _ := ok(contact + ";expires=300")
			a.Headers = append(a.Headers, wire.Header{Name: "Path", Value: "<sip:another.example.com;lr>"})
			return a, true
		}), "another.example.com"},
		"register.refused": {func(in *wire.Incoming, signed int) (wire.Answer, bool) {
			if in.Method == "REGISTER" && signed == 2 {
				return ok()
			}
			return none()
		}, "200 OK, 0 contacts to a wrong password"},
		"register.refused-binding": {register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) { return ok(contact + ";expires=300") }), "to a wrong password"},
		"register.refused-removal": {register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
			if !in.Headers.Has("Authorization") || in.Headers.Get("Expires") != "0" {
				return none()
			}
			return ok()
		}), "200 OK, 0 contacts to a wrong password"},

		"gruu.public": {register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
			return ok(contact + `;expires=300;pub-gruu="sip:` + in.Headers.Get("CSeq")[:10] + `@example.com;gr=x"`)
		}), "is not sip:alice@example.com with a gr parameter"},
		"gruu.call-id": {register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
			return ok(contact + `;expires=300;temp-gruu="sip:same@example.com;gr"`)
		}), "the same again: sip:same@example.com;gr"},
		"gruu.reached": {func(in *wire.Incoming, _ int) (wire.Answer, bool) {
			if in.Method == "OPTIONS" {
				return refuse(404, "Not Found")
			}
			return none()
		}, "it did not come back to us: SIP/2.0 404 Not Found"},

		"outbound.replaced":    {flows(true), "2 of them ours"},
		"outbound.second-flow": {flows(false), "not both flows among them"},

		"event.offered": {subscribe(func(*wire.Incoming) (wire.Answer, bool) { return refuse(400, "Bad Request") }), "400 Bad Request"},
		"event.first":   {subscribe(func(*wire.Incoming) (wire.Answer, bool) { return granted("3761") }), "none came within 33s"},
		"event.expiry": {subscribe(func(in *wire.Incoming) (wire.Answer, bool) {
			go in.Flow.Do(context.Background(), &wire.Request{Method: "NOTIFY", URI: strings.Trim(in.Headers.Get("Contact"), "<>"), Headers: wire.Headers{
				{Name: "From", Value: in.Headers.Get("To") + ";tag=lab"}, {Name: "To", Value: in.Headers.Get("From")},
				{Name: "Call-ID", Value: in.Headers.Get("Call-ID")}, {Name: "CSeq", Value: "1 NOTIFY"}, {Name: "Event", Value: "reg"},
				{Name: "Contact", Value: "<sip:192.0.2.1>"}, {Name: "Subscription-State", Value: "active;expires=9999"},
			}})
			return granted("9999")
		}), "asked for 3761 s, granted 9999 s"},
		"event.refresh": {subscribe(func(in *wire.Incoming) (wire.Answer, bool) {
			if in.Headers.Tag("To") == "" {
				return none()
			}
			return granted("3761")
		}), "no NOTIFY came within 18s"},
		"event.unsubscribe": {subscribe(func(in *wire.Incoming) (wire.Answer, bool) {
			if in.Headers.Get("Expires") != "0" {
				return none()
			}
			return granted("0")
		}), "no last NOTIFY came within 18s"},
	} {
		t.Run(id, func(t *testing.T) {
			signed := 0
			o := registrar.Options{First: func(in *wire.Incoming) bool {
				if in.Method == "REGISTER" && in.Headers.Has("Authorization") {
					signed++
				}
				a, tampered := c.tamper(in, signed)
				if tampered {
					in.Respond(a)
				}
				return tampered
			}}
			inLab(t, o, func(l *lab) {
				o := l.options()
				o.Refusals, o.Choose = true, func(candidate string) bool { return candidate == id }
				report, err := probe.Run(l.t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				r := report.Results[0]
				if r.Verdict != probe.Broken || !strings.Contains(r.Came, c.came) || len(r.Sent) == 0 || len(r.Messages) == 0 {
					t.Errorf("%s: %q, want broken: %q\nsent %q\n%s", r.Verdict, r.Came, c.came, r.Sent, strings.Join(r.Messages, "\n"))
				}
				time.Sleep(time.Hour) // what was let stand lapses
			})
		})
	}
}

// lastOnly lists of what is bound the last contact only.
func lastOnly() tamper {
	return register(func(_ *wire.Incoming, contact string) (wire.Answer, bool) { return ok(contact + ";expires=300") })
}

// keeping answers by all contacts that it ever saw, where which says so, and lets
// the registrar answer the others.
func keeping(which func(*wire.Incoming) bool) tamper {
	var all []string
	return register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
		if contact != "" && in.Headers.Get("Expires") != "0" {
			all = append(all, contact+";expires=300")
		}
		if contact == "" || which(in) {
			return ok(all...)
		}
		return none()
	})
}

// on answers a REGISTER for that Contact and Expires, and does nothing.
func on(contact, expires string, status int) tamper {
	return register(func(in *wire.Incoming, got string) (wire.Answer, bool) {
		if got == contact && in.Headers.Get("Expires") == expires {
			return refuse(status, "So")
		}
		return none()
	})
}

// lowest takes a REGISTER with a lower CSeq than the one before.
func lowest() tamper {
	highest := uint32(0)
	return register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
		cseq, _, _ := in.Headers.CSeq()
		if cseq < highest {
			return ok(contact + ";expires=300")
		}
		highest = cseq
		return none()
	})
}

// flows is a registrar that requires outbound and tells flows by their URIs, or
// knows one flow an instance.
func flows(byURI bool) tamper {
	var bound []string
	return register(func(in *wire.Incoming, contact string) (wire.Answer, bool) {
		if contact == "" || in.Headers.Get("Expires") == "0" {
			return none()
		}
		if !byURI {
			bound = nil
		}
		bound = append(bound, contact+";expires=300")
		a, _ := ok(bound...)
		a.Headers = append(a.Headers, wire.Header{Name: "Require", Value: "outbound"})
		return a, true
	})
}

func subscribe(do func(*wire.Incoming) (wire.Answer, bool)) tamper {
	return func(in *wire.Incoming, _ int) (wire.Answer, bool) {
		if in.Method != "SUBSCRIBE" || !in.Headers.Has("Authorization") {
			return none()
		}
		return do(in)
	}
}

func granted(expires string) (wire.Answer, bool) {
	a, _ := refuse(200, "OK", wire.Header{Name: "Expires", Value: expires}, wire.Header{Name: "Contact", Value: "<sip:192.0.2.1>"})
	return a, true
}

// A check comes to the same when it is run alone.
func TestAlone(t *testing.T) {
	for _, profile := range []registrar.Profile{registrar.RFC, registrar.Kamailio} {
		whole := map[string]probe.Verdict{}
		inLab(t, registrar.Options{Profile: profile}, func(l *lab) {
			report, err := l.probe(l.t.Context(), l.options())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Results {
				whole[r.ID] = r.Verdict
			}
		})
		for _, c := range probe.Checks() {
			if c.Group == "documents" && c.ID != "document.version-repeated" {
				continue
			}
			t.Run(fmt.Sprint(profile, " ", c.ID), func(t *testing.T) {
				inLab(t, registrar.Options{Profile: profile}, func(l *lab) {
					o := l.options()
					o.Choose = func(id string) bool { return id == c.ID }
					report, err := l.probe(l.t.Context(), o)
					if err != nil {
						t.Fatal(err)
					}
					if r := report.Results[0]; len(report.Results) != 1 || r.ID != c.ID || r.Verdict != whole[c.ID] {
						t.Errorf("%s: %s; with all others %s", r.Verdict, r.Came, whole[c.ID])
					}
				})
			})
		}
	}
}
