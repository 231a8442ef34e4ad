package dissect

import (
	"crypto/sha256"
	"fmt"

	"regwatch/reginfo"
)

// Bounds of what is remembered from message to message. The oldest goes first.
const (
	maxSeen     = 4096 // messages, to tell those sent again
	maxRequests = 1024 // requests, to tell what was asked from what was granted
	maxBegun    = 4096 // SUBSCRIBEs that began a subscription
)

// recent is a map of bounded size that forgets what was put in first.
type recent[K comparable, V any] struct {
	most  int
	by    map[K]V
	order []K
}

func newRecent[K comparable, V any](most int) recent[K, V] {
	return recent[K, V]{most: most, by: map[K]V{}}
}

func (r *recent[K, V]) put(key K, value V) {
	if _, again := r.by[key]; !again {
		r.order = append(r.order, key)
	}
	r.by[key] = value
	if len(r.order) > r.most {
		delete(r.by, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	value, ok = r.by[key]
	return value, ok
}

// retransmissions tells a message that was seen before, to the letter and on the
// same way (RFC 3261 17).
type retransmissions struct {
	recent[[sha256.Size]byte, bool]
}

func newRetransmissions() retransmissions {
	return retransmissions{newRecent[[sha256.Size]byte, bool](maxSeen)}
}

func (r *retransmissions) again(f found) bool {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s\n%s", f.Transport, f.From, f.To, f.Data))
	if _, again := r.get(sum); again {
		return true
	}
	r.put(sum, true)
	return false
}

// requests remembers what was asked, until it is answered.
type requests struct{ recent[transaction, asked] }

// transaction names a request whatever way it takes.
type transaction struct {
	callID, tag, method string
	cseq                uint32
}

// asked is what a REGISTER or a SUBSCRIBE asked for.
type asked struct {
	contacts []reginfo.Contact
	expires  reginfo.Number // of the header field
	star     bool
}

func newRequests() requests { return requests{newRecent[transaction, asked](maxRequests)} }

func transactionOf(m *message) transaction {
	cseq, _, _ := m.headers.CSeq()
	return transaction{m.headers.Get("Call-ID"), m.headers.Tag("From"), m.method, cseq}
}
