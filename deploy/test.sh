#!/bin/sh
# npm test: sets up what is missing, then runs the checks and every test.
set -eu
cd "$(dirname "$0")/.."
[ -d node_modules ] || sh deploy/with-node.sh npm ci
exec sh deploy/with-node.sh node tools/test.ts "$@"
