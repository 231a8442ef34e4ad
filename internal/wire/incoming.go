package wire

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"regwatch/internal/guard"
)

// How long an answer may take: then the sender has given up (64*T1).
const answerWait = 32 * time.Second

// newParser makes sipgo leave every header field as it was written, but for the
// few that its transactions need. Its own Contact parser cuts quoted strings in
// two, which destroys GRUUs, and one bad To would lose a whole message.
func newParser() *sip.Parser {
	parsers := maps.Clone(sip.DefaultHeadersParser())
	raw := func(name string) sip.HeaderParser {
		return func(_ []byte, value string) (sip.Header, error) { return sip.NewHeader(name, value), nil }
	}
	for name, compact := range map[string]string{
		"From": "f", "To": "t", "Contact": "m", "Route": "", "Record-Route": "", "Content-Type": "c",
		"Refer-To": "r", "Referred-By": "b", "Event": "o", "Allow-Events": "u", "Supported": "k",
		"Subject": "s", "Content-Encoding": "e", "Call-ID": "i", "Max-Forwards": "",
	} {
		parsers[strings.ToLower(name)] = raw(name)
		if compact != "" {
			parsers[compact] = raw(name)
		}
	}
	parsers["cseq"] = cseqField
	via := parsers["via"]
	tidy := func(name []byte, value string) (sip.Header, error) { return via(name, tidyVia(value)) }
	parsers["via"], parsers["v"] = tidy, tidy
	return sip.NewParser(sip.WithHeadersParsers(parsers))
}

// noCSeq stands before a CSeq that is none, where sipgo has the method: no method
// begins so.
const noCSeq = "?"

// cseqField takes a CSeq whatever it says. sipgo's own parser would lose a message
// whose number is over 2^31, which those within a dialog may grow to (RFC 3261
// 12.2.1.1), and one that is to be answered 400.
func cseqField(_ []byte, value string) (sip.Header, error) {
	number, method, ok := Headers{{"CSeq", value}}.CSeq()
	if !ok {
		method = noCSeq + value
	}
	return &sip.CSeqHeader{SeqNo: number, MethodName: sip.RequestMethod(method)}, nil
}

// received is called by sipgo for every message, on the goroutine that reads
// the socket: in wire order. The request's handler runs elsewhere, earlier or
// later, and in no order at all; so the request is delivered from here, and the
// handler only carries the answer back.
func (s *Stack) received(message sip.Message) {
	if response, ok := message.(*sip.Response); ok {
		s.answered(response)
		return
	}
	request, ok := message.(*sip.Request)
	if !ok || request.Method == sip.ACK || request.Method == sip.CANCEL {
		return
	}
	defer guard.Recover(s.options.OnPanic)
	source, err := netip.ParseAddrPort(message.Source())
	if err != nil {
		return
	}
	now := time.Now()
	key := retransmissionKey(request)
	if s.options.Transport == UDP && s.answers.repeated(key, now) {
		return
	}
	in := &Incoming{
		Request: Request{
			Method:  string(request.Method),
			URI:     request.Recipient.String(),
			Headers: fromHeaders(request.Headers()),
			Body:    request.Body(),
		},
		At:        now,
		Transport: s.options.Transport,
		Local:     s.local,
		Source:    unmap(source),
		answer:    s.answers.of(sameness(request), now),
	}
	if in.Flow = s.FlowTo(in.Source); in.Flow == nil {
		return // its connection is gone already
	}
	in.Local = in.Flow.local
	if !repeatable(in.Headers) {
		in.Respond(Answer{}) // the sender would take that for none as well
		return
	}
	if answer, ok := s.fault(request.SipVersion, key, in, now); !ok {
		in.Respond(answer)
		return
	}
	s.deliver(in)
}

// retransmissionKey is the same for a request and its retransmissions, and for
// no other (RFC 3261 17.2.3). Branches that do not begin with the cookie are of
// times when they did not tell requests apart.
func retransmissionKey(r *sip.Request) string {
	via := r.Via()
	if via == nil {
		return ""
	}
	branch, _ := via.Params.Get("branch")
	if !strings.HasPrefix(branch, sip.RFC3261BranchMagicCookie) {
		for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
			if h := r.GetHeader(name); h != nil {
				branch += " " + h.Value()
			}
		}
	}
	return fmt.Sprint(branch, " ", via.Host, ":", via.Port, " ", r.Method)
}

// sameness is the same for a request and its copies, and for no other request.
// The handler that sipgo calls may hold another copy than the one delivered: of
// two that come at once either may be the first to reach it.
func sameness(r *sip.Request) string {
	h := fromHeaders(r.Headers())
	return fmt.Sprint(retransmissionKey(r), " ", h.Get("Call-ID"), " ", h.Get("CSeq"), " ", h.Tag("From"))
}

