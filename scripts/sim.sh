#!/usr/bin/env bash
# The seeded simulation: SEEDS=n runs seeds 1..n, SEED=x replays one; FAULTS and STEPS as the program says.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake -S . -B build/sim -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
ninja -C build/sim simulation_test property_test
SORTIE_SIM_SEEDS="${SEEDS:-200}" SORTIE_SIM_SEED="${SEED:-}" build/sim/tests/simulation/simulation_test --gtest_filter='Simulation.*'
SORTIE_SIM_SEEDS="${SEEDS:-2000}" SORTIE_SIM_SEED="${SEED:-}" build/sim/tests/simulation/property_test
