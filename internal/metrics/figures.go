package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"regwatch/ua"
)

// figures are what is counted. No label holds what a network chooses: an account's
// name, a URI or a reason could grow them without end.
type figures struct {
	accounts, registered, watched, flows prometheus.Gauge
	kicks                                *prometheus.CounterVec
	registrations, subscriptions         *prometheus.CounterVec
	findings                             *prometheus.CounterVec
	disagreements, missed                prometheus.Counter
	answer, back                         prometheus.Histogram

	states map[string]standing // by account
}

// standing is what counts of an account's last snapshot.
type standing struct {
	registered, watched, flow bool
	kickedAt                  time.Time // zero: it is not off by a kick
	roundTrip                 time.Duration
}

func newFigures() *figures {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "regwatch", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "regwatch", Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "regwatch", Name: name, Help: help}, labels)
	}
	seconds := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "regwatch", Name: name, Help: help, Buckets: buckets})
	}
	return &figures{
		accounts:      gauge("accounts", "Accounts of this run."),
		registered:    gauge("accounts_registered", "Accounts whose contact is bound, by what was granted."),
		watched:       gauge("accounts_watched", "Accounts whose registration is watched by the reg event package, or polled."),
		flows:         gauge("flows_up", "Accounts that have a flow to their next hop."),
		kicks:         counters("kicks_total", "Times that the network removed or shortened a contact of ours.", "event", "origin"),
		registrations: counters("registration_changes_total", "Changes of registrations; a refresh counts as registered.", "state"),
		subscriptions: counters("subscription_changes_total", "Changes of subscriptions; a refresh counts as active.", "state"),
		findings:      counters("findings_total", "Findings about registrars.", "code", "severity"),
		disagreements: counter("disagreements_total", "Times that our count, the answers and the documents disagreed for longer than a NOTIFY takes."),
		missed:        counter("events_missed_total", "Events that went by too fast to be counted."),
		answer:        seconds("register_answer_seconds", "Time from a REGISTER to its final answer.", prometheus.ExponentialBuckets(0.0005, 2.5, 13)),
		back:          seconds("kick_to_registered_seconds", "Time from a kick that removed a contact to its next registration.", prometheus.ExponentialBuckets(0.05, 3, 12)),
		states:        make(map[string]standing),
	}
}

func (f *figures) all() []prometheus.Collector {
	return []prometheus.Collector{
		f.accounts, f.registered, f.watched, f.flows, f.kicks, f.registrations, f.subscriptions, f.findings, f.disagreements, f.missed, f.answer, f.back,
	}
}

// take counts an update. Only one goroutine calls it.
func (f *figures) take(u ua.Update) {
	f.missed.Add(float64(u.Missed))
	for _, e := range u.Events {
		f.event(e)
	}
	for _, s := range u.Snapshots {
		before := f.states[s.Account]
		now := before
		now.registered = s.Registration.State == ua.Registered
		now.watched = s.Subscription.State == ua.Active || s.Subscription.State == ua.Polling
		now.flow = s.Flow.Up
		now.roundTrip = s.Registration.RoundTrip
		f.states[s.Account] = now
		flip(f.registered, before.registered, now.registered)
		flip(f.watched, before.watched, now.watched)
		flip(f.flows, before.flow, now.flow)
		// Nanoseconds of two answers are hardly ever the same.
		if now.roundTrip > 0 && now.roundTrip != before.roundTrip {
			f.answer.Observe(now.roundTrip.Seconds())
		}
	}
}

func flip(g prometheus.Gauge, before, now bool) {
	switch {
	case now && !before:
		g.Inc()
	case before && !now:
		g.Dec()
	}
}

func (f *figures) event(e ua.Event) {
	switch d := e.Detail.(type) {
	case ua.StartDetail:
		f.accounts.Set(float64(len(d.Accounts)))
	case ua.RegistrationDetail:
		f.registrations.WithLabelValues(string(d.State)).Inc()
		if d.State != ua.Registered {
			return
		}
		if s := f.states[e.Account]; !s.kickedAt.IsZero() {
			f.back.Observe(e.Time.Sub(s.kickedAt).Seconds())
			s.kickedAt = time.Time{}
			f.states[e.Account] = s
		}
	case ua.SubscriptionDetail:
		f.subscriptions.WithLabelValues(string(d.State)).Inc()
	case ua.ContactDetail:
		kick := d.Kick()
		if kick == "" {
			return
		}
		f.kicks.WithLabelValues(string(kick), string(d.Origin)).Inc()
		if s := f.states[e.Account]; kick.TakesOff() {
			s.kickedAt = e.Time
			f.states[e.Account] = s
		}
	case ua.DisagreementDetail:
		if !d.Cleared {
			f.disagreements.Inc()
		}
	case ua.FindingDetail:
		f.findings.WithLabelValues(string(d.Code), string(d.Severity)).Inc()
	}
}
