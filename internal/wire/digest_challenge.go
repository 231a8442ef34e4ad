package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// challengesRead bounds what is read of one answer: more than the algorithms
	// there are, for more realms than there can be.
	challengesRead = 64
	// challengeLength bounds realm, nonce and opaque together, in bytes: all of
	// them go back with every request, which has to fit in a datagram.
	challengeLength = 2048
)

// challenge is one challenge as it came, of whatever scheme.
type challenge struct {
	Scheme      string
	Realm       string
	Username    string // of credentials, which are written alike
	Nonce       string
	Opaque      string
	OpaqueGiven bool
	Algorithm   string // as written, since it goes back so
	QOP         []string
	Stale       bool
	Userhash    bool
	Unclosed    bool // a quoted string in it has no end

	seen []string // parameter names, in lower case; the first of a name counts
}

// parseChallenges reads the challenges of all header fields of a name; one field
// may hold several (RFC 7235 4.1). It takes whatever writing leaves no doubt.
func parseChallenges(values []string) []challenge {
	var out []challenge
	for _, value := range values {
		current, inList := -1, false // inList: an unquoted qop may go on behind a comma
		for {
			word, rest, ok := nextAuthWord(value)
			if !ok {
				break
			}
			value = rest
			switch {
			case word.param && current >= 0:
				out[current].set(word)
				inList = strings.EqualFold(word.name, "qop") && !word.quoted
			case word.param: // of no scheme at all
			case word.last && current >= 0 && out[current].isDigest() && !strings.EqualFold(word.name, "Digest"):
				// Of a list, or a slip; a scheme would bring its parameters along.
				if inList {
					out[current].QOP = append(out[current].QOP, strings.ToLower(word.name))
				}
			case len(out) == challengesRead:
				return out
			default:
				out = append(out, challenge{Scheme: word.name})
				current, inList = len(out)-1, false
			}
		}
	}
	return out
}

func (c *challenge) set(p authWord) {
	name := strings.ToLower(p.name)
	if !c.isDigest() {
		return
	}
	// Where the quotation mark that is missing belongs is anybody's guess.
	c.Unclosed = c.Unclosed || p.unclosed
	switch name {
	case "realm", "username", "nonce", "opaque", "algorithm", "stale", "userhash", "qop":
		if slices.Contains(c.seen, name) {
			return
		}
		c.seen = append(c.seen, name)
	}
	isTrue := strings.EqualFold(strings.TrimSpace(p.value), "true")
	switch name {
	case "realm":
		c.Realm = p.value
	case "username":
		c.Username = p.value
	case "nonce":
		c.Nonce = p.value
	case "opaque":
		c.Opaque, c.OpaqueGiven = p.value, true
	case "algorithm":
		c.Algorithm = strings.TrimSpace(p.value)
	case "stale":
		c.Stale = isTrue
	case "userhash":
		c.Userhash = isTrue
	case "qop":
		for qop := range strings.FieldsFuncSeq(p.value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			c.QOP = append(c.QOP, strings.ToLower(qop))
		}
	}
	// domain names URIs of a web server and says nothing to us; charset has one
	// value only, UTF-8, which is what we send anyway (RFC 7616 3.3).
}

func (c *challenge) isDigest() bool { return strings.EqualFold(c.Scheme, "Digest") }

// chooseQOP is the quality of protection to answer with, "" where the server
// names none and knows RFC 2069 only. auth comes before auth-int: no proxy may
// change a body (RFC 3261 16.6), but session border controllers do. ok is false
// where the server names only what we do not know.
func (c *challenge) chooseQOP() (qop string, ok bool) {
	for _, qop := range []string{"auth", "auth-int"} {
		if slices.Contains(c.QOP, qop) {
			return qop, true
		}
	}
	return "", len(c.QOP) == 0
}

