package main

import (
	"strings"

	"github.com/spf13/cobra"

	"regwatch/internal/config"
	"regwatch/registrar"
	"regwatch/ua"
)

// completeFlags lets the shell complete the values of the flags that a command
// has; cobra makes the scripts for that.
func completeFlags(e *env, cmd *cobra.Command) {
	for name, words := range map[string]func() []string{
		"transport": func() []string { return labTransports },
		"until":     untilNames,
		"on":        policyWords,
		"account":   func() []string { return accountNames(e, cmd) },
		"profile": func() []string {
			var names []string
			for _, p := range registrar.Profiles {
				names = append(names, string(p))
			}
			return names
		},
		"listen": func() []string {
			var words []string
			for _, transport := range labTransports {
				words = append(words, transport+":")
			}
			return words
		},
		"digest": func() []string { return labDigests },
	} {
		if cmd.Flags().Lookup(name) == nil {
			continue
		}
		list := name == "until" || name == "on" || name == "digest"
		directive := cobra.ShellCompDirectiveNoFileComp
		if list || name == "listen" { // more of the same word may follow
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		// It fails for a flag that is not there, or has a function already.
		cmd.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
			return continued(words(), begun, list), directive
		})
	}
	for name, ends := range map[string][]string{"config": {"toml"}, "script": {"toml"}, "trace": {"pcapng", "txt"}} {
		if cmd.Flags().Lookup(name) != nil {
			cmd.MarkFlagFilename(name, ends...)
		}
	}
}

// continued lists the words that what was begun can become; in a list with commas
// the last of them, and none that it has already.
func continued(words []string, begun string, list bool) []string {
	before := ""
	if list {
		before = begun[:strings.LastIndex(begun, ",")+1]
	}
	var out []string
	for _, word := range words {
		if strings.HasPrefix(before+word, begun) && !strings.Contains(","+before, ","+word+",") {
			out = append(out, before+word)
		}
	}
	return out
}

// policyWords are what --on may hold.
func policyWords() []string {
	policies := []string{string(ua.Ask), string(ua.Auto), string(ua.Never)}
	words := policies
	for _, kick := range ua.Kicks {
		for _, policy := range policies {
			words = append(words, string(kick)+"="+policy)
		}
	}
	return words
}

// accountNames reads the config; one that cannot be read has no names.
func accountNames(e *env, cmd *cobra.Command) []string {
	file := cmd.Flags().Lookup("config").Value.String()
	if file == "" {
		var err error
		if file, err = e.configFile(); err != nil {
			return nil
		}
	}
	c, err := config.Load(file, 1)
	if err != nil {
		return nil
	}
	var names []string
	for _, account := range c.Accounts {
		names = append(names, account.Name)
	}
	return names
}

// noFiles is for arguments that are no files.
func noFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}
