package trace

import (
	"slices"
	"strconv"
	"testing"
)

func numbers(messages []Message) []uint64 {
	var out []uint64
	for _, m := range messages {
		out = append(out, m.Number)
	}
	return out
}

func TestSince(t *testing.T) {
	r := NewRing(3)
	if newer, oldest := r.Since(0, 5); newer != nil || oldest != 0 {
		t.Errorf("an empty ring gives %v from %d", newer, oldest)
	}
	for range 5 {
		r.Add(Message{})
	}
	for since, want := range map[uint64][]uint64{0: {3, 4, 5}, 2: {3, 4, 5}, 3: {4, 5}, 4: {5}, 5: nil, 9: nil} {
		newer, oldest := r.Since(since, 5)
		if got := numbers(newer); !slices.Equal(got, want) || oldest != 3 {
			t.Errorf("Since(%d) = %v from %d, want %v from 3", since, got, oldest, want)
		}
	}
	if newer, oldest := r.Since(0, 2); !slices.Equal(numbers(newer), []uint64{3, 4}) || oldest != 3 {
		t.Errorf("the first two of three: %v from %d", numbers(newer), oldest)
	}
	if newer, oldest := (*Ring)(nil).Since(0, 5); newer != nil || oldest != 0 {
		t.Error("no ring gives messages")
	}
}

func TestFind(t *testing.T) {
	r := NewRing(4)
	for i := range 6 {
		r.Add(Message{Raw: []byte(strconv.Itoa(i % 2))}) // 3 to 6 are kept: 0 1 0 1
	}
	even := func(m Message) bool { return string(m.Raw) == "0" }
	if m, ok := r.Find(10, even); !ok || m.Number != 5 {
		t.Errorf("found %d, %v", m.Number, ok)
	}
	if _, ok := r.Find(1, even); ok {
		t.Error("looked at more than one")
	}
	if _, ok := r.Find(10, func(Message) bool { return false }); ok {
		t.Error("found what does not match")
	}
}
