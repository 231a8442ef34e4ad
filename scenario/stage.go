package scenario

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"regwatch/internal/wire"
)

// Stage is the network that a registrar is started on, and the one who is asked
// first (registrar.Options.First), so that scenarios can be played with it. While
// none is played it lets everything pass. Its methods may be called from several
// goroutines.
type Stage struct {
	wire.Network
	onPanic func(error)

	mu      sync.Mutex
	weather weather
	socket  net.PacketConn // UDP; nil: none
	conns   []net.Conn     // TCP, the newest last
	play    *play          // nil: none
}

// maxConns bounds the connections that are remembered; of more, the oldest can be
// sent nothing byte for byte.
const maxConns = 1000

// NewStage puts a stage before a network; nil is the machine's own. onPanic is
// told of a panic on a goroutine of the stage; nil lets it end the program.
func NewStage(network wire.Network, onPanic func(error)) *Stage {
	if network == nil {
		network = wire.System{}
	}
	return &Stage{Network: network, onPanic: onPanic}
}

// ListenPacket opens a UDP socket in the weather.
func (s *Stage) ListenPacket(ctx context.Context, local netip.AddrPort) (net.PacketConn, error) {
	socket, err := s.Network.ListenPacket(ctx, local)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket = socket
	return &packets{socket, s}, nil
}

// Listen opens a TCP listener.
func (s *Stage) Listen(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	l, err := s.Network.Listen(ctx, local)
	if err != nil {
		return nil, err
	}
	return &listener{l, s}, nil
}

// First shows a request to the scenario that is played; true says that it has
// dealt with it.
func (s *Stage) First(in *wire.Incoming) bool {
	s.mu.Lock()
	play := s.play
	s.mu.Unlock()
	return play != nil && play.take(in)
}

func (s *Stage) befall(data []byte, ours bool) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.weather.befall(data, ours, time.Now())
}

func (s *Stage) took(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, conn)
	if len(s.conns) > maxConns {
		s.conns = slices.Delete(s.conns, 0, 1)
	}
}

var errNoWay = errors.New("there is no way to the phone: it has sent nothing yet, or its connection is gone")

// send sends bytes as they are, over UDP or TCP. They pass by the trace.
func (s *Stage) send(to way, data []byte) error {
	s.mu.Lock()
	socket := s.socket
	i := slices.IndexFunc(s.conns, func(c net.Conn) bool { return to.remote != nil && c.RemoteAddr().String() == to.remote.String() })
	var conn net.Conn
	if i >= 0 {
		conn = s.conns[i]
	}
	s.mu.Unlock()
	switch {
	case to.transport == wire.UDP && socket != nil:
		_, err := socket.WriteTo(data, to.remote)
		return err
	case to.transport == wire.TCP && conn != nil: // over TLS bytes of ours would be none of its own
		_, err := conn.Write(data)
		return err
	}
	return errNoWay
}
