package reginfo

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regwatch/reginfo/finding"
)

// byAgent are the codes that no document shows: they need the NOTIFY around it,
// our own REGISTERs, or the time. Package ua raises them.
var byAgent = []finding.Code{
	finding.GRUUDiffers, finding.SubscriptionStateMissing, finding.SubscriptionStateMismatch, finding.NotifyFlood,
	finding.NoNotify, finding.GrantedLonger, finding.InstanceShared, finding.KickUnderAnotherName, finding.LapseNotNotified,
	finding.AnswerFromElsewhere, finding.CrowdOfStrangers,
}

// long are documents too long to be written down.
var long = map[finding.Code]func() [][]byte{
	finding.LimitExceeded: func() [][]byte {
		deep := strings.Repeat(`<x xmlns="urn:x">`, maxDepth) + strings.Repeat("</x>", maxDepth)
		return [][]byte{bytes.Replace(Encode(numbered(1)), []byte("</reginfo>"), []byte(deep+"</reginfo>"), 1)}
	},
	finding.FindingsCut: func() [][]byte {
		d := numbered(2 * maxFindings)
		for i := range d.Registrations[0].Contacts {
			d.Registrations[0].Contacts[i].ID = ""
		}
		return [][]byte{Encode(d)}
	},
	finding.TableFull: func() [][]byte { // a document holds as many as a table
		d := numbered(MaxContacts)
		more := &Document{Version: Num(1), State: Partial, Registrations: []Registration{{
			AOR: d.Registrations[0].AOR, ID: "r1", State: RegActive,
			Contacts: []Contact{{ID: "c", URI: "sip:c@b", State: ContactActive, Event: Registered}},
		}}}
		return [][]byte{Encode(d), Encode(more)}
	},
}

// numbered is a document with n contacts.
func numbered(n int) *Document {
	r := Registration{AOR: "sip:a@b", ID: "r1", State: RegActive}
	for i := range n {
		name := fmt.Sprint(i)
		r.Contacts = append(r.Contacts, Contact{ID: name, URI: "sip:" + name, State: ContactActive, Event: Registered})
	}
	return &Document{Version: Num(0), State: Full, Registrations: []Registration{r}}
}

// beside are codes that cannot be shown without another.
var beside = map[finding.Code]finding.Code{
	finding.VersionOver32Bits: finding.VersionNotFromZero,
	finding.FindingsCut:       finding.IDMissing,
}

// TestFindings: each code that a document can show has its smallest document, or
// the fewest one after the other, in testdata/findings; they show it and no other.
func TestFindings(t *testing.T) {
	const first = "testdata/findings/"
	files, err := filepath.Glob(first + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range finding.Table() {
		file := first + string(e.Code) + ".xml"
		var documents [][]byte
		switch text, err := os.ReadFile(file); {
		case err == nil:
			files = slices.DeleteFunc(files, func(f string) bool { return f == file })
			documents = bytes.Split(text, []byte("\n\n"))
		case slices.Contains(byAgent, e.Code):
			continue
		case long[e.Code] != nil:
			documents = long[e.Code]()
		default:
			t.Errorf("no document shows %s", e.Code)
			continue
		}
		table := NewTable(Tolerant)
		var got []finding.Code
		for i, body := range documents {
			d := decode(t, body)
			o := table.Apply(d, uint32(i+1), epoch)
			got = append(append(got, codes(d.Findings)...), codes(o.Findings)...)
		}
		want := []finding.Code{e.Code}
		if other := beside[e.Code]; other != "" {
			want = append(want, other)
		}
		slices.Sort(want)
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: the documents show %q, want %q", e.Code, got, want)
		}
	}
	if len(files) > 0 {
		t.Errorf("of no code: %s", strings.Join(files, " "))
	}
}
