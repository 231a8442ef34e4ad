package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMetrics: figures are shown while a run goes on, at the address of the
// config, and no longer. The registrar is a silent socket: the run has an account
// that is not registered.
func TestMetrics(t *testing.T) {
	registrar, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer registrar.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := taken.Addr().String()
	b := newBench(t)
	b.file("config.toml", `
[[account]]
aor = "sip:alice@127.0.0.1"
outbound_proxy = "sip:`+registrar.LocalAddr().String()+`;lr"

[metrics]
listen = "`+at+`"
`)
	if status := b.run("watch"); status != statusUsage || !strings.Contains(b.err.String(), "regwatch: metrics: listen tcp "+at) ||
		!strings.HasSuffix(b.err.String(), "below [metrics] in the config\n") {
		t.Errorf("a port that is taken: status %d\n%s", status, b.err.String())
	}
	taken.Close()
	ended := make(chan int, 1)
	go func() { ended <- b.run("watch") }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	text := ""
	for text == "" {
		select {
		case status := <-ended:
			t.Fatalf("ended with %d\n%s", status, b.err.String())
		case <-time.After(5 * time.Millisecond):
		}
		if response, err := client.Get("http://" + at + "/metrics"); err == nil {
			raw, err := io.ReadAll(response.Body)
			response.Body.Close()
			// The account shows once its first snapshot is counted.
			if err == nil && strings.Contains(string(raw), "\nregwatch_accounts 1\n") {
				text = string(raw)
			}
		}
	}
	if !strings.Contains(text, "\nregwatch_accounts_registered 0\n") {
		t.Errorf("registered though nobody answers:\n%s", text)
	}
	b.signals <- os.Interrupt
	if status := <-ended; status != 0 {
		t.Errorf("status %d\n%s", status, b.err.String())
	}
	if _, err := client.Get("http://" + at + "/metrics"); err == nil {
		t.Error("answers after the end")
	}
}
