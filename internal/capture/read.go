package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"regwatch/internal/guard"
)

const (
	// MaxSize is how much is read of a capture, in bytes.
	MaxSize = 1 << 30
	// maxStep bounds what is read to get to the next packet: names, secrets and
	// interfaces that a file describes are kept by the library.
	maxStep       = 4 << 20
	maxInterfaces = 1024
	maxNames      = 65536
)

// Chunk is what the application sent in one packet, or, over TCP, in as many as
// came together.
type Chunk struct {
	Time      time.Time
	Transport string // "udp" or "tcp"
	From, To  netip.AddrPort
	// Data is good until give returns.
	Data []byte
	// Missing is how many bytes at the end of a datagram the capture did not keep.
	Missing int

	// Stream stands for one direction of a TCP connection; 0 over UDP.
	Stream uint64
	// Lost: bytes of the stream right before these are not in the capture.
	Lost bool
	// End: no more comes of the stream. There is no data with it.
	End bool
}

// Tally is what was met in a capture besides what it gave.
type Tally struct {
	Packets int
	// Fragments of IP packets that never were whole.
	Fragments int
	// Links are packets of a kind of link that is not understood.
	Links int
}

// IsCapture reports whether a file that begins so is a pcap or pcapng capture;
// four bytes tell.
func IsCapture(begin []byte) bool {
	for _, magic := range []string{
		"\x0a\x0d\x0d\x0a",                     // pcapng
		"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", // pcap
		"\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", // pcap with nanoseconds
	} {
		if bytes.HasPrefix(begin, []byte(magic)) {
			return true
		}
	}
	return false
}

// ErrCut: the capture ends within a packet, or is damaged from there on. What
// came before was given.
var ErrCut = errors.New("the capture is cut off")

// ErrTooLarge: the capture goes on beyond MaxSize. What came before was given.
var ErrTooLarge = fmt.Errorf("the capture is larger than %d bytes", MaxSize)

// Read reads a pcap or pcapng capture and gives what its UDP and TCP packets
// carry: datagrams as they come, streams in order, each byte once. IP fragments
// are put together. It blocks until in ends, and calls give on the caller's
// goroutine.
//
// Where segments are missing, what follows waits for ten seconds of the capture
// and is then given as Lost. Links are Ethernet, Linux cooked (v1, v2), loopback
// and raw IP; tunnels are not looked into.
func Read(in io.Reader, give func(Chunk)) (tally Tally, err error) {
	defer guard.Recover(func(broken error) { err = fmt.Errorf("read packet %d: %w", tally.Packets, broken) })
	limited := &stepReader{in: in, left: MaxSize, step: maxStep}
	source, link, err := begin(limited)
	if err != nil {
		return tally, fmt.Errorf("%w before its first packet: %w", ErrCut, err)
	}
	p := packets{give: give, tally: &tally, tcp: newAssembly(give), fragments: newFragments()}
	for err == nil {
		limited.step = maxStep
		data, info, fault := source.ReadPacketData()
		switch {
		case errors.Is(fault, io.EOF) && info.CaptureLength == 0:
			p.end()
			return tally, nil
		case fault != nil && limited.left <= 0:
			err = ErrTooLarge
		case fault != nil:
			err = fmt.Errorf("%w after packet %d: %w", ErrCut, tally.Packets, fault)
		default:
			tally.Packets++
			p.packet(data, link(info), info)
		}
	}
	p.end()
	return tally, err
}

type packetSource interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// begin reads the head of the file. link tells the kind of link that a packet
// came from.
func begin(in *stepReader) (source packetSource, link func(gopacket.CaptureInfo) layers.LinkType, err error) {
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return nil, nil, err
	}
	whole := io.MultiReader(bytes.NewReader(magic[:]), in)
	if magic[0] != 0x0a {
		r, err := pcapgo.NewReader(whole)
		if err != nil {
			return nil, nil, err
		}
		return r, func(gopacket.CaptureInfo) layers.LinkType { return r.LinkType() }, nil
	}
	r, err := pcapgo.NewNgReader(whole, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, nil, err
	}
	in.crowded = func() bool { return r.NInterfaces() > maxInterfaces || r.NNames() > maxNames }
	return r, func(info gopacket.CaptureInfo) layers.LinkType {
		if len(info.AncillaryData) > 0 {
			if l, ok := info.AncillaryData[0].(layers.LinkType); ok {
				return l
			}
		}
		return layers.LinkTypeMax
	}, nil
}

// stepReader bounds what a reader of captures takes: in all, and between two
// packets.
type stepReader struct {
	in      io.Reader
	left    int64
	step    int64
	crowded func() bool // the file describes too much; nil: not yet known
}

var errStep = errors.New("too much between two packets")

func (s *stepReader) Read(buffer []byte) (int, error) {
	if s.left <= 0 || s.step <= 0 || s.crowded != nil && s.crowded() {
		return 0, errStep
	}
	n, err := s.in.Read(buffer[:min(int64(len(buffer)), s.left, s.step)])
	s.left -= int64(n)
	s.step -= int64(n)
	return n, err
}
