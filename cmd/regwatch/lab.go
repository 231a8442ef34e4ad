package main

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"regwatch/internal/capture"
	"regwatch/internal/guard"
	"regwatch/internal/trace"
	"regwatch/registrar"
)

// labOptions are the flags of lab.
type labOptions struct {
	listen  string
	users   string
	domains []string
	profile string
	files   agentFlags // log and trace only
}

func labCommand(e *env) *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run the lab registrar alone, for any SIP phone",
		Long: `Runs a registrar with the reg event package on UDP and TCP, for any SIP phone
in the lab. It keeps everything in memory. Standard input takes the
administrator's commands; help lists them, quit ends.

` + registrar.Help,
		Example: `  regwatch lab
  regwatch lab --listen 192.0.2.1:5060 --users users.txt --profile kamailio
  (sleep 60; echo "deactivate alice") | regwatch lab`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return lab(e, o) },
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:5060", "`ADDRESS:PORT` for UDP and TCP")
	cmd.Flags().StringVar(&o.users, "users", "", "`FILE` with a line USER:PASSWORD for each (default: anybody, without a password)")
	cmd.Flags().StringArrayVar(&o.domains, "domain", nil, "serve this `DOMAIN` only; may be given again")
	cmd.Flags().StringVar(&o.profile, "profile", string(registrar.RFC), "whose ways to take on: `NAME` is "+profileNames())
	o.files.registerRecording(cmd.Flags())
	return cmd
}

func lab(e *env, o labOptions) error {
	address, err := netip.ParseAddrPort(o.listen)
	if err != nil {
		return fail(statusUsage, "regwatch lab --listen 127.0.0.1:5060", "--listen: %q is no address with a port", o.listen)
	}
	options := registrar.Options{
		Network: e.network, Listen: []registrar.Listen{{Transport: "udp", Addr: address}, {Transport: "tcp", Addr: address}},
		Domains: o.domains, Profile: registrar.Profile(o.profile),
	}
	if !knownProfile(options.Profile) {
		return fail(statusUsage, "", "--profile: %q is unknown; there are %s", o.profile, profileNames())
	}
	if o.users != "" {
		if options.Users, err = readUsers(o.users); err != nil {
			return err
		}
	}
	log, err := openLog(o.files.log)
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
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
		options.Trace = trace.NewRing(1)
		options.Trace.Tee(writer.Add)
	}
	broken := make(chan error, 1)
	options.OnPanic = func(err error) {
		select {
		case broken <- err:
		default:
		}
	}
	r, err := registrar.Start(context.Background(), options)
	if err != nil {
		return err
	}
	defer r.Close()
	who := "anybody may register"
	if options.Users != nil {
		who = fmt.Sprintf("%d user(s) may register", len(options.Users))
	}
	fmt.Fprintf(e.stdout, "registrar (%s) at udp %s and tcp %s; %s; help lists the commands\n", options.Profile, r.Addr("udp"), r.Addr("tcp"), who)

	quit := make(chan struct{})
	go func() {
		defer guard.Recover(options.OnPanic)
		administer(e, r, quit)
	}()
	select {
	case <-e.signals:
		return nil
	case <-quit:
		return nil
	case err := <-broken:
		return fmt.Errorf("registrar: %w", err)
	}
}

// administer does the commands of standard input. At its end the registrar goes
// on; quit is closed by the command of that name.
func administer(e *env, r *registrar.Registrar, quit chan<- struct{}) {
	for lines := bufio.NewScanner(e.stdin); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "quit" || line == "exit" {
			close(quit)
			return
		}
		said, err := r.Command(line)
		if err != nil {
			say(e.stderr, err.Error())
			continue
		}
		for text := range strings.SplitSeq(said, "\n") {
			if text != "" {
				fmt.Fprintln(e.stdout, capture.Visible(text))
			}
		}
	}
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
