package probe

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

func queried(x *exam) (outcome, error) {
	a, err := x.query()
	switch {
	case err != nil:
		return outcome{}, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	}
	return withTimes(a), nil
}

// withTimes: "Each Contact value MUST feature an expires parameter".
func withTimes(a answer) outcome {
	for _, c := range a.Contacts {
		if !c.Expires.Present {
			return broken("%s: %s without expires", a.short(), c.URI)
		}
	}
	return held("%s", a.short())
}

func authAsked(x *exam) (outcome, error) {
	a, err := x.send(ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut, Credentials: ua.CredentialsNone})
	switch {
	case err != nil:
		return outcome{}, err
	case a.accepted():
		// "A registrar SHOULD authenticate the UAC."
		return notOffered("%s without credentials: anybody may register", a.short()), nil
	case a.Status == 401 && a.final.Header("WWW-Authenticate", "") != "", a.Status == 407 && a.final.Header("Proxy-Authenticate", "") != "":
		return held("%s", a.short()), nil
	}
	return broken("%s, without a challenge", a.short()), nil
}

func bound(x *exam) (outcome, error) {
	a, err := x.bind(x.own, ua.ByHand{})
	switch {
	case err != nil:
		return outcome{}, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	case !a.lists(x.own):
		return broken("%s: ours is not among them", a.short()), nil
	}
	return withTimes(a), nil
}

func expiryGranted(x *exam) (outcome, error) {
	a, out, err := x.bindOwn(ua.ByHand{})
	if err != nil || out.verdict != "" {
		return out, err
	}
	granted, ok := grantedTo(a, x.own)
	switch {
	case !ok:
		return broken("%s, without a time for ours", a.short()), nil
	case granted > uint64(x.expires):
		return broken("asked for %d s, granted %d s", x.expires, granted), nil
	}
	return held("asked for %d s, granted %d s", x.expires, granted), nil
}

// grantedTo is for how many seconds a 2xx says that a contact is bound.
func grantedTo(a answer, c contact) (uint64, bool) {
	if listed, ok := c.in(a.Contacts); ok && listed.Expires.Present {
		return listed.Expires.Value, true
	}
	n, ok := number(a.final, "Expires")
	return uint64(n), ok
}

func refreshed(x *exam) (outcome, error) {
	before, out, err := x.bindOwn(ua.ByHand{})
	if err != nil || out.verdict != "" {
		return out, err
	}
	first, _ := grantedTo(before, x.own)
	if err := x.wait(2*time.Second, "so that a new time differs from the old one"); err != nil {
		return outcome{}, err
	}
	a, err := x.bind(x.own, ua.ByHand{})
	if err != nil {
		return outcome{}, err
	}
	left, _ := grantedTo(a, x.own)
	ours := 0
	for _, c := range a.Contacts {
		if x.isOurs(c) {
			ours++
		}
	}
	switch {
	case !a.accepted():
		return broken("%s", a.short()), nil
	case ours != 1:
		return broken("%s, %d of them ours", a.short(), ours), nil
	case left+1 < first:
		return broken("%d s were granted at first, and %d s are left right after the refresh", first, left), nil
	}
	return held("%s, %d s again", a.short(), left), nil
}

// shortest is what a registrar makes of a time of one second.
type shortest struct {
	first   answer
	minimum uint32 // to be asked for
	refused bool   // a 423 came
	named   bool   // with Min-Expires
	taken   answer // the answer to that minimum
}

// askShortest asks for one second, once a run.
func (x *exam) askShortest() (*shortest, error) {
	if x.shortest != nil {
		return x.shortest, nil
	}
	s := &shortest{minimum: 1}
	c := x.second()
	var err error
	if s.first, err = x.bindFor(1, c, ua.ByHand{}); err != nil {
		return nil, err
	}
	if s.refused = s.first.Status == 423; s.refused {
		if s.minimum, s.named = number(s.first.final, "Min-Expires"); s.named {
			if s.taken, err = x.bindFor(s.minimum, c, ua.ByHand{}); err != nil {
				return nil, err
			}
		}
	}
	x.shortest = s
	return s, nil
}

