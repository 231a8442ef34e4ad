package wire_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

// RFC 2782: among records of one priority the chance is the weight; those of
// weight 0 have a small one. The rest follows by the same rule.
func TestWeights(t *testing.T) {
	const draws = 4000
	records := []string{`h.example. 60 IN A 192.0.2.9`, `h.example. 60 IN AAAA 2001:db8::9`}
	weights := map[uint16]int{1: 0, 2: 10, 3: 30, 4: 60}
	for port, weight := range weights {
		records = append(records, fmt.Sprintf("_sip._udp.w.example. 60 IN SRV 7 %d %d h.example.", weight, port))
	}
	o := wire.LocatorOptions{Random: rand.New(rand.NewPCG(3, 4))}
	inNames(t, o, records, func(l *locating) {
		first, second := make(map[uint16]int), make(map[uint16]int)
		for range draws {
			targets, err := l.Locate(l.t.Context(), "sip:w.example", wire.UDP)
			if err != nil || len(targets) != 8 {
				t.Fatal(targets, err)
			}
			first[targets[0].Addr.Port()]++
			if targets[0].Addr.Port() == 4 {
				second[targets[2].Addr.Port()]++ // after both addresses of the first
			}
		}
		// A number from 0 to 100: 0 falls to the record of weight 0.
		for port, of101 := range map[uint16]int{1: 1, 2: 10, 3: 30, 4: 60} {
			if want := draws * of101 / 101; first[port] < want*9/10-30 || first[port] > want*11/10+30 {
				t.Errorf("weight %d was first %d times, want about %d", weights[port], first[port], want)
			}
		}
		for port, of41 := range map[uint16]int{1: 1, 2: 10, 3: 30} {
			if want := first[4] * of41 / 41; second[port] < want*9/10-40 || second[port] > want*11/10+40 {
				t.Errorf("weight %d was second %d times, want about %d", weights[port], second[port], want)
			}
		}
	})
	// All of weight 0: no order is preferred over another (RFC 2782 leaves it
	// open), but all come.
	inNames(t, o, []string{`h.example. 60 IN A 192.0.2.9`, `_sip._udp.w.example. 60 IN SRV 7 0 1 h.example.`,
		`_sip._udp.w.example. 60 IN SRV 7 0 2 h.example.`}, func(l *locating) {
		if targets, err := l.Locate(l.t.Context(), "sip:w.example", wire.UDP); err != nil || len(targets) != 2 {
			t.Error(targets, err)
		}
	})
}

