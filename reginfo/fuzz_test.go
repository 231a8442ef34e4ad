package reginfo

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"regwatch/reginfo/finding"
)

// shown writes tokens so that those of two readers can be compared: line ends
// that count for nothing in a reginfo document are blanks.
type shown struct {
	out  strings.Builder
	text strings.Builder
}

var blanks = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ")

func (s *shown) flush() {
	if s.text.Len() > 0 {
		fmt.Fprintf(&s.out, "text %q\n", blanks.Replace(s.text.String()))
		s.text.Reset()
	}
}

func (s *shown) tag(kind, name string) {
	s.flush()
	fmt.Fprintf(&s.out, "%s %s\n", kind, name)
}

func (s *shown) attr(name, value string) {
	fmt.Fprintf(&s.out, " %s=%q\n", name, blanks.Replace(value))
}

func qualified(prefix, local []byte) string {
	if len(prefix) == 0 {
		return string(local)
	}
	return string(prefix) + ":" + string(local)
}

// theirs reads tokens with encoding/xml; ok is false where it takes the document
// for none, or where it and XML 1.0 part: an attribute twice, two of them without
// a blank between, a name with colons at its ends.
func theirs(body []byte) (tokens string, ok bool) {
	for check := xml.NewDecoder(bytes.NewReader(body)); ; {
		if _, err := check.Token(); err == io.EOF {
			break
		} else if err != nil {
			return "", false
		}
	}
	var s shown
	name := func(n xml.Name) string {
		if strings.Contains(n.Local, ":") {
			ok = false
		}
		return qualified([]byte(n.Space), []byte(n.Local))
	}
	ok = true
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.RawToken()
		if err != nil {
			break
		}
		switch token := token.(type) {
		case xml.StartElement:
			s.tag("start", name(token.Name))
			given := map[string]bool{}
			for _, a := range token.Attr {
				n := name(a.Name)
				ok = ok && !given[n]
				given[n] = true
				s.attr(n, a.Value)
			}
			ok = ok && len(token.Attr) <= maxAttrs
		case xml.EndElement:
			s.tag("end", name(token.Name))
		case xml.CharData:
			s.text.Write(token)
		case xml.Directive:
			return "", false // refused: TestXMLLimits
		}
	}
	s.flush()
	return s.out.String(), ok
}

// readBy reads tokens with the scanner.
func readBy(body []byte) (tokens string, reports []string) {
	var s shown
	scan := scanner{data: body, report: func(code finding.Code, _ int, detail string) {
		reports = append(reports, string(code)+": "+detail)
	}}
	for {
		switch scan.next() {
		case tokenEOF:
			s.flush()
			return s.out.String(), reports
		case tokenStart:
			name := qualified(scan.prefix, scan.local)
			s.tag("start", name)
			for _, a := range scan.attrs {
				s.attr(qualified(a.prefix, a.local), string(a.value))
			}
			if scan.empty {
				s.tag("end", name)
			}
		case tokenEnd:
			s.tag("end", qualified(scan.prefix, scan.local))
		case tokenText:
			if scan.literal {
				s.text.Write(scan.text)
			} else {
				s.text.Write(scan.resolve(nil, scan.text, scan.at, false))
			}
		}
	}
}

// touching finds attributes with nothing between them, which encoding/xml takes and XML
// does not (XML 1.0, production 40).
var touching = regexp.MustCompile(`=\s*("[^"]*"|'[^']*')[^\s/>?]`)

