package tui

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"regwatch/ua"
)

// What a kick writes to the terminal beside frames, by setting and by who looks.
func TestAlerts(t *testing.T) {
	const osc9 = "\x1b]9;regwatch: alice kicked: deactivated by the network\a"
	const osc777 = "\x1b]777;notify;regwatch;alice kicked: deactivated by the network\a"
	blur := func(b *bench) { b.Update(tea.BlurMsg{}) }
	for _, c := range []struct {
		name   string
		bell   bool
		notify string
		before func(b *bench)
		want   string
	}{
		{"bell", true, "", blur, "\a"},
		{"notification", false, NotifyOSC9, blur, osc9},
		{"the other one", false, NotifyOSC777, blur, osc777},
		{"both", true, NotifyOSC9, blur, osc9 + "\a"},
		{"none", false, "", blur, ""},
		{"in focus", true, NotifyOSC9, func(b *bench) { blur(b); b.Update(tea.FocusMsg{}); b.after(time.Hour) }, ""},
		{"a key without focus", true, "", func(b *bench) { blur(b); b.key("j") }, "\a"},
		{"no reports, just begun", true, "", func(b *bench) {}, ""},
		{"no reports, a key a while ago", true, "", func(b *bench) { b.after(time.Hour); b.key("j"); b.after(59 * time.Second) }, ""},
		{"no reports, nobody there", true, "", func(b *bench) { b.key("j"); b.after(time.Minute) }, "\a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			b := newBench(t, 80, 24, func(o *Options) { o.Bell, o.Notify, o.Output = c.bell, c.notify, &out })
			b.show(snapshot())
			c.before(b)
			if cmd := b.alert(&openPrompt{"alice", kicked(1, b.at).Prompts[0]}); cmd != nil {
				cmd()
			}
			if out.String() != c.want {
				t.Errorf("wrote %q, want %q", out.String(), c.want)
			}
		})
	}
}

// A registrar can neither ring as it likes nor write what it likes.
func TestHostileAlerts(t *testing.T) {
	var out bytes.Buffer
	b := newBench(t, 80, 24, func(o *Options) { o.Bell, o.Notify, o.Output = true, NotifyOSC777, &out })
	b.Update(tea.BlurMsg{})
	for range 50 {
		s := kicked(1, b.at)
		p := openPrompt{"a\x1b]52;c;!\a\u202e\xff;" + strings.Repeat("x", 10_000), s.Prompts[0]}
		if cmd := b.alert(&p); cmd != nil {
			cmd()
		}
		b.after(100 * time.Millisecond)
	}
	text, found := strings.CutPrefix(out.String(), "\x1b]777;notify;regwatch;")
	if !found || !strings.HasSuffix(text, "\a\a") {
		t.Fatalf("wrote %q", out.String())
	}
	text = strings.TrimSuffix(text, "\a\a")
	if visible(text, false) != text || strings.Contains(text, ";") || width(text) > alertRoom {
		t.Errorf("text of %d columns: %q", width(text), text)
	}
}

// On the way of a whole screen: the terminal is asked to report its focus, and is
// told of a kick while it has none.
func TestRunAlerts(t *testing.T) {
	term := newTerminal()
	o := term.options()
	o.Bell, o.Notify = true, NotifyOSC9
	kick := make(chan struct{})
	o.Updates = func(ctx context.Context) iter.Seq[ua.Update] {
		return func(yield func(ua.Update) bool) {
			yield(ua.Update{Snapshots: []*ua.Snapshot{snapshot()}})
			<-kick
			yield(ua.Update{Snapshots: []*ua.Snapshot{kicked(1, time.Now())}})
			<-ctx.Done()
		}
	}
	done := start(t.Context(), o)
	term.waitFor(t, "\x1b[?1004h")
	term.waitFor(t, "REGISTERED")
	term.key.Write([]byte("\x1b[O")) // out of focus
	term.key.Write([]byte("?"))      // which shows that it was read
	term.waitFor(t, "capitals send SIP")
	close(kick)
	term.waitFor(t, "\x1b]9;regwatch: alice kicked: deactivated by the network\a\a")
	term.key.Write([]byte("q"))
	if err := wait(t, done); err != nil {
		t.Error(err)
	}
	term.waitFor(t, "\x1b[?1004l")
	term.leftScreen(t)
}

func TestThemes(t *testing.T) {
	for _, c := range []struct {
		setting, colours string
		light            bool
	}{
		{"", "", false}, {"", "15;0", false}, {"", "0;15", true}, {"", "0;default;7", true}, {ThemeLight, "15;0", true}, {ThemeDark, "0;15", false},
	} {
		t.Setenv("COLORFGBG", c.colours)
		if got := onLight(c.setting); got != c.light {
			t.Errorf("%q on %q: light %v", c.setting, c.colours, got)
		}
	}
}
