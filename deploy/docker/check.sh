#!/usr/bin/env bash
# What deploy/ promises about containers, tried on this machine's Docker engine:
#
#   deploy/docker/check.sh [BINARY]     the release binary of this tree by default
#
# 1 the image builds from the binary alone; 2 `doctor` in a default container says what is missing;
# 3 every attack is blocked, and 4 the sandbox's own suite passes, in a container started exactly as
# docker-compose.yml says; 5 `up` brings four validators past height 20 and a paid job.
# Nothing is pulled. Exit 3: there is no engine or no Compose here, nothing was checked.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! docker version >/dev/null 2>&1; then
    echo "no Docker engine answers: containers were NOT checked" >&2
    exit 3
fi
if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
elif docker-compose version >/dev/null 2>&1; then
    compose=(docker-compose)
else
    echo "no Compose here: containers were NOT checked" >&2
    exit 3
fi

binary=${1:-${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/release/palisade}
project=palisade-check-$$
export PALISADE_IMAGE=$project PALISADE_TARGET=prebuilt PALISADE_API_PORT=${PALISADE_API_PORT:-28645}
context=$(mktemp -d)

tidy() {
    "${compose[@]}" -p "$project" down -v --remove-orphans >/dev/null 2>&1 || true
    docker image rm -f "$project" >/dev/null 2>&1 || true
    rm -rf "$context"
}
trap tidy EXIT

step() { printf -- '-- %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
# One command in a container of the service `setup`: sealed as all are, without a network.
sealed() { "${compose[@]}" -p "$project" run --rm -T "$@"; }

step "image from $binary"
mkdir -p "$context/deploy/docker"
cp -a deploy/docker/skeleton "$context/deploy/docker/"
cp "$binary" "$context/palisade"
docker build --quiet --file deploy/docker/Dockerfile --target prebuilt --build-arg BINARY=palisade \
    --tag "$project" "$context" >/dev/null

step "doctor in a default container"
code=0
said=$(docker run --rm "$project" doctor --sandbox) || code=$?
[ "$code" = 8 ] || fail "doctor ended with $code in a default container, 8 was expected: $said"
for word in 'fail .*container' 'fail .*namespaces' seccomp=deploy/seccomp-palisade.json \
    apparmor=unconfined 'sandbox container-profile'; do
    grep -q -e "$word" <<<"$said" || fail "doctor does not say \`$word\`: $said"
done

for profile in runner native; do
    step "every attack, as a $profile job, sealed as composed"
    sealed -e 'PALISADE__SANDBOX__ALLOW_DEGRADED=["cgroup"]' setup \
        sandbox attack all --profile "$profile" --output json >"$context/attacks.json"
    blocked=$(grep -o '"blocked":true' "$context/attacks.json" | wc -l)
    if [ "$blocked" -lt 60 ] || grep -q '"blocked":false' "$context/attacks.json"; then
        fail "attacks as $profile: $(cat "$context/attacks.json")"
    fi
    echo "$blocked attacks, all blocked"
done

step "the sandbox's own suite, sealed as composed"
cargo test --quiet --package sandbox --no-run --message-format=json 2>/dev/null |
    grep -o '"executable":"[^"]*"' | cut -d'"' -f4 | sort -u >"$context/built"
suite=$(grep -E '/it-[0-9a-f]+$' "$context/built")
testbed=$(grep '/sandbox-testbed$' "$context/built")
# The suite writes programs and needs a dynamic one: a directory that is not noexec, and /bin/true.
sealed -v "$suite:$suite:ro" -v "$testbed:$testbed:ro" -v /bin/true:/bin/true:ro -v /lib:/lib:ro \
    -v /lib64:/lib64:ro -e TMPDIR=/net -e RUST_TEST_THREADS=2 --entrypoint "$suite" setup 2>&1 |
    tee "$context/suite" | grep -E '^test result|FAILED|panicked|tier ' || true
grep -q '^test result: ok' "$context/suite" || fail "suite: $(tail -40 "$context/suite")"

step "up: four validators, height 20, a paid job"
"${compose[@]}" -p "$project" up -d >/dev/null 2>"$context/up" || fail "up: $(tail "$context/up")"
status() { "${compose[@]}" -p "$project" exec -T "$1" palisade status --output json; }
field() { grep -o "\"$1\":[^,}]*" | sed -n '1s/.*://p' | tr -d '"'; }
deadline=$((SECONDS + 120))
for node in alice bob carol dave; do
    until [ "$(status "$node" | field height)" -ge 20 ]; do
        [ $SECONDS -lt $deadline ] || fail "$node is not at height 20 after two minutes"
        sleep 1
    done
    status "$node" | grep -q '"can_earn":true' || fail "$node cannot earn: $(status "$node")"
    echo "$node: height $(status "$node" | field height), tier $(status "$node" | field tier), can earn"
done
client=$("${compose[@]}" -p "$project" ps -q client)
[ -n "$client" ] || client=$(docker ps -aq --filter "label=com.docker.compose.project=$project" \
    --filter label=com.docker.compose.service=client)
timeout 120 docker wait "$client" >/dev/null || fail "the job did not end: $(docker logs "$client" 2>&1 | tail -20)"
[ "$(docker inspect -f '{{.State.ExitCode}}' "$client")" = 0 ] ||
    fail "the job was not paid: $(docker logs "$client" 2>&1 | tail -20)"
docker logs "$client" 2>&1 | grep -E 'paid  |output label'
docker logs "$client" 2>&1 | grep 'receipt .*: it verifies' ||
    fail "no receipt: $(docker logs "$client" 2>&1 | tail -3)"

step "a job's output is for who paid, on a listener off loopback"
job=$(docker logs "$client" 2>&1 | sed -n 's/^id  *\([0-9a-f]\{64\}\)$/\1/p')
code=0
"${compose[@]}" -p "$project" exec -T alice palisade \
    --api http://127.0.0.1:8645 job watch "$job" >/dev/null 2>"$context/asked" || code=$?
if [ "$code" != 6 ] || ! grep -q auth.required "$context/asked"; then
    fail "an unsigned request for job $job ended with $code: $(cat "$context/asked")"
fi

step "nothing is privileged"
for container in $("${compose[@]}" -p "$project" ps -q); do
    found=$(docker inspect -f \
        '{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.ReadonlyRootfs}} {{.Config.User}}' \
        "$container")
    [ "$found" = 'false [ALL] [] true 10001:10001' ] || fail "$container is $found"
done
echo "containers hold: all checks passed"
