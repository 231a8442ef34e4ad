package ua_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/ua"
)

// reply is what a registrar makes of one REGISTER.
type reply struct {
	at    string   // last byte of the server's address; "": registrarHost
	press bool     // the user asks for the REGISTER
	later int      // seconds until it is looked for
	wants []string // what must stand in the REGISTER; with "!" before it: what must not

	status  string
	headers []string // {contact}: our Contact; {instance}: our instance id, quoted
	contact string   // "": of the request
	edit    func(string) string
}

// answerRow is one case: what is answered, and what follows from it.
type answerRow struct {
	name    string
	given   func(*ua.Account)
	replies []reply

	state  ua.RegistrationState
	reason string // must be in the reason
	after  int    // seconds from the last reply to the look at the state; 0: at once
	lasts  int    // of registered: seconds that are granted
	finds  string // code of a finding that must be told

	// When the next REGISTER goes out, in seconds after the look at the state; two
	// zeros: none within 35 min, which is more than any backing off. As a refresh, if that differs, and firstOnly
	// where it makes no sense as one.
	next      [2]int
	refresh   *[2]int
	firstOnly bool
}

var (
	// RFC 5626 4.5: 50 to 100 % of 30 s * 2^1.
	backedOff = [2]int{30, 60}
	// The same after a refresh without an answer: that is the loss of a good flow,
	// and the one attempt that is made at once gets none either.
	silentRefresh = [2]int{31 + 30, 31 + 60}
)

// refreshed is when a binding of so many seconds is refreshed: at least 32 s
// ahead where there is room, half-way where there is not (RFC 5627 4.2).
func refreshed(seconds int) [2]int {
	if seconds <= 64 {
		return [2]int{seconds/2 - 1, seconds / 2}
	}
	return [2]int{seconds - 32 - min(seconds/10, 60) - 1, seconds - 32}
}

func followed(a *ua.Account) { a.FollowRedirects = true }

// one is a row of one answer.
func one(status string, state ua.RegistrationState, reason string, next [2]int, headers ...string) answerRow {
	name := status
	if len(headers) > 0 {
		name += " " + strings.Join(headers, " ")
	}
	return answerRow{name: name, replies: []reply{{status: status, headers: headers}}, state: state, reason: reason, next: next}
}

// bound is a row of a 2xx that binds us.
func bound(name string, lasts int, headers ...string) answerRow {
	return answerRow{
		name: name, replies: []reply{{status: "200 OK", headers: headers}},
		state: ua.Registered, lasts: lasts, next: refreshed(lasts),
	}
}

// exchange is a row of several answers.
func exchange(name string, state ua.RegistrationState, reason string, next [2]int, replies ...reply) answerRow {
	return answerRow{name: name, replies: replies, state: state, reason: reason, next: next}
}

// as changes a row.
func (r answerRow) as(change func(*answerRow)) answerRow { change(&r); return r }

func (r answerRow) with(given func(*ua.Account)) answerRow { r.given = given; return r }

func (r answerRow) named(name string) answerRow { r.name = name; return r }

var never [2]int

// accepted is the reply of a registrar that takes the REGISTER.
func accepted(wants ...string) reply {
	return reply{wants: wants, status: "200 OK", headers: []string{"Contact: {contact};expires=120"}}
}

func (r reply) from(at string) reply      { r.at = at; return r }
func (r reply) pressed() reply            { r.press = true; return r }
func (r reply) after(seconds int) reply   { r.later = seconds; return r }
func answers(s string, h ...string) reply { return reply{status: s, headers: h} }

func (r reply) cut(edit func(string) string) reply { r.edit = edit; return r }

func (r reply) to(wants ...string) reply { r.wants = append(r.wants, wants...); return r }

const (
	challenge      = `WWW-Authenticate: Digest realm="home", nonce="n1", qop="auth"`
	otherNonce     = `WWW-Authenticate: Digest realm="home", nonce="n2", qop="auth"`
	staleNonce     = `WWW-Authenticate: Digest realm="home", nonce="n2", qop="auth", stale=true`
	proxyChallenge = `Proxy-Authenticate: Digest realm="edge", nonce="p1", qop="auth"`
	unauthorized   = "401 Unauthorized"
	proxyAsks      = "407 Proxy Authentication Required"
	moved          = "302 Moved Temporarily"
)

// cutAt is an edit that sends only so much of an answer.
func cutAt(mark string) func(string) string {
	return func(m string) string { before, _, _ := strings.Cut(m, mark); return before }
}

func replaced(old, by string) func(string) string {
	return func(m string) string { return strings.Replace(m, old, by, 1) }
}

func without(name string) func(string) string {
	return func(m string) string { return strings.Replace(m, "\r\n"+name+": "+header(m, name), "", 1) }
}

func malformed(name string, state ua.RegistrationState, reason string, after int, next [2]int, edit func(string) string) answerRow {
	r := accepted()
	r.edit = edit
	row := answerRow{name: name, replies: []reply{r}, state: state, reason: reason, after: after, next: next}
	if after > 0 {
		row.refresh = &silentRefresh
	}
	return row
}

