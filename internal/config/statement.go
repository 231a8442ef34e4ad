package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// The TOML library forgets the line of a value once it has decoded it, and
// reports the line of a wrong type only for the first of several tables with
// one name. So the file is read twice: whole, which finds every fault of
// syntax with its line, and then cut into statements, each decoded alone.

// block is a table of the file with what stands directly in it.
type block struct {
	path    []string // nil: the top, before the first header
	list    bool     // written [[so]]
	line    int      // of the header, from 1
	entries []entry
}

// entry is one value, with inline tables and dotted keys taken apart.
type entry struct {
	path  []string // below the block
	line  int      // where its statement begins
	value any      // string, int64, float64, bool, time.Time, []any
}

// blocks cuts text, which must be valid TOML, into its tables.
func blocks(text string) ([]block, error) {
	all := []block{{line: 1}}
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
			all = append(all, block{path: path, list: list, line: line})
		} else {
			var values map[string]any
			if _, err := toml.Decode(statement, &values); err != nil {
				return nil, err
			}
			last := &all[len(all)-1]
			last.entries = flatten(last.entries, nil, values, line)
		}
		line += strings.Count(statement, "\n")
		rest = rest[end:]
	}
}

// flatten appends the leaves of a table. Arrays stay whole.
func flatten(to []entry, path []string, values map[string]any, line int) []entry {
	for _, name := range sortedKeys(values) {
		below := append(path[:len(path):len(path)], name)
		if table, ok := values[name].(map[string]any); ok {
			to = flatten(to, below, table, line)
			continue
		}
		to = append(to, entry{below, line, values[name]})
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
