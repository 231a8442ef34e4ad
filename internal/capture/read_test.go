package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// carried reads a capture: of each way what it carried, joined, "|" where bytes
// are lost and "." where it ended.
func carried(t testing.TB, content []byte) (map[string]string, Tally, error) {
	t.Helper()
	out := map[string]string{}
	tally, err := Read(bytes.NewReader(content), func(c Chunk) {
		way := fmt.Sprintf("%s %s>%s", c.Transport, c.From, c.To)
		if c.Lost {
			out[way] += "|"
		}
		out[way] += string(c.Data)
		if c.Missing > 0 {
			out[way] += fmt.Sprintf("[-%d]", c.Missing)
		}
		if c.End && out[way] != "" {
			out[way] += "."
		}
	})
	return out, tally, err
}

// TestReadOurs: what the writer wrote comes back, with its times, each transport
// over each family.
func TestReadOurs(t *testing.T) {
	messages := conversation()
	_, content := record(t, messages, Options{})
	want := map[string]string{}
	times := map[string]time.Time{}
	for _, m := range messages {
		from, to := ordered(m.Local, m.Remote, m.Direction == "sent")
		transport := m.Transport
		if transport == "tls" {
			transport = "tcp"
		}
		way := fmt.Sprintf("%s %s>%s", transport, from, to)
		want[way] += string(m.Raw)
		times[way] = m.Time
	}
	got, tally, err := carried(t, content)
	if err != nil || tally.Fragments+tally.Links != 0 {
		t.Fatalf("%+v, %v", tally, err)
	}
	for way, bytes := range want {
		if strings.TrimSuffix(got[way], ".") != bytes {
			t.Errorf("%s: %d bytes, want %d", way, len(got[way]), len(bytes))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d ways, want %d", len(got), len(want))
	}
	last := map[string]time.Time{}
	Read(bytes.NewReader(content), func(c Chunk) {
		if !c.End {
			last[fmt.Sprintf("%s %s>%s", c.Transport, c.From, c.To)] = c.Time
		}
	})
	for way, at := range times {
		if !last[way].Equal(at) {
			t.Errorf("%s: at %s, want %s", way, last[way], at)
		}
	}
}

var (
	here  = netip.MustParseAddrPort("192.0.2.7:5062")
	there = netip.MustParseAddrPort("198.51.100.2:5060")
	here6 = netip.MustParseAddrPort("[2001:db8::7]:5062")
	far6  = netip.MustParseAddrPort("[2001:db8:1::2]:5060")
)

const way = "tcp 192.0.2.7:5062>198.51.100.2:5060"

// packet is an IP packet at a second of the capture.
type packet struct {
	at   int
	data []byte
}

// datagramFrom is a whole UDP packet.
func datagramFrom(t testing.TB, from, to netip.AddrPort, payload string) []byte {
	t.Helper()
	data, err := newFrames().datagram(from, to, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}

// tcp is a segment from here to there.
func tcp(t testing.TB, seq uint32, payload string, flags layers.TCP) []byte {
	t.Helper()
	flags.Seq, flags.Window, flags.ACK = seq, 1000, !flags.SYN
	data, err := newFrames().segment(here, there, segment{header: flags, payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}

func syn(t testing.TB, seq uint32) []byte { return tcp(t, seq, "", layers.TCP{SYN: true}) }

// pcapOf is a pcap file of packets on a link, each after what the link puts before.
func pcapOf(t testing.TB, link layers.LinkType, before string, packets ...packet) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(65535, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		data := append([]byte(before), p.data...)
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(1_700_000_000+p.at), 0), CaptureLength: len(data), Length: len(data)}
		if err := w.WritePacket(info, data); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func raw(t testing.TB, packets ...packet) []byte {
	return pcapOf(t, layers.LinkTypeRaw, "", packets...)
}

// TestReadLinks: each kind of link that is promised.
func TestReadLinks(t *testing.T) {
	ethernet := "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"
	sll := "\x00\x00\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00"
	sll2 := "\x00\x00\x00\x00\x00\x01\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00"
	for _, c := range []struct {
		name   string
		link   layers.LinkType
		v4, v6 string // before a packet of that family
	}{
		{"Ethernet", layers.LinkTypeEthernet, ethernet + "\x08\x00", ethernet + "\x86\xdd"},
		{"Ethernet with VLAN", layers.LinkTypeEthernet, ethernet + "\x81\x00\x00\x07\x08\x00", ethernet + "\x81\x00\x00\x07\x86\xdd"},
		{"Linux cooked v1", layers.LinkTypeLinuxSLL, sll + "\x08\x00", sll + "\x86\xdd"},
		{"Linux cooked v2", layers.LinkTypeLinuxSLL2, "\x08\x00" + sll2, "\x86\xdd" + sll2},
		{"loopback, little-endian", layers.LinkTypeNull, "\x02\x00\x00\x00", "\x1e\x00\x00\x00"},
		{"loopback, big-endian", layers.LinkTypeLoop, "\x00\x00\x00\x02", "\x00\x00\x00\x18"},
		{"raw", layers.LinkTypeRaw, "", ""},
		{"IPv4, IPv6", layers.LinkTypeIPv4, "", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, tally, err := carried(t, pcapOf(t, c.link, c.v4, packet{0, datagramFrom(t, here, there, register)}))
			if err != nil || got["udp 192.0.2.7:5062>198.51.100.2:5060"] != register {
				t.Errorf("IPv4: %v %+v %v", got, tally, err)
			}
			if c.v6 == "-" {
				c.link, c.v6 = layers.LinkTypeIPv6, ""
			}
			got, tally, err = carried(t, pcapOf(t, c.link, c.v6, packet{0, datagramFrom(t, here6, far6, register)}))
			if err != nil || got["udp [2001:db8::7]:5062>[2001:db8:1::2]:5060"] != register {
				t.Errorf("IPv6: %v %+v %v", got, tally, err)
			}
		})
	}
	if _, tally, err := carried(t, pcapOf(t, layers.LinkTypeMTP2, "", packet{0, []byte("x")}, packet{0, []byte("y")})); err != nil || tally.Links != 2 {
		t.Errorf("an unknown link: %+v, %v", tally, err)
	}
}

// TestReadByteOrders: pcap in either byte order, with micro- and nanoseconds.
func TestReadByteOrders(t *testing.T) {
	data := datagramFrom(t, here, there, register)
	for magic, order := range map[uint32]binary.AppendByteOrder{0xa1b2c3d4: binary.BigEndian, 0xa1b23c4d: binary.LittleEndian} {
		file := order.AppendUint32(nil, magic)
		file = order.AppendUint16(file, 2)
		file = order.AppendUint16(file, 4)
		for _, word := range []uint32{0, 0, 65535, 101, 1, 500_000, uint32(len(data)), uint32(len(data))} {
			file = order.AppendUint32(file, word)
		}
		file = append(file, data...)
		var at time.Time
		_, err := Read(bytes.NewReader(file), func(c Chunk) { at = c.Time })
		want := time.Unix(1, 500_000_000)
		if magic == 0xa1b23c4d {
			want = time.Unix(1, 500_000)
		}
		if err != nil || !at.Equal(want) || !IsCapture(file) {
			t.Errorf("%x: %v at %s", magic, err, at)
		}
	}
}

// TestReadSegments: segments out of order, sent again, lost; connections that
// began before the capture, and that come again from the same ports.
func TestReadSegments(t *testing.T) {
	plain := layers.TCP{}
	data := func(seq uint32, payload string) []byte { return tcp(t, seq, payload, plain) }
	for _, c := range []struct {
		name    string
		packets []packet
		want    string
	}{
		{"in order", []packet{{0, syn(t, 99)}, {0, data(100, "abc")}, {0, data(103, "def")}}, "abcdef."},
		{"out of order", []packet{{0, syn(t, 99)}, {0, data(103, "def")}, {1, data(106, "ghi")}, {2, data(100, "abc")}}, "abcdefghi."},
		{"again", []packet{{0, syn(t, 99)}, {0, data(100, "abc")}, {1, data(100, "abc")}, {2, data(103, "def")}, {3, data(100, "abcdef")}}, "abcdef."},
		{"overlapping", []packet{{0, syn(t, 99)}, {0, data(100, "abcd")}, {1, data(102, "cdef")}}, "abcdef."},
		{"lost, and no more comes", []packet{{0, syn(t, 99)}, {0, data(100, "abc")}, {1, data(109, "jkl")}}, "abc|jkl."},
		{"lost, and more comes", []packet{{0, syn(t, 99)}, {0, data(100, "abc")}, {1, data(109, "jkl")}, {12, data(112, "mno")}, {13, data(103, "def")}}, "abc|jklmno."},
		{"without a beginning", []packet{{0, data(100, "abc")}, {1, data(103, "def")}}, "abcdef."},
		{"over the top", []packet{{0, syn(t, 0xfffffffd)}, {0, data(1, "def")}, {1, data(0xfffffffe, "abc")}}, "abcdef."},
		{"again from the same port", []packet{{0, syn(t, 99)}, {0, data(100, "abc")}, {20, syn(t, 9)}, {20, data(10, "def")}}, "abcdef.."},
		{"reset, then again", []packet{{0, syn(t, 99)}, {0, data(100, "abc")}, {1, tcp(t, 103, "", layers.TCP{RST: true})}, {20, syn(t, 9)}, {20, data(10, "def")}}, "abcdef.."},
		{"SYN again", []packet{{0, syn(t, 99)}, {1, syn(t, 99)}, {2, data(100, "abc")}}, "abc."},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 3 { // the library walks a map
				got, _, err := carried(t, raw(t, c.packets...))
				if err != nil || got[way] != c.want {
					t.Fatalf("got %q, want %q (%v)", got[way], c.want, err)
				}
			}
		})
	}
}

