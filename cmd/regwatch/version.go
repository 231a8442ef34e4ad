package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set at link time for releases; otherwise the module's is taken.
var version = ""

// build names what is running.
type build struct{ version, commit string }

func buildVersion() build {
	b := build{version, ""}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if b.version == "" {
		b.version = info.Main.Version
	}
	if b.version == "" || b.version == "(devel)" {
		b.version = "devel"
	}
	changed := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if b.commit != "" && changed {
		b.commit += " with changes"
	}
	return b
}

// String is one line: version, commit where it is known, Go and platform.
func (b build) String() string {
	commit := ""
	if b.commit != "" {
		commit = "commit " + b.commit + ", "
	}
	return fmt.Sprintf("regwatch %s (%s%s %s/%s)", b.version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func versionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(e.stdout, buildVersion())
			return err
		},
	}
}
