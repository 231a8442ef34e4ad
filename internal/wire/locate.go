package wire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Target is one place that a request can be sent to.
type Target struct {
	Transport string
	Addr      netip.AddrPort
}

func (t Target) String() string { return t.Transport + " " + t.Addr.String() }

// What can go wrong with locating; errors of Locate wrap one.
var (
	// ErrNoTarget: there is no such name, it has no such service or no address,
	// or asks for a transport that we have not. Asking again does not help.
	ErrNoTarget = errors.New("no target")
	// ErrLookup: the nameservers did not say. It may work later.
	ErrLookup = errors.New("name lookup failed")
)

// usable are the transports that a Stack can open.
var usable = []string{UDP, TCP, TLS, WS, WSS}

// way is a transport as the DNS names it.
type way struct {
	transport string
	service   string // of NAPTR records (RFC 3263 9)
	prefix    string // of SRV names (RFC 3263 4.1, RFC 2782); "": has none
	port      uint16 // the default (RFC 3261 19.1.2, RFC 7118 5.5)
	secure    bool
}

// ways in the order in which they are tried where a domain does not say; those
// without SRV names only where it does, or a URI.
var ways = []way{
	{UDP, "SIP+D2U", "_sip._udp.", 5060, false},
	{TCP, "SIP+D2T", "_sip._tcp.", 5060, false},
	{TLS, "SIPS+D2T", "_sips._tcp.", 5061, true},
	{WS, "SIP+D2W", "", 80, false},
	{WSS, "SIPS+D2W", "", 443, true},
}

// Bounds of what a domain's records may make us do.
const (
	maxRules   = 8  // NAPTR records followed
	maxServers = 16 // hosts of a set of SRV records
	maxAddrs   = 16 // addresses of a host
	maxTargets = 64
)

// LocatorOptions of a Locator; the zero value serves.
type LocatorOptions struct {
	// Transports that are usable; nil: those that a Stack can open. Targets have
	// no other.
	Transports []string
	// Random draws among SRV records of one priority; nil: a seed of its own.
	Random *rand.Rand
}

// Locator finds where requests go (RFC 3263 4), and keeps what the DNS said for
// as long as the DNS allows. All methods may be called from several goroutines.
type Locator struct {
	network    Network
	transports []string
	resolver   resolver

	mu     sync.Mutex
	random *rand.Rand
}

// NewLocator returns a Locator that knows nothing yet.
func NewLocator(network Network, o LocatorOptions) *Locator {
	l := &Locator{network: network, transports: o.Transports, random: o.Random, resolver: resolver{network: network}}
	if l.transports == nil {
		l.transports = usable
	}
	if l.random == nil {
		l.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return l
}

// Locate asks a Locator of its own, which keeps nothing: for a single question.
func Locate(ctx context.Context, network Network, uri, transport string) ([]Target, error) {
	return NewLocator(network, LocatorOptions{}).Locate(ctx, uri, transport)
}

// Locate gives the targets of a sip: or sips: URI in the order in which they are
// to be tried (RFC 3263 4.3); equal servers change places from call to call. A
// transport that is not "" stands for the transport parameter of the URI. The
// error wraps ErrNoTarget or ErrLookup. It blocks while names are looked up.
func (l *Locator) Locate(ctx context.Context, uri, transport string) ([]Target, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %q %w", ErrNoTarget, uri, err)
	}
	if transport == "" {
		transport = u.Params.Get("transport")
	}
	s := search{Locator: l, ctx: ctx, secure: u.Scheme == "sips"}
	s.ways, err = l.waysFor(strings.ToLower(transport), s.secure)
	if err != nil {
		return nil, fmt.Errorf("%w: %q %w", ErrNoTarget, uri, err)
	}
	// RFC 3263 4: TARGET is the maddr parameter, else the host.
	if maddr := u.Params.Get("maddr"); maddr != "" {
		u.Host = maddr
	}
	if addr, ok := u.Addr(); ok {
		return []Target{s.ways[0].target(addr, u.Port)}, nil
	}
	if s.name, err = hostName(u.Host); err != nil {
		return nil, fmt.Errorf("%w: %q %w", ErrNoTarget, uri, err)
	}
	var targets []Target
	switch {
	case u.Port != 0: // 4.2: no SRV query, be it for 5060
		targets, err = s.byAddress(s.ways[0], u.Port)
	case isLocalhost(s.name): // RFC 6761 6.3: not a name of the DNS
		targets, err = s.byAddress(s.ways[0], 0)
	case transport != "":
		targets, err = s.byServers(s.ways)
	default:
		targets, err = s.byRules()
	}
	if err != nil {
		return nil, err
	}
	return targets[:min(len(targets), maxTargets)], nil
}

