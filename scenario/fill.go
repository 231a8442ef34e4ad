package scenario

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A placeholder is {name}, or {name+1} and {name-1} where it is a number. Other
// braces are text.
var placeholderSyntax = regexp.MustCompile(`\{([a-z_]+(?:\.[A-Za-z-]+)?)([+-][0-9]{1,9})?\}`)

// known are the placeholders of all files, beside the header fields of the last
// REGISTER and SUBSCRIBE ("{register.Call-ID}").
var known = map[string]bool{
	"aor": true, "contact": true, "call_id": true, "cseq": true, "instance": true, "reg_id": true, "expires": true,
	"version": true, "registrar": true, "phone": true, "subscriber": true, "length": true,
}

func isKnown(name string) bool {
	return known[name] || strings.HasPrefix(name, "register.") || strings.HasPrefix(name, "subscribe.")
}

func isPlaceholder(text string) bool {
	return placeholderSyntax.FindString(text) == text && !strings.ContainsAny(text, ".+-")
}

// placeholders are the names that a text holds, each once.
func placeholders(text string) []string {
	var names []string
	for _, m := range placeholderSyntax.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// fill puts values in place of the placeholders; those of the file's own are
// filled in first, and may hold the others.
func fill(text string, own map[string]string, value func(name string) string) string {
	text = placeholderSyntax.ReplaceAllStringFunc(text, func(m string) string {
		if inner, ok := own[strings.Trim(m, "{}")]; ok {
			return inner
		}
		return m
	})
	return placeholderSyntax.ReplaceAllStringFunc(text, func(m string) string {
		parts := placeholderSyntax.FindStringSubmatch(m)
		out := value(parts[1])
		if parts[2] == "" {
			return out
		}
		n, err := strconv.ParseInt(out, 10, 64)
		by, _ := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return out
		}
		return strconv.FormatInt(n+by, 10)
	})
}
