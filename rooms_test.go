package regwatch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms says what each package may import of the project. None imports upward.
var rooms = map[string][]string{
	".":                    {},
	"reginfo/finding":      {},
	"reginfo":              {"reginfo/finding"},
	"internal/guard":       {},
	"internal/plural":      {},
	"internal/trace":       {},
	"internal/quietterm":   {},
	"internal/milenage":    {},
	"internal/wire":        {"internal/trace", "internal/guard", "internal/milenage"},
	"internal/wire/memnet": {},
	"internal/interop":     {},
	"internal/testcert":    {},
	"internal/eventschema": {"ua"},
	"internal/rounds":      {"ua", "internal/trace"},
	"ua":                   {"reginfo", "reginfo/finding", "internal/trace", "internal/wire", "internal/guard", "internal/plural"},
	"registrar":            {"reginfo", "reginfo/finding", "internal/trace", "internal/wire", "internal/guard"},
	"probe":                {"ua", "reginfo", "reginfo/finding", "internal/trace", "internal/guard", "internal/plural"},
	"internal/tables":      {},
	"scenario":             {"registrar", "internal/wire", "internal/guard", "internal/tables"},
	"internal/config":      {"ua", "internal/tables"},
	"internal/journal":     {"ua"},
	"internal/metrics":     {"ua"},
	"internal/capture":     {"internal/trace", "internal/guard", "internal/plural"},
	"internal/dissect":     {"ua", "reginfo", "reginfo/finding", "internal/wire", "internal/capture", "internal/guard", "internal/plural"},
	"tui":                  {"ua", "reginfo", "reginfo/finding", "internal/trace", "internal/guard", "internal/plural"},
	"cmd/regwatch":         {"*"},
	"docs/pictures":        {},
}

// guests says who alone may import a library, by its path's beginning.
var guests = map[string][]string{
	"github.com/charmbracelet/":    {"tui", "cmd/regwatch"},
	"github.com/gopacket/gopacket": {"internal/capture"},
	"github.com/emiago/sipgo":      {"internal/wire"},
	"github.com/icholy/digest":     {"internal/wire"},
	"github.com/gobwas/ws":         {"internal/wire"},
	"github.com/prometheus/":       {"internal/metrics"},
	"github.com/miekg/dns":         {"internal/wire", "internal/wire/memnet"},
	"github.com/spf13/":            {"cmd/regwatch"},
	"golang.org/x/term":            {"cmd/regwatch"},
	"github.com/BurntSushi/toml":   {"internal/tables"},
	"github.com/santhosh-tekuri/":  {"internal/eventschema"},
	"golang.org/x/sys":             {"internal/interop"},
}

// TestRooms holds the house together: what a package imports shows what it
// knows, and a new package has to be given its place in the table.
func TestRooms(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		room := filepath.ToSlash(filepath.Dir(path))
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s: the room %q is not in the table", path, room)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			inner, ours := strings.CutPrefix(imported, "regwatch/")
			switch {
			case imported == "regwatch":
				ours, inner = true, "."
				fallthrough
			case ours:
				if !slices.Contains(allowed, inner) && !slices.Contains(allowed, "*") {
					t.Errorf("%s imports %s: %s may not", path, imported, room)
				}
			case strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
				checkGuest(t, path, room, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkGuest(t *testing.T, path, room, imported string) {
	t.Helper()
	for prefix, hosts := range guests {
		if strings.HasPrefix(imported, prefix) {
			if !slices.Contains(hosts, room) {
				t.Errorf("%s imports %s, which only %v may", path, imported, hosts)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which is in no one's charge: add it to the table, with its reason in the commit", path, imported)
}
