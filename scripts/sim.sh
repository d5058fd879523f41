#!/usr/bin/env bash
# The seeded simulation: SEEDS=n runs seeds 1..n in JOBS processes, SEED=x replays one (CLIENTS and FAULTS make it smaller,
# NODES=1 is the world of several nodes, as a failing seed says). CANARY=1 proves first that the faults which are seeded in the code on purpose are found.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake -S . -B build/sim -G Ninja -DCMAKE_BUILD_TYPE=Release -DSORTIE_CANARY=ON >/dev/null
ninja -C build/sim simulation_test property_test ${CANARY:+canary_test}
[ -z "${CANARY:-}" ] || build/sim/tests/simulation/canary_test
export SORTIE_SIM_JOBS="${JOBS:-$(nproc)}"
export SORTIE_SIM_SEEDS="${SEEDS:-1000}" SORTIE_SIM_SEED="${SEED:-}" SORTIE_SIM_CLIENTS="${CLIENTS:-}" SORTIE_SIM_FAULTS="${FAULTS:-}"
[ -n "${NODES:-}" ] || build/sim/tests/simulation/simulation_test --gtest_filter='Server.Loses*'
[ -n "${FAULTS:-}${CLIENTS:-}${NODES:-}" ] || build/sim/tests/simulation/simulation_test --gtest_filter='StoreOnDisk.Keeps*'
[ -n "${FAULTS:-}${CLIENTS:-}${NODES:-}" ] || build/sim/tests/simulation/property_test
[ -n "${FAULTS:-}${CLIENTS:-}" ] && [ -z "${NODES:-}" ] || build/sim/tests/simulation/simulation_test --gtest_filter='Nodes.Lose*'
