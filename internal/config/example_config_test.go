package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"regwatch"
	"regwatch/internal/tables"
)

// setting is a line of the example that is commented out.
var setting = regexp.MustCompile(`^# (\[|[a-z0-9_-]+ = )`)

// uncommented is the example with every setting turned on.
func uncommented() string {
	lines := strings.Split(regwatch.ExampleConfig, "\n")
	for i, line := range lines {
		if setting.MatchString(line) {
			lines[i] = strings.TrimPrefix(line, "# ")
		}
	}
	return strings.Join(lines, "\n")
}

// TestExampleComplete: every key stands in the example, with a value that its
// setter takes, and marked where it does nothing yet.
func TestExampleComplete(t *testing.T) {
	blocks, err := tables.Read("example", uncommented())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(uncommented(), "\n")
	var seen []string
	for _, b := range blocks {
		for _, e := range b.Entries {
			name := strings.Join(append(slices.Clone(b.Path), e.Path...), ".")
			seen = append(seen, name)
			k, ok := keyOf(name)
			if !ok {
				t.Errorf("line %d: %s: %s", e.Line, name, unknown(name))
				continue
			}
			if err := k.set(place{&Config{}, &draft{}}, e.Value); err != nil {
				t.Errorf("line %d: %s = %v: must be %v", e.Line, name, e.Value, err)
			}
			// A comment above the lines may mark them all.
			above := strings.Join(lines[:e.Line-1], "\n")
			above = above[strings.LastIndex(above, "\n\n")+1:]
			if marked := strings.Contains(lines[e.Line-1], "Not yet") || strings.Contains(above, "Not yet."); k.idle && !marked {
				t.Errorf("line %d: %s has no effect yet, and is not marked so", e.Line, name)
			}
		}
	}
	for _, k := range keys {
		if !slices.Contains(seen, k.name) {
			t.Errorf("the example lacks %s", k.name)
		}
	}
}

// TestExampleLoads: the example is a config as it stands, and with everything
// on but the other ways to a password or a key, and files that are not here.
func TestExampleLoads(t *testing.T) {
	c, _, err := parse("config.example.toml", regwatch.ExampleConfig, 1)
	if err != nil || len(c.Accounts) != 1 || c.Accounts[0].AOR != "sip:alice@example.com" || len(c.Warnings) > 0 {
		t.Fatalf("as it stands: %+v, %v", c, err)
	}
	other := regexp.MustCompile(`(?m)^(password_.*|ha1|aka_opc|[a-z]+_file) = .*$`)
	c, secret, err := parse("config.example.toml", other.ReplaceAllString(uncommented(), ""), 1)
	if err != nil {
		t.Fatalf("all on: %v", err)
	}
	if len(c.Accounts) != 2 || !secret {
		t.Errorf("all on: %d accounts, secret %v", len(c.Accounts), secret)
	}
}
