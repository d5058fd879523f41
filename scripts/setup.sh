#!/usr/bin/env bash
# Installs what is missing on a Debian 12 machine. Safe to repeat, asks nothing, works as root and with sudo.
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config make git mold ccache binutils
  clang-16 libclang-rt-16-dev clang-format-16 clang-tidy-16 llvm-16
  libboost1.81-dev libssl-dev libcurl4-openssl-dev libsqlite3-dev libpq-dev libre2-dev libyaml-dev zlib1g-dev
  libseccomp-dev libmimalloc-dev libcli11-dev libbenchmark-dev libgtest-dev libgmock-dev
  libhowardhinnant-date-dev tzdata ca-certificates bubblewrap slirp4netns
  python3 python3-venv procps sqlite3 postgresql-15 curl btrfs-progs e2fsprogs mount util-linux
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
# Node runs functions of the nodejs runtimes, and with npm builds the console. Debian's own is enough; others that are there are kept.
command -v node >/dev/null 2>&1 || missing+=(nodejs)
command -v npm >/dev/null 2>&1 || missing+=(npm)
# The tests look at the console with a real browser.
if [ "${1:-}" = --browser ] && ! command -v chromium >/dev/null 2>&1; then missing+=(chromium fonts-dejavu-core); fi
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "setup: these packages are missing and need root to install: ${missing[*]}" >&2
    echo "setup: install sudo, or run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq || echo "setup: 'apt-get update' failed; trying with the package lists that are here" >&2
if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/tmp/sortie-setup.$$ 2>&1; then
  # One by one, so that the message names the package and the cause.
  for package in "${missing[@]}"; do
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/tmp/sortie-setup.$$ 2>&1; then
      echo "setup: package $package cannot be installed:" >&2
      tail -5 /tmp/sortie-setup.$$ >&2
      rm -f /tmp/sortie-setup.$$
      exit 1
    fi
  done
fi
rm -f /tmp/sortie-setup.$$
echo "setup: done"