func tooBrief(x *exam) (outcome, error) {
	s, err := x.askShortest()
	if err != nil {
		return outcome{}, err
	}
	switch {
	case s.first.accepted():
		return notOffered("%s: a second is not too short for it", s.first.short()), nil
	case !s.refused:
		return broken("%s", s.first.short()), nil
	case !s.named:
		return broken("%s, without Min-Expires", s.first.short()), nil
	case s.minimum > 3600:
		// "If and only if the requested expiration interval is ... smaller than one hour"
		return broken("%s, Min-Expires: %d, more than an hour", s.first.short(), s.minimum), nil
	case !s.taken.accepted():
		return broken("%s, Min-Expires: %d; and to that %s", s.first.short(), s.minimum, s.taken.short()), nil
	}
	return held("%s, Min-Expires: %d", s.first.short(), s.minimum), nil
}

func secondBound(x *exam) (outcome, error) {
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	c := x.second()
	a, err := x.bind(c, ua.ByHand{})
	switch {
	case err != nil:
		return outcome{}, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	case !a.lists(c):
		return broken("%s: the second is not among them", a.short()), nil
	case !a.lists(x.own):
		return broken("%s: the first is gone", a.short()), nil
	}
	for _, other := range x.aliens {
		if !slices.ContainsFunc(a.Contacts, func(l reginfo.Contact) bool { return reginfo.SameURI(l.URI, other.URI) }) {
			return broken("%s: %s of another device is gone", a.short(), other.URI), nil
		}
	}
	return held("%s", a.short()), nil
}

func removed(x *exam) (outcome, error) {
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	c := x.second()
	if _, out, err := x.bindOne(c, ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	a, err := x.unbind(c)
	switch {
	case err != nil:
		return outcome{}, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	}
	after, err := x.query()
	switch {
	case err != nil:
		return outcome{}, err
	case after.lists(c):
		return broken("%s, and it is still listed after", a.short()), nil
	case !after.lists(x.own):
		return broken("%s, and the other contact is gone too", a.short()), nil
	}
	return held("%s, the other is still there", a.short()), nil
}

func lowerCSeq(x *exam) (outcome, error) {
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	// Some lower: an answer to a challenge would count one more.
	a, err := x.bind(x.own, ua.ByHand{CSeq: "-4", Q: "0.9"})
	switch {
	case err != nil:
		return outcome{}, err
	case a.accepted():
		return broken("%s", a.short()), nil
	}
	after, err := x.query()
	if err != nil {
		return outcome{}, err
	}
	if listed, ok := x.own.in(after.Contacts); ok && sameQ(listed.Q, "0.9") {
		return broken("%s, and yet the binding has changed", a.short()), nil
	}
	return held("%s", a.short()), nil
}

func otherCallID(x *exam) (outcome, error) {
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	a, err := x.bind(x.own, ua.ByHand{CallID: ua.FreshCallID, CSeq: "1"})
	switch {
	case err != nil:
		return outcome{}, err
	case !a.accepted():
		return broken("%s", a.short()), nil
	case !a.lists(x.own):
		return broken("%s: ours is not among them", a.short()), nil
	}
	return held("%s", a.short()), nil
}

func qKept(x *exam) (outcome, error) {
	const asked = "0.3"
	a, out, err := x.bindOwn(ua.ByHand{Q: asked})
	if err != nil || out.verdict != "" {
		return out, err
	}
	listed, _ := x.own.in(a.Contacts)
	switch {
	case listed.Q == "":
		return broken("%s, ours without q", a.short()), nil
	case !sameQ(listed.Q, asked):
		return broken("%s, ours with q=%s", a.short(), listed.Q), nil
	}
	return held("%s, ours with q=%s", a.short(), listed.Q), nil
}

func sameQ(a, b string) bool {
	left, err := strconv.ParseFloat(a, 64)
	right, other := strconv.ParseFloat(b, 64)
	return err == nil && other == nil && left == right
}

func parametersKept(x *exam) (outcome, error) {
	const name, value = "x-probe", "kept"
	a, out, err := x.bindOwn(ua.ByHand{ContactParams: name + "=" + value})
	if err != nil || out.verdict != "" {
		return out, err
	}
	listed, _ := x.own.in(a.Contacts)
	for _, p := range listed.Params {
		if !strings.EqualFold(p.Name, name) {
			continue
		}
		if p.Value != value {
			return broken("%s, ours with %s=%s", a.short(), name, p.Value), nil
		}
		return held("%s, ours with %s=%s", a.short(), name, value), nil
	}
	return notOffered("%s, ours without %s", a.short(), name), nil
}

func pathCopied(x *exam) (outcome, error) {
	c := x.second()
	path := "<sip:" + c.address() + ";lr>"
	a, err := x.bind(c, ua.ByHand{Headers: []string{"Path: " + path}})
	if err != nil {
		return outcome{}, err
	}
	got := a.final.Header("Path", "")
	switch {
	case a.Status == 420:
		return notOffered("%s, Unsupported: %s", a.short(), a.final.Header("Unsupported", "")), nil
	case !a.accepted():
		return broken("%s", a.short()), nil
	case got == "":
		return notOffered("%s, without Path", a.short()), nil
	case !strings.Contains(got, c.address()):
		return broken("%s, with Path: %s", a.short(), got), nil
	}
	return held("%s, with Path: %s", a.short(), got), nil
}

func unknownRequired(x *exam) (outcome, error) {
	const tag = "regwatch-probe"
	a, err := x.send(ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut, Headers: []string{"Require: " + tag}})
	switch {
	case err != nil:
		return outcome{}, err
	case a.Status != 420:
		return broken("%s", a.short()), nil
	case !has(a.final, "Unsupported", "", tag):
		return broken("%s, Unsupported: %q", a.short(), a.final.Header("Unsupported", "")), nil
	}
	return held("%s, Unsupported: %s", a.short(), tag), nil
}

