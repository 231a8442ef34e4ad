#!/usr/bin/env bash
# Draws the pictures of the documentation from the program itself: regwatch demo, in
# a real terminal. Needs tmux. Give names to draw these only: make.sh overview kick
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=docs/pictures
work=$(mktemp -d)
scene=0
server=regwatch-pictures-$$-0
tm() { tmux -L "$server" -f /dev/null "$@"; }
trap 'tm kill-server 2>/dev/null || true; rm -rf "$work"' EXIT

go build -o "$work/regwatch" ./cmd/regwatch
go build -o "$work/svg" ./$here

# The demo in a terminal of this size, with a memory of its own.
begin() {
	tm kill-server 2>/dev/null || true
	server=regwatch-pictures-$$-$((++scene))
	env -i PATH="$PATH" HOME="$work" TERM=xterm-256color LANG=C.UTF-8 TZ=UTC \
		tmux -L "$server" -f /dev/null new-session -d -x "$1" -y "$2" "$work/regwatch" demo
	tm set-option -g default-terminal tmux-256color
	see WATCHING
}

# Waits until the screen shows a text.
see() {
	for _ in $(seq 200); do
		if tm capture-pane -p | grep -qF -- "$1"; then return; fi
		sleep 0.05
	done
	printf 'never seen: %s\n' "$1" >&2
	tm capture-pane -p >&2
	exit 1
}

press() { for key in "$@"; do tm send-keys "$key"; sleep 0.15; done; }

# Draws what the screen shows: name, what it is.
take() {
	tm capture-pane -e -p >"$work/$1.txt"
	"$work/svg" -title "$2" <"$work/$1.txt" >"$here/$1.svg"
	printf '%s/%s.svg\n' "$here" "$1"
}

wanted() { [[ ${#only[@]} == 0 || " ${only[*]} " == *" $1 "* ]]; }
only=("$@")

if wanted overview; then
	begin 110 30
	see "other device"
	sleep 3
	take overview "The overview: who is registered at the address, until when, and what happened."
fi

if wanted kick; then
	begin 110 30
	sleep 2
	press A d
	see KICKED
	sleep 1
	take kick "The panel that a kick opens: what happened, who did it, what it means, what comes next."
fi

# The others after a kick and the way back, which leave something to see.
kicked_and_back() {
	begin "$1" "$2"
	see "other device"
	press A d
	see KICKED
	sleep 1.5
	press R
	see "registered again"
}

if wanted messages; then
	kicked_and_back 110 30
	press 3 d d
	see "ladder: "
	sleep 6 # until what was said last has gone
	take messages "Messages as a ladder: what was asked, what came back and how soon, between this device and the registrar."
fi

if wanted gruus; then
	kicked_and_back 110 22
	press 5
	sleep 6
	take gruus "The GRUUs: the public one and the temporary ones, which are worth something still, and why the others are not."
fi