// TestReadInTheOrderOfTime: what waits in many connections at the end comes in the
// order in which it was sent.
func TestReadInTheOrderOfTime(t *testing.T) {
	var packets []packet
	for port := range 20 {
		from := netip.AddrPortFrom(here.Addr(), uint16(1000+port))
		for i, seq := range []uint32{99, 109} {
			data, err := newFrames().segment(from, there, segment{header: layers.TCP{Seq: seq, SYN: i == 0, ACK: i > 0}, payload: bytes.Repeat([]byte("x"), i)})
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, packet{0, bytes.Clone(data)})
		}
	}
	var ports []uint16
	if _, err := Read(bytes.NewReader(raw(t, packets...)), func(c Chunk) {
		if c.Lost {
			ports = append(ports, c.From.Port())
		}
	}); err != nil || len(ports) != 20 || !slices.IsSorted(ports) {
		t.Errorf("%v, %v", ports, err)
	}
}

// fragmented cuts an IPv4 packet into fragments of size bytes.
func fragmented(data []byte, id uint16, size int) (out [][]byte) {
	payload := data[20:]
	for at := 0; at < len(payload); at += size {
		part := payload[at:min(at+size, len(payload))]
		head := bytes.Clone(data[:20])
		binary.BigEndian.PutUint16(head[2:], uint16(20+len(part)))
		binary.BigEndian.PutUint16(head[4:], id)
		flags := uint16(at / 8)
		if at+size < len(payload) {
			flags |= 0x2000
		}
		binary.BigEndian.PutUint16(head[6:], flags)
		out = append(out, append(head, part...))
	}
	return out
}

