package ua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/reginfo"
)

// Exchange is what came of a request by hand.
type Exchange struct {
	// Messages are every request as it was sent and every answer as it was read,
	// those sent again and provisional ones too, oldest first, the newest 128.
	// Digest answers in them are masked unless ByHand.Secrets was set.
	Messages  []trace.Message
	Status    int               // of the final answer; 0: none came
	RoundTrip time.Duration     // of the last request
	Contacts  []reginfo.Contact // that a 2xx to a REGISTER lists
	Outcome   string            // in words, from the network in part: "423 Interval Too Brief, answered in 3.0 ms"
	Effect    string            // of a final answer, in words: what it did to the agent's own binding or subscription
}

var (
	errLeaving   = errors.New("the account is about to end")
	errAbandoned = errors.New("given up by who asked for it")
	errCrowd     = errors.New("too many wait for their turn already")
)

// Send sends a request by hand for an account, answers challenges as b says, and
// returns once the final answer is there; a refusal is no error. It takes its
// turn: another by hand or one of the agent's own by that method is waited for,
// and later ones wait for it, since there may be one REGISTER at a time (RFC 3261
// 10.2). A SUBSCRIBE also waits for the first NOTIFY of a dialog that begins. Where
// there is no connection it makes one first. A request within a dialog goes the
// account's way too, whatever next hop the dialog names. It may be called from
// several goroutines.
//
// What a REGISTER does to our own binding is known as our own doing. A 2xx that binds our
// Contact makes us registered for the time that it names, and we refresh it from
// then on; one that removes it leaves us unregistered. With another Call-ID it
// voids our temporary GRUUs (RFC 5627 4.2). Any other answer, or none, changes
// nothing. Another Contact, instance or reg-id is not ours: nobody refreshes it
// or removes it at the end, nor anything that an account binds which only watches.
//
// A SUBSCRIBE to our own registration under the Call-ID of our subscription, or
// without one, is as the agent's own: a 2xx refreshes the subscription or makes
// it, and with "Expires: 0" ends it, and we stay without. Any other answer, or
// none, changes nothing; where it says that there is no such subscription, a
// refresh of our own follows and finds out. All other SUBSCRIBEs (another event,
// id, resource or Call-ID, or "Expires: 0" where we are not subscribed, which is a
// fetch) make subscriptions of their own, which the agent does not keep: nobody
// refreshes them, and their documents are told as events and not believed. A
// tester made them, so their NOTIFYs match a subscription (RFC 6665 4.1.2.4) and
// get a 200: a 481 would end at once what is to be tested. They end when their
// time has run out, by "Expires: 0" under their Call-ID, or behind the end of the
// account: from then on a NOTIFY gets a 481, or no answer, and the notifier
// removes them (4.2.2).
//
// When ctx ends first, Send returns with its error and with the messages so far.
// What waits then is not sent, and nothing more is sent of what has begun; an
// answer that still comes counts. The other errors are a *FieldError, and what
// kept the request from being sent or answered.
func (g *Group) Send(ctx context.Context, account string, b ByHand) (Exchange, error) {
	t, err := g.give(ctx, account, b, false)
	if err != nil {
		return Exchange{}, err
	}
	done := t.wait(ctx)
	return done.exchange, done.err
}

// Render writes the request that Send would send first, as it would stand on the
// wire now: with its Via, whose branch will be another, as a fresh Call-ID will,
// and with its digest answer, masked unless b.Secrets is set. One that is too large
// for UDP is shown as for UDP. It sends nothing and waits for no turn, but for a
// connection where there is none: our Contact names the address that it leaves
// from. Errors are as those of Send.
func (g *Group) Render(ctx context.Context, account string, b ByHand) (string, error) {
	t, err := g.give(ctx, account, b, true)
	if err != nil {
		return "", err
	}
	done := t.wait(ctx)
	return done.text, done.err
}

func (g *Group) give(ctx context.Context, account string, b ByHand, renderOnly bool) (*turn, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	a := g.agent(account)
	if a == nil {
		return nil, fmt.Errorf("there is no account %q", account)
	}
	const kept = 128
	t := &turn{what: b, agent: a, gone: ctx.Done(), renderOnly: renderOnly, trace: trace.NewRing(kept), done: make(chan turnEnd, 1)}
	t.what.Contacts, t.what.Headers, t.what.Without = slices.Clone(b.Contacts), slices.Clone(b.Headers), slices.Clone(b.Without)
	a.post(t)
	return t, nil
}

