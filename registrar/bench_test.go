package registrar_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"regwatch/internal/wire"
	"regwatch/registrar"
)

// BenchmarkRegister measures REGISTER and its 200 over the loopback, from our stack
// to the registrar's and back, without a challenge: one at a time, and as many at a
// time as accounts that start together.
func BenchmarkRegister(b *testing.B) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		for _, inFlight := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/inflight=%d", transport, inFlight), func(b *testing.B) {
				loopback := netip.MustParseAddrPort("127.0.0.1:0")
				r, err := registrar.Start(b.Context(), registrar.Options{Listen: []registrar.Listen{{Transport: transport, Addr: loopback}}})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				stacks := wire.NewStacks(wire.System{}, nil, nil, nil)
				defer stacks.Close()
				flow, err := stacks.Flow(b.Context(), wire.Target{Transport: transport, Addr: r.Addr(transport)}, netip.AddrPort{}, wire.Peer{})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				var sent atomic.Int64
				var running sync.WaitGroup
				for device := range inFlight {
					running.Go(func() {
						aor := fmt.Sprintf("sip:user%d@127.0.0.1", device)
						for cseq := 1; sent.Add(1) <= int64(b.N); cseq++ {
							response, err := flow.Do(b.Context(), &wire.Request{Method: "REGISTER", URI: "sip:127.0.0.1", Headers: wire.Headers{
								{Name: "From", Value: "<" + aor + ">;tag=1"}, {Name: "To", Value: "<" + aor + ">"},
								{Name: "Call-ID", Value: fmt.Sprint("call", device)}, {Name: "CSeq", Value: fmt.Sprint(cseq, " REGISTER")},
								{Name: "Contact", Value: fmt.Sprintf("<sip:user%d@%s>", device, flow.Local())}, {Name: "Expires", Value: "3600"},
							}})
							if err != nil || response.Status != 200 {
								b.Errorf("%+v, %v", response, err)
								return
							}
						}
					})
				}
				running.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "REGISTER/s")
			})
		}
	}
}
