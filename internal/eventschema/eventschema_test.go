package eventschema

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"regwatch/ua"
)

// TestDetails: the source of ua has no kind of event that Details lacks.
func TestDetails(t *testing.T) {
	var listed, found []string
	for _, d := range Details {
		listed = append(listed, reflect.TypeOf(d).Name())
	}
	files, err := filepath.Glob("../../ua/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range source.Decls {
			// What has the method of ua.Detail is one, for nobody outside ua can.
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "kind" && f.Type.Params.NumFields() == 0 {
				if of, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
					found = append(found, of.Name)
				}
			}
		}
	}
	slices.Sort(listed)
	if slices.Sort(found); !slices.Equal(listed, found) {
		t.Errorf("Details has\n%q, ua has\n%q", listed, found)
	}
}

// TestFields: the schema has each field that a kind may have and no other, and
// requires those that are always written.
func TestFields(t *testing.T) {
	file, err := File()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		OneOf []map[string]string `json:"oneOf"`
		Defs  map[string]struct {
			Required   []string
			Properties map[string]any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	if len(schema.OneOf) != len(Details) {
		t.Errorf("%d kinds, want %d", len(schema.OneOf), len(Details))
	}
	for i, d := range Details {
		kind := string(ua.Event{Detail: d}.Kind())
		if i < len(schema.OneOf) && schema.OneOf[i]["$ref"] != "#/$defs/"+kind {
			t.Errorf("kind %d is %s, want %s", i, schema.OneOf[i]["$ref"], kind)
		}
		head := []string{"v", "run", "seq", "time", "kind", "summary"}
		always, all := slices.Clone(head), slices.Clone(head)
		switch kind {
		case "start", "missed":
		case "sip":
			all = append(all, "account")
		default:
			always, all = append(always, "account"), append(all, "account")
		}
		fields(reflect.TypeOf(d), &always, &all)
		if got := slices.Sorted(slices.Values(schema.Defs[kind].Required)); !slices.Equal(got, slices.Sorted(slices.Values(always))) {
			t.Errorf("%s requires\n%q, always written are\n%q", kind, got, slices.Sorted(slices.Values(always)))
		}
		var got []string
		for name := range schema.Defs[kind].Properties {
			got = append(got, name)
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(all))) {
			t.Errorf("%s has\n%q, written may be\n%q", kind, got, slices.Sorted(slices.Values(all)))
		}
	}
}

func fields(of reflect.Type, always, all *[]string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			fields(f.Type, always, all)
		case name == "-":
		default:
			*all = append(*all, name)
			if options == "" {
				*always = append(*always, name)
			}
		}
	}
}

// strict takes what Check says in place of a test.
type strict struct {
	testing.TB
	failed bool
}

func (s *strict) Errorf(string, ...any) { s.failed = true }
func (s *strict) Helper()               {}

// TestStrict: what the schema does not have is refused.
func TestStrict(t *testing.T) {
	good, err := ua.Event{Run: "0123abcd", Seq: 1, Time: time.Unix(0, 0), Account: "alice", Summary: "up",
		Detail: ua.FlowDetail{State: "up", Transport: "udp", Local: "192.0.2.1:1", Remote: "192.0.2.2:2"}}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	Check(t, good)
	for _, c := range []struct{ old, by string }{
		{`"v":1`, `"v":2`}, {`"seq":1,`, ``}, {`"seq":1`, `"seq":0`}, {`"seq":1`, `"seq":"1"`}, {`"state":"up"`, `"state":"sideways"`}, {`"state":"up",`, ``},
		{`"kind":"flow"`, `"kind":"flood"`}, {`"kind":"flow"`, `"kind":"gruu"`}, {`"state":"up"`, `"state":"up","cause":null`}, {`"state":"up"`, `"state":"up","hop":1`},
		{`00Z"`, `00+01:00"`}, {`1970-01-01`, `1970-13-01`}, {`"account":"alice",`, ``}, {`}`, ``},
	} {
		bad := strings.Replace(string(good), c.old, c.by, 1)
		if s := (&strict{TB: t}); bad == string(good) {
			t.Errorf("%q is not in %s", c.old, good)
		} else if Check(s, []byte(bad)); !s.failed {
			t.Errorf("taken: %s", bad)
		}
	}
}
