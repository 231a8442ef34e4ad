package wire_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
)

// A request can have a trace of its own: its transaction is in there, all of it
// and nothing else, whether the stack is traced or not. What Render wrote is what
// went out, but for the branch.
func TestTraceOfOneRequest(t *testing.T) {
	for _, transport := range []string{wire.UDP, wire.TCP} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				n.SetDelay(20*time.Millisecond, 0)
				server := serve(t, n.Host("192.0.2.2"), transport, "<sip:a@b>")
				defer server.Close()
				client, err := wire.OpenStack(t.Context(), wire.Options{
					Network: n.Host("192.0.2.1"), Transport: transport, Local: netip.MustParseAddrPort("192.0.2.1:0"),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				flow, err := client.Connect(t.Context(), server.Local())
				if err != nil {
					t.Fatal(err)
				}
				if transport == wire.UDP {
					lost := 0
					n.Drop(func(memnet.Packet) bool { lost++; return lost == 1 })
				}
				var all sync.WaitGroup
				rings := make([]*trace.Ring, 3)
				for i := range rings {
					rings[i] = trace.NewRing(10)
					r := request("REGISTER", "192.0.2.2", i+1)
					r.Headers = append(r.Headers, wire.Header{Name: "Max-Forwards", Value: "7"})
					r.Trace = rings[i]
					rendered, err := flow.Render(t.Context(), r)
					if err != nil {
						t.Fatal(err)
					}
					all.Go(func() {
						if _, err := flow.Do(t.Context(), r); err != nil {
							t.Error(err)
						}
						sent := string(rings[i].Messages()[0].Raw)
						via, _, _ := strings.Cut(sent[strings.Index(sent, "Via"):], "\r\n")
						shown, _, _ := strings.Cut(rendered[strings.Index(rendered, "Via"):], "\r\n")
						if via == shown || strings.Replace(sent, via, shown, 1) != rendered {
							t.Errorf("sent\n%s\nrendered\n%s", sent, rendered)
						}
						if strings.Count(sent, "Max-Forwards") != 1 || !strings.Contains(sent, "\r\nMax-Forwards: 7\r\n") {
							t.Errorf("sent\n%s", sent)
						}
					})
					synctest.Wait()
				}
				all.Wait()
				for i, ring := range rings {
					want := 2
					if i == 0 && transport == wire.UDP {
						want = 3 // one that was lost
					}
					list := ring.Messages()
					if len(list) != want || list[want-1].Direction != trace.Received {
						t.Errorf("request %d: %d messages, want %d", i, len(list), want)
					}
					for _, m := range list {
						if m.Header("CSeq", "")[0] != byte('1'+i) {
							t.Errorf("request %d has %s", i, m.Raw)
						}
					}
				}
				// Over is over: a later one is in no ring.
				if _, err := flow.Do(t.Context(), request("REGISTER", "192.0.2.2", 9)); err != nil {
					t.Fatal(err)
				}
				if total := rings[0].Total() + rings[1].Total() + rings[2].Total(); total != 6 && transport == wire.TCP || total != 7 && transport == wire.UDP {
					t.Errorf("%d messages in the end", total)
				}
			})
		})
	}
}
