#!/usr/bin/env bash
# Prepares a Debian or Ubuntu machine for dockmgr: packages, and a Docker daemon that answers.
#
# Usage: deploy/host/setup.sh [--build] [--docker] [--test]     (no argument: --build --docker)
#   --build   what compiling needs: a C compiler, the protobuf compiler
#   --docker  a Docker daemon: an answering one is left alone; else the engine is installed and started
#   --test    what the tests need besides: etcd, a Docker registry, Prometheus, jq, strace, zstd, ripgrep, Python's gRPC,
#             network namespaces, Chromium; and, into target/tools of this project, checkers of the web page and its API (npm, pip);
#             into $DOCKMGR_TEST_TOOLS, OpenSearch and a server of S3 (Maven), a collector of OpenTelemetry and VictoriaLogs (Go)
# Idempotent: installs only what is missing, says so first, and a second run takes under two seconds.
# Tested by: `make test` runs it first; deploy/host/fresh.sh runs it in an empty Debian, as root and with sudo.
set -euo pipefail

readonly DOCKERD_LOG=${DOCKMGR_DOCKERD_LOG:-/var/log/dockmgr-dockerd.log}
readonly DOCKERD_PID=/var/run/docker.pid
# A first start reads 150 MB from a disk that may be slow; a daemon that is silent after this has failed.
readonly DOCKERD_WAIT_SECONDS=120
TOOLS=${DOCKMGR_TOOLS:-$(cd "$(dirname "$0")/../.." && pwd)/target/tools}
readonly TOOLS
# Looks for what bars people from a page.
readonly AXE=4.14.1
# What no package of Debian has, kept outside of `target`, so that cleaning up does not fetch and build it again.
readonly FAR_ENDS=${DOCKMGR_TEST_TOOLS:-$HOME/.cache/dockmgr/test-tools}
readonly OPENSEARCH=2.19.3
readonly OPENSEARCH_SHA256=760530e522de0a9f06380d4a4a43dfd83c31fa8911f41745513ce715ed5dfd03
readonly OTELCOL=0.160.0
readonly VICTORIALOGS=1.51
# What both ask for; where the installed Go is older, this one builds them.
readonly GO_LEAST=1.26.5
readonly GO=1.26.8
readonly GO_SUM=h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=
readonly S3PROXY=3.0.0
readonly S3PROXY_SHA256=f5931bd2a7706e75bd15713224c98ddda22ac022a48d4f9937ce884acef9ce25
SUDO=()
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

need_root() {
    if [ "$(id -u)" -eq 0 ]; then return; fi
    command -v sudo >/dev/null || die "root is needed to $1: run as root or install sudo"
    SUDO=(sudo)
}

# install PACKAGE...: installs all of them without starting any service that comes along.
install() {
    command -v apt-get >/dev/null ||
        die "missing: $*. Only Debian and Ubuntu are installed to automatically; install the equivalent and run again."
    need_root "install packages"
    say "will install with apt-get: $*"
    # The index of a fresh image is often absent or points at packages that are gone: refresh once, then install.
    "${SUDO[@]}" apt-get update -qq || say "the package index could not be refreshed; trying with the one at hand"
    "${SUDO[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$LOG" 2>&1 ||
        { tail -n 10 "$LOG" >&2; die "apt-get could not install: $*"; }
}

# missing COMMAND=PACKAGE...: prints the packages whose command is absent (sbin included).
missing() {
    local pair
    for pair in "$@"; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%=*}" >/dev/null || printf '%s\n' "${pair#*=}"
    done
}

has_systemd() { [ -d /run/systemd/system ]; }

