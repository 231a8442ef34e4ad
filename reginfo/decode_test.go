package reginfo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/reginfo/finding"
)

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, body []byte) *Document {
	t.Helper()
	d, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// codes returns the codes of findings, sorted, each once.
func codes(findings []finding.Finding) []finding.Code {
	var cs []finding.Code
	for _, f := range findings {
		cs = append(cs, f.Code)
	}
	slices.Sort(cs)
	return slices.Compact(cs)
}

// brief writes what matters of a document in a few words a line.
func brief(d *Document) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", d.Version, d.State)
	for _, r := range d.Registrations {
		fmt.Fprintf(&b, "%s %s\n", r.AOR, r.State)
		for _, c := range r.Contacts {
			fmt.Fprintf(&b, "- %s %s %s %s\n", c.ID, c.URI, c.State, c.Event)
		}
	}
	return b.String()
}

// wild is one line a document of testdata: what must be read of it, and which
// findings it must give.
var wild = []struct {
	file  string
	want  string
	codes []finding.Code
}{
	{"rfc3680-5.3.xml", "0 full\nsip:user@example.com active\n" +
		"- 76 sip:user@pc887.example.com active registered\n- 77 sip:user@university.edu terminated expired\n", nil},
	{"rfc5628-7.xml", "0 full\nsip:user@example.com active\n- 76 sip:user@192.0.2.1 active registered\n", nil},
	{"rfc5628-8.2.xml", "1 full\nsip:user_aor_1@example.net active\n- 92 sip:ua.example.com active registered\n" +
		"sip:user_aor_2@example.net active\n- 93 sip:ua.example.com active created\n" +
		"sip:+358504821437@example.net;user=phone active\n- 94 sip:ua.example.com active created\n",
		[]finding.Code{finding.FirstCSeqAboveCSeq}},
	{"kamailio-kick.xml", "0 full\nsip:dora@lab.example active\n" +
		"- 0x7f20a210 sip:dora@192.0.2.31:5060;x=1&y=2 terminated unregistered\n" +
		"- 0x7f20a4b0 sip:dora@198.51.100.9:5062 active created\n",
		[]finding.Code{finding.AttributeOutsideSchema, finding.MalformedXML}},
	{"kamailio-lapse.xml", "0 full\nsip:dora@lab.example terminated\n", nil},
	{"scscf-implicit.xml", "2 full\ntel:+15550100 active\n" +
		"- 0x9c0 sip:emil@192.0.2.77:5070;alias=192.0.2.77~5070~1 active registered\n" +
		"sip:emil@ims.example active\n" +
		"- 0x9c0 sip:emil@192.0.2.77:5070;alias=192.0.2.77~5070~1 active registered\n",
		[]finding.Code{finding.IDRepeated}},
	{"scscf-removal.xml", "3 full\ntel:+15550100 terminated\nsip:emil@ims.example terminated\n", nil},
	{"clearwater-kick.xml", "0 full\nsip:fay@edge.example terminated\n" +
		"- %22%3curn%3auuid%3a6e2b8f10-0000-1000-8000-0242ac110001%3e%22 sip:fay@192.0.2.88:5060;transport=TCP;ob terminated expired\n",
		[]finding.Code{finding.InstanceForm}},
	{"flexisip.xml", "0 full\nsip:gus@chat.example active\n" +
		"- c1 sip:gus@chat.example;gr=urn:uuid:00000000-aaaa-4bbb-8ccc-123456789abc active registered\n",
		[]finding.Code{finding.AORForm}},
	{"blanks.xml", "4 partial\nsip:hal@example.org active\n- c1 sip:hal@192.0.2.3 active refreshed\n",
		[]finding.Code{finding.InstanceForm, finding.ParameterKnown}},
	{"prefixes.xml", "1 full\nsip:ida@example.org active\n- c1 sip:ida@192.0.2.4 active registered\n",
		[]finding.Code{finding.NamespaceUndeclared}},
	{"no-namespace.xml", " \nsip:jo@example.org active\n-  sip:jo@192.0.2.5  \n",
		[]finding.Code{finding.EventMissing, finding.IDMissing, finding.NamespaceWrong, finding.StateMissing, finding.VersionMissing}},
	{"undeclared-root.xml", "0 full\nsip:jo@example.org active\n- b sip:jo@192.0.2.5 active registered\n",
		[]finding.Code{finding.NamespaceUndeclared}},
	{"wrong-namespace.xml", "0 full\nsip:jo@example.org active\n- b sip:jo@192.0.2.5 active registered\n",
		[]finding.Code{finding.NamespaceWrong}},
	{"numbers.xml", "18446744073709551615 full\nsip:kim@example.org active\n" +
		"- 1 sip:kim@192.0.2.6 active registered\n- 2 sip:kim@192.0.2.7 active registered\n",
		[]finding.Code{finding.NumberInvalid, finding.VersionOver32Bits}},
	{"latin1.xml", "0 full\nsip:lea@example.org active\n- 1 sip:lea@192.0.2.8 active registered\n",
		[]finding.Code{finding.Charset}},
	{"stale-terminated.xml", "5 full\nsip:max@example.org terminated\n- o1 sip:max@192.0.2.9 terminated expired\n" +
		"sip:max@example.org active\n- n1 sip:max@192.0.2.9 active registered\n",
		[]finding.Code{finding.AORRepeated}},
	{"broken-tags.xml", "1 full\nsip:nan@example.org active\n" +
		"- 1 sip:nan@192.0.2.1 active registered\n- 2 sip:nan@192.0.2.2 active registered\n" +
		"- 3 sip:nan@192.0.2.3 active registered\n- 4 sip:nan@192.0.2.4 active registered\n" +
		"- 5 sip:nan@192.0.2.5 terminated deactivated\nsip:ned@example.org init\n",
		[]finding.Code{finding.AttributeOutsideSchema, finding.MalformedXML, finding.URIForm}},
	{"truncated.xml", "1 full\nsip:ola@example.org active\n- 1 sip:ola@192.0.2.1 terminated rejected\n- 2  active registered\n",
		[]finding.Code{finding.MalformedXML, finding.URIMissing}},
	{"entities.xml", "0 full\nsip:pia@example.org active\n- 1 sip:&file;@192.0.2.1 active registered\n",
		[]finding.Code{finding.Doctype, finding.MalformedXML}},
	{"ims-extensions.xml", "0 full\nsip:quin@ims.example active\n- 1 sip:quin@192.0.2.1 active created\n", nil},
	{"multipart.txt", "0 full\nsip:tom@example.org init\n", []finding.Code{finding.MalformedXML}},
	{"lies.xml", "4294967296 complete\nsip:rut@example.org terminated\n" +
		"- 1 sip:rut@192.0.2.1 active expired\n- 2 sip:rut@192.0.2.2 active shortened\n" +
		"- 3 sip:rut@192.0.2.3 terminated probation\n- 3 sip:rut@192.0.2.4 gone bored\n" +
		"-  sip:rut@192.0.2.6 active registered\n- 6  active registered\n" +
		"sip:rut@EXAMPLE.org dormant\n init\n",
		[]finding.Code{finding.ActiveInTerminated, finding.AORMissing, finding.AORRepeated,
			finding.ElementOutsideSchema, finding.EventMisfit, finding.EventUnknown, finding.FirstCSeqAboveCSeq,
			finding.GRUUWithoutGr, finding.IDMissing, finding.IDRepeated, finding.InstanceForm,
			finding.ProbationWithoutRetryAfter, finding.PubGRUUOtherAOR, finding.ShortenedWithoutExpires,
			finding.StateUnknown, finding.TempGRUUWithoutFirstCSeq, finding.URIMissing, finding.VersionOver32Bits}},
}

