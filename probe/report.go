package probe

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/ua"
)

// Report is what a run found.
type Report struct {
	AOR       string     `json:"aor"`
	Registrar string     `json:"registrar,omitempty"` // transport and address
	Software  string     `json:"software,omitempty"`  // by its Server field
	Began     time.Time  `json:"began"`
	Took      ua.Seconds `json:"took"`
	Results   []Result   `json:"results"`
	Left      []string   `json:"left,omitempty"` // contacts that may be bound still
}

// Result is what came of one check. Texts are from the network in part: make them
// visible before they are shown.
type Result struct {
	Check
	Verdict  Verdict    `json:"verdict"`
	Sent     []string   `json:"sent,omitempty"`
	Came     string     `json:"came,omitempty"`
	Took     ua.Seconds `json:"took"`
	Messages []string   `json:"messages,omitempty"` // of what is broken: as they were on the wire, digests masked
}

// Broken reports whether any check was.
func (r *Report) Broken() bool {
	for _, result := range r.Results {
		if result.Verdict == Broken {
			return true
		}
	}
	return false
}

// Summary is the last line of a report.
func (r *Report) Summary() string {
	counts := make(map[Verdict]int)
	for _, result := range r.Results {
		counts[result.Verdict]++
	}
	return fmt.Sprintf("%s: %d held, %d broken, %d not offered, %d not tried, in %s", plural.Count(len(r.Results), "check"),
		counts[Held], counts[Broken], counts[NotOffered], counts[NotTried], time.Duration(r.Took).Round(time.Second))
}

// Text writes the report for people: a line a check, and below it what came where
// that is not simply as it should be. Findings that no document showed are counted
// only.
func (r *Report) Text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s at %s", r.AOR, r.Registrar)
	if r.Software != "" {
		fmt.Fprintf(&out, ", %s", r.Software)
	}
	out.WriteByte('\n')
	group, silent := "", 0
	for _, result := range r.Results {
		if result.Group != group {
			group = result.Group
			fmt.Fprintf(&out, "\n%s\n", group)
		}
		if result.Group == documents && (result.Verdict == Held && result.Came == "" || result.Verdict == NotTried) {
			silent++
			continue
		}
		result.write(&out)
	}
	if silent > 0 {
		what := "other findings, none of them met"
		if last := r.Results[len(r.Results)-1]; last.Verdict == NotTried {
			what = "findings: " + last.Came
		}
		fmt.Fprintf(&out, "  %d %s\n", silent, what)
	}
	fmt.Fprintf(&out, "\n%s\n", r.Summary())
	for _, uri := range r.Left {
		fmt.Fprintf(&out, "may be bound still: %s\n", uri)
	}
	return out.String()
}

func (r Result) write(out *strings.Builder) {
	fmt.Fprintf(out, "  %-11s  %-24s  %s\n", r.Verdict, r.ID, r.Title)
	below := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-11s  %-8s  %s\n", "", what, text)
		}
	}
	switch {
	case r.Verdict == Broken:
		below("clause", r.Clause)
		for _, sent := range r.Sent {
			below("sent", sent)
		}
		below("came", r.Came)
	case r.Verdict != Held, r.Group == documents:
		below("", r.Came)
	}
}

// JSON writes the report as one object.
func (r *Report) JSON() ([]byte, error) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // contacts have angle brackets
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("write report: %w", err)
	}
	return []byte(out.String()), nil
}
