#!/usr/bin/env bash
# Tests the unit files: systemd-analyze verify, in an empty Debian where this machine has no systemd.
#
# Usage: deploy/systemd/check.sh      (needs Docker and the apt mirror; not part of `make test`)
set -euo pipefail
cd "$(dirname "$0")"
../host/image.sh debian >/dev/null
docker run --rm --init --label dockmgr.check=1 --volume "$PWD:/units:ro" dockmgr/debian:local bash -c '
    set -e
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends systemd >/dev/null 2>&1
    ln -s /bin/true /usr/local/bin/dockmgr-coordinator
    ln -s /bin/true /usr/local/bin/dockmgr-worker
    useradd --system dockmgr
    cp /units/*.service /etc/systemd/system/
    systemd-analyze verify --man=no dockmgr-coordinator.service dockmgr-worker.service dockmgr-guard.service'
echo "systemd units are valid"
