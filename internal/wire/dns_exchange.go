package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// question is what is asked for: a name in lower case with its last dot, and
// the type of record.
type question struct {
	name string
	kind uint16
}

func (q question) String() string { return dns.TypeToString[q.kind] + " " + q.name }

// exchange puts the question to the servers in turn until one answers it: that
// is with records, or with the word that there are none. Those that failed a
// moment ago come last, so that a dead first server costs its timeout once, not
// at each question. It blocks.
func (r *resolver) exchange(ctx context.Context, q question) (*dns.Msg, error) {
	servers, timeout, attempts := r.network.Nameservers()
	if len(servers) == 0 {
		return nil, errNoNameserver
	}
	if q.kind == dns.TypeNAPTR || r.failing(servers) {
		// NAPTR records may be done without, and there are servers that drop
		// questions for them.
		attempts = 1
	}
	query := new(dns.Msg)
	query.SetQuestion(q.name, q.kind)
	var last error
	unknown := false
	for range max(attempts, 1) {
		for _, target := range r.dead.Order(asTargets(servers), time.Now()) {
			reply, err := r.askServer(ctx, target.Addr, query, timeout)
			switch {
			case ctx.Err() != nil:
				return nil, fmt.Errorf("%w: %s: %w", ErrLookup, q, ctx.Err())
			case err != nil:
				r.dead.Failed(target, time.Now())
				last = fmt.Errorf("nameserver %s: %w", target.Addr, err)
				continue
			}
			r.dead.Worked(target)
			switch {
			case reply.Rcode == dns.RcodeSuccess && !isReferral(reply), reply.Rcode == dns.RcodeNameError:
				return reply, nil
			case reply.Rcode == dns.RcodeNotImplemented, reply.Rcode == dns.RcodeFormatError:
				unknown = true
				last = fmt.Errorf("nameserver %s does not know such questions", target.Addr)
			case reply.Rcode == dns.RcodeSuccess:
				last = fmt.Errorf("nameserver %s does not ask others for us", target.Addr)
			default:
				last = fmt.Errorf("nameserver %s says %s", target.Addr, rcodeName(reply.Rcode))
			}
		}
	}
	if unknown {
		// It knows no records of this type, so there are none to be had.
		return &dns.Msg{}, nil
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrLookup, q, last)
}

func rcodeName(rcode int) string {
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("rcode %d", rcode)
}

// failing reports that every server failed a short time ago.
func (r *resolver) failing(servers []netip.AddrPort) bool {
	now := time.Now()
	for _, target := range asTargets(servers) {
		if !r.dead.Avoids(target, now) {
			return false
		}
	}
	return true
}

func asTargets(servers []netip.AddrPort) []Target {
	out := make([]Target, len(servers))
	for i, server := range servers {
		out[i] = Target{UDP, server}
	}
	return out
}

// isReferral: neither answer nor "there are none", but others to ask. It is no
// answer to a question that asked for recursion.
func isReferral(m *dns.Msg) bool {
	if m.Authoritative || m.RecursionAvailable || len(m.Answer) > 0 {
		return false
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeNS {
			return true
		}
	}
	return false
}

// askServer asks one server over UDP, and over TCP where the answer did not fit
// (RFC 7766 5). EDNS is not used: SIP's answers mostly fit 512 bytes, and what
// is not offered cannot be refused.
func (r *resolver) askServer(ctx context.Context, server netip.AddrPort, query *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	// Its own id and, by its own socket, its own port for each: what an attacker
	// off the path has to guess (RFC 5452 9).
	query = query.Copy()
	query.Id = dns.Id()
	reply, err := within(ctx, timeout, func(ctx context.Context) (*dns.Msg, error) { return r.overUDP(ctx, server, query) })
	if err == nil && reply.Truncated {
		reply, err = within(ctx, timeout, func(ctx context.Context) (*dns.Msg, error) { return r.overTCP(ctx, server, query) })
	}
	return reply, err
}

// within gives f so much time, and its error a reason that a reader understands.
func within(ctx context.Context, timeout time.Duration, f func(context.Context) (*dns.Msg, error)) (*dns.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	reply, err := f(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no answer within %s", timeout)
	}
	return reply, err
}

func (r *resolver) overUDP(ctx context.Context, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	local := netip.IPv4Unspecified()
	if server.Addr().Is6() {
		local = netip.IPv6Unspecified()
	}
	socket, err := r.network.ListenPacket(ctx, netip.AddrPortFrom(local, 0))
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { socket.Close() })()
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	if _, err := socket.WriteTo(packed, net.UDPAddrFromAddrPort(server)); err != nil {
		return nil, err
	}
	buffer := make([]byte, 4096)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return nil, err
		}
		// What is not the answer is passed over, not believed and no failure
		// either: else anybody could end the wait for the true one.
		if source, err := addrPort(from); err != nil || source != server {
			continue
		}
		if reply, err := readReply(buffer[:n], query); err == nil {
			return reply, nil
		}
	}
}

func (r *resolver) overTCP(ctx context.Context, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	conn, err := r.network.Dial(ctx, netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	reply, err := readReply(body, query)
	if err == nil && reply.Truncated {
		err = errors.New("answer cut short over TCP")
	}
	return reply, err
}

var errNotTheReply = errors.New("reply to another question")

// readReply unpacks the reply to a query and refuses any other (RFC 5452 9.1).
func readReply(data []byte, query *dns.Msg) (*dns.Msg, error) {
	reply := new(dns.Msg)
	err := reply.Unpack(data)
	if err != nil && !reply.Truncated {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	if reply.Id != query.Id || !reply.Response || reply.Opcode != dns.OpcodeQuery {
		return nil, errNotTheReply
	}
	asked := query.Question[0]
	if len(reply.Question) == 0 && reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return reply, nil // some refuse with nothing but a header
	}
	if len(reply.Question) != 1 {
		return nil, errNotTheReply
	}
	q := reply.Question[0]
	if !strings.EqualFold(q.Name, asked.Name) || q.Qtype != asked.Qtype || q.Qclass != asked.Qclass {
		return nil, errNotTheReply
	}
	return reply, nil
}
