package ua

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// Defaults of an Account where a field is zero.
const (
	// DefaultExpires is what a REGISTER asks for, in seconds.
	DefaultExpires = 3600
	// DefaultSubscribeExpires is what a SUBSCRIBE asks for, in seconds: the
	// package's own default (RFC 3680 4.3).
	DefaultSubscribeExpires = 3761
)

// maxFlows bounds Account.OutboundProxy: so many RFC 5626 4.2.1 asks for.
const maxFlows = 4

// TLS says how an account makes connections over TLS.
type TLS = wire.TLSSettings

// AKA is a subscriber's key, for registrars that challenge by AKAv1-MD5 (RFC 3310).
type AKA = wire.AKASettings

// Account is one address-of-record and how to register and watch it. It is a
// plain value; the zero value of every field but AOR serves. Values must hold
// no control characters: they are written into headers as they are (Check).
type Account struct {
	Name        string // what the screen calls it; unique in a Group; default: user part of the AOR
	AOR         string // sip: or sips: URI
	DisplayName string // for From

	Username string // digest user; default: user part of the AOR
	// Password gives the digest password when a registrar asks for it; nil or an
	// empty answer means none. It may block (a command, a prompt); it is called
	// on a goroutine of its own, once a run.
	Password func() (string, error)
	HA1      string // instead of Password: hex of H(user:realm:password)
	AKA      AKA    // beside them, or alone

	Registrar string // URI that REGISTER goes to; default: scheme and host of the AOR
	// OutboundProxy are the URIs of the next hops, up to four. Over each goes a flow,
	// the n-th registered under RegID + n-1 (RFC 5626 4.2.1); with NoOutbound or
	// WatchOnly over the first alone.
	OutboundProxy []string
	Transport     string // "udp", "tcp", "tls", "ws", "wss"; "" by the next hop's URI
	WSPath        string // that a WebSocket is asked for at, such as "/ws"; "" is "/"
	LocalAddress  string // address or address:port to bind; "" by route
	TLS           TLS    // how connections over TLS are made

	Expires          uint32 // seconds asked for in REGISTER; 0: DefaultExpires
	SubscribeExpires uint32 // seconds asked for in SUBSCRIBE; 0: DefaultSubscribeExpires

	InstanceID string    // urn:uuid:...; "" one is made and kept in the state directory
	RegID      uint32    // RFC 5626; 0: 1
	NoOutbound bool      // do not offer RFC 5626
	NoGRUU     bool      // do not offer RFC 5627
	KeepAlive  KeepAlive // how the flow is kept alive
	// KeepAliveEvery is every how many seconds, at the latest, a keep-alive is
	// sent, up to a day; 0: as the registrar says, else as RFC 5626 does. Where
	// KeepAuto has nothing to send, it makes it a double CRLF.
	KeepAliveEvery uint32
	WatchOnly      bool // no contact of our own: subscribe only

	Watch        WatchMode     // "": WatchAuto
	WatchURI     string        // whose registration; "": the AOR, with IMS the default public identity
	PollInterval time.Duration // between queries, where polling is how we watch; 0: DefaultPollInterval
	Settle       Settle        // "": SettleAsk

	IMS            bool // the manners of TS 24.229 where they differ from the RFCs
	SubscribeGRUU  bool // our GRUU as the Contact of SUBSCRIBE (RFC 5627 4.4): see it fail when the binding goes
	StrictVersions bool // reginfo documents: RFC 3680 5.2 to the letter, see reginfo.Strict
	Digest         []string

	On           map[Kick]Policy // what to do at each kick; see DefaultPolicies
	Leave        bool            // end without unregistering
	Q            string
	ContactExtra string   // parameters put on the Contact of REGISTER, without leading ';'
	Headers      []string // "Name: value" lines put on REGISTER

	// FollowRedirects sends a REGISTER that gets a 3xx on to where that points, up
	// to eight places, never from sips: to sip: (RFC 3261 8.1.3.4). Without it the
	// registration fails and says where it was pointed to.
	FollowRedirects bool
}

// Kick names what a network can do to our contact, as users name it in
// policies and in watch --until.
type Kick string

// The kicks. All but Shortened take the contact off.
const (
	KickDeactivated  Kick = "deactivated"
	KickProbation    Kick = "probation"
	KickRejected     Kick = "rejected"
	KickShortened    Kick = "shortened"
	KickExpired      Kick = "contact-expired"
	KickUnregistered Kick = "contact-unregistered"
	KickAbsent       Kick = "absent"
)

// Kicks lists all of them in the order of the documentation.
var Kicks = []Kick{KickDeactivated, KickProbation, KickRejected, KickShortened, KickExpired, KickUnregistered, KickAbsent}

