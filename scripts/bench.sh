#!/usr/bin/env bash
# Builds and runs the benchmarks; figures are only comparable within one run.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x build/sortie ] || scripts/build.sh
cmake -S . -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DSORTIE_TESTS=OFF -DSORTIE_BENCH=ON >/dev/null
ninja -C build/bench
for program in build/bench/bench/*_bench; do
  echo "== $(basename "$program")"
  "$program"
done
[ ! -f bench/server_bench.py ] || build/venv/bin/python bench/server_bench.py
build/venv/bin/python bench/console_bench.py --executions 20000