// resolv.conf(5): each server for the timeout, all of them for the attempts; and
// one that was silent is asked last for a while.
func TestNameserversInTurn(t *testing.T) {
	inNames(t, wire.LocatorOptions{}, []string{`a.example. 60 IN A 192.0.2.3`, `b.example. 60 IN A 192.0.2.4`}, func(l *locating) {
		good := l.server
		silent := l.net.Nameserver("192.0.2.54")
		defer silent.Close()
		silent.Script(func(*dns.Msg, bool) []*dns.Msg { return nil })
		l.net.SetNameservers(5*time.Second, 2, silent, good)
		took := func(want time.Duration, f func()) {
			t.Helper()
			start := time.Now()
			f()
			if took := time.Since(start); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
		}
		took(5*time.Second, func() { l.want("sip:a.example:1", "", "udp 192.0.2.3:1") })
		took(0, func() { l.want("sip:b.example:1", "", "udp 192.0.2.4:1") })
		time.Sleep(time.Minute)
		silent.Asked()
		took(5*time.Second, func() { l.want("sip:a.example:1", "", "udp 192.0.2.3:1") })
		if asked := len(silent.Asked()); asked != 2 {
			t.Errorf("the silent one was asked %d times more", asked)
		}

		// None answers: two rounds, then a round while they are known as silent.
		time.Sleep(time.Hour)
		good.Script(func(*dns.Msg, bool) []*dns.Msg { return nil })
		took(20*time.Second, func() {
			l.want("sip:c.example:1", "", "name lookup failed: A c.example.: nameserver 192.0.2.53:53: no answer within 5s")
		})
		took(10*time.Second, func() {
			l.want("sip:c.example:1", "", "name lookup failed: A c.example.: nameserver 192.0.2.53:53: no answer within 5s")
		})
		// It is not remembered that a name could not be looked up.
		good.Script(nil)
		time.Sleep(time.Hour)
		took(5*time.Second, func() { l.want("sip:c.example:1", "", "no target: there is no name c.example") })

		// The caller's time is the end of it.
		silent.Script(nil)
		l.net.Drop(func(memnet.Packet) bool { return true })
		ctx, cancel := context.WithTimeout(l.t.Context(), 3*time.Second)
		defer cancel()
		took(3*time.Second, func() {
			if _, err := l.Locate(ctx, "sip:d.example", ""); !errors.Is(err, wire.ErrLookup) || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	})
}

// A server that fails or refuses is no word about the name: the next is asked.
func TestNameserverRefuses(t *testing.T) {
	records := []string{`a.example. 60 IN A 192.0.2.3`}
	says := func(rcode int) func(*dns.Msg, bool) []*dns.Msg {
		return func(q *dns.Msg, _ bool) []*dns.Msg { return []*dns.Msg{new(dns.Msg).SetRcode(q, rcode)} }
	}
	bare := func(q *dns.Msg, _ bool) []*dns.Msg {
		m := new(dns.Msg).SetRcode(q, dns.RcodeRefused)
		m.Question = nil
		return []*dns.Msg{m}
	}
	referral := func(q *dns.Msg, _ bool) []*dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Ns = []dns.RR{rr(`example. 60 IN NS ns.example.`)}
		return []*dns.Msg{m}
	}
	for _, c := range []struct {
		name   string
		script func(*dns.Msg, bool) []*dns.Msg
		alone  string
	}{
		{"SERVFAIL", says(dns.RcodeServerFailure), "name lookup failed: A a.example.: nameserver 192.0.2.54:53 says SERVFAIL"},
		{"REFUSED", says(dns.RcodeRefused), "name lookup failed: A a.example.: nameserver 192.0.2.54:53 says REFUSED"},
		{"REFUSED, header only", bare, "name lookup failed: A a.example.: nameserver 192.0.2.54:53 says REFUSED"},
		{"referral", referral, "name lookup failed: A a.example.: nameserver 192.0.2.54:53 does not ask others for us"},
		{"NOTIMP", says(dns.RcodeNotImplemented), "no target: a.example has no address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNames(t, wire.LocatorOptions{}, records, func(l *locating) {
				bad := l.net.Nameserver("192.0.2.54")
				defer bad.Close()
				bad.Script(c.script)
				l.net.SetNameservers(5*time.Second, 2, bad, l.server)
				start := time.Now()
				l.want("sip:a.example:1", "", "udp 192.0.2.3:1")
				l.net.SetNameservers(5*time.Second, 2, bad)
				time.Sleep(time.Minute)
				l.want("sip:a.example:1", "", c.alone)
				if took := time.Since(start); took != time.Minute {
					t.Errorf("took %v: somebody waited for what was there", took)
				}
			})
		})
	}
}

// RFC 3263 4.1: NAPTR records may be done without, also where a server cannot
// tell them; but SRV records that nobody tells are not taken for none.
func TestNoWordOfServices(t *testing.T) {
	records := []string{`h.example. 60 IN A 192.0.2.2`, `_sip._udp.h.example. 60 IN SRV 1 1 5065 h.example.`}
	silentTo := func(l *locating, kinds ...uint16) {
		l.server.Script(func(q *dns.Msg, _ bool) []*dns.Msg {
			for _, kind := range kinds {
				if q.Question[0].Qtype == kind {
					return nil
				}
			}
			return []*dns.Msg{l.server.Reply(q)}
		})
	}
	inNames(t, wire.LocatorOptions{}, records, func(l *locating) {
		silentTo(l, dns.TypeNAPTR)
		start := time.Now()
		l.want("sip:h.example", "", "udp 192.0.2.2:5065")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("a NAPTR question that is dropped took %v", took)
		}
	})
	inNames(t, wire.LocatorOptions{}, records, func(l *locating) {
		silentTo(l, dns.TypeSRV)
		l.want("sip:h.example;transport=udp", "", "name lookup failed: SRV _sip._udp.h.example.: nameserver 192.0.2.53:53: no answer within 5s")
	})
	// One family is enough.
	inNames(t, wire.LocatorOptions{}, records, func(l *locating) {
		silentTo(l, dns.TypeAAAA)
		l.want("sip:h.example:5060", "", "udp 192.0.2.2:5060")
	})
}