func TestDecodeWild(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range wild {
		seen[tt.file] = true
		t.Run(tt.file, func(t *testing.T) {
			d := decode(t, load(t, tt.file))
			if got := brief(d); got != tt.want {
				t.Errorf("read\n%swant\n%s", got, tt.want)
			}
			want := slices.Clone(tt.codes)
			slices.Sort(want)
			if got := codes(d.Findings); !slices.Equal(got, want) {
				t.Errorf("findings %v\nwant %v", got, want)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[filepath.Base(f)] {
			t.Errorf("%s is not tested", f)
		}
	}
}

func TestDecodeFields(t *testing.T) {
	c := decode(t, load(t, "rfc5628-7.xml")).Registrations[0].Contacts[0]
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"76","uri":"sip:user@192.0.2.1","state":"active","event":"registered","expires":3599,` +
		`"duration_registered":36001,"q":"0.8","call_id":"1j9FpLxk3uxtm8tn@192.0.2.1","cseq":54321,` +
		`"instance":"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",` +
		`"params":[{"name":"+sip.instance","value":"\"\u003curn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6\u003e\""}],` +
		`"pub_gruu":"sip:user@example.com;gr=hha9s8d-999a","temp_gruu":"sip:8ffkas08af7fasklzi9@example.com;gr","first_cseq":54301}`
	if string(b) != want {
		t.Errorf("contact\n%s\nwant\n%s", b, want)
	}

	c = decode(t, load(t, "blanks.xml")).Registrations[0].Contacts[0]
	if c.Instance != "urn:uuid:11111111-2222-4333-8444-555555555555" || c.DisplayName != "Hal ☃" || c.Expires != Num(55) {
		t.Errorf("blanks.xml: %+v", c)
	}
	c = decode(t, load(t, "clearwater-kick.xml")).Registrations[0].Contacts[0]
	if c.Instance != "urn:uuid:6e2b8f10-0000-1000-8000-0242ac110001" || c.RegID != Num(1) || c.PubGRUU == "" {
		t.Errorf("clearwater-kick.xml: %+v", c)
	}
	if c := decode(t, load(t, "latin1.xml")).Registrations[0].Contacts[0]; c.DisplayName != "Léa" {
		t.Errorf("latin1.xml: display name %q", c.DisplayName)
	}
}

func TestDocumentJSON(t *testing.T) {
	b, err := json.Marshal(decode(t, load(t, "kamailio-lapse.xml")))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":0,"state":"full","registrations":[{"aor":"sip:dora@lab.example","id":"0x7f20a1c8","state":"terminated","contacts":[]}],"findings":[]}`
	if string(b) != want {
		t.Errorf("JSON\n%s\nwant\n%s", b, want)
	}
	if b, _ := json.Marshal(&Document{}); string(b) != `{"registrations":[],"findings":[]}` {
		t.Errorf("an empty document is %s", b)
	}
}

// TestLines: a finding about broken XML names its line.
func TestLines(t *testing.T) {
	for _, f := range decode(t, load(t, "kamailio-kick.xml")).Findings {
		if f.Code == finding.MalformedXML && f.Line != 5 {
			t.Errorf("%v, want line 5", f)
		}
	}
}

func TestDecodeNothing(t *testing.T) {
	for _, body := range []string{"", " \r\n", "<", "<<<<", "<?xml", "<html><body/></html>", "v=0\r\no=- 1 1", "<!--", "<![CDATA[", "\x00\x01"} {
		if d, err := Decode([]byte(body)); !errors.Is(err, ErrNotReginfo) || d != nil {
			t.Errorf("%q: %v, %v", body, d, err)
		}
	}
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large a body: %v", err)
	}
}

func TestDecodeEncodings(t *testing.T) {
	plain := `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">` +
		`<registration aor="sip:zoë@example.org" id="a" state="init"/></reginfo>`
	var le, be []byte
	for _, r := range plain {
		le = append(le, byte(r), byte(r>>8))
		be = append(be, byte(r>>8), byte(r))
	}
	latin := strings.ReplaceAll(plain, "ë", "\xeb")
	tests := map[string]struct {
		body string
		odd  bool
	}{
		"UTF-8":                 {plain, false},
		"declared":              {`<?xml version="1.0" encoding='utf-8'?>` + plain, false},
		"byte order mark":       {"\xef\xbb\xbf" + plain, false},
		"Latin-1 declared":      {`<?xml version="1.0" encoding="iso-8859-1"?>` + latin, true},
		"Latin-1 not declared":  {latin, true},
		"Windows-1252 declared": {`<?xml version="1.0" encoding="windows-1252"?>` + latin, true},
		"UTF-16, little end":    {"\xff\xfe" + string(le), true},
		"UTF-16, big end":       {"\xfe\xff" + string(be), true},
		"UTF-16 without mark":   {string(le), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := decode(t, []byte(tt.body))
			if got := d.Registrations[0].AOR; got != "sip:zoë@example.org" {
				t.Errorf("aor %q", got)
			}
			if got := slices.Contains(codes(d.Findings), finding.Charset); got != tt.odd {
				t.Errorf("findings %v", d.Findings)
			}
		})
	}
}

