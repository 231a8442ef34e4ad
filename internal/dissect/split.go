package dissect

import (
	"bytes"
	"fmt"

	"regwatch/internal/capture"
	"regwatch/reginfo"
)

const (
	// maxMessage bounds one message, in bytes: a document of the largest size and
	// its header.
	maxMessage = reginfo.MaxSize + maxHead
	maxHead    = 64 << 10
	// maxHeld bounds what all streams together hold of messages that are not whole.
	maxHeld = 32 << 20
)

// found is a message with what is known of its way.
type found struct {
	capture.Chunk        // Data is the message
	text          bool   // lines may have been changed on the way into a file
	cut           string // what is missing of it
}

// splitText finds the messages in a text: each begins with its start line and
// ends where the next begins, or one of the lines that a trace of ours has above
// each. What stands before the first is passed over.
func splitText(text []byte, give func(found)) {
	var where capture.Chunk
	for len(text) > 0 {
		line, rest, _ := cutLine(text)
		if !startLine(line) {
			if head, ours := capture.TextHead(string(line)); ours {
				where = head
			}
			text = rest
			continue
		}
		length := messageEnd(text)
		f := found{Chunk: where, text: true}
		f.Data = text[:min(length, maxMessage)]
		if length > maxMessage {
			f.cut = fmt.Sprintf("only its first %d bytes are read", maxMessage)
		}
		give(f)
		text, where = text[length:], capture.Chunk{}
	}
}

// messageEnd finds where the message at the beginning of a text ends. A
// Content-Length is believed where something begins behind it, or nothing is
// left: in text it is often wrong, since line ends have changed, but a body may
// hold what looks like the next message.
func messageEnd(text []byte) int {
	_, rest, _ := cutLine(text)
	for len(rest) > 0 && !beginsHere(rest) {
		_, rest, _ = cutLine(rest)
	}
	end := len(text) - len(rest)
	if head := bytes.Index(text[:min(end, maxHead)], []byte("\r\n\r\n")); head >= 0 {
		m := parseMessage(text[:head+4])
		if length, ok := m.contentLength(); ok && head+4+length <= len(text) && begins(text[head+4+length:]) {
			return head + 4 + length
		}
	}
	return end
}

// begins reports whether a message, or nothing but empty lines, comes next.
func begins(text []byte) bool {
	text = bytes.TrimLeft(text, "\r\n")
	return len(text) == 0 || beginsHere(text)
}

func beginsHere(text []byte) bool {
	line, _, _ := cutLine(text[:min(len(text), maxLine)])
	_, ours := capture.TextHead(string(line))
	return ours || startLine(line)
}

// streams cuts TCP streams into messages by Content-Length (RFC 3261 18.3). Only
// what is not whole is held.
type streams struct {
	held    map[uint64]partial
	size    int // bytes held
	crowded bool
	give    func(found)
}

// partial is the beginning of a message.
type partial struct {
	bytes []byte
	need  int // so many it takes, as far as can be told
}

func (s *streams) take(chunk capture.Chunk) {
	if chunk.Lost || chunk.End {
		s.giveUp(chunk)
	}
	p := s.held[chunk.Stream]
	s.drop(chunk.Stream)
	p.bytes = append(p.bytes, chunk.Data...)
	shared := false // with messages that were given
	for len(p.bytes) > 0 && len(p.bytes) >= p.need {
		var whole []byte
		whole, p = nextMessage(p.bytes)
		if whole == nil {
			break
		}
		f := found{Chunk: chunk}
		f.Data = whole
		s.give(f)
		shared = true
	}
	if len(p.bytes) == 0 {
		return
	}
	if s.size+len(p.bytes) > maxHeld {
		s.crowded = true
		return
	}
	if shared {
		p.bytes = bytes.Clone(p.bytes)
	}
	s.held[chunk.Stream] = p
	s.size += len(p.bytes)
}

func (s *streams) drop(stream uint64) {
	s.size -= len(s.held[stream].bytes)
	delete(s.held, stream)
}

// giveUp gives what there is of a message that will not become whole.
func (s *streams) giveUp(chunk capture.Chunk) {
	held := s.held[chunk.Stream].bytes
	if line, _, more := cutLine(held); more && startLine(line) {
		f := found{Chunk: chunk, cut: "the rest of it is not in the capture"}
		f.Data = held
		s.give(f)
	}
	s.drop(chunk.Stream)
}

// nextMessage takes the first whole message off a stream, and passes over what is
// none: keep-alives (RFC 5626 3.5.1), another protocol, the rest of a message whose
// beginning was lost. What may become one is left.
func nextMessage(stream []byte) (whole []byte, left partial) {
	for {
		stream = bytes.TrimLeft(stream, "\r\n\x00")
		line, after, more := cutLine(stream)
		switch {
		case !more && len(stream) > maxLine:
			return nil, partial{}
		case !more:
			return nil, partial{bytes: stream}
		case !startLine(line):
			stream = after
			continue
		}
		head := bytes.Index(stream[:min(len(stream), maxHead)], []byte("\r\n\r\n"))
		if head < 0 && len(stream) < maxHead {
			return nil, partial{bytes: stream}
		}
		if head < 0 {
			stream = after
			continue
		}
		m := parseMessage(stream[:head+4])
		length, _ := m.contentLength()
		total := head + 4 + length
		switch {
		case total > maxMessage:
			stream = after
		case total > len(stream):
			return nil, partial{stream, total}
		default:
			return stream[:total:total], partial{bytes: stream[total:]}
		}
	}
}
