package ua

import (
	"fmt"
	"net/netip"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

// Agent is the user agent of one account. Everything in it belongs to the
// goroutine of run; post is the only way in.
type Agent struct {
	group   *Group
	account Account
	aor     wire.URI
	local   netip.AddrPort
	inbox   chan any
	done    chan struct{}

	*line         // at hand: the front one, but while what belongs to another is done
	lines []*line // one for each outbound proxy, in the account's order
	front *line   // that the subscription and what the user asks for go over

	creds       *wire.Credentials
	secret      secretState
	secretFault error    // why there is no password
	onSecret    []func() // what waits for the password
	identities  []string // P-Associated-URI of the last 2xx

	sub       subscription
	subCSeq   uint32
	subVia    *wire.Flow // that the last SUBSCRIBE went over: its Contact names it
	subPeer   netip.Addr // that the SUBSCRIBE went to which began the dialog
	astray    string     // the next hop of a dialog at which nobody answered over this flow
	askedAll  time.Time  // when full state was last asked for
	askAll    time.Time  // when it is to be asked for again; zero: not
	tellBy    time.Time  // by when a document should tell of our last REGISTER; zero: it did
	tells     bool       // this notifier tells of our REGISTERs
	documents int        // applied in this dialog

	table    *reginfo.Table
	matches  matches
	origins  map[boundKey]Origin
	gone     []Binding // removed contacts that are still shown
	goneAt   []time.Time
	ownSeen  bool // a contact of ours was ever recognised in a document
	ledger   ledger
	kicks    uint64          // so many there were; the last one's Prompt.ID
	reported map[string]bool // findings already told
	document Document        // the last one applied
	received []Document      // the last ones that came
	keeps    int             // so many of them

	ping     *ping // under way; nil: none
	lastPing Ping

	scrutiny scrutiny
	truths   truths
	poller   poller
	quiet    bool               // the query under way is not the user's
	fullSeen bool               // a full document was applied in this dialog
	watching SubscriptionDetail // as last told

	turns     []*turn    // requests by hand that wait for it
	turn      *turn      // the one that has it; nil: none
	handSubs  []handSub  // subscriptions by hand that are not our own
	handCSeqs []handCSeq // highest CSeqs under Call-IDs that are not id.callID

	state   *stateFile
	notices []string
	beginAt time.Time // zero: it has begun, or a person did it
	leaving *goodbye

	cause    uint64 // number in the trace of the message that is being handled; 0: none
	news     []news
	last     *Snapshot
	snapshot bool // the state may differ from last
}

type heldChange struct {
	change reginfo.Change
	at     time.Time
	cause  uint64 // that it was read from, see Event.Message
}

type secretState int

const (
	secretUnknown secretState = iota
	secretLoading
	secretLoaded
)

// Inputs of the agent's goroutine, besides Command and *wire.Incoming.
type (
	goodbye    struct{ leave bool }
	flowResult struct {
		flow    *wire.Flow
		target  wire.Target   // that the flow goes to
		targets []wire.Target // that there were
		hop     string        // the URI that they were found by
		err     error
	}
	flowGone       struct{ flow *wire.Flow }
	registerResult struct {
		flow     *wire.Flow
		cseq     uint32
		response *wire.Response
		err      error
	}
	subscribeResult struct {
		flow     *wire.Flow
		hop      string // that it went to by itself; "": over the account's flow
		astray   string // the hop that there was no way to, or ""
		callID   string
		cseq     uint32
		response *wire.Response
		err      error
	}
	secretResult struct {
		password string
		err      error
	}
)

// inboxSize bounds what waits for an agent. More than that, and the network's
// own queues fill, which is where floods are dropped.
const inboxSize = 64

// startAgent makes the agent of an account, which begins by itself at a time and
// keeps so many documents.
func startAgent(g *Group, account Account, beginAt time.Time, keeps int) *Agent {
	a := &Agent{
		group: g, account: account, beginAt: beginAt, keeps: keeps,
		inbox: make(chan any, inboxSize), done: make(chan struct{}),
		creds:    &wire.Credentials{Username: account.Username, HA1: account.HA1, Allowed: account.Digest},
		sub:      subscription{expires: account.SubscribeExpires, ims: account.IMS, mayPoll: account.Watch == "" || account.Watch == WatchAuto},
		poller:   poller{every: account.PollInterval},
		matches:  make(matches),
		origins:  make(map[boundKey]Origin),
		reported: make(map[string]bool),
		snapshot: true,
	}
	if account.AKA.Set() {
		a.creds.AKA, _ = wire.NewAKA(account.AKA) // Check has read it
	}
	for n := range account.Flows() {
		a.lines = append(a.lines, newLine(account, n))
	}
	a.line, a.front = a.lines[0], a.lines[0]
	a.aor, _ = parseAOR(account.AOR)
	a.local, _ = parseLocal(account.LocalAddress)
	versions := reginfo.Tolerant
	if account.StrictVersions {
		versions = reginfo.Strict
	}
	a.table = reginfo.NewTable(versions)
	if account.TLS.InsecureSkipVerify {
		a.notices = append(a.notices, "TLS certificates are not checked (insecure_skip_verify): anybody may be listening")
	}
	if g.options.KeyLog != nil {
		a.notices = append(a.notices, "TLS keys are written down: whoever reads the key log reads everything")
	}
	// RFC 3261 8.1.1.5 leaves the first number open. The clock's never goes back
	// from run to run, even where the last write of a run was lost.
	for _, l := range a.lines {
		l.regCSeq = uint32(g.now().Unix() & 0x7fffffff)
	}
	go func() {
		defer close(a.done)
		defer func() { a.state.close() }()
		defer guard.Recover(g.options.OnPanic)
		a.run()
	}()
	return a
}

// post hands an input to the agent. It blocks while the inbox is full, and does
// nothing once the agent has ended.
func (a *Agent) post(input any) {
	select {
	case a.inbox <- input:
	case <-a.done:
	}
}

func (a *Agent) run() {
	first, ended := a.awaitTurn()
	if ended {
		return
	}
	a.work()
	defer a.rest()
	a.remember()
	a.notice(a.group.now())
	a.tick(a.group.now())
	if first != nil {
		a.handle(first, a.group.now())
	}
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		a.chooseFront(a.group.now())
		a.line = a.front
		a.nextByHand(a.group.now())
		a.flush(a.group.now())
		if a.leaving != nil && a.left() {
			return
		}
		if at := a.next(); at.IsZero() {
			alarm.Stop()
		} else {
			alarm.Reset(at.Sub(a.group.now()))
		}
		a.rest()
		select {
		case input := <-a.inbox:
			a.work()
			a.handle(input, a.group.now())
		case <-alarm.C:
			a.work()
			a.tick(a.group.now())
		case <-a.group.ctx.Done():
			a.work()
			return
		}
	}
}

