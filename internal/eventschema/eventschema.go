// Package eventschema holds what regwatch writes against docs/events.schema.json.
//
// Only tests may import it; nothing of regwatch but ua may enter.
package eventschema

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"regwatch/ua"
)

// Details has one of each kind of event, in the order of the schema.
var Details = []ua.Detail{
	ua.StartDetail{}, ua.MissedDetail{}, ua.RegistrationDetail{}, ua.SubscriptionDetail{}, ua.DocumentDetail{}, ua.RegistrationStateDetail{},
	ua.ContactDetail{}, ua.ActionDetail{}, ua.GRUUDetail{}, ua.DisagreementDetail{}, ua.FindingDetail{}, ua.FlowDetail{}, ua.RequestDetail{}, ua.SIPDetail{},
}

// File finds the schema from the folder of any test of the project.
func File() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		file := filepath.Join(dir, "docs", "events.schema.json")
		if _, err = os.Stat(file); err == nil {
			return file, nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir, err = parent, nil
		}
	}
	return "", err
}

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	file, err := File()
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile(file)
})

// Check fails the test where a line is no event as the schema has it.
func Check(t testing.TB, line []byte) {
	t.Helper()
	schema, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	event, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err == nil {
		err = schema.Validate(event)
	}
	if err != nil {
		t.Errorf("not as docs/events.schema.json has it: %s: %v", line, err)
	}
}

// Events checks events as they would be written.
func Events(t testing.TB, events ...ua.Event) {
	t.Helper()
	for _, e := range events {
		line, err := e.MarshalJSON()
		if err != nil {
			t.Errorf("event %d: %v", e.Seq, err)
			continue
		}
		Check(t, line)
	}
}