// An answer holds for its TTL, and an hour at most; "there is none" for what
// the SOA record says (RFC 2308 5), and five minutes at most.
func TestCache(t *testing.T) {
	soa := func(name string, ttl, minimum int) string {
		return fmt.Sprintf("%s %d IN SOA ns.example. root.example. 1 2 3 4 %d", name, ttl, minimum)
	}
	for _, c := range []struct {
		name    string
		records []string
		uri     string
		lasts   int // seconds
	}{
		{"a minute", []string{`a.example. 60 IN A 192.0.2.3`, `a.example. 60 IN AAAA 2001:db8::3`}, "sip:a.example:1", 60},
		{"two days", []string{`a.example. 172800 IN A 192.0.2.3`, `a.example. 172800 IN AAAA 2001:db8::3`}, "sip:a.example:1", 3600},
		{"the alias is the shortest", []string{`a.example. 30 IN CNAME b.example.`, `b.example. 60 IN A 192.0.2.3`, `b.example. 60 IN AAAA 2001:db8::3`}, "sip:a.example:1", 30},
		{"one record is the shortest", []string{`a.example. 30 IN A 192.0.2.3`, `a.example. 60 IN A 192.0.2.4`, `a.example. 60 IN AAAA 2001:db8::3`}, "sip:a.example:1", 30},
		{"not at all", []string{`a.example. 0 IN A 192.0.2.3`, `a.example. 0 IN AAAA 2001:db8::3`}, "sip:a.example:1", 0},
		{"a TTL with its highest bit set (RFC 2181 8)", []string{`a.example. 4294967295 IN A 192.0.2.3`, `a.example. 60 IN AAAA 2001:db8::3`}, "sip:a.example:1", 0},
		{"none, by the minimum", []string{soa("example.", 600, 90)}, "sip:a.example:1", 90},
		{"none, by the TTL of the SOA", []string{soa("example.", 60, 90)}, "sip:a.example:1", 60},
		{"none, five minutes", []string{soa("example.", 9000, 9000)}, "sip:a.example:1", 300},
		{"none, without SOA", nil, "sip:a.example:1", 0},
		{"services, and that there are none of another kind", []string{soa("example.", 600, 600), `a.example. 600 IN NAPTR 1 1 "s" "SIP+D2U" "" _x.example.`,
			`_x.example. 70 IN SRV 1 1 1 b.example.`, `b.example. 100 IN A 192.0.2.3`}, "sip:a.example", 70},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNames(t, wire.LocatorOptions{}, c.records, func(l *locating) {
				asked := func() bool {
					l.Locate(l.t.Context(), c.uri, "")
					return len(l.server.Asked()) > 0
				}
				if !asked() {
					t.Fatal("nothing was asked")
				}
				if c.lasts > 0 {
					time.Sleep(time.Duration(c.lasts)*time.Second - time.Millisecond)
					if asked() {
						t.Errorf("asked again before %d s", c.lasts)
					}
					time.Sleep(time.Millisecond)
				}
				if !asked() {
					t.Errorf("not asked again after %d s", c.lasts)
				}
			})
		})
	}
	// A change in the DNS is seen.
	inNames(t, wire.LocatorOptions{}, []string{`a.example. 60 IN A 192.0.2.3`}, func(l *locating) {
		l.want("sip:a.example:1", "", "udp 192.0.2.3:1")
		l.server.Set(`a.example. 60 IN A 192.0.2.4`)
		time.Sleep(30 * time.Second)
		l.want("sip:a.example:1", "", "udp 192.0.2.3:1")
		time.Sleep(30 * time.Second)
		l.want("sip:a.example:1", "", "udp 192.0.2.4:1")
	})
}

