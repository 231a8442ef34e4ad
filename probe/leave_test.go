package probe_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/internal/trace"
	"regwatch/probe"
	"regwatch/registrar"
	"regwatch/ua"
)

var cuts = flag.Int("cuts", 30, "how many runs of TestInterrupted are interrupted")

// A run that is interrupted, whenever that is, ends within 3 s and leaves nothing
// bound; and it says which checks it did not get to. The times are drawn anew each
// time, and told where one fails.
func TestInterrupted(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	for range *cuts {
		after := time.Duration(random.Int64N(int64(16 * time.Second)))
		// Where the run is short of time, most of it is in waits; so half of the cuts
		// fall between a request and its answer.
		delay := time.Duration(random.Int64N(int64(150 * time.Millisecond)))
		silent := random.IntN(3) == 0 // the registrar, at the same time
		t.Run(fmt.Sprintf("seed %d, after %s with %s, silent %v", seed, after, delay, silent), func(t *testing.T) {
			inLab(t, registrar.Options{}, func(l *lab) {
				l.net.SetDelay(delay, delay/4)
				if silent {
					time.AfterFunc(after, func() { l.net.Cut(l.net.Host(ourHost).Addr(), l.net.Host(labHost).Addr()) })
				}
				ctx, cancel := context.WithCancel(l.t.Context())
				time.AfterFunc(after, cancel)
				report, err := probe.Run(ctx, l.options())
				if ctx.Err() == nil {
					cancel()
					return // it was over before
				}
				if left := l.Bindings("alice"); report != nil && len(report.Left) < len(left) || !silent && len(left) > 0 {
					t.Errorf("left behind: %+v, said of %v", left, report)
				}
				switch took := time.Since(bubbleBegan) - after; {
				case !errors.Is(err, context.Canceled):
					t.Errorf("error %v", err)
				case took > 3*time.Second:
					t.Errorf("it ended %s after", took)
				case report == nil:
					if after > time.Second {
						t.Error("no report")
					}
				case len(report.Left) > 0 && !silent:
					t.Errorf("may be left: %v", report.Left)
				case report.Results[len(report.Results)-1].Verdict != probe.NotTried:
					t.Errorf("last: %+v", report.Results[len(report.Results)-1])
				}
				synctest.Wait()
			})
		})
	}
}

// Every bubble of synctest begins at this time.
var bubbleBegan = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// What cannot be removed is said to be left.
func TestLeftBehind(t *testing.T) {
	inLab(t, registrar.Options{}, func(l *lab) {
		ctx, cancel := context.WithCancel(l.t.Context())
		time.AfterFunc(8*time.Second, func() { l.net.Cut(l.net.Host(ourHost).Addr(), l.net.Host(labHost).Addr()) })
		time.AfterFunc(9*time.Second, cancel)
		report, err := probe.Run(ctx, l.options())
		if took := time.Since(bubbleBegan); !errors.Is(err, context.Canceled) || took > 12*time.Second {
			t.Errorf("%v after %s", err, took)
		}
		if bound := l.Bindings("alice"); len(bound) == 0 || len(report.Left) < len(bound) {
			t.Errorf("bound %v, said to be left %v", bound, report.Left)
		}
	})
}

// A registrar that goes silent is not asked for ever.
func TestSilence(t *testing.T) {
	inLab(t, registrar.Options{}, func(l *lab) {
		time.AfterFunc(1*time.Second, func() { l.net.Cut(l.net.Host(ourHost).Addr(), l.net.Host(labHost).Addr()) })
		report, err := probe.Run(l.t.Context(), l.options())
		if took := time.Since(bubbleBegan); err != nil || took > 4*time.Minute {
			t.Fatalf("%v after %s", err, took)
		}
		verdicts := map[probe.Verdict]int{}
		for _, r := range report.Results {
			verdicts[r.Verdict]++
		}
		if verdicts[probe.Broken] != 2 || verdicts[probe.NotTried] < 70 {
			t.Errorf("%v\n%s", verdicts, report.Text())
		}
	})
}