// fault says why a challenge cannot be answered, or "".
func (c *Credentials) fault(of *challenge) string {
	if !of.isDigest() {
		return "not Digest" // Basic must not even be asked for (RFC 8760 2.6)
	}
	newHash, base, sess := hashOf(of.Algorithm)
	_, qopKnown := of.chooseQOP()
	length := len(of.Realm) + len(of.Nonce) + len(of.Opaque)
	switch {
	case of.Unclosed:
		return "a quotation mark is missing"
	case newHash == nil:
		return "unknown algorithm"
	case of.Nonce == "":
		return "no nonce"
	case length > challengeLength:
		return fmt.Sprintf("%d bytes of realm, nonce and opaque, more than %d", length, challengeLength)
	case strings.ContainsFunc(of.Realm+of.Nonce+of.Opaque, isLineBreaking):
		return "a control character in it"
	case isAKA(of.Algorithm) && c.AKA == nil:
		return "no key for it"
	case isAKA(of.Algorithm) && c.AKA.fault(of.Nonce) != "":
		return c.AKA.fault(of.Nonce)
	case !isAKA(of.Algorithm) && c.AKA != nil && !c.password():
		return "no password"
	case !isAKA(of.Algorithm) && c.HA1 != "" && !c.fitsHA1(base):
		return fmt.Sprintf("ha1 of %d digits is for another", len(c.HA1))
	case !c.allows(of.algorithmName()):
		return "not allowed here"
	case !qopKnown:
		return fmt.Sprintf("unknown qop %q", shortened(strings.Join(of.QOP, ",")))
	case sess && len(of.QOP) == 0:
		return "-sess without qop" // it needs a cnonce, and that needs a qop (RFC 3261 22.4, item 8)
	}
	return ""
}

// algorithmName is the algorithm as written, which is MD5 where it is not.
func (c *challenge) algorithmName() string {
	if c.Algorithm == "" {
		return "MD5"
	}
	return c.Algorithm
}

func (c *Credentials) allows(algorithm string) bool {
	return len(c.Allowed) == 0 || slices.ContainsFunc(c.Allowed, func(a string) bool { return strings.EqualFold(a, algorithm) })
}

// fitsHA1 reports whether the ready-made hash can be of that algorithm. The
// session variants start from the same one (RFC 7616 3.4.2).
func (c *Credentials) fitsHA1(base string) bool {
	if base == "MD5" {
		return len(c.HA1) == 32
	}
	return len(c.HA1) == 64
}

// able lists the algorithms that are left by what is allowed and by HA1.
func (c *Credentials) able() []string {
	return slices.DeleteFunc(append(slices.Clone(Algorithms), akaAlgorithm), func(name string) bool {
		_, base, _ := hashOf(name)
		if isAKA(name) {
			return !c.allows(name) || c.AKA == nil
		}
		return !c.allows(name) || c.AKA != nil && !c.password() || c.HA1 != "" && !c.fitsHA1(base)
	})
}

// choose takes of each realm the topmost challenge that we can answer: they are
// in the server's order of preference (RFC 8760 2.4).
func (c *Credentials) choose(offered []challenge) []challenge {
	var out []challenge
	for _, one := range offered {
		if c.fault(&one) != "" {
			continue
		}
		i := slices.IndexFunc(out, func(chosen challenge) bool { return chosen.Realm == one.Realm })
		switch {
		case i < 0 && len(out) < realmsTaken:
			out = append(out, one)
		case i >= 0 && c.HA1 != "" && isSHA512(&out[i]) && !isSHA512(&one):
			// A ready-made hash of 64 digits may be of either, and is rather of
			// SHA-256: that is the one which all must have (RFC 7616 3.7).
			out[i] = one
		}
	}
	return out
}

func isSHA512(c *challenge) bool {
	_, base, _ := hashOf(c.Algorithm)
	return base == "SHA-512-256"
}

