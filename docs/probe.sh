#!/bin/sh
# Writes docs/probe.md anew: the reports of the four profiles of the lab registrar,
# that of an installed Kamailio, and the page from both and the table of checks.
set -e
cd "$(dirname "$0")/.."
go test ./probe -run TestProfiles -count=1 -update
CI=true go test ./internal/interop -run TestProbeOfKamailio -count=1 -update
go test . -run TestProbePage -count=1 -update