// Accounts that start together ask once; one that gives up does not take the
// others along.
func TestAskedTogether(t *testing.T) {
	inNames(t, wire.LocatorOptions{Transports: withoutTLS}, example, func(l *locating) {
		l.net.SetDelay(100*time.Millisecond, 0)
		hasty, cancel := context.WithTimeout(l.t.Context(), 150*time.Millisecond)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := l.Locate(hasty, "sip:example.com", ""); !errors.Is(err, wire.ErrLookup) {
				t.Errorf("the hasty one: %v", err)
			}
		})
		for range 20 {
			group.Go(func() {
				time.Sleep(10 * time.Millisecond)
				l.want("sip:example.com", "", "tcp 192.0.2.11:5060, tcp 192.0.2.12:5070")
			})
		}
		group.Wait()
		if asked := l.server.Asked(); len(asked) != 7 {
			t.Errorf("asked %d times: %v", len(asked), asked)
		}
	})
}

// RFC 7766 5: an answer that does not fit is asked for again over TCP.
func TestTruncated(t *testing.T) {
	var records []string
	for i := range 40 {
		records = append(records, fmt.Sprintf("big.example. 60 IN A 10.0.0.%d", i))
	}
	inNames(t, wire.LocatorOptions{}, records, func(l *locating) {
		targets, err := l.Locate(l.t.Context(), "sip:big.example:5060", "")
		if err != nil || len(targets) != 16 || targets[15].String() != "udp 10.0.0.15:5060" {
			t.Error(targets, err)
		}
		if asked := strings.Join(l.server.Asked(), ","); !strings.Contains(asked, "A big.example tcp") {
			t.Errorf("asked %s", asked)
		}
	})
	// Cut in the middle of a record, where the text of the reply is no message.
	inNames(t, wire.LocatorOptions{}, nil, func(l *locating) {
		l.net.SetNameservers(time.Second, 1, l.server)
		l.server.Script(func(q *dns.Msg, tcp bool) []*dns.Msg {
			m := new(dns.Msg).SetReply(q)
			if q.Question[0].Qtype != dns.TypeA {
				return []*dns.Msg{m}
			}
			if m.Truncated = !tcp; tcp {
				m.Answer = []dns.RR{rr("h.example. 60 IN A 192.0.2.2")}
			} else {
				m.Answer = []dns.RR{&dns.RFC3597{Hdr: dns.RR_Header{Name: "h.example.", Rrtype: dns.TypeA, Class: dns.ClassINET}, Rdata: "ff"}}
			}
			return []*dns.Msg{m}
		})
		l.want("sip:h.example:5060", "", "udp 192.0.2.2:5060")
	})
	// TCP is closed, hangs, or is cut short as well: the next server is asked.
	inNames(t, wire.LocatorOptions{}, []string{`big.example. 60 IN A 10.0.0.1`}, func(l *locating) {
		short := l.net.Nameserver("192.0.2.54")
		defer short.Close()
		short.Script(func(q *dns.Msg, tcp bool) []*dns.Msg {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return []*dns.Msg{m}
		})
		l.net.SetNameservers(5*time.Second, 1, short, l.server)
		l.want("sip:big.example:5060", "", "udp 10.0.0.1:5060")
		short.Script(func(q *dns.Msg, tcp bool) []*dns.Msg {
			if tcp {
				return nil
			}
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return []*dns.Msg{m}
		})
		time.Sleep(time.Hour)
		start := time.Now()
		l.want("sip:big.example:5060", "", "udp 10.0.0.1:5060")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("a TCP that hangs took %v", took)
		}
	})
}

