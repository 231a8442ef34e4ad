package wire

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"regwatch/internal/trace"
	"regwatch/internal/wire/memnet"
)

var oddURIs = []string{
	"sip:example.com", "SIP:example.com", "sips:a@b", "sip:a@b:05060", "sip:a@b;lr=", "sip:a@b;", "sip:a@b?", "sip:@b", "sip:a@b;?x",
	`sip:a@b;x="p;q";y`, "sip:a@b;;x", "sip:a@b;x=y=z", "sip:a:p:w@b", "sip:a@b@c", "sip:[2001:db8::1]:5060;transport=tcp",
	"sip:a@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@example.com;gr",
	"sip:a@b;t=1?x=y&z", "sip:a%40b@c", "tel:+1-201;ext=1", "urn:service:sos", "sip:\u00e4@b",
}

// TestDigestURIIsRequestURI reads both off the wire.
func TestDigestURIIsRequestURI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		server, err := OpenStack(t.Context(), Options{Network: network.Host("192.0.2.2"), Transport: UDP, Local: netip.MustParseAddrPort("192.0.2.2:5060")})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		server.Attach("", func(in *Incoming) { in.Respond(Answer{Status: 200, Reason: "OK"}) })
		ring := trace.NewRing(1000)
		stacks := NewStacks(network.Host("192.0.2.1"), ring, nil, nil)
		defer stacks.Close()
		flow, err := stacks.Flow(t.Context(), Target{Transport: UDP, Addr: server.Local()}, netip.AddrPort{}, Peer{})
		if err != nil {
			t.Fatal(err)
		}
		k := newDigestTalk(t)
		k.learn(k.request("a", ""), 401, `WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"`)
		want := 0
		for i, uri := range oddURIs {
			r := digestRequest("a", i+1)
			r.URI = uri
			if err := k.creds.Sign(r); err != nil {
				t.Errorf("%s: %v", uri, err)
				continue
			}
			if _, err := flow.Do(t.Context(), r); err != nil {
				// The other end may not understand it; it went out all the same.
				t.Logf("%s: %v", uri, err)
			}
			want++
		}
		seen := make(map[string]bool)
		for _, m := range ring.Messages() {
			head, rest, _ := strings.Cut(string(m.Raw), " ")
			if head != "REGISTER" {
				continue
			}
			line, rest, _ := strings.Cut(rest, " SIP/2.0\r\n")
			_, digest, _ := strings.Cut(rest, `, uri="`)
			// The quotes of a parameter are escaped in the digest's.
			if uri, _, _ := cutQuoted(`"` + digest); uri != line {
				t.Errorf("Request-URI %s, digest uri %s", line, uri)
			}
			seen[line] = true
		}
		if len(seen) != want {
			t.Errorf("%d URIs seen, want %d", len(seen), want)
		}
		for _, uri := range oddURIs {
			if !seen[uri] {
				t.Errorf("%s did not go out as it is", uri)
			}
		}
	})
}

func TestWireURI(t *testing.T) {
	for _, s := range oddURIs {
		uri, err := wireURI(s)
		if err != nil || uri.String() != s {
			t.Errorf("%s goes out as %s, %v", s, uri.String(), err)
		}
	}
	for _, s := range []string{"", "sip", "sip:", ":a@b", "sip:a b", "sip:a\r\nVia: x", "sip:a\x7f"} {
		if uri, err := wireURI(s); err == nil {
			t.Errorf("%q goes out as %s", s, uri.String())
		}
	}
}

func digestRequest(callID string, cseq int) *Request {
	return &Request{Method: "REGISTER", Headers: Headers{
		{"From", "<sip:a@example.com>;tag=1"}, {"To", "<sip:a@example.com>"}, {"Call-ID", callID}, {"CSeq", fmt.Sprint(cseq, " REGISTER")},
	}}
}
