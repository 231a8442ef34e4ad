package main

import (
	"cmp"
	"context"
	"os/exec"
	"strings"
	"time"
)

// page shows a text in the user's pager and returns when that is left. The pager
// reads the text from its standard input and its keys from the terminal; when ctx
// ends it is ended. No shell stands between: Ctrl-C would end that, and leave the
// pager behind to take half of our keys.
func (e *env) page(ctx context.Context, text string) error {
	words := strings.Fields(cmp.Or(strings.TrimSpace(e.pager), "less"))
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(text), e.stdout, e.stderr
	c.WaitDelay = time.Second // for what it started itself
	return c.Run()
}
