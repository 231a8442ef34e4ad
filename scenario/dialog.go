package scenario

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"regwatch/internal/guard"
	"regwatch/internal/wire"
)

const reginfoType = "application/reginfo+xml"

// play is one performance.
type play struct {
	stage    *Stage
	scenario *Scenario
	scripted bool // the scenario sends the NOTIFYs, and answers each SUBSCRIBE
	ctx      context.Context
	notified []*notified   // sent, in order; of Play's goroutine
	news     chan struct{} // a request has come

	mu       sync.Mutex
	came     map[string][]*wire.Incoming // by method, not yet taken by a step
	armed    map[string][]*arm           // answers to those that are to come
	register *wire.Incoming              // the last; nil: none
	binding  *wire.Incoming              // the last REGISTER with a Contact
	dialogs  []*dialog                   // the newest last
	last     *wire.Incoming
}

type arm struct {
	step *Step
	left int
}

// dialog is a subscription, seen from the notifier (RFC 6665 4.4.1).
type dialog struct {
	subscribe *wire.Incoming // the last
	callID    string
	tag       string // ours
	remote    string // From of the SUBSCRIBE
	cseq      uint32 // of the last NOTIFY
	version   uint64 // of the next document
}

// notified is a NOTIFY that was sent.
type notified struct {
	step   *Step
	result chan notifyResult
}

type notifyResult struct {
	status int
	err    error
}

func newPlay(stage *Stage, scenario *Scenario) *play {
	return &play{
		stage: stage, scenario: scenario, news: make(chan struct{}, 1),
		scripted: slices.ContainsFunc(scenario.Steps, func(s *Step) bool { return s.Verb == Notify || s.Verb == Send }),
		came:     make(map[string][]*wire.Incoming), armed: make(map[string][]*arm),
	}
}

func (p *play) arm(s *Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed[s.Text] = append(p.armed[s.Text], &arm{s, s.Count})
}

// unmet are the answers that no request came for.
func (p *play) unmet() []*Step {
	var out []*Step
	for _, list := range p.armed {
		for _, a := range list {
			if a.left == a.step.Count {
				out = append(out, a.step)
			}
		}
	}
	return out
}

// take is shown each request by the registrar's goroutine.
func (p *play) take(in *wire.Incoming) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = in
	p.came[in.Method] = append(p.came[in.Method], in)
	if len(p.came[in.Method]) > maxCount {
		p.came[in.Method] = p.came[in.Method][1:]
	}
	select {
	case p.news <- struct{}{}:
	default:
	}
	var d *dialog
	switch in.Method {
	case "REGISTER":
		p.register = in
		if in.Headers.Has("Contact") {
			p.binding = in
		}
	case "SUBSCRIBE":
		d = p.dialogOf(in)
	}
	var s *Step
	if list := p.armed[in.Method]; len(list) > 0 {
		s = list[0].step
		if list[0].left--; list[0].left == 0 {
			p.armed[in.Method] = list[1:]
		}
	}
	switch {
	case s != nil && s.Silent:
	case s != nil && s.Raw != "":
		p.sendLater(wayOf(in), p.raw(s.Raw))
	case s != nil && s.Status != 0:
		in.Respond(p.answer(s, in, d))
	case d != nil && p.scripted:
		in.Respond(p.answer(&Step{Status: 200}, in, d))
	default:
		return false
	}
	return true
}

// dialogOf finds the dialog of a SUBSCRIBE, or begins one.
func (p *play) dialogOf(in *wire.Incoming) *dialog {
	for _, d := range p.dialogs {
		if d.callID == in.Headers.Get("Call-ID") && d.tag == in.Headers.Tag("To") {
			d.subscribe = in
			return d
		}
	}
	if d := p.newest(); d != nil && d.callID == in.Headers.Get("Call-ID") && in.Headers.Tag("To") == "" {
		d.subscribe = in // once more, after a challenge or a 423
		return d
	}
	d := &dialog{subscribe: in, callID: in.Headers.Get("Call-ID"), tag: strings.ToLower(rand.Text()), remote: in.Headers.Get("From")}
	p.dialogs = append(p.dialogs, d)
	return d
}

func (p *play) newest() *dialog {
	if len(p.dialogs) == 0 {
		return nil
	}
	return p.dialogs[len(p.dialogs)-1]
}

