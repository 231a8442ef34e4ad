package interop_test

import (
	"strings"
	"testing"

	"regwatch/internal/eventschema"
	"regwatch/internal/interop"
)

// TestLabForAnyPhone: phones that are not ours register with "regwatch lab", are kicked, and a watcher of the same
// address-of-record sees it, who has no contact of its own.
func TestLabForAnyPhone(t *testing.T) {
	program := interop.BuildRegwatch(t)
	for _, phone := range []struct {
		name  string
		start func(*interop.Lab)
	}{{"baresip", (*interop.Lab).Baresip}, {"SIPp", (*interop.Lab).SIPp}} {
		t.Run(phone.name, func(t *testing.T) {
			lab := interop.StartLab(t, program)
			watch := lab.Watch()
			lab.Await(watch, `"kind":"subscription".*"state":"active"`)
			phone.start(lab)
			registered := lab.Await(watch, `"kind":"contact".*"own":false.*"origin":"other-device".*"uri":"([^"]+)","state":"active","event":"registered"`)
			lab.Command("deactivate alice", "Deactivated "+registered[1]+"; 1 subscriber was told.")
			kicked := lab.Await(watch, `"kind":"contact".*"own":false.*"origin":"network".*"uri":"([^"]+)","state":"terminated","event":"deactivated"`)
			if kicked[1] != registered[1] {
				t.Errorf("kicked %s, registered was %s", kicked[1], registered[1])
			}
			for line := range strings.Lines(lab.Printed(watch)) {
				eventschema.Check(t, []byte(line))
			}
		})
	}
}
