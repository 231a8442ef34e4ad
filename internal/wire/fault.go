package wire

import (
	"slices"
	"strings"
	"time"
)

// understood are the option tags that a request may require of us.
var understood = []string{"path", "outbound", "gruu"}

// maxFirstCSeq is the largest number of a request that is outside of a dialog.
const maxFirstCSeq = 1<<31 - 1

// fault makes the general checks of a request that the application needs not
// see (RFC 3261 8.2), in their order; ok is true where it has none.
func (s *Stack) fault(version, branch string, in *Incoming, now time.Time) (a Answer, ok bool) {
	h := in.Headers
	if !strings.EqualFold(version, "SIP/2.0") {
		return Answer{Status: 505, Reason: "Version Not Supported"}, false // 21.5.6
	}
	for _, name := range []string{"From", "To", "Call-ID"} { // 8.1.1: each request has them
		if strings.TrimSpace(h.Get(name)) == "" {
			return Answer{Status: 400, Reason: "Missing " + name}, false
		}
	}
	// 8.1.1, 7.3.1: of some there is one, or nobody knows which counts.
	for _, name := range []string{"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length"} {
		if len(h.Values(name)) > 1 {
			return Answer{Status: 400, Reason: "More Than One " + name}, false
		}
	}
	for _, name := range []string{"From", "To"} { // what a quote that is never closed leaves
		if address, err := ParseNameAddr(h.Get(name)); err != nil || strings.ContainsAny(address.URI, "\"<") {
			return Answer{Status: 400, Reason: "Bad " + name}, false
		}
	}
	if h.Tag("From") == "" {
		return Answer{Status: 400, Reason: "Missing From Tag"}, false
	}
	number, method, readable := h.CSeq()
	if !readable || !strings.EqualFold(method, in.Method) || // sipgo writes a method anew, in capitals
		number > maxFirstCSeq && h.Tag("To") == "" { // 8.1.1.5; within a dialog it may have grown over that
		return Answer{Status: 400, Reason: "Bad CSeq"}, false
	}
	// 8.2.2.1
	switch scheme, _, _ := strings.Cut(in.URI, ":"); strings.ToLower(scheme) {
	case "sip", "sips", "tel":
	default:
		return Answer{Status: 416, Reason: "Unsupported URI Scheme"}, false
	}
	// 8.2.2.2: the same request on two paths, which a fork made. A REGISTER is not
	// forked; a second one of the same number is the registrar's to judge (10.3).
	if h.Tag("To") == "" && in.Method != "REGISTER" {
		if s.answers.merged([3]string{h.Tag("From"), h.Get("Call-ID"), in.Method}, number, branch, now) {
			return Answer{Status: 482, Reason: "Loop Detected"}, false
		}
	}
	// 8.2.2.3
	unsupported := slices.DeleteFunc(h.Tokens("Require"), func(tag string) bool {
		return slices.ContainsFunc(understood, func(known string) bool { return strings.EqualFold(known, tag) })
	})
	if len(unsupported) > 0 {
		return Answer{Status: 420, Reason: "Bad Extension", Headers: Headers{{"Unsupported", strings.Join(unsupported, ", ")}}}, false
	}
	return Answer{}, true
}
