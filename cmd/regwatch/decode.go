package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"regwatch/internal/capture"
	"regwatch/internal/journal"
	"regwatch/reginfo"
	"regwatch/reginfo/finding"
)

func decodeCommand(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "decode FILE...",
		Short: "Explain reginfo documents",
		Long: `Reads reginfo documents (RFC 3680, 5628), also malformed ones, and prints what
they say and what is wrong with them. "-" is standard input.

Exit status: 0 read, 7 read with findings of severity error, 2 unreadable.`,
		Example: `  regwatch decode notify.xml
  regwatch decode --json - < notify.xml | jq .findings`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fail(statusUsage, "regwatch decode notify.xml | regwatch decode - < notify.xml", "decode: which file?")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error { return decode(e, files, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: an object, or a list for several files")
	return cmd
}

// decode prints every file that can be read; those that cannot are told
// together at the end.
func decode(e *env, files []string, asJSON bool) error {
	var documents []*reginfo.Document
	var unreadable []error
	worst := 0
	for _, file := range files {
		d, err := readDocument(e, file)
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("decode %s: %w", file, err))
			continue
		}
		documents = append(documents, d)
		for _, f := range d.Findings {
			if f.Severity() == finding.Error {
				worst = statusFindings
			}
		}
		if asJSON {
			continue
		}
		if len(files) > 1 {
			fmt.Fprintf(e.stdout, "%s:\n", capture.Visible(file))
		}
		if _, err := io.WriteString(e.stdout, table(d)); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if asJSON && len(documents) > 0 {
		if err := writeJSON(e.stdout, documents, len(files) > 1); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if len(unreadable) > 0 {
		for _, err := range unreadable[:len(unreadable)-1] {
			say(e.stderr, err.Error())
		}
		return fail(statusUsage, "", "%w", unreadable[len(unreadable)-1])
	}
	if worst != 0 {
		return &failure{status: worst}
	}
	return nil
}

func readDocument(e *env, file string) (*reginfo.Document, error) {
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
	body, err := io.ReadAll(io.LimitReader(in, reginfo.MaxSize+1))
	if err != nil {
		return nil, err
	}
	return reginfo.Decode(body)
}

func writeJSON(out io.Writer, documents []*reginfo.Document, list bool) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	var value any = documents
	if !list {
		value = documents[0]
	}
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := out.Write(journal.Escaped(text.Bytes()))
	return err
}

// table shows a document to a person: its registrations, their contacts, then
// what is wrong.
func table(d *reginfo.Document) string {
	var out strings.Builder
	state := string(d.State)
	if state == "" {
		state = "state missing"
	}
	if d.Incomplete {
		state += ", incomplete"
	}
	fmt.Fprintf(&out, "reginfo version %s, %s\n", orDash(d.Version.String()), shown(state))
	for _, r := range d.Registrations {
		fmt.Fprintf(&out, "\n%s  %s", shown(orDash(r.AOR)), shown(orDash(string(r.State))))
		if r.ID != "" {
			fmt.Fprintf(&out, "  id %s", shown(r.ID))
		}
		out.WriteByte('\n')
		contacts(&out, r.Contacts)
	}
	findings(&out, d.Findings)
	return out.String()
}

// findings writes each code once, with its sentence, and below it where it was
// found.
func findings(out io.Writer, all []finding.Finding) {
	var codes []finding.Code
	for _, f := range all {
		if !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	for _, code := range codes {
		f := finding.Finding{Code: code}
		fmt.Fprintf(out, "\n%s %s: %s", f.Severity(), code, f.Sentence())
		if clause := f.Clause(); clause != "" {
			fmt.Fprintf(out, " (%s)", clause)
		}
		fmt.Fprintln(out)
		for _, f := range all {
			if f.Code != code {
				continue
			}
			where := "document"
			if f.Line > 0 {
				where = fmt.Sprintf("line %d", f.Line)
			}
			fmt.Fprintf(out, "  %s: %s\n", where, shown(orDash(f.Detail)))
		}
	}
}

// contacts writes a line a contact, and below it what few documents have.
func contacts(out io.Writer, all []reginfo.Contact) {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(all) == 0 {
		fmt.Fprintln(columns, "  no contacts")
	} else {
		fmt.Fprintln(columns, "  contact\tstate\tevent\texpires\tq\tcall-id\tcseq")
	}
	for _, c := range all {
		row := []string{c.URI, string(c.State), string(c.Event), c.Expires.String(), c.Q, c.CallID, c.CSeq.String()}
		for i := range row {
			row[i] = shown(orDash(row[i]))
		}
		fmt.Fprintln(columns, "  "+strings.Join(row, "\t"))
	}
	columns.Flush()
	for _, c := range all {
		var below strings.Builder
		for _, detail := range [][2]string{
			{"name", c.DisplayName}, {"instance", c.Instance}, {"reg-id", c.RegID.String()}, {"retry-after", c.RetryAfter.String()},
			{"registered for", c.DurationRegistered.String()}, {"pub-gruu", c.PubGRUU}, {"temp-gruu", c.TempGRUU}, {"first-cseq", c.FirstCSeq.String()},
		} {
			if detail[1] != "" {
				fmt.Fprintf(&below, "    %s %s\n", detail[0], shown(detail[1]))
			}
		}
		if below.Len() > 0 {
			fmt.Fprintf(out, "  %s\n%s", shown(orDash(c.URI)), below.String())
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shown makes a word from the document fit to print; a tab would break the
// table.
func shown(s string) string { return strings.ReplaceAll(capture.Visible(s), "\t", "<09>") }