// TakesOff reports whether the kick removes the contact.
func (k Kick) TakesOff() bool { return k != KickShortened }

// kickOf names the kick that a contact event is when it hits our own contact
// and we did not cause it; "" for the events that are none.
func kickOf(event reginfo.ContactEvent) Kick {
	switch event {
	case reginfo.Deactivated, reginfo.Probation, reginfo.Rejected, reginfo.Shortened, reginfo.Absent:
		return Kick(event)
	case reginfo.Expired:
		return KickExpired
	case reginfo.Unregistered:
		return KickUnregistered
	}
	return ""
}

// Policy says what to do at a kick.
type Policy string

// The policies.
const (
	Ask   Policy = "ask"   // tell the user and wait; a run without a screen reports only
	Auto  Policy = "auto"  // register again after a jitter of 0 to 2 s
	Never Policy = "never" // stay off until the user registers by hand
)

// DefaultPolicies is what an account does where On says nothing.
var DefaultPolicies = map[Kick]Policy{
	KickDeactivated: Ask, KickProbation: Ask, KickRejected: Never, KickShortened: Auto,
	KickExpired: Ask, KickUnregistered: Ask, KickAbsent: Ask,
}

// offers are the option tags that a REGISTER lists as supported.
func (a *Account) offers() []string {
	offers := []string{"path"}
	if !a.NoOutbound {
		offers = append(offers, "outbound")
	}
	if !a.NoGRUU {
		offers = append(offers, "gruu")
	}
	return offers
}

// Flows is over how many flows the account registers: one for each outbound proxy.
// Without RFC 5626 it is one, for a second binding would be another device's.
func (a *Account) Flows() int {
	if a.NoOutbound || a.WatchOnly {
		return 1
	}
	return max(1, len(a.OutboundProxy))
}

func (a *Account) policy(k Kick) Policy {
	if p, ok := a.On[k]; ok {
		return p
	}
	if a.IMS && k == KickDeactivated {
		return Auto // TS 24.229 5.1.1.3A
	}
	return DefaultPolicies[k]
}

