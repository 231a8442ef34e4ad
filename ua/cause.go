package ua

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
)

// An input that waited while this many messages went by is found no more.
const causeWithin = 1000

// messageOf is the number in the trace of the message that an input brings; 0
// where it brings none.
func (a *Agent) messageOf(input any) uint64 {
	var response *wire.Response
	switch input := input.(type) {
	case *wire.Incoming:
		return a.number([]byte(input.Method+" "), input.Headers, input.At)
	case registerResult:
		response = input.response
	case subscribeResult:
		response = input.response
	case turnResult:
		response = input.response
	case pingResult:
		response = input.response
	}
	if response == nil {
		return 0
	}
	return a.number([]byte("SIP/2.0 "+strconv.Itoa(response.Status)), response.Headers, response.At)
}

// number finds a message that was read by a time, the last of those that were
// sent again: Call-ID, CSeq and first line tell it from all others of its
// transaction (RFC 3261 8.1.1.4, 8.1.1.5).
func (a *Agent) number(begins []byte, h wire.Headers, by time.Time) uint64 {
	callID, cseq := []byte(h.Get("Call-ID")), strings.Fields(h.Get("CSeq"))
	m, _ := a.group.options.Trace.Find(causeWithin, func(m trace.Message) bool {
		return m.Direction == trace.Received && !m.Time.After(by) && bytes.HasPrefix(m.Raw, begins) && bytes.Contains(m.Raw, callID) &&
			m.Header("Call-ID", "i") == string(callID) && slices.Equal(strings.Fields(m.Header("CSeq", "")), cseq)
	})
	return m.Number
}