func (p *play) answer(s *Step, in *wire.Incoming, d *dialog) wire.Answer {
	a := wire.Answer{Status: s.Status, Reason: s.Reason}
	if a.Reason == "" {
		a.Reason = "So The Scenario Says"
		if s.Status == 200 {
			a.Reason = "OK"
		}
	}
	for _, line := range s.Headers {
		name, value, _ := strings.Cut(line, ":")
		a.Headers = append(a.Headers, wire.Header{Name: strings.TrimSpace(name), Value: p.fillLocked(strings.TrimSpace(value))})
	}
	if d != nil {
		a.ToTag = d.tag
		if s.Status < 300 && !a.Headers.Has("Expires") {
			a.Headers = append(a.Headers, wire.Header{Name: "Expires", Value: in.Headers.Get("Expires")})
		}
		if s.Status < 300 && !a.Headers.Has("Contact") {
			a.Headers = append(a.Headers, wire.Header{Name: "Contact", Value: "<" + notifier(in) + ">"})
		}
	}
	return a
}

// notifier is our Contact in a dialog.
func notifier(in *wire.Incoming) string {
	uri := "sip:notifier@" + wire.HostPortOf(in.Local)
	if in.Transport != wire.UDP {
		uri += ";transport=" + in.Transport
	}
	return uri
}

// next takes a request out of those that came.
func (p *play) next(method string) *wire.Incoming {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.came[method]
	if len(list) == 0 {
		return nil
	}
	p.came[method] = list[1:]
	return list[0]
}

// notify sends a NOTIFY (RFC 6665 4.2.2). Its answer is looked at in the end.
func (p *play) notify(s *Step) error {
	p.mu.Lock()
	d := p.newest()
	if s.Dialog == "earlier" && len(p.dialogs) > 1 {
		d = p.dialogs[len(p.dialogs)-2]
	} else if s.Dialog == "earlier" {
		d = nil
	}
	if d == nil {
		p.mu.Unlock()
		return fmt.Errorf("there is no such dialog: the phone has not subscribed")
	}
	request := p.notifyRequest(s, d)
	flow := d.subscribe.Flow
	p.mu.Unlock()
	n := &notified{s, make(chan notifyResult, 1)}
	go func() {
		defer guard.Recover(p.stage.onPanic)
		response, err := flow.Do(p.ctx, request)
		if err != nil {
			n.result <- notifyResult{err: err}
			return
		}
		n.result <- notifyResult{status: response.Status}
	}()
	p.notified = append(p.notified, n)
	return p.sleep(gap)
}

