package ua_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"regwatch/internal/trace"
	"regwatch/registrar"
	"regwatch/ua"
)

// TestRate: accounts begin one after the other, in the order in which they are
// given, and one that a person begins does not wait for its turn.
func TestRate(t *testing.T) {
	inLab(t, registrar.Options{}, func(l *lab) {
		const count, rate = 50, 10
		var accounts []ua.Account
		for n := 1; n <= count; n++ {
			accounts = append(accounts, ua.Account{AOR: fmt.Sprintf("sip:user%d@example.com", n)})
		}
		g := ua.NewGroup(ua.Options{Network: l.net.Host(phoneHost), Rate: rate, Trace: trace.NewRing(1)})
		began := time.Now()
		if err := g.Start(accounts...); err != nil {
			t.Fatal(err)
		}
		g.Do("user40", ua.Command{Verb: ua.DoRegister})
		g.Do("user41", ua.Command{Verb: ua.DoUnregister})
		time.Sleep(count*time.Second/rate + time.Second)
		first := map[string]time.Duration{}
		go g.Close(l.t.Context(), false)
		for u := range g.Watch(l.t.Context(), 0) {
			for _, e := range u.Events {
				if d, ok := e.Detail.(ua.RegistrationDetail); ok && d.State == ua.Registering {
					if _, again := first[e.Account]; !again {
						first[e.Account] = e.Time.Sub(began)
					}
				}
			}
		}
		for i := range accounts {
			name, due := fmt.Sprintf("user%d", i+1), time.Duration(i)*time.Second/rate
			at, did := first[name]
			switch name {
			case "user40":
				due = 0
			case "user41":
				if did {
					t.Error("user41 registered though a person said no before")
				}
				continue
			}
			if !did || at < due || at > due+20*time.Millisecond {
				t.Errorf("%s began after %v, want %v", name, at, due)
			}
		}
	})
}

// TestManySnapshots: a watcher is given each account that changed, once, in the
// order of the changes, and none that did not.
func TestManySnapshots(t *testing.T) {
	inLab(t, registrar.Options{}, func(l *lab) {
		run := l.watch(phoneHost, "", ua.Account{AOR: "sip:a@example.com"}, ua.Account{AOR: "sip:b@example.com"}, ua.Account{AOR: "sip:c@example.com"})
		defer run.close()
		time.Sleep(5 * time.Second)
		updates := make(chan ua.Update)
		go func() {
			defer close(updates)
			for u := range run.Watch(l.t.Context(), 0) {
				select {
				case updates <- u:
				case <-l.t.Context().Done():
					return
				}
			}
		}()
		names := func(u ua.Update) (out []string) {
			for _, s := range u.Snapshots {
				out = append(out, s.Account)
			}
			return out
		}
		if first := names(<-updates); len(first) != 3 {
			t.Error("first", first)
		}
		run.Do("b", ua.Command{Verb: ua.DoUnregister})
		if second := names(<-updates); !slices.Equal(second, []string{"b"}) {
			t.Error("second", second)
		}
		go func() {
			for range updates {
			}
		}()
	})
}
