package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestReadNameservers(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"nameserver 192.0.2.53\n", "[192.0.2.53:53] 5s 2"},
		{"# nameserver 192.0.2.1\n; nameserver 192.0.2.1\nsearch corp.example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:1 attempts:3 rotate\n",
			"[192.0.2.53:53 [2001:db8::53]:53] 1s 3"},
		{"nameserver fe80::1%eth0\nnameserver here\nnameserver\noptions timeout:900 attempts:900\n", "[[fe80::1%eth0]:53] 30s 5"},
		{"options timeout:-1 attempts:0\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
			"[192.0.2.1:53 192.0.2.2:53 192.0.2.3:53] 1s 1"},
		{"options timeout:99999999999999999999\nnameserver 192.0.2.1\n", "[192.0.2.1:53] 30s 2"},
		{"search corp.example\n", "[] 5s 2"},
	} {
		servers, timeout, attempts := readNameservers(write(t, c.text))
		if got := fmt.Sprint(servers, timeout, attempts); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
	if servers, _, _ := readNameservers(filepath.Join(t.TempDir(), "none")); servers != nil {
		t.Errorf("of no file: %v", servers)
	}
}

func TestReadHosts(t *testing.T) {
	path := write(t, "127.0.0.1 localhost\n# 192.0.2.1 h.example\n192.0.2.2\tother H.Example. # mine\nh.example 192.0.2.9\n2001:db8::2 h.example h.example\n"+
		"bad h.example\n\n192.0.2.3 xh.example\n"+strings.Repeat("10.0.0.1 many\n", 100))
	for name, want := range map[string]string{
		"h.example": "[192.0.2.2 2001:db8::2]", "other": "[192.0.2.2]", "localhost": "[127.0.0.1]", "example": "[]", "mine": "[]",
	} {
		if got := fmt.Sprint(readHosts(path, name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := len(readHosts(path, "many")); got != maxAddrs {
		t.Errorf("%d addresses", got)
	}
	if got := readHosts(filepath.Join(t.TempDir(), "none"), "h.example"); got != nil {
		t.Errorf("of no file: %v", got)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The cache does not grow with what it is asked, and what is over goes first.
func TestCacheIsBounded(t *testing.T) {
	var c dnsCache
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	name := func(i int) question { return question{fmt.Sprintf("h%d.example.", i), dns.TypeA} }
	for i := range 10 * maxCached {
		lifetime := time.Hour
		if i < maxCached/2 {
			lifetime = time.Minute
		}
		c.put(name(i), dnsAnswer{expires: now.Add(lifetime)}, now)
		if len(c.answers) > maxCached {
			t.Fatalf("%d answers are kept", len(c.answers))
		}
		if i == maxCached-1 {
			now = now.Add(time.Minute)
		}
		if _, ok := c.get(name(maxCached/2), now); i == maxCached && !ok {
			t.Error("what holds went before what is over")
		}
	}
	c.put(name(1), dnsAnswer{expires: now}, now)
	if _, ok := c.get(name(1), now); ok {
		t.Error("an answer without lifetime is kept")
	}
}

// A panic while names are looked up ends where the caller guards against it.
func TestTogetherPanics(t *testing.T) {
	defer func() {
		if value := recover(); value != "here" {
			t.Errorf("recovered %v", value)
		}
	}()
	together(func() {}, func() { panic("here") })
}

// FuzzReply: whatever arrives from a nameserver is read or refused.
func FuzzReply(f *testing.F) {
	query := new(dns.Msg)
	query.SetQuestion("h.example.", dns.TypeSRV)
	query.Id = 1
	reply := new(dns.Msg).SetReply(query)
	for _, line := range []string{
		`h.example. 60 IN CNAME x.example.`, `x.example. 60 IN SRV 1 2 3 y.example.`, `x.example. 60 IN SRV 1 0 3 z.example.`,
		`x.example. 60 IN NAPTR 1 1 "s" "SIP+D2U" "" _x.example.`, `x.example. 60 IN A 192.0.2.1`, `x.example. 60 IN AAAA 2001:db8::1`,
	} {
		record, err := dns.NewRR(line)
		if err != nil {
			f.Fatal(err)
		}
		reply.Answer = append(reply.Answer, record)
	}
	packed, err := reply.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add([]byte{})
	l := NewLocator(System{}, LocatorOptions{})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readReply(data, query)
		if err != nil {
			return
		}
		for _, kind := range []uint16{dns.TypeSRV, dns.TypeNAPTR, dns.TypeA, dns.TypeAAAA} {
			part := harvest(m, question{"h.example.", kind}, maxAliases)
			if len(part.records) > maxRecords || len(serversOf(part.records, l.random)) > maxServers ||
				len(rulesOf(part.records, ways)) > maxRules || len(addrsOf(part.records)) > maxAddrs {
				t.Errorf("%d records of type %d are more than we follow", len(part.records), kind)
			}
		}
		negativeTTL(m)
	})
}
