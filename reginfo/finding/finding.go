// Package finding names what can be wrong with a registrar's watching of a
// registration: one code a fault, and for each code its severity, the clause
// it offends and a sentence for people, all in one table.
//
// Every room above may raise a finding; none may invent a code of its own. So
// that all can import it, nothing but the standard library may enter here.
package finding

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Code names one kind of fault. It is what scripts compare with: a code, once
// released, keeps its name and its meaning.
type Code string

// Severity says how much a finding matters.
type Severity string

const (
	// Error is a fault that can hide or falsify what happened to a binding.
	// Reading a document with one makes "decode" end with status 7.
	Error Severity = "error"
	// Warning breaks a clause, yet what was meant can still be told.
	Warning Severity = "warning"
	// Info is worth knowing and breaks nothing that we depend on.
	Info Severity = "info"
)

// Finding is one fault seen once.
type Finding struct {
	Code Code
	// Detail says where and with which values, in one line without a full
	// stop. It may quote the network: show control characters as visible ones.
	Detail string
	// Line is the line of the document, counted from 1; 0 where there is none.
	Line int
}

// Severity returns how much the finding matters; Warning for an unknown code.
func (f Finding) Severity() Severity {
	if e, ok := Lookup(f.Code); ok {
		return e.Severity
	}
	return Warning
}

// Clause returns the clause that the finding rests on, such as "RFC 3680 5.1",
// or "" for an unknown code.
func (f Finding) Clause() string {
	e, _ := Lookup(f.Code)
	return e.Clause
}

// Sentence explains the code to people; for an unknown code it is the code.
func (f Finding) Sentence() string {
	if e, ok := Lookup(f.Code); ok {
		return e.Sentence
	}
	return string(f.Code)
}

// String gives the finding in one line: severity, code, line and detail.
func (f Finding) String() string {
	s := fmt.Sprintf("%s %s", f.Severity(), f.Code)
	if f.Line > 0 {
		s += fmt.Sprintf(" line %d", f.Line)
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}

// wire is the form in which findings leave the program.
type wire struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Clause   string   `json:"clause,omitempty"`
	Detail   string   `json:"detail,omitempty"`
	Line     int      `json:"line,omitempty"`
}

// MarshalJSON writes code, severity, clause, detail and line; what is empty is
// left out.
func (f Finding) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // details quote URIs
	err := e.Encode(wire{f.Code, f.Severity(), f.Clause(), f.Detail, f.Line})
	return b.Bytes(), err
}

// UnmarshalJSON reads what MarshalJSON wrote. Severity and clause are looked up
// again, never believed.
func (f *Finding) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*f = Finding{Code: w.Code, Detail: w.Detail, Line: w.Line}
	return nil
}
