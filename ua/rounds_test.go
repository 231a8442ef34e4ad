package ua_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"regwatch/internal/rounds"
	"regwatch/registrar"
	"regwatch/ua"
)

// labAdministrator kicks in every way that the lab has.
type labAdministrator struct {
	*lab
	mu     sync.Mutex // kicks race
	random *rand.Rand
}

func (a *labAdministrator) Kick(contact string) error {
	a.mu.Lock()
	way := a.random.IntN(4)
	a.mu.Unlock()
	switch {
	case way == 0:
		return a.Probation("alice", contact, 30*time.Second)
	case way == 1:
		return a.Expire("alice", contact)
	case way == 2 && contact == "":
		if err := a.Reject("alice"); err != nil {
			return err
		}
		return a.Allow("alice")
	}
	return a.Deactivate("alice", contact)
}

func (a *labAdministrator) Bind(contact string, lasts time.Duration) error {
	return a.Create("alice", contact, lasts)
}

func (a *labAdministrator) Shorten(contact string, left time.Duration) error {
	return a.lab.Shorten("alice", contact, left)
}

// Whatever is done to the devices of an account, each sees each kick of its own
// contact once, and none that was none, however the registrar tells of it.
func TestRounds(t *testing.T) {
	for _, profile := range registrar.Profiles {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s/%d", profile, seed), func(t *testing.T) {
				inLab(t, registrar.Options{Users: users, Profile: profile}, func(l *lab) {
					l.net.SetDelay(5*time.Millisecond, time.Duration(seed)*20*time.Millisecond) // with jitter, NOTIFYs overtake each other
					open := func(host string) *rounds.Device {
						d, err := rounds.Open(host, ua.Options{Network: l.net.Host(host)}, account())
						if err != nil {
							l.t.Fatal(err)
						}
						return d
					}
					r := rounds.Rounds{
						Registrar: &labAdministrator{lab: l, random: rand.New(rand.NewPCG(seed, 1))},
						Ours:      open(phoneHost), Other: open(otherHost), Seed: seed, N: 200, Patience: 10 * time.Minute,
					}
					if profile == registrar.Clearwater && seed > 0 {
						// It tells no time. Where a document overtakes that of the refresh between
						// two shortenings, the second is to the letter what the first was.
						r.Spare = rounds.Shorten
					}
					defer func() {
						if err := r.Close(context.Background()); err != nil {
							l.t.Error(err)
						}
					}()
					rounds.Play(l.t, r)
				})
			})
		}
	}
}
