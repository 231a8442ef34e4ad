package capture

import (
	"bytes"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"regwatch/internal/trace"
)

// pcapng is the format for Wireshark and its like
// (draft-ietf-opsawg-pcapng): an enhanced packet block a frame. The frames
// are made up around the messages, since we see messages and no packets; they
// begin with the IP header, as nothing is known of a link.
type pcapng struct {
	blocks  *pcapgo.NgWriter
	out     *bytes.Buffer // below blocks: what was written since the last take
	frames  *frames
	streams *streams
	missing uint64 // messages lost since the beginning
}

// remark is in the header of the file, so that nobody takes it for what a
// network card saw.
const remark = "Made by regwatch from the SIP messages it sent and received. " +
	"Addresses and times are real; IP, UDP and TCP headers are made up around them. TLS content is shown as plain TCP."

func newPcapng() *pcapng {
	return &pcapng{out: new(bytes.Buffer), frames: newFrames(), streams: newStreams()}
}

func (p *pcapng) start() ([]byte, error) {
	var err error
	p.blocks, err = pcapgo.NewNgWriterInterface(p.out,
		pcapgo.NgInterface{Name: "sip", LinkType: layers.LinkTypeRaw},
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "regwatch", Comment: remark}})
	if err != nil {
		return nil, err
	}
	return p.take()
}

// lost writes the count of the whole trace, which is what the block means:
// readers keep the last one of a file.
func (p *pcapng) lost(n int) ([]byte, error) {
	p.missing += uint64(n)
	err := p.blocks.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
		LastUpdate: time.Now(), PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: p.missing,
	})
	if err != nil {
		return nil, err
	}
	return p.take()
}

func (p *pcapng) message(m trace.Message, shown []byte) ([]byte, error) {
	local, remote := endpoints(m)
	if m.Transport == "udp" {
		from, to := ordered(local, remote, m.Direction == trace.Sent)
		frame, err := p.frames.datagram(from, to, shown)
		if err != nil {
			return nil, err
		}
		if err := p.block(m.Time, frame); err != nil {
			return nil, err
		}
		return p.take()
	}
	// All else is a stream: TCP, or TLS whose content we have in plain.
	for _, s := range p.streams.carry(connection{m.Transport, local, remote}, m.Direction == trace.Sent, shown) {
		from, to := ordered(local, remote, s.sent)
		frame, err := p.frames.segment(from, to, s)
		if err != nil {
			return nil, err
		}
		if err := p.block(m.Time, frame); err != nil {
			return nil, err
		}
	}
	return p.take()
}

func (p *pcapng) block(at time.Time, frame []byte) error {
	return p.blocks.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame), Length: len(frame)}, frame)
}

// take is the blocks since the last take. The library's writer hands its buffer
// on in pieces of 4096 bytes and never by itself at the end of a block; so it
// writes to memory, and the file gets whole messages.
func (p *pcapng) take() ([]byte, error) {
	if err := p.blocks.Flush(); err != nil {
		return nil, err
	}
	out := p.out.Bytes()
	p.out.Reset() // keeps the bytes until it is written to again
	return out, nil
}
