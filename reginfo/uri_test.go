package reginfo

import "testing"

func TestSameURI(t *testing.T) {
	same := [][2]string{
		// RFC 3261 19.1.4.
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on"},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
			"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
			"sip:alice@atlanta.com?priority=urgent&subject=project%20x"},
		{"SIP:a@b", "sip:a@b"},
		{"sip:a@b", "sip:a@b;gr=x"}, // RFC 5627 5.4
		{"sip:a@b;x=1;y=2", "sip:a@b;y=2;x=1"},
		{"sip:a@[2001:DB8::1]:5060", "sip:a@[2001:db8:0::1]:5060"},
		{"sip:a@b;ob", "sip:a@b;OB"},
		{"tel:+1-555-0100", "tel:+15550100"},
		{"TEL:+1(555)0100", "tel:+1.555.0100"},
		{"tel:0100;phone-context=+1-555", "tel:01-00;phone-context=+1555"},
		{"mailto:a@b", "mailto:a@b"},
		{"", ""},
	}
	for _, p := range same {
		if !SameURI(p[0], p[1]) || !SameURI(p[1], p[0]) {
			t.Errorf("%s and %s differ", p[0], p[1])
		}
		if URIKey(p[0]) != URIKey(p[1]) {
			t.Errorf("keys %s and %s differ", URIKey(p[0]), URIKey(p[1]))
		}
	}
	differ := [][2]string{
		// RFC 3261 19.1.4.
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"},
		{"sip:a@b", "sips:a@b"},
		{"sip:b", "sip:a@b"},
		{"sip:a@b", "sip:a:@b"},
		{"sip:a%3Bx@b", "sip:a;x@b"}, // reserved
		{"sip:a%253B@b", "sip:a%3B@b"},
		{"sip:a@b;user=phone", "sip:a@b"},
		{"sip:a@b;maddr=192.0.2.1", "sip:a@b"},
		{"sip:a@b;ttl=1", "sip:a@b"},
		{"sip:a@b;method=INVITE", "sip:a@b"},
		{"sip:a@b?x=1&x=1", "sip:a@b?x=1&x=2"},
		{"sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]"},
		{"tel:+15550100", "tel:15550100"},
		{"tel:+15550100;ext=1", "tel:+15550100"},
		{"sip:+15550100@b", "tel:+15550100"},
		{"mailto:a@b", "mailto:A@b"},
		{"sip:a@b", ""},
	}
	for _, p := range differ {
		if SameURI(p[0], p[1]) || SameURI(p[1], p[0]) {
			t.Errorf("%s and %s are the same", p[0], p[1])
		}
	}
}

func TestGruuOf(t *testing.T) {
	tests := []struct {
		gruu, aor string
		want      bool
	}{
		{"sip:a@b;gr=x", "sip:a@b", true},
		{"sip:a@B;gr=x", "sip:%61@b", true},
		{"sip:+1555@b;user=phone;gr=x", "sip:+1555@b;user=phone", true},
		{"sip:c@b;gr=x", "sip:a@b", false},
		{"sip:a@b:5060;gr=x", "sip:a@b", false},
		{"urn:x", "sip:a@b", false},
		{"sip:a@b;gr=x", "tel:+1555", true}, // nothing to compare
	}
	for _, tt := range tests {
		if got := gruuOf(tt.gruu, tt.aor); got != tt.want {
			t.Errorf("gruuOf(%q, %q) = %v", tt.gruu, tt.aor, got)
		}
	}
	for uri, want := range map[string]bool{"sip:a@b;gr": true, "sip:a@b;x;GR=1": true, "sip:a@b": false, "sip:gr@b;grr": false} {
		if hasGr(uri) != want {
			t.Errorf("hasGr(%q) = %v", uri, !want)
		}
	}
}

func TestInstanceURN(t *testing.T) {
	const urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	for _, raw := range []string{
		urn, "<" + urn + ">", `"<` + urn + `>"`, "\n \"<" + urn + ">\"\r\n", `"` + urn + `"`,
		`"<urn%3Auuid%3af81d4fae-7dec-11d0-a765-00a0c91e6bf6>"`,
		"%3Curn%3Auuid%3Af81d4fae-7dec-11d0-a765-00a0c91e6bf6%3E",
		"\"<urn:uuid:f81d4fae-7dec-\n  11d0-a765-00a0c91e6bf6>\"",
		`\"<` + urn + `>\"`,
	} {
		if got := InstanceURN(raw); got != urn {
			t.Errorf("InstanceURN(%q) = %q", raw, got)
		}
	}
	if !SameInstance(urn, "URN:UUID:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6") {
		t.Error("UUIDs are compared with regard to case")
	}
	if SameInstance("urn:x:a", "urn:x:A") || SameInstance("", "") || SameInstance(urn, "") {
		t.Error("different instances are the same")
	}
}

func FuzzSameURI(f *testing.F) {
	f.Add("sip:a@b;x=1?y=2&z", "SIP:%61@B;x=1?z&y=2")
	f.Add("tel:+1-2;ext=3", "tel:+12;ext=3")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !SameURI(a, a) {
			t.Errorf("%q differs from itself", a)
		}
		if SameURI(a, b) != SameURI(b, a) {
			t.Errorf("%q and %q depend on their order", a, b)
		}
	})
}
