#!/usr/bin/env bash
# How many of the attack suite's single forbidden acts go through under another sandbox:
#
#   sandbox/compare.sh target/x86_64-unknown-linux-gnu/debug/sandbox-testbed [SANDBOX ARGS...]
#
# The testbed is started once per act below the given command, as in `bwrap --unshare-all --ro-bind / /`;
# without one, on the bare host. Not as root: without a sandbox some acts would succeed for real.
set -uo pipefail

if [ "$(id -u)" = 0 ] || [ $# -lt 1 ]; then
    echo "usage, as an ordinary user: $0 TESTBED [SANDBOX ARGS...]" >&2
    exit 2
fi
testbed=$(readlink -f "$1")
shift
work=$(mktemp -d)
sleep 600 &
sleeper=$!
# What some acts make outlives them, and would be in the way of the next try.
forget() { ipcrm -M 0x5041 -Q 0x5041 -S 0x5041 2>/dev/null || true; }
trap 'kill "$sleeper" 2>/dev/null; forget; rm -rf "$work"' EXIT
forget
echo canary >"$work/secret"

target() {
    case $1 in
        read_secret) echo "$work/secret" ;;
        write_file) echo "$work/written" ;;
        signal_host | signal_host_thread) echo "$sleeper" ;;
    esac
}

allowed=()
total=0
for name in $("$testbed" attempts); do
    total=$((total + 1))
    code=0
    said=$(timeout 20 "$@" "$testbed" attack "$name" "$(target "$name")" 2>"$work/error" </dev/null) || code=$?
    case $said in
        refused*) ;;
        allowed*) allowed+=("$name") ;;
        *)
            # Another program took the prober's place, or a filter killed it.
            if [ $code = 0 ]; then
                allowed+=("$name")
            elif [ $code -lt 128 ]; then
                echo "$name: the sandbox itself failed ($code): $(tail -1 "$work/error")" >&2
                exit 1
            fi
            ;;
    esac
done
printf '%s of %s went through: %s\n' "${#allowed[@]}" "$total" "${allowed[*]:-none}"
