package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regwatch/internal/capture"
	"regwatch/internal/trace"
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

// TestDecodeChanges: documents one after the other, and in the list what changed.
func TestDecodeChanges(t *testing.T) {
	b := newBench(t)
	before, after := b.file("before.xml", document), b.file("after.xml", strings.ReplaceAll(document, `version="0"`, `version="1"`))
	after2 := b.file("after2.xml", strings.NewReplacer(`version="0"`, `version="2"`, `<contact id="76" state="active" event="registered"`, `<contact id="76" state="terminated" event="rejected"`).Replace(document))
	if status := b.run("decode", before, after, after2); status != 0 {
		t.Errorf("status %d: %s", status, b.err.String())
	}
	if out := b.out.String(); strings.Count(out, "\nchanges\n") != 2 || !strings.Contains(out, "changes\n  none\n") ||
		!strings.Contains(out, "changes\n  removed sip:joe@192.0.2.1: rejected\n") {
		t.Error(out)
	}
	b.run("decode", "--json", before, after2)
	var list []struct {
		Changes []struct{ Kind, Event string }
	}
	if err := json.Unmarshal([]byte(b.out.String()), &list); err != nil || len(list) != 2 || list[0].Changes != nil ||
		len(list[1].Changes) != 1 || list[1].Changes[0].Kind != "removed" || list[1].Changes[0].Event != "rejected" {
		t.Errorf("%v %s", err, b.out.String())
	}
}

const deviceContact = "REGISTER sip:example.com SIP/2.0\r\nTo: <sip:alice@example.com>\r\nFrom: <sip:alice@example.com>;tag=1\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\n" +
	"Contact: <sip:alice@192.0.2.7>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"\r\nContent-Length: 0\r\n\r\n"

// TestDecodeCapture: a trace of ours of either form, told by its content: an object
// for one message, a list for several; a capture that is cut is read as far as it
// goes, and that is said.
func TestDecodeCapture(t *testing.T) {
	b := newBench(t)
	for _, format := range []string{"x.pcapng", "x.txt"} {
		path := filepath.Join(b.dir, format)
		w, err := capture.Create(path, capture.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			raw := strings.ReplaceAll(deviceContact, "CSeq: 1", "CSeq: "+string(rune('1'+i)))
			w.Add(trace.Message{Number: uint64(i), Time: time.Unix(int64(i), 0), Direction: trace.Sent, Transport: "udp", Raw: []byte(raw)})
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b.stdin = strings.NewReader(string(content))
		if status := b.run("decode", "--json", "-"); status != 0 {
			t.Errorf("status %d: %s", status, b.err.String())
		}
		var list []map[string]any
		if err := json.Unmarshal([]byte(b.out.String()), &list); err != nil || len(list) != 2 || list[1]["method"] != "REGISTER" || list[1]["cseq"] != 2.0 {
			t.Errorf("%s: %v %s", format, err, b.out.String())
		}
		if format == "x.txt" {
			continue
		}
		cut := b.file("cut", string(content[:len(content)-4]))
		status := b.run("decode", "--json", cut)
		var one map[string]any
		if err := json.Unmarshal([]byte(b.out.String()), &one); err != nil || status != 0 || one["cseq"] != 1.0 {
			t.Errorf("%d %v %s", status, err, b.out.String())
		}
		if want := "regwatch: decode " + cut + ": the capture is cut off after packet 1: "; !strings.HasPrefix(b.err.String(), want) {
			t.Errorf("said %s", b.err.String())
		}
		empty := b.file("empty", string(content[:200]))
		if status := b.run("decode", empty); status != 2 || !strings.Contains(b.err.String(), "decode "+empty+": no SIP message in 0 packets\n") {
			t.Errorf("%d %s", status, b.err.String())
		}
	}
}

// TestDecodeAccount: the contacts of an account in the config are told, by what its
// config says or its last run left.
func TestDecodeAccount(t *testing.T) {
	b := newBench(t)
	listed := b.file("x.xml", strings.ReplaceAll(document, "sip:joe@192.0.2.1</uri>",
		`sip:joe@192.0.2.1</uri><unknown-param name="+sip.instance">"&lt;urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6&gt;"</unknown-param>`))
	b.file("config.toml", "[[account]]\naor = \"sip:joe@example.com\"\n")
	want := "regwatch: account \"joe\": nothing is known to tell its contacts by\nset its instance_id in the config, or let it register once\n"
	if status := b.run("decode", "--account", "joe", listed); status != 2 || b.err.String() != want {
		t.Errorf("%d %s", status, b.err.String())
	}
	if status := b.run("decode", "--account", "jim", listed); status != 2 || !strings.Contains(b.err.String(), `account "jim" is not in the config`) {
		t.Errorf("%d %s", status, b.err.String())
	}
	b.file("config.toml", "[[account]]\naor = \"sip:joe@example.com\"\ninstance_id = \"urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6\"\n")
	if status := b.run("decode", "--account", "joe", listed); status != 0 ||
		!strings.Contains(b.out.String(), "\n> sip:joe@192.0.2.1  active") || !strings.Contains(b.out.String(), "\n    ours by instance\n") {
		t.Errorf("%d %s%s", status, b.err.String(), b.out.String())
	}
	b.run("decode", "--json", "--account", "joe", listed)
	var d struct {
		Registrations []struct {
			Contacts []struct {
				Own       bool
				MatchedBy string `json:"matched_by"`
			}
		}
	}
	if err := json.Unmarshal([]byte(b.out.String()), &d); err != nil || !d.Registrations[0].Contacts[0].Own || d.Registrations[0].Contacts[0].MatchedBy != "instance" {
		t.Errorf("%v %s", err, b.out.String())
	}
}
