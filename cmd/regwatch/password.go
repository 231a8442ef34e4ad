package main

import (
	"errors"
	"fmt"
	"sync"

	"regwatch/internal/capture"
	"regwatch/ua"
)

// errInterrupted ends a command that a signal cut short.
var errInterrupted = errors.New("interrupted")

// askLazily lets accounts without a password ask for it on the terminal when a
// registrar wants it. Without a terminal there is nobody to ask.
func askLazily(e *env, accounts []ua.Account) {
	if !e.inTerminal || tooManyToAsk(accounts) {
		return
	}
	var one sync.Mutex // several accounts may be challenged at once
	for i := range accounts {
		a := &accounts[i]
		if a.Password != nil || a.HA1 != "" {
			continue
		}
		aor := a.AOR
		a.Password = func() (string, error) {
			one.Lock()
			defer one.Unlock()
			return ask(e, aor)
		}
	}
}

// tooManyToAsk reports whether nobody would type the passwords that are lacking.
func tooManyToAsk(accounts []ua.Account) bool {
	lacking := 0
	for _, a := range accounts {
		if a.Password == nil && a.HA1 == "" {
			lacking++
		}
	}
	return lacking > mostNamed
}

// askNow asks before the screen takes the terminal: then nobody can be asked.
func askNow(e *env, accounts []ua.Account) error {
	if !e.inTerminal || tooManyToAsk(accounts) {
		return nil
	}
	for i := range accounts {
		a := &accounts[i]
		if a.Password != nil || a.HA1 != "" {
			continue
		}
		type answer struct {
			password string
			err      error
		}
		answers := make(chan answer, 1)
		go func() {
			password, err := ask(e, a.AOR)
			answers <- answer{password, err}
		}()
		select {
		case got := <-answers:
			if got.err != nil {
				return got.err
			}
			a.Password = func() (string, error) { return got.password, nil }
		case <-e.signals:
			fmt.Fprintln(e.stderr)
			return errInterrupted
		}
	}
	return nil
}

func ask(e *env, aor string) (string, error) {
	fmt.Fprintf(e.stderr, "Password for %s (none: Enter): ", capture.Visible(aor))
	password, err := e.secret()
	fmt.Fprintln(e.stderr)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return password, nil
}
