package tables

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a file.
type Fault struct {
	File string
	Line int    // from 1; 0 where it concerns the whole file
	Key  string // "" where it is no key
	What string // what is wrong, and what it may be
}

func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Key != "" {
		fmt.Fprintf(&b, "key %q: ", f.Key)
	}
	b.WriteString(f.What)
	return b.String()
}

// Faults is everything wrong with a file, in the order of its lines;
// never empty where it is an error.
type Faults []*Fault

// Error gives each fault a line of its own.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}
