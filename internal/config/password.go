package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// commandTime is how long a password_command may take.
const commandTime = 10 * time.Second

// FromEnv returns a source that reads a password from an environment variable
// when it is asked. An unset variable is an error, an empty one is none.
func FromEnv(name string) func() (string, error) {
	return func() (string, error) {
		password, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("password: environment variable %s is not set", name)
		}
		return password, nil
	}
}

// fromCommand returns a source that runs a command by /bin/sh and takes the
// first line it writes. It blocks for at most commandTime.
func fromCommand(command string) func() (string, error) {
	return func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), commandTime)
		defer cancel()
		run := exec.CommandContext(ctx, "/bin/sh", "-c", command)
		// A child that outlives the shell may hold the pipe open.
		run.WaitDelay = time.Second
		var stderr bytes.Buffer
		run.Stderr = &stderr
		out, err := run.Output()
		line, _, _ := strings.Cut(string(out), "\n")
		line = strings.TrimSuffix(line, "\r")
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("password_command: no end after %v", commandTime)
		case err != nil:
			said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
			if said == "" {
				return "", fmt.Errorf("password_command: %w", err)
			}
			return "", fmt.Errorf("password_command: %w: %q", err, said)
		case line == "":
			return "", errors.New("password_command: wrote nothing")
		}
		return line, nil
	}
}

func fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}