func everyAnswer() []answerRow {
	const other = "Contact: <sip:alice@203.0.113.9:5062>;expires=60"
	rows := []answerRow{
		// 2xx: RFC 3261 10.2.4, 10.3 step 8.
		bound("ours alone", 180, "Contact: {contact};expires=180"),
		bound("several, ours the last of one line", 180, other+", <sip:alice@203.0.113.9:5064>, {contact};expires=180"),
		bound("several, each in a line", 180, other, "Contact: {contact};expires=180", "Contact: <tel:+1>;expires=9"),
		bound("rewritten with an alias", 120, `Contact: <sip:alice@198.51.100.7:1024;alias=192.0.2.7~5060~1>;+sip.instance={instance};reg-id=1;expires=120`),
		bound("rewritten by a NAT, no reg-id shown", 120, `Contact: <sip:alice@198.51.100.7:1024>;+SIP.INSTANCE={instance};expires=120`),
		bound("another reg-id of ours beside it", 300, `Contact: <sip:alice@198.51.100.7:1024>;+sip.instance={instance};reg-id=2;expires=60`, "Contact: {contact};expires=300"),
		bound("Expires field only", 64, "Contact: {contact}", "Expires: 64"),
		bound("the parameter before the field", 200, "Contact: {contact};expires=200", "Expires: 64"),
		bound("no expiry at all: what we asked", 3600, "Contact: {contact}"),
		bound("an expiry that is none", 64, "Contact: {contact};expires=soon", "Expires: 64"),
		bound("a negative expiry", 3600, "Contact: {contact};expires=-5"),
		bound("two Expires: the first", 100, "Contact: {contact}", "Expires: 100", "Expires: 200"),
		bound("longer than asked", 7200, "Contact: {contact};expires=7200").as(func(r *answerRow) { r.finds = "granted-longer-than-asked" }),
		bound("longer than asked, by the field", 7200, "Contact: {contact}", "Expires: 7200").as(func(r *answerRow) { r.finds = "granted-longer-than-asked" }),
		bound("more than 32 bits", 1<<32-1, "Contact: {contact};expires=99999999999999999999").
			as(func(r *answerRow) { r.next, r.finds = never, "granted-longer-than-asked" }),
		bound("short: half-way", 20, "Contact: {contact};expires=20"),
		bound("garbage beside a good one", 300, "Contact: <", "Contact: ,;,", "Contact: <>;expires=1", "Contact: {contact};expires=300", `Contact: "x`),
		bound("202", 180, "Contact: {contact};expires=180").as(func(r *answerRow) { r.replies[0].status = "202 Accepted" }),
		bound("299", 180, "Contact: {contact};expires=180").as(func(r *answerRow) { r.replies[0].status = "299 Fine" }),
		bound("no reason phrase", 180, "Contact: {contact};expires=180").as(func(r *answerRow) { r.replies[0].status = "200 " }),
		malformed("no To tag", ua.Registered, "", 0, refreshed(120), replaced(";tag=server", "")),
		one("200 OK", ua.Retrying, "our contact is not among the bindings (0)", backedOff),
		one("200 OK", ua.Retrying, "our contact is not among the bindings (1)", backedOff, other),
		one("202 Accepted", ua.Retrying, "202 Accepted, but our contact is not among", backedOff, other),
		one("200 OK", ua.Retrying, "our contact has 0 s left", backedOff, "Contact: {contact};expires=0"),
		one("200 OK", ua.Retrying, "our contact has 0 s left", backedOff, "Contact: {contact}", "Expires: 0"),

		// 1xx is no answer, but somebody is there (RFC 3261 8.1.3.1: as a 408).
		one("100 Trying", ua.Retrying, "only provisional answers within 32 s", backedOff).as(func(r *answerRow) { r.after = 33 }),
		one("183 Session Progress", ua.Registering, "", [2]int{33 + 29, 33 + 60}).as(func(r *answerRow) { r.firstOnly = true }),

		// 3xx, not followed (RFC 3261 21.3).
		one("300 Multiple Choices", ua.Failed, "it points to sip:c.example.com, sip:b.example.com; set registrar, or follow_redirects", never,
			"Contact: <sip:b.example.com>;q=0.1, <sip:c.example.com>;q=0.5"),
		one("301 Moved Permanently", ua.Failed, "it points to sip:b.example.com; set registrar", never, "Contact: <sip:b.example.com>"),
		one(moved, ua.Failed, "302 Moved Temporarily: it points to sip:b.example.com; set registrar", never, "Contact: sip:b.example.com"),
		one(moved, ua.Failed, "it points to sip:1@b, sip:2@b, sip:3@b, 2 more;", never, "Contact: <sip:1@b>, <sip:2@b>, <sip:3@b>, <sip:4@b>, <sip:5@b>"),
		one("305 Use Proxy", ua.Failed, "it points to sip:p.example.com; set outbound_proxy, or follow_redirects", never, "Contact: <sip:p.example.com>"),
		one("380 Alternative Service", ua.Failed, "it offers another service instead", never, "Contact: <sip:b.example.com>"),
		one("399 Else", ua.Failed, "it points to sip:b.example.com", never, "Contact: <sip:b.example.com>"),
		one("300 Multiple Choices", ua.Failed, "it names no place to go to", never),
		one(moved, ua.Failed, "it names no place to go to", never, "Contact: <", "Expires: 5"),
		one("305 Use Proxy", ua.Failed, "it names no place to go to", never).with(followed),
		one("380 Alternative Service", ua.Failed, "it offers another service instead", never, "Contact: <sip:b.example.com>").with(followed),

		// 401 and 407 (RFC 3261 22, RFC 7616, RFC 8760).
		one(unauthorized, ua.Refused, "401 Unauthorized: no digest challenge that we can answer: the 401 has none", never),
		one(unauthorized, ua.Refused, `SHA-3 for "home" (unknown algorithm); we could do MD5`, never, `WWW-Authenticate: Digest realm="home", nonce="n", algorithm=SHA-3`),
		one(unauthorized, ua.Refused, "a quotation mark is missing", never, `WWW-Authenticate: Digest realm="home", nonce="n`),
		one(unauthorized, ua.Refused, "no nonce", never, `WWW-Authenticate: Digest realm="home"`),
		one(unauthorized, ua.Refused, "Basic (not Digest)", never, `WWW-Authenticate: Basic realm="home"`),
		one(proxyAsks, ua.Refused, "the 407 has none", never),
		one(unauthorized, ua.Refused, "a password is needed and none is set", never, challenge).with(func(a *ua.Account) { a.Password = nil }),
		exchange("401, credentials", ua.Registered, "", refreshed(120),
			answers(unauthorized, challenge).to("!Authorization"), accepted(`Authorization: Digest username="alice", realm="home", nonce="n1"`)),
		exchange("401 to them too", ua.Refused, "user name or password is wrong", never,
			answers(unauthorized, challenge), answers(unauthorized, otherNonce).to("Authorization: Digest")),
		exchange("stale", ua.Registered, "", refreshed(120),
			answers(unauthorized, challenge), answers(unauthorized, staleNonce), accepted(`nonce="n2"`)),
		exchange("stale, then wrong", ua.Refused, "user name or password is wrong", never,
			answers(unauthorized, challenge), answers(unauthorized, staleNonce), answers(unauthorized, challenge)),
		exchange("stale without end", ua.Refused, "it asks for credentials again and again", never,
			answers(unauthorized, staleNonce), answers(unauthorized, staleNonce), answers(unauthorized, staleNonce), answers(unauthorized, staleNonce), answers(unauthorized, staleNonce)),
		exchange("sent ahead is no try", ua.Refused, "user name or password is wrong", never,
			answers(unauthorized, challenge), accepted(),
			answers(unauthorized, otherNonce).to(`nonce="n1"`).pressed(), answers(unauthorized, challenge).to(`nonce="n2"`)),
		exchange("407", ua.Registered, "", refreshed(120),
			answers(proxyAsks, proxyChallenge), accepted("Proxy-Authorization: Digest", "!\nAuthorization")),
		exchange("401, then 407", ua.Registered, "", refreshed(120),
			answers(unauthorized, challenge), answers(proxyAsks, proxyChallenge).to("\nAuthorization: Digest"),
			accepted("\nAuthorization: Digest", "Proxy-Authorization: Digest")),
		exchange("407, then 401", ua.Registered, "", refreshed(120),
			answers(proxyAsks, proxyChallenge), answers(unauthorized, challenge).to("Proxy-Authorization: Digest"),
			accepted("\nAuthorization: Digest", "Proxy-Authorization: Digest")),
		exchange("both in one", ua.Registered, "", refreshed(120),
			answers(unauthorized, proxyChallenge, challenge), accepted("\nAuthorization: Digest", "Proxy-Authorization: Digest")),
		exchange("several: the topmost that we know", ua.Registered, "", refreshed(120),
			answers(unauthorized, `WWW-Authenticate: Digest realm="home", nonce="n", algorithm=SHA-3, qop="auth"`,
				`WWW-Authenticate: Digest realm="home", nonce="n", algorithm=SHA-256, qop="auth"`, challenge), accepted("algorithm=SHA-256")),
		exchange("several: the topmost that is allowed", ua.Registered, "", refreshed(120),
			answers(unauthorized, `WWW-Authenticate: Digest realm="home", nonce="n", algorithm=SHA-256, qop="auth"`, challenge), accepted("!algorithm=")).
			with(func(a *ua.Account) { a.Digest = []string{"MD5"} }),
		exchange("auth-int alone, of a session", ua.Registered, "", refreshed(120),
			answers(unauthorized, `WWW-Authenticate: Digest realm="home", nonce="n", algorithm=SHA-512-256-sess, qop="auth-int"`),
			accepted("algorithm=SHA-512-256-sess", "qop=auth-int")),

		// 420: what it lacks is left out (RFC 3261 8.1.3.5).
		exchange("420 outbound", ua.Registered, "", refreshed(120),
			answers("420 Bad Extension", "Unsupported: OUTBOUND").to("Supported: path, outbound, gruu", ";reg-id=1"),
			accepted("Supported: path, gruu\r", "!reg-id")),
		exchange("420 all of them", ua.Registered, "", refreshed(120),
			answers("420 Bad Extension", "Unsupported: gruu, outbound", "Unsupported: path"), accepted("!Supported:")),
		exchange("420 once more for what was left out", ua.Failed, "it lacks gruu, which headers may ask for", never,
			answers("420 Bad Extension", "Unsupported: gruu"), answers("420 Bad Extension", "Unsupported: gruu")),
		one("420 Bad Extension", ua.Failed, "it lacks x-mine, which headers may ask for", never, "Unsupported: x-mine").
			with(func(a *ua.Account) { a.Headers = []string{"Require: x-mine"} }),
		one("420 Bad Extension", ua.Failed, "it does not say which extension it lacks", never),
		one("421 Extension Required", ua.Failed, "it requires sec-agree, and we offer path, outbound, gruu", never, "Require: sec-agree"),
		one("421 Extension Required", ua.Failed, "it requires outbound, and we offer path, gruu", never, "Require: outbound").
			with(func(a *ua.Account) { a.NoOutbound = true }),
		one("421 Extension Required", ua.Failed, "it does not say which extension it requires", never),

		// 423 (RFC 3261 10.2.8, 20.23).
		exchange("423", ua.Registered, "", refreshed(7200),
			answers("423 Interval Too Brief", "Min-Expires: 7200").to("Expires: 3600"),
			reply{wants: []string{"Expires: 7200"}, status: "200 OK", headers: []string{"Contact: {contact};expires=7200"}}).
			as(func(r *answerRow) { r.lasts = 7200 }),
		one("423 Interval Too Brief", ua.Failed, "it does not say how long it must be; set expires higher", never),
		one("423 Interval Too Brief", ua.Failed, "it does not say how long", never, "Min-Expires: soon"),
		one("423 Interval Too Brief", ua.Failed, "it wants 60 s at least, and we asked for 3600 s", never, "Min-Expires: 60"),
		one("423 Interval Too Brief", ua.Failed, "and we asked for 3600 s", never, "Min-Expires: 3600"),
		one("423 Interval Too Brief", ua.Failed, "it wants 4294967295 s at least; set expires to that if you mean it", never, "Min-Expires: 99999999999999"),
		exchange("423 without end", ua.Failed, "it wants more each time", never,
			answers("423 Interval Too Brief", "Min-Expires: 3601"), answers("423 Interval Too Brief", "Min-Expires: 3602"), answers("423 Interval Too Brief", "Min-Expires: 3603"),
			answers("423 Interval Too Brief", "Min-Expires: 3604"), answers("423 Interval Too Brief", "Min-Expires: 3605")),

		// 439 (RFC 5626 11.6), and 430, which is a 400 (11.5).
		exchange("439", ua.Registered, "", refreshed(120),
			answers("439 First Hop Lacks Outbound Support").to("reg-id=1", "outbound"), accepted("!reg-id", "!outbound", "+sip.instance")),
		exchange("439 once more", ua.Failed, "a proxy on the way has no outbound, and we do not ask for it", never,
			answers("439 First Hop Lacks Outbound Support"), answers("439 First Hop Lacks Outbound Support")),
		one("430 Flow Failed", ua.Failed, "430 Flow Failed: it cannot read our REGISTER", never),

		// The user is the one to change something.
		one("400 Bad Request", ua.Failed, "400 Bad Request: it cannot read our REGISTER", never),
		one("402 Payment Required", ua.Failed, "it cannot read our REGISTER", never),
		one("405 Method Not Allowed", ua.Failed, "it takes no REGISTER; check registrar", never, "Allow: INVITE"),
		one("406 Not Acceptable", ua.Failed, "it has no answer that we could take", never),
		one("413 Request Entity Too Large", ua.Failed, "our REGISTER is too large; shorten headers and contact_params", never),
		one("414 Request-URI Too Long", ua.Failed, "the URI in registrar is too long", never),
		one("415 Unsupported Media Type", ua.Failed, "it objects to a body, and we sent none", never, "Accept: text/plain"),
		one("416 Unsupported URI Scheme", ua.Failed, "it does not know the scheme", never),
		one("481 Call/Transaction Does Not Exist", ua.Failed, "481 Call/Transaction Does Not Exist", never),
		one("482 Loop Detected", ua.Failed, "our REGISTER went in a circle; check registrar and outbound_proxy", never),
		one("483 Too Many Hops", ua.Failed, "our REGISTER passed too many proxies", never),
		one("484 Address Incomplete", ua.Failed, "check aor", never),
		one("485 Ambiguous", ua.Failed, "check aor", never),
		one("487 Request Terminated", ua.Failed, "487 Request Terminated", never),
		one("488 Not Acceptable Here", ua.Failed, "488 Not Acceptable Here", never),
		one("493 Undecipherable", ua.Failed, "what we sent in the clear", never),
		one("494 Security Agreement Required", ua.Failed, "it wants a security agreement (RFC 3329)", never),
		one("499 Else", ua.Failed, "it cannot read our REGISTER", never),

		// The registrar said no.
		one("403 Forbidden", ua.Refused, "403 Forbidden: it refuses this account; check aor, username and password", never),
		one("404 Not Found", ua.Refused, "it does not know this address; check aor and registrar", never),
		one("410 Gone", ua.Refused, "this address is gone for good", never),
		one("600 Busy Everywhere", ua.Refused, "it is busy", never),
		one("603 Decline", ua.Refused, "it declines", never),
		one("604 Does Not Exist Anywhere", ua.Refused, "this address is known nowhere", never),
		one("606 Not Acceptable", ua.Refused, "it does not accept what we ask for", never),
		one("699 Else", ua.Refused, "it is busy", never),

		// It may go later.
		one("408 Request Timeout", ua.Retrying, "somebody behind it did not answer in time", backedOff),
		one("480 Temporarily Unavailable", ua.Retrying, "it cannot do it now", backedOff),
		one("486 Busy Here", ua.Retrying, "it is busy", backedOff),
		one("500 Server Internal Error", ua.Retrying, "500 Server Internal Error: it failed", backedOff),
		one("501 Not Implemented", ua.Retrying, "it has no REGISTER; check registrar", backedOff),
		one("502 Bad Gateway", ua.Retrying, "a server behind it failed", backedOff),
		one("503 Service Unavailable", ua.Retrying, "it is overloaded, or down for maintenance", backedOff),
		one("504 Server Time-out", ua.Retrying, "a server behind it did not answer", backedOff),
		one("505 Version Not Supported", ua.Retrying, "it does not speak SIP/2.0", backedOff),
		one("513 Message Too Large", ua.Retrying, "our REGISTER is too large", backedOff),
		one("599 Else", ua.Retrying, "599 Else: it failed", backedOff),
		exchange("500, twice: twice as long", ua.Retrying, "it failed", [2]int{60, 120},
			answers("500 Server Internal Error"), answers("500 Server Internal Error").after(60)),

		// What is malformed.
		malformed("no CSeq", ua.Retrying, "no answer within 32 s", 33, backedOff, without("CSeq")),
		malformed("no Via", ua.Retrying, "no answer within 32 s", 33, backedOff, without("Via")),
		malformed("cut off in a header", ua.Retrying, "no answer within 32 s", 33, backedOff, cutAt("\r\nContent-Length")),
		malformed("cut off in its body", ua.Retrying, "no answer within 32 s", 33, backedOff, replaced("Content-Length: 0", "Content-Length: 10")),
		malformed("a status that is no number", ua.Retrying, "no answer within 32 s", 33, backedOff, replaced("200", "2oo")),
		malformed("status 99", ua.Retrying, "no answer within 32 s", 33, backedOff, replaced("200", "99")),
		malformed("another CSeq", ua.Retrying, "the answer does not fit the request: CSeq 7 REGISTER for ", 0, backedOff,
			func(m string) string { return strings.Replace(m, header(m, "CSeq"), "7 REGISTER", 1) }),
		malformed("another Call-ID", ua.Retrying, "the answer does not fit the request: another Call-ID", 0, backedOff,
			func(m string) string { return strings.Replace(m, header(m, "Call-ID"), "another", 1) }),
		malformed("more than one Via", ua.Retrying, "more than one Via", 0, backedOff,
			replaced("\r\nFrom:", "\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx\r\nFrom:")),
		one("700 Else", ua.Failed, "700 Else: that is no status of SIP", never),
		one("1000 Else", ua.Failed, "that is no status of SIP", never),
		one("403 "+strings.Repeat("No", 5000), ua.Refused, "NoNo...: it refuses this account", never).named("a long reason phrase"),

		// 3xx, followed (RFC 3261 8.1.3.4).
		exchange("followed", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:192.0.2.2>"), accepted("REGISTER sip:192.0.2.2 SIP/2.0\r").from("2")).with(followed),
		exchange("a refresh goes where the binding is (10.2.4)", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:192.0.2.2>"), accepted().from("2"), accepted("REGISTER sip:192.0.2.2 SIP/2.0\r").from("2").pressed()).with(followed),
		exchange("and where it was before when that fails (21.3.3)", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:192.0.2.2>"), accepted().from("2"), answers("500 Server Internal Error").from("2").pressed(),
			accepted("REGISTER sip:192.0.2.1:5060 SIP/2.0\r")).with(followed),
		exchange("by q, and the next when one fails", ua.Registered, "", refreshed(120),
			answers("300 Multiple Choices", "Contact: <sip:192.0.2.3>;q=0.2, <sip:192.0.2.2>;q=0.9"), answers("403 Forbidden").from("2"), accepted().from("3")).with(followed),
		exchange("the next when one is silent", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:192.0.2.99>, <sip:192.0.2.2>"), accepted().from("2").after(33)).with(followed),
		exchange("all fail", ua.Refused, "403 Forbidden: it refuses this account; check aor, username and password (sip:192.0.2.2)", never,
			answers(moved, "Contact: <sip:192.0.2.2>"), answers("403 Forbidden").from("2")).with(followed),
		exchange("all fail, for now", ua.Retrying, "500 Server Internal Error: it failed (sip:192.0.2.2)", backedOff,
			answers(moved, "Contact: <sip:192.0.2.2>"), answers("500 Server Internal Error").from("2")).with(followed),
		// The last answer comes up to 30 s late, and its time counts from the request.
		exchange("and the next attempt begins at the registrar", ua.Registered, "", [2]int{refreshed(120)[0] - 30, refreshed(120)[1]},
			answers(moved, "Contact: <sip:192.0.2.2>"), answers("500 Server Internal Error").from("2"), accepted("REGISTER sip:192.0.2.1:5060 SIP/2.0\r").after(60)).with(followed),
		exchange("twice", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:192.0.2.2>"), answers(moved, "Contact: <sip:192.0.2.3>").from("2"), accepted().from("3")).with(followed),
		exchange("a circle", ua.Failed, "it points to sip:192.0.2.1:5060, where we have been (sip:192.0.2.2)", never,
			answers(moved, "Contact: <sip:192.0.2.2>"), answers(moved, "Contact: <sip:192.0.2.1:5060>").from("2")).with(followed),
		exchange("a circle of one", ua.Failed, "it points to sip:192.0.2.1:5060, where we have been", never,
			answers(moved, "Contact: <sip:192.0.2.1:5060>")).with(followed),
		exchange("credentials are asked for anew", ua.Registered, "", refreshed(120),
			answers(unauthorized, challenge), answers(moved, "Contact: <sip:192.0.2.2>").to(`nonce="n1"`),
			answers(unauthorized, otherNonce).from("2"), accepted(`nonce="n2"`).from("2")).with(followed),
		exchange("and refused there", ua.Refused, "user name or password is wrong (sip:192.0.2.2)", never,
			answers(unauthorized, challenge), answers(moved, "Contact: <sip:192.0.2.2>"),
			answers(unauthorized, otherNonce).from("2"), answers(unauthorized, challenge).from("2")).with(followed),
		exchange("neither user nor headers of the URI", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:alice@192.0.2.2;method=INVITE;x=1?Route=%3Csip:evil%3E&Evil=1>"),
			accepted("REGISTER sip:192.0.2.2;x=1 SIP/2.0\r", "!vil").from("2")).with(followed),
		exchange("no sip: URI", ua.Failed, "it points to tel:+1, mailto:a@b, which is no sip: URI", never,
			answers(moved, "Contact: <tel:+1>, <mailto:a@b>")).with(followed),
		exchange("by way of the outbound proxy", ua.Registered, "", refreshed(120),
			answers(moved, "Contact: <sip:b.example.com>").to("REGISTER sip:example.com SIP/2.0\r"),
			accepted("REGISTER sip:b.example.com SIP/2.0\r", "Route: <sip:192.0.2.1:5060;lr>")).with(func(a *ua.Account) {
			a.OutboundProxy, a.Registrar, a.FollowRedirects = []string{a.Registrar}, "sip:example.com", true
		}),
		exchange("305: by way of the proxy that it names", ua.Registered, "", refreshed(120),
			answers("305 Use Proxy", "Contact: <sip:192.0.2.2>"),
			accepted("REGISTER sip:192.0.2.1:5060 SIP/2.0\r", "Route: <sip:192.0.2.2;lr>").from("2"),
			accepted("REGISTER sip:192.0.2.1:5060 SIP/2.0\r", "Route: <sip:192.0.2.2;lr>").from("2").pressed()).with(followed),
	}
	// RFC 3261 20.33: where Retry-After counts, and in which form.
	for _, status := range []string{
		"404 Not Found", "413 Request Entity Too Large", "480 Temporarily Unavailable", "486 Busy Here",
		"500 Server Internal Error", "503 Service Unavailable", "600 Busy Everywhere", "603 Decline", "599 Else",
	} {
		rows = append(rows, one(status, ua.Retrying, status+": it asks to wait 180 s", [2]int{179, 180}, "Retry-After: 180"))
	}
	for _, form := range []string{"180 (in a meeting)", "180;duration=60", "180 ;duration=3600", "180 (a (b) ;c) ;duration=60", "  180", "180\r\nRetry-After: 7"} {
		rows = append(rows, one("503 Service Unavailable", ua.Retrying, "it asks to wait 180 s", [2]int{179, 180}, "Retry-After: "+form))
	}
	for _, form := range []string{"-5", "", "Mon, 21 Jul 1997 18:48:34 GMT", "soon", ";duration=60", "(180)"} {
		rows = append(rows,
			one("503 Service Unavailable", ua.Retrying, "it is overloaded", backedOff, "Retry-After: "+form),
			one("404 Not Found", ua.Refused, "it does not know this address", never, "Retry-After: "+form))
	}
	rows = append(rows,
		one("503 Service Unavailable", ua.Retrying, "it asks to wait 4294967295 s, we wait a day", [2]int{86399, 86400}, "Retry-After: 99999999999999999999"),
		// RFC 5626 4.2.1: at once; but not without end.
		exchange("Retry-After: 0", ua.Registered, "", refreshed(120), answers("503 Service Unavailable", "Retry-After: 0"), accepted()),
		exchange("Retry-After: 0, twice", ua.Retrying, "it asks to wait 0 s", [2]int{60, 120},
			answers("503 Service Unavailable", "Retry-After: 0"), answers("503 Service Unavailable", "Retry-After: 0")),
	)
	for _, status := range []string{"400 Bad Request", "405 Method Not Allowed", "420 Bad Extension", "487 Request Terminated"} {
		rows = append(rows, one(status, ua.Failed, status, never, "Retry-After: 18"))
	}
	for _, status := range []string{"403 Forbidden", "604 Does Not Exist Anywhere"} {
		rows = append(rows, one(status, ua.Refused, status, never, "Retry-After: 18"))
	}
	for _, status := range []string{"408 Request Timeout", "502 Bad Gateway", "504 Server Time-out"} {
		rows = append(rows, one(status, ua.Retrying, status, backedOff, "Retry-After: 18"))
	}
	return rows
}

// Every answer of REGISTER, to the first and to a refresh, leads to a state, to
// an event with the reason in words, and to the next attempt in its time, or to
// none (RFC 3261 8.1.3, 10.2, 10.3, 20.33, 21, 22; RFC 5626 4.2.1, 4.5, 11.5, 11.6).
func TestEveryAnswer(t *testing.T) {
	for _, row := range everyAnswer() {
		t.Run(row.name, func(t *testing.T) { row.run(t, false) })
		if !row.firstOnly {
			t.Run("refresh/"+row.name, func(t *testing.T) { row.run(t, true) })
		}
	}
}

func (row answerRow) run(t *testing.T, refresh bool) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetDelay(5*time.Millisecond, 0)
		servers := map[string]*scripted{}
		for _, last := range []string{"1", "2", "3"} {
			servers[last] = newScripted(t, n.Host("192.0.2."+last), wire.UDP, netip.MustParseAddrPort("192.0.2."+last+":5060"))
		}
		a := account()
		a.Registrar, a.Transport, a.Watch = "sip:"+registrarHost+":5060", wire.UDP, ua.WatchOff
		if row.given != nil {
			row.given(&a)
		}
		r := (&lab{t: t, net: n}).watch(phoneHost, "", a)
		defer r.kill()
		if refresh {
			register := servers["1"].next("REGISTER")
			servers["1"].answer(register, "200 OK", "Contact: "+header(register, "Contact")+";expires=600")
			time.Sleep(time.Minute)
			r.Do("alice", ua.Command{Verb: ua.DoRegister})
		}
		for _, reply := range row.replies {
			time.Sleep(time.Duration(reply.later) * time.Second)
			if reply.press {
				time.Sleep(20 * time.Millisecond)
				r.Do("alice", ua.Command{Verb: ua.DoRegister})
			}
			at := reply.at
			if at == "" {
				at = "1"
			}
			reply.send(t, servers[at])
		}
		time.Sleep(20*time.Millisecond + time.Duration(row.after)*time.Second)
		row.check(t, r)
		row.checkNext(t, r, refresh)
		r.checkNumbers(t)
	})
}

// send answers the next REGISTER of the server.
func (reply reply) send(t *testing.T, s *scripted) {
	t.Helper()
	request := s.next("REGISTER")
	for _, want := range reply.wants {
		not, negative := strings.CutPrefix(want, "!")
		if strings.Contains(request, not) == negative {
			t.Errorf("want %q in\n%s", want, request)
		}
	}
	contact := cmp.Or(reply.contact, header(request, "Contact"))
	_, instance, _ := strings.Cut(contact, "+sip.instance=")
	instance, _, _ = strings.Cut(instance, ";")
	fill := strings.NewReplacer("{contact}", contact, "{instance}", instance)
	var headers []string
	for _, h := range reply.headers {
		headers = append(headers, fill.Replace(h))
	}
	send := s.send
	defer func() { s.send = send }()
	if reply.edit != nil {
		s.send = func(m string) { send(reply.edit(m)) }
	}
	s.answer(request, reply.status, headers...)
}

// check looks at the state, and at the last event that told of it.
func (row answerRow) check(t *testing.T, r *run) {
	t.Helper()
	got := r.state("alice").Registration
	if got.State != row.state || !strings.Contains(got.Reason, row.reason) || row.reason == "" && got.Reason != "" || len(got.Reason) > 300 {
		t.Errorf("%s, %q\nwant %s, %q\n%s", got.State, got.Reason, row.state, row.reason, r.story())
	}
	told := all[ua.RegistrationDetail](r)
	if last := told[len(told)-1]; last.State != got.State || last.Reason != got.Reason || last.Status != got.Status {
		t.Errorf("told %+v of %+v", last, got)
	}
	if left := time.Until(got.ExpiresAt); row.lasts > 0 && (left > time.Duration(row.lasts)*time.Second || left < time.Duration(row.lasts-1)*time.Second) {
		t.Errorf("%v left, want %d s", left, row.lasts)
	}
	found := ""
	for _, d := range all[ua.FindingDetail](r) {
		found += string(d.Code)
	}
	if found != row.finds {
		t.Errorf("findings %q, want %q", found, row.finds)
	}
}

// checkNext lets time pass until the next REGISTER must have gone out.
func (row answerRow) checkNext(t *testing.T, r *run, refresh bool) {
	t.Helper()
	next := row.next
	if refresh && row.refresh != nil {
		next = *row.refresh
	}
	now, before := time.Now(), r.requests("REGISTER")
	retry := r.state("alice").Registration.RetryAt
	if next[0] > 10000 { // too far to go there
		if wait := retry.Sub(now); wait < time.Duration(next[0])*time.Second || wait > time.Duration(next[1])*time.Second {
			t.Errorf("the next try in %v, want %d to %d s", wait, next[0], next[1])
		}
		return
	}
	limit := 35 * time.Minute
	if next != never {
		limit = time.Duration(next[1]+1) * time.Second
	}
	time.Sleep(limit)
	sent := r.registers()
	switch {
	case next == never && len(sent) != before:
		t.Errorf("%d REGISTERs that should not be:\n%s", len(sent)-before, r.story())
	case next == never && !retry.IsZero():
		t.Errorf("a next try is shown, in %v", retry.Sub(now))
	case next == never:
	case len(sent) == before:
		t.Errorf("no REGISTER within %v:\n%s", limit, r.story())
	default:
		at := sent[before].Time
		if took := at.Sub(now); took < time.Duration(next[0]-2)*time.Second || took > time.Duration(next[1])*time.Second {
			t.Errorf("the next REGISTER after %v, want %d to %d s:\n%s", took, next[0], next[1], r.story())
		}
		if row.state == ua.Retrying && !retry.IsZero() && at.Sub(retry).Abs() > time.Second {
			t.Errorf("the next try was shown for %v, and came at %v", retry, at)
		}
	}
}

// registers are the REGISTERs that were sent, without retransmissions.
func (r *run) registers() (out []trace.Message) {
	seen := map[string]bool{}
	for _, m := range r.trace.Messages() {
		if via := header(string(m.Raw), "Via"); m.Direction == trace.Sent && strings.HasPrefix(string(m.Raw), "REGISTER ") && !seen[via] {
			seen[via] = true
			out = append(out, m)
		}
	}
	return out
}

// checkNumbers: over all REGISTERs Call-ID and From tag stay, and each CSeq is one
// higher than the one before (RFC 3261 10.2, 8.1.3.5, 22.2).
func (r *run) checkNumbers(t *testing.T) {
	t.Helper()
	var last int
	var first string
	for i, m := range r.registers() {
		raw := string(m.Raw)
		var cseq int
		fmt.Sscan(header(raw, "CSeq"), &cseq)
		if i == 0 {
			first = raw
		} else if cseq != last+1 || header(raw, "Call-ID") != header(first, "Call-ID") || header(raw, "From") != header(first, "From") {
			t.Errorf("after CSeq %d of\n%s\ncomes\n%s", last, first, raw)
		}
		last = cseq
	}
}

// The same for what takes our contact off and for what asks: neither is tried
// again by itself, a challenge apart, and a query changes nothing of the
// registration.
func TestEveryAnswerToRemovalAndQuery(t *testing.T) {
	const off, wipe, query = ua.DoUnregister, ua.DoRemoveAll, ua.DoQuery
	ours := []string{"Contact: {contact};expires=3600"}
	for _, c := range []struct {
		verb    ua.Verb
		state   ua.RegistrationState
		said    string // in the summary of an event
		replies []reply
	}{
		{off, ua.Unregistered, "unregistered by us", []reply{answers("200 OK").to("Expires: 0")}},
		{off, ua.Unregistered, "unregistered by us", []reply{answers("200 OK", "Contact: {contact};expires=0")}},
		{off, ua.Unregistered, "unregistered by us", []reply{answers("200 OK", "Contact: {contact}")}},
		{off, ua.Unregistered, "unregistered by us", []reply{answers("200 OK", "Contact: <sip:alice@203.0.113.9>;expires=60")}},
		{off, ua.Unregistered, "still lists our contact for 3600 s", []reply{answers("200 OK", ours...)}},
		{off, ua.Unregistered, "unregistered by us", []reply{answers(unauthorized, challenge), answers("200 OK").to("Expires: 0", "Authorization: ")}},
		{off, ua.Unregistered, "not confirmed: 401 Unauthorized: user name or password is wrong", []reply{answers(unauthorized, challenge), answers(unauthorized, challenge)}},
		{off, ua.Unregistered, "unregistered by us", []reply{answers("420 Bad Extension", "Unsupported: path"), answers("200 OK").to("Expires: 0")}},
		{off, ua.Unregistered, "not confirmed: 302 Moved Temporarily: it points to sip:192.0.2.2; only a registration follows", []reply{answers(moved, "Contact: <sip:192.0.2.2>")}},
		{off, ua.Unregistered, "not confirmed: 423 Interval Too Brief", []reply{answers("423 Interval Too Brief", "Min-Expires: 7200")}},
		{off, ua.Unregistered, "not confirmed: 403 Forbidden", []reply{answers("403 Forbidden")}},
		{off, ua.Unregistered, "not confirmed: 503 Service Unavailable: it asks to wait 5 s", []reply{answers(overloaded, "Retry-After: 5")}},
		{off, ua.Unregistered, "not confirmed: no answer within 32 s", []reply{answers("200 OK").cut(without("CSeq"))}},
		{wipe, ua.Unregistered, "unregistered by us", []reply{answers("200 OK").to("Contact: *\r", "Expires: 0")}},
		{wipe, ua.Unregistered, "not confirmed: 400 Bad Request", []reply{answers("400 Bad Request")}},
		{query, ua.Registered, "queried: 1 contact bound, ours among them", []reply{answers("200 OK", ours...).to("!Contact:", "!Expires:")}},
		{query, ua.Registered, "queried: 1 contact bound, ours among them", []reply{answers(unauthorized, challenge), answers("200 OK", ours...)}},
		{query, ua.Registered, "query: 302 Moved Temporarily: it points to", []reply{answers(moved, "Contact: <sip:192.0.2.2>")}},
		{query, ua.Registered, "query: 404 Not Found", []reply{answers("404 Not Found")}},
		{query, ua.Registered, "query: 503 Service Unavailable: it asks to wait 5 s", []reply{answers(overloaded, "Retry-After: 5")}},
		{query, ua.Registered, "query: no answer within 32 s", []reply{answers("200 OK").cut(without("CSeq"))}},
	} {
		t.Run(fmt.Sprint(c.verb, "/", c.said), func(t *testing.T) {
			inScript(t, wire.UDP, func(a *ua.Account) { a.Watch, a.FollowRedirects = ua.WatchOff, true }, func(s *scripted, r *run) {
				register := s.next("REGISTER")
				contact := header(register, "Contact")
				s.answer(register, "200 OK", "Contact: "+contact+";expires=3600")
				r.awaitRegistration(ua.Registered)
				before := len(r.registers())
				r.Do("alice", ua.Command{Verb: c.verb})
				for _, reply := range c.replies {
					reply.contact = contact
					reply.send(t, s)
				}
				e := r.await(c.said, func(e ua.Event) bool { return strings.Contains(e.Summary, c.said) })
				if d := e.Detail.(ua.RegistrationDetail); d.State != c.state || r.state("alice").Registration.State != c.state {
					t.Errorf("told %+v\n%s", d, r.story())
				}
				time.Sleep(10 * time.Minute)
				if n := len(r.registers()) - before; n != len(c.replies) {
					t.Errorf("%d REGISTERs\n%s", n, r.story())
				}
				r.checkNumbers(t)
			})
		})
	}
}
