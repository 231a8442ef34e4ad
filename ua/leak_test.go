package ua_test

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"regwatch/internal/testcert"
	"regwatch/internal/wire"
	"regwatch/registrar"
	"regwatch/ua"
)

// opening is a group that is closed after a while, whatever it is at then.
type opening struct {
	asks  bool // for a password that nobody types before the end
	leave bool
	says  bool // goodbye, and waits until that is answered
}

func anyOpening(random *rand.Rand) opening {
	return opening{asks: random.IntN(6) == 0, leave: random.IntN(6) == 0, says: random.IntN(2) == 0}
}

func (o opening) run(t *testing.T, network wire.Network, a ua.Account, wait time.Duration) {
	typed := make(chan struct{})
	defer close(typed)
	a.Password = func() (string, error) {
		if o.asks {
			<-typed
		}
		return "secret", nil
	}
	g := ua.NewGroup(ua.Options{Network: network})
	if err := g.Start(a); err != nil {
		t.Error(err)
	}
	time.Sleep(wait)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if !o.says {
		cancel()
	}
	g.Close(ctx, o.leave)
}

// sockets counts those that this process has open.
func sockets(t *testing.T) (n int) {
	t.Helper()
	files, _ := filepath.Glob("/proc/self/fd/*")
	if len(files) == 0 {
		t.Skip("there is no /proc/self/fd")
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// After Close no socket and no goroutine is left, whenever it comes: a thousand
// openings over real sockets, most of them closed in the middle of something.
func TestNothingIsLeft(t *testing.T) {
	const openings, workers = 1000, 8
	authority := testcert.NewAuthority(t, "lab CA")
	for _, transport := range []string{wire.UDP, wire.TCP, wire.TLS} {
		t.Run(transport, func(t *testing.T) {
			sockets, goroutines := func() int { return sockets(t) }, runtime.NumGoroutine
			socketsBefore, goroutinesBefore := sockets(), goroutines()
			r, err := registrar.Start(t.Context(), registrar.Options{
				Users: users, TLS: &tls.Config{Certificates: []tls.Certificate{authority.For("127.0.0.1")}}, Listen: []registrar.Listen{{Transport: transport, Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
			})
			if err != nil {
				t.Fatal(err)
			}
			a := ua.Account{AOR: "sip:alice@example.com", Registrar: "sip:" + r.Addr(transport).String(), Transport: transport, TLS: ua.TLS{CAFile: authority.File()}}
			begun := time.Now()
			var all sync.WaitGroup
			for worker := range workers {
				all.Go(func() {
					random := rand.New(rand.NewPCG(uint64(worker), 1))
					for range openings / workers {
						anyOpening(random).run(t, nil, a, time.Duration(random.ExpFloat64()*float64(3*time.Millisecond)))
					}
				})
			}
			all.Wait()
			t.Logf("%d openings took %v", openings, time.Since(begun).Round(time.Millisecond))
			r.Close()
			// The last goroutines of what was closed are about to end.
			for range 200 {
				if sockets() <= socketsBefore && goroutines() <= goroutinesBefore {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			stacks := make([]byte, 1<<16)
			t.Errorf("%d sockets and %d goroutines became %d and %d\n%s", socketsBefore, goroutinesBefore,
				sockets(), goroutines(), stacks[:runtime.Stack(stacks, true)])
		})
	}
}

// The same over a slow network in memory, where virtual time finds moments that
// are rare on a fast one: names are looked up, connections are made, answers are
// late, and some of it never comes.
func TestNothingIsLeftInASlowNetwork(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		for _, reached := range []bool{true, false} {
			name := transport
			if !reached {
				name += "/nobody there"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inLab(t, registrar.Options{Users: users}, func(l *lab) {
					l.net.Name("example.com")
					dns := l.net.Nameserver("192.0.2.53", "example.com. 60 IN A "+registrarHost)
					defer dns.Close()
					l.net.SetNameservers(time.Second, 2, dns)
					l.net.SetDelay(300*time.Millisecond, 100*time.Millisecond)
					if !reached {
						cut(l)
					}
					a := account()
					a.Transport = transport
					random := rand.New(rand.NewPCG(1, 1))
					for range 100 {
						anyOpening(random).run(t, l.net.Host(phoneHost), a, time.Duration(random.Int64N(int64(6*time.Second))))
					}
					l.net.SetDelay(0, 0)
				})
			})
		}
	}
}
