package interop_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"regwatch/internal/interop"
)

// TestRealNetwork: what the tests over memnet hold, once more with the kernel's network and the program itself. Whatever
// the network does, we are registered and watching in the end, it is not told as a kick, and a kick is.
func TestRealNetwork(t *testing.T) {
	program := interop.BuildRegwatch(t)
	for _, c := range []struct {
		name, transport string
		expires         int // seconds: a refresh falls into what happens, or soon behind it
		happens         func(*interop.Hosts, *interop.Lab)
		back            string // what is told then
	}{
		{"partition of 40 s", "udp", 60, func(h *interop.Hosts, _ *interop.Lab) {
			h.Cut(true)
			time.Sleep(40 * time.Second)
			h.Cut(false)
		}, registered},
		{"loss of 20 % and 100 ms", "udp", 20, func(h *interop.Hosts, _ *interop.Lab) {}, registered},
		{"another address", "udp", 20, func(h *interop.Hosts, _ *interop.Lab) { h.MovePhone() }, listedAt(interop.MovedHost)},
		{"another address", "tcp", 20, func(h *interop.Hosts, _ *interop.Lab) { h.MovePhone() }, listedAt(interop.MovedHost)},
		{"registrar rebooted", "udp", 20, reboot, listedAt(interop.PhoneHost)},
		{"registrar rebooted", "tcp", 20, reboot, listedAt(interop.PhoneHost)},
	} {
		t.Run(c.name+"/"+c.transport, func(t *testing.T) {
			t.Parallel()
			hosts := interop.StartHosts(t)
			if strings.HasPrefix(c.name, "loss") {
				hosts.Bad(0.2, 100*time.Millisecond)
			} else {
				hosts.Bad(0, 5*time.Millisecond)
			}
			lab := hosts.StartLab(program, c.transport)
			phone := lab.Phone(c.expires)
			lab.Await(phone, registered)
			lab.Await(phone, listedAt(interop.PhoneHost))

			c.happens(hosts, lab)
			seen := len(lab.Printed(phone))
			lab.AwaitBehind(seen, phone, c.back)
			lab.AwaitBehind(seen, phone, `"kind":"subscription".*"state":"active"`)
			if kicks := kicks(t, lab.Printed(phone)); len(kicks) > 0 {
				t.Errorf("told as a kick: %s", kicks)
			}

			// After a silence of the registrar one more REGISTER follows; a kick that it overtakes is none.
			time.Sleep(time.Second)
			seen = len(lab.Printed(phone))
			lab.Command("deactivate alice", "Deactivated ")
			lab.AwaitBehind(seen, phone, `"kind":"contact".*"own":true.*"origin":"network".*"state":"terminated","event":"deactivated"`)
			if kicks := kicks(t, lab.Printed(phone)); len(kicks) != 1 {
				t.Errorf("one kick, told as %d: %s", len(kicks), kicks)
			}
		})
	}
}

const registered = `"kind":"registration".*"state":"registered"`

// listedAt: the registrar's document has our contact at that address.
func listedAt(host string) string {
	return `"kind":"contact".*"own":true.*"uri":"sip:[^"]*@` + host + `:.*"state":"active"`
}

func reboot(_ *interop.Hosts, lab *interop.Lab) {
	lab.Kill()
	time.Sleep(2 * time.Second)
	lab.Start()
}

// kicks are the lines that say that our contact was taken off, and not by us.
func kicks(t *testing.T, printed string) (kicks []string) {
	t.Helper()
	for line := range strings.Lines(printed) {
		if !strings.HasPrefix(line, "{") {
			continue // for people, on standard error
		}
		var e struct {
			Kind, State, Origin string
			Own                 bool
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Kind == "contact" && e.Own && e.State == "terminated" && e.Origin != "self" && e.Origin != "unknown" {
			kicks = append(kicks, line)
		}
	}
	return kicks
}
