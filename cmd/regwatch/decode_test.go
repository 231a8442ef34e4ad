package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const document = `<?xml version="1.0"?>
<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full">
 <registration aor="sip:joe@example.com" id="a7" state="active">
  <contact id="76" state="active" event="registered" duration-registered="7322" q="0.8">
   <uri>sip:joe@192.0.2.1</uri>
  </contact>
 </registration>
</reginfo>`

func TestDecode(t *testing.T) {
	hostile := strings.ReplaceAll(document, "joe@192", "j&#9;\u009b2Je@192")
	for _, c := range []struct {
		name, text string
		status     int
		contains   []string
	}{
		{"clean", document, 0, []string{"reginfo version 0, full\n", "sip:joe@example.com  active  id a7\n", "  sip:joe@192.0.2.1  active  registered  -        0.8  -        -\n", "    registered for 7322\n"}},
		{"malformed", strings.ReplaceAll(document, "joe@192", "j&e@192"), 7, []string{"sip:j&e@192.0.2.1", "\nerror malformed-xml: ", "\n  line 5: "}},
		{"hostile", hostile, 7, []string{"<9B>2Je@192.0.2.1"}},
		{"no document", "hello", 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			file := b.file("x.xml", c.text)
			status := b.run("decode", file)
			if c.name != "hostile" && status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, b.err.String())
			}
			for _, want := range c.contains {
				if !strings.Contains(b.out.String(), want) {
					t.Errorf("no %q in\n%s", want, b.out.String())
				}
			}
			if strings.ContainsAny(b.out.String(), "\u009b\t\x1b") {
				t.Errorf("a control character: %q", b.out.String())
			}
			b.stdin = strings.NewReader(c.text)
			if again := b.run("decode", "--json", "-"); again != status {
				t.Errorf("--json: status %d, and %d without", again, status)
			}
			if c.status == 2 {
				if !strings.HasPrefix(b.err.String(), "regwatch: decode -: no reginfo document") || b.out.String() != "" {
					t.Errorf("unreadable: %s%s", b.err.String(), b.out.String())
				}
				return
			}
			var d struct {
				Registrations []struct{ Contacts []map[string]any }
				Findings      []any
			}
			if err := json.Unmarshal([]byte(b.out.String()), &d); err != nil || len(d.Registrations) != 1 || d.Findings == nil {
				t.Errorf("--json: %v\n%s", err, b.out.String())
			}
			if strings.ContainsAny(b.out.String(), "\u009b\x1b") {
				t.Errorf("--json: a control character: %q", b.out.String())
			}
		})
	}
}

// TestDecodeSeveral: a list, also where one of them cannot be read.
func TestDecodeSeveral(t *testing.T) {
	b := newBench(t)
	file := b.file("x.xml", document)
	if status := b.run("decode", "--json", file, b.dir+"/none", file); status != 2 {
		t.Errorf("status %d", status)
	}
	var list []any
	if err := json.Unmarshal([]byte(b.out.String()), &list); err != nil || len(list) != 2 {
		t.Errorf("%v\n%s", err, b.out.String())
	}
	if status := b.run("decode", file, file); status != 0 || strings.Count(b.out.String(), file+":\n") != 2 {
		t.Errorf("status %d\n%s", status, b.out.String())
	}
}

// TestDecodeTable pins what people see.
func TestDecodeTable(t *testing.T) {
	b := newBench(t)
	b.run("decode", "testdata/kick.xml")
	want, err := os.ReadFile("testdata/kick.golden")
	if err != nil || b.out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s(%v)", b.out.String(), want, err)
	}
}
