#!/usr/bin/env bash
# Prints the figures of docs/performance.md, in about two minutes. They are told, not
# judged: what a machine is busy with meanwhile is in them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go test ./tui -run '^$' -bench Frame -benchtime 200x
go test ./cmd/regwatch -run '^$' -bench 'FirstFrame|KickToFrame' -benchtime 20x
go test ./cmd/regwatch -run '^$' -bench 'Idle|Flood' -benchtime 1x
