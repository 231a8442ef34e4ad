package ua

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// course is what follows from an answer that is no 2xx and cannot be mended.
type course int

const (
	giveUp  course = iota // nothing that we could change by ourselves
	refuse                // the registrar said no to this account
	backOff               // it may go later
)

// meaning is what a status says of a REGISTER.
type meaning struct {
	course course
	words  string // after the reason phrase: what it is, and what a person can do
	later  bool   // Retry-After counts, and makes it backOff (RFC 3261 20.33)
}

// meanings holds the statuses that we know; 5xx other than these, and whatever
// else has no line here, are what the x00 of their class is (RFC 3261 8.1.3.2).
var meanings = map[int]meaning{
	400: {giveUp, "it cannot read our REGISTER", false},
	403: {refuse, "it refuses this account; check aor, username and password", false},
	404: {refuse, "it does not know this address; check aor and registrar", true},
	405: {giveUp, "it takes no REGISTER; check registrar", false},
	406: {giveUp, "it has no answer that we could take", false},
	408: {backOff, "somebody behind it did not answer in time", false},
	410: {refuse, "this address is gone for good; check aor", false},
	413: {giveUp, "our REGISTER is too large; shorten headers and contact_params", true},
	414: {giveUp, "the URI in registrar is too long for it", false},
	415: {giveUp, "it objects to a body, and we sent none", false},
	416: {giveUp, "it does not know the scheme of the URI in registrar", false},
	420: {giveUp, "", false}, // these say more themselves
	421: {giveUp, "", false},
	423: {giveUp, "", false},
	439: {giveUp, "a proxy on the way has no outbound, and we do not ask for it", false}, // RFC 5626 11.6
	480: {backOff, "it cannot do it now", true},
	482: {giveUp, "our REGISTER went in a circle; check registrar and outbound_proxy", false},
	483: {giveUp, "our REGISTER passed too many proxies; check registrar and outbound_proxy", false},
	484: {giveUp, "the address is not whole; check aor", false},
	485: {giveUp, "the address may be several; check aor", false},
	486: {backOff, "it is busy", true},
	493: {giveUp, "it cannot decipher what we sent in the clear", false},
	494: {giveUp, "it wants a security agreement (RFC 3329), which is not supported", false},
	500: {backOff, "it failed", true},
	501: {backOff, "it has no REGISTER; check registrar", false},
	502: {backOff, "a server behind it failed", false},
	503: {backOff, "it is overloaded, or down for maintenance", true},
	504: {backOff, "a server behind it did not answer in time", false},
	505: {backOff, "it does not speak SIP/2.0; check registrar", false},
	513: {backOff, "our REGISTER is too large; shorten headers and contact_params", false},
	600: {refuse, "it is busy", true},
	603: {refuse, "it declines", true},
	604: {refuse, "this address is known nowhere; check aor", false},
	606: {refuse, "it does not accept what we ask for", false},
	700: {giveUp, "that is no status of SIP", false}, // RFC 3261 7.2
}

func meaningOf(status int) meaning {
	if m, ok := meanings[status]; ok {
		return m
	}
	return meanings[min(status/100, 7)*100]
}

const (
	// An exchange asks for no longer time than this because of a 423: who wants
	// more sets it. Networks for phones ask for a week as a rule.
	minExpiresMost = 7 * 24 * 3600
	// Nobody's Retry-After puts us off for longer, be it a slip or a forgery.
	retryAfterMost = 24 * time.Hour
)

// unmended says why the 420, 421 or 423 was not met by another REGISTER.
func (r *registration) unmended(a registerAnswer) string {
	switch a.status {
	case 420:
		if len(a.unsupported) == 0 {
			return "it does not say which extension it lacks"
		}
		return "it lacks " + listed(a.unsupported) + ", which headers may ask for"
	case 421:
		if len(a.required) == 0 {
			return "it does not say which extension it requires"
		}
		return fmt.Sprintf("it requires %s, and we offer %s", listed(a.required), listed(r.offers))
	case 423:
		switch {
		case !a.hasMin:
			return "it does not say how long it must be; set expires higher"
		case a.minExpires <= r.expires:
			return fmt.Sprintf("it wants %d s at least, and we asked for %d s", a.minExpires, r.expires)
		case a.minExpires > minExpiresMost:
			return fmt.Sprintf("it wants %d s at least; set expires to that if you mean it", a.minExpires)
		}
		return "it wants more each time"
	}
	return meaningOf(a.status).words
}

// lacking takes the option tags that the 420 lists from those that we offer, and
// reports whether any was among them: then the REGISTER is sent again without.
// They stand in Supported, which asks for nothing; but there are servers that
// refuse them there, and RFC 3261 8.1.3.5 has us omit whatever is listed.
func (r *registration) lacking(unsupported []string) bool {
	before := len(r.offers)
	r.offers = slices.DeleteFunc(slices.Clone(r.offers), func(offer string) bool {
		return slices.ContainsFunc(unsupported, func(tag string) bool { return strings.EqualFold(tag, offer) })
	})
	return len(r.offers) < before
}

// listed writes a list from the network or of our own for a line of text.
func listed(list []string) string {
	const most, longest = 3, 60
	var out []string
	for _, one := range list[:min(most, len(list))] {
		out = append(out, cut(one, longest))
	}
	if len(list) > most {
		out = append(out, fmt.Sprintf("%d more", len(list)-most))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// cut shortens what the network sent to what a line of text can hold.
func cut(s string, longest int) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "..."
}
