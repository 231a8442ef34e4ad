package main

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestWatchRefusedPort: that nobody listens at the port is a line of the stream
// at once, while the REGISTER is still being sent.
func TestWatchRefusedPort(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	b := newBench(t)
	ended := make(chan int)
	go func() {
		ended <- run(b.env, []string{"watch", "sip:alice@example.com", "--proxy", "sip:" + closed.LocalAddr().String(), "--transport", "udp"})
	}()
	const line = "registering: port unreachable (ICMP) from 127.0.0.1"
	for limit := time.Now().Add(time.Minute); !strings.Contains(b.out.String(), line); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Errorf("it is never said: %s", b.out.String())
			break
		}
	}
	if out := b.out.String(); strings.Contains(out, "no answer") {
		t.Errorf("said after something else: %s", out)
	}
	b.signals <- os.Interrupt
	b.signals <- os.Interrupt
	<-ended
}
