package finding

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// constants reads the codes from the source: a constant nobody put in the
// table would otherwise go unnoticed.
func constants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	for _, d := range file.Decls {
		for _, s := range d.(*ast.GenDecl).Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, twice := codes[text]; twice {
				t.Errorf("%s and %s are both %q", other, v.Names[0], text)
			}
			codes[text] = v.Names[0].Name
		}
	}
	return codes
}

func TestTable(t *testing.T) {
	codes := constants(t)
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[Code]bool{}
	for _, e := range Table() {
		if seen[e.Code] {
			t.Errorf("%s is in the table twice", e.Code)
		}
		seen[e.Code] = true
		if codes[string(e.Code)] == "" {
			t.Errorf("%s has no constant", e.Code)
		}
		if !kebab.MatchString(string(e.Code)) {
			t.Errorf("%s is not in kebab-case", e.Code)
		}
		if e.Severity != Error && e.Severity != Warning && e.Severity != Info {
			t.Errorf("%s: severity %q", e.Code, e.Severity)
		}
		if e.Clause == "" {
			t.Errorf("%s has no clause", e.Code)
		}
		if !strings.HasSuffix(e.Sentence, ".") {
			t.Errorf("%s: no sentence: %q", e.Code, e.Sentence)
		}
	}
	for code, name := range codes {
		if !seen[Code(code)] {
			t.Errorf("%s (%s) is not in the table", name, code)
		}
	}
}

func TestFinding(t *testing.T) {
	f := Finding{Code: MalformedXML, Detail: "unescaped &", Line: 7}
	if got, want := f.String(), "error malformed-xml line 7: unescaped &"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"code":"malformed-xml","severity":"error","clause":"RFC 3680 5.1","detail":"unescaped \u0026","line":7}`
	if string(b) != want {
		t.Errorf("JSON %s, want %s", b, want)
	}
	var back Finding
	if err := json.Unmarshal(b, &back); err != nil || back != f {
		t.Errorf("read back %+v, %v", back, err)
	}

	odd := Finding{Code: "no-such-code"}
	if odd.Severity() != Warning || odd.Clause() != "" || odd.Sentence() != "no-such-code" {
		t.Errorf("an unknown code gives %v %q %q", odd.Severity(), odd.Clause(), odd.Sentence())
	}
}