// waysFor gives the ways that the scheme and the transport leave: the first is
// the default (RFC 3263 4.1).
func (l *Locator) waysFor(transport string, secure bool) ([]way, error) {
	switch {
	case secure && transport == TCP:
		transport = TLS // RFC 3261 26.2.2: sips over tcp is TLS over TCP
	case secure && transport == WS:
		transport = WSS // RFC 7118 5.2, 5.5
	}
	var out []way
	for _, w := range ways {
		if slices.Contains(l.transports, w.transport) && (transport == "" || transport == w.transport) && (w.secure || !secure) {
			out = append(out, w)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case !secure:
		return nil, fmt.Errorf("asks for transport %q, which is not supported", transport)
	case transport != "" && transport != TLS && transport != WSS:
		return nil, fmt.Errorf("asks for TLS over %q, which is not supported", transport)
	}
	return nil, errors.New("asks for TLS, which is not supported")
}

func (w way) target(addr netip.Addr, port uint16) Target {
	if port == 0 {
		port = w.port
	}
	return Target{w.transport, netip.AddrPortFrom(addr, port)}
}

// hostName checks that a host can be a name of the DNS (RFC 3261 25.1; some
// have "_" in it), and gives it without a last dot.
func hostName(host string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		case c >= 0x80:
			return "", errors.New("has a host outside ASCII: write it in its xn-- form")
		default:
			return "", errors.New("has no valid host")
		}
	}
	// The longest prefix of an SRV name has to fit before it.
	if _, ok := dns.IsDomainName("_sips._tcp." + name); !ok || name == "" {
		return "", errors.New("has no valid host")
	}
	return name, nil
}

func isLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// search is one call of Locate for a name.
type search struct {
	*Locator
	ctx    context.Context
	name   string
	secure bool
	ways   []way // not empty
}

// byRules asks for NAPTR records: neither transport nor port is given
// (RFC 3263 4.1).
func (s *search) byRules() ([]Target, error) {
	found, err := s.resolver.lookup(s.ctx, s.name, dns.TypeNAPTR)
	if err != nil && s.ctx.Err() != nil {
		return nil, err
	}
	// Any other failure is taken for "none": there are nameservers that cannot
	// tell them, and SRV records serve as well.
	rules := rulesOf(found.records, s.ways)
	if len(rules) == 0 {
		// 4.1: for a sip: URI the SRV queries are for "_sip" only.
		plain := slices.DeleteFunc(slices.Clone(s.ways), func(w way) bool { return w.secure != s.secure })
		if len(plain) == 0 {
			plain = s.ways // 4.2: "_sips" as well, if the client wishes to use TLS
		}
		return s.byServers(plain)
	}
	var targets []Target
	var failed error
	empty := true
	for i, rule := range rules {
		// RFC 3403 4.1: a higher order is not looked at once a lower one fits. It
		// fits if it leads anywhere.
		if len(targets) > 0 && rule.order != rules[i-1].order {
			break
		}
		set, err := s.resolver.lookup(s.ctx, rule.srv, dns.TypeSRV)
		if err == nil && len(set.records) > 0 {
			empty = false
			var more []Target
			more, err = s.byRecords(rule.way, set.records)
			targets = add(targets, more)
		}
		if err != nil && !errors.Is(err, ErrNoTarget) {
			failed = err
		}
	}
	switch {
	case len(targets) > 0:
		return targets, nil
	case failed != nil:
		return s.orHosts(rules[0].way, failed)
	case empty: // 4.2: no SRV records, so the address of the name itself
		return s.byAddress(rules[0].way, 0)
	}
	return nil, fmt.Errorf("%w: %s has no server for SIP", ErrNoTarget, s.name)
}

