#!/usr/bin/env bash
# Copies the built tree below PREFIX (default /usr/local): bin/sortie, share/sortie, lib/sortie/venv.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix="${PREFIX:-/usr/local}"
[ -x build/sortie ] || { echo "install: build/sortie is missing; run 'make build' first" >&2; exit 1; }
install -D -m 0755 build/sortie "$prefix/bin/sortie"
mkdir -p "$prefix/share" "$prefix/lib/sortie"
rm -rf "$prefix/share/sortie"
cp -r build/share/sortie "$prefix/share/sortie"
# An environment knows its own path, so it is made anew in its place.
python3 -m venv "$prefix/lib/sortie/venv"
"$prefix/lib/sortie/venv/bin/pip" install --quiet --only-binary :all: --require-hashes -r requirements.txt
echo "install: $prefix/bin/sortie"
