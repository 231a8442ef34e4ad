// Package regwatch holds the example config file. A file can only be embedded
// from its own directory, and this one stands at the top, where people look
// for it. Nothing else may enter.
package regwatch

import _ "embed"

// ExampleConfig is config.example.toml, as regwatch init writes it.
//
//go:embed config.example.toml
var ExampleConfig string
