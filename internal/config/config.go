// Package config reads the config file: TOML in, checked accounts out. Every
// fault names its file, line and key, and says what the key may be.
//
// It imports ua for the accounts and tables for the TOML, and starts nothing: no
// sockets, no agents, no screen. A password's source is only kept; it is asked
// when an agent needs it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regwatch/internal/tables"
	"regwatch/ua"
)

// Config is what a config file says.
type Config struct {
	File     string
	Accounts []ua.Account // in the order of the file; each has a name of its own
	Journal  Journal
	UI       UI
	Metrics  netip.AddrPort // of the loopback, where figures are shown; zero: nowhere

	// Warnings are lines for the user about what the file says and this version
	// does not do, and about secrets that others may read.
	Warnings []string
}

// UI is how the screen behaves.
type UI struct {
	NoBell     bool
	Notify     string // "osc9" or "osc777"; "": no notification
	Theme      string // "light" or "dark"; "": by the terminal
	TraceLimit uint32 // messages the screen keeps; 0: its default
}

// Journal is where events are kept.
type Journal struct {
	Off     bool
	File    string // "": in the state directory
	MaxSize int64  // bytes of one file; 0: the default
}

// Default returns where the config file is looked for when none is named.
func Default() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no config directory: %w", err)
	}
	return filepath.Join(dir, "regwatch", "config.toml"), nil
}

// Load reads and checks a config file. count, from 1, is how many accounts are made
// of each whose aor is a template; with more than one there has to be such. A file that cannot be read gives the
// system's error; one that is wrong gives tables.Faults.
func Load(path string, count int) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, secret, err := parse(path, string(text), count)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); secret && err == nil && readableByOthers(info.Mode()) {
		c.Warnings = append(c.Warnings, path+": holds a password, and others may read it: chmod 600 "+path)
	}
	return c, nil
}

// Account reads the settings of one account from the tables [account],
// [account.on] and [account.tls] of another file. What they do not say stays as in
// the account that is given. The warnings are as those of Config.
func Account(file string, blocks []tables.Block, account ua.Account) (_ ua.Account, warnings []string, err error) {
	r := reader{config: &Config{File: file}, drafts: []*draft{{Account: account, lines: map[string]int{}}}}
	for _, b := range blocks {
		for _, e := range b.Entries {
			r.entry(strings.Join(append(slices.Clone(b.Path), e.Path...), "."), e)
		}
	}
	r.finish(r.drafts[0])
	if len(r.faults) > 0 {
		return ua.Account{}, nil, r.faults
	}
	return r.drafts[0].Account, r.config.Warnings, nil
}

func readableByOthers(mode fs.FileMode) bool { return mode.Perm()&0o044 != 0 }

// parse reads the text of a config file; secret tells that a password is in it.
func parse(path, text string, count int) (c *Config, secret bool, err error) {
	blocks, err := tables.Read(path, text)
	if err != nil {
		return nil, false, err
	}
	r := reader{config: &Config{File: path}}
	blocks, templates := numbered(blocks, count)
	if count > 1 && !templates {
		r.fault(1, "account", "has no template to make %d accounts of; write something like aor = \"sip:user{n}@example.com\"", count)
	}
	for _, b := range blocks {
		r.block(b)
	}
	for _, d := range r.drafts {
		r.finish(d)
	}
	r.names()
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b *tables.Fault) int { return a.Line - b.Line })
		if count > 1 { // each of the accounts made of a template has the same
			r.faults = slices.CompactFunc(r.faults, func(a, b *tables.Fault) bool { return a.Line == b.Line && a.Key == b.Key })
		}
		return nil, false, r.faults
	}
	for _, d := range r.drafts {
		r.config.Accounts = append(r.config.Accounts, d.Account)
	}
	return r.config, r.secret, nil
}

// reader walks the blocks of a file and gathers what it finds.
type reader struct {
	config *Config
	drafts []*draft
	faults tables.Faults
	secret bool
}

