#!/usr/bin/env bash
# Installs what swarm is compared with, where it is missing: for fetches, or with `sync` for folders that are kept the same, and
# what makes the file systems on which tests of deltas run. Crates take minutes to build: only with CRATES=1.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
need() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || missing+=("$2"); }
install_missing() {
    if ((${#missing[@]})); then
        echo "installing ${missing[*]}" >&2
        local as_root=()
        if ((EUID != 0)); then as_root=(sudo); fi
        "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"
    fi
}

if [[ ${1:-} == sync ]]; then
    need rsync rsync
    need unison unison
    need rclone rclone
    need mkfs.xfs xfsprogs
    need mkfs.btrfs btrfs-progs
    install_missing
    exit
fi

need nginx nginx-light
need curl curl
need aria2c aria2
need rsync rsync
need sshd openssh-server
need b3sum b3sum
install_missing

peers=target/compare-peers
mkdir -p "$peers"
if ! "$peers/python/bin/python3" -c 'import libtorrent' 2>/dev/null; then
    python3 -m venv "$peers/python"
    "$peers/python/bin/pip" install --quiet libtorrent==2.1.1
fi

if [[ ${CRATES:-} ]]; then
    for crate in sendme@0.37.1 rqbit@9.1.0; do
        [[ -x $peers/bin/${crate%@*} ]] || cargo install --locked --root "$peers" "$crate"
    done
fi
