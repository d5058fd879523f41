#!/usr/bin/env bash
# The release binary build/sortie, and beside it build/share/sortie with all it uses at run time.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/venv.sh
scripts/web.sh
echo "build: configuring"
cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release -DSORTIE_TESTS=OFF >build/cmake.log 2>&1 ||
  { tail -20 build/cmake.log >&2; echo "build: cmake failed, see build/cmake.log" >&2; exit 1; }
began=$(date +%s)
ninja -C build/release sortie
install -m 0755 build/release/src/cli/sortie build/sortie.new 2>/dev/null || install -m 0755 build/release/sortie build/sortie.new
mv -f build/sortie.new build/sortie
share=build/share/sortie
rm -rf "$share.new"
mkdir -p "$share.new"
cp -r functions playbooks "$share.new/"
mkdir -p "$share.new/runtimes" "$share.new/sdk_worker"
cp src/functions/runtimes/* "$share.new/runtimes/"
cp src/integrations/sdk_worker/*.py "$share.new/sdk_worker/"
rm -rf "$share"
mv "$share.new" "$share"
echo "build: build/sortie is ready ($(( $(date +%s) - began )) s)"
