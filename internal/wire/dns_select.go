package wire

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// rule is a NAPTR record that we can follow: the service's transport and the
// name of its SRV records.
type rule struct {
	order uint16
	way   way
	srv   string
}

// rulesOf sorts NAPTR records by order and preference (RFC 2915 2, RFC 3403 4.1)
// and leaves out what does not apply (RFC 3263 4.1): other services, among them
// transports that we have not; all but the flag "s"; regular expressions, which
// RFC 3263 leaves empty. Because only "s" is followed, and ends at SRV records,
// no chain of NAPTR records is.
func rulesOf(records []dns.RR, ways []way) []rule {
	var sorted []*dns.NAPTR
	for _, rr := range records {
		if naptr, ok := rr.(*dns.NAPTR); ok {
			sorted = append(sorted, naptr)
		}
	}
	slices.SortStableFunc(sorted, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var out []rule
	for _, naptr := range sorted {
		if !strings.EqualFold(naptr.Flags, "s") || naptr.Regexp != "" || isRoot(naptr.Replacement) {
			continue
		}
		i := slices.IndexFunc(ways, func(w way) bool { return strings.EqualFold(w.service, naptr.Service) })
		if i >= 0 && len(out) < maxRules {
			out = append(out, rule{naptr.Order, ways[i], naptr.Replacement})
		}
	}
	return out
}

func isRoot(name string) bool { return name == "." || name == "" }

// server is an SRV record: a host and a port.
type server struct {
	host string
	port uint16
}

// serversOf puts SRV records in the order in which they are to be tried
// (RFC 2782, usage rules): by priority, and among equals by lot according to
// weight. A target of "." is the word that the service is not here, and is left
// out.
func serversOf(records []dns.RR, random *rand.Rand) []server {
	var left []*dns.SRV
	for _, rr := range records {
		if srv, ok := rr.(*dns.SRV); ok && !isRoot(srv.Target) && srv.Port != 0 {
			left = append(left, srv)
		}
	}
	// Records of weight 0 go first among their equals: then they have a small
	// chance, and the others theirs.
	slices.SortStableFunc(left, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(min(a.Weight, 1), min(b.Weight, 1)))
	})
	var out []server
	for len(left) > 0 && len(out) < maxServers {
		equals := 1
		for equals < len(left) && left[equals].Priority == left[0].Priority {
			equals++
		}
		i := draw(left[:equals], random)
		out = append(out, server{left[i].Target, left[i].Port})
		left = slices.Delete(left, i, i+1)
	}
	return out
}

// draw chooses among records of one priority: the first whose running sum of
// weights reaches a number between 0 and the whole sum, both included.
func draw(equals []*dns.SRV, random *rand.Rand) int {
	sum := uint(0)
	for _, srv := range equals {
		sum += uint(srv.Weight)
	}
	mark := random.UintN(sum + 1)
	sum = 0
	for i, srv := range equals {
		if sum += uint(srv.Weight); sum >= mark {
			return i
		}
	}
	return len(equals) - 1
}
