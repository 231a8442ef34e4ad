package ua

import (
	"context"
	"strings"
	"testing"
	"time"
)

// TestMessagesKept: however long the SIP messages are, those that the stream keeps
// take no more than their share, and a late watcher is told what it missed.
func TestMessagesKept(t *testing.T) {
	const each, sent = 1 << 20, 200
	h := newHub("r")
	for range sent {
		h.publish("alice", nil, []news{{time.Now(), "sent", SIPDetail{Raw: strings.Repeat("x", each)}, 0}})
	}
	h.publish("alice", nil, []news{{time.Now(), "last", FlowDetail{}, 0}})
	h.close()
	got, missed := 0, uint64(0)
	for u := range h.watch(context.Background(), 0) {
		missed += u.Missed
		for _, e := range u.Events {
			if got++; e.Seq != missed+uint64(got) || e.Detail == nil {
				t.Fatalf("event %d of %d missed: %+v", got, missed, e.Seq)
			}
		}
	}
	if got != messagesKept/each+1 || missed != sent+1-uint64(got) {
		t.Errorf("%d kept, %d missed", got, missed)
	}
}
