#!/usr/bin/env bash
# Builds small local images for machines that cannot pull `debian:stable-slim`, from the machine's own files and packages.
#
# Usage: deploy/host/image.sh [base] [debian] [--force] [--push REGISTRY]      (no kind: base)
#   base     dockmgr/base:local: bash, sh, coreutils, grep, sed, awk, find, tar, gzip and the C library, copied from this
#            machine. Needs no network, takes seconds.
#   debian   dockmgr/debian:local: Debian's minimal base system with apt and dpkg, through debootstrap and the apt mirror
#            this machine is configured with. Needs that mirror, takes about a minute.
#   --force  builds it again although it is there
#   --push REGISTRY   tags each as REGISTRY/dockmgr/KIND:latest as well and pushes it; prints the names pushed
# Prints what it does on stderr and the image names, one a line, on stdout. Every image carries the label dockmgr.built=1.
# Tested by: deploy/test.sh builds and pushes the base image; the Docker tests run jobs in both.
set -euo pipefail

readonly LABEL='LABEL dockmgr.built=1'
readonly IMAGE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Commands of `base`; a command that this machine lacks is left out, the shell and coreutils must be there.
readonly COMMANDS=(bash sh dash grep sed mawk awk find xargs tar gzip env getent ldconfig setsid chroot hostname ps kill)

WORK=
cleanup() { if [ -n "$WORK" ]; then as_root rm -rf "$WORK"; fi; }
trap cleanup EXIT

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

exists() { docker image inspect "$1" >/dev/null 2>&1; }

# place FILE: copies it to the same path below $WORK, following links.
place() {
    [ -e "$WORK$1" ] || { mkdir -p "$WORK${1%/*}" && cp --dereference --preserve=mode "$1" "$WORK$1"; }
}

# place_program FILE: the same, with the shared libraries it loads.
place_program() {
    local library
    if [ ! -r "$1" ]; then return; fi
    place "$1"
    for library in $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do place "$library"; done
}

# The merged layout of the source machine, so that /bin/sh and /usr/bin/sh are the same file.
make_layout() {
    local link
    mkdir -p "$WORK"/{usr/bin,usr/sbin,usr/lib,etc,root,tmp,var/tmp,home,proc,sys,dev,run}
    chmod 1777 "$WORK/tmp" "$WORK/var/tmp"
    chmod 700 "$WORK/root"
    for link in bin sbin lib lib32 lib64 libx32; do
        if [ -L "/$link" ]; then
            mkdir -p "$WORK/usr/$link"
            ln -s "usr/$link" "$WORK/$link"
        fi
    done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/bash' 'daemon:x:1:1:daemon:/usr/sbin:/bin/false' \
        'nobody:x:65534:65534:nobody:/nonexistent:/bin/false' >"$WORK/etc/passwd"
    printf '%s\n' 'root:x:0:' 'daemon:x:1:' 'nogroup:x:65534:' >"$WORK/etc/group"
    printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$WORK/etc/nsswitch.conf"
    cp /etc/os-release "$WORK/etc/os-release"
}

build_base() {
    local name path
    WORK=$(mktemp -d)
    make_layout
    for path in $(dpkg -L coreutils | grep -E '^(/usr)?/s?bin/'); do
        if [ -f "$path" ]; then place_program "$path"; fi
    done
    for name in "${COMMANDS[@]}"; do
        path=$(PATH="$PATH:/usr/sbin:/sbin" type -P "$name") || continue
        place_program "$path"
    done
    if ! [ -x "$WORK/bin/bash" ] || ! [ -x "$WORK/bin/seq" ]; then
        die "bash or coreutils are not where a Debian machine has them"
    fi
    if [ -d /usr/lib/locale/C.utf8 ]; then mkdir -p "$WORK/usr/lib/locale" && cp -r /usr/lib/locale/C.utf8 "$WORK/usr/lib/locale/"; fi
    import "$1" --owner=+0 --group=+0
}

build_debian() {
    local suite mirror
    if ! command -v debootstrap >/dev/null; then
        say "will install with apt-get: debootstrap"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null 2>&1 ||
            die "apt-get could not install debootstrap"
    fi
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 == suite && /debian|ubuntu/ { print $1; exit }')
    if [ -z "$suite" ] || [ -z "$mirror" ]; then die "this machine's apt names no mirror for its own release"; fi
    WORK=$(mktemp -d)
    chmod 755 "$WORK"
    as_root debootstrap --variant=minbase "$suite" "$WORK" "$mirror" >"$WORK.log" 2>&1 ||
        { tail -n 5 "$WORK.log" >&2; die "debootstrap failed; its log is $WORK.log"; }
    rm -f "$WORK.log"
    as_root rm -rf "$WORK"/var/cache/apt/archives "$WORK"/var/lib/apt/lists
    as_root mkdir -p "$WORK"/var/cache/apt/archives/partial "$WORK"/var/lib/apt/lists/partial
    import "$1"
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# import TAG [TAR-OPTION...]: turns the tree in $WORK into an image.
import() {
    local tag=$1
    shift
    as_root tar -C "$WORK" --numeric-owner --exclude='./dev/*' "$@" -cf - . |
        docker import --change "$LABEL" --change 'CMD ["/bin/bash"]' --change "ENV PATH=$IMAGE_PATH" - "$tag" >/dev/null
    as_root rm -rf "$WORK"
    WORK=
}

main() {
    local kinds=() force="" registry="" kind tag
    while [ $# -gt 0 ]; do
        case $1 in
            base | debian) kinds+=("$1") ;;
            --force) force=1 ;;
            --push) registry=${2:?"--push needs REGISTRY"}; shift ;;
            -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
            *) say "unknown argument $1 (known: base debian --force --push REGISTRY)"; exit 2 ;;
        esac
        shift
    done
    [ ${#kinds[@]} -gt 0 ] || kinds=(base)
    for kind in "${kinds[@]}"; do
        tag=dockmgr/$kind:local
        if [ -n "$force" ] || ! exists "$tag"; then
            say "building $tag from this machine's own files and packages"
            "build_$kind" "$tag"
        fi
        printf '%s\n' "$tag"
        if [ -n "$registry" ]; then
            docker tag "$tag" "$registry/dockmgr/$kind:latest"
            docker push -q "$registry/dockmgr/$kind:latest"
        fi
    done
}

main "$@"
