package wire

import "net/netip"

// Unreachable is an ICMP message about something that we sent over UDP. Anybody
// can forge one: it is a hint for people, and ends nothing (RFC 5927 2).
type Unreachable struct {
	Remote netip.AddrPort // where it was sent to
	What   string         // "port unreachable", "host unreachable", ...
	By     netip.Addr     // who says so; invalid: unknown
}

func (u Unreachable) String() string {
	text := u.What + " (ICMP)"
	if u.By.IsValid() {
		text += " from " + u.By.String()
	}
	return text
}

// unreachable tells every box of the stack. It is called on a goroutine that
// reads or writes the socket.
func (s *Stack) unreachable(u Unreachable) {
	s.mu.Lock()
	var tell []func(Unreachable)
	for _, boxes := range s.boxes {
		for _, box := range boxes {
			if box.unreachable != nil {
				tell = append(tell, box.unreachable)
			}
		}
	}
	s.mu.Unlock()
	for _, f := range tell {
		f(u)
	}
}