// atWork is how many agents are at work at a time. The others wait, their inputs
// with them. Go has no priorities: were thousands ready to run at once, whoever reads
// the socket would get a turn among them each second or so, and what comes would be
// lost meanwhile, and sent again.
const atWork = 16

// work waits for a place among those at work, and rest gives it back: before
// waiting for anything.
func (a *Agent) work() { a.group.atWork <- struct{}{} }
func (a *Agent) rest() { <-a.group.atWork }

// awaitTurn waits until the account begins, or something comes before: that is given.
// Until then nothing is opened, so that thousands do not do it at once.
func (a *Agent) awaitTurn() (first any, ended bool) {
	turn := time.NewTimer(a.beginAt.Sub(a.group.now()))
	defer turn.Stop()
	select {
	case <-turn.C:
	case first = <-a.inbox:
		_, ended = first.(goodbye)
	case <-a.group.ctx.Done():
		ended = true
	}
	return first, ended
}

// notice tells what there is to know before it begins.
func (a *Agent) notice(now time.Time) {
	for _, notice := range a.notices {
		a.tell(now, notice, RegistrationDetail{State: Registering, AOR: a.account.AOR, Reason: notice})
	}
}

func (a *Agent) begin(now time.Time) {
	a.beginAt = time.Time{}
	if !a.account.WatchOnly {
		a.eachLine(func() { a.apply(a.reg.want(regBind, now), now) })
		return
	}
	a.watch(now)
}

// watch begins to watch as the account has it.
func (a *Agent) watch(now time.Time) {
	switch {
	case a.account.Watch == WatchOff:
	case a.account.Watch == WatchPoll:
		a.apply(a.sub.poll("by setting", now), now)
	default:
		a.apply(a.sub.want(now), now)
	}
}

func (a *Agent) handle(input any, now time.Time) {
	if of, is := input.(onLine); is {
		defer a.use(of.line)()
		input = of.input
	}
	a.snapshot = true
	a.elsewhere()
	a.cause = a.messageOf(input)
	defer func() { a.cause = 0 }()
	switch input := input.(type) {
	case Command:
		a.command(input, now)
	case *wire.Incoming:
		input.At = now // by the clock that everything else here goes by
		a.incoming(input, now)
	case registerResult:
		a.registerResult(input, now)
	case subscribeResult:
		a.subscribeResult(input, now)
	case flowResult:
		a.connected(input, now)
	case widened:
		a.widened(input, now)
	case flowGone:
		a.flowGone(input, now)
	case keepAliveResult:
		a.keepAliveResult(input, now)
	case wire.Unreachable:
		a.unreachable(input, now)
	case wire.Stray:
		a.stray(input, now)
	case secretResult:
		a.secretResult(input)
	case pingResult:
		a.pingDone(input, now)
	case clockJumped:
		a.clockJumped(input, now)
	case networkChanged:
		a.eachLine(func() { a.networkChanged(now) })
	case *turn:
		a.queueByHand(input, now)
	case turnDropped:
		a.dropByHand(input.turn, now)
	case turnResult:
		a.byHandResult(input, now)
	case goodbye:
		a.goodbye(input, now)
	}
}

