package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"regwatch/internal/capture"
	"regwatch/internal/guard"
	"regwatch/internal/tables"
	"regwatch/internal/trace"
	"regwatch/registrar"
	"regwatch/scenario"
)

// labDigests are the algorithms for --digest.
var labDigests = []string{"MD5", "SHA-256", "SHA-512-256"}

// labOptions are the flags of lab.
type labOptions struct {
	listen                    []string
	tlsCert, tlsKey, tlsNewCA string
	users                     string
	digest                    []string
	domains                   []string
	profile                   string
	script                    string
	quiet                     bool
	files                     agentFlags // log and trace only
}

func labCommand(e *env) *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run the lab registrar alone, for any SIP phone",
		Long: `Runs a registrar with the reg event package, for any SIP phone in the lab. It
keeps everything in memory. It prints a line for each SIP message; --trace keeps
the whole of them. Standard input takes the administrator's commands; in a
terminal, Tab completes them and the names in them. Where standard input is none
and ends, the registrar goes on.

` + labHelp,
		Example: `  regwatch lab
  regwatch lab --listen 192.0.2.1:5060 --users users.txt --profile kamailio
  regwatch lab --tls-new-ca lab-ca.pem
  regwatch watch sip:alice@example.com --proxy sips:127.0.0.1:5061 --ca lab-ca.pem
  regwatch lab --listen udp:192.0.2.1:5060 --script kick.toml --trace lab.pcapng
  (sleep 60; echo "deactivate alice") | regwatch lab`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("profile") && !knownProfile(registrar.Profile(o.profile)) {
				return fail(statusUsage, "", "--profile: %q is unknown; there are %s", o.profile, profileNames())
			}
			return lab(e, o)
		},
	}
	cmd.Flags().StringArrayVar(&o.listen, "listen", nil, "`[TRANSPORT:]ADDRESS:PORT`, with udp, tcp, tls, ws or wss; without, UDP and TCP; may be given again (default 127.0.0.1:5060, for TLS 127.0.0.1:5061)")
	cmd.Flags().StringVar(&o.tlsCert, "tls-cert", "", "`FILE` with the certificate for TLS, in PEM")
	cmd.Flags().StringVar(&o.tlsKey, "tls-key", "", "`FILE` with its key")
	cmd.Flags().StringVar(&o.tlsNewCA, "tls-new-ca", "", "make a certificate for TLS, and write the CA that phones have to trust to `FILE`")
	cmd.Flags().StringVar(&o.users, "users", "", "`FILE` with a line USER:PASSWORD for each (default: anybody, without a password)")
	// Many a phone that knows MD5 alone gives up at the sight of another challenge, as
	// baresip 1.0 does, though RFC 8760 2.4 has it look for one that it knows.
	cmd.Flags().StringSliceVar(&o.digest, "digest", []string{"MD5"}, "ask for passwords by these algorithms, the preferred first: `NAME[,NAME...]`")
	cmd.Flags().StringArrayVar(&o.domains, "domain", nil, "serve this `DOMAIN` only; may be given again")
	cmd.Flags().StringVar(&o.profile, "profile", "", "whose ways to take on: `NAME` is "+profileNames()+" (default: the script's, else "+string(registrar.RFC)+")")
	cmd.Flags().StringVar(&o.script, "script", "", "play the scenario in `FILE` from the start; see docs/scenarios.md")
	cmd.Flags().BoolVar(&o.quiet, "quiet", false, "print no line for each SIP message")
	o.files.registerRecording(cmd.Flags())
	return cmd
}

