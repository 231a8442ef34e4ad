package probe

import (
	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/ua"
)

// strangerRefused has another account watch the first. "Registration state can be
// sensitive information. Therefore, all subscriptions to it SHOULD be
// authenticated and authorized before approval."
func strangerRefused(x *exam) (outcome, error) {
	if x.o.Stranger == nil {
		return notTried("nobody was named who may not watch; --stranger names an account"), nil
	}
	if _, out, err := x.watching(); err != nil || out.verdict != "" {
		return out, err
	}
	if _, out, err := x.bindOwn(ua.ByHand{}); err != nil || out.verdict != "" {
		return out, err
	}
	stranger := plain(*x.o.Stranger)
	stranger.WatchOnly, stranger.WatchURI = true, x.o.Account.AOR
	mark := x.seen.mark()
	return x.with(stranger, func(a *agent) (outcome, error) {
		x.sent = append(x.sent, "SUBSCRIBE; Event: reg; from "+x.o.Stranger.AOR)
		own := x.watched.asked.Header("Call-ID", "i")
		theirs := func(m trace.Message) bool {
			return m.Header("Call-ID", "i") != own && (methodOf(m) == "SUBSCRIBE" || methodOf(m) == "NOTIFY")
		}
		var told *notice
		refused := ""
		_, err := x.seen.await(x.ctx, answerWithin, func() bool {
			for _, n := range notices(x.seen.messages(mark)) {
				if theirs(n.Message) && n.document != nil && told == nil {
					told = &n
				}
				if theirs(n.Message) && n.state == "terminated" {
					refused = "Subscription-State: " + n.Header("Subscription-State", "")
				}
			}
			if state := a.state().Subscription; state.Status >= 300 && (state.State == ua.Unsupported || state.State == ua.Terminated) {
				refused = state.Reason
			}
			return told != nil || refused != ""
		})
		for _, m := range x.seen.messages(mark) {
			if theirs(m) {
				x.messages = append(x.messages, m)
			}
		}
		state := a.state().Subscription
		switch {
		case err != nil:
			return outcome{}, err
		case told != nil && len(contactsOf(told)) > 0:
			return broken("accepted, and told of %s", plural.Count(len(contactsOf(told)), "contact")), nil
		case refused != "":
			return held("%s", refused), nil
		case told != nil:
			return broken("accepted, and told that nobody is bound"), nil
		case state.State == ua.Pending:
			return held("Subscription-State: pending"), nil
		case state.State == ua.Active:
			return broken("accepted; no document came"), nil
		}
		return notTried("neither refused nor accepted within %s: %s", answerWithin, state.Reason), nil
	})
}
