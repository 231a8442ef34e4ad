package dissect

import (
	"fmt"
	"strings"

	"regwatch/internal/wire"
)

// request explains a request.
func (d *Dissector) request(item *Item) {
	switch item.message.method {
	case "REGISTER":
		d.register(item)
	case "SUBSCRIBE":
		d.subscribe(item)
	case "NOTIFY":
		d.notify(item)
	}
}

// subscribe explains a SUBSCRIBE (RFC 6665 4.1.2).
func (d *Dissector) subscribe(item *Item) {
	m := item.message
	a := asked{expires: item.expires()}
	d.asked.put(transactionOf(m), a)
	event, _, _ := strings.Cut(m.headers.Get("Event"), ";")
	event = strings.ToLower(strings.TrimSpace(event))
	inDialog := m.headers.Tag("To") != ""
	verb := "subscribes to"
	switch {
	case a.expires.Present && a.expires.Value == 0 && !inDialog:
		verb = "asks once for"
	case a.expires.Present && a.expires.Value == 0:
		verb = "ends its subscription to"
	case inDialog:
		verb = "refreshes its subscription to"
	}
	text := fmt.Sprintf("%s event %s of %s", verb, orNone(event), address(m, "To"))
	if a.expires.Value > 0 {
		text += fmt.Sprintf(", for %s s", a.expires)
	}
	item.note("%s", text)
	item.credentials()
	if event != "reg" {
		return
	}
	if accept := m.headers.Tokens("Accept"); len(accept) > 0 && !m.headers.HasToken("Accept", reginfoType) {
		item.note("takes %s, and not %s", strings.Join(accept, ", "), reginfoType)
	}
	if !inDialog {
		d.subs.begun.put(dialog{callID: m.headers.Get("Call-ID"), subscriber: m.headers.Tag("From")}, true)
	}
}

// answer explains an answer to a REGISTER, SUBSCRIBE or NOTIFY.
func (d *Dissector) answer(item *Item) {
	m := item.message
	if m.method == "" {
		item.note("its CSeq does not say what it answers")
		return
	}
	response := wire.Response{Status: m.status, Reason: m.reason, Headers: m.headers}
	if m.status >= 200 && m.method != "NOTIFY" {
		if seen, ok := response.SeenAs(); ok {
			item.note("the request came from %s", seen)
		}
	}
	switch {
	case m.status < 200:
		return
	case m.status < 300 && m.method == "REGISTER":
		d.bound(item)
	case m.status < 300 && m.method == "SUBSCRIBE":
		d.subscribed(item)
	case m.status >= 300:
		item.refused()
	}
}

func (d *Dissector) subscribed(item *Item) {
	granted := item.expires()
	a, known := d.asked.get(transactionOf(item.message))
	switch {
	case granted.Present && granted.Value == 0:
		item.note("the subscription ends with the NOTIFY that follows (RFC 6665 4.1.2.3)")
		return
	case !granted.Present:
		item.note("grants no time: Expires is missing (RFC 6665 3.1.1)")
		return
	case !known || !a.expires.Present:
		item.note("granted for %s s", granted)
	default:
		item.note("granted for %s s; %s s were asked for", granted, a.expires)
	}
	if known && a.expires.Present && granted.Value > a.expires.Value {
		item.note("that is longer than was asked for (RFC 6665 3.1.1)")
	}
}

// refused tells what an answer asks of the device before it may come again.
func (i *Item) refused() {
	h := i.message.headers
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, c := range h.Challenges(name) {
			text := fmt.Sprintf("asks for credentials for realm %s, %s", orNone(c.Realm), algorithm(c))
			if len(c.QOP) > 0 {
				text += ", qop " + strings.Join(c.QOP, " or ")
			}
			if c.Stale {
				text += "; only the nonce was too old"
			}
			i.note("%s", text)
		}
	}
	if least, ok := h.Number("Min-Expires"); ok {
		i.note("the least time is %s", seconds(least))
	}
	if after, ok := h.Number("Retry-After"); ok {
		i.note("may be tried again after %s", seconds(after))
	}
	for _, name := range []string{"Unsupported", "Allow-Events", "Contact", "Reason", "Warning"} {
		for _, value := range h.Values(name) {
			i.note("%s: %s", name, value)
		}
	}
}

func seconds(n uint32) string { return fmt.Sprintf("%d s", n) }
