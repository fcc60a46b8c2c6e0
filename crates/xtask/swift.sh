#!/bin/bash
# Runs Swift in a folder: swift.sh ROOT FOLDER ARGUMENTS..
#
# With the toolchain that is there; else, as root on Debian, with Debian's own of a newer release, in a system below ROOT
# that is made once: half a gigabyte to download, two and a half on disk.
# shellcheck disable=SC2016 # what is quoted so is for apt, and for the shells inside
set -euo pipefail
root=$1 folder=$(realpath "$2")
shift 2
if command -v swift >/dev/null; then
  cd "$folder" && exec swift "$@"
fi
if [ ! -x "$root/usr/bin/swiftc" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "there is no Swift here, and Debian's can only be installed by root on Debian" >&2
    exit 3
  fi
  command -v mmdebstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; } >&2
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1)
  key=$(dpkg -L debian-archive-keyring | grep '/debian-archive-keyring.gpg$')
  rm -rf --one-file-system "$root.part"
  mkdir -p "$(dirname "$root")"
  mmdebstrap --quiet --variant=apt --mode=root --architectures="$(dpkg --print-architecture)" --keyring="$key" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --aptopt='APT::Install-Recommends "false"' \
    --include=swiftlang,libc6-dev,libstdc++-14-dev trixie "$root.part" "deb $mirror trixie main" >&2
  mv "$root.part" "$root"
fi
# The compiler looks for its libraries through /proc. In a mount namespace of its own nothing is left behind.
export root folder
exec unshare --mount --fork bash -euc '
  mount --make-rprivate /
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  for part in ${SLUICEGATE_MOUNTS:-} "$folder"; do
    mkdir -p "$root$part"
    mount --bind "$part" "$root$part"
  done
  exec chroot "$root" env -i PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 \
    SLUICEGATE_NATIVE="${SLUICEGATE_NATIVE:-}" SLUICEGATE_VECTORS="${SLUICEGATE_VECTORS:-}" SLUICEGATE_FAKE="${SLUICEGATE_FAKE:-}" \
    SLUICEGATE_MEASURE="${SLUICEGATE_MEASURE:-}" \
    sh -c '\''cd "$0" && exec swift "$@"'\'' "$folder" "$@"' bash "$@"