// handle is sipgo's handler for every method. sipgo ends the transaction when
// it returns, so it stays until the answer is there.
func (s *Stack) handle(request *sip.Request, tx sip.ServerTransaction) {
	defer guard.Recover(s.options.OnPanic)
	switch request.Method {
	case sip.ACK:
		return
	case sip.CANCEL: // sipgo answers those that match; this one matches nothing
		tx.Respond(buildAnswer(request, Answer{Status: 481, Reason: "Call/Transaction Does Not Exist"}))
		return
	}
	same := sameness(request)
	answer := s.answers.of(same, time.Now())
	defer s.answers.forget(same)
	limit := time.NewTimer(answerWait)
	defer limit.Stop()
	select {
	case a := <-answer:
		if a.Status != 0 {
			tx.Respond(buildAnswer(request, a))
		}
	case <-limit.C:
	case <-tx.Done():
	case <-s.done:
	}
}

// buildAnswer makes a sipgo response. From, To and a CSeq that is none go back as
// they came (RFC 3261 8.2.6.2), which sipgo's own rendering does not promise.
func buildAnswer(request *sip.Request, a Answer) *sip.Response {
	response := sip.NewResponseFromRequest(request, a.Status, a.Reason, nil)
	response.SipVersion = "SIP/2.0" // not the one of the request, which may be any
	for _, name := range []string{"From", "To"} {
		original := request.GetHeader(name)
		if original == nil {
			continue
		}
		value := original.Value()
		if name == "To" && (Headers{{"To", value}}).Tag("To") == "" {
			tag := a.ToTag
			if tag == "" {
				tag = sip.GenerateTagN(10)
			}
			value += ";tag=" + tag
		}
		if response.GetHeader(name) == nil {
			response.AppendHeader(sip.NewHeader(name, value))
		} else {
			response.ReplaceHeader(sip.NewHeader(name, value))
		}
	}
	if cseq := request.CSeq(); cseq != nil {
		if bad, is := strings.CutPrefix(string(cseq.MethodName), noCSeq); is {
			response.ReplaceHeader(sip.NewHeader("CSeq", bad))
		}
	}
	for _, h := range a.Headers {
		if !strings.ContainsFunc(h.Name+h.Value, isLineBreaking) {
			response.AppendHeader(sip.NewHeader(h.Name, h.Value))
		}
	}
	response.SetBody(a.Body)
	return response
}

// answers joins the two ways on which sipgo shows us a request: as a message in
// wire order, and as a transaction in a handler. Either may be first.
type answers struct {
	mu     sync.Mutex
	open   map[string]waiting   // by sameness
	sweep  int                  // of so many open, those that are forgotten are looked for again
	seen   map[string]time.Time // retransmission keys of the last answerWait
	oldest []string             // of seen, in order of arrival
	paths  map[path]passage     // of the last answerWait
}

// path names a request whatever way it took (RFC 3261 8.2.2.2).
type path struct {
	who  [3]string // From tag, Call-ID, method
	cseq uint32
}

type passage struct {
	key string // of the way that it took first
	at  time.Time
}

type waiting struct {
	answer chan Answer
	since  time.Time
}

// More open requests, or more keys, than this are no registrar's doing, with
// thousands of accounts that it tells of a kick each. They have some 10 MB.
const answersKept = 1 << 16

func (a *answers) init() {
	a.open = make(map[string]waiting)
	a.seen = make(map[string]time.Time)
	a.paths = make(map[path]passage)
}

// merged reports whether the request came before with another branch.
func (a *answers) merged(who [3]string, cseq uint32, key string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.paths) >= answersKept {
		for p, first := range a.paths {
			if now.Sub(first.at) > answerWait {
				delete(a.paths, p)
			}
		}
		if len(a.paths) >= answersKept/2 {
			clear(a.paths) // a flood: to forget is safer than to grow
		}
	}
	p := path{who, cseq}
	if first, ok := a.paths[p]; ok && now.Sub(first.at) <= answerWait {
		return first.key != key
	}
	a.paths[p] = passage{key, now}
	return false
}

func (a *answers) of(same string, now time.Time) chan Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w, ok := a.open[same]; ok {
		return w.answer
	}
	if len(a.open) >= max(a.sweep, answersKept) {
		// A request that sipgo dropped between the two ways is never forgotten by
		// its handler.
		for key, w := range a.open {
			if now.Sub(w.since) > 2*answerWait {
				delete(a.open, key)
			}
		}
		a.sweep = 2 * len(a.open)
	}
	answer := make(chan Answer, 1)
	a.open[same] = waiting{answer, now}
	return answer
}

func (a *answers) forget(same string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, same)
}

// repeated reports whether the key was seen within answerWait, and notes it.
func (a *answers) repeated(key string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.oldest) > 0 && (len(a.oldest) > answersKept || now.Sub(a.seen[a.oldest[0]]) > answerWait) {
		delete(a.seen, a.oldest[0])
		a.oldest = a.oldest[1:]
	}
	if _, ok := a.seen[key]; ok {
		return true
	}
	a.seen[key] = now
	a.oldest = append(a.oldest, key)
	return false
}
