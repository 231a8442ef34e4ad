package reginfo

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestModel plays a registrar on one side, and a table reads what it writes on
// the other. Documents get lost, come twice or in the wrong order, written in many
// hundred ways. After each the table must hold what the documents show, and have
// told each change once and nothing else; after the last, a full one that arrives,
// it must hold what the registrar holds (RFC 3680 5.2).
func TestModel(t *testing.T) {
	// Little lives long here, so that collecting it often is most of the work.
	before := debug.SetGCPercent(800)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	const shards = 8
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			for i := range sequences / shards {
				s := newSequence(uint64(shard)<<32 | uint64(i))
				if err := s.play(nil); err != nil {
					t.Fatal(s.shrink().story())
				}
			}
		})
	}
}

// sequence is what happens to a registrar and to its documents on the way.
type sequence struct {
	seed     uint64
	manner   manner
	versions Versions
	turns    []turn
}

// turn is one thing that happens at the registrar, and the fate of the document
// that tells of it. Each rolls its own dice, so that one can be left out.
type turn struct {
	act  int
	fate fate
	dice dice
}

// fate is what becomes of a document.
type fate int

const (
	arrives fate = iota
	unwritten
	lost
	late    // it comes behind the next
	twice   // the same NOTIFY comes again
	again   // the same document comes in a NOTIFY of its own
	overrun // one from before comes behind it
)

var fates = [...]string{
	"arrives", "is not written", "is lost", "is late", "arrives, and again",
	"arrives, and again in another NOTIFY", "arrives, and one from before again",
}

func newSequence(seed uint64) *sequence {
	d := dice(seed)
	s := &sequence{seed: seed, manner: newManner(&d), versions: Tolerant}
	if s.manner.uncounted == counting && d.once(2) {
		s.versions = Strict
	}
	deal := [...]fate{arrives, arrives, arrives, arrives, unwritten, unwritten, lost, late, twice, again, overrun}
	for range 2 + d.roll(6) {
		s.turns = append(s.turns, turn{act: d.roll(16), fate: deal[d.roll(len(deal))], dice: dice(d.roll(1 << 62))})
	}
	return s
}

// play runs the sequence, and tells it in words where say is given.
func (s *sequence) play(say func(format string, args ...any)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	d := dice(s.seed)
	w := &world{
		model: newModel(&d, s.manner), table: NewTable(s.versions), regs: map[string]RegState{}, bytes: s.seed%8 == 0,
		judge: judge{versions: s.versions, reused: s.manner.ids == reused, fresh: true}, say: say,
	}
	for _, t := range s.turns {
		if err := w.turn(t); err != nil {
			return err
		}
	}
	return w.finish()
}

// shrink leaves out what the failure does not need.
func (s *sequence) shrink() *sequence {
	for {
		smaller := false
		for i := range s.turns {
			less := *s
			less.turns = slices.Delete(slices.Clone(s.turns), i, i+1)
			if less.play(nil) != nil {
				s, smaller = &less, true
				break
			}
			if s.turns[i].fate == arrives {
				continue
			}
			less.turns = slices.Clone(s.turns)
			less.turns[i].fate = arrives
			if less.play(nil) != nil {
				s, smaller = &less, true
				break
			}
		}
		if !smaller {
			return s
		}
	}
}

// story tells a sequence that fails.
func (s *sequence) story() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("seed %d, %s", s.seed, s.versions)
	say("a registrar with %s", s.manner)
	err := s.play(say)
	say("FAILED: %v", err)
	return b.String()
}

// world is a sequence being played.
type world struct {
	*model
	table *Table
	judge judge
	say   func(format string, args ...any)

	bytes    bool     // documents go through Encode and Decode, in one of eight sequences: it is most of the time
	sent     []*paper // of this dialog
	waiting  *paper   // late
	needFull bool
	regs     map[string]RegState // as the table reported them
}

func (w *world) turn(t turn) error {
	d := t.dice
	full := w.act(t.act, &d)
	full = full || !w.begun && !d.once(8) || w.needFull && !d.once(4)
	if w.byCall && !w.begun {
		// Their ids are all that tells twins apart, and a new dialog has none yet.
		t.fate, full = arrives, true
	}
	w.tell("  the document %s", fates[t.fate])
	if t.fate == unwritten {
		return nil
	}
	p := w.write(full, &d)
	w.show(p)
	w.sent = append(w.sent, p)
	before := w.waiting
	w.waiting = nil
	switch t.fate {
	case lost:
	case late:
		w.waiting = p
	default:
		if err := w.deliver(p); err != nil {
			return err
		}
	}
	if before != nil {
		if err := w.deliver(before); err != nil {
			return err
		}
	}
	switch t.fate {
	case twice:
		return w.deliver(p)
	case again:
		w.cseq++
		copied := *p
		copied.cseq = w.cseq
		return w.deliver(&copied)
	case overrun:
		return w.deliver(w.sent[d.roll(len(w.sent))])
	}
	return nil
}

