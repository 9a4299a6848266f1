#!/usr/bin/env bash
# Tests setup.sh where nothing is installed: an empty Debian in a container with all rights, once as root, once with sudo.
#
# Usage: deploy/host/fresh.sh         (needs a Docker daemon and the apt mirror; takes a quarter of an hour; not part of `make test`)
set -euo pipefail
cd "$(dirname "$0")"

# What runs inside: set-up twice, the second one timed, then a container under the daemon it started.
# shellcheck disable=SC2016
readonly CHECK='
    set -euo pipefail
    /setup/setup.sh --build --test --docker
    start=$(date +%s%N)
    /setup/setup.sh --build --test --docker
    took=$((($(date +%s%N) - start) / 1000000))
    echo "fresh: the second run took $took ms"
    [ "$took" -lt 2000 ]
    image=$(/setup/image.sh base)
    code=0
    docker run --rm --init --network none "$image" sh -c "exit 7" || code=$?
    [ "$code" -eq 7 ]
    docker info --format "fresh: storage {{.Driver}}, live-restore {{.LiveRestoreEnabled}}"
'

# inside COMMAND: runs it in an empty Debian without control groups, with every capability this machine itself has
# (--privileged asks for all there are and fails where the machine has fewer). cargo is stood in for: the toolchain is
# what a machine must bring.
inside() {
    docker run --rm --cap-add ALL "${DROP[@]}" --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
        --device-cgroup-rule 'a *:* rwm' --label dockmgr.fresh=1 --env CHECK="$CHECK" --env DOCKMGR_TOOLS=/tmp/tools \
        --env DOCKMGR_TEST_TOOLS=/tools --volume "$FAR_ENDS:/tools" --volume "$PWD:/setup:ro" --volume "$PWD/../otel:/otel:ro" \
        --volume "$PWD/../loki:/loki:ro" \
        --volume /var/lib/docker "${MACHINE[@]}" \
        dockmgr/debian:local bash -c "umount -R /sys/fs/cgroup; mount -o remount,rw /sys; mount -o remount,rw /proc/sys
            ln -s /bin/true /usr/local/bin/cargo; $1"
}

# CAP_SYS_RESOURCE is bit 24 of the bounding set.
DROP=()
if ((!(0x$(awk '/CapBnd/ { print $2 }' /proc/self/status) >> 24 & 1))); then DROP=(--cap-drop SYS_RESOURCE); fi
# How this machine reaches its package registries is the machine's, too: settings of pip and npm, and whom it trusts.
MACHINE=()
for file in /etc/pip.conf /etc/npmrc /usr/etc/npmrc /usr/local/share/ca-certificates; do
    if [ -e "$file" ]; then MACHINE+=(--volume "$file:$file:ro"); fi
done
for name in $(compgen -e | grep -E '^(PIP_|NPM_CONFIG_|npm_config_|NODE_EXTRA_CA_CERTS$|SSL_CERT_FILE$)'); do
    MACHINE+=(--env "$name")
done
# Root fetches and builds what the user then finds: that takes minutes and is the same for both.
FAR_ENDS=$(docker volume create --label dockmgr.fresh=1)
trap 'docker volume rm "$FAR_ENDS" >/dev/null' EXIT
./image.sh debian >/dev/null
echo "fresh: as root"
# shellcheck disable=SC2016
inside 'bash -c "$CHECK"'
echo "fresh: as a user with sudo"
# shellcheck disable=SC2016
inside 'apt-get update -qq; apt-get install -y -qq --no-install-recommends sudo >/dev/null 2>&1; useradd -m ann
    echo "ann ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/ann
    su ann -w CHECK -c "exec bash -c \"\$CHECK\""'
echo "fresh: passed"
