// Package quietterm keeps the screen libraries from questioning the terminal
// before main runs. Their package initialisation asks it for its colours, and
// waits up to five seconds where nothing answers; it does not ask where the
// environment names a CI system.
//
// Packages that depend on each other in no way are initialised in the order in
// which they become ready. This one imports os alone, so it is ready, and its
// path sorts before those of the libraries that wait for more: nothing but os
// may enter.
package quietterm

import "os"

var (
	saved string
	had   bool
)

func init() {
	saved, had = os.LookupEnv("CI")
	os.Setenv("CI", "1")
}

// Restore gives the environment back as it was. It is main's first line, so
// that neither the program nor its children take the machine for a CI system.
func Restore() {
	if had {
		os.Setenv("CI", saved)
		return
	}
	os.Unsetenv("CI")
}