// Check returns the first thing that makes the account unusable, as a
// *FieldError, or nil. It reads the files that TLS names, and nothing else.
func (a *Account) Check() error {
	if a.AOR == "" {
		return &FieldError{"aor", "is missing", "sip:you@example.com"}
	}
	for _, f := range []struct{ key, value string }{
		{"name", a.Name}, {"aor", a.AOR}, {"display_name", a.DisplayName}, {"username", a.Username}, {"ha1", a.HA1},
		{"registrar", a.Registrar}, {"watch_uri", a.WatchURI}, {"outbound_proxy", strings.Join(a.OutboundProxy, " ")}, {"transport", a.Transport},
		{"local_address", a.LocalAddress}, {"ws_path", a.WSPath}, {"instance_id", a.InstanceID}, {"q", a.Q}, {"contact_params", a.ContactExtra},
		{"tls.ca_file", a.TLS.CAFile}, {"tls.cert_file", a.TLS.CertFile}, {"tls.key_file", a.TLS.KeyFile}, {"tls.server_name", a.TLS.ServerName},
	} {
		if fault := unfit(f.value, valueLimit); fault != "" {
			return &FieldError{f.key, fault, ""}
		}
	}
	if fault := unfit(strings.Join(a.Headers, " "), headersLimit); fault != "" {
		return &FieldError{"headers", fault, ""}
	}
	aor, err := parseAOR(a.AOR)
	if err != nil {
		return &FieldError{"aor", fmt.Sprintf("%q %v", a.AOR, err), "sip:you@example.com"}
	}
	if fault := unfitURI(a.AOR); fault != "" {
		return &FieldError{"aor", fmt.Sprintf("%q %s", a.AOR, fault), ""}
	}
	if len(a.OutboundProxy) > maxFlows {
		return &FieldError{"outbound_proxy", fmt.Sprintf("are %d, more than four", len(a.OutboundProxy)), ""}
	}
	if a.WatchURI != "" && !wire.IsURI(a.WatchURI) {
		return &FieldError{"watch_uri", fmt.Sprintf("%q is no URI", a.WatchURI), "sip:bob@example.com"}
	}
	for key, uris := range map[string][]string{"registrar": {a.Registrar}, "outbound_proxy": a.OutboundProxy} {
		for _, uri := range uris {
			if uri == "" && key == "registrar" {
				continue
			}
			hop, err := parseHop(uri)
			switch {
			case err != nil:
				return &FieldError{key, fmt.Sprintf("%q %v", uri, err), "sip:proxy.example.com;transport=tcp"}
			case unfitURI(uri) != "":
				return &FieldError{key, fmt.Sprintf("%q %s", uri, unfitURI(uri)), ""}
			case strings.EqualFold(hop.Params.Get("transport"), wire.TLS):
				// RFC 5630 5.1.1: it would stand in the Route, or the Request-URI.
				return &FieldError{key, fmt.Sprintf("%q has transport=tls, which is not written in a URI", uri), "sips:proxy.example.com"}
			case key == "registrar" && aor.Scheme == "sips" && hop.Scheme != "sips":
				return &FieldError{key, fmt.Sprintf("%q is not sips:, as the aor is", uri), "sips:example.com"}
			}
		}
	}
	switch a.Transport {
	case "", wire.UDP, wire.TCP, wire.TLS, wire.WS, wire.WSS:
	default:
		return &FieldError{"transport", fmt.Sprintf("%q is not known", a.Transport), "udp, tcp, tls, ws or wss"}
	}
	if !wsPath.MatchString(a.WSPath) {
		return &FieldError{"ws_path", fmt.Sprintf("%q is no path", a.WSPath), "/ws"}
	}
	if a.Transport == "udp" && aor.Scheme == "sips" {
		return &FieldError{"transport", "\"udp\" cannot carry what the sips: of the aor asks for (RFC 3261 26.2.2)", "tls"}
	}
	if err := a.TLS.Check(); err != nil {
		if wrong := (*wire.TLSSettingError)(nil); errors.As(err, &wrong) {
			return &FieldError{"tls." + wrong.Key, wrong.Fault, ""}
		}
		return err
	}
	if a.AKA.Set() {
		if _, err := wire.NewAKA(a.AKA); err != nil {
			if wrong := (*wire.AKASettingError)(nil); errors.As(err, &wrong) {
				return &FieldError{"aka_" + wrong.Key, wrong.Fault, ""}
			}
			return err
		}
	}
	switch a.KeepAlive {
	case KeepAuto, KeepOff, KeepCRLF, KeepSTUN:
	default:
		return &FieldError{"keepalive", fmt.Sprintf("%q is not known", a.KeepAlive), "off, crlf or stun"}
	}
	if a.KeepAliveEvery > maxKeepAliveEvery {
		return &FieldError{"keepalive", fmt.Sprintf("%d s is more than a day", a.KeepAliveEvery), "30"}
	}
	if _, err := parseLocal(a.LocalAddress); err != nil {
		return &FieldError{"local_address", fmt.Sprintf("%q %v", a.LocalAddress, err), "192.0.2.7 or 192.0.2.7:5060"}
	}
	if a.InstanceID != "" && !strings.HasPrefix(strings.ToLower(a.InstanceID), "urn:uuid:") {
		return &FieldError{"instance_id", fmt.Sprintf("%q is no urn:uuid", a.InstanceID), "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}
	}
	if strings.ContainsAny(a.InstanceID, "\"<>\\ ") {
		return &FieldError{"instance_id", fmt.Sprintf("%q has a quote, bracket or blank", a.InstanceID), ""}
	}
	if a.Q != "" && !qvalue.MatchString(a.Q) {
		return &FieldError{"q", fmt.Sprintf("%q is no number from 0 to 1 with at most three decimals", a.Q), "0.5"}
	}
	if a.ContactExtra != "" && !contactParams.MatchString(a.ContactExtra) {
		return &FieldError{"contact_params", fmt.Sprintf("%q are no parameters", a.ContactExtra), `audio;x="1"`}
	}
	for _, line := range a.Headers {
		if fault := unfitHeader(line); fault != "" {
			return &FieldError{"headers", fault, "X-Test: 1"}
		}
	}
	return nil
}

// FieldError names the setting that makes an account unusable: its key in the
// config file, what is wrong with it, and an example of what it may be ("" where
// the fault says it).
type FieldError struct{ Key, Fault, Example string }

func (e *FieldError) Error() string {
	if e.Example == "" {
		return e.Key + " " + e.Fault
	}
	return fmt.Sprintf("%s %s: write something like %s", e.Key, e.Fault, e.Example)
}

// withDefaults fills what the zero value leaves to us.
func (a Account) withDefaults() Account {
	aor, _ := parseAOR(a.AOR)
	if a.Name == "" {
		a.Name = aor.User
	}
	if a.Username == "" {
		a.Username = aor.User
	}
	if a.Registrar == "" {
		a.Registrar = aor.Scheme + ":" + aor.HostPort()
	}
	if a.Expires == 0 {
		a.Expires = DefaultExpires
	}
	if a.SubscribeExpires == 0 {
		a.SubscribeExpires = DefaultSubscribeExpires
		if a.IMS {
			a.SubscribeExpires = imsSubscribeExpires
		}
	}
	if a.PollInterval == 0 {
		a.PollInterval = DefaultPollInterval
	}
	if a.RegID == 0 {
		a.RegID = 1
	}
	return a
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
