package memnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// SetNameservers says whom the hosts of the network ask for names.
func (n *Net) SetNameservers(timeout time.Duration, attempts int, servers ...*Nameserver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dnsTimeout, n.dnsAttempts, n.nameservers = timeout, attempts, nil
	for _, s := range servers {
		n.nameservers = append(n.nameservers, s.at)
	}
}

// Nameservers are those of the network.
func (h *Host) Nameservers() (servers []netip.AddrPort, timeout time.Duration, attempts int) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return slices.Clone(h.net.nameservers), h.net.dnsTimeout, h.net.dnsAttempts
}

// Nameserver answers DNS questions at port 53 of a host, over UDP and TCP, as a
// resolver does that knows a few records and no others. All methods may be
// called from several goroutines.
type Nameserver struct {
	at       netip.AddrPort
	socket   net.PacketConn
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	conns   map[net.Conn]struct{}
	records []dns.RR
	script  func(query *dns.Msg, tcp bool) []*dns.Msg
	asked   []string
}

// Nameserver starts one on the host with that address; records are lines of a
// zone file with absolute names. It panics where one cannot be read.
func (n *Net) Nameserver(addr string, records ...string) *Nameserver {
	host := n.Host(addr)
	s := &Nameserver{at: netip.AddrPortFrom(host.addr, 53), conns: make(map[net.Conn]struct{})}
	s.Set(records...)
	var err error
	if s.socket, err = host.ListenPacket(context.Background(), s.at); err != nil {
		panic(err)
	}
	if s.listener, err = host.Listen(context.Background(), s.at); err != nil {
		panic(err)
	}
	s.running.Go(s.serveUDP)
	s.running.Go(s.serveTCP)
	return s
}

// Set replaces the records. An SOA among them is what "there is none" is sent
// with for the names below it.
func (s *Nameserver) Set(records ...string) {
	var parsed []dns.RR
	for _, line := range records {
		rr, err := dns.NewRR(line)
		if err != nil || rr == nil {
			panic(fmt.Sprintf("memnet: record %q: %v", line, err))
		}
		parsed = append(parsed, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = parsed
}

// Script makes the server send what f returns, be it nothing, instead of what
// it knows; nil ends that. Reply makes what it would have sent.
func (s *Nameserver) Script(f func(query *dns.Msg, tcp bool) []*dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
}

// Asked tells what the server was asked since Asked was last called, each as
// "NAPTR example.com", with " tcp" behind it where it came over TCP.
func (s *Nameserver) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// Close ends the server; it returns when nothing of it runs any more.
func (s *Nameserver) Close() {
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.socket.Close()
	s.listener.Close()
	s.running.Wait()
}

func (s *Nameserver) serveUDP() {
	buffer := make([]byte, 65535)
	for {
		n, from, err := s.socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		for _, reply := range s.replies(buffer[:n], false) {
			s.socket.WriteTo(reply, from)
		}
	}
}

func (s *Nameserver) serveTCP() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			conn.Close()
		}
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		s.running.Go(func() { s.serveConn(conn) })
	}
}

func (s *Nameserver) serveConn(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		for _, reply := range s.replies(query, true) {
			if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
				return
			}
		}
	}
}

func (s *Nameserver) replies(data []byte, tcp bool) [][]byte {
	query := new(dns.Msg)
	if query.Unpack(data) != nil || len(query.Question) != 1 {
		return nil
	}
	q := query.Question[0]
	asked := dns.TypeToString[q.Qtype] + " " + strings.TrimSuffix(q.Name, ".")
	if tcp {
		asked += " tcp"
	}
	s.mu.Lock()
	s.asked = append(s.asked, asked)
	script := s.script
	s.mu.Unlock()
	var out []*dns.Msg
	if script != nil {
		out = script(query, tcp)
	} else {
		out = []*dns.Msg{s.Reply(query)}
	}
	var packed [][]byte
	for _, reply := range out {
		if !tcp {
			reply.Truncate(dns.MinMsgSize)
		}
		if bytes, err := reply.Pack(); err == nil {
			packed = append(packed, bytes)
		}
	}
	return packed
}

// Reply is what the records say: with aliases followed, as resolvers do it.
func (s *Nameserver) Reply(query *dns.Msg) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.RecursionAvailable = true
	reply.Compress = true
	q := query.Question[0]
	name, known := q.Name, false
	for range 16 {
		alias := ""
		for _, rr := range s.records {
			header := rr.Header()
			known = known || dns.IsSubDomain(name, header.Name) // also a name that has others below it
			if !strings.EqualFold(header.Name, name) {
				continue
			}
			if cname, ok := rr.(*dns.CNAME); ok {
				alias = cname.Target
			}
			if header.Rrtype == q.Qtype || header.Rrtype == dns.TypeCNAME {
				reply.Answer = append(reply.Answer, dns.Copy(rr))
			}
		}
		if alias == "" {
			break
		}
		name, known = alias, false
	}
	if !known {
		reply.Rcode = dns.RcodeNameError
	}
	if !slices.ContainsFunc(reply.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == q.Qtype }) {
		for _, rr := range s.records {
			if rr.Header().Rrtype == dns.TypeSOA && dns.IsSubDomain(rr.Header().Name, name) {
				reply.Ns = append(reply.Ns, dns.Copy(rr))
			}
		}
	}
	return reply
}
