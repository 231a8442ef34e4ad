package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// A request that passes the check of its flow just before the stack is closed does
// not make sipgo open a socket of its own: the port stays free.
func TestRequestBehindClose(t *testing.T) {
	stack, err := OpenStack(t.Context(), Options{Transport: UDP, Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	flow, err := stack.Connect(t.Context(), netip.MustParseAddrPort("127.0.0.1:9"))
	if err != nil {
		t.Fatal(err)
	}
	message, err := flow.build(t.Context(), &Request{Method: "OPTIONS", URI: "sip:127.0.0.1:9", Headers: Headers{
		{"From", "<sip:a@127.0.0.1>;tag=1"}, {"To", "<sip:a@127.0.0.1>"}, {"Call-ID", "1"}, {"CSeq", "1 OPTIONS"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	stack.Close()
	if _, err := stack.agent.TransactionLayer().Request(context.Background(), message); !errors.Is(err, net.ErrClosed) {
		t.Errorf("sent behind Close: %v", err)
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(stack.Local()))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	socket.Close()
}
