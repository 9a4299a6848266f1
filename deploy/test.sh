#!/usr/bin/env bash
# Runs the tests of dockmgr against an etcd and a Docker registry of their own on free loopback ports.
#
# Usage: deploy/test.sh               everything: formatting, lints, docs, all tests
#        deploy/test.sh COMMAND...    one command (say: cargo test -p dockmgr-worker) in the same surroundings
# What the tests find in their environment:
#   DOCKMGR_TEST_ETCD          http://127.0.0.1:PORT of an empty etcd
#   DOCKMGR_TEST_REGISTRY      127.0.0.1:PORT of a Docker registry
#   DOCKMGR_TEST_IMAGE         a small image in that registry: bash, coreutils
#   DOCKMGR_TEST_DEBIAN_IMAGE  a local Debian image with apt, for what package managers need
# DOCKMGR_SKIP_DOCKER=1 and DOCKMGR_SKIP_ETCD=1 leave those parts out aloud. The last line is `N passed, N failed, N skipped`.
# Tested by: CI, which runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:$HOME/.cargo/bin

readonly STEP_LOG=target/test/step.log
# etcd and the registry answer within a second; a loaded machine may need more.
readonly START_SECONDS=30
PASSED=0 FAILED=0 SKIPPED=0
PIDS=()
WORK=

say() { printf '\ntest: %s\n' "$*"; }
die() { printf 'test: %s\n' "$*" >&2; exit 1; }

stop_all() {
    local pid
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ -n "${DOCKMGR_TEST_REGISTRY:-}" ]; then docker rmi "$DOCKMGR_TEST_IMAGE" >/dev/null 2>&1 || true; fi
    if [ -n "$WORK" ]; then rm -rf "$WORK"; fi
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# wait_for NAME PID URL: until the URL answers 200.
wait_for() {
    local deadline=$((SECONDS + START_SECONDS))
    until python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=2)' "$3" 2>/dev/null; do
        kill -0 "$2" 2>/dev/null || { tail -n 20 "$WORK/$1.log" >&2; die "$1 ended at once; its last lines are above"; }
        [ $SECONDS -lt $deadline ] || { tail -n 20 "$WORK/$1.log" >&2; die "$1 did not answer at $3 in $START_SECONDS s"; }
        sleep 0.1
    done
}

start_etcd() {
    local client peer
    client=$(free_port) peer=$(free_port)
    etcd --name test --data-dir "$WORK/etcd" --logger zap --log-outputs stderr \
        --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
        --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "test=http://127.0.0.1:$peer" >"$WORK/etcd.log" 2>&1 &
    PIDS+=($!)
    wait_for etcd $! "http://127.0.0.1:$client/health"
    export DOCKMGR_TEST_ETCD=http://127.0.0.1:$client
    echo "etcd at $DOCKMGR_TEST_ETCD"
}

start_registry() {
    local port
    port=$(free_port)
    cat >"$WORK/registry.yml" <<YAML
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: $WORK/registry }, delete: { enabled: true } }
http: { addr: "127.0.0.1:$port" }
YAML
    OTEL_TRACES_EXPORTER=none docker-registry serve "$WORK/registry.yml" >"$WORK/registry.log" 2>&1 &
    PIDS+=($!)
    wait_for registry $! "http://127.0.0.1:$port/v2/"
    export DOCKMGR_TEST_REGISTRY=127.0.0.1:$port
    export DOCKMGR_TEST_IMAGE=$DOCKMGR_TEST_REGISTRY/dockmgr/base:latest
    echo "registry at $DOCKMGR_TEST_REGISTRY"
}

make_images() {
    deploy/host/image.sh base --push "$DOCKMGR_TEST_REGISTRY" >/dev/null
    if docker image inspect debian:stable-slim >/dev/null 2>&1 || timeout 120 docker pull -q debian:stable-slim >/dev/null 2>&1; then
        export DOCKMGR_TEST_DEBIAN_IMAGE=debian:stable-slim
    else
        echo "debian:stable-slim cannot be pulled: a local Debian image takes its place"
        DOCKMGR_TEST_DEBIAN_IMAGE=$(deploy/host/image.sh debian)
        export DOCKMGR_TEST_DEBIAN_IMAGE
    fi
    echo "images $DOCKMGR_TEST_IMAGE and $DOCKMGR_TEST_DEBIAN_IMAGE"
}

