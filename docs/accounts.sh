#!/usr/bin/env bash
# Measures many accounts: registrations a second beside SIPp's in the same run, memory, goroutines and descriptors while
# all are registered and watched, and a kick of all of them at once. It prints the table of docs/performance.md.
# The lab registrar runs in a process of its own; Kamailio as the tests start it, by internal/interop/kamailio.cfg.
# Needs Go, and Debian's sip-tester, kamailio, kamailio-presence-modules, kamailio-outbound-modules,
# kamailio-sqlite-modules and sqlite3.
#
#   docs/accounts.sh            # 1, 100, 1000 and 5000 accounts
#   RATE=500 docs/accounts.sh 200
#
# RATE is how many accounts begin in a second, of SIPp's and of ours. All four sizes take some 6 minutes, and up to 13 where
# the machine is busy.
set -euo pipefail
cd "$(dirname "$0")/.."
ACCOUNTS="${*:-1 100 1000 5000}" RATE="${RATE:-1000}" go test -v -count=1 -timeout 60m -run '^TestAccounts$' ./internal/interop | grep --line-buffered -v '^\(=== \|ok \|PASS\| *--- PASS\)'
