package memnet

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

type segment struct {
	data []byte
	at   time.Time // not before
}

// stream is one end of a TCP connection. What was written waits in the reader's
// queue until its delay is over and the hosts are joined.
type stream struct {
	net           *Net
	local, remote netip.AddrPort
	peer          *stream

	changed chan struct{} // room for one: something may be readable now

	// Guarded by the network's lock.
	queue  []segment
	ended  bool  // the peer closed: EOF after the queue
	err    error // fails at once
	closed bool
}

func newStream(n *Net, local, remote netip.AddrPort) *stream {
	return &stream{net: n, local: local, remote: remote, changed: make(chan struct{}, 1)}
}

func (s *stream) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// fail is called with the network locked.
func (s *stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	delete(s.net.streams, s)
	s.wake()
}

// take gives what is readable now, or how long until something is (0: until
// something changes).
func (s *stream) take(buffer []byte) (n int, wait time.Duration, err error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	switch {
	case s.closed:
		return 0, 0, net.ErrClosed
	case s.err != nil:
		return 0, 0, s.err
	case s.net.parted(s.local.Addr(), s.remote.Addr()):
		return 0, 0, nil
	case len(s.queue) == 0 && s.ended:
		return 0, 0, io.EOF
	case len(s.queue) == 0:
		return 0, 0, nil
	}
	if wait = time.Until(s.queue[0].at); wait > 0 {
		return 0, wait, nil
	}
	n = copy(buffer, s.queue[0].data)
	if s.queue[0].data = s.queue[0].data[n:]; len(s.queue[0].data) == 0 {
		s.queue = s.queue[1:]
	}
	return n, 0, nil
}

func (s *stream) Read(buffer []byte) (int, error) {
	for {
		n, wait, err := s.take(buffer)
		if n > 0 || err != nil {
			return n, err
		}
		if wait == 0 {
			<-s.changed
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.changed:
			timer.Stop()
		}
	}
}

func (s *stream) Write(data []byte) (int, error) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	switch {
	case s.closed:
		return 0, net.ErrClosed
	case s.err != nil:
		return 0, s.err
	case s.peer.closed:
		return 0, syscall.ECONNRESET
	}
	s.peer.queue = append(s.peer.queue, segment{bytes.Clone(data), time.Now().Add(s.net.delay + s.net.resent())})
	s.peer.wake()
	return len(data), nil
}

func (s *stream) Close() error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.closed = true
	delete(s.net.streams, s)
	s.wake()
	s.peer.ended = true
	s.peer.wake()
	return nil
}

func (s *stream) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(s.local) }
func (s *stream) RemoteAddr() net.Addr             { return net.TCPAddrFromAddrPort(s.remote) }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
