#!/usr/bin/env bash
# Line coverage of the unit tests by clang's source-based coverage.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake -S . -B build/coverage -G Ninja -DCMAKE_BUILD_TYPE=Dev -DCMAKE_CXX_COMPILER=clang++-16 \
  -DCMAKE_CXX_FLAGS="-fprofile-instr-generate -fcoverage-mapping" -DCMAKE_EXE_LINKER_FLAGS=-fprofile-instr-generate >/dev/null
ninja -C build/coverage
rm -f build/coverage/*.profraw
objects=()
for program in $(find build/coverage -type f -name '*_test' -perm -u+x); do
  LLVM_PROFILE_FILE="build/coverage/$(basename "$program").profraw" "$program" >/dev/null 2>&1 || echo "coverage: $program failed" >&2
  objects+=(-object "$program")
done
llvm-profdata-16 merge -sparse build/coverage/*.profraw -o build/coverage/all.profdata
llvm-cov-16 report "${objects[@]}" -instr-profile build/coverage/all.profdata -ignore-filename-regex='_test\.cpp|/usr/|build/'