// byServers asks for the SRV records of each transport, and where there are none
// at all for the addresses of the name (RFC 3263 4.1, 4.2).
func (s *search) byServers(ways []way) ([]Target, error) {
	first := ways[0]
	ways = slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return w.prefix == "" })
	if len(ways) == 0 {
		return s.byAddress(first, 0)
	}
	type result struct {
		records []dns.RR
		targets []Target
		err     error
	}
	results := make([]result, len(ways))
	var asks []func()
	for i, w := range ways {
		asks = append(asks, func() {
			r := &results[i]
			var found dnsAnswer
			if found, r.err = s.resolver.lookup(s.ctx, w.prefix+s.name, dns.TypeSRV); r.err == nil {
				if r.records = found.records; len(r.records) > 0 {
					r.targets, r.err = s.byRecords(w, r.records)
				}
			}
		})
	}
	together(asks...)
	var targets []Target
	var failed error
	empty := true
	for _, r := range results {
		targets = add(targets, r.targets)
		empty = empty && len(r.records) == 0
		if r.err != nil && !errors.Is(r.err, errNoNameserver) && !errors.Is(r.err, ErrNoTarget) && failed == nil {
			failed = r.err
		}
	}
	switch {
	case len(targets) > 0:
		return targets, nil
	case failed != nil:
		return s.orHosts(ways[0], failed)
	case empty:
		return s.byAddress(ways[0], 0)
	}
	// RFC 2782: a target of "." says that the service is not here.
	return nil, fmt.Errorf("%w: %s has no server for SIP", ErrNoTarget, s.name)
}

// orHosts is for SRV questions that nobody answers. To take that for "none"
// would send the request to a machine that may be anything, a web server as a
// rule; but where the machine's own table knows the name, that is meant.
func (s *search) orHosts(w way, failed error) ([]Target, error) {
	addrs := s.network.Hosts(s.name)
	if len(addrs) == 0 {
		return nil, failed
	}
	return targetsOf(w, addrs, 0), nil
}

// byRecords gives the targets of a set of SRV records in their order.
func (s *search) byRecords(w way, records []dns.RR) ([]Target, error) {
	s.mu.Lock()
	servers := serversOf(records, s.random)
	s.mu.Unlock()
	addrs, errs := make([][]netip.Addr, len(servers)), make([]error, len(servers))
	var asks []func()
	for i, server := range servers {
		asks = append(asks, func() { addrs[i], errs[i] = s.addresses(strings.TrimSuffix(server.host, ".")) })
	}
	together(asks...)
	var out []Target
	for i, server := range servers {
		out = add(out, targetsOf(w, addrs[i], server.port))
	}
	if len(out) > 0 {
		return out, nil
	}
	for _, err := range errs {
		if errors.Is(err, ErrLookup) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: no server of %s has an address", ErrNoTarget, s.name)
}

// byAddress gives the addresses of the name with the port, 0 for the default.
func (s *search) byAddress(w way, port uint16) ([]Target, error) {
	addrs, err := s.addresses(s.name)
	return targetsOf(w, addrs, port), err
}

func targetsOf(w way, addrs []netip.Addr, port uint16) []Target {
	var out []Target
	for _, addr := range addrs {
		out = append(out, w.target(addr, port))
	}
	return out
}

// add appends those that are not there yet: two names may be one host.
func add(targets, more []Target) []Target {
	for _, t := range more {
		if !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	return targets
}

// together runs the functions at once and returns when all are done. A panic in
// one becomes the caller's, who has a guard against it.
func together(fs ...func()) {
	var wait sync.WaitGroup
	panics := make([]any, len(fs))
	for i, f := range fs {
		wait.Add(1)
		go func() {
			defer wait.Done()
			defer func() { panics[i] = recover() }()
			f()
		}()
	}
	wait.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
}