func (r *reader) fault(line int, key, format string, args ...any) {
	r.faults = append(r.faults, &tables.Fault{File: r.config.File, Line: line, Key: key, What: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(line int, key, what string) {
	r.config.Warnings = append(r.config.Warnings, fmt.Sprintf("%s:%d: %s: %s", r.config.File, line, key, what))
}

func (r *reader) block(b tables.Block) {
	name := strings.Join(b.Path, ".")
	switch {
	case name == "account" && b.List:
		r.begin(b.Line)
	case name == "account":
		r.fault(b.Line, "account", "is a single table; write [[account]], once or more")
		return
	case b.List && isTable(name):
		r.fault(b.Line, name, "is a list of tables; write [%s]", name)
		return
	case b.List:
		r.fault(b.Line, name, "is an unknown list of tables; the only one is [[account]]")
		return
	case len(b.Path) > 0 && !isTable(name):
		r.fault(b.Line, name, "is an unknown table; the nearest known one is %s", bracketed(tables.Nearest(name, tableNames())))
		return
	}
	for _, e := range b.Entries {
		r.entry(strings.Join(append(slices.Clone(b.Path), e.Path...), "."), e)
	}
}

// begin opens an account.
func (r *reader) begin(line int) {
	r.drafts = append(r.drafts, &draft{line: line, lines: map[string]int{}})
}

// entry reads one value; name is its whole name.
func (r *reader) entry(name string, e tables.Entry) {
	if name == "account" { // account = [{aor = "..."}, ...]
		if list, ok := tablesOf(e.Value); ok {
			for _, table := range list {
				r.begin(e.Line)
				for _, inner := range tables.Flatten(table, e.Line) {
					r.entry("account."+strings.Join(inner.Path, "."), inner)
				}
			}
			return
		}
	}
	below, ofAccount := strings.CutPrefix(name, "account.")
	k, known := keyOf(name)
	switch {
	case !known:
		if !strings.Contains(name, ".") {
			if _, misplaced := keyOf("account." + name); misplaced {
				r.fault(e.Line, name, "stands before the first [[account]]; it belongs below one")
				return
			}
		}
		r.fault(e.Line, below, "%s", unknown(name))
		return
	case ofAccount && len(r.drafts) == 0:
		r.fault(e.Line, below, "stands before the first [[account]]; it belongs below one")
		return
	}
	where := place{config: r.config}
	if ofAccount {
		where.account = r.drafts[len(r.drafts)-1]
		where.account.lines[below] = e.Line
	}
	r.secret = r.secret || k.secret && e.Value != ""
	if hasControl(e.Value) {
		r.fault(e.Line, below, "%s, must be without control characters", is(k, e.Value))
		return
	}
	if err := k.set(where, e.Value); err != nil {
		r.fault(e.Line, below, "%s, must be %v", is(k, e.Value), err)
		return
	}
	if k.idle {
		r.warn(e.Line, below, "has no effect yet in this version")
	}
}

// is repeats a value in a message, unless it is a secret, and no more of it than
// tells which it is.
func is(k key, value any) string {
	switch v := value.(type) {
	case string:
		if k.secret {
			return "is not fit"
		}
		return "is " + quoted(v)
	case []any, map[string]any, []map[string]any:
		return "is " + quoted(fmt.Sprint(v))
	}
	return fmt.Sprintf("is %v", value)
}

func quoted(s string) string {
	const most = 200
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q... (%d bytes)", strings.ToValidUTF8(s[:most], ""), len(s))
}

// finish checks an account as a whole and gives it its password.
func (r *reader) finish(d *draft) {
	var given []string
	for _, k := range []string{"password", "password_env", "password_command", "ha1"} {
		if d.lines[k] > 0 {
			given = append(given, k)
		}
	}
	if len(given) > 1 {
		last := slices.MaxFunc(given, func(a, b string) int { return d.lines[a] - d.lines[b] })
		others := slices.DeleteFunc(given, func(k string) bool { return k == last })
		r.fault(d.lines[last], last, "is the second way to the password beside %s; only one may be set", strings.Join(others, " and "))
	}
	switch {
	case d.password != nil:
		d.Password = fixed(*d.password)
	case d.passwordEnv != "":
		d.Password = FromEnv(d.passwordEnv)
	case d.passwordCommand != "":
		d.Password = fromCommand(d.passwordCommand)
	}
	if d.TLS.InsecureSkipVerify {
		r.warn(d.lines["tls.insecure_skip_verify"], "tls.insecure_skip_verify", "certificates are not checked: anybody may be listening")
	}
	r.check(d)
}

// check maps the agent's own verdict to a line. A key with a fault already is
// left alone.
func (r *reader) check(d *draft) {
	err := d.Check()
	if err == nil {
		return
	}
	var field *ua.FieldError
	if !errors.As(err, &field) {
		r.fault(d.line, "", "%v", err)
		return
	}
	line := d.lines[field.Key]
	if line == 0 {
		line = d.line
	}
	if slices.ContainsFunc(r.faults, func(f *tables.Fault) bool { return f.Line == line && f.Key == field.Key }) {
		return
	}
	what := field.Fault
	if field.Example != "" {
		what += "; write something like " + field.Example
	}
	r.fault(line, field.Key, "%s", what)
}

// names gives every account one, and finds those that are taken.
func (r *reader) names() {
	taken := map[string]*draft{}
	for _, d := range r.drafts {
		if d.Name == "" {
			continue
		}
		if other, ok := taken[d.Name]; ok && other.line == d.line {
			r.fault(d.lines["name"], "name", "is %q for all accounts of the template; put {n} into it", d.Name)
			continue
		} else if ok {
			r.fault(d.lines["name"], "name", "is %q, which the account of line %d has already", d.Name, other.line)
			continue
		}
		taken[d.Name] = d
	}
	for _, d := range r.drafts {
		if d.Name != "" || d.AOR == "" {
			continue
		}
		d.Name = userOf(d.AOR)
		if d.Name == "" || taken[d.Name] != nil {
			d.Name = d.AOR
		}
		if other, ok := taken[d.Name]; ok {
			r.fault(d.lines["aor"], "aor", "is %q, which the account of line %d has already; give each a name", d.AOR, other.line)
			continue
		}
		taken[d.Name] = d
	}
}

// userOf is the user part of a URI, without what may stand around it.
func userOf(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, found := strings.Cut(rest, "@")
	if !found {
		return ""
	}
	user, _, _ = strings.Cut(user, ":")
	return user
}

// hasControl finds what must never reach a header or a terminal.
func hasControl(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsFunc(v, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 })
	case []any:
		return slices.ContainsFunc(v, hasControl)
	}
	return false
}

func isTable(name string) bool { return slices.Contains(tableNames(), name) }

func tableNames() []string {
	var names []string
	for _, k := range keys {
		if table, _ := split(k.name); !slices.Contains(names, table) {
			names = append(names, table)
		}
	}
	return names
}

func tablesOf(value any) ([]map[string]any, bool) {
	if list, ok := value.([]map[string]any); ok {
		return list, true
	}
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	var tables []map[string]any
	for _, item := range list {
		table, ok := item.(map[string]any)
		if !ok {
			return nil, false
		}
		tables = append(tables, table)
	}
	return tables, true
}