// fragmented6 is that for IPv6.
func fragmented6(data []byte, id uint32, size int) (out [][]byte) {
	payload := data[40:]
	for at := 0; at < len(payload); at += size {
		part := payload[at:min(at+size, len(payload))]
		head := bytes.Clone(data[:40])
		head[6] = 44 // fragment header
		binary.BigEndian.PutUint16(head[4:], uint16(8+len(part)))
		offset := uint16(at)
		if at+size < len(payload) {
			offset |= 1
		}
		head = append(head, 17, 0)
		head = binary.BigEndian.AppendUint16(head, offset)
		head = binary.BigEndian.AppendUint32(head, id)
		out = append(out, append(head, part...))
	}
	return out
}

// TestReadFragments: IP fragments are put together in whatever order (RFC 791 3.2,
// RFC 8200 4.5); those of a packet that is not whole are counted.
func TestReadFragments(t *testing.T) {
	large := notify(5000)
	v4 := fragmented(datagramFrom(t, here, there, large), 7, 1480)
	v6 := fragmented6(datagramFrom(t, here6, far6, large), 7, 1440)
	var packets []packet
	for _, data := range slices.Concat(v4, v6) {
		packets = append(packets, packet{0, data})
	}
	reversed := slices.Clone(packets)
	slices.Reverse(reversed)
	for name, packets := range map[string][]packet{
		"in order": packets, "reversed": reversed, "one repeated": slices.Concat(packets[:1], packets),
	} {
		got, tally, err := carried(t, raw(t, packets...))
		if err != nil || tally.Fragments != 0 ||
			got["udp 192.0.2.7:5062>198.51.100.2:5060"] != large || got["udp [2001:db8::7]:5062>[2001:db8:1::2]:5060"] != large {
			t.Errorf("%s: %d ways, %+v, %v", name, len(got), tally, err)
		}
	}
	got, tally, err := carried(t, raw(t, packet{0, v4[0]}, packet{0, v4[1]}, packet{0, v6[1]}, packet{0, datagramFrom(t, here, there, register)}))
	if err != nil || tally.Fragments != 3 || len(got) != 1 {
		t.Errorf("without the rest: %d ways, %+v, %v", len(got), tally, err)
	}
	// The name of an old packet comes again.
	other := fragmented(datagramFrom(t, here, there, notify(4000)), 7, 1480)
	packets = []packet{{0, v4[0]}, {0, v4[1]}}
	for _, data := range other {
		packets = append(packets, packet{100, data})
	}
	got, tally, err = carried(t, raw(t, packets...))
	if err != nil || tally.Fragments != 2 || got["udp 192.0.2.7:5062>198.51.100.2:5060"] != notify(4000) {
		t.Errorf("an old name: %d ways, %+v, %v", len(got), tally, err)
	}
}

