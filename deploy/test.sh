#!/bin/sh
# npm test: sets up what is missing, then runs the checks and every test. `npm test -- unit etcd` runs some projects only.
set -eu
cd "$(dirname "$0")/.."
exec sh deploy/with-packages.sh node tools/test.ts "$@"