// turn is a request by hand that waits for its turn, or has it. It belongs to its
// agent's goroutine from when it is posted, but for what wait uses.
type turn struct {
	what       ByHand
	agent      *Agent
	line       *line           // that it goes over, from when it has its turn
	gone       <-chan struct{} // closed: nobody waits for it any more
	renderOnly bool
	trace      *trace.Ring
	done       chan turnEnd // room for one

	creds      *wire.Credentials // made up for CredentialsWrong
	answeredTo []string
	tries      int    // requests sent
	dialog            // of the exchange; set at the first
	cseq       uint32 // of the last request
	turnEffect        // of the last REGISTER
	turnSubscribe
	before struct {
		removed     bool
		others      []boundByHand
		displacedAt time.Time
	}
}

// turnEnd is what the caller waits for.
type turnEnd struct {
	exchange Exchange
	text     string
	err      error
}

// turnEffect is what a request would do.
type turnEffect struct {
	kind   regKind // to our own binding
	ours   bool    // it is for our address-of-record, at our registrar
	asked  uint32  // seconds, for our Contact
	others []boundByHand
}

// handCSeq is the highest CSeq that was sent under a Call-ID by hand.
type handCSeq struct {
	callID  string
	highest uint32
}

// Inputs and effects of a request by hand; a *turn itself is a new one.
type (
	turnDropped struct{ turn *turn } // its caller has gone
	turnResult  struct {
		turn     *turn
		response *wire.Response
		err      error
	}
	sendByHand   struct{ turn *turn }
	renderByHand struct{ turn *turn }
)

// wait is run by the caller.
func (t *turn) wait(ctx context.Context) turnEnd {
	select {
	case done := <-t.done:
		return done
	case <-ctx.Done():
		t.agent.post(turnDropped{t})
		return turnEnd{exchange: t.exchange(), err: ctx.Err()}
	case <-t.agent.done:
	}
	select {
	case done := <-t.done:
		return done
	default:
		return turnEnd{exchange: t.exchange(), err: errLeaving}
	}
}

// exchange is what there is to show so far.
func (t *turn) exchange() Exchange {
	messages := t.trace.Messages()
	for i := range messages {
		if !t.what.Secrets {
			messages[i].Raw = trace.Masked(messages[i].Raw)
		}
	}
	return Exchange{Messages: messages}
}

func (t *turn) abandoned() bool {
	select {
	case <-t.gone:
		return true
	default:
		return false
	}
}

// pending is what the REGISTER under way is to our own binding; "" where there is
// none, or nothing of it was sent yet.
func (a *Agent) pending() regKind { return a.pendingOn(a.line) }

func (a *Agent) pendingOn(l *line) regKind {
	if a.turn != nil && a.turn.line == l && !a.turn.what.subscribes() {
		return a.turn.kind
	}
	return l.reg.inFlight
}

// mayGo reports whether nothing of the agent's own is under way that a request by
// hand has to wait for.
func (a *Agent) mayGo(t *turn) bool {
	if t.what.subscribes() {
		return a.sub.inFlight == "" && (!a.sub.live() || a.sub.confirmed())
	}
	return a.reg.inFlight == ""
}

// asking is whether the answer to a request by hand waits for the password.
func (a *Agent) asking(t *turn) *bool {
	switch {
	case !t.what.subscribes():
		return &t.line.reg.asking
	case a.holds(t):
		return &a.sub.asking
	}
	return &t.waits
}

func (a *Agent) queueByHand(t *turn, now time.Time) {
	const most = 64
	switch {
	case a.leaving != nil:
		t.done <- turnEnd{err: errLeaving}
	case t.renderOnly:
		t.line = a.front
		a.apply([]effect{renderByHand{t}}, now)
	case len(a.turns) >= most:
		t.done <- turnEnd{err: errCrowd}
	default:
		a.turns = append(a.turns, t)
	}
}

// nextByHand gives the turn to the next one, once nothing else is under way.
func (a *Agent) nextByHand(now time.Time) {
	for a.turn == nil && len(a.turns) > 0 && a.mayGo(a.turns[0]) {
		t := a.turns[0]
		a.turns = a.turns[1:]
		a.turn, t.line = t, a.line
		if !t.what.subscribes() {
			a.reg.inFlight = regHand
		}
		t.before.removed, t.before.others, t.before.displacedAt = a.removed, a.id.others, a.displacedAt
		a.apply([]effect{sendByHand{t}}, now)
	}
}

