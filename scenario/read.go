package scenario

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"regwatch/internal/tables"
	"regwatch/registrar"
)

const (
	defaultWithin = time.Minute
	maxCount      = 1000
)

// Load reads a file. One that cannot be read gives the system's error, one that
// is wrong tables.Faults.
func Load(file string) (*Scenario, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, string(text))
}

// Parse reads the text of a file; everything wrong with it is told at once, as
// tables.Faults.
func Parse(file, text string) (*Scenario, error) {
	blocks, err := tables.Read(file, text)
	if err != nil {
		return nil, err
	}
	r := reader{Scenario: &Scenario{File: file, define: make(map[string]string)}}
	for _, b := range blocks {
		r.block(b)
	}
	r.whole()
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b *tables.Fault) int { return a.Line - b.Line })
		return nil, r.faults
	}
	return r.Scenario, nil
}

// reader walks the tables of a file and gathers what it finds.
type reader struct {
	*Scenario
	faults tables.Faults
	steps  int      // [[step]], right or wrong
	texts  []textAt // whose placeholders are looked at once all are known
}

type textAt struct {
	line      int
	key, text string
}

func (r *reader) fault(line int, key, format string, args ...any) {
	r.faults = append(r.faults, &tables.Fault{File: r.File, Line: line, Key: key, What: fmt.Sprintf(format, args...)})
}

func (r *reader) block(b tables.Block) {
	switch name := strings.Join(b.Path, "."); {
	case name == "" && !b.List:
		for _, e := range b.Entries {
			r.head(e)
		}
	case name == "step" && b.List:
		r.step(b)
	case name == "define" && !b.List:
		for _, e := range b.Entries {
			r.definition(e)
		}
	case (name == "account" || strings.HasPrefix(name, "account.")) && !b.List:
		r.Account = append(r.Account, b)
	default:
		r.fault(b.Line, name, "is an unknown table; known are [account], [define] and [[step]]")
	}
}

// head reads a key that stands before the first table.
func (r *reader) head(e tables.Entry) {
	heads := map[string]*string{"name": &r.Name, "of": &r.Of, "profile": (*string)(&r.Profile)}
	name := strings.Join(e.Path, ".")
	to, known := heads[name]
	if !known {
		r.unknown(e.Line, name, slices.Sorted(maps.Keys(heads)))
		return
	}
	text, ok := e.Value.(string)
	if !ok || text == "" {
		r.fault(e.Line, name, "is %v, must be a text that is not empty", e.Value)
		return
	}
	*to = text
	if name == "profile" && !slices.Contains(registrar.Profiles, r.Profile) {
		r.fault(e.Line, name, "is %q, must be one of %v", text, registrar.Profiles)
	}
}

func (r *reader) unknown(line int, name string, known []string) {
	r.fault(line, name, "is unknown here; the nearest known one is %q", tables.Nearest(name, known))
}

func (r *reader) definition(e tables.Entry) {
	name := strings.Join(e.Path, ".")
	text, ok := e.Value.(string)
	switch {
	case !ok:
		r.fault(e.Line, name, "is %v, must be a text", e.Value)
	case !isPlaceholder("{" + name + "}"):
		r.fault(e.Line, name, "must be small letters and _ only")
	case known[name]:
		r.fault(e.Line, name, "is a placeholder already")
	default:
		r.texts = append(r.texts, textAt{e.Line, name, text})
		r.define[name] = text
	}
}

// step reads one step: its verb, and what may stand beside it.
func (r *reader) step(b tables.Block) {
	r.steps++
	s := &Step{Line: b.Line, Count: 1, Within: defaultWithin, ContentType: reginfoType, Event: "reg", Answered: 200}
	for _, e := range b.Entries {
		if verb := Verb(e.Path[0]); beside[verb] != nil {
			if s.Verb != "" && s.Verb != verb {
				r.fault(e.Line, e.Path[0], "is a second verb beside %q; a step has one", s.Verb)
				return
			}
			s.Verb = verb
		}
	}
	if s.Verb == "" {
		names := make([]string, 0, len(beside))
		for verb := range beside {
			names = append(names, string(verb))
		}
		slices.Sort(names)
		r.fault(b.Line, "step", "does nothing; it has one of %s", strings.Join(names, ", "))
		return
	}
	for _, e := range b.Entries {
		r.stepEntry(s, e)
	}
	r.Steps = append(r.Steps, s)
}

func (r *reader) stepEntry(s *Step, e tables.Entry) {
	name := strings.Join(e.Path, ".")
	key := e.Path[0]
	allowed := append([]string{string(s.Verb)}, beside[s.Verb]...)
	if !slices.Contains(allowed, key) {
		r.unknown(e.Line, name, allowed)
		return
	}
	set := verbs[s.Verb]
	if key != string(s.Verb) {
		set = keys[key]
	}
	if err := set(s, e.Path[1:], e.Value); err != nil {
		r.fault(e.Line, name, "is %q, must be %v", fmt.Sprint(e.Value), err)
		return
	}
	if text, ok := e.Value.(string); ok {
		r.texts = append(r.texts, textAt{e.Line, name, text})
	}
	for _, header := range s.Headers {
		if key == "headers" {
			r.texts = append(r.texts, textAt{e.Line, name, header})
		}
	}
}

// whole looks at what only the whole file shows.
func (r *reader) whole() {
	if r.Name == "" {
		r.fault(1, "name", "is missing; say in a sentence what happens")
	}
	if r.steps == 0 {
		r.fault(1, "step", "is missing; write [[step]], once or more")
	}
	for _, t := range r.texts {
		for _, name := range placeholders(t.text) {
			if _, own := r.define[name]; !own && !isKnown(name) {
				r.fault(t.line, t.key, "has the placeholder {%s}, which is unknown; the nearest known one is {%s}", name, tables.Nearest(name, r.placeholderNames()))
			}
		}
	}
	for name, text := range r.define {
		if slices.ContainsFunc(placeholders(text), func(inner string) bool { return r.define[inner] != "" }) {
			r.fault(1, name, "is a placeholder that holds another one of [define]")
		}
	}
	for _, s := range r.Steps {
		if s.Verb == Answer && s.Silent && (s.Status != 0 || s.Raw != "") || s.Status != 0 && s.Raw != "" {
			r.fault(s.Line, "answer", "has two of status, raw and silent")
		}
	}
}

func (r *reader) placeholderNames() []string {
	return append(slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(r.define))...)
}
