package wire

import (
	"net"
	"sync"
)

// backlogMost bounds what waits for sipgo, in bytes.
const backlogMost = 16 << 20

type datagram struct {
	data []byte
	from net.Addr
}

// backlog is what was read from a socket and is not handled yet, in the order of the
// wire. A registrar that kicks thousands of accounts at once writes faster than their
// messages are handled, and the system's own buffer holds some thousand. One goroutine
// pushes, one pops.
type backlog struct {
	mu      sync.Mutex
	changed *sync.Cond
	waits   []datagram
	size    int      // bytes
	spare   [][]byte // of datagrams that were popped, to be used again
	closed  bool
}

func newBacklog() *backlog {
	b := &backlog{}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// spareMost is how many of them are kept.
const spareMost = 64

// push copies a datagram. It blocks while the backlog is full: then the system drops
// what comes.
func (b *backlog) push(data []byte, from net.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.size > backlogMost && !b.closed {
		b.changed.Wait()
	}
	if b.closed {
		return
	}
	var room []byte
	if n := len(b.spare); n > 0 {
		room, b.spare = b.spare[n-1][:0], b.spare[:n-1]
	}
	b.waits = append(b.waits, datagram{append(room, data...), from})
	b.size += len(data)
	b.changed.Signal()
}

// pop blocks until there is one; ok is false once the backlog is closed.
func (b *backlog) pop(buffer []byte) (n int, from net.Addr, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.waits) == 0 && !b.closed {
		b.changed.Wait()
	}
	if b.closed {
		return 0, nil, false
	}
	d := b.waits[0]
	b.waits[0] = datagram{}
	b.waits = b.waits[1:]
	b.size -= len(d.data)
	if len(b.spare) < spareMost {
		b.spare = append(b.spare, d.data)
	}
	b.changed.Signal()
	return copy(buffer, d.data), d.from, true
}

// close ends both sides. What waits is lost.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.changed.Broadcast()
}
