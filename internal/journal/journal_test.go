package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regwatch/ua"
)

func event(seq uint64, summary string) ua.Event {
	return ua.Event{Run: "r", Seq: seq, Time: time.Unix(0, 0), Account: "alice", Summary: summary,
		Detail: ua.RegistrationDetail{State: ua.Registered, AOR: "sip:alice@example.com"}}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func TestAppend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", Name)
	for run := range 2 {
		j, err := Open(Options{File: file})
		if err != nil {
			t.Fatal(err)
		}
		j.Write(event(1, "one"), event(2, "two\nlines"))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		got := lines(t, file)
		if len(got) != 2*(run+1) {
			t.Fatalf("run %d: %d lines", run, len(got))
		}
		for _, line := range got {
			var e struct {
				V    int
				Kind string
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.V != 1 || e.Kind != "registration" {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

// TestRotate: two files, no line lost between the last two, and a second
// writer follows a rotation that it did not make.
func TestRotate(t *testing.T) {
	file := filepath.Join(t.TempDir(), Name)
	one, err := Line(event(1, "x"))
	if err != nil {
		t.Fatal(err)
	}
	options := Options{File: file, MaxSize: int64(3 * len(one))}
	a, errA := Open(options)
	b, errB := Open(options)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(4) { // fills the first file, and begins the second
		a.Write(event(seq, "a"))
	}
	b.Write(event(4, "b")) // holds the first file, which is full and moved
	if old, now := lines(t, file+".1"), lines(t, file); len(old) != 3 || len(now) != 2 || !strings.Contains(now[1], `"b"`) {
		t.Errorf("old: %q\nnow: %q", old, now)
	}
	if left, _ := filepath.Glob(file + "*"); len(left) != 2 {
		t.Errorf("files are %q", left)
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}

// TestDay: a journal of a day with an event a second stays within its size, at
// every moment, and ends with the newest events without a gap.
func TestDay(t *testing.T) {
	const day, size = 24 * 3600, 1_000_000
	dir := t.TempDir()
	file := filepath.Join(dir, Name)
	synctest.Test(t, func(t *testing.T) {
		j, err := Open(Options{File: file, MaxSize: size})
		if err != nil {
			t.Fatal(err)
		}
		one, _ := Line(event(1, "registered for 3600 s, answered in 9.2 ms"))
		if len(one)*day < 4*size {
			t.Fatalf("%d bytes prove nothing", len(one)*day)
		}
		began := time.Now()
		for seq := range uint64(day) {
			time.Sleep(time.Second)
			e := event(seq+1, "registered for 3600 s, answered in 9.2 ms")
			e.Time = time.Now()
			j.Write(e)
			if seq%50 != 0 {
				continue
			}
			for _, name := range []string{file, file + ".1"} {
				if info, err := os.Stat(name); err == nil && info.Size() > size {
					t.Fatalf("after %v %s has %d bytes", time.Since(began), name, info.Size())
				}
			}
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 2 {
		t.Errorf("files are %q", left)
	}
	all := append(lines(t, file+".1"), lines(t, file)...)
	for i, line := range all {
		var e struct{ Seq int }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Seq != day-len(all)+i+1 {
			t.Fatalf("line %d of %d: %s: %v", i, len(all), line, err)
		}
	}
}

func TestTornLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), Name)
	if err := os.WriteFile(file, []byte(`{"v":1,"ru`), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Open(Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	j.Write(event(1, "x"))
	if got := lines(t, file); len(got) != 2 || !strings.HasPrefix(got[1], `{"v":1,"run"`) {
		t.Errorf("got %q", got)
	}
}

// TestFailureOnce: a journal that cannot write says so once, and the caller
// goes on.
func TestFailureOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, Name)
	var told []error
	j, err := Open(Options{File: file, Report: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	j.file.Close() // as when the disk goes away
	j.Write(event(1, "x"), event(2, "y"))
	j.Write(event(3, "z"))
	if len(told) != 1 || !errors.Is(told[0], fs.ErrClosed) || !strings.HasPrefix(told[0].Error(), "journal: ") {
		t.Errorf("told %v", told)
	}
	if _, err := Open(Options{File: dir}); err == nil {
		t.Error("a directory was opened as a journal")
	}
}

func TestEscaped(t *testing.T) {
	hostile := "a\x1b[2J\u009b2J\x7f\u202eb\U000e0001é<&"
	line, err := Line(event(1, hostile))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(line, "\x1b\u009b\x7f\u202e\U000e0001") || !bytes.Contains(line, []byte("é<&")) {
		t.Errorf("got %s", line)
	}
	var back struct{ Summary string }
	if err := json.Unmarshal(line, &back); err != nil || back.Summary != hostile {
		t.Errorf("read back %q, %v", back.Summary, err)
	}
}