// answered waits for the phone's answer.
func (p *play) answered(n *notified) error {
	if n.step.Answered < 0 {
		return nil
	}
	var got notifyResult
	select {
	case got = <-n.result:
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	switch {
	case n.step.Answered == 0 && got.err != nil:
		return nil
	case got.err != nil:
		return fmt.Errorf("the phone did not answer: %w", got.err)
	case got.status != n.step.Answered:
		return fmt.Errorf("the phone answered %d, not %d", got.status, n.step.Answered)
	}
	return nil
}

// notifyRequest writes the NOTIFY and counts it.
func (p *play) notifyRequest(s *Step, d *dialog) *wire.Request {
	tag, cseq := d.tag, s.CSeq
	if s.Dialog == "fork" {
		tag = strings.ToLower(rand.Text())
	}
	if cseq == 0 {
		d.cseq++
		cseq = d.cseq
	}
	contacts, _ := d.subscribe.Headers.ParseNameAddrs("Contact")
	target := "sip:" + wire.HostPortOf(d.subscribe.Source)
	if len(contacts) > 0 {
		target = contacts[0].URI
	}
	headers := wire.Headers{
		{Name: "From", Value: d.subscribe.Headers.Get("To")},
		{Name: "To", Value: d.remote},
		{Name: "Call-ID", Value: d.callID},
		{Name: "CSeq", Value: fmt.Sprintf("%d NOTIFY", cseq)},
		{Name: "Contact", Value: "<" + notifier(d.subscribe) + ">"},
	}
	from, _, _ := strings.Cut(headers[0].Value, ";tag=")
	headers[0].Value = from + ";tag=" + tag
	for _, h := range []wire.Header{{Name: "Event", Value: s.Event}, {Name: "Subscription-State", Value: s.Text}} {
		if h.Value != "" {
			headers = append(headers, wire.Header{Name: h.Name, Value: p.fillLocked(h.Value)})
		}
	}
	var body []byte
	if s.Body != "" {
		body = []byte(p.fillLocked(s.Body))
		if s.Latin1 {
			body = latin1(string(body))
		}
		d.version++
		if s.ContentType != "" {
			headers = append(headers, wire.Header{Name: "Content-Type", Value: s.ContentType})
		}
	}
	replaced := make(map[string]bool)
	for _, line := range s.Headers {
		name, value, _ := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !replaced[strings.ToLower(name)] {
			replaced[strings.ToLower(name)] = true
			headers = slices.DeleteFunc(headers, func(h wire.Header) bool { return strings.EqualFold(h.Name, name) })
		}
		headers = append(headers, wire.Header{Name: name, Value: p.fillLocked(strings.TrimSpace(value))})
	}
	return &wire.Request{Method: "NOTIFY", URI: target, Headers: headers, Body: body}
}

// latin1 writes what ISO 8859-1 has; what it has not becomes a question mark.
func latin1(text string) []byte {
	var out []byte
	for _, r := range text {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}

// send sends a message byte for byte to where the last request came from.
func (p *play) send(s *Step) error {
	p.mu.Lock()
	if p.last == nil {
		p.mu.Unlock()
		return errNoWay
	}
	to, data := wayOf(p.last), p.raw(s.Text)
	p.mu.Unlock()
	if err := p.stage.send(to, data); err != nil {
		return err
	}
	return p.sleep(gap)
}

// sendLater sends without blocking; whether it could shows in what comes back.
func (p *play) sendLater(to way, data []byte) {
	go func() {
		defer guard.Recover(p.stage.onPanic)
		p.stage.send(to, data)
	}()
}

// raw turns a text of the file into a message: line ends of the header become
// CRLF, and {length} the length of what follows the header.
func (p *play) raw(text string) []byte {
	head, body, _ := strings.Cut(p.fillLocked(text), "\n\n")
	head = strings.ReplaceAll(head, "{length}", strconv.Itoa(len(body)))
	return []byte(strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n", "\r\n") + "\r\n\r\n" + body)
}

func (p *play) fill(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fillLocked(text)
}

func (p *play) fillLocked(text string) string { return fill(text, p.scenario.define, p.value) }

// value is what a placeholder stands for now; "" for what is not there yet.
func (p *play) value(name string) string {
	if field, ok := strings.CutPrefix(name, "register."); ok {
		return fieldOf(p.register, field)
	}
	d := p.newest()
	var subscribe *wire.Incoming
	if d != nil {
		subscribe = d.subscribe
	}
	if field, ok := strings.CutPrefix(name, "subscribe."); ok {
		return fieldOf(subscribe, field)
	}
	switch name {
	case "length":
		return "{length}" // see raw
	case "version":
		if d == nil {
			return "0"
		}
		return strconv.FormatUint(d.version, 10)
	case "subscriber":
		return contactOf(subscribe).URI
	case "registrar", "phone":
		if p.last == nil {
			return ""
		}
		if name == "phone" {
			return wire.HostPortOf(p.last.Source)
		}
		return wire.HostPortOf(p.last.Local)
	}
	if name == "aor" {
		to, _ := wire.ParseNameAddr(fieldOf(p.last, "To"))
		return to.URI
	}
	if p.binding == nil {
		return ""
	}
	contact := contactOf(p.binding)
	switch name {
	case "contact":
		return contact.URI
	case "call_id":
		return p.binding.Headers.Get("Call-ID")
	case "cseq":
		n, _, _ := p.binding.Headers.CSeq()
		return strconv.FormatUint(uint64(n), 10)
	case "instance":
		return strings.Trim(contact.Params.Get("+sip.instance"), "<>")
	case "reg_id":
		return contact.Params.Get("reg-id")
	case "expires":
		asked, ok := wire.LeadingNumber(contact.Params.Get("expires"))
		if !ok {
			asked, _ = p.binding.Headers.Number("Expires")
		}
		return strconv.FormatInt(max(int64(asked)-int64(time.Since(p.binding.At)/time.Second), 0), 10)
	}
	return ""
}

func fieldOf(in *wire.Incoming, name string) string {
	if in == nil {
		return ""
	}
	return in.Headers.Get(name)
}

func contactOf(in *wire.Incoming) wire.NameAddr {
	if in == nil {
		return wire.NameAddr{}
	}
	contacts, _ := in.Headers.ParseNameAddrs("Contact")
	if len(contacts) == 0 {
		return wire.NameAddr{}
	}
	return contacts[0]
}
