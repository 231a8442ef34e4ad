// Package registrar is the lab registrar: a SIP registrar (RFC 3261 10) with
// outbound (RFC 5626), GRUUs (RFC 5627) and a notifier of the reg event package
// (RFC 3680, 5628), and with the hands of an administrator, who can deactivate,
// reject, shorten or silently remove any binding. Profiles make it behave as
// real registrars do, faults included.
//
// It serves demonstrations and tests of user agents. It is no proxy: it answers
// REGISTER, SUBSCRIBE and OPTIONS, takes an OPTIONS for a GRUU to its device, and
// keeps everything in memory. It may import reginfo, guard, trace and wire; the
// user agent and the screen may not enter.
package registrar

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/trace"
	"regwatch/internal/wire"
)

// Defaults of Options, and what bounds the state.
const (
	DefaultMinExpires    = 10 * time.Second // low, so that a lab can be quick
	DefaultMaxExpires    = 7200 * time.Second
	DefaultNonceLifetime = 300 * time.Second

	maxRecords       = 10_000 // addresses-of-record
	maxBindings      = 100    // per address-of-record
	maxSubscriptions = 10_000
	mailboxSize      = 4096
)

// ErrClosed: the registrar has been closed.
var ErrClosed = errors.New("the registrar is closed")

// Listen is one address that the registrar is reached at.
type Listen struct {
	Transport string // wire.UDP, wire.TCP, wire.TLS, wire.WS or wire.WSS
	Addr      netip.AddrPort
}

// Options of a Registrar. The zero value but for Listen serves everybody, for
// every domain, without passwords.
type Options struct {
	Network wire.Network // nil: the machine's own
	Listen  []Listen     // at most one for each transport
	TLS     *tls.Config  // for wire.TLS and wire.WSS; it may ask for certificates of the clients
	Domains []string     // that are served; empty: every one
	// Users are the passwords by user name; nil lets everybody in unasked.
	Users map[string]string
	// Algorithms of digest, the preferred first, each offered in a challenge of
	// its own (RFC 8760 2.4); nil: SHA-256, then MD5.
	Algorithms    []string
	NonceLifetime time.Duration // 0: DefaultNonceLifetime
	Profile       Profile       // "": RFC
	MinExpires    time.Duration // shorter ones get a 423; 0: DefaultMinExpires
	MaxExpires    time.Duration // longer ones are cut; 0: DefaultMaxExpires
	FlowTimer     time.Duration // asked of flows in the 2xx (RFC 5626 4.4), in whole seconds; 0: not
	Trace         *trace.Ring   // nil: none
	// First is shown every request before it is served; true says that it has
	// dealt with it. It is called on the registrar's own goroutine, in the order of
	// the wire, and must not block. nil: nobody is.
	First func(*wire.Incoming) bool
	// OnPanic is told of a panic on a goroutine of the registrar, once it is
	// over; nil lets it end the program.
	OnPanic func(error)
}

// Registrar is a running registrar. Its methods may be called from several
// goroutines and block only until the registrar's own goroutine has had its turn.
type Registrar struct {
	options Options
	manners manners
	stacks  map[string]*wire.Stack // by transport

	mailbox chan func() // run on the one goroutine that owns everything below
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once
	sending sync.WaitGroup // NOTIFYs under way
	life    context.Context
	end     context.CancelFunc

	agenda        agenda
	records       map[string]*record       // by key
	subscriptions map[string]*subscription // by dialog
	rejected      map[string]bool          // users or keys, as an administrator named them
	nonces        nonces
	ids           addresses // the kamailio profile's ids
	routing       int       // requests on their way to devices
}

