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

// Exchange is what came of a REGISTER by hand.
type Exchange struct {
	// Messages are every request as it was sent and every answer as it was read,
	// those sent again and provisional ones too, oldest first, the newest 128.
	// Digest answers in them are masked unless ByHand.Secrets was set.
	Messages  []trace.Message
	Status    int               // of the final answer; 0: none came
	RoundTrip time.Duration     // of the last request
	Contacts  []reginfo.Contact // that a 2xx lists
	Outcome   string            // in words, from the network in part: "423 Interval Too Brief, answered in 3.0 ms"
}

var (
	errLeaving   = errors.New("the account is about to end")
	errAbandoned = errors.New("given up by who asked for it")
	errCrowd     = errors.New("too many wait for their turn already")
)

// Send sends a REGISTER by hand for an account, answers challenges as b says, and
// returns once the final answer is there; a refusal is no error. It takes its
// turn: a REGISTER under way is waited for, and later ones wait for it, since
// there may be one at a time (RFC 3261 10.2). Where there is no connection it
// makes one first. It may be called from several goroutines.
//
// What it does to our own binding is known as our own doing. A 2xx that binds our
// Contact makes us registered for the time that it names, and we refresh it from
// then on; one that removes it leaves us unregistered. With another Call-ID it
// voids our temporary GRUUs (RFC 5627 4.2). Any other answer, or none, changes
// nothing. Another Contact, instance or reg-id is not ours: nobody refreshes it
// or removes it at the end, nor anything that an account binds which only watches.
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

// turn is a REGISTER by hand that waits for its turn, or has it. It belongs to its
// agent's goroutine from when it is posted, but for what wait uses.
type turn struct {
	what       ByHand
	agent      *Agent
	gone       <-chan struct{} // closed: nobody waits for it any more
	renderOnly bool
	trace      *trace.Ring
	done       chan turnEnd // room for one

	creds      *wire.Credentials // made up for CredentialsWrong
	answeredTo []string
	tries      int    // requests sent
	callID     string // of the exchange; set at the first
	cseq       uint32 // of the last request
	turnEffect        // of the last request
	before     struct {
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

// Inputs and effects of a REGISTER by hand; a *turn itself is a new one.
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
func (a *Agent) pending() regKind {
	if a.turn != nil {
		return a.turn.kind
	}
	return a.reg.inFlight
}

func (a *Agent) queueByHand(t *turn, now time.Time) {
	const most = 64
	switch {
	case a.leaving != nil:
		t.done <- turnEnd{err: errLeaving}
	case t.renderOnly:
		a.apply([]effect{renderByHand{t}}, now)
	case len(a.turns) >= most:
		t.done <- turnEnd{err: errCrowd}
	default:
		a.turns = append(a.turns, t)
	}
}

// nextByHand gives the turn to the next one, once nothing else is under way.
func (a *Agent) nextByHand(now time.Time) {
	for a.reg.inFlight == "" && len(a.turns) > 0 {
		t := a.turns[0]
		a.turns = a.turns[1:]
		a.turn, a.reg.inFlight = t, regHand
		t.before.removed, t.before.others, t.before.displacedAt = a.removed, a.id.others, a.displacedAt
		a.apply([]effect{sendByHand{t}}, now)
	}
}

// dropByHand: its caller has gone. A request under way is left to its end, for its
// answer counts.
func (a *Agent) dropByHand(t *turn, now time.Time) {
	a.turns = slices.DeleteFunc(a.turns, func(other *turn) bool { return other == t })
	if a.turn == t && (t.tries == 0 || a.reg.asking) {
		a.endByHand(t, Exchange{}, errAbandoned, now)
	}
}

// leaveByHand: those that wait are not sent any more, be it for a password only.
func (a *Agent) leaveByHand(now time.Time) {
	for _, t := range a.turns {
		t.done <- turnEnd{err: errLeaving}
	}
	a.turns = nil
	if a.turn != nil && a.reg.asking {
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
	if a.turn != nil && a.turn.tries > 0 {
		a.endByHand(a.turn, Exchange{}, fmt.Errorf("%w: %s", wire.ErrTransport, cause), now)
	}
}

// makeByHand writes the next request of the exchange, and what it is sent under.
// Where keep is false nothing is counted, for it is not sent.
func (a *Agent) makeByHand(t *turn, keep bool) (r *wire.Request, callID string, cseq uint32, err error) {
	callID, cseq = t.callID, t.cseq+1
	if t.tries == 0 {
		switch callID = a.id.callID; t.what.CallID {
		case "":
		case FreshCallID:
			callID = randomHex(12)
		default:
			callID = strings.TrimSpace(t.what.CallID)
		}
		if cseq, err = t.what.cseq(a.highestCSeq(callID)); err != nil {
			return nil, "", 0, err
		}
		if callID == a.id.callID && cseq > highestOwnCSeq {
			return nil, "", 0, &FieldError{"cseq", fmt.Sprintf("%d leaves too few for the agent's own REGISTERs under its Call-ID: set call_id too", cseq), ""}
		}
	}
	r = a.requestByHand(t.what, callID, cseq)
	size := len(r.Method) + len(r.URI)
	for _, field := range r.Headers {
		size += len(field.Name) + len(field.Value) + len(": \r\n")
	}
	if size > byHandTotal {
		return nil, "", 0, &FieldError{"headers", fmt.Sprintf("make a request of %d bytes, more than %d", size, byHandTotal), ""}
	}
	if err := a.signByHand(t, r, keep); err != nil {
		return nil, "", 0, err
	}
	return r, callID, cseq, nil
}

// highestCSeq is the highest that was sent under a Call-ID. One that is new goes
// on from our own.
func (a *Agent) highestCSeq(callID string) uint32 {
	for _, used := range a.handCSeqs {
		if used.callID == callID {
			return used.highest
		}
	}
	return a.regCSeq
}

func (a *Agent) noteCSeq(callID string, cseq uint32) {
	if callID == a.id.callID {
		a.regCSeq = max(a.regCSeq, cseq)
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
	request, callID, cseq, err := a.makeByHand(t, true)
	if err != nil {
		a.endByHand(t, Exchange{}, err, now)
		return
	}
	if a.widen(request, sendByHand{t}) {
		return
	}
	t.callID, t.cseq, t.tries = callID, cseq, t.tries+1
	t.turnEffect = a.effectOf(request, now)
	a.noteCSeq(callID, cseq)
	if t.kind != regQuery {
		a.noteSent(sentRegister{callID: callID, cseq: cseq, kind: t.kind, contact: a.id.contact, byHand: true})
		a.removed = t.kind == regUnbind || t.kind == regWipe || t.kind == regOther && a.removed
		a.id.noteByHand(t.others)
		if t.kind == regOther && slices.ContainsFunc(t.others, func(b boundByHand) bool { return reginfo.SameURI(b.contact.URI, a.id.contact) }) {
			a.displacedAt = now
		}
	}
	request.Trace = t.trace
	a.do(request, func(response *wire.Response, err error) any { return turnResult{t, response, err} })
}
