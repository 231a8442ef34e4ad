package registrar

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
)

const (
	// One NOTIFY leaves so long after the one before, unless that was answered
	// sooner. Nobody waits for answers, as real servers do not; the pause is what
	// keeps two from overtaking each other on their way to the socket.
	notifyGap = 5 * time.Millisecond
	// More than this and the subscriber is gone, or was never there.
	maxInFlight = 64
	maxQueue    = 256
)

// notice is one NOTIFY that waits to be sent, complete but for its CSeq.
type notice struct {
	state string // Subscription-State
	body  []byte
}

// enqueue adds a NOTIFY with the subscription's state as it is now. RFC 3680
// 4.10 asks for one in 5 s at most; the lab tells everything at once, so that
// whoever watches sees each action as it was done.
func (r *Registrar) enqueue(s *subscription, body []byte) {
	if s.over {
		return
	}
	if len(s.queue) >= maxQueue {
		s.queue = nil
		r.forget(s)
		return
	}
	state := "terminated"
	switch left := time.Until(s.expires); {
	case left > 0:
		state = "active;expires=" + seconds(left+time.Second-1)
	case r.manners.givesReason:
		state += ";reason=timeout"
	}
	s.queue = append(s.queue, notice{state, body})
	r.advance(s)
}

// advance sends what may be sent now.
func (r *Registrar) advance(s *subscription) {
	if s.leaving || len(s.queue) == 0 || s.inWay >= maxInFlight {
		return
	}
	if time.Now().Before(s.notBefore) {
		r.agenda.at(s.notBefore, func() { r.advance(s) })
		return
	}
	next := s.queue[0]
	s.queue = s.queue[1:]
	s.inWay++
	s.localCSeq++
	s.leaving = true
	cseq, flow, target := s.localCSeq, s.flow, s.target
	request := s.request(next)
	r.sending.Add(1)
	go func() {
		defer r.sending.Done()
		defer guard.Recover(r.options.OnPanic)
		r.post(func() {
			r.agenda.at(time.Now().Add(notifyGap), func() { r.departed(s, cseq) })
		})
		response, err := r.send(flow, target, request)
		r.post(func() {
			s.inWay--
			r.departed(s, cseq)
			if ends(response, err) {
				s.queue = nil
				r.forget(s)
			}
		})
	}()
}

// departed lets the next NOTIFY follow, once for each.
func (r *Registrar) departed(s *subscription, cseq uint32) {
	if cseq == s.localCSeq {
		s.leaving = false
	}
	r.advance(s)
}

// request writes the NOTIFY (RFC 6665 4.2.2).
func (s *subscription) request(n notice) *wire.Request {
	event := "reg"
	if s.eventID != "" {
		event += ";id=" + s.eventID
	}
	headers := wire.Headers{}
	for _, route := range s.routes {
		headers = append(headers, wire.Header{Name: "Route", Value: route})
	}
	headers = append(headers,
		wire.Header{Name: "From", Value: s.local},
		wire.Header{Name: "To", Value: s.remote},
		wire.Header{Name: "Call-ID", Value: s.callID},
		wire.Header{Name: "CSeq", Value: fmt.Sprintf("%d NOTIFY", s.localCSeq)},
		wire.Header{Name: "Contact", Value: "<" + s.contact + ">"},
		wire.Header{Name: "Event", Value: event},
		wire.Header{Name: "Subscription-State", Value: n.state},
		wire.Header{Name: "User-Agent", Value: software},
	)
	if n.body != nil {
		headers = append(headers, wire.Header{Name: "Content-Type", Value: reginfoType})
	}
	return &wire.Request{Method: "NOTIFY", URI: s.target, Headers: headers, Body: n.body}
}

// send takes the NOTIFY to the subscriber and waits for the answer. It runs on a
// goroutine of its own.
func (r *Registrar) send(flow *wire.Flow, target string, request *wire.Request) (*wire.Response, error) {
	// Nobody is found by the Contact of a WebSocket's client (RFC 7118 B.1): real
	// registrars put an alias there.
	if socket := flow.Transport() == wire.WS || flow.Transport() == wire.WSS; r.manners.contactNotify && !socket {
		var err error
		if flow, err = r.flowTo(target); err != nil {
			return nil, err
		}
	}
	return flow.Do(r.life, request)
}

// flowTo finds the way to a Contact, without regard to where it spoke from.
func (r *Registrar) flowTo(uri string) (*wire.Flow, error) {
	targets, err := wire.Locate(r.life, r.options.Network, uri, "")
	if err != nil {
		return nil, err
	}
	// Kamailio finds a connection by its far end, also TLS for a Contact that says
	// transport=tcp.
	if stack := r.stacks[wire.TLS]; stack != nil && targets[0].Transport == wire.TCP {
		if flow := stack.FlowTo(targets[0].Addr); flow != nil {
			return flow, nil
		}
	}
	stack := r.stacks[targets[0].Transport]
	if stack == nil {
		return nil, fmt.Errorf("%w: no %s here", wire.ErrNoTarget, targets[0].Transport)
	}
	return stack.Connect(r.life, targets[0].Addr)
}

// ends reports whether the outcome of a NOTIFY ends the subscription
// (RFC 6665 4.2.2). A connection that is gone does not: the next SUBSCRIBE may
// bring another.
func ends(response *wire.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, wire.ErrTransport) && !errors.Is(err, wire.ErrClosed) && !errors.Is(err, context.Canceled)
	}
	switch s := response.Status; s {
	case 404, 405, 410, 416, 489, 501, 604:
		return true
	default:
		return s >= 480 && s <= 485
	}
}
