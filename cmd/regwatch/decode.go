package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"regwatch/internal/capture"
	"regwatch/internal/dissect"
	"regwatch/internal/journal"
	"regwatch/reginfo/finding"
	"regwatch/ua"
)

func decodeCommand(e *env) *cobra.Command {
	var asJSON bool
	var account, config string
	cmd := &cobra.Command{
		Use:   "decode [FILE...]",
		Short: "Explain reginfo documents, SIP messages and captures",
		Long: `Reads reginfo documents (RFC 3680, 5628), also malformed ones, SIP messages as
text, and captures (pcap, pcapng, or a --trace of regwatch), and prints what they
say, what changed from one document to the next, and what is wrong with them.
"-" is standard input, and so is no FILE. What a file is shows its content, not
its name.

Exit status: 0 read, 7 read with findings of severity error, 2 unreadable.`,
		Example: `  regwatch decode notify.xml
  regwatch decode before.xml after.xml
  regwatch decode --account alice capture.pcapng
  regwatch decode --json < notify.xml | jq .findings`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && e.inTerminal {
				return fail(statusUsage, "regwatch decode notify.xml | regwatch decode < notify.xml", "decode: which file?")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error {
			if len(files) == 0 {
				files = []string{"-"}
			}
			own, err := ownOf(e, account, config)
			if err != nil {
				return err
			}
			return decode(e, files, own, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: an object, or a list for several documents or messages")
	cmd.Flags().StringVar(&account, "account", "", "mark the contacts of the account with this `NAME` in the config")
	cmd.Flags().StringVar(&config, "config", "", "config `FILE` (default: the user's config directory, regwatch/config.toml)")
	return cmd
}

// ownOf finds the account whose contacts are to be told; nil where none is named.
func ownOf(e *env, account, config string) (*ua.Own, error) {
	if account == "" {
		return nil, nil
	}
	flags := agentFlags{config: config, names: []string{account}}
	accounts, _, err := flags.settings(e, nil)
	if err != nil {
		return nil, err
	}
	own := ua.OwnOf(accounts[0], e.stateDir)
	switch {
	case accounts[0].WatchOnly:
		return nil, fail(statusUsage, "", "account %q only watches: no contact is its own", account)
	case !own.Known():
		return nil, fail(statusUsage, "set its instance_id in the config, or let it register once",
			"account %q: nothing is known to tell its contacts by", account)
	}
	return own, nil
}

// decode prints every file that can be read; those that cannot are told
// together at the end.
func decode(e *env, files []string, own *ua.Own, asJSON bool) error {
	dissector := dissect.New(own)
	var unreadable []error
	broken := false
	out := list{out: e.stdout, always: len(files) > 1}
	for _, file := range files {
		printed := 0
		remarks, err := readFile(e, dissector, file, func(item dissect.Item) error {
			for _, f := range item.Findings {
				broken = broken || f.Severity() == finding.Error
			}
			if asJSON {
				return out.add(item)
			}
			heading := ""
			switch {
			case printed > 0:
				heading = "\n"
			case len(files) > 1:
				heading = capture.Visible(file) + ":\n"
			}
			printed++
			return written(io.WriteString(e.stdout, heading+item.Text()))
		})
		for _, remark := range remarks {
			say(e.stderr, fmt.Sprintf("decode %s: %s", file, remark))
		}
		var writing *writeError
		if errors.As(err, &writing) {
			return err
		}
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("decode %s: %w", file, err))
		}
	}
	if err := out.close(); err != nil {
		return err
	}
	if len(unreadable) > 0 {
		for _, err := range unreadable[:len(unreadable)-1] {
			say(e.stderr, err.Error())
		}
		return fail(statusUsage, "", "%w", unreadable[len(unreadable)-1])
	}
	if broken {
		return &failure{status: statusFindings}
	}
	return nil
}

func readFile(e *env, dissector *dissect.Dissector, file string, give func(dissect.Item) error) (remarks []string, err error) {
	in := e.stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			var path *os.PathError
			if errors.As(err, &path) {
				err = path.Err // the name is said already
			}
			return nil, err
		}
		defer opened.Close()
		in = opened
	}
	return dissector.Read(in, give)
}

// writeError is a failure of standard output, not of a file.
type writeError struct{ error }

func (w *writeError) Unwrap() error { return w.error }

func written(_ int, err error) error {
	if err != nil {
		return fmt.Errorf("write: %w", &writeError{err})
	}
	return nil
}

// list writes one value as an object and several as a list, each as soon as it is
// known which.
type list struct {
	out    io.Writer
	always bool   // a list, however many there are
	first  []byte // not yet written
	count  int
}

func (l *list) add(value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // values quote URIs
	if err := encoder.Encode(value); err != nil {
		return err
	}
	raw := journal.Escaped(bytes.TrimSpace(text.Bytes()))
	l.count++
	switch {
	case l.count == 1 && !l.always:
		l.first = raw
		return nil
	case l.count == 1:
		return l.write("[\n  ", raw, "  ")
	case l.count == 2 && !l.always:
		if err := l.write("[\n  ", l.first, "  "); err != nil {
			return err
		}
	}
	return l.write(",\n  ", raw, "  ")
}

func (l *list) close() error {
	switch {
	case l.count == 0:
		return nil
	case l.count == 1 && !l.always:
		if err := l.write("", l.first, ""); err != nil {
			return err
		}
		return written(io.WriteString(l.out, "\n"))
	}
	return written(io.WriteString(l.out, "\n]\n"))
}

func (l *list) write(before string, raw []byte, indent string) error {
	var text bytes.Buffer
	text.WriteString(before)
	if err := json.Indent(&text, raw, indent, "  "); err != nil {
		return err
	}
	return written(l.out.Write(text.Bytes()))
}
