#!/bin/sh
# Runs a command with a Node.js that is new enough (see package.json "engines").
# Where the machine's own is older, one is taken from the npm package node-linux-<arch>, once, into .cache/node.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
major=24
version=24.21.0

newEnough() { [ "$("$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge "$major" ]; }

bin="$root/.cache/node/bin"
if newEnough node; then
  bin=$(dirname "$(command -v node)")
elif ! { [ -x "$bin/node" ] && newEnough "$bin/node"; }; then
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) echo "skiff: no Node.js $major for $(uname -m); install it by hand" >&2; exit 1 ;;
  esac
  echo "skiff: Node.js $major is missing (found $(node -v 2>/dev/null || echo none)); fetching node-linux-$arch@$version from npm" >&2
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/skiff-node.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  npm install --prefix "$tmp" --no-save --ignore-scripts --no-fund --no-audit --loglevel=error "node-linux-$arch@$version" >&2
  rm -rf "$root/.cache/node"
  mkdir -p "$root/.cache"
  mv "$tmp/node_modules/node-linux-$arch" "$root/.cache/node"
  rm -rf "$tmp"
  trap - EXIT
fi
PATH="$bin:$PATH"
export PATH
exec "$@"
