package capture

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"regwatch/internal/trace"
)

// TestZeroChecksum: a sum of zero is written as all ones.
func TestZeroChecksum(t *testing.T) {
	for _, pair := range [][2]string{{"192.0.2.7:5060", "198.51.100.2:5060"}, {"[2001:db8::7]:5060", "[2001:db8::2]:5060"}} {
		f := newFrames()
		from, to := netip.MustParseAddrPort(pair[0]), netip.MustParseAddrPort(pair[1])
		// The sum over two zero bytes, put in their place, makes it zero.
		packet, err := f.datagram(from, to, []byte("SIP\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		at := len(packet) - 6 - 2
		packet, err = f.datagram(from, to, []byte{'S', 'I', 'P', 0, packet[at], packet[at+1]})
		if err != nil {
			t.Fatal(err)
		}
		if packet[at] != 0xff || packet[at+1] != 0xff {
			t.Errorf("checksum % x", packet[at:at+2])
		}
		decoded(t, layers.LinkTypeRaw, packet, time.Time{})
	}
}

// TestTooLarge: a datagram that masking made larger than there are is cut off.
func TestTooLarge(t *testing.T) {
	for _, address := range []string{"192.0.2.7:5060", "[2001:db8::7]:5060"} {
		at := netip.MustParseAddrPort(address)
		packet, err := newFrames().datagram(at, at, make([]byte, maxDatagram+9))
		if err != nil {
			t.Fatal(err)
		}
		if f := decoded(t, layers.LinkTypeRaw, packet, time.Time{}); len(f.payload) != maxDatagram {
			t.Errorf("%d bytes", len(f.payload))
		}
	}
}

// TestEndpoints: whatever a message has for addresses, a packet can have.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct{ local, remote, wantLocal, wantRemote string }{
		{"192.0.2.7:1", "192.0.2.8:2", "192.0.2.7:1", "192.0.2.8:2"},
		{"[::ffff:192.0.2.7]:1", "192.0.2.8:2", "192.0.2.7:1", "192.0.2.8:2"},
		{"[::]:1", "[::ffff:192.0.2.8]:2", "0.0.0.0:1", "192.0.2.8:2"},
		{"[fe80::7%eth0]:1", "[fe80::8%eth0]:2", "[fe80::7]:1", "[fe80::8]:2"},
		{"0.0.0.0:1", "[2001:db8::8]:2", "[::]:1", "[2001:db8::8]:2"},
		{"", "192.0.2.8:2", "0.0.0.0:0", "192.0.2.8:2"},
		{"", "[2001:db8::8]:2", "[::]:0", "[2001:db8::8]:2"},
		{"192.0.2.7:1", "", "192.0.2.7:1", "0.0.0.0:0"},
		{"", "", "[::]:0", "[::]:0"},
	} {
		var m trace.Message
		m.Local, _ = netip.ParseAddrPort(c.local)
		m.Remote, _ = netip.ParseAddrPort(c.remote)
		local, remote := endpoints(m)
		if local.String() != c.wantLocal || remote.String() != c.wantRemote {
			t.Errorf("%q, %q: got %v, %v", c.local, c.remote, local, remote)
		}
		m.Transport, m.Raw = "udp", []byte("x")
		p := newPcapng()
		if _, err := p.start(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.message(m, m.Raw); err != nil {
			t.Errorf("%q, %q: %v", c.local, c.remote, err)
		}
	}
}
