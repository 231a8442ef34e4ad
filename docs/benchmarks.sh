#!/usr/bin/env bash
# Prints the figures of docs/performance.md, but for those of many accounts (docs/accounts.sh): the decoder beside
# libxml2's tree reader, round trips, a kick to its line and to its frame, the start, the frame of each view, and what
# one account takes of memory and processor, idle and in a flood. Takes about ten minutes, and judges nothing: what
# the machine is busy with meanwhile is in the figures. BENCH_COUNT says how often each benchmark runs (6).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
count=${BENCH_COUNT:-6}
port=15060
work=$(mktemp -d)
started=()
trap 'for p in "${started[@]}"; do kill "$p" 2>/dev/null || true; done; wait; rm -rf "$work"' EXIT

missing=()
for p in libxml2-dev gcc libc6-dev pkg-config time; do
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || missing+=("$p")
done
if ((${#missing[@]})); then
	printf 'apt-get install %s\n' "${missing[*]}" >&2
	exit 1
fi

step() { printf '\n== %s\n\n' "$*"; }

# table NAME=FILE...: benchstat gives medians with their confidence; where it cannot be had, each run has its line.
table() {
	local tool=(benchstat) file
	command -v benchstat >/dev/null || tool=(go run golang.org/x/perf/cmd/benchstat@latest)
	"${tool[@]}" -ignore pkg,goos,goarch,cpu "$@" 2>/dev/null || for file; do grep -H ^Benchmark "${file#*=}"; done
}

bench() { go test -run '^$' -count "$count" "$@"; }

step machine
printf '%s, %s cores, %s, %s, libxml2 %s\n' "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)" "$(nproc)" \
	"$(uname -sr)" "$(go version | cut -d' ' -f3)" "$(pkg-config --modversion libxml-2.0)"

step 'decode, one core: libxml2 builds its tree, regwatch its document with all checks'
gcc -O2 -o "$work/libxml2" docs/benchmarks/libxml2.c $(pkg-config --cflags --libs libxml-2.0)
go test -c -o "$work/reginfo.test" ./reginfo
# In many short turns, so that what else the machine does meets both.
for ((i = 0; i < 4 * count; i++)); do
	"$work/reginfo.test" -test.run '^$' -test.bench Decode -test.cpu 1 -test.benchtime 200ms -documents "$work" >>"$work/regwatch.txt"
	"$work/libxml2" contacts=3 "$work/3.xml" contacts=1000 "$work/1000.xml" >>"$work/libxml2.txt"
done
table libxml2="$work/libxml2.txt" regwatch="$work/regwatch.txt"

step 'REGISTER and its 200 over the loopback'
bench -bench Register ./registrar >"$work/register.txt"
table regwatch="$work/register.txt"

step 'from the NOTIFY that kicks to the line of watch --json'
bench -bench KickToLine ./cmd/regwatch >"$work/line.txt"
table regwatch="$work/line.txt"

step 'the screen: from exec to the first frame and to REGISTERED, from the NOTIFY that kicks to the frame with the panel'
bench -bench 'Start|KickToFrame' -benchtime 10x ./cmd/regwatch >"$work/screen.txt"
table regwatch="$work/screen.txt"

step 'the frame of each view, few of everything and many'
bench -bench Frame -benchtime 200x ./tui >"$work/frame.txt"
table regwatch="$work/frame.txt"

step 'the screen: 20 s with nothing but countdowns, and 10 s of 1,000 NOTIFYs a second'
bench -bench 'Idle|Flood' -benchtime 1x ./cmd/regwatch >"$work/load.txt"
table regwatch="$work/load.txt"

step 'a single account: resident size at most, and processor time of 30 s with nothing to do'
go build -buildvcs=false -o "$work/regwatch" ./cmd/regwatch
export BENCH_PASSWORD=none HOME=$work XDG_STATE_HOME=$work XDG_CONFIG_HOME=$work
"$work/regwatch" lab --listen "127.0.0.1:$port" --quiet </dev/null >/dev/null &
started+=($!)

ticks() { cut -d' ' -f14,15 "/proc/$1/stat" | tr ' ' + | { read -r sum; echo $((sum)); }; }

# single NAME COMMAND: runs it under time for 40 s, as a program with one account.
single() {
	local timer program before after
	/usr/bin/time -v -o "$work/time.txt" bash -c "$2" >"$work/said.txt" 2>&1 </dev/null &
	timer=$!
	started+=("$timer")
	sleep 8
	program=$(pgrep -n -f "^$work/regwatch .*sip:alice")
	before=$(ticks "$program")
	sleep 30
	after=$(ticks "$program")
	kill -TERM "$program"
	wait "$timer" || true
	grep -qiE 'registered' "$work/said.txt" || { printf '%s never registered:\n' "$1"; cat "$work/said.txt"; } >&2
	printf '%-16s %6.1f MB resident  %5.2f %% of a core\n' "$1" \
		"$(awk '/Maximum resident/ { print $NF / 1024 }' "$work/time.txt")" \
		"$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { print 100 * t / hz / 30 }')"
}
account="sip:alice@example.com --password-env BENCH_PASSWORD --proxy 'sip:127.0.0.1:$port;lr'"
single watch "exec $work/regwatch watch $account"
single 'watch --json' "exec $work/regwatch watch --json $account"
single 'screen 120x40' "script -qec \"stty cols 120 rows 40; TERM=xterm-256color exec $work/regwatch $account\" /dev/null"
