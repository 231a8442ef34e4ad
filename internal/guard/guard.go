// Package guard turns a panic on a goroutine of ours into an error that the
// program can end with in order: sockets closed, terminal restored. It imports
// the standard library only and decides nothing itself.
package guard

import (
	"fmt"
	"runtime/debug"
)

// Panic is a recovered panic as an error.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("internal error: %v", p.Value) }

// Recover is deferred at the top of a goroutine. It hands a panic to report; a
// nil report lets the panic go on.
func Recover(report func(error)) {
	if report == nil {
		return
	}
	if value := recover(); value != nil {
		report(&Panic{value, debug.Stack()})
	}
}
