package registrar

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// maxRouted bounds the requests that wait for an answer of a device.
const maxRouted = 64

// routed reports whether a request is for a GRUU of ours, and takes it to the
// device (RFC 5627 6.1). It is the one thing that the lab does of a proxy: who was
// given a GRUU can try whether it leads to him.
func (r *Registrar) routed(in *wire.Incoming) bool {
	uri, err := wire.ParseURI(in.URI)
	if err != nil || !uri.Params.Has("gr") || !r.manners.gruu || !r.serves(uri.Host) {
		return false
	}
	hops, given := in.Headers.Number("Max-Forwards")
	b, valid := r.target(in.URI)
	switch {
	case given && hops == 0:
		in.Respond(refusal(483, "Too Many Hops"))
	case !valid:
		in.Respond(refusal(404, "Not Found"))
	case b == nil || b.way == nil:
		in.Respond(refusal(480, "Temporarily Unavailable"))
	case r.routing >= maxRouted:
		in.Respond(full("Too Many Requests"))
	default:
		r.route(in, b, hops)
	}
	return true
}

// target finds the binding that a GRUU leads to: of several of one instance that
// which was refreshed last. valid says whether the GRUU is one of ours at all.
func (r *Registrar) target(gruu string) (b *binding, valid bool) {
	for _, rec := range r.records {
		for _, candidate := range rec.bindings {
			if candidate.instance == "" || !rec.isGRUUOf(gruu, candidate.instance) {
				continue
			}
			if b == nil || candidate.refreshed.After(b.refreshed) {
				b = candidate
			}
		}
	}
	if b != nil {
		return b, true
	}
	// A public one stays valid when its last contact goes (RFC 5627 5.3).
	who, err := parseAOR(gruu)
	return nil, err == nil && r.knows(who.user)
}

// isGRUUOf reports whether a URI is a GRUU, public or temporary, that the instance
// has now.
func (rec *record) isGRUUOf(uri, instance string) bool {
	if reginfo.SameURI(plainScheme(uri), publicGRUU(rec.aor, instance)) {
		return true
	}
	t := rec.temporary[strings.ToLower(instance)]
	return t != nil && slices.ContainsFunc(t.valid, func(one string) bool { return reginfo.SameURI(plainScheme(uri), one) })
}

// plainScheme: a GRUU for a sips: contact is a sips: one (RFC 5630 5.2.1), and led
// to by the same record.
func plainScheme(uri string) string {
	if scheme, rest, _ := strings.Cut(uri, ":"); strings.EqualFold(scheme, "sips") {
		return "sip:" + rest
	}
	return uri
}

// route takes the request along the way that the device registered by (RFC 5626
// 5.3, RFC 3327 5.4), and its answer back.
func (r *Registrar) route(in *wire.Incoming, b *binding, hops uint32) {
	request := &wire.Request{Method: in.Method, URI: b.contact.URI, Body: in.Body}
	for _, hop := range b.path {
		request.Headers = append(request.Headers, wire.Header{Name: "Route", Value: hop})
	}
	for _, field := range in.Headers {
		switch strings.ToLower(field.Name) {
		case "route", "content-length":
			continue
		case "max-forwards":
			field.Value = strconv.FormatUint(uint64(hops-1), 10)
		}
		request.Headers = append(request.Headers, field)
	}
	r.routing++
	r.sending.Add(1)
	go func() {
		defer r.sending.Done()
		defer guard.Recover(r.options.OnPanic)
		response, err := b.way.Do(r.life, request)
		r.post(func() { r.routing-- })
		switch {
		case err == nil:
			in.Respond(back(response))
		case errors.Is(err, wire.ErrTransport):
			in.Respond(refusal(430, "Flow Failed")) // RFC 5626 5.3
		default:
			in.Respond(wire.Answer{}) // nothing: a 408 would come too late (RFC 4320 4.2)
		}
	}()
}

// back is the answer of a device on its way on. What is the request's own is
// written anew.
func back(response *wire.Response) wire.Answer {
	answer := wire.Answer{Status: response.Status, Reason: response.Reason, ToTag: response.Headers.Tag("To"), Body: response.Body}
	for _, field := range response.Headers {
		switch strings.ToLower(field.Name) {
		case "via", "from", "to", "call-id", "cseq", "content-length":
		default:
			answer.Headers = append(answer.Headers, field)
		}
	}
	return answer
}
