package ua_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/config"
	"regwatch/internal/eventschema"
	"regwatch/internal/tables"
	"regwatch/internal/wire"
	"regwatch/internal/wire/memnet"
	"regwatch/registrar"
	"regwatch/scenario"
	"regwatch/ua"
)

// TestScenarios plays every file of testdata/scenarios, in virtual time.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	played, met := 0, map[ua.Kind]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			played++
			s, err := scenario.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				events, err := inMemory(t, s)
				if err != nil {
					t.Error(err)
				}
				eventschema.Events(t, events...)
				for _, e := range events {
					met[e.Kind()] = true
				}
			})
		})
	}
	// Those of one reader, and those that are asked for by a flag, are not here.
	for _, kind := range []ua.Kind{
		ua.KindStart, ua.KindRegistration, ua.KindSubscription, ua.KindDocument, ua.KindRegistrationState, ua.KindContact,
		ua.KindAction, ua.KindGRUU, ua.KindDisagreement, ua.KindFinding, ua.KindFlow, ua.KindRequest,
	} {
		if played == len(files) && !met[kind] {
			t.Errorf("no %s in any scenario: nothing holds it against the schema", kind)
		}
	}
}

// inMemory plays a scenario over memnet. A way of 5 ms keeps an agent that would
// send without end from stopping the clock.
func inMemory(t *testing.T, s *scenario.Scenario) ([]ua.Event, error) {
	t.Helper()
	n := memnet.New()
	n.SetDelay(5*time.Millisecond, 0)
	n.Name("example.com", netip.MustParseAddr(registrarHost))
	return perform(t, s, n.Host(registrarHost), netip.MustParseAddrPort(registrarHost+":5060"), n.Host(phoneHost))
}

