package main

import (
	"cmp"
	"context"
	"os/exec"
	"strings"
	"time"
)

// page shows a text in the user's pager and returns when that is left. It reads
// the text from its standard input, and its keys from the terminal; when ctx ends
// it is ended.
func (e *env) page(ctx context.Context, text string) error {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", cmp.Or(e.pager, "less"))
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(text), e.stdout, e.stderr
	c.WaitDelay = time.Second // for what the shell started and did not end
	return c.Run()
}
