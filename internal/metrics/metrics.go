// Package metrics counts what agents tell, for Prometheus: how many accounts are
// registered and watched, kicks by event and origin, refreshes, failures, and how
// long answers and returns take.
//
// It reads the stream of events as anybody else does, and knows no protocol. Only
// package ua and Prometheus' own client may enter.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"regwatch/ua"
)

// ErrNotLoopback: the address would show the figures to others than this machine.
var ErrNotLoopback = errors.New("is no address of the loopback")

// requestTime bounds how long a scraper may take to ask.
const requestTime = 5 * time.Second

// Server shows the figures at /metrics of a loopback address.
type Server struct {
	listener net.Listener
	http     *http.Server
	figures  *figures
}

// Listen binds the address; port 0 takes a free one. Serve then answers. The
// error wraps ErrNotLoopback, or what the network says.
func Listen(at netip.AddrPort) (*Server, error) {
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("metrics: %s %w", at, ErrNotLoopback)
	}
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	f, registry := newFigures(), prometheus.NewRegistry()
	registry.MustRegister(append(f.all(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: requestTime}))
	return &Server{listener, &http.Server{Handler: mux, ReadTimeout: requestTime, WriteTimeout: 2 * requestTime, MaxHeaderBytes: 16 << 10}, f}, nil
}

// Addr is the address that is listened on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until Close, and returns nil then.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// Watch counts what the updates tell; it returns at their end. It is called once.
func (s *Server) Watch(updates iter.Seq[ua.Update]) {
	for u := range updates {
		s.figures.take(u)
	}
}

// Close frees the address and ends Serve. Answers under way may take until ctx
// ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	s.listener.Close() // which Shutdown leaves open where nobody called Serve
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
