package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"regwatch/internal/trace"
)

const (
	register = "REGISTER sip:example.com SIP/2.0\r\nCSeq: 1 REGISTER\r\nCall-ID: a@x\r\nContent-Length: 0\r\n\r\n"
	ok       = "SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nCall-ID: a@x\r\nContent-Length: 0\r\n\r\n"
)

// notify is a NOTIFY of more than size bytes.
func notify(size int) string {
	body := strings.Repeat("<contact/>\n", size/11+1)
	return fmt.Sprintf("NOTIFY sip:alice@192.0.2.7 SIP/2.0\r\nCSeq: 7 NOTIFY\r\nCall-ID: b@x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// said makes messages one after the other, a millisecond and some nanoseconds
// apart.
type said struct{ messages []trace.Message }

func (s *said) add(transport, local, remote string, d trace.Direction, raw string) {
	n := len(s.messages)
	s.messages = append(s.messages, trace.Message{
		Number: uint64(n + 1), Time: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234+n*1_000_001, time.UTC), Direction: d, Transport: transport,
		Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), Raw: []byte(raw),
	})
}

// conversation is what a run may see: each transport over each family.
func conversation() []trace.Message {
	var s said
	for i, pair := range [][2]string{{"192.0.2.7", "198.51.100.2"}, {"[2001:db8::7]", "[2001:db8:1::2]"}} {
		us, them := pair[0]+":%d", pair[1]+":%d"
		at := func(address string, port int) string { return fmt.Sprintf(address, port) }
		s.add("udp", at(us, 5062), at(them, 5060), trace.Sent, register)
		s.add("udp", at(us, 5062), at(them, 5060), trace.Received, ok)
		s.add("udp", at(us, 5062), at(them, 5060), trace.Received, notify(5000))
		s.add("tcp", at(us, 40001), at(them, 5060), trace.Sent, register)
		s.add("tls", at(us, 40001), at(them, 5061), trace.Sent, register)
		s.add("tcp", at(us, 40001), at(them, 5060), trace.Received, ok)
		s.add("tcp", at(us, 40001), at(them, 5060), trace.Received, notify(5000))
		s.add("tls", at(us, 40001), at(them, 5061), trace.Received, notify(1500*i))
		s.add("tcp", at(us, 40001), at(them, 5060), trace.Sent, ok)
		// A connection that they made, to a port that nobody knows.
		s.add("tcp", at(us, 15070), at(them, 40002), trace.Received, notify(3000))
		s.add("tcp", at(us, 15070), at(them, 40002), trace.Sent, ok)
	}
	return s.messages
}

// record writes a trace and returns the file's name and content.
func record(t testing.TB, messages []trace.Message, o Options) (string, []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.pcapng")
	w, err := Create(file, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		w.Add(m)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, content
}

// frame is a packet as the library reads it.
type frame struct {
	time     time.Time
	from, to netip.AddrPort
	tcp      *layers.TCP // nil: UDP
	payload  []byte
}

// readFrames reads a capture until its end or its first fault, which it returns.
func readFrames(t testing.TB, content []byte) ([]frame, error) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(content), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		return nil, err
	}
	var out []frame
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			return out, err
		}
		if info.CaptureLength != info.Length || len(data) != info.Length {
			t.Errorf("frame of %d bytes says %+v", len(data), info)
		}
		out = append(out, decoded(t, r.LinkType(), data, info.Timestamp))
	}
}