func (a *Agent) command(c Command, now time.Time) {
	if a.leaving != nil {
		return
	}
	switch c.Verb {
	case DoRegister:
		if a.account.WatchOnly {
			return
		}
		a.beginAt, a.sub.barred = time.Time{}, notBarred
		a.eachLine(func() {
			a.reaction.automatic, a.reaction.war = false, nil
			a.reaction.acted()
			a.reaction.automatic = false
			a.reg.failures = 0 // what a person begins is not backed off from
			a.apply(a.reg.want(regBind, now), now)
		})
	case DoUnregister:
		a.beginAt = time.Time{}
		a.eachLine(func() {
			a.reaction.clear() // also what was to happen by itself
			a.apply(a.reg.want(regUnbind, now), now)
		})
	case DoQuery:
		a.query(false, now)
	case DoRemoveAll:
		a.eachLine(func() {
			a.reaction.clear()
			kind := regUnbind // what is bound over the others is to stay off as well
			if a.line == a.front {
				kind = regWipe
			}
			a.apply(a.reg.want(kind, now), now)
		})
	case DoSubscribe:
		a.apply(a.sub.ask(now), now)
	case DoUnsubscribe:
		a.poller.stop()
		a.apply(a.sub.unsubscribe(now), now)
	case DoPing:
		a.pingGRUU(now)
	case DoIgnore:
		a.eachLine(func() {
			if p, ok := a.reaction.ignore(c.Prompt); ok {
				a.tell(now, fmt.Sprintf("%s%s: left as it is", a.flowWord(), p.On), p.action(now))
			}
		})
	}
}

func (a *Agent) tick(now time.Time) {
	a.snapshot = true
	if due(a.beginAt, now) {
		a.begin(now)
	}
	a.elsewhere()
	a.eachLine(func() {
		if a.leaving == nil && a.reaction.due(now) {
			a.reaction.acted()
			a.apply(a.reg.want(regBind, now), now)
		}
		a.apply(a.reg.tick(now), now)
	})
	a.apply(a.sub.tick(now), now)
	a.eachLine(func() {
		a.apply(a.keep.tick(now), now)
		a.settleDeferred(now)
	})
	if due(a.askAll, now) {
		a.askFull(now)
	}
	if due(a.poller.at, now) {
		a.polled(now)
	}
	if due(a.scrutiny.lapseToldBy, now) {
		a.lapseDue(now)
	}
	if due(a.truths.again, now) {
		a.truths.again = time.Time{}
		a.compareTruths(now)
	}
	if due(a.truths.verifyAt, now) {
		a.truths.verifyAt = time.Time{}
		if a.account.Settle == SettleAuto && a.some((*line).registered) && a.leaving == nil {
			a.query(true, now)
		}
	}
	if due(a.tellBy, now) {
		// It told before and does not now: does it still have our subscription?
		a.tellBy = time.Time{}
		if a.tells && a.sub.confirmed() {
			a.askFull(now)
		}
	}
	for len(a.goneAt) > 0 && !now.Before(a.goneAt[0]) {
		a.gone, a.goneAt = a.gone[1:], a.goneAt[1:]
	}
}

func (a *Agent) next() time.Time {
	at := earliest(a.sub.next(), earliest(a.askAll, a.tellBy))
	for _, l := range a.lines {
		at = earliest(at, earliest(earliest(l.reg.next(), l.reaction.next()), l.keep.next()))
	}
	at = earliest(at, earliest(a.poller.at, earliest(a.truths.again, earliest(a.truths.verifyAt, a.scrutiny.lapseToldBy))))
	at = earliest(at, a.beginAt)
	if len(a.goneAt) > 0 {
		at = earliest(at, a.goneAt[0])
	}
	return at
}

// tell adds an event; it goes out with the next flush. The summary is a sentence,
// however much a peer wrote where it quotes one.
func (a *Agent) tell(at time.Time, summary string, detail Detail) {
	const most = 1000
	a.news = append(a.news, news{at, cut(summary, most), detail, a.cause})
}

// finding tells each finding once a run: a registrar that is wrong is wrong in
// every document.
func (a *Agent) finding(at time.Time, f finding.Finding) {
	const kept = 1000
	key := string(f.Code) + " " + f.Detail
	if a.reported[key] || len(a.reported) >= kept {
		return
	}
	a.reported[key] = true
	a.tell(at, f.String(), FindingDetail{Code: f.Code, Severity: f.Severity(), Clause: f.Clause(), Detail: f.Detail})
}

// flush publishes the events that were told and the state after them.
func (a *Agent) flush(now time.Time) {
	if !a.snapshot && len(a.news) == 0 {
		return
	}
	a.last = a.takeSnapshot(now)
	a.group.hub.publish(a.account.Name, a.last, a.news)
	a.news, a.snapshot = nil, false
}