// TestDecodeLimits feeds documents made to cost much: each is read in little
// time, and what was left out is said.
func TestDecodeLimits(t *testing.T) {
	root := `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"><registration aor="sip:a@b" id="r" state="active">`
	fill := func(unit string) string {
		return root + strings.Repeat(unit, (MaxSize-len(root))/len(unit))
	}
	tests := map[string]string{
		"depth":                  fill("<x>"),
		"depth, many prefixes":   fill(`<x xmlns:p="q">`),
		"elements":               fill("<x/>"),
		"contacts":               fill("<contact/>"),
		"contacts never closed":  fill("<contact>"),
		"uris never closed":      fill("<contact><uri>"),
		"attributes":             root + "<contact " + strings.Repeat(`a="" `, 100000) + "/></registration></reginfo>",
		"many attributes":        fill(`<contact a="" b="" c="" d=''/>`),
		"quotes never closed":    fill(`<a b='`),
		"quotes that mismatch":   fill(`<a b="<a b='`),
		"ends never opened":      fill("</x>"),
		"less-than signs":        fill("< "),
		"ampersands":             fill("<contact><uri>&</uri></contact>"),
		"ampersands in a row":    root + "<contact><uri>" + strings.Repeat("&", 1<<19) + "</uri></contact></registration></reginfo>",
		"comments":               fill("<!---->"),
		"comments never closed":  fill("<!--"),
		"DOCTYPEs":               fill("<!DOCTYPE [ "),
		"DOCTYPEs never closed":  fill("<!DOCTYPE [ ]"),
		"declarations":           fill("<!ENTITY "),
		"CDATA":                  fill("<![CDATA[]]>"),
		"instructions":           fill("<?x"),
		"registrations":          fill(`</registration><registration state="terminated" aor="sip:a@b">`),
		"text":                   fill("text "),
		"one long name":          root + "<" + strings.Repeat("n", 1<<19),
		"one long attribute":     root + `<contact id="` + strings.Repeat("n", 1<<19) + `"/></registration></reginfo>`,
		"one long text":          root + "<contact><uri>" + strings.Repeat("n", 1<<19) + "</uri></contact></registration></reginfo>",
		"control characters":     fill("\x01"),
		"prefixes":               fill(`<p:x q:y="">`),
		"a URI with many params": root + "<contact><uri>sip:a@b" + strings.Repeat(";p=1", 4000) + "</uri></contact></registration></reginfo>",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			d := decode(t, []byte(body))
			// Generous, for the race detector and a busy machine: what is
			// quadratic takes minutes.
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if len(d.Findings) == 0 && name != "a URI with many params" && name != "instructions" && name != "comments" {
				t.Error("nothing found wrong")
			}
			if len(d.Findings) > 2*maxFindings+1 {
				t.Errorf("%d findings", len(d.Findings))
			}
			start = time.Now()
			table := NewTable(Tolerant)
			table.Apply(d, 1, start)
			table.Apply(d, 2, start)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("applying took %v", took)
			}
		})
	}
}

