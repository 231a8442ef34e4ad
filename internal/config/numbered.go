package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"regwatch/internal/tables"
)

// place in a template where the number goes: {n}, or {n:04} for four digits.
var numberIn = regexp.MustCompile(`\{n(?::0([1-9][0-9]?))?\}`)

// IsTemplate reports whether a text has a place for a number.
func IsTemplate(text string) bool { return numberIn.MatchString(text) }

// Numbered puts a number into a template: for 7, {n} becomes 7 and {n:04} 0007.
func Numbered(template string, n int) string {
	return numberIn.ReplaceAllStringFunc(template, func(place string) string {
		digits, _ := strconv.Atoi(numberIn.FindStringSubmatch(place)[1])
		return fmt.Sprintf("%0*d", digits, n)
	})
}

// numbered makes count accounts of each whose aor is a template, with the number,
// from 1, in every text of theirs. The others stay as they are.
func numbered(blocks []tables.Block, count int) (out []tables.Block, any bool) {
	var account []tables.Block // the table of a template, and those below it
	finish := func() {
		for n := 1; n <= count && len(account) > 0; n++ {
			for _, b := range account {
				b.Entries = slices.Clone(b.Entries)
				for i := range b.Entries {
					b.Entries[i].Value = numberedValue(b.Entries[i].Value, n)
				}
				out = append(out, b)
			}
		}
		account = nil
	}
	for _, b := range blocks {
		if b.List {
			finish()
		}
		isTemplate := b.List && slices.Equal(b.Path, []string{"account"}) && slices.ContainsFunc(b.Entries, isTemplateAOR)
		any = any || isTemplate
		switch {
		case isTemplate, len(account) > 0 && b.Path[0] == "account":
			account = append(account, b)
		default:
			out = append(out, b)
		}
	}
	finish()
	return out, any
}

func isTemplateAOR(e tables.Entry) bool {
	aor, _ := e.Value.(string)
	return slices.Equal(e.Path, []string{"aor"}) && IsTemplate(aor)
}

func numberedValue(value any, n int) any {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, "{n") {
			return Numbered(v, n)
		}
	case []any:
		v = slices.Clone(v)
		for i := range v {
			v[i] = numberedValue(v[i], n)
		}
		return v
	}
	return value
}
