package interop_test

import (
	"net/netip"
	"testing"

	"regwatch/internal/interop"
	"regwatch/internal/wire"
)

// RFC 5626 4.4: Kamailio answers our keep-alives as we answer those of others:
// CRLF over TCP, and STUN over UDP with the address that we send from.
func TestKamailioAnswersKeepAlives(t *testing.T) {
	k := interop.Start(t, interop.Options{Outbound: true, NoRegEvent: true})
	address := netip.MustParseAddrPort(k.Addr())
	stacks := wire.NewStacks(nil, nil, nil, nil)
	defer stacks.Close()
	for _, transport := range []string{wire.UDP, wire.TCP} {
		flow, err := stacks.Flow(t.Context(), wire.Target{Transport: transport, Addr: address}, netip.AddrPort{}, wire.Peer{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if transport == wire.TCP {
				if err := flow.Ping(t.Context()); err != nil {
					t.Error(err)
				}
				continue
			}
			if mapped, err := flow.Binding(t.Context()); err != nil || mapped != flow.Local() {
				t.Errorf("seen as %s, %v; local %s", mapped, err, flow.Local())
			}
		}
	}
}
