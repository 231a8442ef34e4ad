package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/reginfo"
	"regwatch/ua"
)

func listen(t *testing.T) (*Server, func() string) {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if _, err := client.Get("http://" + s.Addr() + "/metrics"); err == nil {
			t.Error("answers though it is closed")
		}
	})
	return s, func() string {
		t.Helper()
		response, err := client.Get("http://" + s.Addr() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response.Status, err)
		}
		return string(text)
	}
}

// story is what two accounts go through: both registered and watched, one kicked
// and back after three seconds, one refused at its refresh.
func story() []ua.Update {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	event := func(account string, after time.Duration, d ua.Detail) ua.Event {
		return ua.Event{Account: account, Time: at.Add(after), Detail: d}
	}
	state := func(account string, reg ua.RegistrationState, sub ua.SubscriptionState, took time.Duration) *ua.Snapshot {
		return &ua.Snapshot{Account: account, Registration: ua.Registration{State: reg, RoundTrip: took},
			Subscription: ua.Subscription{State: sub}, Flow: ua.Flow{Up: true}}
	}
	kick := func(event reginfo.ContactEvent, origin ua.Origin) ua.ContactDetail {
		return ua.ContactDetail{Own: true, Origin: origin, Contact: reginfo.Contact{Event: event}}
	}
	return []ua.Update{
		{
			Events:    []ua.Event{event("", 0, ua.StartDetail{Accounts: []string{"alice", "bob", "carol"}})},
			Snapshots: []*ua.Snapshot{{Account: "alice"}, {Account: "bob"}},
		},
		{
			Events: []ua.Event{
				event("alice", 0, ua.RegistrationDetail{State: ua.Registered}), event("bob", 0, ua.RegistrationDetail{State: ua.Registered}),
				event("alice", 0, ua.SubscriptionDetail{State: ua.Active}), event("bob", 0, ua.SubscriptionDetail{State: ua.Polling}),
			},
			Snapshots: []*ua.Snapshot{state("alice", ua.Registered, ua.Active, 2*time.Millisecond), state("bob", ua.Registered, ua.Polling, 30*time.Millisecond)},
		},
		{
			Events: []ua.Event{
				event("alice", time.Second, kick(reginfo.Deactivated, ua.OriginNetwork)),
				event("bob", time.Second, kick(reginfo.Unregistered, ua.OriginSelf)), // our own doing
				event("bob", time.Second, kick(reginfo.Shortened, ua.OriginElsewhere)),
			},
			Snapshots: []*ua.Snapshot{state("alice", ua.Unregistered, ua.Active, 2*time.Millisecond)},
			Missed:    4,
		},
		{
			Events:    []ua.Event{event("alice", 4*time.Second, ua.RegistrationDetail{State: ua.Registered}), event("bob", 4*time.Second, ua.RegistrationDetail{State: ua.Refused})},
			Snapshots: []*ua.Snapshot{state("alice", ua.Registered, ua.Active, 3*time.Millisecond), state("bob", ua.Refused, ua.Polling, 30*time.Millisecond)},
		},
		{Events: []ua.Event{
			event("alice", 5*time.Second, ua.FindingDetail{Code: "version-gap", Severity: "warning"}),
			event("alice", 5*time.Second, ua.DisagreementDetail{}), event("alice", 6*time.Second, ua.DisagreementDetail{Cleared: true}),
		}},
	}
}

func TestFigures(t *testing.T) {
	s, scrape := listen(t)
	s.Watch(slices.Values(story()))
	text := scrape()
	for _, line := range []string{
		`regwatch_accounts 3`,
		`regwatch_accounts_registered 1`,
		`regwatch_accounts_watched 2`,
		`regwatch_flows_up 2`,
		`regwatch_kicks_total{event="deactivated",origin="network"} 1`,
		`regwatch_kicks_total{event="shortened",origin="elsewhere"} 1`,
		`regwatch_registration_changes_total{state="registered"} 3`,
		`regwatch_registration_changes_total{state="refused"} 1`,
		`regwatch_subscription_changes_total{state="active"} 1`,
		`regwatch_findings_total{code="version-gap",severity="warning"} 1`,
		`regwatch_disagreements_total 1`,
		`regwatch_events_missed_total 4`,
		`regwatch_register_answer_seconds_count 3`,
		`regwatch_kick_to_registered_seconds_count 1`,
		`regwatch_kick_to_registered_seconds_sum 3`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if n := strings.Count(text, "\nregwatch_kicks_total{"); n != 2 {
		t.Errorf("%d kinds of kicks, want 2: what we did ourselves is none", n)
	}
	if strings.Contains(text, "alice") {
		t.Error("an account's name is a label: they may be thousands")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestLoopbackOnly(t *testing.T) {
	for _, at := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:9100", "[::ffff:192.0.2.1]:9100"} {
		if s, err := Listen(netip.MustParseAddrPort(at)); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: %v", at, err)
			if err == nil {
				s.Close(context.Background())
			}
		}
	}
}

// Close frees the address also where nobody has served yet.
func TestCloseUnserved(t *testing.T) {
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, err := Listen(netip.MustParseAddrPort(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	again.Close(context.Background())
}

// Every metric that the dashboard and its page name is there, and the page names
// all of ours.
func TestDashboard(t *testing.T) {
	s, scrape := listen(t)
	s.Watch(slices.Values(story()))
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)(?:\{| )`).FindAllStringSubmatch(scrape(), -1) {
		there[m[1]] = true
	}
	raw, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) == 0 {
		t.Error("no panel")
	}
	name := regexp.MustCompile(`\b(?:regwatch|process|go)_[a-z_]+\b`)
	for _, panel := range dashboard.Panels {
		named := 0
		for _, target := range panel.Targets {
			for _, metric := range name.FindAllString(target.Expr, -1) {
				named++
				if !there[metric] {
					t.Errorf("panel %q: there is no %s", panel.Title, metric)
				}
			}
		}
		if named == 0 {
			t.Errorf("panel %q shows nothing of ours", panel.Title)
		}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	for metric := range there {
		if base := suffix.ReplaceAllString(metric, ""); strings.HasPrefix(base, "regwatch_") && !strings.Contains(string(page), "`"+base+"`") {
			t.Errorf("docs/metrics.md does not name %s", base)
		}
	}
}
