package probe

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/plural"
	"regwatch/internal/trace"
	"regwatch/reginfo"
	"regwatch/ua"
)

// boundFor is for how many seconds our own contact is bound: what a crash leaves
// behind is soon gone.
const boundFor = 300

// exam is one run. It belongs to the goroutine of Run.
type exam struct {
	o     Options
	ctx   context.Context
	last  context.Context // of what is sent at an end; it outlives ctx by leaveWithin
	agent *agent
	seen  *seen
	now   Progress

	own     contact // the device
	expires uint32  // asked for; raised by 423
	bound   []contact
	left    []string          // contacts of other agents of the run that may be bound still
	aliens  []reginfo.Contact // bound by others, as a query last listed them

	sent     []string // by the check under way, in words
	messages []trace.Message
	silent   int // checks in a row that got no answer

	// What several checks look at is done once.
	shortest *shortest
	lapsed   *lapse
	watched  *subscription
	read     bool // the agent had time for the last documents
}

// begin starts the agent. It only watches, so that it sends nothing by itself;
// and it is a device of its own, with a fresh instance and no memory.
func begin(ctx context.Context, o Options) (*exam, error) {
	if o.Account.WatchOnly {
		return nil, &ua.FieldError{Key: "register", Fault: "is false: this account may not bind a contact, and a probe does"}
	}
	x := &exam{o: o, ctx: ctx, seen: newSeen(), expires: boundFor}
	if x.o.UA.Trace == nil {
		x.o.UA.Trace = trace.NewRing(1)
	}
	x.o.UA.Trace.Tee(x.seen.add)
	x.o.UA.StateDir = ""
	device := plain(o.Account)
	device.WatchOnly, device.Watch, device.InstanceID = true, ua.WatchOff, ua.NewInstance()
	var err error
	if x.agent, err = x.start(device); err != nil {
		return nil, err
	}
	var cancel context.CancelFunc
	x.last, cancel = context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(leaveWithin, cancel) })
	x.own = contact{instance: device.InstanceID, regID: 1}
	return x, nil
}

// plain is an account as a probe uses it: it offers all there is, and reacts to
// nothing.
func plain(a ua.Account) ua.Account {
	a.NoGRUU, a.NoOutbound, a.Leave, a.SubscribeGRUU, a.RegID = false, false, false, false, 1
	a.InstanceID, a.ContactExtra, a.Q, a.WatchURI = ua.NewInstance(), "", lowQ, ""
	a.Watch, a.Settle, a.On = ua.WatchReg, ua.SettleOff, make(map[ua.Kick]ua.Policy)
	for _, kick := range ua.Kicks {
		a.On[kick] = ua.Never
	}
	return a
}

// lookFirst asks for the bindings before anything is bound. Credentials that are
// refused now are not sent again.
func (x *exam) lookFirst() error {
	a, err := x.query()
	switch {
	case x.ctx.Err() != nil:
		return x.ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotReached, err)
	case a.Status >= 300:
		return fmt.Errorf("%w: %s", ErrRefused, a.Outcome)
	}
	// Its address is told on another way than the answer.
	_, err = x.seen.await(x.ctx, time.Second, func() bool {
		x.own.uri = x.agent.state().Registration.Contact
		return x.own.uri != ""
	})
	return err
}

// registrar names who answers: where, and by its Server field.
func (x *exam) registrar() (where, software string) {
	flow := x.agent.state().Flow
	for _, m := range x.seen.messages(0) {
		if m.Direction == trace.Received && statusOf(m) >= 200 {
			software = m.Header("Server", "")
		}
	}
	return flow.Transport + " " + flow.Remote, software
}

// answer is a final answer to a REGISTER.
type answer struct {
	ua.Exchange
	final trace.Message
}

func (a answer) accepted() bool { return a.Status/100 == 2 }

func (a answer) lists(c contact) bool { _, ok := c.in(a.Contacts); return ok }

// short says in words what came.
func (a answer) short() string {
	_, line, _ := strings.Cut(a.final.StartLine(), " ")
	if a.accepted() {
		line += fmt.Sprintf(", %s", plural.Count(len(a.Contacts), "contact"))
	}
	return line
}

// send sends a REGISTER and waits for its final answer.
func (x *exam) send(b ua.ByHand) (answer, error) { return x.sendWithin(x.ctx, b) }

func (x *exam) sendWithin(ctx context.Context, b ua.ByHand) (answer, error) {
	x.sent = append(x.sent, describe(b))
	e, err := x.agent.group.Send(ctx, x.agent.name, b)
	x.messages = append(x.messages, e.Messages...)
	a := answer{Exchange: e}
	for _, m := range e.Messages {
		if m.Direction == trace.Received && statusOf(m) == e.Status {
			a.final = m
			break // the first final one counts (RFC 3261 17.1.2.2)
		}
	}
	return a, err
}

// query asks for the bindings (RFC 3261 10.2.3).
func (x *exam) query() (answer, error) {
	a, err := x.send(ua.ByHand{Contacts: []string{ua.LeftOut}, Expires: ua.LeftOut})
	if err == nil && a.accepted() {
		x.aliens = slices.DeleteFunc(slices.Clone(a.Contacts), x.isOurs)
	}
	return a, err
}

// isOurs reports whether a contact is one that this run bound: those of its
// device by instance, others by the user part that it made up for them.
func (x *exam) isOurs(c reginfo.Contact) bool {
	return reginfo.SameInstance(c.Instance, x.own.instance) || reginfo.SameURI(c.URI, x.own.uri) || strings.Contains(c.URI, x.agent.token)
}

