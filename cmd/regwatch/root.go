package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// noConfigHint is what to do without any account.
const noConfigHint = "regwatch demo | regwatch init | regwatch sip:you@host"

// newRoot builds the command tree. The root itself is the screen.
func newRoot(e *env) *cobra.Command {
	var flags agentFlags
	root := &cobra.Command{
		Use:   "regwatch [sip:USER@HOST]",
		Short: "Register with a SIP registrar, and watch what it does to the registration",
		Long: `regwatch registers like a softphone, subscribes to its own registration
(RFC 3680, Event: reg), and shows what the network does to it while it happens:
deactivated, rejected, put on probation, shortened, expired, removed.

Without an address it takes the accounts of the config file.`,
		Example: `  regwatch demo
  regwatch init
  regwatch
  regwatch sip:alice@example.com
  regwatch sip:alice@example.com --proxy "sip:192.0.2.1;transport=tcp" --user 1001
  regwatch sips:alice@example.com --ca lab-ca.pem
  regwatch --account work --trace calls.pcapng`,
		Version:       buildVersion().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// Letters that may differ in a command that is suggested.
		SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !isAOR(args[0]) {
				return unknownCommand(cmd, args[0])
			}
			return atMostOneAOR(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return screenCommand(e, &flags, args)
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	// A narrow terminal would break the lines in the middle of words.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped 80"))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fail(statusUsage, helpHint(cmd), "%w", err)
	})
	flags.register(root.Flags())
	flags.registerMany(root.Flags())
	root.AddCommand(demoCommand(e), initCommand(e), watchCommand(e), probeCommand(e), labCommand(e), decodeCommand(e), versionCommand(e))
	for _, cmd := range append(root.Commands(), root) {
		completeFlags(e, cmd)
		if cmd.Name() != "decode" {
			cmd.ValidArgsFunction = noFiles
		}
	}
	return root
}

func isAOR(arg string) bool {
	scheme, _, found := strings.Cut(arg, ":")
	return found && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips"))
}

func unknownCommand(cmd *cobra.Command, arg string) error {
	hint := helpHint(cmd)
	switch near := cmd.SuggestionsFor(arg); {
	case strings.Contains(arg, "@"):
		hint = "regwatch sip:" + arg
	case len(near) > 0:
		hint = "regwatch " + strings.Join(near, " | regwatch ")
	}
	return fail(statusUsage, hint, "%q is no command and no sip: address", arg)
}

// atMostOneAOR checks the arguments of commands that run agents.
func atMostOneAOR(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fail(statusUsage, "several accounts belong in the config file: regwatch init", "one address at most, not %d", len(args))
	case len(args) == 1 && !isAOR(args[0]):
		return fail(statusUsage, cmd.CommandPath()+" sip:you@example.com", "%q is no sip: address", args[0])
	}
	return nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fail(statusUsage, helpHint(cmd), "%s takes no %q", cmd.Name(), args[0])
	}
	return nil
}

func helpHint(cmd *cobra.Command) string { return fmt.Sprintf("%s --help", cmd.CommandPath()) }
