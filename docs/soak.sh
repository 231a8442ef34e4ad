#!/usr/bin/env bash
# An hour with a NOTIFY each second, watched over the loopback: prints memory, goroutines and descriptors each minute,
# and fails where they grow. soak.sh 300 does it for 300 seconds.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-3600}
go test ./cmd/regwatch -run '^$' -bench Soak -benchtime "${seconds}x" -timeout "$((seconds + 120))s"
