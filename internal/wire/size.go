package wire

import "context"

// maxDatagram is how many bytes a request may have to go over UDP while nobody
// knows the MTU of the path (RFC 3261 18.1.1).
const maxDatagram = 1300

// Fits reports whether the request may go over this flow. Only UDP sets a limit,
// of 1300 bytes with everything that Do adds; beyond it a request must go over
// TCP, to the same address, and over UDP only where that is refused (RFC 3261
// 18.1.1). Do sends what does not fit all the same: the choice is the caller's.
func (f *Flow) Fits(ctx context.Context, r *Request) bool {
	if f.Transport() != UDP {
		return true
	}
	message, err := f.build(ctx, r)
	return err != nil || len(message.String()) <= maxDatagram
}
