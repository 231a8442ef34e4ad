package wire

// Challenge is what an answer asks to be proved, or what a request proves: the
// first of a WWW-Authenticate or an Authorization as a person wants to see it,
// without nonce and response.
type Challenge struct {
	Scheme    string
	Realm     string
	Username  string // of credentials
	Algorithm string // as written; "" means MD5 (RFC 7616 3.3)
	QOP       []string
	Stale     bool
}

// Challenges reads all challenges, or credentials, in the fields of that name.
func (h Headers) Challenges(name string) []Challenge {
	var out []Challenge
	for _, c := range parseChallenges(h.Values(name)) {
		out = append(out, Challenge{c.Scheme, c.Realm, c.Username, c.Algorithm, c.QOP, c.Stale})
	}
	return out
}
