package ua

import (
	"testing"
	"testing/synctest"
	"time"
)

// So many requests are under way; the next one goes at an answer, and where none
// comes after a second.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup(Options{})
		defer g.Close(t.Context(), true)
		began := time.Now()
		var answered []func()
		for range mostUnderWay {
			answered = append(answered, g.admit())
		}
		if waited := time.Since(began); waited != 0 {
			t.Fatalf("waited for %v", waited)
		}
		time.AfterFunc(100*time.Millisecond, answered[0])
		answered[0] = g.admit()
		if waited := time.Since(began); waited != 100*time.Millisecond {
			t.Errorf("waited for %v, not for an answer", waited)
		}
		beyond := g.admit()
		if waited := time.Since(began); waited != 100*time.Millisecond+admitWithin {
			t.Errorf("waited for %v with a silent registrar", waited)
		}
		beyond()
		for _, answered := range answered {
			answered()
		}
		if left := len(g.underWay); left != 0 {
			t.Errorf("%d are under way at the end", left)
		}
	})
}
