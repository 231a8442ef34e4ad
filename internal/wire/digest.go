package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/icholy/digest"
)

// Algorithms lists the digest algorithms that we can use, as a user names them
// to allow some only.
var Algorithms = []string{"MD5", "SHA-256", "SHA-512-256"}

// ErrNoChallenge: a 401 or 407 without a challenge that we can answer.
var ErrNoChallenge = errors.New("no digest challenge that we can answer")

// Credentials answers digest challenges (RFC 7616, 8760) for one user. It keeps
// each nonce and counts its uses, so that a later request carries its answer at
// once and costs one round trip. It belongs to one goroutine.
type Credentials struct {
	Username string
	Password string
	HA1      string   // instead of Password: hex of H(user:realm:password)
	Allowed  []string // of Algorithms; empty: all

	kept []kept
}

// kept is a nonce in use.
type kept struct {
	challenge digest.Challenge
	proxy     bool // it came with 407
	count     int  // requests it was used for
}

// Known reports whether there is a secret to answer with.
func (c *Credentials) Known() bool { return c.Password != "" || c.HA1 != "" }

// Sign puts the answer to every kept challenge on the request, in place of those
// that it had. The method, URI and body must be final.
func (c *Credentials) Sign(r *Request) error {
	r.Headers = slices.DeleteFunc(r.Headers, func(h Header) bool {
		return strings.EqualFold(h.Name, "Authorization") || strings.EqualFold(h.Name, "Proxy-Authorization")
	})
	for i := range c.kept {
		k := &c.kept[i]
		k.count++
		answer, err := digest.Digest(&k.challenge, digest.Options{
			Method: r.Method, URI: r.URI, Count: k.count,
			Username: c.Username, Password: c.Password, A1: c.HA1,
			GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil },
		})
		if err != nil {
			return fmt.Errorf("answer digest challenge of %q: %w", k.challenge.Realm, err)
		}
		name := "Authorization"
		if k.proxy {
			name = "Proxy-Authorization"
		}
		r.Headers = append(r.Headers, Header{name, answer.String()})
	}
	return nil
}

// Signs reports whether Sign would put anything on a request.
func (c *Credentials) Signs() bool { return len(c.kept) > 0 }

// Learn takes the challenges of a 401 or 407, one a realm, in place of the kept
// ones of that realm. stale reports that the registrar only wants a new nonce:
// the secret was right (RFC 7616 3.3). The error is ErrNoChallenge, wrapped,
// where there is none that we can answer.
func (c *Credentials) Learn(r *Response) (stale bool, err error) {
	name, proxy := "WWW-Authenticate", false
	if r.Status == 407 {
		name, proxy = "Proxy-Authenticate", true
	}
	challenges := parseChallenges(r.Headers.Values(name))
	var realms []string
	for _, challenge := range challenges {
		// The topmost that we can use wins: they are in the server's order of
		// preference (RFC 8760 2.4).
		if !c.usable(&challenge) || slices.Contains(realms, challenge.Realm) {
			continue
		}
		realms = append(realms, challenge.Realm)
		stale = stale || challenge.Stale
		c.kept = slices.DeleteFunc(c.kept, func(k kept) bool { return k.proxy == proxy && k.challenge.Realm == challenge.Realm })
		c.kept = append(c.kept, kept{challenge: challenge, proxy: proxy})
	}
	if len(realms) == 0 {
		var offered []string
		for _, challenge := range challenges {
			offered = append(offered, challenge.Algorithm)
		}
		return false, fmt.Errorf("%w (offered: %q)", ErrNoChallenge, offered)
	}
	const realmsKept = 8 // no path to a registrar has more; an endless list of realms is an attack
	if len(c.kept) > realmsKept {
		c.kept = slices.Delete(c.kept, 0, len(c.kept)-realmsKept)
	}
	return stale, nil
}

// Forget drops every nonce, so that the next request goes out without an answer.
func (c *Credentials) Forget() { c.kept = nil }

func (c *Credentials) usable(challenge *digest.Challenge) bool {
	algorithm := strings.ToUpper(challenge.Algorithm)
	if algorithm == "" {
		algorithm = "MD5"
	}
	if !slices.Contains(Algorithms, algorithm) {
		return false
	}
	if len(c.Allowed) > 0 && !slices.ContainsFunc(c.Allowed, func(a string) bool { return strings.EqualFold(a, algorithm) }) {
		return false
	}
	// A ready-made hash serves the algorithm of its length only.
	if c.HA1 != "" && (len(c.HA1) == 32) != (algorithm == "MD5") {
		return false
	}
	return challenge.Nonce != "" && digest.CanDigest(challenge)
}

// parseChallenges reads the digest challenges of all header fields; one field
// may hold several (RFC 7235 4.1). Other schemes are skipped.
func parseChallenges(values []string) []digest.Challenge {
	var out []digest.Challenge
	for _, value := range values {
		current := -1 // index of the challenge that parameters belong to; -1: another scheme's
		for _, element := range SplitList(value) {
			// "Digest realm=..." begins a challenge, "qop=..." goes on with it.
			if word, rest, found := strings.Cut(element, " "); found && !strings.ContainsAny(word, "=\"") {
				current = -1
				if strings.EqualFold(word, "Digest") {
					out = append(out, digest.Challenge{})
					current = len(out) - 1
				}
				element = strings.TrimSpace(rest)
			}
			if current < 0 {
				continue
			}
			for _, p := range parseParams(element) {
				setChallenge(&out[current], p)
			}
		}
	}
	return out
}

func setChallenge(c *digest.Challenge, p Param) {
	switch strings.ToLower(p.Name) {
	case "realm":
		c.Realm = p.Value
	case "nonce":
		c.Nonce = p.Value
	case "opaque":
		c.Opaque = p.Value
	case "algorithm":
		c.Algorithm = strings.ToUpper(p.Value)
	case "stale":
		c.Stale = strings.EqualFold(p.Value, "true")
	case "userhash":
		c.Userhash = strings.EqualFold(p.Value, "true")
	case "qop":
		for qop := range strings.SplitSeq(p.Value, ",") {
			c.QOP = append(c.QOP, strings.ToLower(strings.TrimSpace(qop)))
		}
	}
}
