#!/bin/sh
# npm test: sets up what is missing, then runs the checks and every test. `npm test -- unit etcd` runs some projects only.
set -eu
cd "$(dirname "$0")/.."
sh deploy/npm-packages.sh
exec sh deploy/with-node.sh node tools/test.ts "$@"
