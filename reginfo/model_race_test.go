//go:build race

package reginfo

// sequences is how many TestModel plays. Each has one goroutine only, so there is
// nothing to race for, and it takes ten times as long.
const sequences = 4_000
