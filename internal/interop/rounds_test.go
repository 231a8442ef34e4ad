package interop_test

import (
	"context"
	"testing"
	"time"

	"regwatch/internal/interop"
	"regwatch/internal/rounds"
	"regwatch/ua"
)

// kamailioAdministrator does by RPC what an administrator of Kamailio can do.
type kamailioAdministrator struct{ *interop.Kamailio }

func (a kamailioAdministrator) Kick(contact string) error {
	if contact == "" {
		return a.RemoveAOR(a.AOR("alice"))
	}
	return a.RemoveContact(a.AOR("alice"), contact)
}

func (a kamailioAdministrator) Bind(contact string, lasts time.Duration) error {
	return a.AddContact(a.AOR("alice"), contact, lasts)
}

func (a kamailioAdministrator) Shorten(contact string, left time.Duration) error {
	return a.AddContact(a.AOR("alice"), contact, left)
}

// Whatever is done to the devices of an account at a Kamailio, each sees each kick
// of its own contact once, and none that was none: also where several processes
// handle its PUBLISHes, and what they tell of two kicks at once overtakes itself.
func TestRoundsAtKamailio(t *testing.T) {
	t.Parallel()
	k := interop.Start(t, interop.Options{Workers: 4})
	open := func(name string) *rounds.Device {
		d, err := rounds.Open(name, ua.Options{}, ua.Account{
			AOR: k.AOR("alice"), OutboundProxy: []string{k.URI("udp")},
			Password: func() (string, error) { return interop.Password, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r := rounds.Rounds{
		Registrar: kamailioAdministrator{k}, Ours: open("ours"), Other: open("the other"), Seed: 1, N: 200, Patience: 15 * time.Second,
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	rounds.Play(t, r)
}
