package tui

import (
	"fmt"
	"strings"
	"time"
)

// timeFormat is how lists show the time of their rows.
type timeFormat int

const (
	localTime timeFormat = iota
	utcTime
	deltaTime // since the row before it in time
	timeFormats
)

func (f timeFormat) String() string {
	switch f {
	case utcTime:
		return "UTC"
	case deltaTime:
		return "time since the row before"
	}
	return "local time"
}

// stampWidth is the column of a time in a list.
const stampWidth = 13

// stamp shows the time of a row. before is the time of the row before it, zero
// when there is none; now decides whether the day must be told.
func (f timeFormat) stamp(t, before, now time.Time, zone *time.Location) string {
	switch f {
	case utcTime:
		if t, now := t.UTC(), now.UTC(); !sameDay(t, now) {
			return t.Format("Jan 02 15:04Z")
		}
		return f.instant(t, zone)
	case deltaTime:
		if before.IsZero() {
			return "start"
		}
		return "+" + shortSpan(t.Sub(before))
	}
	if t, now := t.In(zone), now.In(zone); !sameDay(t, now) {
		return t.Format("Jan 02 15:04")
	}
	return f.instant(t, zone)
}

// moment shows a time to the second inside a sentence.
func (f timeFormat) moment(t time.Time, zone *time.Location) string {
	if f == utcTime {
		return t.UTC().Format("15:04:05Z")
	}
	return t.In(zone).Format("15:04:05")
}

// instant is a moment to the millisecond.
func (f timeFormat) instant(t time.Time, zone *time.Location) string {
	if f == utcTime {
		return t.UTC().Format("15:04:05.000Z")
	}
	return t.In(zone).Format("15:04:05.000")
}

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.Date()
	by, bm, bd := b.Date()
	return ay == by && am == bm && ad == bd
}

// shortSpan is a span between two rows, at most 10 columns.
func shortSpan(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + shortSpan(-d)
	case d < time.Minute:
		return fmt.Sprintf("%.3fs", d.Seconds())
	case d < 24*time.Hour:
		return countdown(d)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// countdown shows what is left to the second, rounded up as clocks that run
// down do, in at most 7 columns: 0:28, 58:12, 1:01:40, 12d 03h, 49710d.
func countdown(d time.Duration) string {
	s := int64((d + time.Second - 1) / time.Second)
	s = max(s, 0)
	switch day := s / 86400; {
	case day >= 100:
		return fmt.Sprintf("%dd", day)
	case day >= 4:
		return fmt.Sprintf("%dd %02dh", day, s%86400/3600)
	case s >= 3600:
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s%3600/60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// bar draws what is left of total in n columns.
func bar(left, total time.Duration, n int) string {
	if n <= 0 {
		return ""
	}
	full := 0
	if total > 0 {
		full = int(float64(left) / float64(total) * float64(n))
	}
	full = min(max(full, 0), n)
	return strings.Repeat("#", full) + strings.Repeat("-", n-full)
}
