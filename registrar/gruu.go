package registrar

import (
	"crypto/rand"
	"slices"
	"strings"

	"regwatch/internal/wire"
)

// temporary holds the temporary GRUUs of one instance at one address-of-record.
type temporary struct {
	valid []string // oldest first, never empty; more than temporaryKept refreshes ago they are forgotten
	// first is the CSeq of the REGISTER that brought the oldest one that still is
	// valid, by the Call-ID that it came under: each flow has a Call-ID of its own.
	first map[string]uint32
}

const temporaryKept = 256

func (t *temporary) latest() string { return t.valid[len(t.valid)-1] }

// publicGRUU makes the public GRUU from the AOR and the instance alone, so it
// stays the same for ever (RFC 5627 5.3, 5.4).
func publicGRUU(a aor, instance string) string {
	return a.String() + ";gr=" + escapeParam(instance)
}

// escapeParam escapes what has no place in the value of a URI parameter
// (RFC 3261 25.1: paramchar).
func escapeParam(s string) string {
	const allowed = "-_.!~*'()[]/:&+$"
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(allowed, c) >= 0 {
			out.WriteByte(c)
			continue
		}
		const hexDigits = "0123456789ABCDEF"
		out.WriteByte('%')
		out.WriteByte(hexDigits[c>>4])
		out.WriteByte(hexDigits[c&15])
	}
	return out.String()
}

// predecessor returns the Call-ID of the most recent registration of the same
// instance, and, where c registers a flow, of the same flow (RFC 5627 5.1).
func (rec *record) predecessor(c *binding) (callID string, found bool) {
	var latest *binding
	for _, b := range rec.bindings {
		if !strings.EqualFold(b.instance, c.instance) || c.flow && (!b.flow || b.regID != c.regID) {
			continue
		}
		if latest == nil || !b.refreshed.Before(latest.refreshed) {
			latest = b
		}
	}
	if latest == nil {
		return "", false
	}
	return latest.callID, true
}

// assignTemporary gives the instance of c, which is about to be bound, a new
// temporary GRUU. Another Call-ID than its predecessor's makes all earlier ones
// of the instance invalid (RFC 5627 5.1).
func (r *Registrar) assignTemporary(rec *record, c *binding) {
	if !r.manners.temporaryGRUU || c.instance == "" {
		return
	}
	key := strings.ToLower(c.instance)
	t := rec.temporary[key]
	if before, found := rec.predecessor(c); t == nil || found && before != c.callID {
		t = &temporary{first: make(map[string]uint32)}
		rec.temporary[key] = t
	}
	for callID := range t.first {
		if callID != c.callID && !rec.uses(callID) {
			delete(t.first, callID)
		}
	}
	if _, ok := t.first[c.callID]; !ok {
		t.first[c.callID] = c.cseq
	}
	t.valid = append(t.valid, "sip:tgruu."+strings.ToLower(rand.Text())+"@"+rec.aor.host+";gr")
	t.valid = t.valid[max(0, len(t.valid)-temporaryKept):]
}

func (rec *record) uses(callID string) bool {
	return slices.ContainsFunc(rec.bindings, func(b *binding) bool { return b.callID == callID })
}

// forgetTemporary makes the temporary GRUUs invalid once no contact of the
// instance is left (RFC 5627 5.3).
func (rec *record) forgetTemporary(instance string) {
	for _, b := range rec.bindings {
		if strings.EqualFold(b.instance, instance) {
			return
		}
	}
	delete(rec.temporary, strings.ToLower(instance))
}

// gruusOf returns the GRUUs of a binding; they are "" where it has none.
func (r *Registrar) gruusOf(rec *record, b *binding) (pub, temp string, firstCSeq uint32) {
	if !r.manners.gruu || b.instance == "" {
		return "", "", 0
	}
	pub = publicGRUU(rec.aor, b.instance)
	if t := rec.temporary[strings.ToLower(b.instance)]; t != nil {
		if first, ok := t.first[b.callID]; ok {
			temp, firstCSeq = t.latest(), first
		}
	}
	if scheme, _, _ := strings.Cut(b.contact.URI, ":"); strings.EqualFold(scheme, "sips") { // RFC 5630 5.2.1
		pub = "sips:" + strings.TrimPrefix(pub, "sip:")
		if temp != "" {
			temp = "sips:" + strings.TrimPrefix(temp, "sip:")
		}
	}
	return pub, temp, firstCSeq
}

// isOwnGRUU reports whether a contact URI is a GRUU of this address-of-record:
// such a binding would loop (RFC 5627 5.1).
func (rec *record) isOwnGRUU(uri string) bool {
	u, err := wire.ParseURI(uri)
	if err != nil || !u.Params.Has("gr") {
		return false
	}
	if a, err := parseAOR(uri); err == nil && a == rec.aor {
		return true
	}
	_, given, _ := strings.Cut(uri, ":")
	for _, t := range rec.temporary {
		if slices.Contains(t.valid, "sip:"+given) {
			return true
		}
	}
	return false
}
