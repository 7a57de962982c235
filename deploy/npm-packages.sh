#!/bin/sh
# Installs the npm packages when they are missing or package-lock.json has changed since.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.skiff-lock
isCurrent() {
  cmp -s package-lock.json "$stamp" && return 0
  # Somebody ran npm by hand: its own record is then newer than the lock file.
  [ -f node_modules/.package-lock.json ] && [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ]
}
if ! isCurrent; then
  echo "skiff: installing npm packages"
  sh deploy/with-node.sh npm ci --loglevel=error
fi
cmp -s package-lock.json "$stamp" || cp package-lock.json "$stamp"
