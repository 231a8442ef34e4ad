package wire

import (
	"regexp"
	"strings"
)

// blankAround finds the separators of a Via value with the white space that may
// stand around them (RFC 3261 25.1).
var blankAround = regexp.MustCompile(`[ \t\r\n]*([/;=:])[ \t\r\n]*`)

// tidyVia takes the white space out of the first value of a Via field but for
// the blank before the host: where there is more, sipgo's parser finds neither
// host nor branch. The text keeps its length, since that parser tells by its
// position where the next value begins.
func tidyVia(text string) string {
	first, rest, more := strings.Cut(text, ",")
	tidy := strings.Join(strings.Fields(blankAround.ReplaceAllString(first, "$1")), " ")
	tidy = strings.Repeat(" ", len(first)-len(tidy)) + tidy
	if more {
		tidy += "," + rest
	}
	return tidy
}
