package wire

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"regwatch/internal/guard"
	"regwatch/internal/trace"
)

// packetConn is our UDP socket as sipgo sees it: traced, and never ending for
// an error that is no end.
type packetConn struct {
	net.PacketConn
	stack   *Stack
	once    sync.Once
	ready   chan struct{}      // closed at the first read: sipgo has it in its pool
	standIn *sip.UDPConnection // itself, for while sipgo does not read
	backlog *backlog           // what was read, on its way to sipgo

	// Used by pump only.
	partners  crowd
	strangers crowd

	// Used by sipgo's one reader only.
	peers  []string // whom messages came from since sipgo began to read
	before []string // the last of those before that
	over   bool     // the socket is closed
}

// pump reads the socket until it is closed.
func (c *packetConn) pump() {
	defer c.backlog.close()
	buffer := make([]byte, maxMessage)
	for {
		n, from, err := c.PacketConn.ReadFrom(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // an ICMP message ends nothing
			case <-c.stack.done:
				return
			case <-time.After(time.Millisecond):
				continue
			}
		}
		if remote, err := addrPort(from); err == nil && c.take(buffer[:n], remote) {
			c.backlog.push(buffer[:n], from)
		}
	}
}

// take reports whether a datagram is for sipgo.
func (c *packetConn) take(data []byte, remote netip.AddrPort) bool {
	if !isSIP(data) {
		c.stack.keepAlive(data, remote)
		return false
	}
	q := c.stack.answeredBy(data)
	awaited := q != nil && zoneless(q.remote) == zoneless(remote)
	if !awaited && c.stack.crowded(remote, time.Now()) {
		return false
	}
	c.stack.record(trace.Received, c.stack.local, remote, data)
	if q != nil && !awaited {
		c.stack.stray(Stray{remote, StrayAnswer})
		return false
	}
	return true
}

// ReadFrom is called by one goroutine, with each message once the one before is on
// its way through sipgo.
func (c *packetConn) ReadFrom(buffer []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.ready) })
	if len(c.peers) >= peersKept {
		c.renew()
		return 0, nil, net.ErrClosed
	}
	n, from, ok := c.backlog.pop(buffer)
	if !ok {
		c.bury()
		return 0, nil, net.ErrClosed
	}
	c.note(from.String())
	return n, from, nil
}

// More messages than this are hardly on their way through sipgo at a time.
const peersKept = 1024

func (c *packetConn) note(peer string) {
	if n := len(c.peers); n > 0 && c.peers[n-1] == peer {
		return
	}
	c.peers = append(c.peers, peer)
}

// renew has sipgo begin anew: it keeps two entries for each peer that it ever heard
// of, for as long as it reads. What it is about to answer it finds still, and our
// own requests their socket.
func (c *packetConn) renew() {
	pool := c.stack.agent.TransportLayer().Pool(UDP)
	for _, peer := range c.before {
		pool.CloseAndDelete(c.standIn, peer) // where no other has taken its place
	}
	pool.Add(c.LocalAddr().String(), c.standIn)
	for _, peer := range c.peers {
		pool.Add(peer, c.standIn)
	}
	c.before, c.peers = c.peers, nil
}

// bury puts a grave into sipgo's pool at each place where it may still look for
// our socket: for a request of ours that is about to go, and for the answer to a
// message that was read. Where it found none it would open a socket of its own,
// and never close it.
func (c *packetConn) bury() {
	pool := c.stack.agent.TransportLayer().Pool(UDP)
	pool.Add(c.LocalAddr().String(), grave{c})
	for _, peer := range slices.Concat(c.before, c.peers) {
		pool.Add(peer, grave{c})
	}
	c.over = true
}

// grave stands for a socket that is closed: whatever is sent over it fails.
type grave struct{ *packetConn }

func (grave) WriteMsg(sip.Message) error { return net.ErrClosed }
func (grave) Ref(int) int                { return 1 }
func (grave) TryClose() (int, error)     { return 1, nil }
func (grave) Close() error               { return nil }

func (c *packetConn) WriteTo(data []byte, to net.Addr) (int, error) {
	if !speakable(data) {
		return len(data), nil
	}
	// Before it goes: its answer must not stand in the trace first.
	if isSIP(data) {
		if remote, err := addrPort(to); err == nil {
			c.stack.record(trace.Sent, c.stack.local, remote, data)
		}
	}
	return c.PacketConn.WriteTo(data, to)
}

// isSIP sorts out keep-alives (RFC 5626 3.5): bare CRLFs, and STUN, whose first
// two bits are zero (RFC 5389 6). No SIP message begins with a control byte.
func isSIP(datagram []byte) bool {
	return len(bytes.TrimRight(datagram, "\r\n\x00")) > 0 && datagram[0] >= 0x20
}

func (s *Stack) record(direction trace.Direction, local, remote netip.AddrPort, raw []byte) {
	s.mu.Lock()
	var taps map[string]*trace.Ring
	if len(s.taps) > 0 {
		taps = maps.Clone(s.taps)
	}
	s.mu.Unlock()
	if s.options.Trace == nil && taps == nil {
		return
	}
	m := trace.Message{
		Direction: direction, Transport: s.options.Transport,
		Local: local, Remote: remote, Raw: bytes.Clone(raw),
	}
	m = s.options.Trace.Add(m) // which gives it its time
	for branch, ring := range taps {
		// The topmost Via names the transaction, both ways (RFC 3261 17.1.3).
		if strings.Contains(m.Header("Via", "v"), branch) {
			ring.Add(m)
		}
	}
}

