package wire

import (
	"hash/maphash"
	"net"
	"sync"
)

// backlogMost bounds what waits for sipgo, in bytes.
const backlogMost = 16 << 20

type datagram struct {
	data []byte
	from net.Addr
	sum  uint64 // of data and from
}

// backlog is what was read from a socket and is not handled yet, in the order of the
// wire. A registrar that kicks thousands of accounts at once writes faster than their
// messages are handled, and the system's own buffer holds some thousand. What is sent
// again while it waits is not taken twice, or what is new would wait for what is old.
// One goroutine pushes, one pops.
type backlog struct {
	mu      sync.Mutex
	changed *sync.Cond
	waits   []datagram
	seed    maphash.Seed
	sums    map[uint64]struct{} // of those that wait
	size    int                 // bytes
	spare   [][]byte            // of datagrams that were popped, to be used again
	closed  bool
}

func newBacklog() *backlog {
	b := &backlog{seed: maphash.MakeSeed(), sums: make(map[uint64]struct{})}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// spareMost is how many of them are kept.
const spareMost = 64

// push copies a datagram. It blocks while the backlog is full: then the system drops
// what comes.
func (b *backlog) push(data []byte, from net.Addr) {
	var hash maphash.Hash
	hash.SetSeed(b.seed)
	hash.WriteString(from.String())
	hash.Write(data)
	sum := hash.Sum64()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, waits := b.sums[sum]; waits {
		return
	}
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
	b.waits = append(b.waits, datagram{append(room, data...), from, sum})
	b.sums[sum] = struct{}{}
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
	delete(b.sums, d.sum)
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
