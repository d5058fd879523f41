#!/usr/bin/env bash
# The console's types and unit tests (web/src/**/*.test.ts); the last line is `N passed, N failed, N skipped`.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/web.sh --tools
node="$(cat build/web/node)"
out="$PWD/build/web/test.json"
rm -f "$out"
cd web
"$node" node_modules/typescript/bin/tsc --noEmit || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
"$node" node_modules/vitest/vitest.mjs run --reporter=default --reporter=json --outputFile.json="$out" || true
"$node" -e '
  const r = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
  const failed = r.numFailedTests + (r.success || r.numFailedTests ? 0 : 1);
  console.log(`${r.numPassedTests} passed, ${failed} failed, ${r.numPendingTests + r.numTodoTests} skipped`);
  process.exit(failed ? 1 : 0);
' "$out"