// decoded takes a packet apart and checks what no message decides.
func decoded(t testing.TB, link layers.LinkType, data []byte, at time.Time) frame {
	t.Helper()
	p := gopacket.NewPacket(data, link, gopacket.Lazy) // reads up to the layer asked for: ports tell it wrong things of what is above
	if p.TransportLayer() == nil || p.Metadata().Truncated {
		t.Fatalf("not decoded: %v", p)
	}
	source, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Src().Raw())
	target, _ := netip.AddrFromSlice(p.NetworkLayer().NetworkFlow().Dst().Raw())
	if ip, ok := p.NetworkLayer().(*layers.IPv4); ok {
		if sum(ip.Contents) != 0xffff {
			t.Errorf("wrong IPv4 checksum: % x", ip.Contents)
		}
		if int(ip.Length) != len(data) {
			t.Errorf("IPv4 length %d of %d", ip.Length, len(data))
		}
	}
	above := slices.Concat(p.TransportLayer().LayerContents(), p.TransportLayer().LayerPayload())
	f := frame{time: at}
	var protocol layers.IPProtocol
	switch l := p.TransportLayer().(type) {
	case *layers.UDP:
		protocol = layers.IPProtocolUDP
		f.from, f.to, f.payload = netip.AddrPortFrom(source, uint16(l.SrcPort)), netip.AddrPortFrom(target, uint16(l.DstPort)), l.Payload
		if int(l.Length) != len(above) || l.Checksum == 0 {
			t.Errorf("UDP length %d of %d, checksum %x", l.Length, len(above), l.Checksum)
		}
	case *layers.TCP:
		protocol = layers.IPProtocolTCP
		f.from, f.to, f.payload, f.tcp = netip.AddrPortFrom(source, uint16(l.SrcPort)), netip.AddrPortFrom(target, uint16(l.DstPort)), l.Payload, l
		if len(data) > mtu {
			t.Errorf("segment of %d bytes", len(data))
		}
	}
	// The pseudo header, in the order in which a sum does not care.
	pseudo := slices.Concat(source.AsSlice(), target.AsSlice(), []byte{0, byte(protocol), byte(len(above) >> 8), byte(len(above))}, above)
	if sum(pseudo) != 0xffff {
		t.Errorf("wrong checksum of %v", p.TransportLayer())
	}
	return f
}