// Start opens the addresses and serves them until Close. ctx bounds the opening
// only.
func Start(ctx context.Context, o Options) (*Registrar, error) {
	if len(o.Listen) == 0 {
		return nil, errors.New("start registrar: no address to listen on")
	}
	if o.Network == nil {
		o.Network = wire.System{}
	}
	if o.Algorithms == nil {
		o.Algorithms = []string{"SHA-256", "MD5"}
	}
	for _, name := range o.Algorithms {
		if _, known := hashOf(name); !known {
			return nil, fmt.Errorf("start registrar: digest algorithm %q is not known", name)
		}
	}
	o.MinExpires = orDefault(o.MinExpires, DefaultMinExpires)
	o.MaxExpires = orDefault(o.MaxExpires, DefaultMaxExpires)
	o.NonceLifetime = orDefault(o.NonceLifetime, DefaultNonceLifetime)
	how, err := o.Profile.manners()
	if err != nil {
		return nil, fmt.Errorf("start registrar: %w", err)
	}
	life, end := context.WithCancel(context.Background())
	r := &Registrar{
		options: o, manners: how, stacks: make(map[string]*wire.Stack),
		mailbox: make(chan func(), mailboxSize), closing: make(chan struct{}), stopped: make(chan struct{}),
		life: life, end: end,
		records: make(map[string]*record), subscriptions: make(map[string]*subscription), rejected: make(map[string]bool),
		nonces: nonces{known: make(map[string]*nonce), lifetime: o.NonceLifetime},
	}
	go func() {
		defer close(r.stopped)
		defer guard.Recover(o.OnPanic)
		r.run()
	}()
	for _, l := range o.Listen {
		if err := r.listen(ctx, l); err != nil {
			r.Close()
			return nil, fmt.Errorf("start registrar: %w", err)
		}
	}
	// From here on requests come, and the stacks do not change any more.
	for _, stack := range r.stacks {
		stack.Attach("", r.deliver)
	}
	return r, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

func (r *Registrar) listen(ctx context.Context, l Listen) error {
	if r.stacks[l.Transport] != nil {
		return fmt.Errorf("two addresses for transport %q", l.Transport)
	}
	if (l.Transport == wire.TLS || l.Transport == wire.WSS) && r.options.TLS == nil {
		return errors.New("no certificate for TLS")
	}
	stack, err := wire.OpenStack(ctx, wire.Options{
		Network: r.options.Network, Transport: l.Transport, Local: l.Addr, Listen: true,
		TLS: r.options.TLS, Trace: r.options.Trace, OnPanic: r.options.OnPanic,
	})
	if err != nil {
		return err
	}
	r.stacks[l.Transport] = stack
	return nil
}

// deliver is called on the goroutine that reads the socket, and must not block.
func (r *Registrar) deliver(in *wire.Incoming) {
	select {
	case r.mailbox <- func() { r.answer(in) }:
	default:
		in.Respond(refusal(503, "Too Many Requests Waiting"))
	}
}

// run is the goroutine that owns the state.
func (r *Registrar) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(r.agenda.wait(time.Now()))
		select {
		case f := <-r.mailbox:
			r.agenda.run(time.Now()) // what ends at this moment is over for whoever asks
			f()
		case now := <-timer.C:
			r.agenda.run(now)
		case <-r.closing:
			return
		}
	}
}

// ask runs f on the registrar's goroutine and waits until it is done; false
// means that it was not run because the registrar is closed.
func (r *Registrar) ask(f func()) bool {
	done := make(chan struct{})
	if !r.post(func() { defer close(done); f() }) {
		return false
	}
	select {
	case <-done:
		return true
	case <-r.stopped:
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// post runs f on the registrar's goroutine some time; it waits for room only.
func (r *Registrar) post(f func()) bool {
	select {
	case <-r.stopped:
		return false
	case <-r.closing:
		return false
	default:
	}
	select {
	case r.mailbox <- f:
		return true
	case <-r.stopped:
	case <-r.closing:
	}
	return false
}

// Close ends every subscription without a word, frees the sockets and returns
// when nothing of the registrar runs any more.
func (r *Registrar) Close() {
	r.once.Do(func() {
		close(r.closing)
		<-r.stopped
		r.end()
		r.sending.Wait()
		for _, stack := range r.stacks {
			stack.Close()
		}
	})
}

// Addr returns the address that the registrar listens on for a transport; it is
// invalid where there is none.
func (r *Registrar) Addr(transport string) netip.AddrPort {
	stack := r.stacks[transport]
	if stack == nil {
		return netip.AddrPort{}
	}
	return stack.Local()
}