// finish has one more document arrive, which is full.
func (w *world) finish() error {
	w.pass(time.Second)
	if w.waiting != nil {
		if err := w.deliver(w.waiting); err != nil {
			return err
		}
	}
	d := dice(0)
	p := w.write(true, &d)
	w.tell("in the end a full document arrives")
	w.show(p)
	if err := w.deliver(p); err != nil {
		return err
	}
	return w.compare()
}

// tell says in words what happens, where somebody listens.
func (w *world) tell(format string, args ...any) {
	if w.say != nil {
		w.say(format, args...)
	}
}

// act does one thing, and says whether it brings a full document.
func (w *world) act(act int, d *dice) (full bool) {
	p := w.phones[d.roll(len(w.phones))]
	a := w.accounts[d.roll(len(w.accounts))]
	var b *bound
	if len(a.bound) > 0 {
		b = a.bound[d.roll(len(a.bound))]
	}
	word := [...]ContactEvent{Deactivated, Probation, Rejected, Unregistered, Expired}[d.roll(5)]
	expires := 60 + d.roll(600)
	switch {
	case act == 0:
		w.tell("a new dialog")
		w.renew()
		w.table.Renew()
		w.judge.renew()
		w.sent, w.waiting, w.needFull = nil, nil, false
		return true
	case act == 1:
		w.tell("the subscription is refreshed")
		return true
	case act == 2:
		pause := time.Duration(1+d.roll(100)) * time.Second
		w.tell("%s go by", pause)
		w.pass(pause)
		return false
	case act == 3:
		w.tell("all contacts of %s are %s", a.aors[0], word)
		w.end(a, word, func(*bound) bool { return false })
		return false
	case act <= 6 && b != nil:
		w.tell("%s (%s) is %s", b.uri, b.phone.name, word)
		w.end(a, word, func(o *bound) bool { return o != b })
		return false
	case act == 7 && b != nil:
		w.tell("%s (%s) is shortened", b.uri, b.phone.name)
		b.until, b.event, b.reported = w.now.Add(time.Duration(d.roll(10))*time.Second), Shortened, false
		if w.dealtWords {
			b.call, b.cseq, b.event = fmt.Sprintf("rpc-%d", b.serial), 1, Refreshed
		}
		return false
	case act == 8 && b != nil && w.ownURI && !b.phone.twin:
		uri := fmt.Sprintf("sip:u@198.51.100.9:%d", 40000+d.roll(1000))
		w.tell("%s (%s) is seen as %s", b.uri, b.phone.name, uri)
		b.uri, b.reported = uri, false
		return false
	case act == 9 && !p.twin:
		p.port += 10
	case act == 10 && !p.twin:
		p.call += 10
		p.cseq = 0
	case act == 11:
		w.pass(3 * time.Second)
	}
	w.register(p, expires)
	w.tell("%s registers port %d, call-%d, CSeq %d, for %d s", p.name, p.port, p.call, p.cseq, expires)
	return false
}

// read is the document as it comes out of the network.
func (w *world) read(p *paper) (*Document, error) {
	if !w.bytes {
		doc := *p.doc
		doc.Registrations = slices.Clone(doc.Registrations)
		for i := range doc.Registrations {
			doc.Registrations[i].Contacts = slices.Clone(doc.Registrations[i].Contacts)
		}
		return &doc, nil
	}
	if p.body == nil {
		p.body = Encode(p.doc)
	}
	return Decode(p.body)
}