// dropByHand: its caller has gone. A request under way is left to its end, for its
// answer counts.
func (a *Agent) dropByHand(t *turn, now time.Time) {
	a.turns = slices.DeleteFunc(a.turns, func(other *turn) bool { return other == t })
	if a.turn == t && (t.tries == 0 || *a.asking(t)) {
		a.endByHand(t, Exchange{}, errAbandoned, now)
	}
}

// leaveByHand: those that wait are not sent any more, be it for a password only.
func (a *Agent) leaveByHand(now time.Time) {
	for _, t := range a.turns {
		t.done <- turnEnd{err: errLeaving}
	}
	a.turns = nil
	a.handSubs = nil
	if a.turn != nil && *a.asking(a.turn) {
		a.endByHand(a.turn, Exchange{}, errLeaving, now)
	}
}

// failByHand: there is no connection for what waits for one.
func (a *Agent) failByHand(unsent []effect, err error, now time.Time) {
	for _, e := range unsent {
		switch e := e.(type) {
		case sendByHand:
			if e.turn == a.turn {
				a.endByHand(e.turn, Exchange{}, err, now)
			}
		case renderByHand:
			e.turn.done <- turnEnd{err: err}
		}
	}
}

// breakByHand: the way that its request went is no more.
func (a *Agent) breakByHand(cause string, now time.Time) {
	if a.turn != nil && a.turn.line == a.line && a.turn.tries > 0 {
		a.endByHand(a.turn, Exchange{}, fmt.Errorf("%w: %s", wire.ErrTransport, cause), now)
	}
}

// dialogByHand is where a request by hand belongs. To a REGISTER only the Call-ID
// matters.
func (a *Agent) dialogByHand(b ByHand) dialog {
	ours, callID := dialog{callID: a.id.callID}, strings.TrimSpace(b.CallID)
	if b.subscribes() {
		ours = a.sub.dialog
	}
	switch {
	case ours.live() && (callID == "" || callID == ours.callID):
		return ours
	case callID == "" || callID == FreshCallID:
		return freshDialog()
	}
	for _, known := range slices.Backward(a.handSubs) {
		if known.callID == callID {
			return known.dialog
		}
	}
	d := freshDialog()
	d.callID = callID
	return d
}

// makeByHand writes the next request of the exchange, and what it is sent under.
// Where keep is false nothing is counted, for it is not sent.
func (a *Agent) makeByHand(t *turn, keep bool) (r *wire.Request, d dialog, cseq uint32, err error) {
	d, cseq = t.dialog, t.cseq+1
	if t.tries == 0 {
		d = a.dialogByHand(t.what)
		if d.about == "" {
			d.about = a.watched()
		}
		if cseq, err = t.what.cseq(a.highestCSeq(t.what, d.callID)); err != nil {
			return nil, d, 0, err
		}
		if cseq > highestOwnCSeq && a.isOurCallID(t.what, d.callID) {
			return nil, d, 0, &FieldError{"cseq", fmt.Sprintf("%d leaves too few for the agent's own requests under its Call-ID: set call_id too", cseq), ""}
		}
	}
	r = a.requestByHand(t.what, &d, cseq)
	size := len(r.Method) + len(r.URI)
	for _, field := range r.Headers {
		size += len(field.Name) + len(field.Value) + len(": \r\n")
	}
	if size > byHandTotal {
		return nil, d, 0, &FieldError{"headers", fmt.Sprintf("make a request of %d bytes, more than %d", size, byHandTotal), ""}
	}
	if err := a.signByHand(t, r, keep); err != nil {
		return nil, d, 0, err
	}
	return r, d, cseq, nil
}

// isOurCallID reports whether the agent sends its own requests by that method
// under it.
func (a *Agent) isOurCallID(b ByHand, callID string) bool {
	if b.subscribes() {
		return callID == a.sub.callID
	}
	return callID == a.id.callID
}

// highestCSeq is the highest that was sent under a Call-ID. A REGISTER under a new
// one goes on from our own, a dialog begins at 1.
func (a *Agent) highestCSeq(b ByHand, callID string) uint32 {
	if b.subscribes() && callID == a.sub.callID {
		return a.subCSeq
	}
	for _, used := range a.handCSeqs {
		if used.callID == callID {
			return used.highest
		}
	}
	if b.subscribes() {
		return 0
	}
	return a.regCSeq
}

