package wire

import (
	"encoding/binary"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
)

// What was pushed is popped in order, whole, and once, and the buffers are used again; whoever
// pushes more than there is room for waits, and close ends both sides.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, from := newBacklog(), &net.UDPAddr{Port: 5060}
		buffer := make([]byte, maxMessage)
		for n := range 200 {
			b.push([]byte("message "+strconv.Itoa(n)), from)
			b.push([]byte("message 0"), from) // sent again while it waits
		}
		for n := range 200 {
			size, at, ok := b.pop(buffer)
			if want := "message " + strconv.Itoa(n); !ok || at != net.Addr(from) || string(buffer[:size]) != want {
				t.Fatalf("popped %q of %v, want %q", buffer[:size], at, want)
			}
		}
		pushed := 0
		go func() {
			for n := range 2 * backlogMost / maxMessage {
				binary.BigEndian.PutUint32(buffer, uint32(n))
				b.push(buffer, from)
				pushed++
			}
		}()
		synctest.Wait()
		if held := pushed * maxMessage; held < backlogMost || held > backlogMost+maxMessage {
			t.Errorf("%d bytes wait, of %d at most", held, backlogMost)
		}
		b.close()
		synctest.Wait()
		if _, _, ok := b.pop(buffer); ok {
			t.Error("popped from a closed backlog")
		}
	})
}
