package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"regwatch/internal/capture"
	"regwatch/internal/journal"
	"regwatch/ua"
)

// stream writes events, a line each, as they come.
type stream struct {
	out   io.Writer
	json  bool
	names int    // how wide the column of the account is; 0: there is one account only
	day   string // of the last line, by the local clock
	lines []byte // that are to be written
}

func newStream(out io.Writer, json bool, accounts []string) *stream {
	s := &stream{out: out, json: json}
	if len(accounts) > 1 {
		for _, name := range accounts {
			s.names = max(s.names, utf8.RuneCountInString(capture.Visible(name)))
		}
	}
	return s
}

// atOnce is about how many bytes are written in one go.
const atOnce = 64 << 10

// write writes the events of one update, whole lines at a time.
func (s *stream) write(events []ua.Event) error {
	for _, e := range events {
		if !s.json {
			s.lines = append(s.lines, s.plain(e)...)
		} else {
			line, err := journal.Line(e)
			if err != nil {
				return fmt.Errorf("write event %d: %w", e.Seq, err)
			}
			s.lines = append(s.lines, line...)
		}
		if len(s.lines) >= atOnce {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return s.flush()
}

func (s *stream) flush() error {
	if len(s.lines) == 0 {
		return nil
	}
	_, err := s.out.Write(s.lines)
	s.lines = s.lines[:0]
	if err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// plain is the line that people read: local time, account where there are
// several, what it is about, and the sentence. A new day has a line of its own,
// and a SIP message follows its line, moved in.
func (s *stream) plain(e ua.Event) string {
	var out strings.Builder
	at := e.Time.Local()
	if day := at.Format(time.DateOnly); s.day != day {
		if s.day != "" {
			out.WriteString(day + "\n")
		}
		s.day = day
	}
	out.WriteString(at.Format("15:04:05.000") + "  ")
	if s.names > 0 {
		fmt.Fprintf(&out, "%-*s  ", s.names, capture.Visible(e.Account))
	}
	fmt.Fprintf(&out, "%-12s  %s\n", label(e), capture.Visible(e.Summary))
	if d, ok := e.Detail.(ua.SIPDetail); ok {
		for line := range strings.Lines(strings.TrimRight(d.Raw, "\r\n")) {
			out.WriteString(strings.TrimRight("    | "+capture.Visible(strings.TrimRight(line, "\r\n")), " ") + "\n")
		}
	}
	return out.String()
}

// label is the kind of the event, but for what has to stand out, also where there
// is no colour.
func label(e ua.Event) string {
	switch d := e.Detail.(type) {
	case ua.ContactDetail:
		switch kick := d.Kick(); {
		case kick == "":
		case kick.TakesOff():
			return "KICKED"
		default:
			return "SHORTENED"
		}
	case ua.RegistrationStateDetail:
		return "aor"
	}
	return string(e.Kind())
}
