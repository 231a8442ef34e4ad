package ua

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// placesMost bounds the places that one exchange may be sent to.
const placesMost = 8

// place is where a redirect sent our REGISTER.
type place struct {
	uri   string
	proxy bool // 305: the request stays as it is, and goes by way of this (RFC 3261 21.3.4)
}

// redirection is the target set of a REGISTER (RFC 3261 8.1.3.4). The place in
// it stays for the refreshes (10.2.4) as long as we are registered there.
type redirection struct {
	at   place    // the zero place is the registrar of the account
	rest []place  // to be tried when it fails
	been []string // every URI that was ever in the set: none comes in twice
}

// restart makes the set for a new exchange: the registrar of the account, or
// where it had sent us, and then the registrar of the account once more.
func (r *registration) restart() {
	at := r.at
	r.redirection = redirection{been: []string{r.home}}
	if r.registered() && at.uri != "" {
		r.redirection = redirection{at: at, rest: []place{{}}, been: []string{r.home, at.uri}}
	}
}

// redirected takes a 3xx.
func (r *registration) redirected(a registerAnswer, now time.Time) []effect {
	key := "registrar"
	if a.status == 305 {
		key = "outbound_proxy"
	}
	switch {
	case a.status == 380:
		// 21.3.5: what it offers stands in a body for which there is no format.
		return r.lost(giveUp, a.line("it offers another service instead"), 0, now)
	case len(a.points) == 0:
		return r.lost(giveUp, a.line("it names no place to go to"), 0, now)
	case !r.follow:
		return r.lost(giveUp, a.line("it points to "+listed(a.points)+"; set "+key+", or follow_redirects"), 0, now)
	case r.inFlight != regBind:
		return r.lost(giveUp, a.line("it points to "+listed(a.points)+"; only a registration follows"), 0, now)
	}
	var next []place
	fault := ", where we have been"
	for _, uri := range a.points {
		to, why := r.follows(uri, a.status == 305)
		switch {
		case why != "":
			fault = why
		case len(r.been) > placesMost:
			fault = ", one place too many"
		case !slices.ContainsFunc(r.been, func(been string) bool { return reginfo.SameURI(been, to) }):
			r.been = append(r.been, to)
			next = append(next, place{to, a.status == 305})
		}
	}
	if len(next) > 0 {
		fault = ""
	}
	r.rest = append(next, r.rest...)
	return r.lost(giveUp, a.line("it points to "+listed(a.points)+fault), 0, now)
}

// follows makes the URI that a redirect is followed to, or says why it is not.
// Of its headers none is put on our request: they are the network's, and could be
// any. The user has no place in the Request-URI of a REGISTER (RFC 3261 10.2).
func (r *registration) follows(uri string, proxy bool) (to, why string) {
	u, err := wire.ParseURI(uri)
	switch {
	case err != nil || !wire.IsURI(uri):
		return "", ", which is no sip: URI"
	case u.Scheme != "sips" && (isSIPS(r.home) || proxy && isSIPS(r.proxy)):
		// 8.1.3.4 allows it, if the user is told. Told he is; we do not do it.
		return "", ", which is not secure"
	}
	to = u.Scheme + ":" + u.HostPort()
	for _, p := range u.Params {
		if strings.EqualFold(p.Name, "method") {
			continue
		}
		to += ";" + p.Name
		if !p.Bare {
			to += "=" + p.Value
		}
	}
	return to, ""
}

// goOn sends the REGISTER under way to the next place, which may ask for
// credentials of its own.
func (r *registration) goOn(reason string, now time.Time) []effect {
	r.at, r.rest = r.rest[0], r.rest[1:]
	r.answeredTo, r.tries = nil, 0
	to := r.at.uri
	if to == "" {
		to = r.home
	}
	r.reason = reason + "; trying " + cut(to, 60)
	return append([]effect{tellRegistration{}}, r.again(now)...)
}

// pointsOf reads where a 3xx points, the highest q first (RFC 3261 8.1.3.4, 20.10).
func pointsOf(r *wire.Response) []string {
	contacts, _ := r.Headers.ParseNameAddrs("Contact")
	slices.SortStableFunc(contacts, func(a, b wire.NameAddr) int { return cmp.Compare(qOf(b), qOf(a)) })
	var out []string
	for _, c := range contacts[:min(len(contacts), placesMost)] {
		out = append(out, c.URI)
	}
	return out
}

// qOf is 1 where nothing readable is given: who gives no preference has none.
func qOf(c wire.NameAddr) float64 {
	q, err := strconv.ParseFloat(c.Params.Get("q"), 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 1
	}
	return q
}

// registerURI is the Request-URI of a REGISTER.
func (a *Agent) registerURI() string {
	if at := a.reg.at; at.uri != "" && !at.proxy {
		return at.uri
	}
	return a.account.Registrar
}

// proxies are those that our requests go by.
func (a *Agent) proxies() []string {
	if at := a.reg.at; at.proxy {
		return []string{at.uri}
	}
	if a.reg.proxy == "" {
		return nil
	}
	return []string{a.reg.proxy}
}