// deliver hands a document to the table, and looks at what comes of it.
func (w *world) deliver(p *paper) error {
	doc, err := w.read(p)
	if err != nil {
		return err
	}
	rows := w.table.Rows()
	kept := slices.Clone(rows)
	verdict, needFull := w.judge.order(p)
	out := w.table.Apply(doc, p.cseq, w.now)
	w.needFull = w.needFull && !p.full || out.NeedFull
	if w.say != nil {
		w.say("    version %s, NOTIFY %d is read: %s", p.version, p.cseq, cmp.Or(told(out), "nothing"))
	}
	scribble(doc)
	for i := range rows {
		if err := sameContact(&rows[i].Contact, &kept[i].Contact); err != nil {
			return fmt.Errorf("a row that was handed out changed: %w", err)
		}
	}
	for _, r := range w.table.Rows() {
		if slices.Contains(r.Contact.Params, spoiled) {
			return fmt.Errorf("a row shares the parameters of the document")
		}
	}
	if out.Verdict != verdict || out.NeedFull != needFull {
		return fmt.Errorf("%s, full state needed: %v; want %s, %v", out.Verdict, out.NeedFull, verdict, needFull)
	}
	w.judge.cseq = max(w.judge.cseq, p.cseq)
	var diffs map[string]*diff
	if verdict == Applied {
		diffs = w.judge.take(p, w.now)
	}
	if err := w.judge.reported(out.Changes, diffs); err != nil {
		return err
	}
	for _, r := range out.Registrations {
		if w.regs[r.AOR] != r.Before {
			return fmt.Errorf("registration %s was %q, and %q is reported", r.AOR, w.regs[r.AOR], r.Before)
		}
		w.regs[r.AOR] = r.After
	}
	return w.judge.rows(w.table.Rows(), p.full && verdict == Applied)
}

var spoiled = Param{Name: "spoiled"}

// scribble spoils a document that the table must have let go of.
func scribble(doc *Document) {
	for i := range doc.Registrations {
		r := &doc.Registrations[i]
		for j := range r.Contacts {
			for k := range r.Contacts[j].Params {
				r.Contacts[j].Params[k] = spoiled
			}
			r.Contacts[j] = Contact{URI: "sip:spoiled"}
		}
		*r = Registration{AOR: "sip:spoiled"}
	}
}

// compare holds the table against the registrar.
func (w *world) compare() error {
	rows := w.table.Rows()
	n := 0
	for _, a := range w.accounts {
		for i, aor := range a.aors {
			n += len(a.bound)
			if (w.regs[aor] == RegActive) != (len(a.bound) > 0) {
				return fmt.Errorf("registration %s is %q, and %d contacts are bound", aor, w.regs[aor], len(a.bound))
			}
			for _, b := range a.bound {
				if err := w.holds(rows, b, i, aor); err != nil {
					return fmt.Errorf("%s in %s: %w", b.uri, aor, err)
				}
			}
		}
	}
	if n != len(rows) {
		return fmt.Errorf("%d rows for %d contacts", len(rows), n)
	}
	return nil
}

// holds reports whether one of the rows is the binding.
func (w *world) holds(rows []Row, b *bound, i int, aor string) error {
	for _, r := range rows {
		c := r.Contact
		if r.AOR != aor || !SameURI(c.URI, b.uri) || !w.noCall && c.CallID != b.call || !w.noCall && !w.noCSeq && c.CSeq != Num(b.cseq) {
			continue
		}
		if w.instances && (c.Instance != b.phone.instance || c.RegID != b.phone.reg) {
			continue
		}
		if w.gruus && b.phone.instance != "" && (c.PubGRUU == "" || c.TempGRUU == "" || c.FirstCSeq != Num(b.since)) {
			return fmt.Errorf("GRUUs %q, %q from CSeq %s on", c.PubGRUU, c.TempGRUU, c.FirstCSeq)
		}
		if late := b.until.Sub(r.ExpiresAt); !w.noExpires && late.Abs() > 2*time.Second {
			return fmt.Errorf("expires at %v, want %v", r.ExpiresAt, b.until)
		}
		if r.RegistrationState != RegActive || c.State != ContactActive {
			return fmt.Errorf("is %s in %s", c.State, r.RegistrationState)
		}
		return nil
	}
	return fmt.Errorf("not in the table")
}

// show tells a document in few words.
func (w *world) show(p *paper) {
	if w.say == nil {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "    %s %s, NOTIFY %d", p.version, p.doc.State, p.cseq)
	for _, r := range p.doc.Registrations {
		fmt.Fprintf(&b, "\n    %s %s %s", r.AOR, r.ID, r.State)
		for _, c := range r.Contacts {
			fmt.Fprintf(&b, "\n    - %s %s %s %s", c.ID, c.URI, c.State, c.Event)
			if c.CallID != "" {
				fmt.Fprintf(&b, " call=%s cseq=%s", c.CallID, c.CSeq)
			}
			if c.Expires.Present {
				fmt.Fprintf(&b, " exp=%s", c.Expires)
			}
			if c.Instance != "" {
				fmt.Fprintf(&b, " inst=%s reg=%s", c.Instance, c.RegID)
			}
		}
	}
	w.say("%s", b.String())
}