setup_build() {
    local packages
    mapfile -t packages < <(missing cc=gcc ld=binutils make=make protoc=protobuf-compiler pkg-config=pkg-config git=git |
        sort -u)
    [ -e /usr/include/stdio.h ] || packages+=(libc6-dev)
    if [ ${#packages[@]} -gt 0 ]; then install "${packages[@]}"; fi
    command -v cargo >/dev/null || [ -x "$HOME/.cargo/bin/cargo" ] ||
        die "cargo is missing: install a Rust toolchain first (rustup then fetches the version rust-toolchain.toml names)"
    say "build tools are here"
}

setup_test() {
    local packages package
    mapfile -t packages < <(missing etcd=etcd-server etcdctl=etcd-client docker-registry=docker-registry jq=jq \
        promtool=prometheus python3=python3 strace=strace ip=iproute2 iptables=iptables nsenter=util-linux zstd=zstd \
        chromium=chromium npm=npm rg=ripgrep java=default-jre-headless mvn=maven go=golang-go \
        script=bsdutils openssl=openssl)
    /usr/bin/python3 -c 'import grpc, google.protobuf' 2>/dev/null || packages+=(python3-grpcio python3-protobuf)
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
    [ -d /usr/share/fonts/truetype/dejavu ] || packages+=(fonts-dejavu-core)
    if [ ${#packages[@]} -gt 0 ]; then
        install "${packages[@]}"
        # The tests start their own on free ports; the services of the packages would hold the default ones.
        for package in "${packages[@]}"; do
            case $package in
                etcd-server) stop_service etcd ;;
                docker-registry) stop_service docker-registry ;;
                prometheus) stop_service prometheus ;;
            esac
        done
    fi
    setup_web_checkers
    setup_opensearch
    setup_s3proxy
    setup_go_servers
    say "test tools are here"
}

# The OpenAPI validator, the tester of APIs and axe-core, in the versions the project names.
setup_web_checkers() {
    local wanted
    wanted=$(dirname "$0")/web-requirements.txt
    if ! cmp -s "$wanted" "$TOOLS/web/requirements.txt"; then
        say "will install the packages of web-requirements.txt into target/tools/web with pip"
        mkdir -p "$TOOLS"
        /usr/bin/python3 -m venv --clear "$TOOLS/web"
        "$TOOLS/web/bin/pip" install --quiet --disable-pip-version-check -r "$wanted" >"$LOG" 2>&1 ||
            { tail -n 10 "$LOG" >&2; die "pip could not install the checkers of the web API"; }
        cp "$wanted" "$TOOLS/web/requirements.txt"
    fi
    if ! grep -q "\"version\": \"$AXE\"" "$TOOLS/axe/node_modules/axe-core/package.json" 2>/dev/null; then
        say "will install axe-core $AXE into target/tools/axe with npm"
        npm install --silent --no-audit --no-fund --no-save --prefix "$TOOLS/axe" "axe-core@$AXE" >"$LOG" 2>&1 ||
            { tail -n 10 "$LOG" >&2; die "npm could not install axe-core"; }
    fi
}

setup_opensearch() {
    local zip=$FAR_ENDS/opensearch-$OPENSEARCH.zip
    if [ -d "$FAR_ENDS/opensearch-$OPENSEARCH" ]; then return; fi
    say "will fetch OpenSearch $OPENSEARCH (51 MB) with Maven"
    mkdir -p "$FAR_ENDS"
    mvn -q -B dependency:copy -DoutputDirectory="$FAR_ENDS" -Dmdep.useBaseVersion=true \
        -Dartifact="org.opensearch.distribution.integ-test-zip:opensearch:$OPENSEARCH:zip" >"$LOG" 2>&1 ||
        { tail -n 10 "$LOG" >&2; die "Maven could not fetch OpenSearch"; }
    echo "$OPENSEARCH_SHA256  $zip" | sha256sum --check --quiet || die "what Maven fetched is not OpenSearch $OPENSEARCH"
    # In a folder of another name first: one that is there is whole.
    rm -rf "$FAR_ENDS/unpacking"
    python3 -m zipfile -e "$zip" "$FAR_ENDS/unpacking"
    mv "$FAR_ENDS/unpacking/opensearch-$OPENSEARCH" "$FAR_ENDS/"
    rm -rf "$zip" "$FAR_ENDS/unpacking"
}

setup_go_servers() {
    if [ -e "$FAR_ENDS/otelcol-$OTELCOL" ] && [ -e "$FAR_ENDS/victorialogs-$VICTORIALOGS" ]; then return; fi
    # What is fetched and compiled on the way takes 2 GB: it goes when the servers are there.
    local go building=$FAR_ENDS/building
    mkdir -p "$building"
    export GOPATH=$building GOCACHE=$building/cache GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0
    newer_go
    go_build "otelcol-$OTELCOL" otel/collector .
    go_build "victorialogs-$VICTORIALOGS" loki github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs
    rm -rf "$building"
}

# go_build NAME FOLDER PACKAGE: builds a program in a folder of deploy/ unless it is there.
go_build() {
    if [ -e "$FAR_ENDS/$1" ]; then return; fi
    say "will build $1 with Go: some minutes, once"
    # One package at a time: the machine stays usable, and its memory small.
    (cd "$(dirname "$0")/../$2" &&
        nice "$go" build -p 1 -buildvcs=false -ldflags "-s -w" -o "$building/$1" "$3") >"$LOG" 2>&1 ||
        { tail -n 10 "$LOG" >&2; die "Go could not build $1"; }
    mv "$building/$1" "$FAR_ENDS/$1"
}

# Sets `go` to a Go that is new enough: the one that is installed, or else one that comes as a module of Go, which Go itself
# checks against its database of checksums, and this against the sum it knows.
newer_go() {
    local installed fetched
    go=$(command -v go)
    installed=$(go env GOVERSION)
    if printf 'go%s\n%s\n' "$GO_LEAST" "$installed" | sort -CV; then return; fi
    [ "$(go env GOOS GOARCH | xargs)" = "linux amd64" ] ||
        die "$installed is too old: install Go $GO_LEAST or newer"
    say "will fetch Go $GO (70 MB) with $installed"
    fetched=$(cd / && go mod download -json "golang.org/toolchain@v0.0.1-go$GO.linux-amd64" 2>"$LOG") ||
        { tail -n 10 "$LOG" >&2; die "$installed could not fetch Go $GO"; }
    [ "$(jq -r .Sum <<<"$fetched")" = "$GO_SUM" ] || die "what was fetched is not Go $GO"
    go=$(jq -r .Dir <<<"$fetched")
    # A module can have neither programs nor a go.mod inside.
    chmod +x "$go"/bin/* "$go"/pkg/tool/*/*
    cp "$go/src/_go.mod" "$go/src/go.mod"
    go=$go/bin/go
}

# A server that speaks S3 and keeps its objects in a folder.
setup_s3proxy() {
    local jar=$FAR_ENDS/s3proxy-$S3PROXY-jar-with-dependencies.jar
    if [ -e "$jar" ]; then return; fi
    say "will fetch S3Proxy $S3PROXY (52 MB) with Maven"
    mkdir -p "$FAR_ENDS/fetching"
    mvn -q -B dependency:copy -DoutputDirectory="$FAR_ENDS/fetching" -Dmdep.useBaseVersion=true \
        -Dartifact="org.gaul:s3proxy:$S3PROXY:jar:jar-with-dependencies" >"$LOG" 2>&1 ||
        { tail -n 10 "$LOG" >&2; die "Maven could not fetch S3Proxy"; }
    echo "$S3PROXY_SHA256  $FAR_ENDS/fetching/${jar##*/}" | sha256sum --check --quiet ||
        die "what Maven fetched is not S3Proxy $S3PROXY"
    # Moved into place last: what is there is whole.
    mv "$FAR_ENDS/fetching/${jar##*/}" "$jar"
    rmdir "$FAR_ENDS/fetching"
}

stop_service() {
    if has_systemd; then
        say "stopping and disabling the service $1 that its package started"
        "${SUDO[@]}" systemctl disable --now "$1" >/dev/null 2>&1 || true
    elif [ -x "/etc/init.d/$1" ]; then
        "${SUDO[@]}" "/etc/init.d/$1" stop >/dev/null 2>&1 || true
    fi
}

# Says who answers on the Docker socket; fails when nobody does.
daemon_version() { timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null; }

# Another address than the local socket is a choice of the person: nothing is installed or started for it.
remote_daemon() { [ -n "${DOCKER_HOST:-}" ] && [ "${DOCKER_HOST#unix://}" = "$DOCKER_HOST" ]; }

setup_docker() {
    local version
    if command -v docker >/dev/null && version=$(daemon_version); then
        say "a Docker daemon answers (version $version): left alone"
        warn_live_restore
        return
    fi
    if remote_daemon; then die "no Docker daemon answers at DOCKER_HOST=$DOCKER_HOST"; fi
    install_engine
    # The daemon of the package may be on its way up, or be there without this user being allowed to talk to it.
    if ! wait_daemon 3; then start_daemon; fi
    version=$(as_root docker version --format '{{.Server.Version}}')
    say "a Docker daemon answers (version $version)"
    allow_user
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

install_engine() {
    local packages
    mapfile -t packages < <(missing dockerd=docker.io)
    if [ ${#packages[@]} -gt 0 ]; then install "${packages[@]}"; fi
    # Newer releases ship the client apart from the engine.
    if ! command -v docker >/dev/null; then install docker-cli; fi
    need_root "start the Docker daemon"
}

# wait_daemon SECONDS: waits until a daemon answers root.
wait_daemon() {
    local deadline=$((SECONDS + $1))
    while ! as_root timeout 5 docker version >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        if [ -n "${DOCKERD_STARTED:-}" ] && ! [ -d "/proc/$DOCKERD_STARTED" ]; then return 1; fi
        sleep 0.2
    done
}

start_daemon() {
    if has_systemd; then
        say "will start the service docker"
        "${SUDO[@]}" systemctl enable --now docker || explain_failure "systemctl could not start docker"
    else
        say "no systemd here: will start dockerd itself (live-restore on, log $DOCKERD_LOG, pid file $DOCKERD_PID)"
        mount_cgroups
        start_dockerd
    fi
    wait_daemon "$DOCKERD_WAIT_SECONDS" || explain_failure "dockerd ended, or did not answer within $DOCKERD_WAIT_SECONDS s"
}

start_dockerd() {
    local stale options
    stale=$(cat "$DOCKERD_PID" 2>/dev/null || true)
    if [ -n "$stale" ] && [ "$(cat "/proc/$stale/comm" 2>/dev/null || true)" != dockerd ]; then
        say "removing the pid file of a daemon that is gone ($DOCKERD_PID)"
        as_root rm -f "$DOCKERD_PID"
    fi
    options=(--live-restore --pidfile "$DOCKERD_PID")
    # The socket belongs to the group of whoever called, so that no one has to log in again.
    if [ "$(id -u)" -ne 0 ]; then options+=(--group "$(id -gn)"); fi
    # A session of its own: the daemon outlives the terminal and hears no Ctrl-C meant for the caller.
    # shellcheck disable=SC2016
    DOCKERD_STARTED=$(as_root sh -c 'trap "" HUP; log=$1; shift; setsid dockerd "$@" >>"$log" 2>&1 </dev/null & echo $!' \
        dockerd "$DOCKERD_LOG" "${options[@]}")
}

# Without an init system nobody has mounted the control groups, or not all of them. dockerd needs the unified tree or the
# devices controller to start; with a controller missing, containers run but nobody hears of their memory kills.
mount_cgroups() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then return; fi
    if ! grep -q ' /sys/fs/cgroup ' /proc/mounts; then
        say "will mount the control groups at /sys/fs/cgroup"
        if as_root mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null; then
            if grep -qw memory /sys/fs/cgroup/cgroup.controllers; then return; fi
            as_root umount /sys/fs/cgroup
        fi
        as_root mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup || die "cannot mount /sys/fs/cgroup: is this a container without rights?"
    fi
    local controller
    awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups | while read -r controller; do
        if grep -qE " cgroup [^ ]*\\b$controller\\b" /proc/mounts; then continue; fi
        say "will mount the control group controller $controller"
        as_root mkdir -p "/sys/fs/cgroup/$controller"
        as_root mount -n -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null ||
            as_root rmdir "/sys/fs/cgroup/$controller"
    done
}

explain_failure() {
    printf 'setup: %s. Last lines of its log:\n' "$1" >&2
    if has_systemd; then
        as_root journalctl -u docker -n 20 --no-pager >&2 || true
    else
        as_root tail -n 20 "$DOCKERD_LOG" >&2 || true
    fi
    exit 1
}

warn_live_restore() {
    if [ "$(timeout 10 docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)" = false ]; then
        say "note: its live-restore is off, so restarting it ends running jobs (\"live-restore\": true in daemon.json)"
    fi
}

# Lets this user reach a daemon that belongs to the group docker; takes effect at the next login or through `sg docker`.
allow_user() {
    if daemon_version >/dev/null; then return; fi
    say "will add $(id -un) to the group docker (access to Docker equals root on this machine)"
    "${SUDO[@]}" usermod -aG docker "$(id -un)"
    die "log in again (or run: sg docker -c 'make demo') so that the new group takes effect"
}

main() {
    local build="" docker="" test="" argument
    if [ $# -eq 0 ]; then set -- --build --docker; fi
    for argument in "$@"; do
        case $argument in
            --build) build=1 ;;
            --docker) docker=1 ;;
            --test) test=1 ;;
            -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
            *) printf 'setup: unknown argument %s (known: --build --docker --test)\n' "$argument" >&2; exit 2 ;;
        esac
    done
    if [ -n "$build" ]; then setup_build; fi
    if [ -n "$test" ]; then setup_test; fi
    if [ -n "$docker" ]; then setup_docker; fi
}

main "$@"
