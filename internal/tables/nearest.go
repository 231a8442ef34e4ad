package tables

import (
	"slices"
	"strings"
)

// Nearest returns the word that has the name as a part of it, as outbound_proxy
// has proxy, else the one that takes the fewest edits; the first of several. It
// returns "" without words.
func Nearest(name string, words []string) string {
	for _, word := range words {
		if len(name) > 2 && slices.Contains(strings.Split(word, "_"), name) {
			return word
		}
	}
	best, least := "", -1
	for _, word := range words {
		if d := distance(name, word); least < 0 || d < least {
			best, least = word, d
		}
	}
	return best
}

// Near is Nearest where that is no more than two edits away, else "".
func Near(name string, words []string) string {
	if near := Nearest(name, words); near != "" && distance(name, near) <= 2 {
		return near
	}
	return ""
}

// distance is Levenshtein's: insertions, deletions and replacements of bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
