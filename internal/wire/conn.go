package wire

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"regwatch/internal/trace"
)

// packetConn is our UDP socket as sipgo sees it: traced, and never ending for
// an error that is no end.
type packetConn struct {
	net.PacketConn
	stack *Stack
	once  sync.Once
	ready chan struct{} // closed at the first read: sipgo has it in its pool
}

func (c *packetConn) ReadFrom(buffer []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.ready) })
	for {
		n, from, err := c.PacketConn.ReadFrom(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return 0, nil, err
			}
			// sipgo stops reading at any error; an ICMP message is none of its business.
			select {
			case <-c.stack.done:
				return 0, nil, net.ErrClosed
			case <-time.After(time.Millisecond):
				continue
			}
		}
		if !isSIP(buffer[:n]) {
			continue
		}
		select {
		case <-c.stack.done: // see Stack.Close
			continue
		default:
		}
		remote, err := addrPort(from)
		if err != nil {
			continue
		}
		c.stack.record(trace.Received, c.stack.local, remote, buffer[:n])
		return n, from, nil
	}
}

func (c *packetConn) WriteTo(data []byte, to net.Addr) (int, error) {
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
	if s.options.Trace == nil {
		return
	}
	s.options.Trace.Add(trace.Message{
		Time: time.Now(), Direction: direction, Transport: s.options.Transport,
		Local: local, Remote: remote, Raw: bytes.Clone(raw),
	})
}

// streamConn is one of our connections as sipgo sees it: traced message by
// message, and telling its flow when it ends.
type streamConn struct {
	net.Conn
	flow  *Flow
	once  sync.Once
	ready chan struct{} // closed at the first read
	in    framer        // used by the one reader only
}

func (c *streamConn) Read(buffer []byte) (int, error) {
	c.once.Do(func() { close(c.ready) })
	n, err := c.Conn.Read(buffer)
	if n > 0 {
		c.in.add(buffer[:n], func(message []byte) {
			c.flow.stack.record(trace.Received, c.flow.local, c.flow.remote, message)
		})
	}
	if err != nil {
		c.flow.lost(err)
	}
	return n, err
}

// Write is called with one whole message at a time.
func (c *streamConn) Write(data []byte) (int, error) {
	if isSIP(data) { // before it goes, as over UDP
		c.flow.stack.record(trace.Sent, c.flow.local, c.flow.remote, data)
	}
	n, err := c.Conn.Write(data)
	if err != nil {
		c.flow.lost(err)
	}
	return n, err
}

func (c *streamConn) Close() error {
	c.flow.lost(ErrClosed)
	return nil
}

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

// framer cuts a stream into messages for the trace (RFC 3261 18.3). It never
// holds more than one message of the largest size; what is no SIP is dropped.
type framer struct{ held []byte }

func (f *framer) add(data []byte, emit func([]byte)) {
	f.held = append(f.held, data...)
	for {
		f.held = bytes.TrimLeft(f.held, "\r\n")
		end := bytes.Index(f.held, []byte("\r\n\r\n"))
		if end < 0 {
			break
		}
		total := end + 4 + contentLength(f.held[:end])
		if total > maxMessage {
			f.held = nil // sipgo closes the connection at this
			return
		}
		if len(f.held) < total {
			break
		}
		emit(f.held[:total])
		f.held = f.held[total:]
	}
	if len(f.held) > maxMessage {
		f.held = nil
	}
	if len(f.held) == 0 {
		f.held = nil
	}
}

func contentLength(head []byte) int {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if name = bytes.TrimSpace(name); bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l")) {
			n, _ := LeadingNumber(string(value))
			return int(min(n, maxMessage))
		}
	}
	return 0
}