// A scenario is played over real sockets as well: that is how the lab does it.
func TestScenarioOverSockets(t *testing.T) {
	s, err := scenario.Load("testdata/scenarios/kamailio-no-instance.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{wire.UDP, wire.TCP} {
		s.Account = []tables.Block{{Path: []string{"account"}, Entries: []tables.Entry{{Path: []string{"transport"}, Value: transport}}}}
		if _, err := perform(t, s, wire.System{}, netip.MustParseAddrPort("127.0.0.1:0"), wire.System{}); err != nil {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

// perform plays a scenario with a registrar and an agent that watches it, and
// gives what that told.
func perform(t *testing.T, s *scenario.Scenario, server wire.Network, at netip.AddrPort, client wire.Network) ([]ua.Event, error) {
	t.Helper()
	a := account()
	a.Name = "alice"
	a, warnings, err := config.Account(s.File, s.Account, a)
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, errors.New(strings.Join(warnings, "\n"))
	}
	stage := scenario.NewStage(server, nil)
	r, err := registrar.Start(t.Context(), registrar.Options{
		Network: stage, First: stage.First, Profile: s.Profile,
		Listen: []registrar.Listen{{Transport: wire.UDP, Addr: at}, {Transport: wire.TCP, Addr: at}},
	})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if a.Transport == "" {
		a.Transport = wire.UDP
	}
	a.Registrar = "sip:" + r.Addr(a.Transport).String()
	phone := &actor{t: t, account: a, client: client}
	defer phone.kill()
	err = stage.Play(t.Context(), r, s, scenario.Phone{Start: phone.start, Do: phone.do, Expect: phone.expect, Never: phone.never})
	phone.pause(time.Second) // what is under way arrives
	if err = errors.Join(err, phone.forbidden()); err != nil && phone.run != nil {
		err = fmt.Errorf("%w\n%s", err, phone.story())
	}
	return phone.told(), err
}

// actor is the phone's side of a scenario: an agent of ours, and what it told.
type actor struct {
	t       *testing.T
	account ua.Account
	client  wire.Network
	*run

	looked int // events before this one were taken by expect
	nevers []ban
}

type ban struct {
	step *scenario.Step
	from int
}

func (p *actor) start() {
	p.run = (&lab{t: p.t}).watchOver(p.client, "", p.account)
}

func (p *actor) kill() {
	if p.run != nil {
		p.run.kill()
	}
}

func (p *actor) told() []ua.Event {
	if p.run == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}

func (p *actor) pause(d time.Duration) { time.Sleep(d) }

func (p *actor) do(verb string) error {
	verbs := []ua.Verb{ua.DoRegister, ua.DoUnregister, ua.DoQuery, ua.DoRemoveAll, ua.DoSubscribe, ua.DoUnsubscribe, ua.DoPing, ua.DoIgnore}
	if !slices.Contains(verbs, ua.Verb(verb)) {
		return fmt.Errorf("%q is nothing that the user can do: %v", verb, verbs)
	}
	c := ua.Command{Verb: ua.Verb(verb)}
	if s := p.latest(); c.Verb == ua.DoIgnore && s != nil && len(s.Prompts) > 0 {
		c.Prompt = s.Prompts[len(s.Prompts)-1].ID
	}
	p.Do(p.account.Name, c)
	return nil
}

func (p *actor) latest() *ua.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[p.account.Name]
}

func (p *actor) expect(s *scenario.Step) error {
	if err := checkFields(s.Fields); err != nil {
		return err
	}
	began := time.Now()
	for {
		events := p.told()
		for ; p.looked < len(events); p.looked++ {
			e := events[p.looked]
			if !fits(e, s.Fields) {
				continue
			}
			if early := began.Add(s.After).Sub(e.Time); s.After > 0 && early > 0 {
				return fmt.Errorf("%v came %s too soon", s.Fields, early)
			}
			p.looked++
			return nil
		}
		if time.Since(began) > s.Within {
			return fmt.Errorf("%v never came", s.Fields)
		}
		p.pause(10 * time.Millisecond)
	}
}

func (p *actor) never(s *scenario.Step) error {
	if err := checkFields(s.Fields); err != nil {
		return err
	}
	p.nevers = append(p.nevers, ban{s, len(p.told())})
	return nil
}

// forbidden says which events came that must not.
func (p *actor) forbidden() error {
	var faults []error
	events := p.told()
	for _, n := range p.nevers {
		for _, e := range events[n.from:] {
			if fits(e, n.step.Fields) {
				faults = append(faults, fmt.Errorf("line %d: never: %v came: %s", n.step.Line, n.step.Fields, e.Summary))
			}
		}
	}
	return errors.Join(faults...)
}

// details are those of all kinds of event; their JSON names are what a scenario
// may ask for.
var details = []ua.Detail{
	ua.RegistrationDetail{}, ua.SubscriptionDetail{}, ua.DocumentDetail{}, ua.RegistrationStateDetail{}, ua.ContactDetail{},
	ua.ActionDetail{}, ua.GRUUDetail{}, ua.DisagreementDetail{}, ua.FindingDetail{}, ua.FlowDetail{}, ua.RequestDetail{},
}

// checkFields finds names that no event of the kind has: an event that has no
// such field would never come, and a test for that would never fail.
func checkFields(fields map[string]any) error {
	for _, d := range details {
		if (ua.Event{Detail: d}).Kind() != ua.Kind(fmt.Sprint(fields["kind"])) {
			continue
		}
		names := append(jsonNames(reflect.TypeOf(d)), "kind", "summary", "account")
		for name := range fields {
			if !slices.Contains(names, name) {
				return fmt.Errorf("%q is no field of the kind %v: there are %v", name, fields["kind"], names)
			}
		}
		return nil
	}
	return fmt.Errorf("%v has no kind of event", fields)
}

func jsonNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			names = append(names, jsonNames(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// fits compares the fields with those of the event stream. What is left out there
// counts as false, 0 or ""; of texts for people a part is enough.
func fits(e ua.Event, fields map[string]any) bool {
	text, err := e.MarshalJSON()
	var told map[string]any
	if err != nil || json.Unmarshal(text, &told) != nil {
		return false
	}
	for name, want := range fields {
		if !same(name, told[name], want) {
			return false
		}
	}
	return true
}

func same(name string, got, want any) bool {
	switch want := want.(type) {
	case string:
		switch got := got.(type) {
		case []any:
			return slices.ContainsFunc(got, func(one any) bool { return strings.Contains(fmt.Sprint(one), want) })
		case string:
			if slices.Contains([]string{"summary", "reason", "detail", "cause"}, name) {
				return strings.Contains(got, want)
			}
			return got == want
		}
		return got == nil && want == ""
	case bool:
		if got == nil {
			return !want
		}
		return got == want
	case int64:
		if got == nil {
			return want == 0
		}
		return got == float64(want)
	case []any:
		return !slices.ContainsFunc(want, func(one any) bool { return !same(name, got, one) })
	}
	return false
}
