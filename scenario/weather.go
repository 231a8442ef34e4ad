package scenario

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"time"

	"regwatch/internal/wire"
)

// weather is what befalls the datagrams of our sockets: loss, delay, repetition.
// A message is named by its method, or "answer to" and the method.
type weather struct{ due []*mishap }

// mishap is one Lose, Delay or Repeat that is not over.
type mishap struct {
	*Step
	left   int
	branch string    // Delay: of the message that is held back, "" none yet
	until  time.Time // Delay
}

// fate is what becomes of one datagram.
type fate struct {
	lost   bool
	delay  time.Duration
	copies int // besides it
}

func (w *weather) add(s *Step) { w.due = append(w.due, &mishap{Step: s, left: s.Count}) }

// befall decides about a datagram; ours says that we send it. Only what we send
// can be delayed or repeated.
func (w *weather) befall(data []byte, ours bool, now time.Time) fate {
	kind, branch := describe(data)
	w.due = slices.DeleteFunc(w.due, func(m *mishap) bool {
		return m.left == 0 && (m.Verb != Delay || now.After(m.until))
	})
	for _, m := range w.due {
		switch {
		case m.Text != kind || m.Verb != Lose && !ours:
		case m.branch == branch && branch != "":
			return fate{lost: true} // what is held back is not sent again meanwhile
		case m.left == 0:
		case m.Verb == Lose:
			m.left--
			return fate{lost: true}
		case m.Verb == Delay:
			m.left, m.branch, m.until = 0, branch, now.Add(m.For)
			return fate{delay: m.For}
		case m.Verb == Repeat:
			copies := m.left
			m.left = 0
			return fate{copies: copies}
		}
	}
	return fate{}
}

// unmet are the steps that nothing came for.
func (w *weather) unmet() []*Step {
	var out []*Step
	for _, m := range w.due {
		if m.left == m.Count {
			out = append(out, m.Step)
		}
	}
	return out
}

// describe reads the kind of a message and the branch of its topmost Via.
func describe(data []byte) (kind, branch string) {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	kind, _, _ = strings.Cut(lines[0], " ")
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "via", "v":
			if _, after, found := strings.Cut(value, "branch="); found && branch == "" {
				branch, _, _ = strings.Cut(after, ";")
			}
		case "cseq":
			if fields := strings.Fields(value); kind == "SIP/2.0" && len(fields) == 2 {
				kind = "answer to " + fields[1]
			}
		}
	}
	return kind, strings.TrimSpace(branch)
}

// packets is a UDP socket in the weather.
type packets struct {
	net.PacketConn
	stage *Stage
}

func (p *packets) ReadFrom(buffer []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(buffer)
		if err != nil || !p.stage.befall(buffer[:n], false).lost {
			return n, from, err
		}
	}
}

func (p *packets) WriteTo(data []byte, to net.Addr) (int, error) {
	f := p.stage.befall(data, true)
	if f.lost {
		return len(data), nil
	}
	if f.delay > 0 {
		held := bytes.Clone(data)
		time.AfterFunc(f.delay, func() { p.PacketConn.WriteTo(held, to) })
		return len(data), nil
	}
	for range f.copies {
		p.PacketConn.WriteTo(data, to)
	}
	return p.PacketConn.WriteTo(data, to)
}

// listener notes the connections that it takes, so that a message can be sent
// over them byte for byte.
type listener struct {
	net.Listener
	stage *Stage
}

func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.stage.took(conn)
	}
	return conn, err
}

// way is how a message goes back to where a request came from.
type way struct {
	transport string
	remote    net.Addr
}

func wayOf(in *wire.Incoming) way {
	if in.Transport == wire.UDP {
		return way{in.Transport, net.UDPAddrFromAddrPort(in.Source)}
	}
	return way{in.Transport, net.TCPAddrFromAddrPort(in.Source)}
}
