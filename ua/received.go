package ua

import (
	"slices"

	"regwatch/internal/wire"
)

// What is kept of the documents that came, for snapshots: so many, and so many
// bytes, and so many of all accounts together. The last two of each are always
// kept, to be compared.
const (
	receivedMost      = 50
	receivedMostBytes = 1 << 20
	receivedMostOfAll = 20_000
)

// receive keeps a document. Snapshots share the list: what they were given is
// never written to.
func (a *Agent) receive(n wire.Notify, d Document) {
	d.At, d.CSeq = n.At, n.CSeq
	a.received = append(a.received, d)
	size := 0
	for i, d := range slices.Backward(a.received) {
		size += len(d.Raw)
		if n := len(a.received) - i; n > 2 && (n > a.keeps || size > receivedMostBytes) {
			a.received = slices.Clone(a.received[i+1:])
			return
		}
	}
}
