package wire

import (
	"net"
	"sync"
)

// admittedMost is how many connections a stack holds that others made: each costs
// some 100 kB.
const admittedMost = 1024

// admit counts a connection that was accepted until it is closed; nil: it is one
// too many, and closed.
func (s *Stack) admit(conn net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= admittedMost {
		conn.Close()
		return nil
	}
	s.taken++
	return &admitted{conn, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken--
	})}
}

type admitted struct {
	net.Conn
	leave func()
}

func (a *admitted) Close() error {
	a.leave()
	return a.Conn.Close()
}
