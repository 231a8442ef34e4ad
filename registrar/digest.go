package registrar

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/wire"
)

// hashOf finds the hash of a digest algorithm (RFC 7616 3.2), with or without "-sess".
func hashOf(algorithm string) (func() hash.Hash, bool) {
	name := strings.ToUpper(algorithm)
	switch strings.TrimSuffix(name, "-SESS") {
	case "MD5":
		return md5.New, true
	case "SHA-256":
		return sha256.New, true
	case "SHA-512-256":
		return sha512.New512_256, true
	}
	return nil, false
}

func hexHash(h func() hash.Hash, parts ...string) string {
	sum := h()
	sum.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum.Sum(nil))
}

// knows reports whether there is such a user.
func (r *Registrar) knows(user string) bool {
	_, ok := r.options.Users[user]
	return ok
}

// authenticate says which user sent the request, "" where nobody is asked. When
// ok is false it has answered the request itself.
func (r *Registrar) authenticate(in *wire.Incoming, realm string) (user string, ok bool) {
	if r.options.Users == nil {
		return "", true
	}
	for _, line := range in.Headers.Values("Authorization") {
		c, isDigest := parseCredentials(line)
		if !isDigest || c["realm"] != realm {
			continue // for somebody else on the way (RFC 3261 22.4)
		}
		switch r.judge(in, c) {
		case accepted:
			return c["username"], true
		case unknownUser:
			in.Respond(refusal(403, "Unknown User"))
		case stale:
			r.challenge(in, realm, true)
		case wrongURI:
			in.Respond(refusal(400, "Digest URI Does Not Match"))
		default:
			r.challenge(in, realm, false)
		}
		return "", false
	}
	r.challenge(in, realm, false)
	return "", false
}

// verdict is what credentials are worth.
type verdict int

const (
	wrong verdict = iota
	accepted
	stale // right, but for a nonce that no longer counts
	unknownUser
	wrongURI
)

// judge checks credentials (RFC 7616 3.4).
func (r *Registrar) judge(in *wire.Incoming, c map[string]string) verdict {
	password, known := r.options.Users[c["username"]]
	if !known {
		return unknownUser
	}
	if !sameTarget(c["uri"], in.URI) {
		return wrongURI
	}
	algorithm := c["algorithm"]
	if algorithm == "" {
		algorithm = "MD5" // RFC 7616 3.3
	}
	h, _ := hashOf(algorithm)
	if !r.offers(algorithm) {
		return wrong
	}
	ha1 := hexHash(h, c["username"], c["realm"], password)
	if strings.HasSuffix(strings.ToUpper(algorithm), "-SESS") {
		ha1 = hexHash(h, ha1, c["nonce"], c["cnonce"])
	}
	ha2 := hexHash(h, in.Method, c["uri"])
	if strings.EqualFold(c["qop"], "auth-int") { // over the body too (RFC 7616 3.4.3)
		ha2 = hexHash(h, in.Method, c["uri"], hexHash(h, string(in.Body)))
	}
	count, want := uint64(1), ""
	switch strings.ToLower(c["qop"]) {
	case "auth", "auth-int":
		var err error
		if count, err = strconv.ParseUint(c["nc"], 16, 32); err != nil || len(c["nc"]) != 8 || c["cnonce"] == "" {
			return wrong
		}
		want = hexHash(h, ha1, c["nonce"], c["nc"], c["cnonce"], c["qop"], ha2)
	case "": // as RFC 2069 had it: without a count a nonce serves once
		want = hexHash(h, ha1, c["nonce"], ha2)
	default:
		return wrong
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c["response"]))) != 1 {
		return wrong
	}
	if !r.nonces.use(c["nonce"], uint32(count), time.Now()) {
		return stale
	}
	return accepted
}

func (r *Registrar) offers(algorithm string) bool {
	for _, name := range r.options.Algorithms {
		if strings.EqualFold(name, algorithm) {
			return true
		}
	}
	return false
}

// sameTarget compares the digest's uri with the Request-URI by what proxies
// leave alone: user, host and port.
func sameTarget(a, b string) bool {
	x, errX := wire.ParseURI(a)
	y, errY := wire.ParseURI(b)
	return errX == nil && errY == nil && x.User == y.User && strings.EqualFold(x.Host, y.Host) && x.Port == y.Port
}

// challenge answers 401, a challenge for each algorithm (RFC 8760 2.4).
func (r *Registrar) challenge(in *wire.Incoming, realm string, isStale bool) {
	name := r.nonces.issue(time.Now())
	var headers []wire.Header
	for _, algorithm := range r.options.Algorithms {
		value := "Digest realm=" + wire.Quote(realm) + `, nonce="` + name + `", qop="auth,auth-int", algorithm=` + algorithm
		if isStale {
			value += ", stale=true"
		}
		headers = append(headers, wire.Header{Name: "WWW-Authenticate", Value: value})
	}
	in.Respond(refusal(401, "Unauthorized", headers...))
}

// parseCredentials reads an Authorization field; names come out in lower case,
// values without their quotes.
func parseCredentials(line string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	out := make(map[string]string)
	for _, element := range wire.SplitList(rest) {
		name, value, _ := strings.Cut(element, "=")
		value = strings.TrimSpace(value)
		if len(value) >= 2 && value[0] == '"' {
			value = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(value[1:], `"`))
		}
		out[strings.ToLower(strings.TrimSpace(name))] = value
	}
	return out, true
}

const maxNonces = 20_000

// nonces are those that were given out and still count.
type nonces struct {
	known    map[string]*nonce
	oldest   []string // in the order of their issue
	lifetime time.Duration
}

// nonce remembers which counts were used: the highest, and which of the 64 up to
// it, since datagrams overtake each other.
type nonce struct {
	issued time.Time
	top    uint32
	used   uint64 // bit n: top-n was seen
}

// issue makes a nonce, and forgets those that no longer count.
func (n *nonces) issue(now time.Time) string {
	for len(n.oldest) > 0 && (len(n.oldest) >= maxNonces || now.Sub(n.known[n.oldest[0]].issued) > n.lifetime) {
		delete(n.known, n.oldest[0])
		n.oldest = n.oldest[1:]
	}
	name := rand.Text()
	n.known[name] = &nonce{issued: now}
	n.oldest = append(n.oldest, name)
	return name
}

// use notes a count; false means that the nonce is unknown or too old, or that
// the count was used before (RFC 7616 3.4).
func (n *nonces) use(name string, count uint32, now time.Time) bool {
	one := n.known[name]
	if one == nil || now.Sub(one.issued) > n.lifetime || count == 0 {
		return false
	}
	if count > one.top {
		one.used = one.used<<(count-one.top) | 1
		one.top = count
		return true
	}
	bit := uint64(1) << (one.top - count) // 0 when it is too far back to tell
	if bit == 0 || one.used&bit != 0 {
		return false
	}
	one.used |= bit
	return true
}
