package reginfo

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var documents = flag.String("documents", "", "write what BenchmarkDecode reads to this directory, for other readers (docs/benchmarks.sh)")

// crowd is a document of n contacts, each with all that a registrar says of one.
func crowd(n int, version uint64) *Document {
	r := Registration{AOR: "sip:crowd@example.org", ID: "a7", State: RegActive}
	for i := range n {
		instance := fmt.Sprintf("urn:uuid:f81d4fae-7dec-11d0-a765-%012x", i)
		r.Contacts = append(r.Contacts, Contact{
			ID: fmt.Sprintf("c%d", i), URI: fmt.Sprintf("sip:crowd@192.0.2.%d:%d;transport=tcp;ob", i%250, 5060+i/250),
			State: ContactActive, Event: Refreshed, Expires: Num(3599), DurationRegistered: Num(7200),
			Q: "0.5", CallID: fmt.Sprintf("%x-call@192.0.2.1", i), CSeq: Num(1000 + version),
			Instance: instance, RegID: Num(1),
			PubGRUU: "sip:crowd@example.org;gr=" + instance, TempGRUU: fmt.Sprintf("sip:t%d@example.org;gr", i), FirstCSeq: Num(900),
		})
	}
	return &Document{Version: Num(version), State: Full, Registrations: []Registration{r}}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprintf("contacts=%d", n), func(b *testing.B) {
			body := Encode(crowd(n, 1))
			if *documents != "" {
				if err := os.WriteFile(filepath.Join(*documents, fmt.Sprint(n, ".xml")), body, 0o644); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	d := crowd(1000, 1)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(Encode(d))))
	}
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprintf("contacts=%d", n), func(b *testing.B) {
			d := crowd(n, 0)
			table := NewTable(Tolerant)
			at := time.Now()
			b.ReportAllocs()
			var cseq uint32
			for b.Loop() {
				cseq++
				table.Apply(d, cseq, at)
			}
		})
	}
}

// TestDecodeAllocations holds the cost of a contact, in documents of a few and of a
// thousand, which come with every change of a large address-of-record.
func TestDecodeAllocations(t *testing.T) {
	for _, n := range []int{3, 1000} {
		body := Encode(crowd(n, 1))
		if per := testing.AllocsPerRun(5, func() { Decode(body) }) / float64(n); per > 10 {
			t.Errorf("of %d contacts: %.1f allocations each, want at most 10", n, per)
		}
	}
}