func rr(text string) dns.RR {
	out, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return out
}

// RFC 5452 9: what is no reply to the question is not believed, and does not
// end the wait for the true one.
func TestForgedReplies(t *testing.T) {
	forge := func(q *dns.Msg, change func(*dns.Msg)) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{rr(q.Question[0].Name + " 60 IN A 203.0.113.66")}
		}
		change(m)
		return m
	}
	for name, change := range map[string]func(*dns.Msg){
		"id":       func(m *dns.Msg) { m.Id++ },
		"question": func(m *dns.Msg) { m.Response = false },
		"opcode":   func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
		"name": func(m *dns.Msg) {
			m.Question[0].Name = "evil.example."
			m.Answer = []dns.RR{rr("evil.example. 60 IN A 203.0.113.66")}
		},
		"type":          func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT },
		"class":         func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"no question":   func(m *dns.Msg) { m.Question = nil },
		"two questions": func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			inNames(t, wire.LocatorOptions{}, []string{`h.example. 60 IN A 192.0.2.2`}, func(l *locating) {
				l.server.Script(func(q *dns.Msg, _ bool) []*dns.Msg {
					return []*dns.Msg{forge(q, change), l.server.Reply(q)}
				})
				start := time.Now()
				l.want("sip:h.example:5060", "", "udp 192.0.2.2:5060")
				if took := time.Since(start); took != 0 {
					t.Errorf("took %v", took)
				}
			})
		})
	}
	// Records of other names and classes in the true reply, beside nothing of ours.
	inNames(t, wire.LocatorOptions{}, nil, func(l *locating) {
		l.server.Script(func(q *dns.Msg, _ bool) []*dns.Msg {
			m := new(dns.Msg).SetReply(q)
			m.Answer = []dns.RR{
				rr("evil.example. 60 IN A 203.0.113.66"), rr("h.example. 60 CH A 203.0.113.67"), rr("h.example. 60 IN TXT x"),
				rr("evil.example. 60 IN CNAME h.example."), rr("h.example. 60 IN A 0.0.0.0"),
			}
			m.Extra = []dns.RR{rr("h.example. 60 IN A 203.0.113.68")}
			return []*dns.Msg{m}
		})
		l.want("sip:h.example:5060", "", "no target: h.example has no address")
	})
	// Garbage, and a reply of another machine that knows the id.
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(10*time.Millisecond, 0)
		server := n.Nameserver(nameserverHost, `h.example. 60 IN A 192.0.2.2`)
		defer server.Close()
		n.SetNameservers(5*time.Second, 1, server)
		evil, err := n.Host("192.0.2.66").ListenPacket(t.Context(), netip.MustParseAddrPort("192.0.2.66:53"))
		if err != nil {
			t.Fatal(err)
		}
		defer evil.Close()
		n.Drop(func(p memnet.Packet) bool {
			if p.To.Addr().String() == nameserverHost {
				query := new(dns.Msg)
				query.Unpack(p.Data)
				forged, _ := forge(query, func(*dns.Msg) {}).Pack()
				go func() {
					evil.WriteTo(forged, net.UDPAddrFromAddrPort(p.From))
					evil.WriteTo([]byte{1, 2, 3}, net.UDPAddrFromAddrPort(p.From))
				}()
			}
			return false
		})
		l := &locating{wire.NewLocator(n.Host("192.0.2.1"), wire.LocatorOptions{}), t, n, server}
		l.want("sip:h.example:5060", "", "udp 192.0.2.2:5060")
		time.Sleep(time.Second)
	})
}

