//go:build !race

package reginfo

// sequences is how many TestModel plays.
const sequences = 100_000
