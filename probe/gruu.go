package probe

import (
	"strings"
	"time"

	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

// gruusOf binds the device and returns its contact with the GRUUs that it was
// given; out has a verdict where there are none.
func (x *exam) gruusOf(b ua.ByHand) (reginfo.Contact, outcome, error) {
	a, out, err := x.bindOwn(b)
	if err != nil || out.verdict != "" {
		return reginfo.Contact{}, out, err
	}
	ours, _ := x.own.in(a.Contacts)
	if ours.PubGRUU == "" && ours.TempGRUU == "" {
		out = notOffered("%s, ours without pub-gruu and temp-gruu", a.short())
	}
	return ours, out, nil
}

func gruuGiven(x *exam) (outcome, error) {
	ours, out, err := x.gruusOf(ua.ByHand{})
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case ours.PubGRUU == "":
		// 5.1: "the registrar SHOULD construct a public GRUU"
		return notOffered("a temporary one only: %s", ours.TempGRUU), nil
	case ours.TempGRUU == "":
		return held("a public one only: %s", ours.PubGRUU), nil
	}
	return held("public %s, temporary %s", ours.PubGRUU, ours.TempGRUU), nil
}

func gruuStays(x *exam) (outcome, error) {
	first, out, err := x.gruusOf(ua.ByHand{})
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case first.PubGRUU == "":
		return notOffered("no public GRUU"), nil
	}
	plain, _, isGRUU := strings.Cut(first.PubGRUU, ";gr=")
	if !isGRUU || !sameAOR(plain, x.o.Account.AOR) {
		return broken("%s is not %s with a gr parameter", first.PubGRUU, x.o.Account.AOR), nil
	}
	if _, err := x.unbind(x.own); err != nil {
		return outcome{}, err
	}
	again, out, err := x.gruusOf(ua.ByHand{})
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case !reginfo.SameURI(first.PubGRUU, again.PubGRUU):
		return broken("%s at first, %s after the contact was removed and bound again", first.PubGRUU, again.PubGRUU), nil
	}
	return held("%s, also after the contact was removed and bound again", again.PubGRUU), nil
}

// sameAOR passes over the scheme: a GRUU for a sips: contact is a sips: one.
func sameAOR(a, b string) bool {
	plain := func(uri string) string { return "sip:" + strings.TrimPrefix(strings.TrimPrefix(uri, "sips:"), "sip:") }
	return reginfo.SameURI(plain(a), plain(b))
}

func gruuChanges(x *exam) (outcome, error) { return x.nextTemporary(ua.ByHand{}) }

func gruuVoid(x *exam) (outcome, error) { return x.nextTemporary(ua.ByHand{CallID: ua.FreshCallID}) }

// nextTemporary looks whether a second REGISTER brings another temporary GRUU. It
// should; and under another Call-ID it must, since the one before is void.
func (x *exam) nextTemporary(b ua.ByHand) (outcome, error) {
	first, out, err := x.gruusOf(ua.ByHand{})
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case first.TempGRUU == "":
		return notOffered("no temporary GRUU"), nil
	}
	again, out, err := x.gruusOf(b)
	switch {
	case err != nil || out.verdict != "":
		return out, err
	case again.TempGRUU != first.TempGRUU:
		return held("%s, then %s", first.TempGRUU, again.TempGRUU), nil
	case b.CallID == "":
		return notOffered("the same again: %s", again.TempGRUU), nil
	}
	return broken("the same again: %s", again.TempGRUU), nil
}

// gruuReached has an agent register as a phone does, and ping its own GRUU
// through the registrar.
func gruuReached(x *exam) (outcome, error) {
	if _, out, err := x.gruusOf(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	phone := plain(x.o.Account)
	phone.Expires, phone.Watch = x.expires, ua.WatchOff
	return x.with(phone, func(a *agent) (outcome, error) {
		const within = 35 * time.Second
		ok, err := x.seen.await(x.ctx, within, func() bool { return len(a.state().GRUUs) > 0 })
		if err != nil || !ok {
			return notTried("the phone that is to be pinged got no GRUU: %s", a.state().Registration.Reason), err
		}
		mark := x.seen.mark()
		x.sent = append(x.sent, "OPTIONS "+a.state().GRUUs[len(a.state().GRUUs)-1].URI)
		a.group.Do(a.name, ua.Command{Verb: ua.DoPing})
		var back, answered *trace.Message
		_, err = x.seen.await(x.ctx, within, func() bool {
			for _, m := range x.seen.messages(mark) {
				switch status := statusOf(m); {
				case methodOf(m) != "OPTIONS" || m.Direction != trace.Received:
				case status == 0:
					back = &m
				case status >= 200 && status != 401 && status != 407:
					answered = &m
				}
			}
			return answered != nil
		})
		x.messages = append(x.messages, x.seen.messages(mark)...)
		switch {
		case err != nil:
			return outcome{}, err
		case back != nil:
			return held("it came back to us"), nil
		case answered == nil:
			return broken("nothing came, neither the request nor a final answer to it"), nil
		case statusOf(*answered) == 405 || statusOf(*answered) == 501:
			return notOffered("%s: who answers is no proxy", answered.StartLine()), nil
		}
		return broken("it did not come back to us: %s", answered.StartLine()), nil
	})
}