// Where other devices are bound they stay, as they were, unless --clobber is given.
func TestOthers(t *testing.T) {
	for _, clobber := range []bool{false, true} {
		t.Run(fmt.Sprintf("clobber %v", clobber), func(t *testing.T) {
			inLab(t, registrar.Options{}, func(l *lab) {
				g := ua.NewGroup(ua.Options{Network: l.net.Host(otherHost)})
				if err := g.Start(account("alice", "secret")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				before := l.Bindings("alice")
				if len(before) != 1 {
					t.Fatalf("bound before: %v", before)
				}
				o := l.options()
				o.Clobber = clobber
				report, err := probe.Run(l.t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				stars := 0
				for _, r := range report.Results {
					if r.Verdict == probe.Broken {
						t.Errorf("%s: %s", r.ID, r.Came)
					}
					if r.Verdict == probe.NotTried && len(r.ID) > 13 && r.ID[:13] == "register.star" {
						stars++
					}
				}
				after := l.Bindings("alice")
				if clobber {
					if len(after) != 0 || stars != 0 {
						t.Errorf("after: %v, %d checks not tried", after, stars)
					}
				} else if len(after) != 1 || after[0].CallID != before[0].CallID || after[0].CSeq != before[0].CSeq || after[0].URI != before[0].URI || stars < 2 {
					t.Errorf("before %+v, after %+v, %d checks not tried\n%s", before, after, stars, report.Text())
				}
				ctx, cancel := context.WithTimeout(l.t.Context(), 3*time.Second)
				defer cancel()
				g.Close(ctx, false)
			})
		})
	}
}

// A run sends one request with a wrong password, and nothing that binds after it;
// with Refusals some more. Where the password is wrong, it sends that once.
func TestWrongPasswords(t *testing.T) {
	for _, c := range []struct {
		name, password string
		refusals       bool
		wrong          int
		err            error
	}{
		{"usually", "secret", false, 1, nil},
		{"with refusals", "secret", true, 3, nil},
		{"a wrong account", "guess", false, 1, probe.ErrRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, registrar.Options{}, func(l *lab) {
				o := l.options()
				o.Account.Password = func() (string, error) { return c.password, nil }
				o.Refusals = c.refusals
				o.UA.Trace = trace.NewRing(10_000)
				report, err := l.probe(l.t.Context(), o)
				if !errors.Is(err, c.err) || (report == nil) != (c.err != nil) {
					t.Fatalf("error %v", err)
				}
				if report != nil && report.Broken() {
					t.Error(report.Text())
				}
				signed := map[string]bool{}
				wrong, after := 0, 0
				for _, m := range o.UA.Trace.Messages() {
					switch {
					case m.Direction == trace.Sent && m.Header("Authorization", "") != "":
						signed[m.Header("CSeq", "")+m.Header("Call-ID", "")] = true
						if wrong > 0 && m.Header("Contact", "") != "" {
							after++
						}
					case m.StartLine() == "SIP/2.0 401 Unauthorized" && signed[m.Header("CSeq", "")+m.Header("Call-ID", "")]:
						wrong++
					}
				}
				if wrong != c.wrong || !c.refusals && after > 0 {
					t.Errorf("%d requests with a wrong password, and %d REGISTERs with a Contact after", wrong, after)
				}
			})
		})
	}
}

// The account's own device is not touched: neither its state, nor its instance.
func TestStateIsLeft(t *testing.T) {
	inLab(t, registrar.Options{}, func(l *lab) {
		o := l.options()
		o.UA.StateDir = t.TempDir()
		o.Account.InstanceID = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
		o.UA.Trace = trace.NewRing(10_000)
		if _, err := l.probe(l.t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if files, err := os.ReadDir(o.UA.StateDir); err != nil || len(files) > 0 {
			t.Errorf("state: %v, %v", files, err)
		}
		for _, m := range o.UA.Trace.Messages() {
			if m.Direction == trace.Sent && bytes.Contains(m.Raw, []byte("f81d4fae")) {
				t.Fatalf("sent\n%s", m.Raw)
			}
		}
	})
}
