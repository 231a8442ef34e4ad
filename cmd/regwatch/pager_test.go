package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	var out strings.Builder
	e := &env{pager: "cat -n", stdout: &out, stderr: &out}
	if err := e.page(t.Context(), "one\ntwo\n"); err != nil || !strings.Contains(out.String(), "2\ttwo\n") {
		t.Errorf("paged %q, %v", out.String(), err)
	}
	e.pager = "/nonexistent/pager"
	if err := e.page(t.Context(), ""); err == nil {
		t.Error("a pager that is not there pages")
	}
}

func TestPageEndsWithItsContext(t *testing.T) {
	e := &env{pager: "sleep 60", stdout: &strings.Builder{}, stderr: &strings.Builder{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.page(ctx, "x") }()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("ended well")
		}
	case <-time.After(10 * time.Second):
		t.Error("the pager outlives its context")
	}
}