// others says whose bindings are in the way, or "".
func (x *exam) others() string {
	if len(x.aliens) == 0 {
		return ""
	}
	return fmt.Sprintf("%s of others bound, such as %s; --clobber tries it all the same",
		plural.Count(len(x.aliens), "contact"), x.aliens[0].URI)
}

// alone asks who is bound right now, before what may remove bindings of others.
// out is the verdict where that must not be done.
func (x *exam) alone() (ok bool, out outcome, err error) {
	if x.o.Clobber {
		return true, outcome{}, nil
	}
	a, err := x.query()
	switch {
	case err != nil:
		return false, outcome{}, err
	case !a.accepted():
		return false, notTried("who else is bound cannot be told: %s", a.short()), nil
	case len(x.aliens) > 0:
		return false, notTried("%s", x.others()), nil
	}
	return true, outcome{}, nil
}

// bind binds a contact, or refreshes it, for as long as the device has: a 423 is
// met by what it asks for. b may say more of the REGISTER.
func (x *exam) bind(c contact, b ua.ByHand) (answer, error) {
	a, err := x.bindFor(x.expires, c, b)
	if n, ok := number(a.final, "Min-Expires"); err == nil && a.Status == 423 && ok && n > x.expires {
		x.expires = n
		return x.bindFor(n, c, b)
	}
	return a, err
}

// bindFor is for as many seconds. What it asks for is remembered before it is
// sent: nobody knows what became of a request without an answer.
func (x *exam) bindFor(expires uint32, c contact, b ua.ByHand) (answer, error) {
	b.Contacts, b.Expires = []string{c.value(b.Q, b.ContactParams)}, strconv.FormatUint(uint64(expires), 10)
	b.Q, b.ContactParams = "", ""
	if !slices.Contains(x.bound, c) {
		x.bound = append(x.bound, c)
	}
	return x.send(b)
}

// bindOwn binds the device. out is the verdict where that fails.
func (x *exam) bindOwn(b ua.ByHand) (a answer, out outcome, err error) {
	return x.bindOne(x.own, b)
}

// bindOne binds a contact that a check needs to be bound; out says why it is not,
// and has no verdict where it is.
func (x *exam) bindOne(c contact, b ua.ByHand) (a answer, out outcome, err error) {
	a, err = x.bind(c, b)
	switch {
	case err != nil:
	case !a.accepted():
		out = notTried("the contact that it needs was not bound: %s", a.short())
	case !a.lists(c):
		out = notTried("the contact that it needs is not listed: %s", a.short())
	}
	return a, out, err
}

// unbind removes a contact.
func (x *exam) unbind(c contact) (answer, error) { return x.unbindWithin(x.ctx, c) }

func (x *exam) unbindWithin(ctx context.Context, c contact) (answer, error) {
	a, err := x.sendWithin(ctx, ua.ByHand{Contacts: []string{c.value("", "")}, Expires: "0"})
	if err == nil && a.accepted() && !a.lists(c) {
		x.forget(c)
	}
	return a, err
}

func (x *exam) forget(c contact) {
	x.bound = slices.DeleteFunc(x.bound, func(b contact) bool { return b == c })
}

// clear removes what a check left bound, but for the device. Where that is watched
// it gives the NOTIFY that tells of it some time, which would else fall into the
// next check.
func (x *exam) clear() {
	for _, c := range slices.Clone(x.bound) {
		if c == x.own || x.ctx.Err() != nil || x.silent > 0 {
			continue
		}
		since := x.seen.mark()
		_, err := x.unbind(c) // what fails is tried again at the end
		if err == nil && x.watched != nil && x.watched.accepted() && !x.ended(x.watched) {
			x.awaitTold(x.watched, since, time.Second, func(n notice) bool { return goneFrom(n, c) || n.state == "terminated" })
		}
	}
}

// end removes whatever may be bound still, ends the agent and returns what is
// left behind.
func (x *exam) end() []string {
	ctx, cancel := context.WithTimeout(x.last, leaveSlowly)
	defer cancel()
	for _, c := range slices.Clone(x.bound) {
		if ctx.Err() == nil {
			x.unbindWithin(ctx, c) // what fails is told
		}
	}
	x.agent.close(ctx)
	for _, c := range x.bound {
		x.left = append(x.left, c.uri)
	}
	return x.left
}

// wait lets time pass, and says why.
func (x *exam) wait(d time.Duration, why string) error {
	x.tell(why, d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		x.tell("", 0)
		return nil
	case <-x.ctx.Done():
		return x.ctx.Err()
	}
}

func (x *exam) tell(why string, d time.Duration) {
	x.now.Why, x.now.Wait = why, d
	if x.o.Progress != nil {
		x.o.Progress(x.now)
	}
}

// describe says in words which REGISTER is sent.
func describe(b ua.ByHand) string {
	parts := []string{"REGISTER"}
	add := func(name, value string) {
		if value != "" && value != ua.LeftOut {
			parts = append(parts, name+": "+value)
		}
	}
	if slices.Equal(b.Contacts, []string{ua.LeftOut}) {
		parts = append(parts, "no Contact")
	} else {
		add("Contact", strings.Join(b.Contacts, ", "))
	}
	add("Expires", b.Expires)
	switch {
	case b.CallID == ua.FreshCallID:
		parts = append(parts, "a fresh Call-ID")
	case b.CallID != "":
		add("Call-ID", b.CallID)
	}
	if back, lower := strings.CutPrefix(b.CSeq, "-"); lower {
		parts = append(parts, "CSeq "+back+" lower than the last")
	} else {
		add("CSeq", b.CSeq)
	}
	if b.Credentials != "" {
		parts = append(parts, "credentials: "+string(b.Credentials))
	}
	return strings.Join(append(parts, b.Headers...), "; ")
}
