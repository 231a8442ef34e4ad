package main

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regwatch/registrar"
)

// TestKilled: a kill -9 loses no line that was printed: the journal has each, in
// the same order. The program is killed while much is going on.
func TestKilled(t *testing.T) {
	for _, lines := range []int{1, 20, 50, 110} {
		t.Run(fmt.Sprint(lines), func(t *testing.T) {
			r, err := registrar.Start(t.Context(), registrar.Options{Listen: []registrar.Listen{{Transport: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "watch", "sip:alice@example.com", "--proxy", "sip:"+r.Addr("udp").String()+";lr", "--json", "--trace-messages")
			cmd.Env = append(os.Environ(), "REGWATCH_BE_MAIN=1", "XDG_STATE_HOME="+dir, "XDG_CONFIG_HOME="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			var printed []string
			reader := bufio.NewReader(out)
			for {
				line, err := reader.ReadString('\n')
				if err != nil {
					break // what stands behind the last line end was never a line
				}
				if printed = append(printed, line); len(printed) == lines {
					cmd.Process.Kill()
				}
				if strings.Contains(line, `"kind":"document"`) {
					// Each tells the watcher something anew.
					r.Command(fmt.Sprintf("create sip:alice@example.com sip:alice@192.0.2.99:%d 600", 10000+len(printed)))
				}
			}
			cmd.Wait()
			if len(printed) < lines {
				t.Fatalf("%d lines only: %s", len(printed), strings.Join(printed, ""))
			}
			kept, err := os.ReadFile(filepath.Join(dir, "regwatch", "journal.ndjson"))
			if err != nil || !strings.HasPrefix(string(kept), strings.Join(printed, "")) {
				t.Errorf("%v\nprinted:\n%s\nkept:\n%s", err, strings.Join(printed, ""), kept)
			}
		})
	}
}
