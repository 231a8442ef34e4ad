package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"regwatch/registrar"
)

// Phone is what a scenario says of the phone's side, for whoever has that in
// hand. A nil function passes over its steps; they run on Play's goroutine.
type Phone struct {
	// Start is called once, when everything that must be ready before the phone
	// starts is.
	Start func()
	// Do does what the user does.
	Do func(verb string) error
	// Expect waits for an event with those fields, which comes neither sooner than
	// After nor later than Within from now.
	Expect func(*Step) error
	// Never is told of an event that must not come from here on.
	Never func(*Step) error
	// Told is told in a line what each step does.
	Told func(string)
}

// gap lies between two messages of ours, so that they leave in their order.
const gap = 5 * time.Millisecond

// requestURI is what With calls the one part of a request that is no header field.
const requestURI = "Request-URI"

// ErrBusy: a scenario is played already.
var ErrBusy = errors.New("a scenario is played already")

// Play plays a scenario with a registrar that was started on the stage, and
// returns when it is over: nil when everything came as the file says. What did
// not is an error that names the file and the line. One is played at a time.
func (s *Stage) Play(ctx context.Context, r *registrar.Registrar, scenario *Scenario, phone Phone) error {
	p := newPlay(s, scenario)
	s.mu.Lock()
	if s.play != nil {
		s.mu.Unlock()
		return ErrBusy
	}
	s.play, s.weather = p, weather{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.play, s.weather = nil, weather{}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.ctx = ctx
	started := false
	start := func() {
		if !started && phone.Start != nil {
			phone.Start()
		}
		started = true
	}
	for _, step := range scenario.Steps {
		if !step.prepares() {
			start()
		}
		if phone.Told != nil {
			phone.Told(fmt.Sprintf("%s:%d: %s %s", scenario.File, step.Line, step.Verb, firstLine(step.Text)))
		}
		if err := p.step(r, step, phone); err != nil {
			return scenario.at(step, err)
		}
	}
	start()
	return p.end()
}

// prepares reports whether the step only says what is to come, so that it can
// come before the phone has started.
func (s *Step) prepares() bool {
	return slices.Contains([]Verb{Answer, Lose, Delay, Repeat, Never}, s.Verb)
}

func (s *Scenario) at(step *Step, err error) error {
	return fmt.Errorf("%s:%d: %s: %w", s.File, step.Line, step.Verb, err)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

func (p *play) step(r *registrar.Registrar, s *Step, phone Phone) error {
	switch s.Verb {
	case Answer:
		p.arm(s)
	case Await:
		return p.await(s)
	case Silence:
		return p.silence(s)
	case Notify:
		return p.notify(s)
	case Send:
		return p.send(s)
	case Command:
		_, err := r.Command(p.fill(s.Text))
		return err
	case Wait:
		return p.sleep(s.For)
	case Lose, Delay, Repeat:
		p.stage.mu.Lock()
		defer p.stage.mu.Unlock()
		p.stage.weather.add(s)
	case User:
		if phone.Do != nil {
			return phone.Do(s.Text)
		}
	case Expect:
		if phone.Expect != nil {
			return phone.Expect(p.filled(s))
		}
	case Never:
		if phone.Never != nil {
			return phone.Never(p.filled(s))
		}
	}
	return nil
}

// filled is the step with values in place of the placeholders in its fields.
func (p *play) filled(s *Step) *Step {
	out := *s
	out.Fields = maps.Clone(s.Fields)
	for name, value := range out.Fields {
		if text, ok := value.(string); ok {
			out.Fields[name] = p.fill(text)
		}
	}
	return &out
}

func (p *play) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// await waits until a request of the method is there that no step took before,
// and looks at it.
func (p *play) await(s *Step) error {
	timer := time.NewTimer(s.Within)
	defer timer.Stop()
	for {
		if in := p.next(s.Text); in != nil {
			for name, want := range s.With {
				got := strings.Join(in.Headers.Values(name), ", ")
				if name == requestURI {
					got = in.URI
				}
				if want = p.fill(want); got == "" || !strings.Contains(got, want) {
					return fmt.Errorf("its %s is %q, without %q", name, got, want)
				}
			}
			for _, name := range s.Without {
				if in.Headers.Has(name) {
					return fmt.Errorf("it has the field %s: %s", name, in.Headers.Get(name))
				}
			}
			return p.sleep(gap) // the answer leaves on another goroutine
		}
		select {
		case <-p.news:
		case <-timer.C:
			return fmt.Errorf("no %s came within %s", s.Text, s.Within)
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// silence fails when a request of the method comes while the time passes.
func (p *play) silence(s *Step) error {
	for p.next(s.Text) != nil { // those before are none of its business
	}
	if err := p.sleep(s.For); err != nil {
		return err
	}
	if in := p.next(s.Text); in != nil {
		return fmt.Errorf("a %s came, %s before the time was over", s.Text, s.For-time.Since(in.At).Round(time.Millisecond))
	}
	return nil
}

// end waits for the answers that are out, and finds what was never needed.
func (p *play) end() error {
	for _, n := range p.notified {
		if err := p.answered(n); err != nil {
			return p.scenario.at(n.step, err)
		}
	}
	p.mu.Lock()
	unmet := p.unmet()
	p.mu.Unlock()
	p.stage.mu.Lock()
	unmet = append(unmet, p.stage.weather.unmet()...)
	p.stage.mu.Unlock()
	if len(unmet) == 0 {
		return nil
	}
	return p.scenario.at(unmet[0], fmt.Errorf("no %s came for it", unmet[0].Text))
}