// tap gives the messages of a transaction to ring as well, until it is undone.
func (s *Stack) tap(branch string, ring *trace.Ring) (undo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taps[branch] = ring
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.taps, branch)
	}
}

// streamConn is one of our connections as sipgo sees it: traced message by
// message, without the keep-alives between them, and telling its flow when it
// ends. sipgo answers a ping only where that comes alone, and never sees a pong.
type streamConn struct {
	net.Conn
	flow  *Flow
	once  sync.Once
	ready chan struct{} // closed at the first read
	// Used by the one reader only.
	in    framer
	late  *time.Timer // runs while a message has begun and is not whole
	whole bool        // one is, since hurry was called
	given []byte      // whole messages, for sipgo
	ended error       // of the connection, once all is given
	beats beats
}

func (c *streamConn) Read(buffer []byte) (int, error) {
	c.once.Do(func() { close(c.ready) })
	if c.flow.stack.begin() {
		defer c.flow.stack.busy.Done()
	}
	for {
		if len(c.given) > 0 {
			n := copy(buffer, c.given)
			c.given = c.given[n:]
			return n, nil
		}
		if c.ended != nil {
			c.flow.lost(c.ended)
			return 0, c.ended
		}
		n, err := c.Conn.Read(buffer)
		if c.ended = err; !c.in.take(buffer[:n], c.received, c.crlf) {
			c.ended = errUnreadable
		}
		c.hurry()
	}
}

// messageTime is how long a message may take once it has begun: a peer that sends
// it a byte at a time would keep all that is behind it from us.
const messageTime = 32 * time.Second

var errSlow = fmt.Errorf("a message on it was not whole within %v", messageTime)

// hurry sets the time by which the message that has begun must be whole.
func (c *streamConn) hurry() {
	begun := len(c.in.held) > 0 && c.ended == nil
	if c.late != nil && (c.whole || !begun) {
		c.late.Stop()
		c.late = nil
	}
	if begun && c.late == nil {
		c.late = time.AfterFunc(messageTime, func() {
			defer guard.Recover(c.flow.stack.options.OnPanic)
			c.flow.lost(errSlow)
		})
	}
	c.whole = false
}

// received gives sipgo what it can read. At anything else it would close the
// connection, and a stranger whose message a proxy hands on could cut ours.
func (c *streamConn) received(message []byte) {
	c.whole = true
	c.beats.message()
	c.flow.stack.record(trace.Received, c.flow.local, c.flow.remote, message)
	if _, err := c.flow.stack.parser.ParseSIP(message); err == nil {
		c.given = append(c.given, message...)
	}
}

// crlf takes a CRLF between messages; a ping is answered (RFC 5626 3.5.1).
func (c *streamConn) crlf() {
	if c.beats.crlf() {
		c.Conn.Write(pong) // what is wrong with the connection, its reader finds
	}
}

// Write is called with one whole message at a time.
func (c *streamConn) Write(data []byte) (int, error) {
	if !speakable(data) {
		return len(data), nil
	}
	if isSIP(data) { // before it goes, as over UDP
		c.flow.stack.record(trace.Sent, c.flow.local, c.flow.remote, data)
	}
	n, err := c.Conn.Write(data)
	if err != nil {
		c.flow.lost(err)
	}
	return n, err
}

// Close is what sipgo does where it can go on with a stream no more: it has lost
// the beginning of the next message. We close the flow's own connection.
func (c *streamConn) Close() error {
	c.flow.lost(errUnreadable)
	return nil
}

var errUnreadable = fmt.Errorf("a message on it cannot be read, or has more than %d bytes", maxMessage)

// feed is a listener for sipgo that accepts what we give it.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	addr  net.Addr
}

func (f *feed) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *feed) Close() error   { return nil }
func (f *feed) Addr() net.Addr { return f.addr }

// framer cuts a stream into messages (RFC 3261 18.3) and what is between them. It
// never holds more than one message of the largest size.
type framer struct{ held []byte }

// take calls message with each message that is whole, crlf for each line end
// between messages (RFC 3261 7.5). It reports whether the stream goes on: behind a
// message that is too large, or of a length that is none, nobody knows where the
// next begins.
func (f *framer) take(data []byte, message func([]byte), crlf func()) bool {
	for len(data) > 0 {
		if len(f.held) == 0 && (data[0] == '\r' || data[0] == '\n') {
			if data[0] == '\n' {
				crlf()
			}
			data = data[1:]
			continue
		}
		before := len(f.held)
		f.held = append(f.held, data...)
		total, whole := len(f.held), false
		if end := bytes.Index(f.held, []byte("\r\n\r\n")); end >= 0 {
			length, ok := contentLength(f.held[:end])
			if total = end + 4 + length; !ok {
				total = maxMessage + 1
			}
			whole = total <= len(f.held)
		}
		if total > maxMessage {
			f.held = nil
			return false
		}
		data = data[min(total, len(f.held))-before:]
		if whole {
			message(f.held[:total])
			f.held = nil
		}
	}
	return true
}

// contentLength is that of the last field, as sipgo has it, 0 where there is none;
// ok is false where it is no number.
func contentLength(head []byte) (length int, ok bool) {
	ok = true
	for _, fold := range []string{"\r\n ", "\r\n\t"} { // RFC 3261 7.3.1
		head = bytes.ReplaceAll(head, []byte(fold), []byte(" "))
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if name = bytes.TrimSpace(name); bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l")) {
			var n uint32
			n, ok = LeadingNumber(string(value))
			length = int(min(n, maxMessage))
		}
	}
	return length, ok
}