// lab runs the registrar until a signal, the command to quit or a fault.
func lab(e *env, o labOptions) error {
	options, script, err := o.registrar()
	if err != nil {
		return err
	}
	log, err := openLog(o.files.log)
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
	broken := make(chan error, 1)
	options.OnPanic = func(err error) {
		select {
		case broken <- err:
		default:
		}
	}
	c, err := newConsole(e, options.OnPanic)
	if err != nil {
		return err
	}
	defer c.close()
	options.Trace = trace.NewRing(1)
	if o.files.trace != "" {
		writer, err := capture.Create(o.files.trace, capture.Options{})
		if err != nil {
			return fail(statusUsage, "", "%w", err)
		}
		defer func() {
			if err := writer.Close(); err != nil {
				say(e.stderr, err.Error())
			}
		}()
		options.Trace.Tee(writer.Add)
	}
	if !o.quiet {
		options.Trace.Tee(c.message)
	}
	stage := scenario.NewStage(e.network, options.OnPanic)
	options.Network, options.First = stage, stage.First
	r, err := registrar.Start(context.Background(), options)
	if err != nil {
		return listenHint(err)
	}
	defer r.Close()
	defer c.end() // what is played ends before the registrar does
	c.serve(r, stage, options)
	if script != nil {
		c.play(script)
	}
	select {
	case <-e.signals:
		return nil
	case <-c.quit:
		return nil
	case err := <-broken:
		return fmt.Errorf("registrar: %w", err)
	}
}

// registrar makes the registrar's options of the flags, and reads the script.
func (o *labOptions) registrar() (options registrar.Options, script *scenario.Scenario, err error) {
	options = registrar.Options{Domains: o.domains, Profile: registrar.Profile(o.profile), Algorithms: o.digest}
	for _, name := range o.digest {
		if !slices.Contains(labDigests, name) {
			return options, nil, fail(statusUsage, "regwatch lab --users users.txt --digest SHA-256,MD5", "--digest: %q is unknown; there are %s", name, strings.Join(labDigests, ", "))
		}
	}
	if o.script != "" {
		if script, err = loadScenario(o.script); err != nil {
			return options, nil, fail(statusUsage, "", "--script: %w", err)
		}
		if options.Profile == "" {
			options.Profile = script.Profile
		}
	}
	if options.Profile == "" {
		options.Profile = registrar.RFC
	}
	if options.Listen, err = o.addresses(); err != nil {
		return options, nil, err
	}
	var secured []netip.Addr
	for _, l := range options.Listen {
		if overTLS(l) {
			secured = append(secured, l.Addr.Addr())
		}
	}
	if len(secured) > 0 {
		if options.TLS, err = o.certificate(secured); err != nil {
			return options, nil, err
		}
	}
	if o.users != "" {
		options.Users, err = readUsers(o.users)
	}
	return options, script, err
}

// loadScenario reads a scenario; what is wrong with it names file and line.
func loadScenario(file string) (*scenario.Scenario, error) {
	s, err := scenario.Load(file)
	var faults tables.Faults
	if errors.As(err, &faults) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return s, nil
}

// listenHint adds what may help where an address cannot be had.
func listenHint(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fail(statusUnexpected, "another program has the port: regwatch lab --listen 127.0.0.1:5070", "%w", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(statusUnexpected, "this machine has no such address: ip address lists those that it has", "%w", err)
	case errors.Is(err, syscall.EACCES):
		return fail(statusUnexpected, "ports below 1024 are the administrator's: regwatch lab --listen 127.0.0.1:5060", "%w", err)
	}
	return err
}

// readUsers reads user names and passwords, a line each; empty lines and those
// that begin with # are passed over.
func readUsers(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fail(statusUsage, "", "--users: %w", err)
	}
	users := map[string]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, password, found := strings.Cut(line, ":")
		if user = strings.TrimSpace(user); !found || user == "" {
			return nil, fail(statusUsage, "write USER:PASSWORD", "--users: %s:%d: no user and password", file, number)
		}
		users[user] = password
	}
	return users, nil
}

func knownProfile(p registrar.Profile) bool {
	for _, known := range registrar.Profiles {
		if p == known {
			return true
		}
	}
	return false
}

func profileNames() string {
	var names []string
	for _, p := range registrar.Profiles {
		names = append(names, string(p))
	}
	return strings.Join(names, " or ")
}

// recovered runs f on a goroutine of its own.
func recovered(onPanic func(error), f func()) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer guard.Recover(onPanic)
		f()
	}()
	return done
}
