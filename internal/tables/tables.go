// Package tables reads a file of settings: TOML, cut into its tables, with the
// line of every value, so that what is wrong with one can be told with its place.
// It knows what may be wrong with the syntax; what the values mean is for those
// who read them.
//
// The one room that knows the TOML library. Nothing of ours may enter.
package tables

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// The TOML library forgets the line of a value once it has decoded it, and
// reports the line of a wrong type only for the first of several tables with
// one name. So the file is read twice: whole, which finds every fault of
// syntax with its line, and then cut into statements, each decoded alone.

// Block is a table of the file with what stands directly in it.
type Block struct {
	Path    []string // nil: the top, before the first header
	List    bool     // written [[so]]
	Line    int      // of the header, from 1
	Entries []Entry
}

// Entry is one value, with inline tables and dotted keys taken apart.
type Entry struct {
	Path  []string // below the block
	Line  int      // where its statement begins
	Value any      // string, int64, float64, bool, time.Time, []any
}

// Read cuts text into its tables, in the order of the file. Text that is no TOML
// gives Faults, which name the file.
func Read(file, text string) ([]Block, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	var all map[string]any
	if _, err := toml.Decode(text, &all); err != nil {
		return nil, Faults{syntaxFault(file, err)}
	}
	tables, err := blocks(text)
	if err != nil {
		return nil, Faults{syntaxFault(file, err)}
	}
	return tables, nil
}

func syntaxFault(file string, err error) *Fault {
	var wrong toml.ParseError
	if errors.As(err, &wrong) {
		return &Fault{File: file, Line: wrong.Position.Line, What: legible(wrong.Message)}
	}
	return &Fault{File: file, What: legible(err.Error())}
}

// legible writes control characters as TOML does: what the library says repeats the
// text, and goes to a terminal.
func legible(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// blocks cuts text, which is valid TOML.
func blocks(text string) ([]Block, error) {
	all := []Block{{Line: 1}}
	line := 1
	for rest := text; ; {
		gap, after := skipBlank(rest)
		line += gap
		if rest = after; rest == "" {
			return all, nil
		}
		end := statementEnd(rest)
		statement := strings.TrimRight(rest[:end], "\r") // or the library takes it for a stray one
		if statement[0] == '[' {
			path, list, err := header(statement)
			if err != nil {
				return nil, err
			}
			all = append(all, Block{path, list, line, nil})
		} else {
			var values map[string]any
			if _, err := toml.Decode(statement, &values); err != nil {
				return nil, err
			}
			last := &all[len(all)-1]
			last.Entries = flatten(last.Entries, nil, values, line)
		}
		line += strings.Count(statement, "\n")
		rest = rest[end:]
	}
}

// Flatten gives the leaves of a table that stood in an array. Arrays in it stay
// whole.
func Flatten(values map[string]any, line int) []Entry { return flatten(nil, nil, values, line) }

func flatten(to []Entry, path []string, values map[string]any, line int) []Entry {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		below := append(path[:len(path):len(path)], name)
		if table, ok := values[name].(map[string]any); ok {
			to = flatten(to, below, table, line)
			continue
		}
		to = append(to, Entry{below, line, values[name]})
	}
	return to
}

// header takes [a.b] and [[a.b]] apart, quoted names and a comment behind it
// included: the dotted name is decoded as if it were a key.
func header(statement string) (path []string, list bool, err error) {
	list = strings.HasPrefix(statement, "[[")
	name := strings.Trim(statement[:nameEnd(statement)], "[]")
	var values map[string]any
	if _, err := toml.Decode(name+" = 0", &values); err != nil {
		return nil, false, err
	}
	for table := values; table != nil; {
		var below map[string]any
		for name, value := range table {
			path = append(path, name)
			below, _ = value.(map[string]any)
		}
		table = below
	}
	return path, list, nil
}

// nameEnd finds where a header's closing brackets begin.
func nameEnd(statement string) int {
	for i := 0; i < len(statement); {
		switch statement[i] {
		case '"', '\'':
			i += stringEnd(statement[i:])
		case ']':
			return i
		default:
			i++
		}
	}
	return len(statement)
}

// skipBlank passes blanks, line ends and comments, and counts the lines.
func skipBlank(text string) (lines int, rest string) {
	for i := 0; i < len(text); {
		switch text[i] {
		case ' ', '\t', '\r':
			i++
		case '\n':
			lines++
			i++
		case '#':
			i += lineEnd(text[i:])
		default:
			return lines, text[i:]
		}
	}
	return lines, ""
}

// statementEnd returns the length of the statement that text begins with: up to
// the first line end that is in no string and no bracket.
func statementEnd(text string) int {
	depth := 0
	for i := 0; i < len(text); {
		switch text[i] {
		case '"', '\'':
			i += stringEnd(text[i:])
			continue
		case '#':
			i += lineEnd(text[i:])
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(text)
}

// stringEnd returns the length of the string that text begins with, quotes
// included, whichever of the four kinds it is.
func stringEnd(text string) int {
	quote := text[:1]
	escapes := quote == `"`
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text, triple) {
		quote = triple
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			i += len(quote)
			// Up to two quotes may stand inside, right before the closing three.
			for n := 0; len(quote) == 3 && n < 2 && strings.HasPrefix(text[i:], quote[:1]); n++ {
				i++
			}
			return i
		}
	}
	return len(text)
}

func lineEnd(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i
	}
	return len(text)
}
