package wire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of what a reply may make us do.
const (
	maxAliases = 8   // CNAMEs from a name to its records
	maxRecords = 256 // of one type for one name
)

// How long an answer is kept at most: who moves a server in the DNS, and watches
// what becomes of it here, shall not wait for a day.
const (
	maxTTL         = time.Hour
	maxNegativeTTL = 5 * time.Minute // of "there is none" (RFC 2308 5)
)

var (
	// errNoNameserver: there is nobody to ask; the machine has other means.
	errNoNameserver = fmt.Errorf("%w: no nameserver is configured", ErrLookup)
	errAliasLoop    = errors.New("its aliases lead nowhere")
)

// dnsAnswer is what the DNS has for a question. The records are shared: nobody
// changes them.
type dnsAnswer struct {
	records []dns.RR
	noName  bool // the name itself is not there (NXDOMAIN)
	expires time.Time
}

// resolver asks nameservers over a Network and keeps their answers. It may be
// used by several goroutines.
type resolver struct {
	network Network
	dead    Avoid // nameservers that did not answer

	mu      sync.Mutex
	cache   dnsCache
	flights map[question]*flight
}

// flight is a question under way; who asks the same meanwhile waits for it.
type flight struct {
	done   chan struct{}
	answer dnsAnswer
	err    error
}

// lookup gives the records of that type, an empty answer where there are none,
// errNoNameserver, or an error that wraps ErrLookup. It blocks unless the answer
// is kept from before.
func (r *resolver) lookup(ctx context.Context, name string, kind uint16) (dnsAnswer, error) {
	q := question{dns.CanonicalName(name), kind}
	for {
		r.mu.Lock()
		if kept, ok := r.cache.get(q, time.Now()); ok {
			r.mu.Unlock()
			return kept, nil
		}
		other := r.flights[q]
		if other == nil {
			break
		}
		r.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return dnsAnswer{}, fmt.Errorf("%w: %s: %w", ErrLookup, q, ctx.Err())
		}
		// Whose context was over has learned nothing about the name.
		if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
			return other.answer, other.err
		}
	}
	f := &flight{done: make(chan struct{}), err: fmt.Errorf("%w: %s: given up", ErrLookup, q)}
	if r.flights == nil {
		r.flights = make(map[question]*flight)
	}
	r.flights[q] = f
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.flights, q)
		if f.err == nil {
			r.cache.put(q, f.answer, time.Now())
		}
		close(f.done)
	}()
	f.answer, f.err = r.resolve(ctx, q)
	return f.answer, f.err
}

// resolve asks, and asks again where an answer ends at an alias.
func (r *resolver) resolve(ctx context.Context, q question) (dnsAnswer, error) {
	hops, lifetime := 0, maxTTL
	for {
		reply, err := r.exchange(ctx, q)
		if err != nil {
			return dnsAnswer{}, err
		}
		part := harvest(reply, q, maxAliases-hops)
		if part.loop {
			return dnsAnswer{}, fmt.Errorf("%w: %s: %w", ErrLookup, q, errAliasLoop)
		}
		lifetime = min(lifetime, part.lifetime)
		done := dnsAnswer{records: part.records, noName: reply.Rcode == dns.RcodeNameError}
		if len(part.records) == 0 {
			negative, known := negativeTTL(reply)
			if part.hops > 0 && !done.noName && !known {
				// The server left the rest of the way to us.
				hops += part.hops
				q.name = part.end
				continue
			}
			lifetime = min(lifetime, negative)
		}
		done.expires = time.Now().Add(lifetime)
		return done, nil
	}
}

// harvested is what one reply has for a question.
type harvested struct {
	records  []dns.RR
	end      string // the name that the aliases led to
	hops     int
	loop     bool
	lifetime time.Duration
}

// harvest takes the records that answer the question: those of its name, or of
// the name that the aliases in the reply lead to. Others are not looked at.
func harvest(m *dns.Msg, q question, maxHops int) harvested {
	out := harvested{end: q.name, lifetime: maxTTL}
	for {
		alias := ""
		for _, rr := range m.Answer {
			header := rr.Header()
			if header.Class != dns.ClassINET || dns.CanonicalName(header.Name) != out.end {
				continue
			}
			if header.Rrtype == q.kind && len(out.records) < maxRecords {
				out.records = append(out.records, rr)
				out.lifetime = min(out.lifetime, ttl(header.Ttl))
			} else if cname, ok := rr.(*dns.CNAME); ok && alias == "" {
				alias = dns.CanonicalName(cname.Target)
				out.lifetime = min(out.lifetime, ttl(header.Ttl))
			}
		}
		if alias == "" || len(out.records) > 0 {
			return out
		}
		if out.hops++; out.hops > maxHops {
			out.loop = true
			return out
		}
		out.end = alias
	}
}

// negativeTTL says how long the word that there is nothing holds (RFC 2308 5):
// not at all without the zone's SOA record.
func negativeTTL(m *dns.Msg) (lifetime time.Duration, known bool) {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(ttl(soa.Hdr.Ttl), ttl(soa.Minttl), maxNegativeTTL), true
		}
	}
	return 0, false
}

// ttl reads a TTL; with its highest bit set it is zero (RFC 2181 8).
func ttl(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// maxCached bounds the cache: an account asks for some ten names.
const maxCached = 1024

// dnsCache keeps answers for their time. The zero value is ready.
type dnsCache struct{ answers map[question]dnsAnswer }

func (c *dnsCache) get(q question, now time.Time) (dnsAnswer, bool) {
	kept, ok := c.answers[q]
	return kept, ok && now.Before(kept.expires)
}

func (c *dnsCache) put(q question, a dnsAnswer, now time.Time) {
	if !now.Before(a.expires) {
		delete(c.answers, q)
		return
	}
	if c.answers == nil {
		c.answers = make(map[question]dnsAnswer)
	}
	c.answers[q] = a
	if len(c.answers) <= maxCached {
		return
	}
	// What is over goes, and whatever else until there is room for a while.
	for q, kept := range c.answers {
		if !now.Before(kept.expires) {
			delete(c.answers, q)
		}
	}
	for q := range c.answers {
		if len(c.answers) <= maxCached*3/4 {
			break
		}
		delete(c.answers, q)
	}
}