// refusal says what was offered and what we could have answered.
func (c *Credentials) refusal(status int, offered []challenge) error {
	if len(offered) == 0 {
		return fmt.Errorf("%w: the %d has none", ErrNoChallenge, status)
	}
	const named = 4
	var names []string
	for _, one := range offered[:min(named, len(offered))] {
		what := shortened(one.Scheme)
		if one.isDigest() {
			what = fmt.Sprintf("%s for %q", shortened(one.algorithmName()), shortened(one.Realm))
		}
		names = append(names, fmt.Sprintf("%s (%s)", what, c.fault(&one)))
	}
	if more := len(offered) - named; more > 0 {
		names = append(names, strconv.Itoa(more)+" more")
	}
	able := strings.Join(c.able(), ", ")
	if able == "" {
		able = "none"
	}
	return fmt.Errorf("%w: offered %s; we could do %s", ErrNoChallenge, strings.Join(names, ", "), able)
}

// shortened is for texts of which a line may hold several.
func shortened(s string) string { return cutTo(s, 48) }

// authInfo is what an Authentication-Info says (RFC 7616 3.5).
type authInfo struct {
	nextnonce, rspauth, qop, cnonce, nc string
}

func parseInfo(value string) authInfo {
	var out authInfo
	for {
		word, rest, ok := nextAuthWord(value)
		if !ok {
			return out
		}
		value = rest
		if !word.param || word.unclosed {
			continue
		}
		switch strings.ToLower(word.name) {
		case "nextnonce":
			out.nextnonce = word.value
		case "rspauth":
			out.rspauth = word.value
		case "qop":
			out.qop = strings.ToLower(word.value)
		case "cnonce":
			out.cnonce = word.value
		case "nc":
			out.nc = word.value
		}
	}
}

// about finds the answer of ours that the information is about. The field has
// no realm: cnonce and nc tell, and where they are not given, that there is but
// one. Without qop we sent neither.
func (i authInfo) about(ours []authAnswer) *authAnswer {
	var found *authAnswer
	for n := range ours {
		result := ours[n].result
		if result.QOP == "" && i.cnonce != "" {
			continue
		}
		if result.QOP != "" {
			if i.cnonce != "" && i.cnonce != result.Cnonce {
				continue
			}
			if count, err := strconv.ParseUint(i.nc, 16, 32); i.nc != "" && (err != nil || int(count) != result.Nc) {
				continue
			}
		}
		if found != nil {
			return nil
		}
		found = &ours[n]
	}
	return found
}

// authWord is a word of a challenge: a parameter, or a word alone, which is a
// scheme or an element of a list that is not quoted.
type authWord struct {
	name     string
	value    string
	param    bool
	quoted   bool
	unclosed bool // the quoted string goes on to the end of the field
	last     bool // of a word alone: a comma follows, or nothing
}

const authBlank = " \t\r\n"

// nextAuthWord reads one word and returns what is left behind it. ok is false
// at the end. Commas, and marks that belong to nothing, are passed over.
func nextAuthWord(s string) (word authWord, rest string, ok bool) {
	for {
		s = strings.TrimLeft(s, authBlank+",=")
		if !strings.HasPrefix(s, `"`) {
			break
		}
		_, s, _ = cutQuoted(s)
	}
	if s == "" {
		return authWord{}, "", false
	}
	end := strings.IndexAny(s, authBlank+`,="`)
	if end < 0 {
		end = len(s)
	}
	word.name, s = s[:end], strings.TrimLeft(s[end:], authBlank)
	if !strings.HasPrefix(s, "=") {
		word.last = s == "" || s[0] == ','
		return word, s, true
	}
	word.param = true
	s = strings.TrimLeft(s[1:], authBlank)
	if strings.HasPrefix(s, `"`) {
		var closed bool
		word.value, s, closed = cutQuoted(s)
		word.quoted, word.unclosed = true, !closed
		return word, s, true
	}
	if end = strings.IndexAny(s, authBlank+","); end < 0 {
		end = len(s)
	}
	word.value = s[:end]
	return word, s[end:], true
}

// cutQuoted reads the quoted string that s begins with, takes quotes and
// backslashes off, and returns what is left behind it.
func cutQuoted(s string) (value, rest string, closed bool) {
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return out.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return out.String(), "", false
			}
		}
		out.WriteByte(s[i])
	}
	return out.String(), "", false
}
