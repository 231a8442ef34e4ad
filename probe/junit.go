package probe

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"regwatch/ua"
)

// The elements of JUnit's report as the tools of CI read it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitText `xml:"failure"`
		Skipped *junitText `xml:"skipped"`
		Output  *junitText `xml:"system-out"`
	}
	junitText struct {
		Message string `xml:"message,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report for CI: a suite a group, a case a check. What is not
// offered and not tried is skipped.
func (r *Report) JUnit() ([]byte, error) {
	all := junitSuites{Name: "regwatch probe " + r.AOR, Time: inSeconds(r.Took)}
	for _, result := range r.Results {
		if len(all.Suites) == 0 || all.Suites[len(all.Suites)-1].Name != result.Group {
			all.Suites = append(all.Suites, junitSuite{Name: result.Group})
		}
		suite := &all.Suites[len(all.Suites)-1]
		one := junitCase{Class: "probe." + strings.ReplaceAll(result.Group, " ", "-"), Name: result.ID, Time: inSeconds(result.Took)}
		switch result.Verdict {
		case Broken:
			one.Failure = &junitText{
				Message: fmt.Sprintf("%s (%s): %s", result.Title, result.Clause, result.Came),
				Text:    strings.Join(append([]string{strings.Join(result.Sent, "\n")}, result.Messages...), "\n\n"),
			}
			suite.Failures++
			all.Failures++
		case Held:
			if result.Came != "" {
				one.Output = &junitText{Text: result.Came}
			}
		default:
			one.Skipped = &junitText{Message: fmt.Sprintf("%s: %s", result.Verdict, result.Came)}
			suite.Skipped++
			all.Skipped++
		}
		suite.Cases = append(suite.Cases, one)
		suite.Tests++
		all.Tests++
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write report: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

func inSeconds(d ua.Seconds) string { return fmt.Sprintf("%.3f", time.Duration(d).Seconds()) }
