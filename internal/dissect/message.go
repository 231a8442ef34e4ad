package dissect

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"regwatch/internal/wire"
)

// message is a SIP message read as far as it can be (RFC 3261 7).
type message struct {
	line    string // the start line
	method  string // of a request, or of the request that CSeq says is answered
	uri     string // of a request
	status  int    // of an answer; 0: a request
	reason  string
	headers wire.Headers
	body    []byte
}

var (
	requestLine = regexp.MustCompile(`^([A-Za-z0-9.!%*_+'~-]+) (\S+) SIP/\d+\.\d+[ \t]*$`)
	statusLine  = regexp.MustCompile(`^SIP/\d+\.\d+ ([1-6]\d\d)(?: (.*))?$`)
)

// maxLine bounds a start line, in bytes.
const maxLine = 16 << 10

// startLine reports whether a line, its end taken off, begins a SIP message.
func startLine(line []byte) bool {
	if len(line) > maxLine || !bytes.Contains(line, []byte("SIP/")) {
		return false
	}
	return requestLine.Match(line) || statusLine.Match(line)
}

// cutLine splits off the first line, without its end. more is false where no end
// comes.
func cutLine(text []byte) (line, rest []byte, more bool) {
	line, rest, more = bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest, more
}

// parseMessage reads a message that begins with its start line. Lines may end
// with LF alone: who copies a message seldom copies the CR.
func parseMessage(raw []byte) message {
	line, rest, _ := cutLine(raw)
	m := message{line: string(line)}
	if found := requestLine.FindStringSubmatch(m.line); found != nil {
		m.method, m.uri = found[1], found[2]
	} else if found := statusLine.FindStringSubmatch(m.line); found != nil {
		m.status, _ = strconv.Atoi(found[1])
		m.reason = found[2]
	}
	limit := max(0, len(raw)-maxHead)
	for more := true; more; {
		line, rest, more = cutLine(rest)
		if len(rest) < limit { // a header as long as no honest one
			rest = nil
			break
		}
		if len(line) == 0 {
			break
		}
		if last := len(m.headers) - 1; last >= 0 && (line[0] == ' ' || line[0] == '\t') {
			m.headers[last].Value += " " + string(bytes.TrimSpace(line)) // folded: RFC 3261 7.3.1
			continue
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		m.headers = append(m.headers, wire.Header{Name: longName(string(bytes.TrimSpace(name))), Value: string(bytes.TrimSpace(value))})
	}
	m.body = rest
	if m.status != 0 {
		_, m.method, _ = m.headers.CSeq()
	}
	return m
}

// contentLength is what the header says; ok is false where it says nothing.
func (m *message) contentLength() (length int, ok bool) {
	n, ok := m.headers.Number("Content-Length")
	return int(min(n, maxMessage+1)), ok
}

// longName writes out a compact header field name (RFC 3261 7.3.3, RFC 6665 8.4).
func longName(name string) string {
	if long, ok := compact[strings.ToLower(name)]; ok {
		return long
	}
	return name
}

var compact = map[string]string{
	"b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding", "f": "From", "i": "Call-ID", "k": "Supported",
	"l": "Content-Length", "m": "Contact", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
}
