package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"regwatch/internal/config"
	"regwatch/ua"
)

const (
	// defaultRate lets a hundred accounts begin at once, to a person, and is nothing
	// to a registrar that is fit for a thousand.
	defaultRate = 200
	// mostAccounts is what one run may have; each holds a descriptor, for its state.
	mostAccounts = 100_000
	// mostNamed is how many names of accounts a message lists.
	mostNamed = 20
)

// agentFlags are the flags of every command that runs agents.
type agentFlags struct {
	config     string
	names      []string
	log, trace string
	keyLog     string
	leave      bool
	count      int     // accounts made of a template; 0: one
	rate       float64 // accounts that begin in a second
	// For the account of the command line.
	transport, proxy, user, passwordEnv, ca string
}

func (f *agentFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.config, "config", "", "config `FILE` (default: the user's config directory, regwatch/config.toml)")
	set.StringArrayVar(&f.names, "account", nil, "only the account with this `NAME`; may be given again")
	set.StringVar(&f.transport, "transport", "", "`NAME` is udp, tcp, tls, ws or wss, for the address given")
	set.StringVar(&f.proxy, "proxy", "", "outbound proxy `URI`, for the address given")
	set.StringVar(&f.user, "user", "", "digest user `NAME`, for the address given")
	set.StringVar(&f.passwordEnv, "password-env", "", "environment `VAR` with the password, for the address given")
	set.StringVar(&f.ca, "ca", "", "`FILE` with certificates to trust besides the system's, for the address given")
	f.registerRecording(set)
	set.StringVar(&f.keyLog, "keylog", "", "write the keys of TLS connections to `FILE`, for Wireshark (default: $SSLKEYLOGFILE)")
	set.BoolVar(&f.leave, "leave", false, "end without unregistering")
}

// registerMany adds the flags for many accounts.
func (f *agentFlags) registerMany(set *pflag.FlagSet) {
	set.IntVar(&f.count, "count", 1, "make `N` accounts of each template, such as sip:user{n}@example.com or sip:{n:04}@example.com")
	set.Float64Var(&f.rate, "rate", defaultRate, "let `R` accounts begin in a second; 0: all at once")
}

// checkMany checks the flags for many accounts.
func (f *agentFlags) checkMany() error {
	switch {
	case f.count < 1 || f.count > mostAccounts:
		return fail(statusUsage, "", "--count: %d is not from 1 to %d", f.count, mostAccounts)
	case !(f.rate >= 0):
		return fail(statusUsage, "", "--rate: %v is no rate", f.rate)
	}
	return nil
}

// registerRecording adds the flags that say what is written down.
func (f *agentFlags) registerRecording(set *pflag.FlagSet) {
	set.StringVar(&f.log, "log", "", "append the program's own log to `FILE`")
	set.StringVar(&f.trace, "trace", "", "write all SIP messages to `FILE`, which ends in .pcapng (for Wireshark or sngrep) or .txt")
}

// settings finds the accounts of a run, and the config they come from; that of
// an account of the command line is empty. Warnings go to standard error.
func (f *agentFlags) settings(e *env, args []string) ([]ua.Account, *config.Config, error) {
	if len(args) == 1 {
		count := max(f.count, 1)
		if count > 1 && !config.IsTemplate(args[0]) {
			return nil, nil, fail(statusUsage, "regwatch watch --count 100 'sip:user{n}@example.com'", "--count: %q has no {n} for the number", args[0])
		}
		var accounts []ua.Account
		for n := 1; n <= count; n++ {
			account, err := f.commandLine(args[0], n)
			if err != nil {
				return nil, nil, err
			}
			accounts = append(accounts, account)
		}
		return accounts, &config.Config{}, nil
	}
	for flag, value := range map[string]string{"--transport": f.transport, "--proxy": f.proxy, "--user": f.user, "--password-env": f.passwordEnv, "--ca": f.ca} {
		if value != "" {
			return nil, nil, fail(statusUsage, "regwatch sip:you@host "+flag+" "+value, "%s goes with an address on the command line, and there is none", flag)
		}
	}
	file := f.config
	if file == "" {
		var err error
		if file, err = e.configFile(); err != nil {
			return nil, nil, fail(statusUsage, noConfigHint, "no config: %w", err)
		}
	}
	c, err := config.Load(file, max(f.count, 1))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fail(statusUsage, noConfigHint, "no config: looked for %s", file)
	case err != nil:
		return nil, nil, fail(statusUsage, "", "%w", err)
	case len(c.Accounts) == 0:
		return nil, nil, fail(statusUsage, noConfigHint, "no account: %s has no [[account]]", file)
	}
	for _, warning := range c.Warnings {
		say(e.stderr, "warning: "+warning)
	}
	accounts, err := chosen(c.Accounts, f.names)
	return accounts, c, err
}

// commandLine makes the n-th account of an address and its flags.
func (f *agentFlags) commandLine(aor string, n int) (ua.Account, error) {
	if f.config != "" || len(f.names) > 0 {
		return ua.Account{}, fail(statusUsage, "regwatch --help", "an address on the command line and --config or --account exclude each other")
	}
	a := ua.Account{AOR: config.Numbered(aor, n), Transport: f.transport, Username: config.Numbered(f.user, n), TLS: ua.TLS{CAFile: f.ca}}
	if f.proxy != "" {
		a.OutboundProxy = []string{config.Numbered(f.proxy, n)}
	}
	if f.passwordEnv != "" {
		a.Password = config.FromEnv(f.passwordEnv)
		if _, err := a.Password(); err != nil {
			return a, fail(statusUsage, "", "%w", err)
		}
	}
	err := a.Check()
	if err == nil {
		return a, nil
	}
	var field *ua.FieldError
	if !errors.As(err, &field) {
		return a, fail(statusUsage, "", "%w", err)
	}
	what := map[string]string{"aor": "address", "transport": "--transport", "outbound_proxy": "--proxy", "username": "--user", "tls.ca_file": "--ca"}[field.Key]
	if what == "" {
		what = field.Key
	}
	hint := ""
	if field.Example != "" {
		hint = "write something like " + field.Example
	}
	return a, fail(statusUsage, hint, "%s: %s", what, field.Fault)
}

// chosen keeps the accounts with these names, all without any.
func chosen(all []ua.Account, names []string) ([]ua.Account, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, a := range all {
		known = append(known, a.Name)
	}
	listed := quoted(known[:min(len(known), mostNamed)])
	if len(known) > mostNamed {
		listed += fmt.Sprintf(" and %d more", len(known)-mostNamed)
	}
	var some []ua.Account
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fail(statusUsage, "", "account %q is not in the config; there are %s", name, listed)
		}
		if !slices.ContainsFunc(some, func(a ua.Account) bool { return a.Name == name }) {
			some = append(some, all[i])
		}
	}
	return some, nil
}

func quoted(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, fmt.Sprintf("%q", w))
	}
	return strings.Join(out, ", ")
}
