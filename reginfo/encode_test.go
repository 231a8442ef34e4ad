package reginfo

import (
	"bytes"
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"
)

// The oracle: encoding/xml reads the same document by a schema of its own.
type (
	xmlReginfo struct {
		XMLName       xml.Name `xml:"urn:ietf:params:xml:ns:reginfo reginfo"`
		Version       string   `xml:"version,attr"`
		State         string   `xml:"state,attr"`
		Registrations []struct {
			AOR      string       `xml:"aor,attr"`
			ID       string       `xml:"id,attr"`
			State    string       `xml:"state,attr"`
			Contacts []xmlContact `xml:"urn:ietf:params:xml:ns:reginfo contact"`
		} `xml:"urn:ietf:params:xml:ns:reginfo registration"`
	}
	xmlContact struct {
		ID         string `xml:"id,attr"`
		State      string `xml:"state,attr"`
		Event      string `xml:"event,attr"`
		Duration   string `xml:"duration-registered,attr"`
		Expires    string `xml:"expires,attr"`
		RetryAfter string `xml:"retry-after,attr"`
		Q          string `xml:"q,attr"`
		CallID     string `xml:"callid,attr"`
		CSeq       string `xml:"cseq,attr"`
		URI        string `xml:"urn:ietf:params:xml:ns:reginfo uri"`
		Name       string `xml:"urn:ietf:params:xml:ns:reginfo display-name"`
		Params     []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:",chardata"`
		} `xml:"urn:ietf:params:xml:ns:reginfo unknown-param"`
		Pub struct {
			URI string `xml:"uri,attr"`
		} `xml:"urn:ietf:params:xml:ns:gruuinfo pub-gruu"`
		Temp struct {
			URI       string `xml:"uri,attr"`
			FirstCSeq string `xml:"first-cseq,attr"`
		} `xml:"urn:ietf:params:xml:ns:gruuinfo temp-gruu"`
	}
)

// oracle reads a document with encoding/xml, in the shape of Decode's less what
// only we derive; ok is false when it is not well-formed.
func oracle(t testing.TB, body []byte) (doc *Document, ok bool) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(r)
		return bytes.NewReader(fromLatin1(b)), err
	}
	var x xmlReginfo
	if err := d.Decode(&x); err != nil {
		return nil, false
	}
	number := func(s string) Number {
		n, _ := parseNumber([]byte(s))
		return n
	}
	doc = &Document{Version: number(x.Version), State: DocState(x.State)}
	for _, xr := range x.Registrations {
		r := Registration{AOR: strings.TrimSpace(xr.AOR), ID: xr.ID, State: RegState(xr.State)}
		for _, xc := range xr.Contacts {
			c := Contact{
				ID: xc.ID, URI: strings.TrimSpace(xc.URI), State: ContactState(xc.State), Event: ContactEvent(xc.Event),
				Expires: number(xc.Expires), RetryAfter: number(xc.RetryAfter), DurationRegistered: number(xc.Duration),
				CSeq: number(xc.CSeq), CallID: xc.CallID, Q: xc.Q, DisplayName: strings.TrimSpace(xc.Name),
				PubGRUU: xc.Pub.URI, TempGRUU: xc.Temp.URI, FirstCSeq: number(xc.Temp.FirstCSeq),
			}
			for _, p := range xc.Params {
				c.Params = append(c.Params, Param{p.Name, strings.TrimSpace(p.Value)})
			}
			r.Contacts = append(r.Contacts, c)
		}
		doc.Registrations = append(doc.Registrations, r)
	}
	return doc, true
}

// plain drops what the oracle cannot know.
func plain(d *Document) *Document {
	p := &Document{Version: d.Version, State: d.State}
	for _, r := range d.Registrations {
		cs := append([]Contact(nil), r.Contacts...)
		for i := range cs {
			cs[i].Instance, cs[i].RegID = "", Number{}
		}
		r.Contacts = cs
		p.Registrations = append(p.Registrations, r)
	}
	return p
}

func TestDecodeAgreesWithOracle(t *testing.T) {
	// What encoding/xml refuses, or reads otherwise because we forgive.
	refused := map[string]bool{
		"kamailio-kick.xml": true, "broken-tags.xml": true, "truncated.xml": true, "entities.xml": true,
		"wrong-namespace.xml": true, "no-namespace.xml": true, "undeclared-root.xml": true,
	}
	forgiven := map[string]bool{"flexisip.xml": true, "prefixes.xml": true, "multipart.txt": true}
	for _, tt := range wild {
		if forgiven[tt.file] {
			continue
		}
		body := load(t, tt.file)
		want, ok := oracle(t, body)
		if ok == refused[tt.file] {
			t.Errorf("%s: well-formed to encoding/xml: %v", tt.file, ok)
		}
		if !ok {
			continue
		}
		if got := plain(decode(t, body)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read\n%+v\nwant\n%+v", tt.file, got, want)
		}
	}
}

// everything has each field set, and characters that need escaping in each.
func everything() *Document {
	nasty := `a<b>&"c"'d'&amp;é☃` + "\u007f"
	return &Document{
		Version: Num(7), State: Partial,
		Registrations: []Registration{
			{AOR: "sip:ann@example.org", ID: nasty, State: RegActive, Contacts: []Contact{
				{
					ID: nasty, URI: "sip:ann@192.0.2.1;x=1?y=2&z=3", State: ContactActive, Event: Shortened,
					Expires: Num(0), RetryAfter: Num(1), DurationRegistered: Num(1 << 40), CSeq: Num(9),
					CallID: nasty, Q: "0.5", DisplayName: "Ann\t\"" + nasty + "\n2",
					Instance: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", RegID: Num(2),
					Params: []Param{
						{"audio", ""}, {"+sip.instance", `"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"`},
						{"reg-id", "2"}, {"methods", `"INVITE,BYE"` + nasty},
					},
					PubGRUU: "sip:ann@example.org;gr=1&2", TempGRUU: "sip:t@example.org;gr", FirstCSeq: Num(8),
				},
				{ID: "2", URI: "sip:ann@192.0.2.2", State: ContactTerminated, Event: Rejected},
			}},
			{AOR: "tel:+15550100", ID: "looks like state=", State: RegInit},
		},
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	want := everything()
	body := Encode(want)
	got := decode(t, body)
	if len(got.Findings) > 0 {
		t.Errorf("findings: %v", got.Findings)
	}
	got.Findings = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, want)
	}
	byOracle, ok := oracle(t, body)
	if !ok {
		t.Fatalf("not well-formed:\n%s", body)
	}
	if p := plain(want); !reflect.DeepEqual(byOracle, p) {
		t.Errorf("the oracle reads\n%+v\nwant\n%+v", byOracle, p)
	}
}

// TestEncodeWild: what was read of any document comes back the same.
func TestEncodeWild(t *testing.T) {
	for _, tt := range wild {
		d := decode(t, load(t, tt.file))
		body := Encode(d)
		again := decode(t, body)
		d.Findings, again.Findings, d.Incomplete = nil, nil, false
		if !reflect.DeepEqual(again, d) {
			t.Errorf("%s: read back\n%+v\nwant\n%+v", tt.file, again, d)
		}
		if _, ok := oracle(t, body); !ok {
			t.Errorf("%s: not well-formed:\n%s", tt.file, body)
		}
	}
}

func TestEncodeForm(t *testing.T) {
	got := string(Encode(&Document{Version: Num(0), State: Full, Registrations: []Registration{{
		AOR: "sip:bo@example.org", ID: "r", State: RegActive, Contacts: []Contact{{
			ID: "c", URI: "sip:bo@192.0.2.1", State: ContactActive, Event: Registered, Expires: Num(60),
			Instance: "urn:uuid:1", RegID: Num(1), PubGRUU: "sip:bo@example.org;gr=1",
			TempGRUU: "sip:t@example.org;gr", FirstCSeq: Num(3), CSeq: Num(4), CallID: "x", Q: "1.0",
		}}}}}))
	want := `<?xml version="1.0" encoding="UTF-8"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" xmlns:gr="urn:ietf:params:xml:ns:gruuinfo" version="0" state="full">
  <registration aor="sip:bo@example.org" id="r" state="active">
    <contact id="c" state="active" event="registered" expires="60" q="1.0" callid="x" cseq="4">
      <uri>sip:bo@192.0.2.1</uri>
      <unknown-param name="+sip.instance">&quot;&lt;urn:uuid:1&gt;&quot;</unknown-param>
      <unknown-param name="reg-id">1</unknown-param>
      <gr:pub-gruu uri="sip:bo@example.org;gr=1"/>
      <gr:temp-gruu uri="sip:t@example.org;gr" first-cseq="3"/>
    </contact>
  </registration>
</reginfo>
`
	if got != want {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
	odd := Encode(&Document{Registrations: []Registration{{AOR: "sip:\x00\xff\ufffe@b"}}})
	if _, ok := oracle(t, odd); !ok {
		t.Errorf("not well-formed:\n%s", odd)
	}
}

func TestNumber(t *testing.T) {
	tests := []struct {
		text    string
		want    Number
		fits    bool
		decimal string
	}{
		{"0", Num(0), true, "0"},
		{" 42\n", Num(42), true, "42"},
		{"+7", Num(7), true, "7"},
		{"18446744073709551615", Num(1<<64 - 1), true, "18446744073709551615"},
		{"18446744073709551616", Num(1<<64 - 1), false, "18446744073709551615"},
		{"99999999999999999999999", Num(1<<64 - 1), false, "18446744073709551615"},
		{"-1", Number{}, false, ""},
		{"", Number{}, false, ""},
		{"+", Number{}, false, ""},
		{"1.5", Number{}, false, ""},
		{"0x10", Number{}, false, ""},
	}
	for _, tt := range tests {
		n, fits := parseNumber([]byte(tt.text))
		if n != tt.want || fits != tt.fits || n.String() != tt.decimal {
			t.Errorf("%q: %+v, %v, %q", tt.text, n, fits, n)
		}
		b, err := n.MarshalJSON()
		var back Number
		if err != nil || back.UnmarshalJSON(b) != nil || back != n {
			t.Errorf("%q: JSON %s gives %+v", tt.text, b, back)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, tt := range wild {
		f.Add(load(f, tt.file))
	}
	f.Add(Encode(everything()))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Decode(body)
		if err != nil {
			if d != nil {
				t.Error("a document beside an error")
			}
			return
		}
		// What was read can be written, read again and written the same.
		out := Encode(d)
		if _, ok := oracle(t, out); !ok {
			t.Fatalf("not well-formed:\n%s", out)
		}
		again, err := Decode(out)
		if err != nil {
			t.Fatalf("written, but not to be read: %v\n%s", err, out)
		}
		if len(again.Registrations) != len(d.Registrations) {
			t.Errorf("%d registrations became %d", len(d.Registrations), len(again.Registrations))
		}
		table := NewTable(Tolerant)
		table.Apply(d, 1, epoch)
		if out := table.Apply(d, 2, epoch); d.State == Full && len(out.Changes) > 0 {
			t.Errorf("the same document again changes %+v", out.Changes)
		}
	})
}
