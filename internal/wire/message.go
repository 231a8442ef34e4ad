package wire

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/trace"
)

// Header is one header field line.
type Header struct{ Name, Value string }

// Headers are the header fields of a message in their order.
type Headers []Header

// Get returns the first value of that name, without regard to case, or "".
func (h Headers) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Has reports whether there is a field of that name, be it empty.
func (h Headers) Has(name string) bool {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Values returns the values of all fields of that name, in order. A value that
// is a list stays one.
func (h Headers) Values(name string) []string {
	var out []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value)
		}
	}
	return out
}

// Tokens returns the comma-separated tokens of all fields of that name
// (Supported, Require, Allow-Events), trimmed.
func (h Headers) Tokens(name string) []string {
	var out []string
	for _, value := range h.Values(name) {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.TrimSpace(token); token != "" {
				out = append(out, token)
			}
		}
	}
	return out
}

// HasToken reports whether the fields of that name list the token, without
// regard to case.
func (h Headers) HasToken(name, token string) bool {
	for _, t := range h.Tokens(name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// Number returns the leading decimal number of the first field of that name,
// as in Expires, Min-Expires and Retry-After ("18000;duration=3600", "5 (busy)").
// Larger numbers than 32 bits saturate; ok is false where there is none.
func (h Headers) Number(name string) (n uint32, ok bool) {
	return LeadingNumber(h.Get(name))
}

// LeadingNumber reads the decimal digits that a value starts with; see
// Headers.Number.
func LeadingNumber(value string) (n uint32, ok bool) {
	value = strings.TrimSpace(value)
	end := 0
	for end < len(value) && value[end] >= '0' && value[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, false
	}
	wide, err := strconv.ParseUint(value[:end], 10, 32)
	if err != nil {
		return 1<<32 - 1, true // only overflow is left as a reason
	}
	return uint32(wide), true
}

// CSeq returns the number and method of the CSeq field; ok is false where it is
// missing or malformed.
func (h Headers) CSeq() (number uint32, method string, ok bool) {
	value := strings.TrimSpace(h.Get("CSeq"))
	end := strings.IndexAny(value, " \t")
	if end < 0 {
		return 0, "", false
	}
	wide, err := strconv.ParseUint(value[:end], 10, 32)
	if err != nil {
		return 0, "", false
	}
	return uint32(wide), strings.TrimSpace(value[end:]), true
}

// Tag returns the tag of a From or To field, or "".
func (h Headers) Tag(name string) string {
	address, err := ParseNameAddr(h.Get(name))
	if err != nil {
		return ""
	}
	return address.Params.Get("tag")
}

// Request is a request to be sent. Via and Content-Length are added when it goes
// out, and Max-Forwards where it is not there; every other field is written as it
// stands.
type Request struct {
	Method  string
	URI     string
	Headers Headers
	Body    []byte
	Keep    bool // offer to send keep-alives (RFC 6223 4.3)
	// Trace is given every message of the request's transaction, those sent again
	// too, beside the stack's own trace; nil: none.
	Trace *trace.Ring
}

// Response is a final answer.
type Response struct {
	Status    int
	Reason    string
	Headers   Headers
	Body      []byte
	At        time.Time     // when it was read
	RoundTrip time.Duration // since the request was first sent
}

// SeenAs returns our address as the next hop saw it, from received and rport of
// the topmost Via (RFC 3261 18.2.1, RFC 3581 4); ok is false where it did not say.
func (r *Response) SeenAs() (seen netip.AddrPort, ok bool) {
	sent, params, _ := strings.Cut(r.Headers.Get("Via"), ";")
	list := parseParams(params)
	fields := strings.Fields(sent)
	if len(fields) == 0 {
		return netip.AddrPort{}, false
	}
	host, port := splitHostPort(fields[len(fields)-1])
	received, rport := list.Get("received"), list.Get("rport")
	if received == "" && rport == "" {
		return netip.AddrPort{}, false
	}
	if received != "" {
		host = received
	}
	if rport != "" {
		port = rport
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		number = 5060
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), true
}

// Keep returns what the next hop said to our offer to send keep-alives: ok is
// true where it wants them, and every how many seconds at the latest; 0 leaves
// that to us (RFC 6223 4.4, 5).
func (r *Response) Keep() (every uint32, ok bool) {
	_, params, _ := strings.Cut(r.Headers.Get("Via"), ";")
	return LeadingNumber(parseParams(params).Get("keep"))
}

// splitHostPort splits "host", "host:port", "[v6]" and "[v6]:port"; no port
// gives "".
func splitHostPort(s string) (host, port string) {
	if end := strings.LastIndexByte(s, ']'); end >= 0 {
		return s[:end+1], strings.TrimPrefix(s[end+1:], ":")
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port
}

// Incoming is a request that reached us. It is to be answered exactly once by
// Respond, from any goroutine; whoever never answers lets the sender time out.
type Incoming struct {
	Request
	At        time.Time
	Transport string
	Local     netip.AddrPort
	Source    netip.AddrPort
	Flow      *Flow // the way back to the sender, and for requests to it

	answer chan Answer // room for one
}

// Answer is what Incoming.Respond sends. ToTag is put on To where the request
// had none; "" lets one be made up. Without a status nothing is sent.
type Answer struct {
	Status  int
	Reason  string
	ToTag   string
	Headers Headers
	Body    []byte
}

// Respond answers the request. It does not block; only the first call counts.
func (in *Incoming) Respond(a Answer) {
	select {
	case in.answer <- a:
	default:
	}
}
