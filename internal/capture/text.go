package capture

import (
	"fmt"
	"strings"
	"time"

	"regwatch/internal/trace"
)

// text is the format for people: a line with a message's number, time,
// transport, our address, an arrow and theirs; then the message, its line ends
// plain and its control characters made visible; then an empty line. A line
// without a number is a remark.
type text struct{}

func (text) start() ([]byte, error) { return nil, nil }

func (text) lost(n int) ([]byte, error) {
	return fmt.Appendf(nil, "--- %d messages lost: the disk was too slow\n\n", n), nil
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