func TestErrorsAreNotCrowdedOut(t *testing.T) {
	body := `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"><registration aor="sip:a@b" id="r" state="active">` +
		strings.Repeat(`<contact state="active" event="registered"><uri>sip:a@c</uri></contact>`, 100) +
		"<contact><uri>sip:a@b;x=1&y=2</uri></contact></registration></reginfo>"
	got := codes(decode(t, []byte(body)).Findings)
	if !slices.Contains(got, finding.MalformedXML) || !slices.Contains(got, finding.FindingsCut) {
		t.Errorf("findings %v", got)
	}
}

// TestTruncatedAnywhere cuts a document at every byte: nothing that was whole
// before the cut is lost, and nothing is made up.
func TestTruncatedAnywhere(t *testing.T) {
	body := load(t, "rfc5628-8.2.xml")
	whole := decode(t, body)
	end := bytes.LastIndexByte(body, '>')
	for n := bytes.Index(body, []byte("<registration")); n < end; n++ {
		d := decode(t, body[:n])
		if !d.Incomplete {
			t.Fatalf("cut at %d: not said to be incomplete", n)
		}
		if got, want := len(d.Registrations), bytes.Count(body[:n], []byte("</registration>")); got < want {
			t.Fatalf("cut at %d: %d registrations, want at least %d", n, got, want)
		}
		for i, r := range d.Registrations {
			w := whole.Registrations[i]
			if r.AOR != w.AOR {
				t.Fatalf("cut at %d: aor %q", n, r.AOR)
			}
			for j, c := range r.Contacts {
				if c.URI != "" && c.URI != w.Contacts[j].URI || c.Instance != "" && c.Instance != w.Contacts[j].Instance {
					t.Fatalf("cut at %d: contact %+v", n, c)
				}
			}
		}
	}
	if whole.Incomplete {
		t.Error("the whole document is said to be incomplete")
	}
}
