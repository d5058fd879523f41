#!/usr/bin/env bash
# Runs the Python tests (worker, stand-in account, action library, playbooks) and ends with "N passed, N failed, N skipped".
#
#   scripts/test-python.sh [pytest arguments]
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
scripts/venv.sh
report="$(mktemp)"
trap 'rm -f "$report"' EXIT

code=0
build/venv/bin/python -m pytest -p no:cacheprovider -rs --junit-xml="$report" "$@" || code=$?

# The figures come from pytest's own report, so a change of its closing line changes nothing here.
build/venv/bin/python - "$report" "$code" <<'PYTHON'
import sys
import xml.etree.ElementTree

try:
    suites = list(xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"))
except (OSError, xml.etree.ElementTree.ParseError):
    suites = []
count = lambda name: sum(int(suite.get(name, 0)) for suite in suites)
failed, skipped = count("failures") + count("errors"), count("skipped")
passed = count("tests") - failed - skipped
if int(sys.argv[2]) and not failed:
    failed = 1  # Collecting failed, or nothing was found: never a green line.
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
PYTHON
