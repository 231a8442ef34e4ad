package reginfo

import "strings"

// InstanceURN returns the URN of a +sip.instance value however it is wrapped:
// in quotes, angle brackets, white space, or with its colons as %3A.
func InstanceURN(raw string) string {
	urn := strings.Trim(raw, " \t\r\n\"'<>\\")
	if strings.ContainsAny(urn, " \t\r\n") { // broken across lines
		urn = strings.Join(strings.Fields(urn), "")
	}
	if len(urn) > 3 && strings.EqualFold(urn[:3], "urn") {
		for _, colon := range [...]string{"%3A", "%3a"} {
			urn = strings.ReplaceAll(urn, colon, ":")
		}
	}
	// The brackets themselves may have come escaped.
	if len(urn) > 6 && urn[0] == '%' && strings.EqualFold(urn[:3], "%3c") {
		return InstanceURN(strings.TrimSuffix(strings.TrimSuffix(urn[3:], "%3e"), "%3E"))
	}
	return urn
}

// SameInstance compares two instance URNs: "urn:", the namespace and the hex
// digits of a UUID regardless of case (RFC 8141 3.1, RFC 4122 3), anything else
// exactly. Two empty ones are not the same.
func SameInstance(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	return a == b || instanceKey(a) == instanceKey(b)
}

func instanceKey(urn string) string {
	const prefix = "urn:"
	if len(urn) < len(prefix) || !strings.EqualFold(urn[:len(prefix)], prefix) {
		return urn
	}
	name, rest, ok := strings.Cut(urn[len(prefix):], ":")
	if !ok {
		return urn
	}
	if name = strings.ToLower(name); name == "uuid" {
		rest = strings.ToLower(rest)
	}
	return prefix + name + ":" + rest
}

// wellFormed reports whether a +sip.instance value is the URN in angle brackets
// in quotes, as RFC 5626 4.1 writes it.
func wellFormed(raw, urn string) bool {
	return len(raw) == len(urn)+4 && raw[:2] == `"<` && raw[2:len(raw)-2] == urn && raw[len(raw)-2:] == `>"`
}
