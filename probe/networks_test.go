package probe_test

import (
	"testing"
	"time"

	"regwatch/registrar"
)

// A network that is slow, or loses what is sent, is no fault of the registrar; nor
// is it one that the probe comes over TCP.
func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		name, transport string
		delay, jitter   time.Duration
		loss            float64
	}{
		{"tcp", "tcp", 10 * time.Millisecond, 0, 0},
		{"slow", "udp", 400 * time.Millisecond, 100 * time.Millisecond, 0},
		{"lossy", "udp", 20 * time.Millisecond, 5 * time.Millisecond, 0.15},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, registrar.Options{}, func(l *lab) {
				l.net.SetDelay(c.delay, c.jitter)
				l.net.Lose(c.loss)
				o := l.options()
				o.Account.Transport = c.transport
				report, err := l.probe(l.t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if report.Broken() {
					t.Error(report.Text())
				}
			})
		})
	}
}
