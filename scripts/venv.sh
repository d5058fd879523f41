#!/usr/bin/env bash
# Makes the private Python environment that the program, the demo and the tests use.
#
#   scripts/venv.sh [--runtime] [DIR]      DIR defaults to build/venv; --runtime leaves out what only the demo and the tests need
#
# Safe to repeat: a stamp holds a digest of the requirement files and of the interpreter, so nothing is done while both stay the same.
# The interpreter is the system's own (>= 3.11); another Python that happens to be first on PATH is only the second choice.
# Packages come as wheels only, each checked against its pinned hash; the system's site-packages are never seen.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
runtime_only=no
if [ "${1:-}" = --runtime ]; then
  runtime_only=yes
  shift
fi
venv="${1:-$root/build/venv}"

say() { printf 'venv: %s\n' "$*" >&2; }
die() {
  printf 'venv: error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '      %s\n' "$line" >&2; done
  exit 1
}

find_python() {
  local candidate
  for candidate in /usr/bin/python3 "$(command -v python3 || true)" /usr/bin/python3.1[1-9]; do
    if [ -x "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no Python 3.11 or newer found" "Debian 12 has it in the package python3: apt-get install python3 python3-venv"
}

python="$(find_python)"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
  die "the package python3-venv is missing: $python has no modules venv and ensurepip" "install it: apt-get install python3-venv"

files=("$root/requirements.txt")
[ "$runtime_only" = yes ] || files+=("$root/requirements-dev.txt")
stamp="$( (cat "${files[@]}"; "$python" -c 'import sys; print(sys.version)'; printf '%s\n' "$venv") | sha256sum | cut -d' ' -f1)"

mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9 # Two builds at once: the second waits, and then finds the stamp.
if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

say "making $venv with $("$python" --version) ($python)"
rm -rf "$venv"
"$python" -m venv "$venv" || die "python3 -m venv failed" "the package python3-venv may be incomplete: apt-get install --reinstall python3-venv"

for file in "${files[@]}"; do
  say "installing $(grep -c '^[A-Za-z0-9]' "$file") packages of $(basename "$file")"
  log="$venv/pip.log"
  if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: --require-hashes --no-deps \
    --progress-bar off --requirement "$file" >"$log" 2>&1; then
    cause="$(grep -E '^ *ERROR|error:' "$log" | sed 's,(from versions:.*),,' | cut -c1-300 | tail -n 3 || true)"
    package="$(grep -oE "(No matching distribution found for|satisfies the requirement) [A-Za-z0-9._-]+==[^ ]+|[A-Za-z0-9._-]+==[^ ]+ from http" "$log" |
      grep -oE '[A-Za-z0-9._-]+==[A-Za-z0-9.]+' | head -n 1 || true)"
    cp "$log" "$venv.log"
    die "pip could not install ${package:-a package of $(basename "$file")}" "${cause:-no reason given}" "the whole output: $venv.log"
  fi
done
"$venv/bin/python" -m pip check --disable-pip-version-check >"$venv/pip.log" 2>&1 || die "the installed packages do not fit together" "$(cat "$venv/pip.log")"
printf '%s\n' "$stamp" >"$venv/.stamp"
say "ready: $("$venv/bin/python" --version), $(find "$venv/lib" -maxdepth 3 -name '*.dist-info' | wc -l) packages, $(du -sm "$venv" | cut -f1) MB"
