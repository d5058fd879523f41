#!/usr/bin/env bash
# Runs the demo's story (demo/run.py); SCENARIO, AUTO and DEMO_MARK come from the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/venv.sh
exec build/venv/bin/python demo/run.py
