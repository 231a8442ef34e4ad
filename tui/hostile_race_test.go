//go:build race

package tui

// The race detector takes ten times as long, and finds in one size what it finds in all.
var hostileSizes = [][2]int{{80, 24}}
