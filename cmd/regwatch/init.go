package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"regwatch"
)

func initCommand(e *env) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented example config, and say where",
		Long: `Writes the example config, readable by you alone, to where regwatch looks for
it. A file that is there already is left alone.`,
		Example: `  regwatch init
  regwatch init --config lab.toml`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if file == "" {
				var err error
				if file, err = e.configFile(); err != nil {
					return err
				}
			}
			if err := writeExample(file); err != nil {
				return err
			}
			_, err := fmt.Fprintf(e.stdout, "wrote %s: put your address and password in, then run regwatch\n", file)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "`FILE` to write (default: the user's config directory)")
	return cmd
}

func writeExample(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fail(statusUsage, "regwatch init --config OTHER.toml", "write config: %s exists already", file)
	}
	if err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	_, err = out.WriteString(regwatch.ExampleConfig)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}
