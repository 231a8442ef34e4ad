// Command regwatch is a SIP user agent in a terminal that watches its own
// registration. This directory is flags and wiring: one file a command, and
// beside them what several commands share. What a command knows it is given in
// an env; protocol, drawing and file formats belong to the rooms below and may
// not enter.
package main

import (
	"os"

	"regwatch/internal/quietterm"
)

func main() {
	quietterm.Restore()
	os.Exit(run(machine(), os.Args[1:]))
}
