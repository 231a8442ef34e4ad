package ua

import (
	"fmt"
	"strings"
	"time"

	"regwatch/internal/wire"
)

// ims is what the manners of an IMS core (TS 24.229 5.1.1) ask of a device beyond
// the RFCs, and where they differ.

// imsSubscribeExpires is what a device asks for when it subscribes to its own
// registration (TS 24.229 5.1.1.3), in seconds.
const imsSubscribeExpires = 600000

// imsRefreshAfter is when a registration or subscription is refreshed (TS 24.229
// 5.1.1.4, 5.1.1.3): 600 s ahead where more than 1200 s are granted, else half-way.
func imsRefreshAfter(d time.Duration) time.Duration {
	if d > 1200*time.Second {
		return d - 600*time.Second
	}
	return d / 2
}

// introduction tells who registers before anybody asked: a core chooses by it what
// it challenges with (TS 24.229 5.1.1.2.2, 5.1.1.2.3).
func (a *Agent) introduction(r *wire.Request) wire.Header {
	return wire.Header{Name: "Authorization", Value: fmt.Sprintf(`Digest username=%s, realm=%s, nonce="", uri=%s, response=""`,
		wire.Quote(a.account.Username), wire.Quote(a.aor.Host), wire.Quote(r.URI))}
}

// identitiesOf reads the public identities that we may use from a 2xx (RFC 7315
// 4.1), the first the default. Which of them are registered only documents say.
func identitiesOf(r *wire.Response) (identities []string) {
	list, _ := r.Headers.ParseNameAddrs("P-Associated-URI")
	const kept = 32
	for _, identity := range list[:min(len(list), kept)] {
		if wire.IsURI(identity.URI) {
			identities = append(identities, identity.URI)
		}
	}
	return identities
}

// watched is the address-of-record that we subscribe to.
func (a *Agent) watched() string {
	switch {
	case a.account.WatchURI != "":
		return a.account.WatchURI
	case a.account.IMS && len(a.identities) > 0 && strings.HasPrefix(strings.ToLower(a.identities[0]), "sip"):
		return a.identities[0] // TS 24.229 5.1.1.3: the default public identity
	}
	return a.account.AOR
}

// imsKicked does what a core expects of a device that it took off.
func (a *Agent) imsKicked(kick Kick, now time.Time) {
	switch kick {
	case KickDeactivated:
		// TS 24.229 5.1.1.3A: an initial registration, with nothing left of the one
		// before: no nonce, no Call-ID, no subscription.
		a.creds.Forget()
		a.id.callID = randomHex(12)
		a.apply(a.sub.drop("deactivated: it begins anew with the registration", now), now)
		a.sub.retryAt = time.Time{}
	case KickRejected:
		// TS 24.229 5.1.1.3A: all of it is dropped.
		a.creds.Forget()
		a.service, a.identities = nil, nil
		a.apply(a.sub.drop("rejected", now), now)
		a.sub.wanted, a.sub.retryAt = false, time.Time{}
		a.apply([]effect{tellSubscription{}}, now)
	}
}