// Whatever a domain says, the work is bounded.
func TestHostileRecords(t *testing.T) {
	inNames(t, wire.LocatorOptions{}, []string{
		`loop.example. 60 IN CNAME pool.example.`, `pool.example. 60 IN CNAME loop.example.`, `self.example. 60 IN CNAME self.example.`,
		`n.example. 60 IN NAPTR 1 1 "" "" "" n.example.`, `n.example. 60 IN NAPTR 1 1 "s" "SIP+D2U" "" n.example.`, `n.example. 60 IN A 192.0.2.2`,
	}, func(l *locating) {
		l.want("sip:loop.example:1", "", "name lookup failed: A loop.example.: its aliases lead nowhere")
		l.want("sip:self.example:1", "", "name lookup failed: A self.example.: its aliases lead nowhere")
		l.want("sip:n.example", "", "udp 192.0.2.2:5060")
	})
	// An alias to another in each reply, without end.
	inNames(t, wire.LocatorOptions{}, nil, func(l *locating) {
		n := 0
		l.server.Script(func(q *dns.Msg, _ bool) []*dns.Msg {
			n++
			m := new(dns.Msg).SetReply(q)
			m.Answer = []dns.RR{rr(fmt.Sprintf("%s 60 IN CNAME x%d.example.", q.Question[0].Name, n))}
			return []*dns.Msg{m}
		})
		if _, err := l.Locate(l.t.Context(), "sip:h.example:1", ""); !errors.Is(err, wire.ErrLookup) {
			t.Error(err)
		}
		if asked := len(l.server.Asked()); asked > 20 {
			t.Errorf("asked %d times", asked)
		}
	})
	// As many services, servers and addresses as a message holds.
	inNames(t, wire.LocatorOptions{}, nil, func(l *locating) {
		l.server.Script(func(q *dns.Msg, tcp bool) []*dns.Msg {
			m := new(dns.Msg).SetReply(q)
			m.Compress = true
			if m.Truncated = !tcp; !tcp {
				return []*dns.Msg{m}
			}
			question := q.Question[0]
			here := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: 60}
			number := byte(0)
			for _, c := range []byte(question.Name) {
				number += c
			}
			for i := range uint16(1000) {
				switch question.Qtype {
				case dns.TypeNAPTR:
					m.Answer = append(m.Answer, &dns.NAPTR{Hdr: here, Order: 1, Preference: i, Flags: "s", Service: "SIP+D2U", Replacement: fmt.Sprintf("s%d.example.", i)})
				case dns.TypeSRV:
					m.Answer = append(m.Answer, &dns.SRV{Hdr: here, Priority: i, Port: 5060, Target: fmt.Sprintf("h%d.%s", i, question.Name)})
				case dns.TypeA:
					m.Answer = append(m.Answer, &dns.A{Hdr: here, A: net.IPv4(10, number, byte(i>>8), byte(i))})
				}
			}
			return []*dns.Msg{m}
		})
		targets, err := l.Locate(l.t.Context(), "sip:h.example", "")
		if err != nil || len(targets) != 64 {
			t.Errorf("%d targets, %v", len(targets), err)
		}
		if asked := len(l.server.Asked()); asked > 600 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// loopback is the System's network with a nameserver of the test's.
type loopback struct {
	wire.System
	server netip.AddrPort
}

func (n loopback) Nameservers() ([]netip.AddrPort, time.Duration, int) {
	return []netip.AddrPort{n.server}, 5 * time.Second, 1
}

// The same over real sockets, against the library's own server.
func TestRealSockets(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(socket.LocalAddr().String())
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Skip("the port is taken for TCP: ", err)
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		_, tcp := w.RemoteAddr().(*net.TCPAddr)
		if m.Truncated = !tcp; tcp && q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{rr("h.example. 60 IN A 192.0.2.2")}
		}
		w.WriteMsg(m)
	})
	var running sync.WaitGroup
	defer running.Wait()
	for _, server := range []*dns.Server{{PacketConn: socket, Handler: answer}, {Listener: listener, Handler: answer}} {
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		running.Go(func() { server.ActivateAndServe() })
		<-ready
		defer server.Shutdown()
	}
	l := &locating{wire.NewLocator(loopback{server: at}, wire.LocatorOptions{}), t, nil, nil}
	l.want("sip:h.example:5060", "", "udp 192.0.2.2:5060")
}
