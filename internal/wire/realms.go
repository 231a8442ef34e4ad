package wire

import "fmt"

// Realms names the protection spaces that a 401 or 407 asks for, each with its
// status: those of a proxy are not those of the registrar behind it.
func (r *Response) Realms() []string {
	name := "WWW-Authenticate"
	if r.Status == 407 {
		name = "Proxy-Authenticate"
	}
	var realms []string
	for _, challenge := range parseChallenges(r.Headers.Values(name)) {
		realms = append(realms, fmt.Sprintf("%d %s", r.Status, challenge.Realm))
	}
	return realms
}