// sum is the sum of the checksums of IP, UDP and TCP (RFC 1071), which is all
// ones over data that has its checksum in it. It shares no code with what wrote
// them.
func sum(data []byte) uint16 {
	var total uint64
	for i, b := range data {
		total += uint64(b) << (8 * (1 - i%2))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

// ends are the two of a connection, as one side of it sees them.
type ends struct{ from, to netip.AddrPort }

// replayed is what the frames say, message by message. Of TCP it plays the
// receiver: it wants a handshake, each number to be the next, and everything
// acknowledged.
func replayed(t *testing.T, frames []frame) []trace.Message {
	t.Helper()
	next := map[ends]uint32{}
	partial := map[ends][]byte{}
	var out []trace.Message
	for i, f := range frames {
		way, back := ends{f.from, f.to}, ends{f.to, f.from}
		m := trace.Message{Time: f.time, Local: f.from, Remote: f.to, Raw: f.payload}
		if f.tcp == nil {
			m.Transport = "udp"
			out = append(out, m)
			continue
		}
		m.Transport = "tcp"
		if f.tcp.SYN {
			if _, known := next[way]; known || len(f.payload) > 0 {
				t.Errorf("frame %d: second SYN, or one with content", i)
			}
			next[way] = f.tcp.Seq
		}
		if f.tcp.Seq != next[way] {
			t.Errorf("frame %d %v: sequence number %d, want %d", i, way, f.tcp.Seq, next[way])
		}
		if ack, heard := next[back]; f.tcp.ACK != heard || heard && f.tcp.Ack != ack {
			t.Errorf("frame %d %v: ACK %v of %d, want %d", i, way, f.tcp.ACK, f.tcp.Ack, ack)
		}
		next[way] += uint32(len(f.payload))
		if f.tcp.SYN {
			next[way]++
		}
		partial[way] = append(partial[way], f.payload...)
		if f.tcp.PSH {
			m.Raw, partial[way] = partial[way], nil
			out = append(out, m)
		}
	}
	for way, rest := range partial {
		if len(rest) > 0 {
			t.Errorf("%v: %d bytes without PSH", way, len(rest))
		}
	}
	return out
}

// compare says where what was read is not what was written.
func compare(t *testing.T, read, written []trace.Message) {
	t.Helper()
	if len(read) != len(written) {
		t.Fatalf("%d messages, want %d", len(read), len(written))
	}
	for i, m := range written {
		from, to := ordered(m.Local, m.Remote, m.Direction == trace.Sent)
		got := read[i]
		if got.Local != from || got.Remote != to || !got.Time.Equal(m.Time) || (got.Transport == "udp") != (m.Transport == "udp") {
			t.Errorf("message %d: %v %s %v > %v, want %v %s %v > %v", i, got.Time, got.Transport, got.Local, got.Remote, m.Time, m.Transport, from, to)
		}
		if want := trace.Masked(m.Raw); !bytes.Equal(got.Raw, want) {
			t.Errorf("message %d: %d bytes, want %d\n%s", i, len(got.Raw), len(want), got.Raw)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	messages := conversation()
	file, content := record(t, messages, Options{})
	frames, err := readFrames(t, content)
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	compare(t, replayed(t, frames), messages)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	opened := 0
	for i, f := range frames {
		if f.tcp == nil || !f.tcp.SYN || f.tcp.ACK {
			continue
		}
		opened++
		second, third := frames[i+1], frames[i+2]
		if !second.tcp.SYN || !second.tcp.ACK || second.from != f.to || third.tcp.SYN || len(third.payload) > 0 || third.from != f.from {
			t.Errorf("handshake at %d: %v, %v, %v", i, f, second, third)
		}
	}
	if opened != 6 {
		t.Errorf("%d connections, want 6", opened)
	}
}

// TestMaskedNumbers: the numbers follow what is in the file, where a mask is
// shorter or longer than the secret.
func TestMaskedNumbers(t *testing.T) {
	var s said
	for _, secret := range []string{`"0123456789abcdef0123456789abcdef"`, "1"} {
		s.add("tcp", "192.0.2.7:40001", "198.51.100.2:5060", trace.Sent, "REGISTER sip:example.com SIP/2.0\r\nAuthorization: Digest response="+secret+"\r\n\r\n")
		s.add("tcp", "192.0.2.7:40001", "198.51.100.2:5060", trace.Received, ok)
	}
	_, content := record(t, s.messages, Options{})
	frames, _ := readFrames(t, content)
	compare(t, replayed(t, frames), s.messages)
}

// blocks is where the blocks before the first frame end, and each frame's. The
// last must end where the content does.
func blocks(t *testing.T, content []byte) (head int, ends []int) {
	t.Helper()
	at := 0
	for at+12 <= len(content) {
		kind, length := binary.LittleEndian.Uint32(content[at:]), binary.LittleEndian.Uint32(content[at+4:])
		if at += int(length); kind == 6 {
			ends = append(ends, at)
		} else if len(ends) == 0 {
			head = at
		}
	}
	if at != len(content) {
		t.Fatalf("blocks end at %d of %d", at, len(content))
	}
	return head, ends
}

// TestCut: wherever a file ends, all whole blocks before are read.
func TestCut(t *testing.T) {
	messages := conversation()[:11]
	_, content := record(t, messages, Options{})
	all, err := readFrames(t, content)
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	head, ends := blocks(t, content)
	if len(ends) != len(all) || len(ends) < len(messages) {
		t.Fatalf("%d blocks, %d frames", len(ends), len(all))
	}
	for cut := head; cut <= len(content); cut++ {
		whole, _ := slices.BinarySearch(ends, cut+1)
		frames, err := readFrames(t, content[:cut])
		if len(frames) != whole || err == nil {
			t.Fatalf("cut at %d: %d frames, want %d: %v", cut, len(frames), whole, err)
		}
	}
}

// TestWholeWrites: what is written at once for a message is whole blocks.
func TestWholeWrites(t *testing.T) {
	p := newPcapng()
	content, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Clone(content)
	for i, m := range append(conversation(), message(notify(65000), trace.Received)) {
		written, err := p.message(m, m.Raw)
		if err != nil {
			t.Fatal(err)
		}
		blocks(t, written)
		content = append(content, written...)
		if frames, err := readFrames(t, content); !errors.Is(err, io.EOF) || !bytes.HasSuffix(m.Raw, frames[len(frames)-1].payload) {
			t.Fatalf("after message %d: %v", i, err)
		}
	}
}

// TestLostCounted: the capture has the count of the whole run.
func TestLostCounted(t *testing.T) {
	p := newPcapng()
	content, err := p.start()
	content = bytes.Clone(content)
	for _, n := range []int{3, 4} {
		written, failed := p.lost(n)
		blocks(t, written)
		content, err = append(content, written...), errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(bytes.NewReader(content), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if i, err := r.Interface(0); err != nil || i.Statistics.PacketsDropped != 7 {
		t.Errorf("%+v, %v", i, err)
	}
	if info := r.SectionInfo(); info.Application != "regwatch" || info.Comment != remark {
		t.Errorf("%+v", info)
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, transport := range []string{"udp", "tcp"} {
		for _, size := range []int{500, 5000} {
			b.Run(fmt.Sprint(transport, "/", size), func(b *testing.B) {
				p := newPcapng()
				if _, err := p.start(); err != nil {
					b.Fatal(err)
				}
				m := message(strings.Repeat("x", size), trace.Sent)
				m.Transport = transport
				written := 0
				for b.Loop() {
					blocks, err := p.message(m, m.Raw)
					if err != nil {
						b.Fatal(err)
					}
					written += len(blocks)
				}
				b.ReportMetric(float64(written)/float64(b.N)-float64(size), "overhead-B/op")
			})
		}
	}
}