surroundings() {
    WORK=$(mktemp -d)
    mkdir -p target/test
    if [ "${DOCKMGR_SKIP_ETCD:-}" = 1 ]; then echo "SKIPPED: etcd tests (DOCKMGR_SKIP_ETCD=1)"; else start_etcd; fi
    if [ "${DOCKMGR_SKIP_DOCKER:-}" = 1 ]; then
        echo "SKIPPED: Docker tests (DOCKMGR_SKIP_DOCKER=1)"
    else
        timeout 10 docker version >/dev/null 2>&1 ||
            die "no Docker daemon answers: run deploy/host/setup.sh --docker, or set DOCKMGR_SKIP_DOCKER=1 to leave those tests out"
        start_registry
        make_images
    fi
}

# check COMMAND...: a step that passes or fails as one.
check() {
    say "$*"
    if "$@"; then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); fi
}

# count COMMAND...: a step whose `test result:` lines are summed up.
count() {
    local code=0 passed failed ignored skipped
    say "$*"
    "$@" 2>&1 | tee "$STEP_LOG" || code=$?
    read -r passed failed ignored < <(awk '/^test result: / { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$STEP_LOG")
    skipped=$(grep -c '^SKIPPED: ' "$STEP_LOG" || true)
    # A test program that crashed, or code that does not compile, prints no result line: it still is a failure.
    if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    PASSED=$((PASSED + passed - skipped)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + ignored + skipped))
}

all_tests() {
    local options=()
    # What a passing test prints is hidden unless asked for, and a skipped test says so there.
    if [ -n "${DOCKMGR_SKIP_DOCKER:-}${DOCKMGR_SKIP_ETCD:-}" ]; then options=(-- --show-output); fi
    check cargo fmt --all --check
    check cargo clippy --locked --workspace --all-targets -- -D warnings
    check env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
    # The tests of the command line run the programs themselves.
    check cargo build --locked --workspace --bins
    count cargo test --locked --workspace --no-fail-fast "${options[@]}"
    printf '\n'
    grep -hE '^test .* FAILED$' "$STEP_LOG" || true
    # Whole clusters in virtual time; one release build serves both.
    local simulation=(cargo run --quiet --locked --release -p dockmgr-simulation --features mutants --)
    # From a fixed first seed, so that a run tells about the change and not about luck; `make sim` takes new ones.
    count "${simulation[@]}" --seeds 10000 --seed 1
    count "${simulation[@]}" --mutants --seed 42
    chaos fake
    chaos docker
}

# chaos PROFILE: real processes under seeded faults for a short while; `make chaos` takes longer, and new seeds.
chaos() {
    if [ "${DOCKMGR_SKIP_ETCD:-}" = 1 ] || { [ "$1" = docker ] && [ "${DOCKMGR_SKIP_DOCKER:-}" = 1 ]; }; then
        echo "SKIPPED: chaos, profile $1"
        SKIPPED=$((SKIPPED + 1))
        return
    fi
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -E)
    # Namespaces and packet filters are made with programs that are no user's.
    check "${as_root[@]}" env "PATH=$PATH:/usr/sbin:/sbin" "${CARGO_TARGET_DIR:-target}/debug/dockmgr-chaos" \
        --minutes 1.25 --profile "$1" --seed 2026
}

main() {
    say "starting what the tests need"
    surroundings
    if [ $# -gt 0 ]; then count "$@"; else all_tests; fi
    printf '\ntest: took %d s\n' "$SECONDS"
    printf '%d passed, %d failed, %d skipped\n' "$PASSED" "$FAILED" "$SKIPPED"
    [ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
}

main "$@"
