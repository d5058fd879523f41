#!/usr/bin/env bash
# Builds the console (web/) into build/web/console.pack, which the program embeds. Does nothing while its sources stay the same.
#
#   scripts/web.sh            builds what changed
#   scripts/web.sh --tools    only installs the packages (for the tests of web/)
#
# Vite and its tests want Node 22.12 or newer; where the machine's own is older (Debian 12 has 18), npm fetches one into web/node22. All
# packages are pinned with their digests in the lock files, and none may run a script of its own when it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/web
mkdir -p "$out"
exec 9>"$out/lock"
flock 9 # Two builds at once: the second waits, and then finds the stamp.

digest() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }
die() { printf 'web: error: %s\n' "$@" >&2; exit 1; }

command -v npm >/dev/null 2>&1 || die "npm is missing: apt-get install npm (scripts/setup.sh does it)"

# install FOLDER: node_modules as its lock file says, unless they are there already.
install() {
  local stamp
  stamp="$(digest "$1/package.json" "$1/package-lock.json")"
  [ "$(cat "$1/node_modules/.sortie-stamp" 2>/dev/null)" = "$stamp" ] && return
  echo "web: installing $(grep -c '^    "node_modules/' "$1/package-lock.json") packages of $1" >&2
  npm --prefix "$1" ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$out/npm.log" 2>&1 ||
    die "npm could not install the packages of $1: $(grep -m1 -iE 'err' "$out/npm.log" || tail -1 "$out/npm.log")"
  printf '%s\n' "$stamp" >"$1/node_modules/.sortie-stamp"
}

# Sets `node` to one that is new enough.
find_node() {
  node="$(command -v node || true)"
  if [ -n "$node" ] && "$node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) ? 0 : 1)'; then
    return
  fi
  install web/node22
  node="$(echo "$PWD"/web/node22/node_modules/node-linux-*/bin/node)"
  [ -x "$node" ] || die "there is no Node 22 for this machine ($(uname -m))"
}

sources=(web/index.html web/package-lock.json web/vite.config.ts web/tsconfig.json web/pack.mjs)
while IFS= read -r file; do sources+=("$file"); done < <(find web/src web/public -type f ! -name '*.test.ts' | LC_ALL=C sort)
stamp="$(digest "${sources[@]}")"
if [ "${1:-}" != --tools ] && [ -s "$out/console.pack" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi
find_node
install web
printf '%s\n' "$node" >"$out/node"
[ "${1:-}" = --tools ] && exit 0
(cd web && "$node" node_modules/typescript/bin/tsc --noEmit) || die "the console's types do not hold"
(cd web && "$node" node_modules/vite/bin/vite.js build --logLevel warn) || die "vite could not build the console"
"$node" web/pack.mjs "$out/dist" "$out/console.pack"
printf '%s\n' "$stamp" >"$out/stamp"
