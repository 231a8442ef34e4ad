package main

import (
	"fmt"
	"io"

	"regwatch/internal/capture"
	"regwatch/internal/journal"
	"regwatch/ua"
)

// stream writes events, a line each, as they come.
type stream struct {
	out      io.Writer
	json     bool
	accounts bool // more than one: lines say which
}

// write writes the events of one update in one go.
func (s *stream) write(events []ua.Event) error {
	var lines []byte
	for _, e := range events {
		if !s.json {
			lines = append(lines, s.plain(e)...)
			continue
		}
		line, err := journal.Line(e)
		if err != nil {
			return fmt.Errorf("write event %d: %w", e.Seq, err)
		}
		lines = append(lines, line...)
	}
	if len(lines) == 0 {
		return nil
	}
	if _, err := s.out.Write(lines); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// plain is the line that people read: local time, account where there are
// several, and the sentence.
func (s *stream) plain(e ua.Event) string {
	line := e.Time.Local().Format("15:04:05.000") + "  "
	if s.accounts && e.Account != "" {
		line += e.Account + ": "
	}
	return capture.Visible(line+e.Summary) + "\n"
}