// TestReadCut: a file that ends within a packet gives those before, and says so;
// so does one that is damaged.
func TestReadCut(t *testing.T) {
	_, ours := record(t, conversation(), Options{})
	pcap := raw(t, packet{0, datagramFrom(t, here, there, register)}, packet{0, datagramFrom(t, here, there, ok)})
	for name, content := range map[string][]byte{"pcapng": ours, "pcap": pcap} {
		_, whole, err := carried(t, content)
		if err != nil {
			t.Fatal(err)
		}
		last := 0
		for length := range len(content) {
			if name == "pcapng" && length%97 > 0 {
				continue
			}
			_, tally, err := carried(t, content[:length])
			if tally.Packets < last || tally.Packets >= whole.Packets && name == "pcap" || err != nil && !errors.Is(err, ErrCut) {
				t.Fatalf("%s of %d bytes: %+v, %v", name, length, tally, err)
			}
			last = tally.Packets
		}
		if _, _, err := carried(t, content[:len(content)-1]); !errors.Is(err, ErrCut) {
			t.Errorf("%s without its last byte: %v", name, err)
		}
	}
	// Right behind the header of a packet.
	if _, tally, err := carried(t, pcap[:24+16]); !errors.Is(err, ErrCut) || tally.Packets != 0 {
		t.Errorf("a header alone: %+v, %v", tally, err)
	}
}

