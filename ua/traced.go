package ua

import (
	"fmt"
	"strings"

	"regwatch/internal/trace"
	"regwatch/reginfo"
)

// traced makes an event of a SIP message. It is called on whatever goroutine
// read or wrote it, in the order of the trace.
func (g *Group) traced(m trace.Message) {
	line, to := m.StartLine(), "to"
	if m.Direction == trace.Received {
		to = "from"
	}
	g.hub.publish(g.accountOf(m), nil, []news{{m.Time, fmt.Sprintf("%s %s %s %s over %s", m.Direction, cut(line, 120), to, m.Remote, m.Transport), SIPDetail{
		Direction: m.Direction, Transport: m.Transport, Local: m.Local.String(), Remote: m.Remote.String(), StartLine: line,
		Raw: string(trace.Masked(m.Raw)),
	}, m.Number}})
}

// accountOf names the account that a message is of, by the address-of-record that
// it gives as ours; "" where that says nothing, or several accounts have it.
func (g *Group) accountOf(m trace.Message) string {
	ours, compact := "To", "t"
	if isResponse := strings.HasPrefix(m.StartLine(), "SIP/"); isResponse == (m.Direction == trace.Received) {
		ours, compact = "From", "f" // the request was ours (RFC 3261 8.2.6.2)
	}
	uri := bareURI(m.Header(ours, compact))
	g.mu.Lock()
	defer g.mu.Unlock()
	name := ""
	for _, agent := range g.agents {
		if reginfo.SameURI(agent.account.AOR, uri) {
			if name != "" {
				return ""
			}
			name = agent.account.Name
		}
	}
	return name
}