// FuzzScan: what encoding/xml takes for well-formed the scanner reads as it does,
// and finds nothing wrong with.
func FuzzScan(f *testing.F) {
	for _, tt := range wild {
		f.Add(load(f, tt.file))
	}
	for _, seed := range []string{
		`<a/>`, `<a b="1" c='2'>x</a>`, "<?xml version='1.0'?>\r\n<p:a xmlns:p=\"u\"\n><!-- - --><![CDATA[<&]]>&lt;&#65;&#x42;</p:a>",
		"\ufeff<a b = \"&quot;&apos;&amp;&#10;\n\t\">\r\r\n</a >", `<a><b></b><b/></a>`, `<a b="c="/>`, `<ü ö="ä">é</ü>`, `<a b="&#0000000065;"/>`,
		`<a b='x id=' c="1"/>`, `<a>]]</a>`, `<a><?p i?></a>`, `<a b="/>"/>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) >= maxText {
			return
		}
		want, ok := theirs(body)
		got, reports := readBy(body)
		if !ok || touching.Match(body) {
			return
		}
		if len(reports) > 0 {
			t.Fatalf("well-formed, but %q", reports)
		}
		if got != want {
			t.Fatalf("read as\n%snot as\n%s", got, want)
		}
	})
}

// FuzzTable: whatever follows whatever, the table stays within its bounds, a
// change names a row, and a full document leaves what it alone would.
func FuzzTable(f *testing.F) {
	files, err := filepath.Glob("testdata/findings/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	var all [][]byte
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, body)
	}
	for i, body := range all {
		f.Add(bytes.Join([][]byte{body, all[(i+1)%len(all)], body}, []byte{0}), i%2 == 0)
	}
	f.Add(bytes.Join([][]byte{load(f, "kamailio-kick.xml"), load(f, "rfc3680-5.3.xml"), load(f, "lies.xml")}, []byte{0}), false)
	f.Fuzz(func(t *testing.T, bodies []byte, strict bool) {
		versions := Tolerant
		if strict {
			versions = Strict
		}
		table := NewTable(versions)
		for i, body := range bytes.Split(bodies, []byte{0}) {
			d, err := Decode(body)
			if err != nil {
				continue
			}
			out := table.Apply(d, uint32(i+1), epoch)
			for _, c := range out.Changes {
				if c.Row() == nil {
					t.Fatalf("%+v is a change of nothing", c)
				}
			}
			if out.Verdict == Discarded && len(out.Changes) > 0 {
				t.Fatalf("discarded, and changed %+v", out.Changes)
			}
			if len(table.Rows()) > MaxContacts {
				t.Fatalf("%d rows", len(table.Rows()))
			}
			if out.Verdict != Applied || d.State != Full || d.Incomplete {
				continue
			}
			alone := NewTable(versions)
			alone.Apply(d, 1, epoch)
			if got, want := len(table.Rows()), len(alone.Rows()); got != want {
				t.Fatalf("after a full document there are %d rows, not its %d", got, want)
			}
		}
	})
}

// What no honest document has is refused at a bound, and costs no more than it.
func TestXMLLimits(t *testing.T) {
	document := func(inside string) string {
		return `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">` + inside + `</reginfo>`
	}
	const contact = `<registration aor="sip:a@b" id="r" state="active"><contact id="c" state="active" event="registered"><uri>sip:a@c</uri></contact></registration>`
	for name, c := range map[string]struct {
		body string
		code finding.Code
	}{
		"depth":               {document(strings.Repeat("<x>", maxDepth) + strings.Repeat("</x>", maxDepth) + contact), finding.LimitExceeded},
		"depth without end":   {document(contact + strings.Repeat("<x>", 100_000)), finding.LimitExceeded},
		"attributes":          {document(`<x ` + strings.Repeat(`a `, 3) + manyAttributes(maxAttrs+1) + `/>` + contact), finding.LimitExceeded},
		"a long attribute":    {document(`<x a="` + strings.Repeat("y", maxText) + `"/>` + contact), finding.LimitExceeded},
		"a long text":         {document(contact + `<registration aor="sip:d@b" id="s" state="active"><contact id="d" state="active" event="registered"><uri>sip:` + strings.Repeat("y", maxText) + `</uri></contact></registration>`), finding.LimitExceeded},
		"elements":            {document(contact + strings.Repeat("<x/>", maxElements)), finding.LimitExceeded},
		"prefixes":            {document(`<x ` + manyPrefixes(60) + strings.Repeat(`><x `+manyPrefixes(60), 4) + `/>` + strings.Repeat(`</x>`, 4) + contact), finding.LimitExceeded},
		"entity":              {`<!DOCTYPE reginfo [<!ENTITY e "sip:evil@b">]>` + document(contact+`<registration aor="&e;" id="s" state="init"/>`), finding.Doctype},
		"a billion laughs":    {laughs() + document(contact+`<registration aor="&l9;" id="s" state="init"/>`), finding.Doctype},
		"an external entity":  {`<!DOCTYPE reginfo [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + document(contact+`<registration aor="&e;" id="s" state="init"/>`), finding.Doctype},
		"a parameter entity":  {`<!DOCTYPE reginfo [<!ENTITY % e SYSTEM "http://192.0.2.1/e"> %e;]>` + document(contact), finding.Doctype},
		"an external DOCTYPE": {`<!DOCTYPE reginfo SYSTEM "http://192.0.2.1/r.dtd">` + document(contact), finding.Doctype},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Decode([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range d.Findings {
				found = found || f.Code == c.code
			}
			if !found {
				t.Errorf("no %s among %v", c.code, d.Findings)
			}
			if len(d.Findings) > 2*maxFindings+1 {
				t.Errorf("%d findings", len(d.Findings))
			}
			if len(d.Registrations) == 0 || len(d.Registrations[0].Contacts) == 0 || d.Registrations[0].Contacts[0].URI != "sip:a@c" {
				t.Errorf("what stands beside it is lost: %+v", d.Registrations)
			}
			for _, r := range d.Registrations {
				if len(r.AOR) > 100 || strings.Contains(r.AOR, "evil") || strings.Contains(r.AOR, "root:") {
					t.Errorf("expanded to %.200q", r.AOR)
				}
			}
		})
	}
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes: %v", MaxSize+1, err)
	}
	if d, err := Decode([]byte(document(strings.Repeat(" ", MaxSize-len(document(contact))) + contact))); err != nil || len(d.Registrations) != 1 {
		t.Errorf("%d bytes: %v", MaxSize, err)
	}
}

func manyAttributes(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `a%d="" `, i)
	}
	return out.String()
}

func manyPrefixes(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, `xmlns:p%d="u" `, i)
	}
	return out.String()
}

// laughs is a DOCTYPE whose last entity would be 10^9 words.
func laughs() string {
	out := `<!DOCTYPE reginfo [<!ENTITY l0 "ha">`
	for i := 1; i <= 9; i++ {
		out += fmt.Sprintf(`<!ENTITY l%d "%s">`, i, strings.Repeat(fmt.Sprintf("&l%d;", i-1), 10))
	}
	return out + `]>`
}
