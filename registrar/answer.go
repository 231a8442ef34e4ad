package registrar

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/wire"
)

const (
	software     = "regwatch lab"
	allowed      = "REGISTER, SUBSCRIBE, OPTIONS"
	reginfoType  = "application/reginfo+xml"
	badExtension = 420
)

// answer handles one request; it runs on the registrar's goroutine, in the order
// in which requests came off the wire (RFC 3261 10.3).
func (r *Registrar) answer(in *wire.Incoming) {
	if r.options.First != nil && r.options.First(in) {
		return
	}
	if fault := malformed(in); fault != "" {
		in.Respond(refusal(400, fault))
		return
	}
	// The extensions are looked at before anything is done (RFC 3261 8.2.2.3).
	if unknown := r.unsupported(in); len(unknown) > 0 {
		in.Respond(refusal(badExtension, "Bad Extension", wire.Header{Name: "Unsupported", Value: strings.Join(unknown, ", ")}))
		return
	}
	switch in.Method {
	case "REGISTER":
		r.register(in)
	case "SUBSCRIBE":
		r.subscribe(in)
	case "OPTIONS":
		if r.routed(in) {
			return
		}
		in.Respond(success(200, wire.Headers{
			{Name: "Allow", Value: allowed}, {Name: "Allow-Events", Value: "reg"},
			{Name: "Accept", Value: reginfoType}, {Name: "Supported", Value: strings.Join(r.extensions(), ", ")},
		}))
	case "INVITE", "BYE", "NOTIFY", "MESSAGE", "PUBLISH", "INFO", "REFER", "UPDATE", "PRACK":
		in.Respond(refusal(405, "Method Not Allowed", wire.Header{Name: "Allow", Value: allowed}))
	default:
		in.Respond(refusal(501, "Not Implemented", wire.Header{Name: "Allow", Value: allowed}))
	}
}

// malformed names what a request lacks that every request must have
// (RFC 3261 8.1.1), or "".
func malformed(in *wire.Incoming) string {
	for _, name := range []string{"From", "To"} {
		if _, err := wire.ParseNameAddr(in.Headers.Get(name)); err != nil {
			return "Bad " + name
		}
	}
	if in.Headers.Get("Call-ID") == "" {
		return "Missing Call-ID"
	}
	if _, method, ok := in.Headers.CSeq(); !ok || method != in.Method {
		return "Bad CSeq"
	}
	return ""
}

// extensions are the option tags that the registrar understands.
func (r *Registrar) extensions() []string {
	out := []string{"path"}
	if r.manners.gruu {
		out = append(out, "gruu")
	}
	if r.manners.outbound {
		out = append(out, "outbound")
	}
	return out
}

func (r *Registrar) unsupported(in *wire.Incoming) []string {
	return slices.DeleteFunc(in.Headers.Tokens("Require"), func(tag string) bool {
		return slices.ContainsFunc(r.extensions(), func(known string) bool { return strings.EqualFold(known, tag) })
	})
}

// serves reports whether a domain is ours.
func (r *Registrar) serves(domain string) bool {
	return len(r.options.Domains) == 0 ||
		slices.ContainsFunc(r.options.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
}

// refusal is an answer without a body that says no.
func refusal(status int, reason string, headers ...wire.Header) wire.Answer {
	return wire.Answer{Status: status, Reason: reason, Headers: append(headers, wire.Header{Name: "Server", Value: software})}
}

func success(status int, headers wire.Headers) wire.Answer {
	return wire.Answer{Status: status, Reason: "OK", Headers: append(headers, wire.Header{Name: "Server", Value: software})}
}

// tooBrief is the 423 that names the shortest interval (RFC 3261 10.3 step 7).
func (r *Registrar) tooBrief() wire.Answer {
	return refusal(423, "Interval Too Brief", wire.Header{Name: "Min-Expires", Value: seconds(r.options.MinExpires)})
}

// brief reports whether an interval may be refused: not zero, less than an
// hour, and less than our minimum.
func (r *Registrar) brief(asked uint32) bool {
	return asked > 0 && asked < 3600 && time.Duration(asked)*time.Second < r.options.MinExpires
}

// granted is what of an interval is given.
func (r *Registrar) granted(asked uint32) time.Duration {
	return min(time.Duration(asked)*time.Second, r.options.MaxExpires)
}

// full is the refusal of those who ask for more state than there is room for.
func full(reason string) wire.Answer {
	return refusal(503, reason, wire.Header{Name: "Retry-After", Value: "60"})
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// ownContact is the URI that reaches us on the way the request came.
func (r *Registrar) ownContact(in *wire.Incoming) string {
	local := in.Local
	if local.Addr().IsUnspecified() {
		if source, err := r.options.Network.SourceFor(r.life, in.Source); err == nil {
			local = netip.AddrPortFrom(source, local.Port())
		}
	}
	address := "reginfo@" + wire.HostPortOf(local)
	sips := strings.HasPrefix(strings.ToLower(in.URI), "sips:") // RFC 3261 12.1.1
	switch in.Transport {
	case wire.UDP:
		return "sip:" + address
	case wire.TLS:
		if sips {
			return "sips:" + address
		}
	case wire.WSS:
		if sips {
			return "sips:" + address + ";transport=" + wire.WS
		}
		return "sip:" + address + ";transport=" + wire.WS
	case wire.WS:
		return "sip:" + address + ";transport=" + wire.WS
	}
	return "sip:" + address + ";transport=" + wire.TCP
}
