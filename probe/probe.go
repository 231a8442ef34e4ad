// Package probe examines a registrar by its own behaviour: it registers as a
// device of its own, does what the standards allow a device to do, and gives a
// verdict a check, each with its clause and the evidence.
//
// It sends only what Group.Send and an agent send, and reads only what came off
// the wire: messages, and the documents in them. It knows no socket and no
// sipgo, and neither flags nor colours may enter: the command draws, and this
// package writes a Report as text, JSON or JUnit.
package probe

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"regwatch/ua"
)

// Verdict says what a check came to.
type Verdict string

// The verdicts.
const (
	Held       Verdict = "held"        // the registrar does what the clause says
	Broken     Verdict = "broken"      // it does not
	NotOffered Verdict = "not offered" // what the standards leave to a registrar, as a MAY or SHOULD, and this one does without
	NotTried   Verdict = "not tried"   // nothing is known: it was not asked, or the run ended before
)

// The groups of checks, in their order.
const (
	registering = "registering"
	gruus       = "GRUU"
	outbound    = "outbound"
	regEvent    = "reg event"
	documents   = "documents"
)

// Check is one thing that is examined.
type Check struct {
	ID     string `json:"id"` // stable: what scripts and --run name it by
	Group  string `json:"group"`
	Title  string `json:"title"` // what is expected, as a sentence without a full stop
	Clause string `json:"clause"`

	run  func(*exam) (outcome, error) // nil: of the documents, see findings.go
	late bool                         // run after all others, since it may lock the account or looks back at them
}

// outcome is what a check makes of the answers.
type outcome struct {
	verdict Verdict
	came    string // in words, from the network in part
}

func held(format string, args ...any) outcome {
	return outcome{Held, fmt.Sprintf(format, args...)}
}

func broken(format string, args ...any) outcome {
	return outcome{Broken, fmt.Sprintf(format, args...)}
}

func notOffered(format string, args ...any) outcome {
	return outcome{NotOffered, fmt.Sprintf(format, args...)}
}

func notTried(format string, args ...any) outcome {
	return outcome{NotTried, fmt.Sprintf(format, args...)}
}

// Options of a run.
type Options struct {
	// UA is how its agents reach the network. No state is kept, whatever StateDir
	// says: the account's own device is not touched.
	UA      ua.Options
	Account ua.Account
	// Stranger is another account, that is to be refused when it watches the first;
	// nil: none.
	Stranger *ua.Account
	Clobber  bool // where others are bound, remove or replace them all the same
	Refusals bool // send wrong credentials more than once
	// Choose picks checks by their id; nil: all.
	Choose func(id string) bool
	// Progress is told what goes on; nil: nobody is. It is called on one goroutine
	// at a time and must be quick.
	Progress func(Progress)
}

// Progress is where a run stands.
type Progress struct {
	Check  Check
	Number int           // of the check, from 1
	Of     int           // how many there are
	Why    string        // what is waited for; "": nothing but an answer
	Wait   time.Duration // how long that takes at the most
	Result *Result       // the check is over; nil: not yet
}

// Checks lists all there are, in the order of the documentation.
func Checks() []Check { return slices.Clone(checks) }

// Pattern makes a Choose of names as in "register.*,gruu.given": path.Match's
// wildcards, where * also goes over the dot. The error says which name fits no
// check, or is no pattern.
func Pattern(text string) (func(id string) bool, error) {
	var patterns []string
	for pattern := range strings.SplitSeq(text, ",") {
		pattern = strings.TrimSpace(pattern)
		fits := func(c Check) bool { ok, _ := path.Match(pattern, c.ID); return ok }
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("%q is no pattern", pattern)
		}
		if !slices.ContainsFunc(checks, fits) {
			return nil, fmt.Errorf("%q is no check", pattern)
		}
		patterns = append(patterns, pattern)
	}
	return func(id string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, id); return ok })
	}, nil
}

// The errors of Run for a registrar that cannot be examined.
var (
	ErrNotReached = errors.New("registrar not reached")
	ErrRefused    = errors.New("the registrar refused the first query")
)

const (
	// leaveWithin bounds what is sent at an end that somebody waits for.
	leaveWithin = 2500 * time.Millisecond
	// leaveSlowly bounds it where nobody does: a request sent again and again.
	leaveSlowly = 35 * time.Second
	// Who did not answer so many checks in a row is not asked again.
	silenceMost = 2
)

// Run examines a registrar and blocks until that is done: minutes, where it waits
// for a binding to lapse. When ctx ends, it removes what it has bound within 2.5
// s and returns what it has with ctx's error; the other checks are not tried.
// Without an answer to the first query, which comes before all else, there is no
// Report, and the error wraps ErrNotReached, ErrRefused or a *ua.FieldError.
func Run(ctx context.Context, o Options) (*Report, error) {
	x, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	report := &Report{AOR: o.Account.AOR, Began: time.Now()}
	err = x.lookFirst()
	if err == nil {
		report.Registrar, report.Software = x.registrar()
		report.Results = x.examineAll()
	}
	report.Left = x.end()
	report.Took = ua.Seconds(time.Since(report.Began))
	if err != nil {
		return nil, err
	}
	return report, ctx.Err()
}

// examineAll runs the checks that are chosen, the late ones last, and gives their
// results in the order of the table.
func (x *exam) examineAll() []Result {
	var chosen []Check
	for _, c := range checks {
		if x.chooses(c.ID) {
			chosen = append(chosen, c)
		}
	}
	results := make([]Result, len(chosen))
	number := 0
	for _, late := range []bool{false, true} {
		for i, c := range chosen {
			if c.late != late {
				continue
			}
			number++
			x.now = Progress{Check: c, Number: number, Of: len(chosen)}
			results[i] = x.examine(c)
			x.now.Result = &results[i]
			x.tell("", 0)
		}
	}
	return results
}

func (x *exam) chooses(id string) bool { return x.o.Choose == nil || x.o.Choose(id) }

// examine runs one check, and takes off what it has bound beside our own contact.
func (x *exam) examine(c Check) Result {
	x.tell("", 0)
	x.sent, x.messages = nil, nil
	began := time.Now()
	out, err := notTried("interrupted"), x.ctx.Err()
	switch {
	case err != nil:
	case x.silent >= silenceMost:
		out = notTried("the registrar no longer answers")
	default:
		out, err = c.run(x)
	}
	field := (*ua.FieldError)(nil)
	switch {
	case x.ctx.Err() != nil:
		out = notTried("interrupted")
	case errors.As(err, &field):
		out = notTried("%v", err) // the request could not be written for this account
	case err != nil:
		x.silent++
		out = broken("%s", strings.TrimPrefix(err.Error(), "REGISTER by hand: "))
	case out.verdict != NotTried:
		x.silent = 0
	}
	r := Result{Check: c, Verdict: out.verdict, Sent: x.sent, Came: out.came, Took: ua.Seconds(time.Since(began))}
	if out.verdict == Broken {
		r.Messages = texts(x.messages)
	}
	x.clear()
	return r
}
