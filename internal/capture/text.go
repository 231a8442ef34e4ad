package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
)

// text is the format for people: a line with a message's number, time,
// transport, our address, an arrow and theirs; then the message, its line ends
// plain and its control characters made visible; then an empty line. A line
// without a number is a remark.
type text struct{}

func (text) start() ([]byte, error) { return nil, nil }

func (text) lost(n int) ([]byte, error) {
	return fmt.Appendf(nil, "--- %s lost: the disk was too slow\n\n", plural.Count(n, "message")), nil
}

func (text) message(m trace.Message, shown []byte) ([]byte, error) {
	arrow := "->"
	if m.Direction == trace.Received {
		arrow = "<-"
	}
	out := fmt.Appendf(nil, "--- %d %s %s %s %s %s, %d bytes\n", m.Number, m.Time.UTC().Format(time.RFC3339Nano), m.Transport, m.Local, arrow, m.Remote, len(m.Raw))
	body := strings.ReplaceAll(string(shown), "\r\n", "\n")
	for line := range strings.SplitSeq(strings.TrimRight(body, "\n"), "\n") {
		out = append(out, Visible(line)+"\n"...)
	}
	return append(out, '\n'), nil
}

var (
	textHead = regexp.MustCompile(`^--- \d+ (\S+) ([a-z]+) (\S+) (->|<-) (\S+), \d+ bytes$`)
	textLost = regexp.MustCompile(`^--- \d+ messages lost: `)
)

// TextHead reads a line that this package writes between the messages of a text
// trace. What it says of the message below is in the chunk, which is empty for a
// remark; ours is false for any other line.
func TextHead(line string) (head Chunk, ours bool) {
	if !strings.HasPrefix(line, "--- ") {
		return Chunk{}, false
	}
	found := textHead.FindStringSubmatch(line)
	if found == nil {
		return Chunk{}, textLost.MatchString(line)
	}
	at, err1 := time.Parse(time.RFC3339Nano, found[1])
	local, err2 := netip.ParseAddrPort(found[3])
	remote, err3 := netip.ParseAddrPort(found[5])
	if errors.Join(err1, err2, err3) != nil {
		return Chunk{}, false
	}
	head = Chunk{Time: at, Transport: found[2]}
	head.From, head.To = ordered(local, remote, found[4] == "->")
	return head, true
}