// oneAnswer looks back at all requests of the run.
func oneAnswer(x *exam) (outcome, error) {
	all := x.seen.messages(0)
	statuses := make(map[string]int)
	requests := 0
	for _, m := range all {
		status := statusOf(m)
		if m.Direction != trace.Received || status < 200 {
			continue
		}
		key := branchOf(m)
		before, known := statuses[key]
		statuses[key] = status
		switch {
		case !known:
			requests++
		case before != status:
			x.messages = slices.DeleteFunc(all, func(m trace.Message) bool { return branchOf(m) != key })
			return broken("%s got %d, and then %d", m.Header("CSeq", ""), before, status), nil
		}
	}
	return held("%s, one final answer each", plural.Count(requests, "request")), nil
}

func wrongQuery(x *exam) (outcome, error) {
	// An account that this locks could not remove what is bound.
	for _, c := range slices.Clone(x.bound) {
		if _, err := x.unbind(c); err != nil {
			return outcome{}, err
		}
	}
	a, err := x.send(ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut, Credentials: ua.CredentialsWrong})
	if err != nil {
		return outcome{}, err
	}
	return refusal(a), nil
}

// refusal judges the answer to wrong credentials. Where none are asked for, none
// were sent.
func refusal(a answer) outcome {
	challenged := slices.ContainsFunc(a.Messages, func(m trace.Message) bool {
		return m.Direction == trace.Received && (statusOf(m) == 401 || statusOf(m) == 407)
	})
	switch {
	case a.accepted() && !challenged:
		return notOffered("%s: no credentials are asked for", a.short())
	case a.accepted():
		return broken("%s to a wrong password", a.short())
	}
	return held("%s", a.short())
}

func (x *exam) withoutRefusals() (outcome, bool) {
	return notTried("one request with a wrong password is enough for a run; --refusals sends more"), !x.o.Refusals
}

func wrongBinding(x *exam) (outcome, error) {
	if out, skip := x.withoutRefusals(); skip {
		return out, nil
	}
	c := x.second()
	a, err := x.bind(c, ua.ByHand{Credentials: ua.CredentialsWrong})
	if err != nil {
		return outcome{}, err
	}
	out := refusal(a)
	after, err := x.query()
	if err == nil && out.verdict == Held && after.lists(c) {
		out = broken("%s, and yet it is bound", a.short())
	}
	return out, err
}

func wrongRemoval(x *exam) (outcome, error) {
	if out, skip := x.withoutRefusals(); skip {
		return out, nil
	}
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	a, err := x.send(ua.ByHand{Contacts: []string{x.own.value("", "")}, Expires: "0", Credentials: ua.CredentialsWrong})
	if err != nil {
		return outcome{}, err
	}
	out := refusal(a)
	after, err := x.query()
	if err == nil && out.verdict == Held && !after.lists(x.own) {
		out = broken("%s, and yet the contact is gone", a.short())
	}
	return out, err
}
