#!/usr/bin/env bash
# `make demo`: sets up this machine, builds dockmgr, starts a coordinator and two workers, runs real jobs and checks what
# they gave. Ends by itself; exit 0 means that everything shown was right.
#
# Usage: deploy/demo.sh
# Leaves nothing running but the Docker daemon; the log of the cluster stays in target/demo/dev.log.
# Tested by: itself, every result is compared with what it must be.
set -euo pipefail
cd "$(dirname "$0")/.."
TARGET=${CARGO_TARGET_DIR:-$PWD/target}
export PATH=$TARGET/debug:$PATH:$HOME/.cargo/bin

readonly HOME_DIR=$PWD/target/demo
readonly DEFAULT_IMAGE=debian:stable-slim
# A slow registry may take long for 30 MB; a blocked one must not hold up the demo for ever.
readonly PULL_SECONDS=120
# The cluster is up within seconds; a loaded machine may need more.
readonly START_SECONDS=60
# What dockmgr promises: no container is left one minute after its result is stored.
readonly CLEAN_SECONDS=60
DEV_PID=

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
say() { printf 'demo: %s\n' "$*"; }
die() { printf 'demo: FAILED: %s\n' "$*" >&2; exit 1; }

stop_cluster() {
    local code=0
    if [ -z "$DEV_PID" ]; then return; fi
    kill -TERM "$DEV_PID" 2>/dev/null || true
    wait "$DEV_PID" || code=$?
    DEV_PID=
    return "$code"
}
trap 'stop_cluster || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# show CODE COMMAND: prints the command as one would type it, runs it, keeps its stdout in $OUTPUT and compares its exit code.
show() {
    local code=0
    printf '\n$ %s\n' "$2"
    eval "$2" > >(tee "$HOME_DIR/output") || code=$?
    # The copy is written by a process of its own: it has everything once that has ended.
    wait $! 2>/dev/null || true
    OUTPUT=$(<"$HOME_DIR/output")
    printf '(exit code %d)\n' "$code"
    [ "$code" -eq "$1" ] || die "exit code $code where $1 was due"
}

# until SECONDS WHAT COMMAND...: repeats the command until it succeeds.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ -z "$DEV_PID" ] || kill -0 "$DEV_PID" 2>/dev/null || { tail -n 20 "$HOME_DIR/dev.log" >&2; die "the cluster ended"; }
        [ $SECONDS -lt $deadline ] || { tail -n 20 "$HOME_DIR/dev.log" >&2; die "$what did not happen in time"; }
        sleep 0.1
    done
}

containers() { docker ps -a --no-trunc --filter label=dockmgr.cluster --format '{{.ID}}' | sort; }
only_old_containers() { [ -z "$(comm -13 "$HOME_DIR/containers" <(containers))" ]; }
two_nodes() { [ "$(cluster-cli node ls -o name | wc -l)" -eq 2 ]; }
is_running() { [ -n "$(cluster-cli ps -q --state running)" ]; }

prepare() {
    title "Setting up"
    deploy/host/setup.sh --build --docker
    say "building the three programs (a first build takes some minutes)"
    cargo build --locked --workspace --bins
    if docker image inspect "$DEFAULT_IMAGE" >/dev/null 2>&1; then return; fi
    say "pulling the default image $DEFAULT_IMAGE"
    if ! timeout "$PULL_SECONDS" docker pull -q "$DEFAULT_IMAGE" 2>/dev/null; then
        DOCKMGR_DEFAULT_IMAGE=$(deploy/host/image.sh base 2>/dev/null)
        export DOCKMGR_DEFAULT_IMAGE
        say "it cannot be pulled here: jobs run in $DOCKMGR_DEFAULT_IMAGE, built from this machine's own packages"
    fi
}

start_cluster() {
    local port attempt
    title "Starting a coordinator and two workers"
    rm -rf "$HOME_DIR"
    mkdir -p "$HOME_DIR"
    containers >"$HOME_DIR/containers"
    port=$((20000 + RANDOM % 10000))
    for attempt in {1..20}; do
        # A port where nobody answers.
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
        port=$((port + attempt))
    done
    export DOCKMGR_SERVER=http://127.0.0.1:$port
    printf '\n$ export DOCKMGR_SERVER=%s\n' "$DOCKMGR_SERVER"
    printf '$ cluster-cli dev --workers 2 --data target/demo/data --listen 127.0.0.1:%d &\n' "$port"
    cluster-cli dev --workers 2 --data "$HOME_DIR/data" --listen "127.0.0.1:$port" >"$HOME_DIR/dev.log" 2>&1 &
    DEV_PID=$!
    until_true "$START_SECONDS" "the registration of two workers" two_nodes
    show 0 "cluster-cli node ls"
}

run_jobs() {
    local first
    title "A pipeline in bash, on whichever worker has room"
    show 0 "cluster-cli run 'seq 100 | shuf | head -3'"
    [ "$(wc -l <<<"$OUTPUT")" -eq 3 ] || die "three numbers were due"

    title "A job that fails: its exit code is ours"
    show 7 "cluster-cli run 'echo this one fails >&2; exit 7'"

    title "Output arrives while the job runs"
    show 0 "cluster-cli run 'for i in 1 2 3; do echo line \$i; sleep 0.3; done' | while read -r line; do echo \"\$(date +%s.%1N)  \$line\"; done"
    first=$(head -1 <<<"$OUTPUT")
    awk -v first="${first%% *}" 'END { exit !($1 - first >= 0.4) }' <<<"$OUTPUT" || die "the three lines came all at once"

    title "A job that is stopped"
    show 0 "cluster-cli submit --name sleeper 'sleep 600'"
    until_true "$START_SECONDS" "the start of the job" is_running
    show 0 "cluster-cli stop sleeper"
    show 143 "cluster-cli wait sleeper"

    title "An array of 8 tasks"
    show 0 "cluster-cli submit --array 0-7 --wait --name squares 'echo \$DOCKMGR_TASK squared is \$((DOCKMGR_TASK * DOCKMGR_TASK))'"
    show 0 "cluster-cli logs squares"
    [ "$(grep -c 'squared is' <<<"$OUTPUT")" -eq 8 ] || die "eight lines were due"
    grep -q '7 squared is 49$' <<<"$OUTPUT" || die "the line of task 7 is missing"
}

look_back() {
    title "What is kept: the records and the output of jobs whose containers are gone"
    show 0 "cluster-cli ps -a"
    [ "$(cluster-cli ps -a -q | wc -l)" -eq 5 ] || die "five jobs were due"
    show 0 "cluster-cli logs 1"
    [ "$(wc -l <<<"$OUTPUT")" -eq 3 ] || die "three numbers were due"

    title "What is not: containers"
    until_true "$CLEAN_SECONDS" "the removal of the containers" only_old_containers
    show 0 "docker ps -a --filter label=dockmgr.cluster"
}

main() {
    prepare
    start_cluster
    run_jobs
    look_back
    title "Stopping the cluster"
    stop_cluster || die "cluster-cli dev ended with code $?; see target/demo/dev.log"
    rm -rf "$HOME_DIR/data"
    printf '\n\033[1mdemo: everything was as it should be\033[0m (%d s)\n' "$SECONDS"
}

main "$@"