func (a *Agent) noteCSeq(b ByHand, callID string, cseq uint32) {
	if a.isOurCallID(b, callID) {
		ours := &a.regCSeq
		if b.subscribes() {
			ours = &a.subCSeq
		}
		*ours = max(*ours, cseq)
		return
	}
	const kept = 64
	highest := cseq
	a.handCSeqs = slices.DeleteFunc(a.handCSeqs, func(used handCSeq) bool {
		if used.callID == callID {
			highest = max(highest, used.highest)
		}
		return used.callID == callID
	})
	a.handCSeqs = append(a.handCSeqs, handCSeq{callID, highest})
	a.handCSeqs = a.handCSeqs[max(0, len(a.handCSeqs)-kept):]
}

// signByHand puts credentials on the request, or none.
func (a *Agent) signByHand(t *turn, r *wire.Request, keep bool) error {
	creds := a.creds
	switch {
	case t.what.Credentials == CredentialsNone:
		return nil
	case t.what.Credentials == CredentialsWrong:
		if t.creds == nil {
			t.creds = &wire.Credentials{Username: a.account.Username, Password: randomHex(8), Allowed: a.account.Digest}
		}
		return t.creds.Sign(r)
	case t.what.Credentials == CredentialsStale && t.tries == 0:
		creds = creds.Copy()
		creds.Spoil()
	case !keep:
		creds = creds.Copy()
	}
	if err := creds.Sign(r); err != nil {
		return err
	}
	signed := slices.ContainsFunc(r.Headers, func(field wire.Header) bool { return isAuthorization(field.Name) })
	switch {
	case signed || t.tries > 0:
	case t.what.Credentials == CredentialsStale:
		return &FieldError{"credentials", "cannot be stale: no nonce is kept that could be spoilt, register first", ""}
	case t.what.Credentials == CredentialsAhead:
		r.Headers = append(r.Headers, a.introduction(r))
	}
	return nil
}

func (a *Agent) renderByHand(t *turn, now time.Time) {
	request, _, _, err := a.makeByHand(t, false)
	if err != nil {
		t.done <- turnEnd{err: err}
		return
	}
	flow, ctx := a.flow, a.group.ctx
	go func() {
		defer guard.Recover(a.group.options.OnPanic)
		text, err := flow.Render(ctx, request)
		if !t.what.Secrets {
			text = string(trace.Masked([]byte(text)))
		}
		t.done <- turnEnd{text: text, err: err}
	}()
}

// sendByHand sends the next request of an exchange, if it still has its turn.
func (a *Agent) sendByHand(t *turn, now time.Time) {
	if a.turn != t {
		return
	}
	if t.abandoned() {
		a.endByHand(t, Exchange{}, errAbandoned, now)
		return
	}
	if t.tries == 0 && t.what.subscribes() && !a.mayGo(t) {
		// While there was no connection one of the agent's own began to wait for it.
		a.turn, a.turns = nil, slices.Insert(a.turns, 0, t)
		return
	}
	request, d, cseq, err := a.makeByHand(t, true)
	if err != nil {
		a.endByHand(t, Exchange{}, err, now)
		return
	}
	if a.widen(request, sendByHand{t}) {
		return
	}
	t.dialog, t.cseq, t.tries = d, cseq, t.tries+1
	if t.what.subscribes() {
		a.subscribeByHand(t, request, now)
	} else {
		a.registerByHand(t, request, now)
	}
	a.noteCSeq(t.what, t.callID, cseq)
	request.Trace = t.trace
	a.do(request, func(response *wire.Response, err error) any { return turnResult{t, response, err} })
}

// registerByHand notes what a REGISTER by hand that is about to leave may change.
func (a *Agent) registerByHand(t *turn, request *wire.Request, now time.Time) {
	t.turnEffect = a.effectOf(request, now)
	if t.kind != regQuery {
		a.noteSent(sentRegister{callID: t.callID, cseq: t.cseq, kind: t.kind, contact: a.id.contact, byHand: true})
		a.removed = t.kind == regUnbind || t.kind == regWipe || t.kind == regOther && a.removed
		a.id.noteByHand(t.others)
		a.shareByHand()
		if t.kind == regOther && slices.ContainsFunc(t.others, func(b boundByHand) bool { return reginfo.SameURI(b.contact.URI, a.id.contact) }) {
			a.displacedAt = now
		}
	}
}