// TestReadSnapped: a capture that kept the beginnings of packets only.
func TestReadSnapped(t *testing.T) {
	data := datagramFrom(t, here, there, register)
	got, _, err := carried(t, raw(t, packet{0, data[:len(data)-10]}))
	if want := register[:len(register)-10] + "[-10]"; err != nil || got["udp 192.0.2.7:5062>198.51.100.2:5060"] != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestReadIsBounded: a flood of connections and of fragments that are never whole
// is held in bounded room, and what comes behind it is still read.
func TestReadIsBounded(t *testing.T) {
	a := newAssembly(func(Chunk) {})
	f := newFragments()
	first := fragmented(datagramFrom(t, here, there, "12345678901234567890"), 0, 16)[0]
	for i := range maxFollowed + 1000 {
		a.segment(here, there, &layers.TCP{SYN: true, Seq: uint32(i)}, gopacket.CaptureInfo{Timestamp: time.Unix(int64(i/1000), 0)})
		if a.live > maxFollowed {
			t.Fatalf("%d connections are followed", a.live)
		}
		data := bytes.Clone(first)
		binary.BigEndian.PutUint16(data[4:], uint16(i)) // its id
		f.take(gopacket.NewPacket(data, layers.LinkTypeRaw, takeApart), time.Unix(0, 0))
		if f.held > maxFragments {
			t.Fatalf("%d bytes of fragments are held", f.held)
		}
	}
	a.end()
	if a.live != 0 || len(a.open) != 0 {
		t.Errorf("%d connections are followed at the end, %d open", a.live, len(a.open))
	}
}

// TestTextHead: the lines of a text trace come back; nothing else is taken for one.
func TestTextHead(t *testing.T) {
	for _, m := range conversation() {
		out, err := text{}.message(m, m.Raw)
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		head, ours := TextHead(line)
		from, to := ordered(m.Local, m.Remote, m.Direction == "sent")
		if !ours || !head.Time.Equal(m.Time) || head.Transport != m.Transport || head.From != from || head.To != to {
			t.Errorf("%s\n%+v", line, head)
		}
	}
	lost, _ := text{}.lost(3)
	if head, ours := TextHead(strings.TrimSpace(string(lost))); !ours || head.To.IsValid() {
		t.Errorf("%s is not ours", lost)
	}
	for _, line := range []string{"", "--- ", "--- a line", "--- 1 yesterday udp a -> b, 3 bytes"} {
		if _, ours := TextHead(line); ours {
			t.Errorf("%q is ours", line)
		}
	}
}

// FuzzRead: no capture makes it fail, hang or grow.
func FuzzRead(f *testing.F) {
	_, ours := record(f, conversation()[:6], Options{})
	f.Add(ours)
	f.Add(raw(f, packet{0, datagramFrom(f, here, there, register)}, packet{1, syn(f, 9)}, packet{2, tcp(f, 13, "abc", layers.TCP{})}))
	var packets []packet
	for _, data := range slices.Concat(fragmented(datagramFrom(f, here, there, notify(100)), 1, 64), fragmented6(datagramFrom(f, here6, far6, notify(100)), 1, 64)) {
		packets = append(packets, packet{0, data})
	}
	f.Add(raw(f, packets...))
	f.Fuzz(func(t *testing.T, content []byte) {
		given := 0
		_, err := Read(bytes.NewReader(content), func(c Chunk) { given += len(c.Data) })
		if err != nil && !errors.Is(err, ErrCut) {
			t.Error(err)
		}
		if given > 64*len(content)+1<<16 {
			t.Errorf("%d bytes out of %d", given, len(content))
		}
	})
}

// TestReadTools: a capture that text2pcap of Wireshark made.
func TestReadTools(t *testing.T) {
	content, err := os.ReadFile("testdata/text2pcap.pcap")
	if err != nil {
		t.Fatal(err)
	}
	got, tally, err := carried(t, content)
	if err != nil || tally.Packets != 1 || !strings.HasPrefix(got["udp 192.0.2.7:5062>198.51.100.2:5060"], "REGISTER sip:example.com SIP/2.0\r\n") {
		t.Errorf("%v, %+v, %v", got, tally, err)
	}
}
