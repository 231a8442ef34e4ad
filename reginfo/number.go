package reginfo

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// Number is an unsigned integer that a document may leave out. The zero value
// is "left out".
type Number struct {
	Value   uint64
	Present bool
}

// Num returns a number that is there.
func Num(v uint64) Number { return Number{Value: v, Present: true} }

// IsZero reports whether the number was left out, so that the omitzero option
// of encoding/json leaves it out too; 0 itself is written.
func (n Number) IsZero() bool { return !n.Present }

// String returns the number in decimal, or "" when it was left out.
func (n Number) String() string {
	if !n.Present {
		return ""
	}
	return strconv.FormatUint(n.Value, 10)
}

// MarshalJSON writes a JSON number; one that was left out, and that omitzero
// did not leave out, becomes null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Present {
		return []byte("null"), nil
	}
	return strconv.AppendUint(nil, n.Value, 10), nil
}

// UnmarshalJSON reads a JSON number or null.
func (n *Number) UnmarshalJSON(b []byte) error {
	*n = Number{}
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(b, &n.Value); err != nil {
		return err
	}
	n.Present = true
	return nil
}

// parseNumber reads an xs:unsignedLong. What is larger than 64 bits becomes
// the largest number there is, so that comparisons still hold. fits is false
// when the text was no such number or did not fit.
func parseNumber(text []byte) (n Number, fits bool) {
	text = trimSpace(text)
	if len(text) > 1 && text[0] == '+' { // the schema type allows it
		text = text[1:]
	}
	if len(text) == 0 {
		return Number{}, false
	}
	fits = true
	var v uint64
	for _, c := range text {
		if c < '0' || c > '9' {
			return Number{}, false
		}
		d := uint64(c - '0')
		if v > (math.MaxUint64-d)/10 {
			v, fits = math.MaxUint64, false
			continue
		}
		v = v*10 + d
	}
	if !fits {
		v = math.MaxUint64
	}
	return Num(v), fits
}
