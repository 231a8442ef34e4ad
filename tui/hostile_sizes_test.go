//go:build !race

package tui

var hostileSizes = [][2]int{{80, 24}, {120, 40}, {40, 10}}
