// Package plural says how many there are of something, for sentences that people
// read. It knows English nouns that take an s and nothing else; nothing of regwatch
// may enter.
package plural

import "strconv"

// Count gives "1 contact", "2 contacts", "0 contacts" for the singular what.
func Count[N ~int | ~uint64](n N, what string) string {
	text := strconv.FormatUint(uint64(n), 10) + " " + what
	if n == 1 {
		return text
	}
	return text + "s"
}
